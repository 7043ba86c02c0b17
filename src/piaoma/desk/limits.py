"""Limits of a merchant (商户限额): what the platform lets one do where it is less than anybody may.

They stand before a code is made or an application approved, never at issuing: what was offered to a customer is kept.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.money import format_yuan, from_fen, to_fen
from piaoma.invoice.refusal import refuse
from piaoma.store import milliseconds

from .events import Actor, record
from .platform_trail import record_act
from .sessions import Session

if TYPE_CHECKING:
    from .office import Office

CODES_DAY_MAX = 1_000_000  # that can be set
TOTAL_YUAN_MAX = Decimal("100000000.00")


class Limits(msgspec.Struct, frozen=True):
    """``codes_day`` codes a day and ``total`` yuan an invoice, tax included; 0 is no limit of its own."""

    codes_day: int = 0
    total: Decimal = Decimal("0.00")


async def limits_of(office: Office, merchant_id: int) -> Limits:
    """The limits of a merchant."""
    row = await office.database.read_by_key(
        "SELECT codes_day_max, total_max_fen FROM merchant_limits WHERE merchant_id = $1", merchant_id
    )
    return Limits() if row is None else Limits(row[0], from_fen(row[1]))


async def check_limits(office: Office, merchant_id: int, total: Decimal) -> None:
    """Raises ``Refused`` MERCHANT-LIMIT-AMOUNT, MERCHANT-LIMIT-CODES before a code for ``total`` yuan is made."""
    limits = await limits_of(office, merchant_id)
    if limits.total and total > limits.total:
        raise refuse("MERCHANT-LIMIT-AMOUNT", "amount", max=format_yuan(limits.total))
    if limits.codes_day:
        midnight = office.now().replace(hour=0, minute=0, second=0, microsecond=0)
        rows = await office.database.read(
            "SELECT count(*) FROM codes WHERE merchant_id = $1 AND created_at_ms >= $2",
            merchant_id,
            milliseconds(midnight),
        )
        if rows[0][0] >= limits.codes_day:
            raise refuse("MERCHANT-LIMIT-CODES", "", max=limits.codes_day)


async def set_limits(office: Office, operator: Session, merchant_id: int, limits: Limits) -> None:
    """Set them; before and after stand in the merchant's trail and the platform's. Raises ``Refused``."""
    if not 0 <= limits.codes_day <= CODES_DAY_MAX or not 0 <= limits.total <= TOTAL_YUAN_MAX:
        raise refuse("MERCHANT-LIMIT-FORM", "codes_day")
    before, now = await limits_of(office, merchant_id), office.now()
    async with office.database.write() as transaction:
        if not await transaction.fetch("SELECT 1 FROM merchants WHERE merchant_id = $1", merchant_id):
            raise refuse("MERCHANT-NOT-FOUND")
        await transaction.execute(
            "INSERT INTO merchant_limits (merchant_id, codes_day_max, total_max_fen) VALUES ($1, $2, $3)"
            " ON CONFLICT (merchant_id) DO UPDATE SET codes_day_max = excluded.codes_day_max,"
            " total_max_fen = excluded.total_max_fen",
            merchant_id, limits.codes_day, to_fen(limits.total),
        )  # fmt: skip
        actor = Actor(merchant_id, operator.person_id, operator.name)
        told = [{"codes_day": one.codes_day, "total": format_yuan(one.total)} for one in (before, limits)]
        await record(transaction, actor, now, "merchant.limits", before=told[0], after=told[1])
        await record_act(transaction, operator, now, "merchant.limits", str(merchant_id), str(told[1]))
