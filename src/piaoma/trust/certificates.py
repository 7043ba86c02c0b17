"""Certificates (证书) in X.509 with SM2: made for the sandbox, and every chain (证书链) judged.

Real chains come from the issuing channel and are only verified here.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

from asn1crypto import keys as asn1_keys
from asn1crypto import x509

from .sm2 import PrivateKey, PublicKey

SM2_WITH_SM3 = "1.2.156.10197.1.501"
CHAIN_MAX = 5
BACKDATED = timedelta(days=2)  # a clock that was wrong at the first start and is corrected must not undo the chain


class ChainFault(Exception):
    """Why a chain is not good; the text names the fault."""


class Ended(ChainFault):
    """Every link holds, but not at the time that is asked about."""


def certify(
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
    have the right to sign. Raises ``ChainFault`` when a link is broken, ``Ended`` when only the time is wrong.
    """
    trusted, valid_from, valid_to = _verified(tuple(chain), tuple(roots))
    if not valid_from <= at <= valid_to:
        raise Ended("a certificate was not valid at the time of signing")
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
