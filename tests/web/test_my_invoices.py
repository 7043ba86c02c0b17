"""我的发票: the list of this browser, the list of an address by a link in a mail, and nobody else's."""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
from datetime import timedelta
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import httpx
import pytest

from piaoma.desk import mailed, shelf
from piaoma.desk.config import Config
from piaoma.web import my
from tests.conftest import Shop, new_shop
from tests.web.browsing import browse, issue_by_pages

OTHER_ID = "91110000600037341L"
ADDRESS = "li@example.cn"


async def issued(client: httpx.AsyncClient, shop: Shop, amount: str = "58.00") -> str:
    """The token of a code that this browser invoiced."""
    code = await shop.code(amount)
    page = await issue_by_pages(client, code.token)
    assert "发票已开具" in page.text
    return code.token


def stranger(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Another browser on the same application."""
    return httpx.AsyncClient(transport=client._transport, base_url="http://shop.test", headers=client.headers)


async def mails(shop: Shop) -> list[Message]:
    """What was handed over, after everything behind the answers is done."""
    await asyncio.gather(*shop.office.errands)
    while await shop.office.outbox.work_once():
        pass
    folder = shop.office.config.data_folder / "mail"
    return [message_from_bytes(file.read_bytes()) for file in folder.glob("*.eml")] if folder.exists() else []


def text_of(message: Message) -> str:
    part = next(each for each in message.walk() if each.get_content_type() == "text/plain")
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


async def link_of(shop: Shop) -> str:
    found = [re.search(r"/my/link/\S+", text_of(each)) for each in await mails(shop)]
    links = [each[0] for each in found if each]
    assert links
    return links[-1]


def test_the_list_of_this_browser_across_shops(config: Config) -> None:
    """Two shops, one list, newest first; found by words, shop, month, amount; another browser sees none of it."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        other = await new_shop(shop.office, OTHER_ID)
        tokens = [await issued(client, shop, "58.00"), await issued(client, other, "126.00")]
        page = await client.get("/my")
        assert page.text.count("/result") == 2 and "¥58.00" in page.text and "¥126.00" in page.text
        for query, there, not_there in (
            ("q=武汉某某", "58.00", "none"), ("min=100", "126.00", "¥58.00"), ("max=100", "58.00", "¥126.00"),
            (f"shop={other.id}", "126.00", "¥58.00"), (f"month={shop.office.now():%Y-%m}", "58.00", "none"),
        ):  # fmt: skip
            narrowed = (await client.get(f"/my?{query}")).text
            assert there in narrowed and not_there not in narrowed, query
        assert "没有符合条件" in (await client.get("/my?q=nothing")).text
        assert (await client.get("/my?min=abc")).status_code == 422
        assert "这台设备上还没有发票" in (await stranger(client).get("/my")).text
        for token in tokens:
            assert (await stranger(client).get(f"/s/{token}/file/pdf")).status_code == 404

    browse(config, story)


def test_the_list_works_after_a_year(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """S103: months later, and over the turn of a year."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issued(client, shop)
        now = shop.office.now
        await shelf.flush(shop.office)
        monkeypatch.setattr(shop.office, "now", lambda: now() + timedelta(days=500))
        assert "¥58.00" in (await client.get("/my")).text

    browse(config, story)


def test_a_forged_or_borrowed_holder_shows_nothing(config: Config) -> None:
    """The cookie is signed; a digest read from the database is no secret that opens anything."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issued(client, shop)
        await client.get("/my")
        row = (await shop.office.database.read("SELECT shelf FROM shelves"))[0][0]
        for value in (row, "x", 'InVzZXIi."forged"', client.cookies["pm_h"][:-2] + "xx"):
            other = stranger(client)
            other.cookies.set("pm_h", value)
            assert "¥58.00" not in (await other.get("/my")).text
        # Negative control: the same request with the right cookie shows it.
        other = stranger(client)
        other.cookies.set("pm_h", client.cookies["pm_h"])
        assert "¥58.00" in (await other.get("/my")).text

    browse(config, story)


def test_two_months_of_a_browser_cannot_be_told_to_belong_together(tmp_path: Path) -> None:
    """What the store holds of one browser differs from month to month, and from its secret."""
    digests = {shelf.shelf_digest("secret", month) for month in ("2026-11", "2026-12")}
    assert len(digests) == 2 and not any("secret" in each for each in digests)
    assert shelf.shelf_digest("secret", "2026-11") in digests  # and the same month is found again


def test_all_of_it_as_a_zip_and_by_mail(config: Config) -> None:
    """A zip with XML, PDF and OFD of each, readable by another program; a mail each to one address."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issued(client, shop, "58.00")
        await issued(client, shop, "59.00")
        answer = await client.get("/my/zip")
        assert answer.headers["content-type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            kinds = sorted(name.rpartition(".")[2] for name in archive.namelist())
            assert kinds == ["ofd", "ofd", "pdf", "pdf", "xml", "xml"]
        assert (await stranger(client).get("/my/zip")).status_code == 404
        await client.post("/my/send", data={"email": ADDRESS})
        assert len(await mails(shop)) == 2
        asked = await client.post("/my/send", data={"email": "li@gmial.com"})
        assert "li@gmail.com" in asked.text and len(await mails(shop)) == 2

    browse(config, story)


def test_taken_off_the_list_and_back_by_scanning(config: Config) -> None:
    """Only one's own; the invoice stays, and its code brings it back."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        page = await client.get("/my")
        button = re.search(r'name="remove" value="([^"]+)"', page.text)
        assert button is not None
        assert (await stranger(client).post("/my/remove", data={"remove": button[1]})).status_code == 404
        assert "¥58.00" in (await client.get("/my")).text
        await client.post("/my/remove", data={"remove": button[1]})
        assert "还没有发票" in (await client.get("/my")).text
        await client.get(f"/s/{token}")
        assert "¥58.00" in (await client.get("/my")).text
        for wrong in ("", "1", "x:y", "9" * 40, "1:' OR 1=1 --"):
            assert (await client.post("/my/remove", data={"remove": wrong})).status_code == 404

    browse(config, story)


def test_a_pick_up_code_puts_it_on_the_other_devices_list(config: Config) -> None:
    """S12 by the pick-up code: the second device lists it from then on."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        shown = re.search(r'<p class="key">(\w+) (\w+)</p>', (await client.get(f"/s/{token}/result")).text)
        assert shown is not None
        other = stranger(client)
        await other.post(f"/s/{token}/unlock", data={"pickup": shown[1] + shown[2]}, follow_redirects=True)
        assert "¥58.00" in (await other.get("/my")).text

    browse(config, story)


def test_a_link_by_mail_brings_the_list_to_another_device(config: Config) -> None:
    """Two browsers, one address: the same list after the link, nothing before it; only what was mailed there."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        sent, not_sent = await issued(client, shop, "58.00"), await issued(client, shop, "99.00")
        await client.post(f"/s/{sent}/send", data={"email": ADDRESS.upper().replace("EXAMPLE", "example")})
        await mails(shop)
        other = stranger(client)
        used = await other.get(f"/s/{sent}")
        assert "这个码已开过票" in used.text and 'href="/my#link"' in used.text, "S73: the way back"
        listed = await other.get("/my")
        assert "¥58.00" not in listed.text and 'id="link"' in listed.text and 'action="/my/link"' in listed.text
        await other.post("/my/link", data={"address": ADDRESS})
        link = await link_of(shop)
        assert "列到这台设备" in (await other.get(link)).text
        assert "¥58.00" not in (await other.get("/my")).text, "looking at a link, as mail servers do, shows nothing"
        listed = await other.post(link, follow_redirects=True)
        assert "¥58.00" in listed.text and "¥99.00" not in listed.text
        assert (await other.get(f"/s/{sent}/file/xml")).content.startswith(b"<?xml")
        assert (await other.get(f"/s/{not_sent}/file/xml")).status_code == 404
        again = await stranger(client).post(link)
        assert "LIST-LINK-GONE" in again.text and again.status_code == 410
        assert (await stranger(client).get(link)).status_code == 410

    browse(config, story)


def test_a_link_lasts_thirty_minutes_and_its_secret_is_not_stored(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashed in the store; a second later than half an hour it is gone; guesses find nothing."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        await client.post(f"/s/{token}/send", data={"email": ADDRESS})
        await mails(shop)
        secret = await mailed.make_link(shop.office, ADDRESS)
        rows = await shop.office.database.read("SELECT secret_hash, address FROM list_links")
        stored = f"{rows[0][0]} {rows[0][1]}"
        assert secret and secret not in stored and ADDRESS not in stored
        for guess in ("x", secret[:-1], rows[0][0], "../my"):
            assert (await client.post(f"/my/link/{guess}")).status_code in (404, 410), guess
        now = shop.office.now
        monkeypatch.setattr(shop.office, "now", lambda: now() + timedelta(minutes=29))
        assert await mailed.link_stands(shop.office, secret)
        monkeypatch.setattr(shop.office, "now", lambda: now() + timedelta(minutes=30, seconds=1))
        assert not await mailed.link_stands(shop.office, secret)
        assert (await client.post(f"/my/link/{secret}")).status_code == 410

    browse(config, story)


def test_nobody_learns_whether_an_address_is_known(config: Config) -> None:
    """The same answer, letter for letter; a mail for the known one only; asking is limited from one place and to one
    address, in memory and in the store."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        await client.post(f"/s/{token}/send", data={"email": ADDRESS})
        before = len(await mails(shop))
        other = stranger(client)
        answers = []
        for address in (ADDRESS, "nobody@example.cn"):
            answer = await other.post("/my/link", data={"address": address}, follow_redirects=True)
            answers.append(re.sub(r"[0-9a-f]{16}", "", answer.text))
        assert answers[0] == answers[1]
        assert len(await mails(shop)) == before + 1
        for _ in range(mailed.LINKS_MAX):
            await mailed.make_link(shop.office, ADDRESS)
        assert await mailed.make_link(shop.office, ADDRESS) == "", "enough links stand"
        codes = [(await other.post("/my/link", data={"address": f"a{n}@example.cn"})).status_code for n in range(6)]
        assert codes[-1] == 429
        assert "MAIL-ADDRESS" in (await other.post("/my/link", data={"address": "nonsense"})).text

    browse(config, story)


def test_two_who_use_a_link_at_once(config: Config) -> None:
    """One has the list, the other is told that it is gone."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        await client.post(f"/s/{token}/send", data={"email": ADDRESS})
        await mails(shop)
        secret = await mailed.make_link(shop.office, ADDRESS)
        browsers = [stranger(client) for _ in range(4)]
        answers = await asyncio.gather(*(each.post(f"/my/link/{secret}") for each in browsers))
        assert sorted(answer.status_code for answer in answers) == [303, 410, 410, 410]

    browse(config, story)


def test_what_is_held_can_be_taken_along_and_erased(config: Config) -> None:
    """S125 for consumers: the page says what, an export holds it, forgetting leaves neither rows nor cookies; erasing
    by a link ends finding by that address."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        await client.post(f"/s/{token}/send", data={"email": ADDRESS})
        await mails(shop)
        assert "抬头 1 个，发票 1 张" in (await client.get("/privacy")).text
        told = (await client.get("/my/export")).json()
        assert told["invoices"][0]["total"] == "58.00" and told["titles"][0]["name"] == "武汉某某科技有限公司"
        await client.post("/my/forget")
        assert not {"pm_h", "pm_t", "pm_g"} & set(client.cookies)
        assert (await shop.office.database.read("SELECT count(*) FROM shelves"))[0][0] == 0
        assert (await shop.office.database.read("SELECT count(*) FROM invoices"))[0][0] == 1
        secret = await mailed.make_link(shop.office, ADDRESS)
        await client.post(f"/my/link/{secret}", data={"erase": "1"})
        assert await mailed.make_link(shop.office, ADDRESS) == ""
        stored = await shop.office.database.read("SELECT count(*) FROM mailed")
        assert stored[0][0] == 0

    browse(config, story)


def test_an_address_is_kept_as_a_digest_that_needs_our_key(config: Config) -> None:
    """In the table there is no address, and another installation's digest of it is another."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        await client.post(f"/s/{token}/send", data={"email": ADDRESS})
        await mails(shop)
        row = (await shop.office.database.read("SELECT address FROM mailed"))[0][0]
        assert row == mailed.address_digest(shop.office, " LI@example.CN ") and "example" not in row
        shop.office.cookie_key = b"another installation's key......"
        assert row != mailed.address_digest(shop.office, ADDRESS)

    browse(config, story)


def test_forms_from_elsewhere_change_nothing(config: Config) -> None:
    """Removing, forgetting, asking for links: only from our own pages."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issued(client, shop)
        for path in ("/my/forget", "/my/remove", "/my/send", "/my/link", "/titles"):
            answer = await client.post(path, data={"forget": "1"}, headers={"origin": "https://evil.test"})
            assert answer.status_code == 403, path
        assert "¥58.00" in (await client.get("/my")).text and "武汉某某" in (await client.get("/titles")).text

    browse(config, story)


def test_what_is_typed_is_never_markup(config: Config) -> None:
    """In searches, counters and titles."""
    evil = '"><script>alert(1)</script>'

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issued(client, shop)
        for name in ("q", "shop", "month", "min", "came", "page", "edit", "back"):
            for path in ("/my", "/titles"):
                assert "<script>alert" not in (await client.get(path, params={name: evil})).text
        page = await client.post("/titles", data={"save": "new", "name": evil, "taxpayer_id": "91110108690017781B"})
        assert "<script>alert" not in page.text + (await client.get("/titles")).text

    browse(config, story)


def test_a_long_list_has_pages_and_a_bound(config: Config) -> None:
    """Twenty a page; a page beyond the last is the last."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for _ in range(shelf.LIST_MAX + 1):
            await issued(client, shop)
        first = await client.get("/my")
        assert first.text.count('name="remove"') == shelf.LIST_MAX and "共 21 张" in first.text
        for page in ("2", "9999"):
            assert (await client.get(f"/my?page={page}")).text.count('name="remove"') == 1
        assert my.ZIP_MAX >= shelf.LIST_MAX
        # Every page of a customer, with what it loads, stays below 30 kB on the wire and three requests.
        token = (await shop.code()).token
        result = await issue_by_pages(client, token)
        loaded = re.findall(r'(?:stylesheet" href|<script src)="([^"]+)"', result.text)
        assert len(loaded) == 2
        for path in ("/my", "/titles", "/privacy", f"/s/{token}/result", f"/s/{token}/ask", f"/s/{token}/picture"):
            total = 0
            for address in (path, *loaded):
                async with client.stream("GET", address, headers={"accept-encoding": "gzip"}) as answer:
                    total += sum([len(part) async for part in answer.aiter_raw()])
            assert total < 30_000, (path, total)

    browse(config, story)
