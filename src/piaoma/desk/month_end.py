"""Month's end (汇总确认): the sums of a month by kind, colour and rate, held against what the authority has, confirmed.

Three books must say the same to the fen before anything is confirmed: the lines of the originals (as the index summed
them up), the invoices as they were written, and the authority's own ledger.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma import index
from piaoma.channels import LedgerEntry, MonthSum, OutcomeUnknown, Unavailable
from piaoma.invoice.money import format_yuan, from_fen
from piaoma.invoice.refusal import Refusal, Refused, refuse, refuse_all
from piaoma.store import milliseconds

from . import tax_report
from .events import Actor, record
from .merchant import Merchant, merchant

if TYPE_CHECKING:
    from .office import Office

DIFFERENCES_MAX = 200  # invoices that are listed
COMPARED_MAX = 200_000  # invoices of each side; of a larger month the sums alone are compared
CHUNK = 5_000  # entries of the authority that are asked for at a time
CONFIRMED_SHOWN = 24  # months
_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


class Compared(msgspec.Struct, frozen=True):
    """One kind and colour on both sides; None where a side has nothing of it."""

    kind: str
    colour: str
    ours: MonthSum | None
    theirs: MonthSum | None

    @property
    def same(self) -> bool:
        return self.ours == self.theirs


class Difference(msgspec.Struct, frozen=True):
    """An invoice on which the sides differ: only here, only there, or with other figures."""

    number: str
    ours: LedgerEntry | None
    theirs: LedgerEntry | None


class Confirmation(msgspec.Struct, frozen=True):
    """A month as it was confirmed; ``open`` while the authority's answer is not known."""

    month: str
    sums: tuple[MonthSum, ...]
    confirmed_by: str
    confirmed_at: datetime
    open: bool


class MonthEnd(msgspec.Struct, frozen=True):
    """Everything that the page shows of a month. ``away`` while the authority does not answer."""

    month: str
    rates: tax_report.Report
    compared: tuple[Compared, ...]
    differences: tuple[Difference, ...]
    away: bool
    unreported: int
    hindrances: tuple[Refusal, ...]
    confirmation: Confirmation | None
    changed: bool  # since it was confirmed

    @property
    def agrees(self) -> bool:
        return not self.away and all(row.same for row in self.compared)


async def month_end(office: Office, merchant_id: int, month: str) -> MonthEnd:
    """A month as it stands on both sides now. Raises ``Refused`` REPORT-MONTH."""
    if not _MONTH.fullmatch(month):
        raise refuse("REPORT-MONTH", "month", have=month[:10], max=1)
    shop = await merchant(office, merchant_id)
    rates = await tax_report.report(office, merchant_id, month, month)
    ours = await _ours(office, merchant_id, month)
    try:
        told, away = await office.channel.month_sums(shop.taxpayer_id, month), False
        theirs = ours if told is None else tuple(told)  # one that does not tell judges when it is asked to confirm
    except (Unavailable, OutcomeUnknown):
        theirs, away = (), True
    compared = _compared(ours, theirs)
    differ = not away and not all(row.same for row in compared)
    confirmation = await _confirmation(office, merchant_id, month)
    return MonthEnd(
        month=month,
        rates=rates,
        compared=compared,
        differences=await _differences(office, shop, month) if differ else (),
        away=away,
        unreported=await _unreported(office, merchant_id),
        hindrances=tuple(await _hindrances(office, merchant_id, month, rates, ours)),
        confirmation=confirmation,
        changed=confirmation is not None and confirmation.sums != ours,
    )


