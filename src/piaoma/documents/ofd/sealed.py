"""Judging the seal of an OFD: every digest, what it does not cover, the signed value (ofd-and-pdf.md §2)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec
from lxml import etree

from piaoma.invoice.refusal import Refusal, Refused
from piaoma.trust import Verdict, sm3, verify_value

from .reader import Document, elements, inner, place_of

UNCOVERED_SHOWN = 3

_SM3 = ("SM3", "1.2.156.10197.1.401")


class SealCheck(msgspec.Struct, frozen=True):
    """What is known of the seal of an OFD. ``signed_value`` is empty when it has none."""

    verdict: Verdict
    reasons: tuple[Refusal, ...] = ()
    signer: str = ""
    uncovered: tuple[str, ...] = ()
    signed_value: bytes = b""


def check_seal(document: Document, roots: Sequence[bytes], issuers: Sequence[bytes] = ()) -> SealCheck | None:
    """Judge the one seal of a document; None when it has none.

    ``issuers`` are certificates that came along. Raises ``Refused`` as ``Package.xml``.
    """
    if not document.signatures:
        return None
    package = document.package
    try:
        listed = [
            place_of(document.signatures, one.get("BaseLoc", ""), package)
            for one in elements(package.xml(document.signatures), "Signature")
            if one.get("BaseLoc")
        ]
        if len(listed) != 1:
            return _unreadable()
        root = package.xml(listed[0])
        value_part = place_of(listed[0], _text_of_last(root, "SignedValue"), package)
    except Refused as refused:
        if any(refusal.cause == "OFD-TOO-LARGE" for refusal in refused.refusals):
            raise
        return _unreadable()
    signed_value = package.parts.get(value_part)
    if signed_value is None:
        return _unreadable()
    covered: set[str] = set()
    for reference in elements(root, "Reference"):
        name = place_of(listed[0], reference.get("FileRef", ""), package)
        data = package.parts.get(name)
        if data is None or _decoded(inner(reference, "CheckValue")) != sm3(data):
            return SealCheck(Verdict.INVALID, (_reason("SEAL-ALTERED", name),), signed_value=signed_value)
        covered.add(name)
    methods = {one.get("CheckMethod", "") for one in elements(root, "References")}
    if not methods <= set(_SM3):
        return SealCheck(Verdict.UNKNOWN, (_reason("SEAL-OLD", ", ".join(sorted(methods))),), signed_value=signed_value)
    judged = verify_value(signed_value, package.parts[listed[0]], f"/{listed[0]}", roots, issuers)
    uncovered = tuple(sorted(set(package.parts) - covered - {listed[0], value_part}))
    reasons, verdict = judged.reasons, judged.verdict
    if uncovered:
        some = ", ".join(uncovered[:UNCOVERED_SHOWN])
        reasons = (*reasons, _reason("SEAL-COVERS-PART", some))
        verdict = Verdict.UNKNOWN if verdict is Verdict.VALID else verdict
    return SealCheck(verdict, reasons, judged.signer, uncovered, signed_value)


def _text_of_last(root: etree._Element, name: str) -> str:
    found = [one.text or "" for one in elements(root, name)]
    return found[-1].strip() if found else ""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _reason(cause: str, have: str) -> Refusal:
    return Refusal(cause, "", {"have": have[:120]})


def _unreadable() -> SealCheck:
    return SealCheck(Verdict.INVALID, (Refusal("SEAL-UNREADABLE"),))
