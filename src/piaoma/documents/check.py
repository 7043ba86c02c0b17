"""Checking a file from outside (查验): its original, signature and figures, whether a PDF shows just that, and what the
log says of a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from piaoma.invoice.inspect import inspect
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.trust import Verdict, verify_original
from piaoma.trust.checkpoint import LogPublicKey

from .bundle import ZIP_MARK, Bundle, log_faults, unpack
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


def bundle_in(data: bytes) -> Bundle | None:
    """The bundle that a file is, None for any other kind. Raises ``Refused`` BUNDLE-MALFORMED."""
    return unpack(data) if data.startswith(ZIP_MARK) else None


def check_bundle(bundle: Bundle, roots: Sequence[bytes], log_keys: Mapping[str, LogPublicKey]) -> Checked:
    """The original in a bundle, and whether the log has it; its views are for ``check_view``."""
    checked = check_original(bundle.original, roots)
    faults = log_faults(bundle, log_keys)
    if checked.invoice is not None and checked.invoice.number != bundle.number:
        faults.append(Refusal("LOG-PROOF-INVALID", "", {"have": bundle.number}))
    if not faults:
        return checked
    judged = any(fault.cause not in ("LOG-PENDING", "LOG-UNTRUSTED") for fault in faults)
    # What is missing makes a good file doubtful, not bad; what is false makes any file bad.
    verdict = Verdict.INVALID if judged else Verdict.UNKNOWN if checked.verdict is Verdict.VALID else checked.verdict
    return msgspec.structs.replace(checked, verdict=verdict, reasons=(*checked.reasons, *faults))


def check_refused(refused: Refused) -> Checked:
    """A file that could not even be opened."""
    return Checked(Verdict.INVALID, refused.refusals)


def check_without_original() -> Checked:
    """A file that holds no original: nothing can be said of it here."""
    return Checked(Verdict.UNKNOWN, (Refusal("SIGNATURE-MISSING"),))


def check_view(checked: Checked, shown: bytes, drawn: bytes) -> Checked:
    """The same for a PDF. A view is a pure function of its original: ours can be drawn again and must be equal byte for
    byte; otherwise a genuine original stands inside a page that may show anything."""
    if shown == drawn:
        return checked
    return msgspec.structs.replace(
        checked, verdict=Verdict.INVALID, reasons=(Refusal("SIGNATURE-ALTERED"), *checked.reasons)
    )
