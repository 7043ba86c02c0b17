"""Pages over the real application: every state, every wrong request, no 500, nothing stored by looking."""

from __future__ import annotations

import asyncio
import gzip
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from starlette.routing import Route

from piaoma.desk.config import Config
from piaoma.documents import html_view
from piaoma.documents.formats import FORMATS, file_name
from piaoma.invoice.refusal import causes
from piaoma.web.app import ROUTES
from piaoma.web.page import static_files, words
from tests.conftest import PERSON, Shop, new_shop
from tests.web.browsing import browse, hidden, issue_by_pages, log_in


def test_a_customer_without_scripts_gets_the_invoice(config: Config) -> None:
    """Scan, title, confirm, files; scanning again shows it; the address works in small letters too."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        page = await client.get(f"/S/{code.token.lower()}")
        assert "58.00" in page.text and "测试小馆" in page.text and "91420100MA4K00000Q" in page.text
        assert "测试样票" in page.text
        result = await issue_by_pages(client, code.token)
        assert "发票已开具" in result.text and "伍拾捌圆整" in result.text
        for kind, begin in (("pdf", b"%PDF"), ("ofd", b"PK\x03\x04"), ("xml", b"<?xml")):
            file = await client.get(f"/s/{code.token}/file/{kind}")
            assert file.content.startswith(begin)
            assert "%E7%94%B5%E5%AD%90%E5%8F%91%E7%A5%A8" in file.headers["content-disposition"]
        assert "发票已开具" in (await client.get(f"/S/{code.token}")).text

    browse(config, story)


def test_every_form_of_an_invoice_can_be_saved(config: Config) -> None:
    """What the pages link to is there, for customer and shop the same; an unknown kind is refused in words."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        page = await issue_by_pages(client, code.token)
        number = (await client.get(f"/s/{code.token}/state.json")).json()["number"]
        await log_in(client, shop)
        console = await client.get(f"/console/invoices/{number}")
        original = (await client.get(f"/s/{code.token}/file/xml")).content
        for kind, write in FORMATS.items():
            links = (f"/s/{code.token}/file/{kind}", f"/console/invoices/{number}/file/{kind}")
            assert links[0] in page.text and links[1] in console.text
            for file in [await client.get(link) for link in links]:
                assert file.content == write(original)
                assert quote(file_name(number, kind)) in file.headers["content-disposition"]
        wrong = await client.get(f"/s/{code.token}/file/docx")
        assert wrong.status_code == 422 and "DOCUMENT-KIND" in wrong.text

    browse(config, story)


def test_an_invoice_is_shown_as_a_page_under_a_policy_of_its_own(config: Config) -> None:
    """In the browser and not saved; its one style is allowed by hash, scripts and forms by nothing. Other pages keep
    theirs."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        await issue_by_pages(client, code.token)
        shown = await client.get(f"/s/{code.token}/file/html")
        assert shown.headers["content-type"] == "text/html; charset=utf-8"
        assert shown.headers["content-disposition"].startswith("inline")
        assert shown.headers.get_list("content-security-policy") == [html_view.policy()]
        assert html_view.policy().endswith("sandbox") and "script" not in html_view.policy()
        assert shown.headers["x-content-type-options"] == "nosniff"
        page = await client.get(f"/S/{code.token}")
        assert "script-src 'self'" in page.headers["content-security-policy"]

    browse(config, story)


def test_a_person_is_offered_no_file_for_books(tmp_path: Path) -> None:
    """Nobody keeps books under no id: no link, and asking all the same gets the reason."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code(buyer=PERSON)
        page = await client.get(f"/S/{code.token}")
        data = {"confirmation": hidden(page, "confirmation")}
        result = await client.post(f"/s/{code.token}/confirm", data=data, follow_redirects=True)
        assert "file/ubl" in result.text and "file/xbrl" not in result.text
        asked = await client.get(f"/s/{code.token}/file/xbrl")
        assert asked.status_code == 422 and "XBRL-NO-ENTITY" in asked.text

    browse(tmp_path, story)


