"""Looking up by key: many who ask at once are answered together, each as if he had asked alone. Both engines."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from piaoma.desk.config import Config
from piaoma.store import open_database
from piaoma.store.postgres import LOOKUPS_MAX, PostgresDatabase
from tests.conftest import Shop, with_shop

SHOP = "SELECT merchant_id, taxpayer_id FROM merchants WHERE merchant_id = $1"


def test_each_gets_his_own(config: Config) -> None:
    """More than one statement takes, found and not found mixed, the same twice, one who has gone, one who asks wrongly:
    as if each had asked alone."""

    async def story(shop: Shop) -> None:
        database = shop.office.database
        some = [shop.id, shop.id + 1, shop.id, shop.id - 1] * (LOOKUPS_MAX // 2)
        asked = [asyncio.create_task(database.read_by_key(SHOP, one)) for one in some]
        wrong = asyncio.create_task(database.read_by_key(SHOP, "not a number"))
        gone = asyncio.create_task(database.read_by_key(SHOP, shop.id))
        await asyncio.sleep(0)
        gone.cancel()
        for one, row in zip(some, await asyncio.gather(*asked), strict=True):
            assert (None if row is None else row[0]) == (shop.id if one == shop.id else None)
        told = await asyncio.gather(wrong, return_exceptions=True)
        assert told[0] is None or isinstance(told[0], Exception)
        assert gone.cancelled()
        row = await database.read_by_key(SHOP, shop.id)
        assert row is not None and row["merchant_id"] == shop.id

    with_shop(config, story)


def test_what_is_asked_after_a_commit_sees_it(config: Config) -> None:
    """Though the same is being looked up for others just then."""

    async def story(shop: Shop) -> None:
        database, statement = shop.office.database, "SELECT shop_name FROM merchants WHERE merchant_id = $1"
        others = [asyncio.create_task(database.read_by_key(statement, shop.id)) for _ in range(20)]
        for turn in range(10):
            async with database.write() as transaction:
                await transaction.execute(
                    "UPDATE merchants SET shop_name = $2 WHERE merchant_id = $1", shop.id, str(turn)
                )
            others.append(asyncio.create_task(database.read_by_key(statement, shop.id)))
            row = await database.read_by_key(statement, shop.id)
            assert row is not None and row[0] == str(turn)
        await asyncio.gather(*others)

    with_shop(config, story)


def test_many_at_once_are_one_statement(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL: sixty who ask in one turn cost one way to the server, and columns of the same name stay what they
    are. One who asks alone asks as he wrote it."""
    looked: list[int] = []
    real = PostgresDatabase._look_up

    async def counted(self: PostgresDatabase, statement: str, asked: Any) -> Any:
        looked.append(len(asked))
        return await real(self, statement, asked)

    monkeypatch.setattr(PostgresDatabase, "_look_up", counted)

    async def story() -> None:
        database = await open_database(postgres_server, schema="looking_up", wanted=[])
        assert isinstance(database, PostgresDatabase)
        try:
            statement = "SELECT $1::bigint AS one, $2::text AS same, $2::text || '!' AS same"
            rows = await asyncio.gather(*(database.read_by_key(statement, one, f"n{one}") for one in range(60)))
            assert [(row[0], row[1], row[2]) for row in rows if row] == [(i, f"n{i}", f"n{i}!") for i in range(60)]
            assert looked == [60]
            alone = await database.read_by_key(statement, 1, "x")
            assert alone is not None and len(alone) == 3 and looked == [60]
            assert database._asked == {}
        finally:
            await database.close()

    asyncio.run(story())
