"""S137: every rule speaks about what it is for, with the figures that made it, and is quiet on an ordinary day."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from piaoma.anomalies import BOUNDS, RULES, Facts, Failure, Finding, Quota, Sale, Thresholds, find_all
from piaoma.anomalies.facts import NUMBERS_MAX

NOW = datetime(2026, 11, 25, 21, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
USUAL = Thresholds()


def sale(
    place: int, yuan: float = 58.4, buyer: str = "", minute: int = 0, device: str = "", hour: int = 12, made: int = -1
) -> Sale:
    """An invoice; by default of a buyer and device of its own."""
    issued = NOW.replace(hour=hour, minute=0) + timedelta(minutes=minute or place % 60)
    made_at = issued if made < 0 else NOW.replace(hour=made, minute=5)
    return Sale(f"{place:020d}", round(yuan * 100), issued, made_at, buyer or f"buyer {place}", device or f"d{place}")


def ordinary(seed: int = 7, count: int = 400) -> Facts:
    """A good day of a busy restaurant: regulars, colleagues of one company, some round bills, a few red invoices, a
    night owl who scans at home, one or two refusals."""
    chance = random.Random(seed)
    sales = []
    for place in range(count):
        amount = round(chance.lognormvariate(4.6, 0.7), 1)
        buyer = f"company {chance.randrange(count // 3)}"
        hour = chance.choice((11, 12, 12, 13, 17, 18, 18, 19, 20))
        sales.append(sale(place, amount, buyer, chance.randrange(1, 60), f"d{place // 2}", hour))
    sales += [sale(count + one, -58, hour=20) for one in range(3)]
    sales += [sale(count + 10, 88, hour=2, made=19)]
    failures = (*(Failure("TITLE-ID-LENGTH", NOW) for _ in range(2)), Failure("ISSUE-CHANNEL-DOWN", NOW))
    total = sum(one.total for one in sales if not one.red)
    weekdays = tuple(total * share // 100 for share in (80, 95, 110, 70))
    return Facts(
        NOW, tuple(sales), weekdays, total // count, count * 20, failures,
        (("key", NOW - timedelta(minutes=2)),), (), Quota("2026-11", 100_000_000, 60_000_000, None), None,
        NOW - timedelta(minutes=1),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("rule", RULES)
def test_an_ordinary_day_says_nothing(rule: str, seed: int) -> None:
    """Control: twenty drawn days of ordinary trade, each rule alone."""
    assert RULES[rule](ordinary(seed), USUAL) == []


def test_a_quiet_day_and_a_shop_of_a_day_say_nothing() -> None:
    """Control: no invoices at all, and a first day without anything to compare with."""
    assert find_all(Facts(NOW), USUAL) == []
    first = msgspec.structs.replace(ordinary(), weekdays=(), usual=0, usual_count=0)
    assert find_all(first, USUAL) == []


def day(*sales: Sale, **others: object) -> Facts:
    return msgspec.structs.replace(Facts(NOW), sales=sales, **others)


LOUD: dict[str, tuple[Callable[[], Facts], dict[str, str], int]] = {
    "spike": (
        lambda: day(*(sale(one, 100.5) for one in range(60)), weekdays=(200_000, 210_000, 190_000)),
        {"total": "6,030.00", "usual": "2,000.00", "weeks": "3", "percent": "301"}, 60,
    ),
    "unusual": (
        lambda: day(sale(1, 60), sale(2, 9_000), usual=12_000, usual_count=900),
        {"total": "9,000.00", "usual": "120.00", "times": "75"}, 1,
    ),
    "devices": (
        lambda: day(*(sale(one, 50, f"company {one}", device="phone") for one in range(5)), sale(9)),
        {"titles": "5", "invoices": "5", "total": "250.00"}, 5,
    ),
    "splits": (
        lambda: day(*(sale(one, 985 + one, "one firm") for one in range(3)), sale(9, 1_000, "one firm")),
        {"count": "3", "limit": "1,000.00", "floor": "900.00", "total": "2,958.00"}, 3,
    ),
    "twice": (
        lambda: day(sale(1, 318, "firm", 10), sale(2, 318, "firm", 14), sale(3, 318, "firm", 50)),
        {"count": "2", "total": "318.00", "minutes": "10"}, 2,
    ),
    "round": (
        lambda: day(*(sale(one, 300) for one in range(16)), *(sale(20 + one) for one in range(4))),
        {"count": "16", "invoices": "20", "percent": "80", "unit": "100"}, 16,
    ),
    "refusals": (
        lambda: day(failures=tuple(Failure("ISSUE-CHANNEL-DOWN", NOW) for _ in range(5))),
        {"cause": "ISSUE-CHANNEL-DOWN", "count": "5", "last": "21:00"}, 0,
    ),
    "hours": (
        lambda: day(*(sale(one, hour=3) for one in range(3))),
        {"count": "3", "opens": "06:00", "closes": "24:00", "first": "03:00", "last": "03:02"}, 3,
    ),
    "reds": (
        lambda: day(*(sale(one, -50) for one in range(6)), *(sale(10 + one) for one in range(14))),
        {"count": "6", "invoices": "20", "percent": "30", "total": "-300.00"}, 6,
    ),
    "quota": (
        lambda: day(quota=Quota("2026-11", 100_000_00, 92_000_00, date(2026, 11, 29))),
        {"left": "8,000.00", "limit": "100,000.00", "percent": "8", "day": "2026-11-29"}, 0,
    ),
    "numbers": (lambda: day(numbers_left=12), {"left": "12"}, 0),
    "deliveries": (lambda: day(dead=("1", "2", "2")), {"count": "3"}, 2),
    "unknown": (
        lambda: day(unknown=(("k", NOW - timedelta(minutes=40)), ("j", NOW))),
        {"count": "1", "since": "2026-11-25 20:20", "minutes": "10"}, 0,
    ),
    "clock": (
        lambda: day(last_issued=NOW + timedelta(minutes=7)), {"last": "2026-11-25 21:07:00", "minutes": "7"}, 0,
    ),
}  # fmt: skip


def test_every_rule_is_tried() -> None:
    assert LOUD.keys() == RULES.keys()
    assert BOUNDS.keys() == {name for name in Thresholds.__struct_fields__ if name != "off"}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_speaks_with_its_figures_and_its_invoices(rule: str) -> None:
    """One finding, why, and the very invoices; on the same facts no other rule speaks."""
    facts, figures, count = LOUD[rule]
    found = find_all(facts(), USUAL)
    assert [(one.rule, dict(one.figures), one.count) for one in found] == [(rule, figures, count)]
    assert len(found[0].numbers) == count


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_is_switched_off_is_quiet(rule: str) -> None:
    assert find_all(LOUD[rule][0](), Thresholds(off=(rule,))) == []


# One step of a threshold further, and the same day is ordinary.
QUIETER = {
    "spike": {"spike_percent": 302}, "unusual": {"unusual_times": 76}, "devices": {"devices_titles": 6},
    "splits": {"splits_count": 4}, "twice": {"twice_minutes": 3}, "round": {"round_percent": 81},
    "refusals": {"refusals_count": 6}, "hours": {"hours_from": 3}, "reds": {"reds_percent": 31},
    "quota": {"quota_percent": 7, "quota_days": 3}, "unknown": {"unknown_minutes": 41},
}  # fmt: skip


@pytest.mark.parametrize("rule", QUIETER)
def test_a_threshold_moves_the_line(rule: str) -> None:
    assert find_all(LOUD[rule][0](), msgspec.convert(QUIETER[rule], Thresholds)) == []


def test_quota_is_told_by_what_is_left_or_by_the_day() -> None:
    """Either alone is enough, and one finding a month."""
    for used, runs_out in ((95_000_00, None), (10_000_00, date(2026, 11, 26))):
        found = find_all(day(quota=Quota("2026-11", 100_000_00, used, runs_out)), USUAL)
        assert [one.period for one in found] == ["2026-11"]


def test_hours_may_pass_midnight() -> None:
    """A night bar from 18 to 4: three in the morning is trade, three in the afternoon is not."""
    bar = Thresholds(hours_from=18, hours_until=4)
    assert find_all(day(*(sale(one, hour=3) for one in range(3))), bar) == []
    assert [one.rule for one in find_all(day(*(sale(one, hour=15) for one in range(3))), bar)] == ["hours"]
    assert find_all(day(*(sale(one, hour=3) for one in range(3))), Thresholds(hours_from=0, hours_until=0)) == []


def test_a_finding_is_the_same_while_its_figures_grow() -> None:
    """So it is told once a day; another day, another buyer is another. It shows neither buyer nor device."""

    def splits(count: int, buyer: str = "one firm") -> Finding:
        return find_all(day(*(sale(one, 985, f"{buyer}", minute=15 * one + 1) for one in range(count))),
                        Thresholds(off=("twice",)))[0]  # fmt: skip

    assert splits(3).finding_id == splits(4).finding_id != splits(3, "another").finding_id
    assert "firm" not in splits(3).finding_id
    many = find_all(day(*(sale(one, 50, f"company {one}", device="phone") for one in range(300))), USUAL)[0]
    assert (many.count, len(many.numbers)) == (300, NUMBERS_MAX)
