"""Checking a file from outside (查验): its original, signature and figures, and whether a PDF shows just that."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from piaoma.invoice.inspect import inspect
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.trust import Verdict, verify_original

from .embedded import embedded_original

PDF_MARK = b"%PDF"


class Checked(msgspec.Struct, frozen=True):
    """What is known of a file. ``invoice`` is what it says, when it can be read; ``signer`` empty when unknown."""

    verdict: Verdict
    reasons: tuple[Refusal, ...] = ()
    signer: str = ""
    invoice: IssuedInvoice | None = None


def original_in(data: bytes) -> bytes | None:
    """The original that a file holds: an XML is one, a PDF may have one inside."""
    return embedded_original(data) if data.startswith(PDF_MARK) else data


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


def check_without_original() -> Checked:
    """A file that holds no original: nothing can be said of it here."""
    return Checked(Verdict.UNKNOWN, (Refusal("SIGNATURE-MISSING"),))


def check_view(checked: Checked, shown: bytes, drawn: bytes) -> Checked:
    """The same for a PDF. A view is a pure function of its original: ours can be drawn again, and equal bytes show the
    same. Any other page, altered or drawn by another program or version, may show anything: then only the original
    inside is known, and the file as a whole is not."""
    if shown == drawn:
        return checked
    verdict = Verdict.UNKNOWN if checked.verdict is Verdict.VALID else checked.verdict
    return msgspec.structs.replace(checked, verdict=verdict, reasons=(Refusal("VIEW-DIFFERS"), *checked.reasons))