def test_the_schema_of_the_json_has_an_address(tmp_path: Path) -> None:
    """The one that the document names, readable from any page."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        answer = await client.get("/schema/invoice-v1.json")
        assert answer.headers["content-type"] == "application/schema+json"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.json()["$id"] == "urn:piaoma:schema:invoice:1"

    browse(tmp_path, story)


def test_a_returning_customer_has_one_button(config: Config) -> None:
    """The second code shows the title of the first on the button; one request issues."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issue_by_pages(client, (await shop.code()).token)
        second = await shop.code("126.00")
        page = await client.get(f"/S/{second.token}")
        assert re.search(r"确认开票 ¥126.00<small>武汉某某科技有限公司", page.text)
        result = await client.post(
            f"/s/{second.token}/confirm", data={"confirmation": hidden(page, "confirmation")}, follow_redirects=True
        )
        assert "发票已开具" in result.text

    browse(config, story)


def test_a_stranger_sees_a_masked_title_and_no_file(config: Config) -> None:
    """Without the cookie: 已开, masked; the pick-up code opens it, a wrong one does not, guessing is slowed."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        mine = await issue_by_pages(client, code.token)
        pickup = re.search(r'class="key">(\w{4}) (\w{4})<', mine.text)
        assert pickup is not None
        client.cookies.clear()
        other = await client.get(f"/S/{code.token}")
        assert "武****公司" in other.text and "某某科技" not in other.text and "取票码" in other.text
        assert f"{shop.office.now():%Y-%m-%d}" in other.text, "S72: the day on which it was invoiced"
        assert (await client.get(f"/s/{code.token}/file/pdf")).status_code == 404
        for _ in range(3):
            wrong = await client.post(f"/s/{code.token}/unlock", data={"pickup": "00000000"})
            assert wrong.status_code == 403
        opened = await client.post(
            f"/s/{code.token}/unlock", data={"pickup": pickup[1] + pickup[2].lower()}, follow_redirects=True
        )
        assert "发票已开具" in opened.text
        statuses = [
            (await client.post(f"/s/{code.token}/unlock", data={"pickup": "00000000"})).status_code for _ in range(8)
        ]
        assert 429 in statuses

    browse(config, story)


def test_opening_never_issues(config: Config) -> None:
    """GET and HEAD by anybody change no table at all."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()

        async def everything() -> list[Any]:
            read = shop.office.database.read
            rows = [[row[column] for column in range(len(row))] for row in await read("SELECT * FROM codes")]
            return [rows, (await read("SELECT count(*) FROM issues"))[0][0]]

        before = await everything()
        for path in ("", "/result", "/preview", "/state.json"):
            for method in ("GET", "HEAD"):
                await client.request(method, f"/S/{code.token}{path}")
        assert await everything() == before

    browse(config, story)


def test_a_confirm_without_cookies_still_leads_to_the_invoice(config: Config) -> None:
    """A browser that keeps none is brought to the result by the pick-up code in its address."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        page = await client.post(f"/s/{code.token}/title", data={"person": "1"}, follow_redirects=True)
        form = {"confirmation": hidden(page, "confirmation")}
        client.cookies.clear()
        done = await client.post(f"/s/{code.token}/confirm", data=form)
        client.cookies.clear()
        assert "发票已开具" in (await client.get(done.headers["location"])).text

    browse(config, story)


def test_double_tap_back_and_reload_give_one_invoice(config: Config) -> None:
    """The same form sent many times, also at once, and a fresh form afterwards."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        page = await client.post(f"/s/{code.token}/title", data={"person": "1"}, follow_redirects=True)
        again = await client.get(f"/S/{code.token}")
        forms = [hidden(page, "confirmation")] * 5 + [hidden(again, "confirmation")] * 5
        await asyncio.gather(*(client.post(f"/s/{code.token}/confirm", data={"confirmation": one}) for one in forms))
        assert (await shop.office.database.read("SELECT count(*) FROM invoices"))[0][0] == 1

    browse(config, story)


