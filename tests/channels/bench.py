"""A bench for channels: one event loop in a thread, one simulator on loopback, every channel opened once and shared.

Tests run their coroutines on that loop, so a module pays for opening once.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import shutil
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from piaoma.channels import Channel, RedFormRequest, RemoteRequest, Report, SandboxAuthority, open_outside
from piaoma.channels.leqi import channel as leqi
from piaoma.channels.providers import provider
from piaoma.cli.authority import simulator
from piaoma.desk.channel import open_channel
from piaoma.desk.config import Config
from piaoma.desk.office import open_office, shanghai_now
from piaoma.invoice.classification import load
from piaoma.invoice.draft import Draft, InvoiceKind
from piaoma.invoice.issued import IssuedInvoice, RedReference
from piaoma.invoice.money import to_fen
from piaoma.invoice.parties import Seller
from piaoma.invoice.red import RedDraft, draft_of, priced, whole
from piaoma.invoice.red_form import RedReason, Side
from piaoma.invoice.totals import invoice_of, price, totals_of
from piaoma.trust import sign_original
from tests.conftest import COMPANY, MEAL, SELLER_ID, Shop, new_shop

Result = TypeVar("Result")

OUTSIDE = ("leqi", "nuonuo", "baiwang")
CHANNELS = ("sandbox", *OUTSIDE)
POOL = ("sandbox", "leqi")  # give numbers beforehand
SELLER = Seller("武汉测试餐饮有限公司", SELLER_ID)
PATIENCE_SECONDS = 0.3  # of the channels here for a call


class Bench:
    """See above. ``authority`` is the simulator's, ``folder`` holds the files that it wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open = AsyncExitStack()
        self._channels: dict[str, Channel] = {}
        self._shops: dict[str, Shop] = {}

    def run(self, story: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(story, self._loop).result(60)

    def start(self) -> None:
        self._thread.start()
        self.run(self._start())

    async def _start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        books = f"sqlite:///{self.folder / 'books.sqlite3'}"
        server, self.authority = await self._open.enter_async_context(simulator(self.folder, books, self.port))
        self._server = server
        self._serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.005)
        await self.authority.enrol(SELLER_ID, SELLER.name)

    def stop(self) -> None:
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.should_exit = True
        await self._serving
        await self._open.aclose()

    def file(self, name: str, **changes: object) -> Path:
        """The settings of a channel, with its patience cut short, or changed otherwise."""
        text = (self.folder / f"{name}.toml").read_text()
        values = {"seconds": PATIENCE_SECONDS, **changes}
        kept = [line for line in text.splitlines() if line.partition(" = ")[0] not in values]
        kept += [
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in values.items()
        ]
        path = self.folder / f"{name}-{secrets.token_hex(4)}.toml"
        path.write_text("\n".join(kept))
        path.chmod(0o600)
        return path

    def config(self, name: str) -> Config:
        data = self.folder / f"shop-{name}"
        outside = {} if name == "sandbox" else {"channel": name, "channel_file": str(self.file(name))}
        return Config(data=str(data), number_block=8, **outside)  # type: ignore[arg-type]

    async def channel(self, name: str) -> Channel:
        """The channel alone, without an office."""
        if name not in self._channels:
            if name == "sandbox":
                config = Config(data=str(self.folder / "alone"))
                opened = open_channel(config, self.authority._signer, shanghai_now)
                self._channels[name] = await self._open.enter_async_context(opened)
            else:
                self._channels[name] = channel = open_outside(name, self.file(name), shanghai_now, live=False)
                self._open.push_async_callback(channel.close)
        return self._channels[name]

    async def shop(self, name: str) -> Shop:
        """A shop in an office that issues through the channel."""
        if name not in self._shops:
            office = await self._open.enter_async_context(open_office(self.config(name), work=False))
            self._shops[name] = await new_shop(office)
        return self._shops[name]

    async def authority_of(self, name: str, *, alone: bool = True) -> SandboxAuthority:
        """Whose books and switches count for a channel."""
        if name != "sandbox":
            return self.authority
        found = await self.channel(name) if alone else (await self.shop(name)).office.channel
        assert isinstance(found, SandboxAuthority)
        return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One for a module."""
    folder = tmp_path_factory.mktemp("bench")
    made = Bench(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers here wait for milliseconds."""
    monkeypatch.setattr(provider, "RESULT_WAITS_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(leqi, "RESULT_WAITS_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(leqi.Leqi, "forms_settle_seconds", 2.0)  # the clock tells whole seconds


def request_of(serial: str = "", amount: str = "58.00", at: datetime | None = None) -> RemoteRequest:
    """An order of one meal."""
    at = at or shanghai_now()
    draft = Draft(
        InvoiceKind.GENERAL, SELLER, COMPANY, (msgspec.structs.replace(MEAL, amount=Decimal(amount)),), drawer="张三"
    )
    lines, totals = price(draft, at.date(), load(None))
    return RemoteRequest(serial or secrets.token_hex(16), draft, lines, totals, at)


async def numbered(bench: Bench, name: str, amount: str = "58.00") -> tuple[IssuedInvoice, bytes]:
    """An invoice in a number of the channel's pool, signed here, and its original."""
    channel, order = await bench.channel(name), request_of(amount=amount)
    block = await channel.allocate_numbers(SELLER_ID, f"{order.requested_at:%y}", 1, secrets.token_hex(16))
    number = f"{block.prefix}{block.first:015d}"
    invoice = invoice_of(order.draft, order.lines, order.totals, number, order.requested_at, channel.bureau)
    return invoice, sign_original(invoice, bench.authority._signer())


def form_of(blue: IssuedInvoice, serial: str = "") -> RedFormRequest:
    """The form that takes all of it back."""
    lines = whole(blue)
    total = sum((line.amount + line.tax for line in lines), Decimal(0))
    return RedFormRequest(serial or secrets.token_hex(16), Side.SELLER, blue, RedReason.WRONG, lines, total)


def red_order(blue: IssuedInvoice, form_number: str) -> RemoteRequest:
    """The order of the red invoice that takes all of it back by a form."""
    draft = RedDraft(blue, RedReason.WRONG, whole(blue), form_number, "张三")
    lines, reference = priced(draft), RedReference(blue.number, form_number)
    return RemoteRequest(secrets.token_hex(16), draft_of(draft), lines, totals_of(lines), shanghai_now(), reference)


def report_of(invoice: IssuedInvoice, original: bytes) -> Report:
    sums = invoice.totals
    return Report(
        SELLER_ID, invoice.number, hashlib.sha256(original).hexdigest(), f"{invoice.issued_on:%Y-%m}",
        invoice.kind.value, to_fen(sums.amount), to_fen(sums.tax), original,
    )  # fmt: skip
