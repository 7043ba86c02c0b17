"""The index is what the invoices are: each counted once, found by everything, summed to the fen, on both engines."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piaoma import index
from piaoma.desk import records, tax_report, tills
from piaoma.desk.codes import Offer
from piaoma.desk.config import Config
from piaoma.desk.indexing import catch_up
from piaoma.desk.issue import issue
from piaoma.desk.log import sequence_once
from piaoma.desk.mint import draft_of
from piaoma.desk.office import Office, open_office, shanghai_now
from piaoma.index import bits
from piaoma.index.terms import normal
from piaoma.invoice.draft import InvoiceKind, Line
from piaoma.invoice.money import to_fen
from piaoma.invoice.original_reader import read
from piaoma.invoice.parties import Buyer
from piaoma.store import Origin
from tests.conftest import COMPANY, MEAL, PERSON, Shop, new_shop, with_shop

BUYERS = [
    COMPANY,
    PERSON,
    Buyer("湖北某某商贸有限公司", "91420100MA4K00000Q"),
    Buyer("汉口ABC测试部", natural_person=True),
]
GOODS = [("餐费", "0.06"), ("咖啡豆", "0.13"), ("餐具ABCD型", "0.13"), ("住宿费", "0.06")]
CODES = {"0.06": MEAL.code, "0.13": "1030306000000000000"}


class Days:
    """A clock that a story moves."""

    def __init__(self) -> None:
        self.moment = shanghai_now().replace(hour=12) - timedelta(days=30)

    def now(self) -> datetime:
        return self.moment


async def issue_some(shop: Shop, days: Days, count: int, seed: int) -> None:
    """Invoices of other buyers, goods, remarks and days each."""
    drawn = random.Random(seed)
    for place in range(count):
        if drawn.random() < 0.3:
            days.moment += timedelta(days=1)
        chosen = drawn.sample(GOODS, drawn.randint(1, 3))
        lines = tuple(
            Line(name, CODES[rate], Decimal(rate), Decimal(drawn.randint(1, 90_000)) / 100) for name, rate in chosen
        )
        offer = Offer(InvoiceKind.GENERAL, lines, remark=drawn.choice(["", "单号 A1234", "三楼"]))
        draft = draft_of(offer, shop.merchant, drawn.choice(BUYERS))
        outcome = await issue(shop.office, shop.id, draft, issue_key=f"s{seed}-{place}")
        assert outcome.number, outcome.refusals


def with_days(config: Config, story: Callable[[Shop, Days], Awaitable[None]]) -> None:
    async def tell() -> None:
        days = Days()
        async with open_office(config, now=days.now, work=False) as office:
            await story(await new_shop(office), days)

    asyncio.run(tell())


async def originals(office: Office, merchant_id: int) -> list[Any]:
    rows = await office.database.read("SELECT original FROM invoices WHERE merchant_id = $1", merchant_id)
    return [read(bytes(row[0])) for row in rows]


def random_wanted(drawn: random.Random, invoices: list[Any]) -> index.Wanted:
    """Every condition at times, so that some fit much and some nothing."""
    some = drawn.choice(invoices)
    text = drawn.choice(["", "餐", "餐费", "某某", "某某科技", "公司有限", "ABC", "abcd", "三楼", "a1234", "北某 咖啡",
                         some.number, some.number[-4:], some.buyer.taxpayer_id[2:9], some.buyer.name])  # fmt: skip
    low = drawn.choice([None, drawn.randint(1, 100_000)])
    since = drawn.choice([None, some.issued_on])
    return index.Wanted(
        text=text,
        since=since,
        until=None if since is None else drawn.choice([None, since + timedelta(days=drawn.randint(0, 9))]),
        total_min=low,
        total_max=drawn.choice([None, (low or 0) + drawn.randint(0, 80_000)]),
        rate=drawn.choice(["", "", "0.06", "0.13"]),
        item=drawn.choice(["", "", "餐费", "咖啡豆"]),
        kind=drawn.choice(["", "02", "01"]),
        colour=drawn.choice(["", "blue", "red"]),
    )


def fits(invoice: Any, wanted: index.Wanted) -> bool:
    """The same conditions, looked up in the original one by one."""
    names = [line.name.rpartition("*")[2] for line in invoice.lines]
    texts = [normal(text) for text in (invoice.number, invoice.buyer.name, invoice.buyer.taxpayer_id, invoice.remark)]
    total = to_fen(invoice.totals.inclusive)
    return (
        all(any(word in text for text in (*texts, *map(normal, names))) for word in normal(wanted.text).split())
        and (wanted.since is None or invoice.issued_on >= wanted.since)
        and (wanted.until is None or invoice.issued_on <= wanted.until)
        and (wanted.total_min is None or total >= wanted.total_min)
        and (wanted.total_max is None or total <= wanted.total_max)
        and (not wanted.rate or any(f"{line.rate:f}" == wanted.rate for line in invoice.lines))
        and (not wanted.item or wanted.item in names)
        and wanted.kind in ("", invoice.kind.value)
        and wanted.colour in ("", "blue")
    )


@pytest.mark.parametrize("block_bits", [bits.BLOCK_BITS, 4])
def test_a_search_finds_what_looking_through_all_originals_finds(
    config: Config, block_bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random invoices and random conditions, with count and sum; in one block and in many small ones."""
    monkeypatch.setattr(bits, "BLOCK_BITS", block_bits)
    monkeypatch.setattr(bits, "BLOCK", 1 << block_bits)
    seed = random.randrange(1 << 30)
    print("seed", seed)

    async def story(shop: Shop, days: Days) -> None:
        database = shop.office.database
        other = await new_shop(shop.office, "91110000600037341L")
        await issue_some(shop, days, 45, seed)
        await issue_some(other, days, 5, seed + 1)
        assert await catch_up(shop.office) == 0
        invoices, drawn = await originals(shop.office, shop.id), random.Random(seed)
        hits = 0
        for _ in range(120):
            wanted = random_wanted(drawn, invoices)
            chosen = [invoice for invoice in invoices if fits(invoice, wanted)]
            found = await index.select(database, shop.id, wanted)
            listed = [one.number async for one in index.read(database, found)]
            assert sorted(listed) == sorted(invoice.number for invoice in chosen), wanted
            assert found.exact and found.count == len(chosen), wanted
            assert found.total_fen == sum(to_fen(invoice.totals.inclusive) for invoice in chosen), wanted
            hits += bool(chosen)
        assert hits > 20

    with_days(config, story)


