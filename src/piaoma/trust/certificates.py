"""The sandbox's own certificate chain (证书链): root → issuer → signer and maker of seals, made at first start.

X.509 with SM2. Every name in it says that it is a test. Real chains come from the issuing channel and are only
verified here.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from asn1crypto import keys as asn1_keys
from asn1crypto import pem, x509

from .sm2 import PrivateKey, PublicKey

SM2_WITH_SM3 = "1.2.156.10197.1.501"
ROOT_YEARS, ISSUER_YEARS, SIGNER_YEARS, SEAL_MAKER_YEARS = 20, 10, 5, 10
CHAIN_MAX = 5
BACKDATED = timedelta(days=2)  # a clock that was wrong at the first start and is corrected must not undo the chain
RENEW_BEFORE = timedelta(days=180)  # a new signer is made at a start within these days of the old one's end

ROOT_NAME = "票码沙盒测试根（无效）"
ISSUER_NAME = "票码沙盒测试签发机构（无效）"
SIGNER_NAME = "票码沙盒测试税务签名（样票无效）"
SEAL_MAKER_NAME = "票码沙盒测试制章者（无效）"


class Keyring(msgspec.Struct, frozen=True):
    """The sandbox's keys as kept in its folder. Certificates are DER."""

    signer_key: PrivateKey
    signer: bytes
    issuer: bytes
    root: bytes
    seal_maker_key: PrivateKey
    seal_maker: bytes


class ChainFault(Exception):
    """Why a chain is not good; the text names the fault."""


def open_or_create(folder: Path, now: datetime) -> Keyring:
    """The keyring of a folder, made there when there is none yet; one process at a time.

    The folder appears whole or not at all: it is written aside, synced and renamed. A signer that ends soon is
    followed by a new one; invoices of the old one carry its certificate, so they stay verifiable. Raises
    ``ChainFault`` when no key fits its certificate.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _create(folder, now)
        if not (folder / "seal-maker.pem").exists():
            _add_seal_maker(folder, now)
        kept = _open(folder, now)
        ends = validity((kept.signer,))[1]
        if now > ends - RENEW_BEFORE and ends < validity((kept.issuer,))[1]:
            _renew_signer(folder, now)
            kept = _open(folder, now)
        return kept
    finally:
        os.close(lock)


def _open(folder: Path, now: datetime) -> Keyring:
    """The keyring with the newest signer that is valid now, or the newest of all. A signer counts once its certificate
    is there and its key fits; a clock that was wrong once may have made one that begins in years."""
    issuer, root = _unarmor(folder / "issuer.pem"), _unarmor(folder / "root.pem")
    maker_key = PrivateKey.from_pem((folder / "seal-maker.key").read_bytes())
    maker = _unarmor(folder / "seal-maker.pem")
    fitting = []
    for path in sorted(folder.glob("signer*.pem"), key=lambda path: (len(path.name), path.name)):
        key, certificate = PrivateKey.from_pem(path.with_suffix(".key").read_bytes()), _unarmor(path)
        if public_key(certificate).verifies(key.sign(certificate), certificate):
            fitting.append(Keyring(key, certificate, issuer, root, maker_key, maker))
    if not fitting:
        raise ChainFault(f"no key in {folder} fits its certificate")
    valid = [kept for kept in fitting if validity((kept.signer,))[0] <= now <= validity((kept.signer,))[1]]
    return (valid or fitting)[-1]


def _renew_signer(folder: Path, now: datetime) -> None:
    """Another signer by the same issuer. Its key is on disk before its certificate says that it exists."""
    taken = [path.stem.partition("-")[2] or "1" for path in folder.glob("signer*.key")]
    _issue(folder, f"signer-{max(map(int, taken)) + 1}", SIGNER_NAME, now, SIGNER_YEARS)


def _add_seal_maker(folder: Path, now: datetime) -> None:
    """Who makes seals, in a folder of a version that had none; what is there stays as it is."""
    (folder / "seal-maker.key").unlink(missing_ok=True)  # of a start that died in between
    _issue(folder, "seal-maker", SEAL_MAKER_NAME, now, SEAL_MAKER_YEARS)


def _issue(folder: Path, name: str, common: str, now: datetime, years: int) -> None:
    """A key and its certificate by the folder's issuer, as ``name.key`` and ``name.pem``."""
    key = PrivateKey.generate()
    issuer_key = PrivateKey.from_pem((folder / "issuer.key").read_bytes())
    certificate = _certify(common, key, ISSUER_NAME, issuer_key, now, years, authority=False)
    _write(folder / f"{name}.key", key.to_pem())
    _write(folder / f"{name}.pem", pem.armor("CERTIFICATE", certificate))
    _sync(folder)


