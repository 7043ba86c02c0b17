"""Requests that a browser never sends, on both engines: a clear error, never a 500, nothing stored."""

from __future__ import annotations

import asyncio
import base64
import json
import re

import httpx
import pytest

from piaoma.desk.config import Config
from piaoma.web import live
from tests.conftest import Shop, new_shop
from tests.web.browsing import browse, hidden, issue_by_pages, log_in

CURSORS = ["[1e400,1]", f"[{10**30},1]", "[1]", "{}", '["a","b"]', "[-1,-1]", "[true,true]", "9" * 150]
FIGURES = ["9" * 21, "0." + "0" * 19 + "1", "1e999", "NaN", "-1", "９" * 30, "1" * 41, "--"]


def test_addresses_that_no_page_makes(config: Config) -> None:
    """Cursors, choices, zero bytes, long numbers: each is answered."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        await issue_by_pages(client, code.token)
        await log_in(client, shop)
        open_code = await shop.code()
        addresses = [f"/s/{open_code.token}?use={'9' * 5000}"[:1990], f"/s/{code.token}/result?n={'1' * 500}"]
        addresses += [f"/s/{open_code.token}?use={value}" for value in ("-1", "٣", "1e9", "%00", "999999999999")]
        for cursor in CURSORS:
            packed = base64.urlsafe_b64encode(cursor.encode()).decode()
            addresses += [f"/console/{page}?cursor={packed}" for page in ("codes", "invoices")]
        addresses += ["/console/invoices?q=%00", "/console/invoices/%00", "/console/invoices/%00/file/pdf"]
        addresses += [f"/console/codes/{'9' * 400}", "/console/codes/%D9%A3", "/console/invoices?since=0000-00-00"]
        addresses += ["/console/invoices?min=1e5&max=NaN", "/static/../etc/passwd", "/help/%FF", "/%2e%2e/x"]
        for address in addresses:
            answer = await client.get(address)
            assert answer.status_code < 500, address

    browse(config, story)


@pytest.mark.parametrize("quantity", FIGURES)
def test_figures_that_no_till_types(config: Config, quantity: str) -> None:
    """Beyond every bound, in the form and in its preview."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        base = {"csrf": csrf, "name1": "餐费", "code1": "3070401000000000000", "rate1": "0.06", "mint_key": "k"}
        for figures in (
            {"quantity1": quantity, "price1": quantity},
            {"quantity1": quantity, "price1": "1"},
            {"amount1": "9999999999999.99", "quantity1": quantity},
            {"amount1": quantity},
            {"amount1": "1", "rate1": quantity},
            {"amount1": "1", "days": quantity},
        ):
            for page in ("new", "preview"):
                answer = await client.post(f"/console/codes/{page}", data={**base, **figures})
                assert answer.status_code in (200, 303, 422), (page, figures)

    browse(config, story)


def test_headers_that_no_browser_sends(config: Config) -> None:
    """An origin that is no address is foreign; 64 kB of headers are too many."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        page = await client.post(f"/s/{code.token}/title", data={"person": "1"}, follow_redirects=True)
        form = {"confirmation": hidden(page, "confirmation")}
        for origin in ("http://[::", "null", "http://shop.test.evil.test", "http://shop.test@evil.test"):
            headers = {"origin": origin, "sec-fetch-site": "cross-site"}
            assert (await client.post(f"/s/{code.token}/confirm", data=form, headers=headers)).status_code == 403
        assert (await client.get("/", headers={"x-long": "a" * 70_000})).status_code == 431
        assert (await shop.office.database.read("SELECT count(*) FROM issues"))[0][0] == 0

    browse(config, story)


def test_a_head_request_is_a_look(config: Config) -> None:
    """HEAD answers as GET does, changes nothing and does not hang on a stream."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        await log_in(client, shop)
        for path in (
            "/verify", "/console/register", "/console/login", "/console/codes/new", "/console/settings/profile",
            "/console/settings/goods", f"/s/{code.token}", f"/s/{code.token}/events",
            f"/console/codes/{code.code_id}/events",
        ):  # fmt: skip
            answer = await asyncio.wait_for(client.head(path), 5)
            assert answer.status_code == 200, path

    browse(config, story)


def test_streams_are_few_and_only_ones_own(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreign code has no stream at all; beyond the limit a page is told to poll."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        other = await new_shop(shop.office, "91110000600037341L")
        foreign = await other.code()
        await log_in(client, shop)
        assert (await client.get(f"/console/codes/{foreign.code_id}/events")).status_code == 404
        monkeypatch.setattr(live, "STREAMS_MAX", 0)
        mine = await shop.code()
        assert (await client.get(f"/s/{mine.token}/events")).status_code == 429

    browse(config, story)


def test_a_stream_ends_when_the_code_is_used(config: Config) -> None:
    """It tells the state, then the change, then ends; its place is free again."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()

        async def listen() -> str:
            return (await client.get(f"/s/{code.token}/events")).text

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0.2)
        await issue_by_pages(client, code.token)
        heard = await asyncio.wait_for(listening, 10)
        states = [json.loads(line[6:])["state"] for line in heard.splitlines() if line.startswith("data: ")]
        assert states == ["open", "issued"] and live._open.total() == 0

    browse(config, story)


def test_two_who_send_at_once_send_once(config: Config) -> None:
    """Eight taps on 发送: one mail waits, none is answered with an error of ours."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        await issue_by_pages(client, code.token)
        csrf = await log_in(client, shop)
        number = (await shop.office.database.read("SELECT number FROM invoices"))[0][0]
        form = {"csrf": csrf, "email": "someone@example.cn"}
        answers = await asyncio.gather(*(client.post(f"/console/invoices/{number}", data=form) for _ in range(8)))
        assert {answer.status_code for answer in answers} == {303}
        jobs = await shop.office.database.read("SELECT count(*) FROM jobs WHERE kind = 'mail'")
        assert jobs[0][0] == 1

    browse(config, story)


def test_a_suggested_address_comes_from_what_was_typed(config: Config) -> None:
    """An address in a link cannot put somebody else's mailbox on the button."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        await issue_by_pages(client, code.token)
        page = await client.get(f"/s/{code.token}/result?mail=me@gmial.com&try=thief@evil.test")
        assert not re.search(r'(value="|>)[^"<]*(thief|gmail)', page.text)
        asked = await client.post(f"/s/{code.token}/send?try=thief@evil.test", data={"email": "me@gmial.com"})
        assert 'value="me@gmail.com"' in asked.text
        assert not re.search(r'(value="|>)[^"<]*thief', asked.text)
        jobs = await shop.office.database.read("SELECT count(*) FROM jobs WHERE kind = 'mail'")
        assert jobs[0][0] == 0, "asked first, sent afterwards"

    browse(config, story)
