"""乐企 on both engines: the statements that no other test runs on PostgreSQL, and a restore, after which no block comes
again that the life before had."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from piaoma.cli.channel import return_quota, show
from piaoma.desk import red, stock
from piaoma.desk.backup import restore, take_backup
from piaoma.desk.config import Config
from piaoma.desk.merchant import merchant
from piaoma.desk.office import open_office
from piaoma.invoice.red_form import RedReason
from piaoma.store import blocks_given
from tests.channels.bench import Bench, bench
from tests.channels.test_faults import confirm, upload
from tests.conftest import COMPANY, SELLER_ID, Shop, new_shop
from tests.store.test_writing import broken_invariants

__all__ = ["bench"]
SELLERS = {True: SELLER_ID, False: COMPANY.taxpayer_id}  # the simulator sums up by seller


def test_a_month_of_a_shop(bench: Bench, config: Config) -> None:
    """Issued, taken back, stocked, uploaded; the audit holds."""
    seller = SELLERS[bool(config.database)]
    leqi = msgspec.structs.replace(config, number_block=4, channel="leqi", channel_file=str(bench.file("leqi")))

    async def story() -> None:
        async with open_office(leqi, work=False) as office:
            shop = await new_shop(office, seller)
            blue = (await confirm(shop, await shop.code())).number
            assert blue is not None
            await upload(shop)
            form = await red.raise_form(office, shop.id, blue, RedReason.WRONG, form_id="f", made_by="test")
            assert form.number is not None
            assert await stock.stock_once(office) == 0
            assert (await confirm(shop, await shop.code())).number and await stock.stock_once(office) == 1
            await upload(shop)
            assert await broken_invariants(shop) == []

    bench.run(story())


@pytest.mark.parametrize("control", [False, True], ids=["as it is", "control"])
def test_no_block_of_the_life_before_comes_again(
    bench: Bench, tmp_path: Path, control: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backed up, two more blocks used up, restored: what is issued then has numbers that nobody had, though the store
    asks for its next block by the same count as before. Negative control: without the nonce they come again."""
    real = blocks_given

    async def without(*arguments: Any) -> tuple[str, int]:
        return tmp_path.name, (await real(*arguments))[1]

    if control:
        monkeypatch.setattr(stock, "blocks_given", without)
    data = tmp_path / "data"
    config = Config(data=str(data), number_block=2, channel="leqi", channel_file=str(bench.file("leqi")))
    elsewhere = msgspec.structs.replace(config, data=str(tmp_path / "new"))

    async def numbers(shop: Shop, count: int) -> list[str]:
        return [str((await confirm(shop, await shop.code())).number) for _ in range(count)]

    async def story() -> None:
        async with open_office(config, work=False) as office:
            shop = await new_shop(office)
            before = await numbers(shop, 1)
            await take_backup(config, tmp_path / "backup")
            before += await numbers(shop, 4)
        renewal = await restore(elsewhere, tmp_path / "backup")
        assert renewal.numbers_burnt == 1
        async with open_office(elsewhere, work=False) as office:
            again = Shop(office, await merchant(office, shop.id))
            assert set(await numbers(again, 4)).isdisjoint(before) is not control
            assert await broken_invariants(again) == []

    bench.run(story())


def test_the_operator_sees_the_channel_and_gives_quota_back(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As much as is left and no more; what is issued stays covered."""
    file = tmp_path / "piaoma.toml"
    file.write_text(
        f'data = "{tmp_path}"\nchannel = "leqi"\nchannel_file = "{bench.file("leqi", quota_block="500.00")}"'
    )
    config = Config(data=str(tmp_path), channel="leqi", channel_file=str(bench.file("leqi", quota_block="500.00")))
    seller = "91110000600037341L"  # one whose quota nobody else here takes

    async def begun() -> None:
        async with open_office(config, work=False) as office:
            shop = await new_shop(office, seller)
            await confirm(shop, await shop.code())

    asyncio.run(begun())
    assert show(seller, file) == 0
    assert "leqi  samples  ok" in (told := capsys.readouterr().out) and "quota ¥500.00  used ¥54.72" in told
    assert return_quota(seller, "445.29", file) == 1 and return_quota(seller, "x", file) == 1
    assert "¥445.28 could be given back" in capsys.readouterr().err
    assert return_quota(seller, "445.28", file) == 0 and "quota ¥54.72" in capsys.readouterr().out