def test_words_in_another_order_are_left_out(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invoice that has all pairs of the words and not the words is not listed. With more of them than are looked
    at beforehand the count says that it is about. Control: unread, the sets alone would list it."""

    async def story(shop: Shop) -> None:
        for place, name in enumerate(("某某餐饮某餐", "某餐饮某某餐饮")):
            draft = draft_of(Offer(InvoiceKind.GENERAL, (MEAL,)), shop.merchant, Buyer(name, natural_person=True))
            await issue(shop.office, shop.id, draft, issue_key=f"k{place}")
        found = await records.search_invoices(shop.office, shop.id, index.Wanted(text="某某餐饮某某"))
        assert (found.count, [one.buyer_name for one in found.page.items], found.exact) == (0, [], True)
        found = await records.search_invoices(shop.office, shop.id, index.Wanted(text="餐饮某某餐"))
        assert found.count == 1 and found.exact
        monkeypatch.setattr("piaoma.index.selecting.VERIFY_MAX", 0)
        found = await records.search_invoices(shop.office, shop.id, index.Wanted(text="餐饮某某餐"))
        assert found.count == 2 and not found.exact and len(found.page.items) == 1

    with_shop(config, story)


async def everything(office: Office) -> dict[str, list[tuple[Any, ...]]]:
    tables: dict[str, list[tuple[Any, ...]]] = {}
    for table in ("entries", "terms", "blocks", "days", "taxes", "items", "waits"):
        rows = await office.database.read(f"SELECT * FROM index_{table}")
        tables[table] = sorted(tuple(row[column] for column in range(len(row))) for row in rows)
    return tables


def test_however_it_is_followed_the_index_is_the_same(config: Config) -> None:
    """In turns of three, by two at once, interrupted, and built again: the same rows."""

    async def story(shop: Shop, days: Days) -> None:
        database = shop.office.database
        await issue_some(shop, days, 20, 5)
        await sequence_once(shop.office)
        while await index.behind(database):
            await asyncio.gather(index.follow(database, 3), index.follow(database, 3), return_exceptions=True)
        by_turns = await everything(shop.office)
        assert [len(by_turns["entries"]), sum(row[6] for row in by_turns["days"])] == [20, 20]
        await index.rebuild(database)
        assert await index.behind(database) == 20
        assert await index.follow(database) == 20 and await index.follow(database) == 0
        assert await everything(shop.office) == by_turns

    with_days(config, story)


def test_a_turn_that_dies_leaves_nothing_and_is_done_again(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """It breaks after the places and before the sums. Control: without the cursor in the same transaction the
    invoices would be counted twice."""

    async def story(shop: Shop, days: Days) -> None:
        from piaoma.index import following

        await issue_some(shop, days, 4, 9)
        await sequence_once(shop.office)

        async def breaks(*_: object) -> None:
            raise RuntimeError("died")

        with monkeypatch.context() as patch:
            patch.setattr(following, "_sum_up", breaks)
            with pytest.raises(RuntimeError):
                await index.follow(shop.office.database)
        assert not any((await everything(shop.office)).values())
        assert await index.follow(shop.office.database) == 4
        once = await everything(shop.office)
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE index_cursor SET leaf = 0")
            await transaction.execute("DELETE FROM index_entries")
        await index.follow(shop.office.database)
        assert (await everything(shop.office))["days"] != once["days"]

    with_days(config, story)


def test_the_tax_report_is_the_sum_of_the_originals(config: Config) -> None:
    """By month, kind, colour and rate, to the fen; days and items too; nothing of another merchant. Control: a line
    that is taken twice shows."""
    seed = random.randrange(1 << 30)
    print("seed", seed)

    async def story(shop: Shop, days: Days) -> None:
        other = await new_shop(shop.office, "91110000600037341L")
        days.moment = days.moment.replace(day=25)
        await issue_some(shop, days, 40, seed)
        await issue_some(other, days, 4, seed)
        taxes: dict[tuple[str, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0), Decimal(0)])
        by_day: Counter[str] = Counter()
        by_item: Counter[tuple[str, str]] = Counter()
        invoices = await originals(shop.office, shop.id)
        for invoice in invoices:
            month = f"{invoice.issued_on:%Y-%m}"
            for line in invoice.lines:
                sums = taxes[(month, invoice.kind.value, "blue", f"{line.rate:f}")]
                sums[0], sums[1], sums[2] = sums[0] + 1, sums[1] + line.amount, sums[2] + line.tax
            by_day[invoice.issued_on.isoformat()] += to_fen(invoice.totals.inclusive)
            for item in {line.name.rpartition("*")[2] for line in invoice.lines}:
                by_item[(month, item)] += to_fen(invoice.totals.inclusive)
        first, last = min(key[0] for key in taxes), max(key[0] for key in taxes)
        found = await tax_report.report(shop.office, shop.id, first, last)
        assert found.missing == 0
        assert {(r.month, r.kind, r.colour, r.rate): [r.lines, r.amount, r.tax] for r in found.rows} == taxes
        assert found.tax == sum(invoice.totals.tax for invoice in invoices)
        rows = await index.sums(shop.office.database, shop.id, "day", invoices[0].issued_on, days.moment.date())
        assert {row.value: row.total_fen for row in rows} == by_day
        for month in {key[0] for key in by_item}:
            for item, _, total in await index.top_items(shop.office.database, shop.id, month, 50):
                assert total == by_item[(month, item)]
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE index_taxes SET tax_fen = tax_fen + 1 WHERE merchant_id = $1", shop.id)
        assert (await tax_report.report(shop.office, shop.id, first, last)).tax != found.tax

    with_days(config, story)


def test_a_row_of_the_report_leads_to_invoices_with_its_rate(config: Config) -> None:
    """Its last day is the month's."""
    row = tax_report.Row("2028-02", "02", "blue", "0.06", 1, Decimal(1), Decimal(1))
    assert row.last_day == "2028-02-29"
    assert msgspec.structs.replace(row, month="2026-12").last_day == "2026-12-31"


def test_shop_and_clerk_are_those_of_the_sale(config: Config) -> None:
    """An invoice of a shop with a name of its own, made by a person: found by both, before the merchant's own name."""

    async def story(shop: Shop, days: Days) -> None:
        shop_id = await tills.save_shop(shop.office, shop.actor, "二店", "", None, active=True)
        draft = draft_of(Offer(InvoiceKind.GENERAL, (MEAL,)), shop.merchant, PERSON)
        origin = Origin(shop_id, None, None, "小某")
        assert (await issue(shop.office, shop.id, draft, issue_key="there", origin=origin)).number
        assert (await issue(shop.office, shop.id, draft, issue_key="elsewhere")).number
        await sequence_once(shop.office)
        await catch_up(shop.office)
        rows = await shop.office.database.read("SELECT clerk, shop FROM index_entries ORDER BY place")
        assert [(row[0], row[1]) for row in rows] == [("小某", "二店"), ("", shop.merchant.shop_name)]

    with_days(config, story)
