"""Views (版式文件): an invoice as a file, the same bytes each time it is asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from piaoma.documents.formats import FORMATS
from piaoma.documents.ofd import OFD_VERSION, SIGNATURE
from piaoma.invoice.refusal import refuse
from piaoma.store import Transaction, milliseconds, write_block
from piaoma.trust import SignerFault, sign_value

from . import records

if TYPE_CHECKING:
    from .office import Office


async def view(office: Office, merchant_id: int, number: str, kind: str) -> bytes:
    """The original (``xml``), a view of it (``pdf``, ``png``, ``ofd``), or it as data (``json``, ``ubl``, ``xbrl``).

    Raises ``Refused`` INVOICE-NOT-FOUND, DOCUMENT-SEAL-DOWN, DOCUMENT-SEAL-NOT-VALID and as ``Cabinet.view`` or the
    format's ``write``.
    """
    original = await records.original(office, merchant_id, number)
    if kind in FORMATS:
        return await asyncio.to_thread(FORMATS[kind], original)
    signed_value = await _signed_value(office, merchant_id, number, original) if kind == "ofd" else b""
    return await office.cabinet.view(original, kind, signed_value)


async def _signed_value(office: Office, merchant_id: int, number: str, original: bytes) -> bytes:
    """The value of the seal, made when there is none yet; empty for an invoice on which the sandbox sets no seal.

    Of two who make one at once, the first on disk wins for both.
    """
    rows = await office.database.read(_FIND, merchant_id, number, OFD_VERSION)
    if rows:
        return bytes(rows[0][0])
    now = office.now()
    listed = await office.cabinet.to_be_sealed(original, now)
    if listed is None:
        return b""
    try:
        made = await asyncio.to_thread(sign_value, listed, f"/{SIGNATURE}", office.seal_signer, now)
    except SignerFault as fault:
        down = fault.cause == "ISSUE-SIGNER-DOWN"
        raise refuse("DOCUMENT-SEAL-DOWN" if down else "DOCUMENT-SEAL-NOT-VALID") from None

    async def work(transaction: Transaction) -> bytes:
        await transaction.execute(_KEEP, merchant_id, number, OFD_VERSION, made, milliseconds(now))
        return bytes((await transaction.fetch(_FIND, merchant_id, number, OFD_VERSION))[0][0])

    return await write_block(office.database, work)


_FIND = "SELECT signed_value FROM seals WHERE merchant_id = $1 AND number = $2 AND view_version = $3"
_KEEP = """
INSERT INTO seals (merchant_id, number, view_version, signed_value, made_at_ms) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (merchant_id, number, view_version) DO NOTHING
"""
