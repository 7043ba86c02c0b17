"""Invoices for a shop to receive: from another merchant of this site, and from elsewhere."""

from __future__ import annotations

import secrets
from decimal import Decimal

import msgspec

from piaoma.desk import log
from piaoma.desk.forwarding import forward_all
from piaoma.desk.issue import issue
from piaoma.desk.mint import draft_of
from piaoma.desk.receive import Judged, Taken, keep
from piaoma.desk.received import Way
from piaoma.desk.verify import File
from piaoma.documents.check import check_symbols
from piaoma.invoice.parties import Buyer
from piaoma.store import milliseconds
from tests.conftest import COMPANY, MEAL, Shop, new_shop
from tests.documents.foreign import qr_text

SUPPLIER_ID = "91110000600037341L"


async def supplier(shop: Shop) -> Shop:
    """Another merchant of the site, and the shop confirmed as who it says."""
    await confirmed(shop)
    return await new_shop(shop.office, SUPPLIER_ID)


async def confirmed(shop: Shop) -> None:
    async with shop.office.database.write() as transaction:
        await transaction.execute(
            "UPDATE merchants SET verified_at_ms = $2 WHERE merchant_id = $1", shop.id, milliseconds(shop.office.now())
        )


async def issue_for(issuer: Shop, to: Shop | None, *amounts: str) -> str:
    """An invoice of one merchant to another, or to a company that is not here; its number."""
    buyer = Buyer(to.merchant.name, to.merchant.taxpayer_id) if to else COMPANY
    draft = draft_of((await issuer.code()).offer, issuer.merchant, buyer)
    lines = tuple(msgspec.structs.replace(MEAL, amount=Decimal(amount)) for amount in amounts or ("58.00",))
    draft = msgspec.structs.replace(draft, lines=lines)
    outcome = await issue(issuer.office, issuer.id, draft, issue_key=secrets.token_hex(8))
    assert outcome.number is not None, outcome
    return outcome.number


async def handed_over(shop: Shop) -> None:
    """What the server does by itself within a second or two."""
    await log.sequence_once(shop.office)
    await forward_all(shop.office)


async def photographed(shop: Shop, place: int = 0, total: str = "58.00") -> Taken:
    """An invoice of elsewhere of which only the QR code is known, without a worker; ``place`` makes its number."""
    number = f"2431200000013663{place:04d}"
    report = check_symbols([qr_text(number, total, "20240514")], "")
    data = f"photo {number} {total}".encode()
    return await keep(shop.office, shop.actor, Judged(File(f"{place}.png", data), report), Way.UPLOAD)
