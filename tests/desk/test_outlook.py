"""The outlook of the quota: a weekday is expected to bring what it brought; the error is told by the same method."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from piaoma.desk.config import Config
from piaoma.desk.merchant import Quota
from piaoma.desk.office import SHANGHAI, open_office
from piaoma.desk.outlook import Outlook, _ahead, outlook

NOW = datetime(2026, 11, 11, 12, tzinfo=SHANGHAI)  # a Wednesday
_DAY = """
INSERT INTO index_days (merchant_id, day, kind, colour, clerk, shop, invoices, amount_fen, tax_fen)
VALUES (7, $1, '02', 'blue', '', '', 1, $2, 0)
"""


def told(folder: Path, spent: dict[date, int], limit: str) -> Outlook:
    """What is said on the eleventh of November when days brought so much, in fen."""

    async def tell() -> Outlook:
        async with open_office(Config(data=str(folder)), now=lambda: NOW, work=False) as office:
            async with office.database.write() as transaction:
                await transaction.execute_many(_DAY, [(day.isoformat(), fen) for day, fen in spent.items()])
            month = sum(fen for day, fen in spent.items() if day >= NOW.date().replace(day=1))
            issued = Decimal(month) / 100
            return await outlook(office, 7, Quota("2026-11", Decimal(limit), issued, Decimal(0)))

    return asyncio.run(tell())


def every_day(fen: int, first: date = date(2026, 8, 1)) -> dict[date, int]:
    return {first + timedelta(days=place): fen for place in range((NOW.date() - first).days + 1)}


def test_an_even_pace_is_told_to_the_day(tmp_path: Path) -> None:
    """A hundred yuan a day: thirty days are three thousand; with 1,500 it ends on the sixteenth; the error is nil."""
    lasts = told(tmp_path / "a", every_day(10_000), "3000.00")
    assert (lasts.runs_out, lasts.expected, lasts.error_percent) == (None, Decimal("3000.00"), Decimal("0.0"))
    ends = told(tmp_path / "b", every_day(10_000), "1500.00")
    assert ends.runs_out == date(2026, 11, 16)
    gone = told(tmp_path / "c", every_day(10_000), "1100.00")
    assert gone.runs_out == NOW.date()


def test_a_shop_that_rests_on_sundays_is_not_expected_to_sell_then(tmp_path: Path) -> None:
    """Nine of eleven days brought something; nineteen are left, three of them Sundays."""
    spent = {day: fen for day, fen in every_day(10_000).items() if day.weekday() != 6}
    found = told(tmp_path, spent, "9000.00")
    assert found.expected == Decimal(9 + 16) * 100
    assert found.error_percent == 0


def test_a_month_that_went_otherwise_has_its_error_told(tmp_path: Path) -> None:
    """Half as much from the middle of October: what was said then was too much. Without a last month: nothing."""
    spent = {day: 10_000 if day < date(2026, 10, 15) else 5_000 for day in every_day(0)}
    found = told(tmp_path / "a", spent, "9000.00")
    real = 14 * 100 + 17 * 50
    assert found.error_percent == (Decimal(3100 - real) * 100 / real).quantize(Decimal("0.1"))
    assert told(tmp_path / "b", every_day(10_000, date(2026, 11, 1)), "9000.00").error_percent is None


@pytest.mark.parametrize("today", [date(2026, 11, 30), date(2026, 12, 31), date(2028, 2, 29)])
def test_the_last_day_of_a_month_has_nothing_ahead(today: date) -> None:
    assert _ahead({}, today) == []
    assert len(_ahead({}, today.replace(day=1))) == today.day - 1
