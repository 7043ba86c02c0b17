"""The electronic seal (电子印章, 签章): making one, sealing a document with it, judging a sealed one.

What is sealed is the digest of a file that lists the digests of all others; this module knows nothing of packages. A
signature is random, so whoever seals keeps the value: sealed again, a document would have other bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import msgspec
from asn1crypto import x509

from piaoma.invoice.refusal import Refusal

from . import ses
from .certificates import SM2_WITH_SM3, ChainFault, common_name, public_key, validity, verify_chain
from .files import write_whole
from .keystore import Keyring
from .original_signature import Verdict
from .signer import FileSigner, Signer, chain_fault, demand
from .sm2 import PrivateKey, PublicKey, sm3

SEAL_NAME = "票码沙盒测试章（样票无效）"
SEAL_ID = "PIAOMA-SANDBOX-TEST"
SEAL_TYPE = 3  # as seen on invoices [C]
LIST_OF_CERTIFICATES, LIST_OF_DIGESTS = 1, 2
PICTURE_SIDES = (38, 9)  # millimetres
SIGNED_VALUE_BYTES_MAX = 262_144

SEAL_PICTURE = "seal.png"  # a straight dashed frame in slate: nothing like the red oval of the tax authority


class SealSigner(Protocol):
    """Seals with SM2 and SM3."""

    @property
    def certificate(self) -> bytes:
        """The signer's, DER."""
        ...

    @property
    def seal(self) -> bytes:
        """The seal, DER; the signer is in its list."""
        ...

    def fault_at(self, moment: datetime) -> str | None:
        """The cause why a seal set at this moment (aware) would not verify or cannot be had, or None."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature, DER. Raises ``SignerFault``."""
        ...


class SignersSeal:
    """A signer with the seal that was made for it."""

    def __init__(self, signer: Signer, seal: bytes, root: bytes) -> None:
        self._signer, self._root = signer, root
        self.certificate = signer.certificates[0]
        self.seal = seal

    def fault_at(self, moment: datetime) -> str | None:
        """Signer, seal and the chain of the seal's maker are each asked."""
        try:
            maker: bytes = ses.Seal.load(self.seal)["certificate"].native
            if _seal_fault(self.seal, self.certificate, moment):
                return "ISSUE-SIGNER-NOT-VALID"
            chain = _chain(maker, self._signer.certificates[1:], (self._root,))
        except Exception:  # a seal that cannot be read is none to set
            return "ISSUE-SIGNER-NOT-FITTING"
        return self._signer.fault_at(moment) or chain_fault(chain, self._root, moment)

    def sign(self, data: bytes) -> bytes:
        return self._signer.sign(data)


def open_seal(folder: Path, keyring: Keyring, now: datetime) -> SignersSeal:
    """The seal of the keyring's signer and maker, made in the keyring's folder when there is none for them yet."""
    earlier = folder / f"seal-{sm3(keyring.signer).hex()[:16]}.esl"  # named without the maker, who was always the same
    if earlier.exists() and ses.Seal.load(earlier.read_bytes())["certificate"].native == keyring.seal_maker:
        kept = earlier
    else:
        kept = folder / f"seal-{sm3(keyring.signer + keyring.seal_maker).hex()[:16]}.esl"
    if not kept.exists():
        write_whole(kept, make_seal(keyring.signer, keyring.seal_maker, keyring.seal_maker_key, now))
    return SignersSeal(FileSigner(keyring), kept.read_bytes(), keyring.root)


def make_seal(signer: bytes, maker: bytes, maker_key: PrivateKey, now: datetime) -> bytes:
    """A seal, DER, for one signer's certificate; valid as long as both certificates are."""
    valid_from, valid_to = validity((signer, maker))
    info = ses.SealInfo(
        {
            "header": {"id": "ES", "version": ses.VERSION, "vendor": "Piaoma sandbox test"},
            "es_id": SEAL_ID,
            "property": {
                "type": SEAL_TYPE,
                "name": SEAL_NAME,
                "list_type": LIST_OF_CERTIFICATES,
                "list": [signer],
                "created": _whole(now),
                "valid_from": valid_from,
                "valid_to": valid_to,
            },
            "picture": {
                "type": "PNG",
                "data": (resources.files(__package__) / SEAL_PICTURE).read_bytes(),
                "width": PICTURE_SIDES[0],
                "height": PICTURE_SIDES[1],
            },
        }
    )
    seal = {
        "info": info,
        "certificate": maker,
        "algorithm": SM2_WITH_SM3,
        "signature": ses.bits(maker_key.sign(info.dump())),
    }
    der: bytes = ses.Seal(seal).dump()
    return der


def sign_value(listed: bytes, path: str, signer: SealSigner, at: datetime) -> bytes:
    """The signed value (SignedValue.dat) over a file that lists what is sealed; ``path`` is its place.

    Raises ``SignerFault`` when it would not verify, or cannot be had.
    """
    demand(signer.fault_at(at))
    to_sign = ses.to_sign(signer.seal, _whole(at), sm3(listed), path)
    return ses.signature(to_sign, signer.certificate, SM2_WITH_SM3, signer.sign(to_sign))