async def confirm(office: Office, by: Actor, month: str) -> None:
    """Confirm a month towards the authority, and tell it in the trail. Pressed again after an answer was lost, it is
    asked first what it has.

    Raises ``Refused``: TAX-MONTH-OPEN, TAX-MONTH-PENDING, TAX-NOT-READY, TAX-BOOKS-DIFFER, TAX-SUMS-DIFFER,
    TAX-AUTHORITY-AWAY, TAX-OUTCOME-UNKNOWN.
    """
    found = await month_end(office, by.merchant_id, month)
    hindrances = list(found.hindrances)
    if found.away:
        hindrances.append(Refusal("TAX-AUTHORITY-AWAY"))
    elif not found.agrees:
        hindrances.append(Refusal("TAX-SUMS-DIFFER", "", {"month": month}))
    sums = tuple(row.ours for row in found.compared if row.ours is not None)
    if not hindrances and await _written(office, by.merchant_id, month) != sums:
        hindrances.append(Refusal("TAX-BOOKS-DIFFER"))
    refuse_all(hindrances)
    shop = await merchant(office, by.merchant_id)
    await _keep(office, by, month, sums, "submitted")
    try:
        refusals: Sequence[Refusal] = ()
        if tuple(await office.channel.confirmed_month(shop.taxpayer_id, month) or ()) != sums:
            refusals = await office.channel.confirm_month(shop.taxpayer_id, month, sums)
    except Unavailable:
        await _forget(office, by.merchant_id, month, found.confirmation)
        raise refuse("TAX-AUTHORITY-AWAY") from None
    except OutcomeUnknown:
        raise refuse("TAX-OUTCOME-UNKNOWN", month=month) from None
    if refusals:
        await _forget(office, by.merchant_id, month, found.confirmation)
        raise Refused(*refusals)
    await _keep(office, by, month, sums, "confirmed")


async def _ours(office: Office, merchant_id: int, month: str) -> tuple[MonthSum, ...]:
    return tuple(MonthSum(*row) for row in await index.month_sums(office.database, merchant_id, month))


def _compared(ours: Sequence[MonthSum], theirs: Sequence[MonthSum]) -> tuple[Compared, ...]:
    here, there = ({(one.kind, one.colour): one for one in side} for side in (ours, theirs))
    return tuple(Compared(*key, here.get(key), there.get(key)) for key in sorted({*here, *there}))


async def _hindrances(
    office: Office, merchant_id: int, month: str, rates: tax_report.Report, ours: Sequence[MonthSum]
) -> list[Refusal]:
    """Why the month cannot be confirmed yet, whatever the authority has."""
    found = []
    if month >= f"{office.now():%Y-%m}":
        found.append(Refusal("TAX-MONTH-OPEN", "", {"month": month}))
    pending = await office.database.read(
        "SELECT count(*) FROM issues WHERE merchant_id = $1 AND month = $2 AND state IN ('submitted', 'unknown')",
        merchant_id, month,
    )  # fmt: skip
    if pending[0][0]:
        found.append(Refusal("TAX-MONTH-PENDING", "", {"count": str(pending[0][0])}))
    if rates.missing:
        found.append(Refusal("TAX-NOT-READY", "", {"count": str(rates.missing)}))
    elif not _lines_agree(rates, ours):
        found.append(Refusal("TAX-BOOKS-DIFFER"))
    return found


def _lines_agree(rates: tax_report.Report, ours: Sequence[MonthSum]) -> bool:
    """Whether the lines of the originals come to the same as what is compared."""
    by_lines: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for row in rates.rows:
        amount, tax = by_lines.get((row.kind, row.colour), (Decimal(0), Decimal(0)))
        by_lines[(row.kind, row.colour)] = (amount + row.amount, tax + row.tax)
    return by_lines == {(one.kind, one.colour): (from_fen(one.amount_fen), from_fen(one.tax_fen)) for one in ours}


async def _written(office: Office, merchant_id: int, month: str) -> tuple[MonthSum, ...]:
    """The month as its invoices were written: read once, when it is confirmed, since it reads all of them."""
    rows = await office.database.read(_WRITTEN, merchant_id, month, *_span(office, month))
    return tuple(MonthSum(row[0], row[1], int(row[2]), int(row[3]), int(row[4])) for row in rows)


_WRITTEN = """
SELECT kind, CASE WHEN total_fen < 0 THEN 'red' ELSE 'blue' END AS colour, count(*), sum(amount_fen), sum(tax_fen)
FROM invoices WHERE merchant_id = $1 AND month = $2 AND issued_at_ms >= $3 AND issued_at_ms < $4
GROUP BY kind, colour ORDER BY kind, colour
"""


async def _unreported(office: Office, merchant_id: int) -> int:
    """Reports that have not reached the authority yet: the first reason why it may have less."""
    rows = await office.database.read(
        "SELECT count(*) FROM jobs WHERE merchant_id = $1 AND kind = 'report' AND state = 'waiting'", merchant_id
    )
    return int(rows[0][0])


