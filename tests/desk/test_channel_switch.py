"""Going over from one channel to another: only when nothing is under way, and the numbers of two are never mixed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from piaoma.desk import scan
from piaoma.desk.channel import demand_channel
from piaoma.desk.codes import Code
from piaoma.desk.config import Config
from piaoma.desk.merchant import merchant, quota
from piaoma.desk.office import open_office, shanghai_now
from piaoma.invoice.refusal import Refused
from piaoma.store import IssueState, channels, open_database
from tests.channels.bench import Bench, bench
from tests.channels.test_rehearsals import pursue_all, rehearse
from tests.conftest import COMPANY, Shop, new_shop
from tests.desk.test_red import take_back
from tests.store.test_writing import broken_invariants

__all__ = ["bench"]


async def confirm(shop: Shop, code: Code | None = None) -> Any:
    code = code or await shop.code()
    return await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key=code.token)


async def again(config: Config, merchant_id: int, story: Any) -> None:
    """The same store, opened again."""
    async with open_office(config, work=False) as office:
        await story(Shop(office, await merchant(office, merchant_id)))


def outside(bench: Bench, data: Path) -> Config:
    return Config(data=str(data), number_block=8, channel="leqi", channel_file=str(bench.file("leqi")))


def test_a_switch_of_the_configuration_moves_a_shop(bench: Bench, tmp_path: Path) -> None:
    """Sandbox, then 乐企: what was left of the sandbox's block is burnt with a record, the quota is asked anew, the
    next number is of 乐企's pool; every invariant holds, and back again."""
    sandbox, leqi = Config(data=str(tmp_path), number_block=8), outside(bench, tmp_path)

    async def story() -> None:
        async with open_office(sandbox, work=False) as office:
            shop = await new_shop(office)
            first = await confirm(shop)
            while await office.outbox.work_once():
                pass

        async def moved(shop: Shop) -> None:
            left = await quota(shop.office, shop.merchant)
            assert left is not None and left.issued > 0
            second = await confirm(shop)
            assert second.state is IssueState.ISSUED
            blocks = await bench.authority._ledger.read("SELECT first_sequence, last_sequence FROM authority_blocks")
            assert any(row[0] <= int(second.number[5:]) <= row[1] for row in blocks)
            assert second.number != first.number
            rows = await shop.office.database.read("SELECT count(*), min(reason) FROM unused_numbers")
            assert (rows[0][0], rows[0][1]) == (7, "the channel was changed from sandbox")
            assert await broken_invariants(shop) == []
            await shop.office.outbox.work_once()

        await again(leqi, shop.id, moved)
        await again(sandbox, shop.id, lambda shop: confirm(shop))

    bench.run(story())


@pytest.mark.parametrize("open_end", ["issue", "report", "form"])
def test_nothing_goes_over_while_something_is_under_way(bench: Bench, tmp_path: Path, open_end: str) -> None:
    """An outcome that is open, an invoice not reported, a form not closed: refused with the counts, nothing changed;
    the store opens with its own channel as before."""
    sandbox, leqi = Config(data=str(tmp_path)), outside(bench, tmp_path)

    async def story() -> None:
        async with open_office(sandbox, work=False) as office:
            shop = await new_shop(office)
            if open_end == "issue":
                code = await shop.code()
                await rehearse(office, down="after")
                assert (await confirm(shop, code)).state is IssueState.UNKNOWN
            else:
                number = (await confirm(shop)).number
            if open_end == "form":
                await office.outbox.work_once()
                await office.channel.use(number)  # type: ignore[attr-defined]
                await take_back(shop, number)
        for _ in range(2):
            with pytest.raises(Refused, match="CHANNEL-SWITCH-OPEN") as refused:
                await demand_channel(leqi, shanghai_now())
        values = refused.value.refusals[0].values
        assert [values[name] for name in ("issues", "forms", "reports")] == [
            "1" if open_end == name else "0" for name in ("issue", "form", "report")
        ]

        async def as_before(shop: Shop) -> None:
            if open_end == "issue":
                await rehearse(shop.office, down="")
                await pursue_all(shop)
            assert await broken_invariants(shop) == []

        await again(sandbox, shop.id, as_before)

    bench.run(story())


def test_going_over_with_an_open_outcome_would_issue_twice(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: without the look, the new channel never heard of the serial and issues the sale once more."""

    async def no_look(transaction: Any, channel: str, now: Any) -> int:
        return 0

    sandbox = Config(data=str(tmp_path))
    nuonuo = Config(data=str(tmp_path), channel="nuonuo", channel_file=str(bench.file("nuonuo")))

    async def story() -> None:
        async with open_office(sandbox, work=False) as office:
            shop = await new_shop(office)
            code = await shop.code()
            await rehearse(office, down="after")
            assert (await confirm(shop, code)).state is IssueState.UNKNOWN
            there = (await office.channel._ledger.read("SELECT count(*) FROM authority_issued"))[0][0]  # type: ignore[attr-defined]
        monkeypatch.setattr(channels, "_leave", no_look)
        before = (await bench.authority._ledger.read("SELECT count(*) FROM authority_issued"))[0][0]
        await again(nuonuo, shop.id, pursue_all)
        after = (await bench.authority._ledger.read("SELECT count(*) FROM authority_issued"))[0][0]
        assert (there, after - before) == (1, 1), "one with each"

    bench.run(story())


def test_a_channel_is_entered_once(tmp_path: Path) -> None:
    """However often it is opened, the record has one row for each channel that came into force."""

    async def story() -> None:
        config = Config(data=str(tmp_path))
        for _ in range(2):
            await demand_channel(config, shanghai_now())
        database = await open_database(config.database_url)
        rows = await database.read("SELECT turn, channel, live FROM channels")
        await database.close()
        assert [(row[0], row[1], row[2]) for row in rows] == [(1, "sandbox", 0)]

    asyncio.run(story())
