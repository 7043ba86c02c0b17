"""Minting a dynamic code (生成二维码): one sale, its lines fixed, to be claimed once by whoever scans it."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
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
from piaoma.invoice.refusal import Refusal, refuse, refuse_all
from piaoma.store import Transaction, milliseconds, write_block

from .codes import Code, Offer, code
from .events import Actor, record
from .limits import check_limits
from .merchant import Merchant, quota
from .sales import give_number

if TYPE_CHECKING:
    from .office import Office

DAYS_MIN, DAYS_MAX, DAYS_DEFAULT = 1, 365, 30
NOTHING: Mapping[str, str] = {}
# Stands for the title that the customer will fill in, where rules are asked before anybody has.
NOBODY_YET = Buyer("个人", natural_person=True)


def draft_of(offer: Offer, merchant: Merchant, buyer: Buyer) -> Draft:
    """The draft that an offer becomes for a buyer. A 专票 names the seller's bank and address unless he says not to."""
    special = offer.kind is InvoiceKind.SPECIAL
    return Draft(
        kind=offer.kind,
        seller=merchant.seller,
        buyer=buyer,
        lines=offer.lines,
        pricing=offer.pricing,
        drawer=offer.drawer or merchant.drawer,
        remark=offer.remark,
        print_seller_bank=special if offer.seller_bank is None else offer.seller_bank,
        print_buyer_bank=offer.buyer_bank,
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
    if merchant.no_special and offer.kind is InvoiceKind.SPECIAL:
        faults.append(Refusal("SPECIAL-NOT-OPEN", "kind"))
    refuse_all(faults)
    return draft, *totals.price(draft, today, office.catalogue)


async def mint(
    office: Office, merchant: Merchant, offer: Offer, *, mint_key: str, by: Actor, days: int = DAYS_DEFAULT,
    told: Mapping[str, str] = NOTHING,
) -> Code:  # fmt: skip
    """Make a code; the same ``mint_key`` with the same offer gives the same code. ``told`` goes into the trail: what
    the merchant was warned of and meant all the same.

    Raises ``Refused``: the faults of the draft, MERCHANT-LIMIT-AMOUNT and -CODES, QUOTA-EXCEEDED when this month's
    quota cannot cover it, ISSUE-CHANNEL-DOWN while that is not known, CODE-VALIDITY, ISSUE-KEY-REUSED,
    SYMBOL-UNREADABLE when its symbol could not be read back.
    """
    if not DAYS_MIN <= days <= DAYS_MAX:
        raise refuse("CODE-VALIDITY", "days")
    if merchant.state != "active":
        raise refuse("MERCHANT-SUSPENDED")
    if not merchant.verified and not office.config.sandbox:
        raise refuse("MERCHANT-UNVERIFIED")
    sums = await covered(office, merchant, offer)
    # The digest is of what the merchant meant; the time of sale is ours.
    digest = hashlib.sha256(msgspec.json.encode((offer, days))).hexdigest()
    now = office.now()
    expires_at = _expiry(merchant, offer, now + timedelta(days=days))
    kept = msgspec.structs.replace(offer, sold_at=offer.sold_at or now)
    code_id = secrets.randbits(40)
    proof = await asyncio.to_thread(prove, draw(office.url(merchant.merchant_id, code_id)))
    row = (
        merchant.merchant_id, code_id, mint_key, digest, msgspec.json.encode(kept).decode(), offer.kind.value,
        to_fen(sums.inclusive), summary_of(offer), by.name,
        milliseconds(now), milliseconds(expires_at), msgspec.json.encode(proof).decode(), by.shop_id, by.till_id,
        by.person_id, offer.own_number,
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
        after = {"total": format_yuan(sums.inclusive), "kind": offer.kind.value, **told}
        await record(transaction, by, now, "code.make", str(code_id), after=after)
        return code_id

    # The same key from two tabs at once: one of them is told of a conflict, looks again and finds the other's code.
    return await code(office, merchant.merchant_id, await write_block(office.database, work))


async def covered(office: Office, merchant: Merchant, offer: Offer) -> Totals:
    """The sums of an offer that could be issued now. Raises ``Refused`` like ``mint``."""
    _, _, sums = preview(office, merchant, offer)
    await check_limits(office, merchant.merchant_id, sums.inclusive)
    month = await quota(office, merchant, sums.amount)
    if month is None:
        raise refuse("ISSUE-CHANNEL-DOWN")
    if sums.amount > month.left:
        raise refuse("QUOTA-EXCEEDED", "amount", left=format_yuan(month.left), month=f"{office.now():%Y-%m}")
    return sums


def summary_of(offer: Offer) -> str:
    """What lists say of an offer: its first goods."""
    return "、".join(dict.fromkeys(line.name for line in offer.lines[:3]))


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
                   created_at_ms, changed_at_ms, expires_at_ms, proof, shop_id, till_id, person_id, own_number)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12, $13, $14, $15, $16)
"""