def sealed_at(signed_value: bytes) -> datetime:
    """The moment that a signed value states. Raises ``ValueError`` when it cannot be read."""
    try:
        moment: datetime = ses.Signature.load(signed_value, strict=True)["to_sign"]["time"].native
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except Exception as error:  # a hostile value makes the parser fail in many ways; all mean the same
        raise ValueError("not a signed value") from error


class SealVerdict(msgspec.Struct, frozen=True):
    """What can be said of a seal, why, whose name it bears, and when it was set."""

    verdict: Verdict
    reasons: tuple[Refusal, ...] = ()
    signer: str = ""
    seal: str = ""
    at: datetime | None = None


def verify_value(
    signed_value: bytes, listed: bytes, path: str, roots: Sequence[bytes], issuers: Sequence[bytes] = ()
) -> SealVerdict:
    """Judge a signed value over the file that lists what is sealed.

    ``issuers`` are certificates between signer and root that came along; they prove nothing by themselves.
    """
    if len(signed_value) > SIGNED_VALUE_BYTES_MAX:
        return _invalid("SEAL-UNREADABLE")
    try:
        version = ses.version_of(signed_value)
    except Exception:  # as below
        return _invalid("SEAL-UNREADABLE")
    if version in ses.OLD_VERSIONS:
        return SealVerdict(Verdict.UNKNOWN, (Refusal("SEAL-OLD", "", {"have": str(version)}),))
    try:
        value = ses.Signature.load(signed_value, strict=True)
        _ = value.native
        if value.dump(force=True) != signed_value:
            return _invalid("SEAL-UNREADABLE")  # a length or a type written in another way than DER
        return _judged(value, listed, path, tuple(roots), tuple(issuers))
    except Exception:  # a hostile value makes the parser fail in many ways; all mean the same
        return _invalid("SEAL-UNREADABLE")


def _judged(value: Any, listed: bytes, path: str, roots: tuple[bytes, ...], issuers: tuple[bytes, ...]) -> SealVerdict:
    to_sign, certificate = value["to_sign"], value["certificate"].native
    info, at = to_sign["seal"]["info"], _aware(to_sign["time"].native)
    if value["algorithm"].dotted != SM2_WITH_SM3 or to_sign["seal"]["algorithm"].dotted != SM2_WITH_SM3:
        return _invalid("SEAL-UNREADABLE")
    if ses.bytes_of(to_sign["digest"]) != sm3(listed) or to_sign["path"].native != path:
        return _invalid("SEAL-ALTERED", have=path)
    if not _key_of(certificate).verifies(ses.bytes_of(value["signature"]), to_sign.dump()):
        return _invalid("SEAL-INVALID")
    fault = _seal_fault(to_sign["seal"].dump(), certificate, at)
    if fault:
        return _invalid("SEAL-INVALID") if fault == "signature" else _invalid("SEAL-CERTIFICATE", have=fault)
    trusted = True
    for one in (certificate, to_sign["seal"]["certificate"].native):
        try:
            trusted = verify_chain(_chain(one, issuers, roots), roots, at) and trusted
        except ChainFault as chain_fault:
            return _invalid("SEAL-CERTIFICATE", have=str(chain_fault))
    signer, name = common_name(certificate), str(info["property"]["name"].native)
    if not trusted:
        return SealVerdict(Verdict.UNKNOWN, (Refusal("SEAL-UNTRUSTED"),), signer, name, at)
    return SealVerdict(Verdict.VALID, (), signer, name, at)


def _seal_fault(seal: bytes, signer: bytes, at: datetime) -> str:
    """What is wrong with a seal for a signer at a time; empty when nothing is."""
    holds, listed, valid_from, valid_to = _seal_facts(seal, signer)
    if not holds:
        return "signature"
    if not listed:
        return "the signer is not in the seal's list"
    if not valid_from <= at <= valid_to:
        return "the seal was not valid at the time of sealing"
    return ""


@lru_cache(maxsize=64)
def _seal_facts(der: bytes, signer: bytes) -> tuple[bool, bool, datetime, datetime]:
    """All that does not depend on a time: the same seal is set on invoices of years."""
    seal = ses.Seal.load(der)
    info, about = seal["info"], seal["info"]["property"]
    holds = _key_of(seal["certificate"].native).verifies(ses.bytes_of(seal["signature"]), info.dump())
    wanted = {signer} if about["list_type"].native == LIST_OF_CERTIFICATES else {sm3(signer)}
    listed = any(one in wanted for one in about["list"].native)
    return holds, listed, _aware(about["valid_from"].native), _aware(about["valid_to"].native)


@lru_cache(maxsize=64)
def _chain(certificate: bytes, issuers: tuple[bytes, ...], roots: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The certificate and what stands between it and a root, as far as that came along. Names only lead the way:
    ``verify_chain`` proves every link."""
    chain, tops = [certificate], {x509.Certificate.load(root).subject.dump() for root in roots}
    above = {x509.Certificate.load(issuer).subject.dump(): issuer for issuer in issuers}
    while (name := x509.Certificate.load(chain[-1]).issuer.dump()) not in tops:
        further = above.pop(name, None)
        if further is None or further in chain:
            break
        chain.append(further)
    return tuple(chain)


@lru_cache(maxsize=64)
def _key_of(certificate: bytes) -> PublicKey:
    return public_key(certificate)


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _invalid(cause: str, **values: str) -> SealVerdict:
    return SealVerdict(Verdict.INVALID, (Refusal(cause, "", values),))
