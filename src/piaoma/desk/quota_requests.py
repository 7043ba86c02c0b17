"""More quota (额度调整申请): asked for, decided by the authority, shown as it stands.

A request is on disk before the authority is called, under a serial that it keeps; where an answer is lost the authority
is asked what became of it, and nothing is asked for twice.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma.channels import OutcomeUnknown, QuotaAnswer, QuotaRequest, Unavailable
from piaoma.invoice.money import format_yuan, from_fen, to_fen
from piaoma.invoice.refusal import Refusal, refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Row, WriteConflict, milliseconds, month_of, set_quota

from .events import Actor, record
from .merchant import Merchant, Quota, merchant
from .outlook import Outlook

if TYPE_CHECKING:
    from .office import Office

REASON_MAX = 200  # characters
EXTRA_MAX = Decimal(1_000_000_000)  # yuan of one request
SHOWN_MAX = 20
UNDER_WAY_SECONDS = 60  # that a request may take to reach the authority
STEP = Decimal(10_000)  # yuan: what is proposed is a multiple of it


class Asked(msgspec.Struct, frozen=True):
    """A request as its merchant sees it; yuan."""

    serial: str
    month: str
    extra: Decimal
    reason: str
    state: str  # submitted, unknown, pending, granted, refused
    granted: Decimal
    answer: str
    made_by: str
    created_at: datetime
    changed_at: datetime

    @property
    def open(self) -> bool:
        return self.state in ("submitted", "unknown", "pending")


def proposed(quota: Quota, outlook: Outlook) -> Decimal:
    """What would carry the month to its end by the outlook, rounded up; nothing when the quota lasts."""
    short = outlook.expected - quota.limit
    return -(-short // STEP) * STEP if short > 0 else Decimal(0)


async def apply(office: Office, by: Actor, extra: Decimal, reason: str) -> Asked:
    """Ask for more in this month.

    Raises ``Refused``: AMOUNT-RANGE, TEXT-… at the field, QUOTA-REQUEST-OPEN while another is not decided,
    TAX-AUTHORITY-AWAY when nothing was submitted.
    """
    faults = text.check(reason, "reason", REASON_MAX, required=True)
    if not 0 < extra <= EXTRA_MAX:
        faults.append(Refusal("QUOTA-REQUEST-AMOUNT", "extra", {"max": format_yuan(EXTRA_MAX)}))
    refuse_all(faults)
    shop, now = await merchant(office, by.merchant_id), office.now()
    request = QuotaRequest(secrets.token_hex(12), shop.taxpayer_id, month_of(now), to_fen(extra), reason.strip())
    try:
        async with office.database.write() as transaction:
            await transaction.execute(
                _ADD, by.merchant_id, request.serial, request.month, request.extra_fen, request.reason, by.name,
                milliseconds(now),
            )  # fmt: skip
            told = {"extra": format_yuan(extra), "reason": request.reason}
            await record(transaction, by, now, "quota.apply", request.month, after=told)
    except WriteConflict:
        raise refuse("QUOTA-REQUEST-OPEN") from None
    try:
        answer = await office.channel.apply_quota(request)
    except Unavailable:
        await _settle(office, shop, request.serial, "refused", 0, "平台连不上，没有提交 not submitted")
        raise refuse("TAX-AUTHORITY-AWAY") from None
    except OutcomeUnknown:
        await _settle(office, shop, request.serial, "unknown", 0, "")
    else:
        await _answered(office, shop, answer)
    return next(one for one in await _requests(office, by.merchant_id) if one.serial == request.serial)


_ADD = """
INSERT INTO quota_requests (merchant_id, serial, month, extra_fen, reason, state, made_by, created_at_ms, changed_at_ms)
VALUES ($1, $2, $3, $4, $5, 'submitted', $6, $7, $7)
"""
_SETTLE = """
UPDATE quota_requests SET state = $3, granted_fen = $4, answer = $5, changed_at_ms = $6
WHERE merchant_id = $1 AND serial = $2 AND state IN ('submitted', 'unknown', 'pending')
"""


async def list_requests(office: Office, merchant_id: int) -> list[Asked]:
    """The newest requests; of those that are not decided the authority is asked first."""
    shop = await merchant(office, merchant_id)
    for one in await _requests(office, merchant_id):
        # One that was just written down may be on its way to the authority at this very moment.
        fresh = one.state == "submitted" and office.now() - one.created_at < timedelta(seconds=UNDER_WAY_SECONDS)
        if not one.open or fresh:
            continue
        try:
            answer = await office.channel.query_quota_request(one.serial)
        except (Unavailable, OutcomeUnknown):
            continue
        if answer is None:
            await _settle(office, shop, one.serial, "refused", 0, "平台没有收到 never arrived")
        else:
            await _answered(office, shop, answer)
    return await _requests(office, merchant_id)


async def _answered(office: Office, shop: Merchant, answer: QuotaAnswer) -> None:
    await _settle(office, shop, answer.serial, answer.state.value, answer.granted_fen, answer.said)
    if answer.granted_fen:
        month = month_of(office.now())
        with suppress(Unavailable):  # the next who looks at the quota asks for it again
            limit_fen = await office.channel.get_quota(shop.taxpayer_id, month)
            await set_quota(office.database, shop.merchant_id, month, limit_fen)


async def _settle(office: Office, shop: Merchant, serial: str, state: str, granted_fen: int, answer: str) -> None:
    async with office.database.write() as transaction:
        await transaction.execute(
            _SETTLE, shop.merchant_id, serial, state, granted_fen, answer[:REASON_MAX], milliseconds(office.now())
        )


async def _requests(office: Office, merchant_id: int) -> list[Asked]:
    rows = await office.database.read(
        "SELECT serial, month, extra_fen, reason, state, granted_fen, answer, made_by, created_at_ms, changed_at_ms"
        " FROM quota_requests WHERE merchant_id = $1 ORDER BY created_at_ms DESC, serial LIMIT $2",
        merchant_id, SHOWN_MAX,
    )  # fmt: skip
    return [_asked(office, row) for row in rows]


def _asked(office: Office, row: Row) -> Asked:
    zone = office.now().tzinfo
    return Asked(
        row[0], row[1], from_fen(row[2]), row[3], row[4], from_fen(row[5]), row[6], row[7],
        datetime.fromtimestamp(row[8] / 1000, zone), datetime.fromtimestamp(row[9] / 1000, zone),
    )  # fmt: skip
