"""Minting a dynamic code (生成二维码): one sale, its lines fixed, to be claimed once by whoever scans it."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import msgspec

from piaoma.codes.proof import prove
from piaoma.codes.symbol import draw
from piaoma.invoice import rates, rules, totals
from piaoma.invoice.draft import Draft, InvoiceKind
from piaoma.invoice.issued import PricedLine, Totals
from piaoma.invoice.money import format_yuan, to_fen
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import refuse, refuse_all
from piaoma.store import Transaction, milliseconds, write_block

from .codes import Code, Offer, code
from .events import Actor, record
from .merchant import Merchant, quota
from .sales import give_number

if TYPE_CHECKING:
    from .office import Office

DAYS_MIN, DAYS_MAX, DAYS_DEFAULT = 1, 365, 30
# Stands for the title that the customer will fill in, where rules are asked before anybody has.
NOBODY_YET = Buyer("个人", natural_person=True)


def draft_of(offer: Offer, merchant: Merchant, buyer: Buyer) -> Draft:
    """The draft that an offer becomes for a buyer. A 专票 names the seller's bank, as the form requires."""
    return Draft(
        kind=offer.kind,
        seller=merchant.seller,
        buyer=buyer,
        lines=offer.lines,
        pricing=offer.pricing,
        drawer=merchant.drawer,
        remark=offer.remark,
        print_seller_bank=offer.kind is InvoiceKind.SPECIAL,
    )


def preview(office: Office, merchant: Merchant, offer: Offer) -> tuple[Draft, tuple[PricedLine, ...], Totals]:
    """The draft and its figures, before anything is stored. Raises ``Refused`` with every fault."""
    draft = draft_of(offer, merchant, offer.buyer or NOBODY_YET)
    today = office.now().date()
    faults = rules.check(draft, today, office.catalogue)
    if offer.buyer is None:
        # Faults of the stand-in are the customer's to mend, on his page.
        faults = [
            fault for fault in faults if not fault.field.startswith("buyer") and fault.cause != "SPECIAL-NATURAL-PERSON"
        ]
    refuse_all(faults)
    return draft, *totals.price(draft, today, office.catalogue)


async def mint(
    office: Office, merchant: Merchant, offer: Offer, *, mint_key: str, by: Actor, days: int = DAYS_DEFAULT
) -> Code:
    """Make a code; the same ``mint_key`` with the same offer gives the same code.

    Raises ``Refused``: the faults of the draft, QUOTA-EXCEEDED when this month's quota cannot cover it, CODE-VALIDITY,
    ISSUE-CHANNEL-DOWN while that is not known, ISSUE-KEY-REUSED, SYMBOL-UNREADABLE when its symbol could not be read
    back.
    """
    if not DAYS_MIN <= days <= DAYS_MAX:
        raise refuse("CODE-VALIDITY", "days")
    if merchant.state != "active":
        raise refuse("MERCHANT-SUSPENDED")
    if not merchant.verified and not office.config.sandbox:
        raise refuse("MERCHANT-UNVERIFIED")
    _, _, sums = preview(office, merchant, offer)
    month = await quota(office, merchant, sums.amount)
    if month is None:
        raise refuse("ISSUE-CHANNEL-DOWN")
    left = month.left
    if sums.amount > left:
        raise refuse("QUOTA-EXCEEDED", "amount", left=format_yuan(left), month=f"{office.now():%Y-%m}")
    # The digest is of what the merchant meant; the time of sale is ours.
    digest = hashlib.sha256(msgspec.json.encode((offer, days))).hexdigest()
    now = office.now()
    expires_at = _expiry(merchant, offer, now + timedelta(days=days))
    kept = msgspec.structs.replace(offer, sold_at=offer.sold_at or now)
    code_id = secrets.randbits(40)
    proof = await asyncio.to_thread(prove, draw(office.url(merchant.merchant_id, code_id)))
    row = (
        merchant.merchant_id, code_id, mint_key, digest, msgspec.json.encode(kept).decode(), offer.kind.value,
        to_fen(sums.inclusive), "、".join(dict.fromkeys(line.name for line in offer.lines[:3])), by.name,
        milliseconds(now), milliseconds(expires_at), msgspec.json.encode(proof).decode(), by.shop_id, by.till_id,
        by.person_id,
    )  # fmt: skip

    async def work(transaction: Transaction) -> int:
        found = await transaction.fetch(_FIND_CODE, merchant.merchant_id, mint_key)
        if found:
            if found[0][1] != digest:
                raise refuse("ISSUE-KEY-REUSED", "mint_key")
            return int(found[0][0])
        await transaction.execute(_INSERT_CODE, *row)
        await give_number(transaction, merchant.merchant_id, code_id, milliseconds(now))
        used = [(merchant.merchant_id, line.name, milliseconds(now)) for line in offer.lines]
        await transaction.execute_many(_GOODS_USED, used)
        told = {"total": format_yuan(sums.inclusive), "kind": offer.kind.value}
        await record(transaction, by, now, "code.make", str(code_id), after=told)
        return code_id

    # The same key from two tabs at once: one of them is told of a conflict, looks again and finds the other's code.
    return await code(office, merchant.merchant_id, await write_block(office.database, work))


def _expiry(merchant: Merchant, offer: Offer, wanted: datetime) -> datetime:
    """A code at the reduced levy rate ends with the reduction: later its customer could neither issue nor mend it."""
    reduced = rates.is_small_scale(merchant.taxpayer_kind) and any(line.rate == rates.LEVY_1 for line in offer.lines)
    if not reduced:
        return wanted
    end = datetime.combine(rates.REDUCED_LEVY_TO + timedelta(days=1), time(), wanted.tzinfo)
    return min(wanted, end)


_FIND_CODE = "SELECT code_id, mint_digest FROM codes WHERE merchant_id = $1 AND mint_key = $2"
_GOODS_USED = "UPDATE goods SET used_at_ms = $3 WHERE merchant_id = $1 AND name = $2"
_INSERT_CODE = """
INSERT INTO codes (merchant_id, code_id, mint_key, mint_digest, offer, kind, total_fen, summary, created_by,
                   created_at_ms, changed_at_ms, expires_at_ms, proof, shop_id, till_id, person_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12, $13, $14, $15)
"""