async def _differences(office: Office, shop: Merchant, month: str) -> tuple[Difference, ...]:
    """The invoices on which both sides differ, by number, the first ``DIFFERENCES_MAX``; none are listed where a side
    has more than ``COMPARED_MAX``."""
    rows = await office.database.read(_ENTRIES, shop.merchant_id, month, *_span(office, month), COMPARED_MAX + 1)
    ours = {row[0]: LedgerEntry(row[0], row[1], row[2], row[3]) for row in rows}
    theirs: dict[str, LedgerEntry] = {}
    while part := await office.channel.month_entries(shop.taxpayer_id, month, max(theirs, default=""), CHUNK):
        theirs.update((one.number, one) for one in part)
        if len(theirs) > COMPARED_MAX:
            break
    if max(len(ours), len(theirs)) > COMPARED_MAX:
        return ()
    differing = sorted(number for number in {*ours, *theirs} if ours.get(number) != theirs.get(number))
    return tuple(Difference(one, ours.get(one), theirs.get(one)) for one in differing[:DIFFERENCES_MAX])


def _span(office: Office, month: str) -> tuple[int, int]:
    """From the first moment of a month to the first of the next: invoices are found by time, not by month."""
    first = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=office.now().tzinfo)
    after = (first + timedelta(days=32)).replace(day=1)
    return milliseconds(first), milliseconds(after)


_ENTRIES = """
SELECT number, kind, amount_fen, tax_fen FROM invoices
WHERE merchant_id = $1 AND month = $2 AND issued_at_ms >= $3 AND issued_at_ms < $4 LIMIT $5
"""


async def _keep(office: Office, by: Actor, month: str, sums: tuple[MonthSum, ...], state: str) -> None:
    now = office.now()
    async with office.database.write() as transaction:
        await transaction.execute(
            _KEEP, by.merchant_id, month, state, msgspec.json.encode(sums).decode(), by.name, milliseconds(now)
        )
        if state == "confirmed":
            told = {
                "invoices": sum(one.invoices for one in sums),
                "amount": format_yuan(from_fen(sum(one.amount_fen for one in sums))),
                "tax": format_yuan(from_fen(sum(one.tax_fen for one in sums))),
            }
            await record(transaction, by, now, "month.confirm", month, after=told)


_KEEP = """
INSERT INTO month_confirmations (merchant_id, month, state, sums, confirmed_by, confirmed_at_ms)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (merchant_id, month) DO UPDATE SET state = excluded.state, sums = excluded.sums,
  confirmed_by = excluded.confirmed_by, confirmed_at_ms = excluded.confirmed_at_ms
"""


async def _forget(office: Office, merchant_id: int, month: str, before: Confirmation | None) -> None:
    """Nothing was submitted: what stood there before stands again."""
    async with office.database.write() as transaction:
        await transaction.execute(
            "DELETE FROM month_confirmations WHERE merchant_id = $1 AND month = $2", merchant_id, month
        )
        if before is not None:
            await transaction.execute(
                _KEEP, merchant_id, month, "submitted" if before.open else "confirmed",
                msgspec.json.encode(before.sums).decode(), before.confirmed_by, milliseconds(before.confirmed_at),
            )  # fmt: skip


async def _confirmation(office: Office, merchant_id: int, month: str) -> Confirmation | None:
    found = [one for one in await confirmations(office, merchant_id) if one.month == month]
    return found[0] if found else None


async def confirmations(office: Office, merchant_id: int) -> list[Confirmation]:
    """Months that were confirmed, the newest first."""
    rows = await office.database.read(
        "SELECT month, sums, confirmed_by, confirmed_at_ms, state FROM month_confirmations WHERE merchant_id = $1"
        " ORDER BY month DESC LIMIT $2",
        merchant_id, CONFIRMED_SHOWN,
    )  # fmt: skip
    zone = office.now().tzinfo
    return [
        Confirmation(
            row[0], msgspec.json.decode(row[1], type=tuple[MonthSum, ...]), row[2],
            datetime.fromtimestamp(row[3] / 1000, zone), row[4] == "submitted",
        )
        for row in rows
    ]  # fmt: skip


def last_month(office: Office) -> str:
    """The month that is due."""
    now = office.now()
    return f"{now.year - (now.month == 1):04d}-{(now.month - 2) % 12 + 1:02d}"