def test_a_form_of_another_code_or_a_forged_one_issues_nothing(config: Config) -> None:
    """What the button stands for is signed and bound to its code."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code, other = await shop.code(), await shop.code("1.00")
        page = await client.post(f"/s/{other.token}/title", data={"person": "1"}, follow_redirects=True)
        signed = hidden(page, "confirmation")
        for form in (signed, signed[:-3] + "abc", "", "x"):
            answer = await client.post(f"/s/{code.token}/confirm", data={"confirmation": form})
            assert answer.status_code == 403
        foreign = await client.post(
            f"/s/{other.token}/confirm", data={"confirmation": signed}, headers={"origin": "http://evil.test"}
        )
        assert foreign.status_code == 403
        assert (await shop.office.database.read("SELECT count(*) FROM issues"))[0][0] == 0

    browse(config, story)


def test_eight_bad_codes_have_their_own_pages(config: Config) -> None:
    """Forged, cut, of another key, guessed: refused before the store; expired and revoked: told so."""
    from piaoma.codes import token as tokens

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        bad = {
            "0" * 20: "CODE-FORGED", code.token[:-1]: "CODE-MALFORMED", "UUUUUUUUUUUUUUUUUUUU": "CODE-MALFORMED",
            tokens.seal(b"x" * 32, shop.id, code.code_id): "CODE-FORGED",
            tokens.seal(shop.office.token_keys[0], shop.id, 5): "CODE-NOT-FOUND",
        }  # fmt: skip
        for token, cause in bad.items():
            page = await client.get(f"/S/{token}")
            assert page.status_code == 404 and cause in page.text
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE codes SET expires_at_ms = 1")
        assert "已过期" in (await client.get(f"/S/{code.token}")).text
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE codes SET state = 'revoked'")
        assert "已作废" in (await client.get(f"/S/{code.token}")).text

    browse(config, story)


def test_bad_requests_get_a_clear_error_and_never_a_500(config: Config) -> None:
    """Malformed, oversized, deep and hostile bodies on every POST, wrong methods on every route."""
    bodies: list[tuple[bytes, str]] = [
        (b"", "application/x-www-form-urlencoded"), (b"\xff\xfe=%ff", "application/x-www-form-urlencoded"),
        (b"a=" + b"x" * 30_000, "application/x-www-form-urlencoded"),
        (b"&".join([b"a=1"] * 2000), "application/x-www-form-urlencoded"),
        (b"x" * 1_100_000, "application/x-www-form-urlencoded"), (b"{" * 5000, "application/json"),
        (b"name=%00", "application/x-www-form-urlencoded"), (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"amount1=NaN&csrf=x", "application/x-www-form-urlencoded"),
    ]  # fmt: skip

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        secret = (await _login(shop)).secret
        fillers = {"secret": "x", "merchant_id": "1", "person_id": "1", "till_id": "1"}
        fillers |= {"token": code.token, "code_id": str(code.code_id), "number": "1" * 20, "kind": "pdf",
                    "cause": "X-Y", "hash": "a", "name": "b", "export_id": "0" * 16, "form_id": "x",
                    "reissue_id": "x"}  # fmt: skip
        for route in ROUTES:
            assert isinstance(route, Route)
            path = re.sub(r"{(\w+)}", lambda found: fillers.get(found[1], "1"), route.path)
            if path.endswith("/events"):
                continue
            client.cookies.set("pm_s", secret)
            for method in ("GET", "PUT", "DELETE"):
                answer = await client.request(method, path)
                assert answer.status_code < 500, (method, path)
                if not 300 <= answer.status_code < 400:  # a redirect shows nothing
                    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            if "POST" in (route.methods or ()):
                for body, kind in bodies:
                    answer = await client.post(path, content=body, headers={"content-type": kind})
                    assert answer.status_code < 500, (path, body[:20])
        assert (await shop.office.database.read("SELECT count(*) FROM invoices"))[0][0] == 0

    browse(config, story)


async def _login(shop: Shop) -> Any:
    from piaoma.desk import accounts

    rows = await shop.office.database.read("SELECT login FROM people LIMIT 1")
    return await accounts.log_in(shop.office, rows[0][0], "a long password")


def test_problems_are_machine_readable(config: Config) -> None:
    """RFC 9457 with the cause code for programs."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        answer = await client.get("/S/" + "0" * 20, headers={"accept": "application/json"})
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["status"], problem["cause"], problem["type"]) == (404, "CODE-FORGED", "/help/CODE-FORGED")

    browse(config, story)