def _create(folder: Path, now: datetime) -> None:
    aside = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.new")
    aside.mkdir(mode=0o700, parents=True)
    root_key, issuer_key, signer_key, maker_key = (PrivateKey.generate() for _ in range(4))
    root = _certify(ROOT_NAME, root_key, ROOT_NAME, root_key, now, ROOT_YEARS, authority=True)
    issuer = _certify(ISSUER_NAME, issuer_key, ROOT_NAME, root_key, now, ISSUER_YEARS, authority=True)
    signer = _certify(SIGNER_NAME, signer_key, ISSUER_NAME, issuer_key, now, SIGNER_YEARS, authority=False)
    maker = _certify(SEAL_MAKER_NAME, maker_key, ISSUER_NAME, issuer_key, now, SEAL_MAKER_YEARS, authority=False)
    files = {
        "seal-maker.key": maker_key.to_pem(),
        "signer.key": signer_key.to_pem(),
        "issuer.key": issuer_key.to_pem(),
        "root.key": root_key.to_pem(),
    }
    files |= {f"{name}.pem": pem.armor("CERTIFICATE", der) for name, der in
              (("root", root), ("issuer", issuer), ("signer", signer), ("seal-maker", maker))}  # fmt: skip
    for name, content in files.items():
        _write(aside / name, content)
    _sync(aside)
    aside.rename(folder)
    _sync(folder.parent)


