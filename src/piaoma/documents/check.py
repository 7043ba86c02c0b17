"""Checking a file from outside (查验): its original, signature, seal, figures, and whether a view shows just that."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from piaoma.invoice.inspect import inspect
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.trust import Verdict, verify_original

from .embedded import embedded_original
from .ofd import CREATOR, OFD_MARK, OFD_VERSION, Document, check_seal, read_ofd
from .ticket import ticket_of

PDF_MARK = b"%PDF"


class Checked(msgspec.Struct, frozen=True):
    """What is known of a file. ``invoice`` is what it says, when it can be read; ``signer`` empty when unknown."""

    verdict: Verdict
    reasons: tuple[Refusal, ...] = ()
    signer: str = ""
    invoice: IssuedInvoice | None = None


class Redraw(msgspec.Struct, frozen=True):
    """A view that must be drawn again and compared before a file may be called valid."""

    original: bytes
    kind: str
    signed_value: bytes = b""


def examine(data: bytes, roots: Sequence[bytes]) -> tuple[Checked, Redraw | None]:
    """What is known of an XML, or of a PDF or OFD by what is inside; and what is to be drawn again, if anything."""
    if data.startswith(OFD_MARK):
        return _examine_ofd(data, roots)
    if not data.startswith(PDF_MARK):
        return check_original(data, roots), None
    original = embedded_original(data)
    if original is None:
        return Checked(Verdict.UNKNOWN, (Refusal("SIGNATURE-MISSING"),)), None
    checked = check_original(original, roots)
    return checked, None if checked.invoice is None else Redraw(original, "pdf")


def check_original(data: bytes, roots: Sequence[bytes]) -> Checked:
    """Signature and figures of an original, judged against trusted roots (DER)."""
    signature = verify_original(data, roots)
    try:
        invoice = read(data)
    except Refused as refused:
        return Checked(Verdict.INVALID, signature.reasons or refused.refusals, signature.signer)
    faults = inspect(invoice)
    verdict = Verdict.INVALID if faults and signature.verdict is Verdict.VALID else signature.verdict
    return Checked(verdict, (*signature.reasons, *faults), signature.signer, invoice)


def check_view(checked: Checked, shown: bytes, drawn: bytes) -> Checked:
    """The same for a view. A view is a pure function of its original: ours can be drawn again, and equal bytes show the
    same. Any other page, altered or drawn by another program or version, may show anything: then only the original
    inside is known, and the file as a whole is not."""
    if shown == drawn:
        return checked
    verdict = Verdict.UNKNOWN if checked.verdict is Verdict.VALID else checked.verdict
    return msgspec.structs.replace(checked, verdict=verdict, reasons=(Refusal("VIEW-DIFFERS"), *checked.reasons))


def _examine_ofd(data: bytes, roots: Sequence[bytes]) -> tuple[Checked, Redraw | None]:
    """An OFD is valid when its original is, and either its seal covers every part, or it is just what we draw."""
    try:
        document = read_ofd(data)
        checked = (
            Checked(Verdict.UNKNOWN, (Refusal("OFD-ORIGINAL-MISSING"),))
            if document.original is None
            else check_original(document.original, roots)
        )
        block = checked.invoice.signature if checked.invoice else None
        seal = check_seal(document, roots, block.key_info if block else ())
    except Refused as refused:
        too_large = any(refusal.cause == "OFD-TOO-LARGE" for refusal in refused.refusals)
        return Checked(Verdict.UNKNOWN if too_large else Verdict.INVALID, refused.refusals), None
    verdicts = {checked.verdict, checked.verdict if seal is None else seal.verdict}
    verdict = next(one for one in (Verdict.INVALID, Verdict.UNKNOWN, Verdict.VALID) if one in verdicts)
    differs = _differing(document, checked.invoice) if checked.invoice else ""
    if differs:
        verdict = Verdict.INVALID
    reasons = (
        *((Refusal("OFD-SHOWN-DIFFERS", "", {"have": differs}),) if differs else ()),
        *(seal.reasons if seal else ()),
        *checked.reasons,
    )
    whole = msgspec.structs.replace(
        checked, verdict=verdict, reasons=reasons, signer=checked.signer or (seal.signer if seal else "")
    )
    ours = (document.creator, document.creator_version) == (CREATOR, OFD_VERSION)
    if verdict is Verdict.VALID and document.original is not None and (ours or seal is None):
        return whole, Redraw(document.original, "ofd", seal.signed_value if seal else b"")
    return whole, None


def _differing(document: Document, invoice: IssuedInvoice) -> str:
    """The name of the first value that a page shows otherwise than the original says; empty when none does. Values
    that are not named by tags are not compared."""
    ticket = ticket_of(invoice)
    wanted = {
        "InvoiceNo": ticket.number,
        "IssueDate": ticket.issued_on,
        "BuyerName": ticket.buyer.name,
        "BuyerTaxID": ticket.buyer.taxpayer_id,
        "SellerName": ticket.seller.name,
        "SellerTaxID": ticket.seller.taxpayer_id,
        "TaxExclusiveTotalAmount": ticket.amount,
        "TaxInclusiveTotalAmount": ticket.total,
    }
    for name, value in wanted.items():
        shown = {_bare(text) for text in document.values.get(name, ()) if text}
        if shown and shown != {_bare(value)}:
            return name
    return ""


def _bare(text: str) -> str:
    return re.sub(r"[\s¥￥]", "", text)
