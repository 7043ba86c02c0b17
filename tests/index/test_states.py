"""S99: invoices that were taken back, in part or as a whole, are found as such, however late the index follows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from piaoma import index
from piaoma.desk import log, red
from piaoma.desk.config import Config
from piaoma.desk.indexing import catch_up
from piaoma.index import following
from piaoma.invoice.red_form import RedFormEvent, RedReason, Side
from tests.conftest import Shop, with_shop
from tests.desk.test_red import issued, use
from tests.index.test_following import everything
from tests.store.test_writing import broken_invariants


def tell(config: Config, story: Callable[[Shop], Awaitable[None]]) -> None:
    async def told(shop: Shop) -> None:
        await story(shop)

    with_shop(config, told)


async def take_back(shop: Shop, number: str, amount: str = "", form_id: str = "f") -> str:
    lines = None
    if amount:
        await use(shop, number)
        lines = await red.lines_back(shop.office, shop.id, number, {0: Decimal(amount)})
    reason = RedReason.RETURNED if amount else RedReason.WRONG
    form = await red.raise_form(shop.office, shop.id, number, reason, lines, form_id=form_id, made_by="test")
    if amount:
        form = await red.act(shop.office, form, RedFormEvent.CONFIRM, Side.BUYER)
    assert form.number is not None
    return form.number


async def found(shop: Shop, state: str) -> list[str]:
    await catch_up(shop.office)
    selection = await index.select(shop.office.database, shop.id, index.Wanted(state=state))
    numbers = [one.number async for one in index.read(shop.office.database, selection)]
    assert selection.count == len(numbers)
    return sorted(numbers)


def test_each_state_is_found_as_it_stands(config: Config) -> None:
    """Before and after each red invoice; followed from the beginning the index is the same, byte for byte."""

    async def story(shop: Shop) -> None:
        untouched, partly, wholly = [await issued(shop, key=key) for key in "abc"]
        assert await found(shop, "issued") == sorted([untouched, partly, wholly])
        assert await found(shop, "partly_red") == await found(shop, "wholly_red") == await found(shop, "red") == []
        reds = [await take_back(shop, partly, "6.00", "p"), await take_back(shop, wholly, form_id="w")]
        assert await found(shop, "issued") == [untouched]
        assert await found(shop, "partly_red") == [partly] and await found(shop, "wholly_red") == [wholly]
        assert await found(shop, "red") == sorted(reds)
        await take_back(shop, partly, "100.00", "q")
        assert await found(shop, "partly_red") == [] and await found(shop, "wholly_red") == sorted([partly, wholly])
        before = await everything(shop.office)
        await index.rebuild(shop.office.database)
        assert await found(shop, "wholly_red") == sorted([partly, wholly])
        assert await everything(shop.office) == before
        assert await broken_invariants(shop) == []

    tell(config, story)


def test_a_red_invoice_may_stand_before_its_blue_one_in_the_log(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both of one second, taken in one by one in the other order; negative control: marks by the red one alone."""

    async def story(shop: Shop) -> None:
        for turn, own_marks in enumerate((True, False)):
            blue = await issued(shop, key=f"k{turn}")
            await take_back(shop, blue, form_id=f"f{turn}")
            await log.sequence_once(shop.office)
            async with shop.office.database.write() as transaction:
                rows = await transaction.fetch("SELECT leaf, number FROM log_leaves ORDER BY leaf DESC LIMIT 2")
                for leaf, number in ((-1, rows[0][1]), (rows[0][0], rows[1][1]), (rows[1][0], rows[0][1])):
                    await transaction.execute("UPDATE log_leaves SET leaf = $1 WHERE number = $2", leaf, number)
            if not own_marks:
                monkeypatch.setattr("piaoma.index.entry.taken_terms", lambda taken, total: ())
            while await following.follow(shop.office.database, 1):
                pass
            assert (blue in await found(shop, "wholly_red")) is own_marks

    tell(config, story)
