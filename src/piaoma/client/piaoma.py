"""The two clients. They differ in how they wait and in nothing else; every request is made in ``requests``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Self, TypeVar

import httpx

from piaoma import wire

from . import requests
from .calls import Call, Unreachable, read, read_bytes, settings, tried_again

Told = TypeVar("Told")
OPEN = ("submitted", "unknown")
ASK_SECONDS = 1.0  # between two questions what became of an issue


class Piaoma:
    """``with Piaoma("https://…", "pm_test_…") as piaoma:``. ``transport`` is httpx's, for tests and proxies."""

    def __init__(
        self, url: str, key: str, *, language: str = "zh", transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(**settings(url, key, language, transport=transport))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def do(self, what: Call[Told]) -> Told:
        """Do any request of ``piaoma.client.requests``. Raises ``Refused``, ``Unreachable``."""
        return read(self._send(what), what)

    def _send(self, what: Call[Told]) -> httpx.Response:
        tries = 0
        while True:
            tries += 1
            answer, fault = None, ""
            try:
                answer = self._http.request(
                    what.method, what.path, params=dict(what.query), content=what.body, headers=dict(what.headers)
                )
            except httpx.TransportError as error:
                fault = f"{type(error).__name__}: {error}"
            delay = tried_again(answer, tries)
            if delay is None:
                if answer is None:
                    raise Unreachable(fault)
                return answer
            time.sleep(delay)

    def merchant(self) -> wire.Merchant:
        """Whom the key belongs to."""
        return self.do(requests.merchant())

    def quota(self) -> wire.Quota:
        """This month's quota."""
        return self.do(requests.quota())

    def make_code(self, new: wire.NewCode, *, key: str = "") -> wire.Code:
        """A code for one sale."""
        return self.do(requests.make_code(new, key))

    def code(self, code_id: str) -> wire.Code:
        """One code."""
        return self.do(requests.code(code_id))

    def revoke_code(self, code_id: str) -> wire.Code:
        """作废."""
        return self.do(requests.revoke_code(code_id))

    def preview(self, new: wire.NewInvoice) -> wire.Preview:
        """The figures; nothing is issued."""
        return self.do(requests.preview(new))

    def issue(self, new: wire.NewInvoice, *, key: str, wait_seconds: float = 30) -> wire.Issue:
        """Issue an invoice. The same ``key`` is the same invoice, however often; make it from the order's number.

        Waits for a channel that answers later; what is still open after that is returned as it stands.
        """
        made = self.do(requests.issue(new, key))
        until = time.monotonic() + wait_seconds
        while made.state in OPEN and time.monotonic() < until:
            time.sleep(ASK_SECONDS)
            made = self.do(requests.issue_state(made.id))
        return made

    def issue_state(self, issue_id: str) -> wire.Issue:
        """What became of a request to issue."""
        return self.do(requests.issue_state(issue_id))

    def invoice(self, number: str) -> wire.Invoice:
        """One invoice."""
        return self.do(requests.invoice(number))

    def invoices(self, q: str = "", *, since: str = "", until: str = "") -> Iterator[wire.Invoice]:
        """Every invoice that fits, newest first, page after page."""
        cursor = ""
        while True:
            page = self.do(requests.invoices(q, since, until, cursor))
            yield from page.items
            if not (cursor := page.next_cursor):
                return

    def file(self, number: str, kind: str = "pdf") -> bytes:
        """A file of an invoice: pdf, ofd, xml, zip, …"""
        return read_bytes(self._send(requests.invoice_file(number, kind)))

    def send(self, number: str, email: str, *, key: str = "") -> wire.Delivery:
        """By mail."""
        return self.do(requests.send_invoice(number, email, key))

    def take_back(self, number: str, new: wire.NewRedForm, *, key: str) -> wire.RedForm:
        """红冲."""
        return self.do(requests.raise_red_form(number, new, key))

    def reissue(self, number: str, buyer: wire.Buyer, *, key: str) -> wire.Reissue:
        """换开."""
        return self.do(requests.start_reissue(number, buyer, key))

    def goods(self) -> list[wire.Goods]:
        """商品库."""
        return self.do(requests.goods()).items

    def events(self, cursor: str = "", kind: str = "") -> wire.Events:
        """What happened after a cursor, oldest first."""
        return self.do(requests.events(cursor, kind))


class AsyncPiaoma:
    """The same with ``async with`` and ``await``."""

    def __init__(
        self, url: str, key: str, *, language: str = "zh", transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._http = httpx.AsyncClient(**settings(url, key, language, transport=transport))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def do(self, what: Call[Told]) -> Told:
        """Do any request of ``piaoma.client.requests``. Raises ``Refused``, ``Unreachable``."""
        return read(await self._send(what), what)

    async def _send(self, what: Call[Told]) -> httpx.Response:
        tries = 0
        while True:
            tries += 1
            answer, fault = None, ""
            try:
                answer = await self._http.request(
                    what.method, what.path, params=dict(what.query), content=what.body, headers=dict(what.headers)
                )
            except httpx.TransportError as error:
                fault = f"{type(error).__name__}: {error}"
            delay = tried_again(answer, tries)
            if delay is None:
                if answer is None:
                    raise Unreachable(fault)
                return answer
            await asyncio.sleep(delay)

    async def merchant(self) -> wire.Merchant:
        """Whom the key belongs to."""
        return await self.do(requests.merchant())

    async def quota(self) -> wire.Quota:
        """This month's quota."""
        return await self.do(requests.quota())

    async def make_code(self, new: wire.NewCode, *, key: str = "") -> wire.Code:
        """A code for one sale."""
        return await self.do(requests.make_code(new, key))

    async def code(self, code_id: str) -> wire.Code:
        """One code."""
        return await self.do(requests.code(code_id))

    async def revoke_code(self, code_id: str) -> wire.Code:
        """作废."""
        return await self.do(requests.revoke_code(code_id))

    async def preview(self, new: wire.NewInvoice) -> wire.Preview:
        """The figures; nothing is issued."""
        return await self.do(requests.preview(new))

    async def issue(self, new: wire.NewInvoice, *, key: str, wait_seconds: float = 30) -> wire.Issue:
        """As ``Piaoma.issue``."""
        made = await self.do(requests.issue(new, key))
        until = time.monotonic() + wait_seconds
        while made.state in OPEN and time.monotonic() < until:
            await asyncio.sleep(ASK_SECONDS)
            made = await self.do(requests.issue_state(made.id))
        return made

    async def issue_state(self, issue_id: str) -> wire.Issue:
        """What became of a request to issue."""
        return await self.do(requests.issue_state(issue_id))

    async def invoice(self, number: str) -> wire.Invoice:
        """One invoice."""
        return await self.do(requests.invoice(number))

    async def invoices(self, q: str = "", *, since: str = "", until: str = "") -> AsyncIterator[wire.Invoice]:
        """Every invoice that fits, newest first, page after page."""
        cursor = ""
        while True:
            page = await self.do(requests.invoices(q, since, until, cursor))
            for one in page.items:
                yield one
            if not (cursor := page.next_cursor):
                return

    async def file(self, number: str, kind: str = "pdf") -> bytes:
        """A file of an invoice: pdf, ofd, xml, zip, …"""
        return read_bytes(await self._send(requests.invoice_file(number, kind)))

    async def send(self, number: str, email: str, *, key: str = "") -> wire.Delivery:
        """By mail."""
        return await self.do(requests.send_invoice(number, email, key))

    async def take_back(self, number: str, new: wire.NewRedForm, *, key: str) -> wire.RedForm:
        """红冲."""
        return await self.do(requests.raise_red_form(number, new, key))

    async def reissue(self, number: str, buyer: wire.Buyer, *, key: str) -> wire.Reissue:
        """换开."""
        return await self.do(requests.start_reissue(number, buyer, key))

    async def goods(self) -> list[wire.Goods]:
        """商品库."""
        return (await self.do(requests.goods())).items

    async def events(self, cursor: str = "", kind: str = "") -> wire.Events:
        """What happened after a cursor, oldest first."""
        return await self.do(requests.events(cursor, kind))
