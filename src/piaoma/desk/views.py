"""Views (版式文件): an invoice as a file, the same bytes each time it is asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from piaoma.documents.formats import FORMATS
from piaoma.documents.ofd import EMBEDDED, NAMED, SIGNATURE, VERSIONS
from piaoma.documents.pdf_signature import sign
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import refuse
from piaoma.store import Transaction, milliseconds, write_block
from piaoma.trust import SignerFault, Verdict, sign_value, verify_original

from . import records

if TYPE_CHECKING:
    from .office import Office


async def view(office: Office, merchant_id: int, number: str, kind: str) -> bytes:
    """The original (``xml``), a view of it (``pdf``, ``png``, ``ofd``, ``html``), or it as data (``json``, ``ubl``,
    ``xbrl``).

    Raises ``Refused`` INVOICE-NOT-FOUND, DOCUMENT-SEAL-DOWN, DOCUMENT-SEAL-NOT-VALID and as ``Cabinet.view`` or the
    format's ``write``.
    """
    original = await records.original(office, merchant_id, number)
    if kind in FORMATS:
        return await asyncio.to_thread(FORMATS[kind], original)
    if kind == NAMED:
        drawn = EMBEDDED if office.config.ofd_fonts == "embedded" else NAMED
        signed_value = await _signed_value(office, merchant_id, number, original, drawn)
        return await office.cabinet.view(original, drawn, signed_value)
    if kind == EMBEDDED:  # is not asked for by name; the configuration says it
        raise refuse("DOCUMENT-KIND", have=kind)
    data = await office.cabinet.view(original, kind)
    return await asyncio.to_thread(_signed, office, original, data) if kind == "pdf" and office.document_key else data


def _signed(office: Office, original: bytes, pdf: bytes) -> bytes:
    """A PDF with the signature of its document; the sandbox signs nothing that may be real."""
    invoice = read(original)
    assert office.document_key is not None
    return sign(pdf, invoice.signed_at or invoice.requested_at, office.document_key) if invoice.sandbox else pdf


async def _signed_value(office: Office, merchant_id: int, number: str, original: bytes, kind: str) -> bytes:
    """The value of the seal on an OFD of a kind, made when there is none yet; empty for an invoice on which the sandbox
    sets no seal: one in a real number, and one that a channel signed, for our seal does not speak for its signer.

    Of two who make one at once, the first on disk wins for both.
    """
    rows = await office.database.read(_FIND, merchant_id, number, VERSIONS[kind])
    if rows:
        return bytes(rows[0][0])
    if verify_original(original, (office.keys.root,)).verdict is not Verdict.VALID:
        return b""
    now = office.now()
    listed = await office.cabinet.to_be_sealed(original, now, kind)
    if listed is None:
        return b""
    try:
        made = await asyncio.to_thread(sign_value, listed, f"/{SIGNATURE}", office.seal_signer, now)
    except SignerFault as fault:
        down = fault.cause == "ISSUE-SIGNER-DOWN"
        raise refuse("DOCUMENT-SEAL-DOWN" if down else "DOCUMENT-SEAL-NOT-VALID") from None

    async def work(transaction: Transaction) -> bytes:
        await transaction.execute(_KEEP, merchant_id, number, VERSIONS[kind], made, milliseconds(now))
        return bytes((await transaction.fetch(_FIND, merchant_id, number, VERSIONS[kind]))[0][0])

    return await write_block(office.database, work)


_FIND = "SELECT signed_value FROM seals WHERE merchant_id = $1 AND number = $2 AND view_version = $3"
_KEEP = """
INSERT INTO seals (merchant_id, number, view_version, signed_value, made_at_ms) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (merchant_id, number, view_version) DO NOTHING
"""