def _write(path: Path, content: bytes) -> None:
    """A new file with mode 0600, on disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, content: bytes) -> None:
    """A file with mode 0600 that is there whole or not at all."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    _write(aside, content)
    aside.rename(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unarmor(path: Path) -> bytes:
    der: bytes = pem.unarmor(path.read_bytes())[2]
    return der


def _certify(
    name: str,
    key: PrivateKey,
    issuer_name: str,
    issuer_key: PrivateKey,
    now: datetime,
    years: int,
    *,
    authority: bool,
) -> bytes:
    """A certificate, DER, for a key, by an issuer; valid from ``BACKDATED`` before now."""
    usage = {"key_cert_sign", "crl_sign"} if authority else {"digital_signature", "non_repudiation"}
    start = (now - BACKDATED).replace(microsecond=0)
    body = x509.TbsCertificate(
        {
            "version": "v3",
            "serial_number": secrets.randbits(120) | 1 << 119,
            "signature": {"algorithm": SM2_WITH_SM3},
            "issuer": _name(issuer_name),
            "validity": {
                "not_before": x509.Time({"general_time": start}),
                "not_after": x509.Time({"general_time": start + timedelta(days=365 * years)}),
            },
            "subject": _name(name),
            "subject_public_key_info": asn1_keys.PublicKeyInfo.load(key.public_der()),
            "extensions": [
                {"extn_id": "basic_constraints", "critical": True, "extn_value": {"ca": authority}},
                {"extn_id": "key_usage", "critical": True, "extn_value": usage},
            ],
        }
    )
    certificate = x509.Certificate(
        {
            "tbs_certificate": body,
            "signature_algorithm": {"algorithm": SM2_WITH_SM3},
            "signature_value": issuer_key.sign(body.dump()),
        }
    )
    der: bytes = certificate.dump()
    return der


def _name(common: str) -> x509.Name:
    return x509.Name.build(
        {"country_name": "CN", "organization_name": "票码沙盒 Piaoma Sandbox", "common_name": common}
    )


def common_name(certificate: bytes) -> str:
    """Whose certificate it is."""
    return str(x509.Certificate.load(certificate).subject.native.get("common_name", ""))


def public_key(certificate: bytes) -> PublicKey:
    """The key that a certificate (DER) is for. Raises ``ValueError``."""
    return PublicKey(x509.Certificate.load(certificate).public_key.dump())


def validity(chain: Sequence[bytes]) -> tuple[datetime, datetime]:
    """From when to when every certificate (DER) of a chain is valid."""
    loaded = [x509.Certificate.load(certificate) for certificate in chain]
    return max(one.not_valid_before for one in loaded), min(one.not_valid_after for one in loaded)


def verify_chain(chain: Sequence[bytes], roots: Sequence[bytes], at: datetime) -> bool:
    """Whether a chain, signer first, ends at one of the trusted roots; False when it ends at nobody we know.

    Every link must hold: signature, validity at ``at`` (aware), issuer's name, the right to certify; the signer must
    have the right to sign. Raises ``ChainFault`` when a link is broken.
    """
    trusted, valid_from, valid_to = _verified(tuple(chain), tuple(roots))
    if not valid_from <= at <= valid_to:
        raise ChainFault("a certificate was not valid at the time of signing")
    return trusted


@lru_cache(maxsize=64)
def _verified(chain: tuple[bytes, ...], roots: tuple[bytes, ...]) -> tuple[bool, datetime, datetime]:
    """All that does not depend on a time: (trusted, valid from, valid to). The same chain signs every invoice of
    years, so this is worked out once."""
    if not chain or len(chain) > CHAIN_MAX:
        raise ChainFault("certificates missing or too many")
    links = [_load(certificate) for certificate in chain]
    if "digital_signature" not in _usage(links[0]):
        raise ChainFault("the signer's certificate is not for signing")
    for below, above in pairwise(links):
        _check_link(below, above)
    trusted = False
    for root, top in ((root, _load(root)) for root in roots):
        if chain[-1] == root:
            trusted = True
        elif links[-1].issuer.dump() == top.subject.dump():
            # Another installation's root may bear the same name; then this chain is simply not ours to judge.
            with suppress(ChainFault):
                _check_link(links[-1], top)
                links.append(top)
                trusted = True
        if trusted:
            break
    return trusted, max(link.not_valid_before for link in links), min(link.not_valid_after for link in links)


def _load(certificate: bytes) -> Any:
    try:
        loaded = x509.Certificate.load(certificate, strict=True)
        _ = loaded.native
    except Exception as error:  # a hostile certificate makes the parser fail in many ways; all mean the same
        raise ChainFault("a certificate cannot be read") from error
    return loaded


def _usage(certificate: Any) -> set[str]:
    value = certificate.key_usage_value
    return set() if value is None else set(value.native)


def _check_link(below: Any, above: Any) -> None:
    constraints = above.basic_constraints_value
    if constraints is None or not constraints["ca"].native or "key_cert_sign" not in _usage(above):
        raise ChainFault("a certificate was issued by one that may not issue")
    if below.issuer.dump() != above.subject.dump():
        raise ChainFault("the issuer's name does not match")
    # The outer algorithm is not signed itself, so it must repeat the one that is (RFC 5280 §4.1.1.2).
    stated = below["signature_algorithm"]
    if stated["algorithm"].dotted != SM2_WITH_SM3 or stated.dump() != below["tbs_certificate"]["signature"].dump():
        raise ChainFault("a certificate's signature algorithm is not SM2 with SM3")
    try:
        key = PublicKey(above.public_key.dump())
    except ValueError:
        raise ChainFault("an issuer's key cannot be read") from None
    if not key.verifies(below["signature_value"].native, below["tbs_certificate"].dump()):
        raise ChainFault("a certificate's signature does not hold")
