"""Minting a dynamic code (生成二维码): one sale, its lines fixed, to be claimed once by whoever scans it."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from piaoma.codes.proof import prove
from piaoma.codes.symbol import draw
from piaoma.invoice import rules, totals
from piaoma.invoice.draft import Draft, InvoiceKind
from piaoma.invoice.issued import PricedLine, Totals
from piaoma.invoice.money import format_yuan, to_fen
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import refuse, refuse_all
from piaoma.store import WriteConflict, milliseconds

from .codes import Code, Offer, code
from .merchant import Merchant, quota

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
    office: Office, merchant: Merchant, offer: Offer, *, mint_key: str, by: str, days: int = DAYS_DEFAULT
) -> Code:
    """Make a code; the same ``mint_key`` with the same offer gives the same code.

    Raises ``Refused``: the faults of the draft, QUOTA-EXCEEDED when this month's quota cannot cover it, CODE-VALIDITY,
    ISSUE-KEY-REUSED, SYMBOL-UNREADABLE when its symbol could not be read back.
    """
    if not DAYS_MIN <= days <= DAYS_MAX:
        raise refuse("CODE-VALIDITY", "days")
    if merchant.state != "active":
        raise refuse("MERCHANT-SUSPENDED")
    _, _, sums = preview(office, merchant, offer)
    left = (await quota(office, merchant)).left
    if sums.amount > left:
        raise refuse("QUOTA-EXCEEDED", "amount", left=format_yuan(left), month=f"{office.now():%Y-%m}")
    # The digest is of what the merchant meant; the time of sale is ours.
    digest = hashlib.sha256(msgspec.json.encode((offer, days))).hexdigest()
    now = office.now()
    kept = msgspec.structs.replace(offer, sold_at=offer.sold_at or now)
    code_id = secrets.randbits(40)
    proof = prove(draw(office.url(merchant.merchant_id, code_id)))
    row = (
        merchant.merchant_id, code_id, mint_key, digest, msgspec.json.encode(kept).decode(), offer.kind.value,
        to_fen(sums.inclusive), "、".join(dict.fromkeys(line.name for line in offer.lines[:3])), by,
        milliseconds(now), milliseconds(now + timedelta(days=days)), msgspec.json.encode(proof).decode(),
    )  # fmt: skip
    try:
        async with office.database.write() as transaction:
            found = await transaction.fetch(
                "SELECT code_id, mint_digest FROM codes WHERE merchant_id = $1 AND mint_key = $2",
                merchant.merchant_id, mint_key,
            )  # fmt: skip
            if found:
                if found[0][1] != digest:
                    raise refuse("ISSUE-KEY-REUSED", "mint_key")
                code_id = found[0][0]
            else:
                await transaction.execute(_INSERT_CODE, *row)
                await transaction.execute_many(
                    "UPDATE goods SET used_at_ms = $3 WHERE merchant_id = $1 AND name = $2",
                    [(merchant.merchant_id, line.name, milliseconds(now)) for line in offer.lines],
                )
    except WriteConflict:
        # The same key from two tabs at once: the other one won, and its code is the answer.
        return await mint(office, merchant, offer, mint_key=mint_key, by=by, days=days)
    return await code(office, merchant.merchant_id, code_id)


_INSERT_CODE = """
INSERT INTO codes (merchant_id, code_id, mint_key, mint_digest, offer, kind, total_fen, summary, created_by,
                   created_at_ms, changed_at_ms, expires_at_ms, proof)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12)
"""