def test_the_console_is_closed_to_others(config: Config) -> None:
    """Without a session every console page leads to the login; another merchant's rows are not found."""
    open_paths = {"/console/login", "/console/register", "/console/till", "/console/login/second/passkey"}

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        await issue_by_pages(client, code.token)
        number = (await shop.office.database.read("SELECT number FROM invoices"))[0][0]
        client.cookies.clear()
        own = [route.path for route in ROUTES if isinstance(route, Route) and route.path.startswith("/console")]
        for path in {re.sub(r"{\w+}", "1", path) for path in own} - open_paths:
            answer = await client.get(path)
            assert answer.status_code in (303, 405), path
        other = await new_shop(shop.office, "91110000600037341L")
        rows = await other.office.database.read(
            "SELECT login FROM people ORDER BY created_at_ms DESC, person_id LIMIT 5"
        )
        from piaoma.desk import accounts

        for row in rows:
            session = await accounts.log_in(shop.office, row[0], "a long password")
            if session.merchant_id == other.id:
                client.cookies.set("pm_s", session.secret)
        for path in (
            f"/console/codes/{code.code_id}",
            f"/console/invoices/{number}",
            f"/console/invoices/{number}/file/xml",
        ):
            assert (await client.get(path)).status_code == 404, path
        page = (await client.get("/console/invoices?q=" + number)).text
        echoed = re.sub(rf'value="{number}"|(?:href|action)="[^"]*\?q={number}[^"]*"', "", page)
        assert number not in echoed

    browse(config, story)


def test_a_wrong_password_and_no_account_are_told_in_the_same_words(config: Config) -> None:
    """And a form without its token changes nothing."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        login = (await shop.office.database.read("SELECT login FROM people"))[0][0]
        pages = [
            (await client.post("/console/login", data={"login": who, "password": "wrong password"})).text
            for who in (login, "nobody")
        ]
        cleaned = [re.sub(r'[0-9a-f]{16}|value="[^"]*"', "", page) for page in pages]
        assert cleaned[0] == cleaned[1] and "ACCOUNT-LOGIN-WRONG" in pages[0]
        client.cookies.set("pm_s", (await _login(shop)).secret)
        changed = await client.post("/console/settings/profile", data={"shop_name": "改名", "drawer": "某"})
        assert changed.status_code == 403
        assert (await client.get("/console/login?next=//evil.test")).text.count('name="next" value="/console"') == 1

    browse(config, story)


def test_registration_refuses_everything_at_once(config: Config) -> None:
    """Name, id, login and password, each at its field; what was typed is kept, but for the password."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        form = {"name": "<b>", "taxpayer_id": "91420100MA4K00000R", "login": "a b", "password": "short"}
        page = await client.post("/console/register", data=form)
        assert page.status_code == 422
        for cause in ("TEXT-ANGLE-BRACKET", "TITLE-ID-CHECKSUM", "ACCOUNT-LOGIN-FORM", "ACCOUNT-PASSWORD-SHORT"):
            assert f"/help/{cause}" in page.text
        assert "91420100MA4K00000R" in page.text and "short" not in page.text

    browse(config, story)


def test_every_cause_has_a_help_page_in_both_languages(config: Config) -> None:
    """No orphan either way."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for code in causes():
            for language in ("zh", "en"):
                page = await client.get(f"/help/{code}?lang={language}")
                assert page.status_code == 200 and code in page.text

    browse(config, story)


def test_the_scan_page_is_light(config: Config) -> None:
    """Page, style and script: three requests, under 30 kB compressed; no address of anybody else."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        page = await client.get(f"/S/{(await shop.code()).token}")
        linked = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
        assert len(linked) == 2
        weight = len(gzip.compress(page.content))
        for address in linked:
            file = await client.get(address)
            assert "immutable" in file.headers["cache-control"]
            weight += len(gzip.compress(file.content))
        assert weight < 30_000
        assert not re.search(r'(?:src|href)="https?://', page.text)
        assert len(gzip.compress(static_files()["scan.js"][1])) < 8_000

    browse(config, story)


def test_words_are_complete_and_templates_speak_through_them() -> None:
    """Both languages for every word; no Chinese in a template; every word that a template names exists."""
    for key, texts in words().items():
        assert set(texts) == {"zh", "en"} and all(texts.values()), key
    folder = Path(__file__).parents[2] / "src" / "piaoma" / "web" / "templates"
    used: set[str] = set()
    for file in folder.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"[\u4e00-\u9fff]", text), file.name
        used |= set(re.findall(r"\bt\('(\w+)'[,)]", text))
    assert used <= set(words())


def test_logs_hold_no_token() -> None:
    """The path of a code is cut, and so is that of an invitation and of a link to a new password."""
    from piaoma.web.middleware import shown_path

    assert shown_path("/s/ABCDEFGH/result") == "/s/…/result"
    assert (shown_path("/join/SECRET"), shown_path("/recover/SECRET")) == ("/join/…", "/recover/…")
