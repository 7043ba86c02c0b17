"""Payments against sales: by order number, then by amount and time; each sale once, and as many as can be."""

from __future__ import annotations

import itertools
import random
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from piaoma.desk.matching import AFTER_MS, BEFORE_MS, Match, Payment, Sale, match
from piaoma.desk.payment_rows import amount_of, moment_of, payments_of
from piaoma.documents.statement import Statement

NOON = 1_700_000_000_000
MINUTE = 60_000
NOW = datetime(2026, 11, 25, 12, tzinfo=ZoneInfo("Asia/Shanghai"))


def paid(name: str, amount: int = 5800, minute: int = 0, order: str = "") -> Payment:
    return Payment(name, order, NOON + minute * MINUTE, amount)


def sold(number: str, amount: int = 5800, minute: int = 0, *references: str, code: int | None = None) -> Sale:
    return Sale(number, code, amount, NOON + minute * MINUTE, references)


def states(payments: list[Payment], sales: list[Sale]) -> dict[str, str]:
    return {name: one.state.value for name, one in match(payments, sales).items()}


def test_an_order_number_leads_to_its_invoice_code_or_to_several() -> None:
    """Matched, differing, double, only a code; a number that stands nowhere falls back to amount and time."""
    payments = [paid(name, order=f"order-{name}", minute=place * 200) for place, name in enumerate("abcdef")]
    sales = [
        sold("1", 5800, 0, "order-a"), sold("2", 5900, 0, "order-b"), sold("3", 5800, 0, "order-c"),
        sold("4", 5800, 5, "order-c"), sold("", 5800, 0, "order-d", code=9), sold("6", 5800, 805),
    ]  # fmt: skip
    assert states(payments, sales) == {
        "a": "matched", "b": "differing", "c": "double", "d": "waiting", "e": "matched", "f": "missing",
    }  # fmt: skip
    assert match(payments, sales)["c"].others == ("4",)


def test_short_order_numbers_are_not_looked_for() -> None:
    """Control: 12 stands in many remarks."""
    assert states([paid("a", order="12", amount=1)], [sold("1", 2, 0, "12")]) == {"a": "missing"}
    assert states([paid("a", order="1234", amount=1)], [sold("1", 2, 0, "1234")]) == {"a": "differing"}


def test_a_refund_belongs_to_a_red_invoice() -> None:
    """The same order number, below zero, never to the blue one."""
    both = [paid("in", 5800, 0, "order"), paid("out", -5800, 60, "order")]
    sales = [sold("blue", 5800, 0, "order"), sold("red", -5800, 70)]
    found = match(both, sales)
    assert (found["in"].sale, found["out"].sale) == (sales[0], sales[1])
    assert states(both, sales[:1]) == {"in": "matched", "out": "missing"}


def test_an_issued_invoice_goes_before_a_code() -> None:
    sales = [sold("", 5800, 0, code=1), sold("7", 5800, 10)]
    assert match([paid("a")], sales)["a"].sale == sales[1]


def test_too_early_or_too_late_is_no_match() -> None:
    """Both ends of the span, and one millisecond beyond."""
    for shift, state in ((-BEFORE_MS, "matched"), (-BEFORE_MS - 1, "missing"), (AFTER_MS, "matched"),
                         (AFTER_MS + 1, "missing")):  # fmt: skip
        assert states([paid("a")], [Sale("1", None, 5800, NOON + shift)]) == {"a": state}


@pytest.mark.parametrize("seed", range(40))
def test_as_many_are_matched_as_can_be(seed: int) -> None:
    """Against trying every assignment, on drawn days with equal amounts; no sale is given twice."""
    chance = random.Random(seed)
    payments = [paid(f"p{place}", minute=chance.randrange(4_000)) for place in range(5)]
    sales = [sold(f"s{place}", minute=chance.randrange(4_000)) for place in range(5)]
    found = match(payments, sales)
    given = [one.sale.number for one in found.values() if one.sale]
    assert len(given) == len(set(given))

    def near(payment: Payment, sale: Sale) -> bool:
        return -BEFORE_MS <= sale.at_ms - payment.paid_at_ms <= AFTER_MS

    most = max(sum(map(near, payments, order)) for order in itertools.permutations(sales))
    assert sum(one.state is Match.MATCHED for one in found.values()) == most


@pytest.mark.parametrize(
    ("text", "fen"),
    [("58", 5800), ("¥1,280.50", 128050), ("-58.00", -5800), ("(3.5)", -350), ("58.00元", 5800), ("+2", 200),
     ("", None), ("合计", None), ("1.005", None), ("nan", None), ("1e99", None), ("Infinity", None)],
)  # fmt: skip
def test_amounts_as_statements_write_them(text: str, fen: int | None) -> None:
    assert amount_of(text) == fen


@pytest.mark.parametrize(
    ("text", "told"),
    [("2026-11-25 12:31:05", "2026-11-25 12:31:05"), ("2026/11/5 9:05", "2026-11-05 09:05:00"),
     ("20261125123105", "2026-11-25 12:31:05"), ("2026年11月25日", "2026-11-25 00:00:00"),
     ("20261125", "2026-11-25 00:00:00"),
     ("2026-11-25T12:31:05.250", "2026-11-25 12:31:05"), ("2026-13-01", ""), ("12:31", ""), ("", ""), ("1" * 400, "")],
)  # fmt: skip
def test_times_as_statements_write_them(text: str, told: str) -> None:
    found = moment_of(text, NOW)
    assert (f"{found:%Y-%m-%d %H:%M:%S}" if found else "") == told


def test_what_is_no_payment_is_counted_and_left_out() -> None:
    """A sum at the foot, a note, an amount of nothing; two alike without a number are two, with one they are one."""
    rows = (
        ("A1000", "2026-11-25 12:00:00", "58"), ("A1000", "2026-11-25 12:00:09", "58.00"),
        ("", "2026-11-25 12:00:00", "9"), ("", "2026-11-25 12:00:00", "9"), ("合计", "", "134"),
        ("A1001", "2026-11-25", "0"),
    )  # fmt: skip
    found, skipped = payments_of(Statement((), rows, {}), {"order": 0, "time": 1, "amount": 2}, NOW)
    assert (len(found), skipped) == (3, 3)
    again, _ = payments_of(Statement((), rows[::-1], {}), {"order": 0, "time": 1, "amount": 2}, NOW)
    assert {one.payment_id for one in found} == {one.payment_id for one in again}
