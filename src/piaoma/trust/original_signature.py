"""Signing an original and judging a signed one (签名, 验签)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache

import msgspec

from piaoma.invoice import original, original_reader
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.refusal import Refusal, Refused

from .certificates import ChainFault, common_name, public_key, verify_chain
from .signer import Signer, demand
from .sm2 import PublicKey


class Verdict(StrEnum):
    """What can be said of a signature."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"  # not ours to judge: another signer, or no signature at all


class SignatureVerdict(msgspec.Struct, frozen=True):
    """The verdict, why, and whose signature it is (empty when unknown)."""

    verdict: Verdict
    reasons: tuple[Refusal, ...] = ()
    signer: str = ""


def sign_original(invoice: IssuedInvoice, signer: Signer) -> bytes:
    """The signed original of an invoice. Raises ``SignerFault``."""
    return sign_originals([invoice], signer)[0]


def sign_originals(invoices: Sequence[IssuedInvoice], signer: Signer) -> list[bytes]:
    """The signed originals of invoices, in order; the signer is asked once for all.

    Chain and validity are checked for the moment that each states, now, whatever was checked before. Raises
    ``SignerFault``; then none of them was signed.
    """
    composed = []
    for invoice in invoices:
        assert invoice.signed_at is not None, "an original states when it was signed"
        demand(signer.fault_at(invoice.signed_at))
        composed.append(original.compose(invoice))
    signatures = signer.sign_all(composed)
    return [
        original.assemble(one, signature, signer.certificates)
        for one, signature in zip(composed, signatures, strict=True)
    ]


@lru_cache(maxsize=64)
def _key_of(certificate: bytes) -> PublicKey:
    return public_key(certificate)


@lru_cache(maxsize=64)
def _signer_of(certificate: bytes) -> str:
    return common_name(certificate)


def verify_original(data: bytes, roots: Sequence[bytes]) -> SignatureVerdict:
    """Judge the signature of a file against trusted roots (DER), at the time of signing that it states.

    Three things must hold for VALID: the file is byte for byte what our writer writes for what it says, so nothing
    outside the signed parts was changed either; the signature is over it; the chain leads to a trusted root.
    """
    try:
        invoice = original_reader.read(data)
    except Refused as refused:
        return SignatureVerdict(Verdict.INVALID, refused.refusals)
    block = invoice.signature
    if block is None or invoice.signed_at is None or not block.key_info:
        return SignatureVerdict(Verdict.UNKNOWN, (Refusal("SIGNATURE-MISSING"),))
    try:
        signed = original.signed_bytes(data)
    except Refused as refused:
        # Another producer's layout: its canonical form is not published, so nothing is claimed about it.
        return SignatureVerdict(Verdict.UNKNOWN, refused.refusals)
    try:
        holds = _key_of(block.key_info[0]).verifies(block.value, signed)
    except Exception:  # a hostile certificate makes the parser fail in many ways; all mean the same
        return _invalid("SIGNATURE-CERTIFICATE", have="unreadable")
    if not holds:
        return _invalid("SIGNATURE-INVALID")
    if not original_reader.is_canonical(data):
        return _invalid("SIGNATURE-ALTERED")
    try:
        trusted = verify_chain(block.key_info, roots, invoice.signed_at)
    except ChainFault as fault:
        return _invalid("SIGNATURE-CERTIFICATE", have=str(fault))
    signer = _signer_of(block.key_info[0])
    if not trusted:
        return SignatureVerdict(Verdict.UNKNOWN, (Refusal("SIGNATURE-UNTRUSTED"),), signer)
    return SignatureVerdict(Verdict.VALID, (), signer)


def _invalid(cause: str, **values: str) -> SignatureVerdict:
    return SignatureVerdict(Verdict.INVALID, (Refusal(cause, "", values),))
