"""Checking a file from outside (查验): its original, signature, seal and figures, whether a view shows just that, and
what the log says of a bundle."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from piaoma.invoice.inspect import inspect
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.trust import Verdict, verify_original
from piaoma.trust.checkpoint import LogPublicKey

from .bundle import is_bundle, log_faults, unpack
from .embedded import embedded_original
from .ofd import CREATOR, NAMED, OFD_MARK, VERSIONS, Document, check_seal, read_ofd
from .pdf_signature import is_signed_copy
from .ticket import ticket_of

PDF_MARK = b"%PDF"
_FALSE_IN_BUNDLES = ("LOG-PROOF-INVALID", "LOG-CHECKPOINT-INVALID", "BUNDLE-VIEW-OTHER")


class Checked(msgspec.Struct, frozen=True):
    """What is known of a file. ``invoice`` is what it says, when it can be read; ``signer`` empty when unknown.
    ``original`` is the XML that the file is or carries."""

    verdict: Verdict
    reasons: tuple[Refusal, ...] = ()
    signer: str = ""
    invoice: IssuedInvoice | None = None
    original: bytes = b""


class Redraw(msgspec.Struct, frozen=True):
    """A view that must be drawn again and compared before a file may be called valid."""

    shown: bytes
    original: bytes
    kind: str
    signed_value: bytes = b""


def examine(
    data: bytes, roots: Sequence[bytes], log_keys: Mapping[str, LogPublicKey]
) -> tuple[Checked, tuple[Redraw, ...]]:
    """What is known of an XML, of a PDF or OFD by what is inside, or of a bundle; and which views are to be drawn
    again before the file may be called valid."""
    if data.startswith(OFD_MARK):  # both are zips
        return _examine_bundle(data, roots, log_keys) if is_bundle(data) else _examine_ofd(data, roots)
    return _examine_pdf(data, roots) if data.startswith(PDF_MARK) else (check_original(data, roots), ())


def _examine_pdf(data: bytes, roots: Sequence[bytes]) -> tuple[Checked, tuple[Redraw, ...]]:
    original = embedded_original(data)
    if original is None:
        return Checked(Verdict.UNKNOWN, (Refusal("SIGNATURE-MISSING"),)), ()
    checked = check_original(original, roots)
    return checked, () if checked.invoice is None else (Redraw(data, original, "pdf"),)


def check_original(data: bytes, roots: Sequence[bytes]) -> Checked:
    """Signature and figures of an original, judged against trusted roots (DER)."""
    signature = verify_original(data, roots)
    try:
        invoice = read(data)
    except Refused as refused:
        return Checked(Verdict.INVALID, signature.reasons or refused.refusals, signature.signer, None, data)
    faults = inspect(invoice)
    verdict = Verdict.INVALID if faults and signature.verdict is Verdict.VALID else signature.verdict
    return Checked(verdict, (*signature.reasons, *faults), signature.signer, invoice, data)


def _examine_bundle(
    data: bytes, roots: Sequence[bytes], log_keys: Mapping[str, LogPublicKey]
) -> tuple[Checked, tuple[Redraw, ...]]:
    """The original in a bundle, whether the log has it, and its views, each of which must carry just this original."""
    try:
        bundle = unpack(data)
    except Refused as refused:
        return Checked(Verdict.INVALID, refused.refusals), ()
    checked = check_original(bundle.original, roots)
    faults = log_faults(bundle, log_keys)
    if checked.invoice is not None and checked.invoice.number != bundle.number:
        faults.append(Refusal("LOG-PROOF-INVALID", "", {"have": bundle.number}))
    verdicts, redraws = [checked.verdict], list[Redraw]()
    for kind, shown in bundle.views.items():
        known, again = _examine_pdf(shown, roots) if kind == "pdf" else _examine_ofd(shown, roots)
        verdicts.append(known.verdict)
        faults.extend(reason for reason in known.reasons if reason not in (*checked.reasons, *faults))
        redraws.extend(again)
        if known.original != bundle.original:
            faults.append(Refusal("BUNDLE-VIEW-OTHER", "", {"have": kind.upper()}))
    if any(fault.cause in _FALSE_IN_BUNDLES for fault in faults):
        verdicts.append(Verdict.INVALID)
    elif faults:
        verdicts.append(Verdict.UNKNOWN)  # what is missing makes a good file doubtful, not bad
    whole = msgspec.structs.replace(checked, verdict=_worst(verdicts), reasons=(*checked.reasons, *faults))
    return whole, tuple(redraws)


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    return next(one for one in (Verdict.INVALID, Verdict.UNKNOWN, Verdict.VALID) if one in verdicts)


def check_view(checked: Checked, shown: bytes, drawn: bytes) -> Checked:
    """The same for a view. A view is a pure function of its original: ours can be drawn again, and equal bytes show the
    same. Any other page, altered or drawn by another program or version, may show anything: then only the original
    inside is known, and the file as a whole is not."""
    if shown == drawn or is_signed_copy(shown, drawn):
        return checked
    verdict = Verdict.UNKNOWN if checked.verdict is Verdict.VALID else checked.verdict
    return msgspec.structs.replace(checked, verdict=verdict, reasons=(Refusal("VIEW-DIFFERS"), *checked.reasons))


def _examine_ofd(data: bytes, roots: Sequence[bytes]) -> tuple[Checked, tuple[Redraw, ...]]:
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
        return Checked(Verdict.UNKNOWN if too_large else Verdict.INVALID, refused.refusals), ()
    verdict = _worst([checked.verdict, checked.verdict if seal is None else seal.verdict])
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
    kinds = {version: kind for kind, version in VERSIONS.items()} if document.creator == CREATOR else {}
    kind = kinds.get(document.creator_version, "" if seal else NAMED)
    if verdict is Verdict.VALID and document.original is not None and kind:
        return whole, (Redraw(data, document.original, kind, seal.signed_value if seal else b""),)
    return whole, ()


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
