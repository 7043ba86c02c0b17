"""The merchant's rules for a 换开 that a customer starts: whether, how long after issue, how often for one code."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.refusal import refuse

from .events import Actor, record

if TYPE_CHECKING:
    from .office import Office

REISSUE_DAYS_MAX, REISSUE_DAYS_DEFAULT = 365, 30
REISSUE_TIMES_MAX, REISSUE_TIMES_DEFAULT = 9, 1


class Mode(StrEnum):
    """What happens when a customer asks."""

    AUTO = "auto"  # 自动: at once
    APPROVE = "approve"  # 审核: when somebody of the shop agrees
    OFF = "off"  # 不接受


class Rules(msgspec.Struct, frozen=True):
    """``days`` after issue within which, and how many ``times`` for one code, a customer may ask. That the sum and the
    goods stay, and that nothing is corrected which the buyer has used or booked, is not the merchant's to choose."""

    mode: Mode = Mode.APPROVE
    days: int = REISSUE_DAYS_DEFAULT
    times: int = REISSUE_TIMES_DEFAULT


async def rules_of(office: Office, merchant_id: int) -> Rules:
    """The rules in force; those of ``Rules`` when the merchant never chose."""
    row = await office.database.read_by_key(
        "SELECT mode, days, times FROM reissue_rules WHERE merchant_id = $1", merchant_id
    )
    return Rules() if row is None else Rules(Mode(row[0]), row[1], row[2])


async def change_rules(office: Office, by: Actor, rules: Rules) -> None:
    """Choose; before and after stand in the trail. Raises ``Refused`` REISSUE-RULES."""
    if not (1 <= rules.days <= REISSUE_DAYS_MAX and 1 <= rules.times <= REISSUE_TIMES_MAX):
        raise refuse("REISSUE-RULES", "days")
    before = msgspec.structs.asdict(await rules_of(office, by.merchant_id))
    async with office.database.write() as transaction:
        await transaction.execute(
            "INSERT INTO reissue_rules (merchant_id, mode, days, times) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (merchant_id) DO UPDATE SET mode = excluded.mode, days = excluded.days,"
            " times = excluded.times",
            by.merchant_id, rules.mode.value, rules.days, rules.times,
        )  # fmt: skip
        await record(transaction, by, office.now(), "policy.reissue", "", before, msgspec.structs.asdict(rules))
