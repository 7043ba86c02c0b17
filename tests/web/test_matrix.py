"""P9, made from the router: every route × role × own or another's merchant × nobody; what is not written is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from piaoma.desk import applications, batches, questions, sessions, static_codes, tickets, tills
from piaoma.desk.roles import Role
from piaoma.store import milliseconds
from piaoma.web.app import ROUTES
from piaoma.web.console import access
from piaoma.web.console.rights import OPEN, OPERATORS, RIGHTS, Right
from tests.conftest import COMPANY, MEAL, Shop, new_shop
from tests.desk.receiving import photographed
from tests.web.browsing import browse, issue_by_pages
from tests.web.people import another_browser, csrf_of, hire, owner

OTHER_ID = "91110000600037341L"
# Addresses of customers and of everybody: no session is asked for, each has its own safeguards and tests.
PUBLIC = (
    "/s/",
    "/t/",
    "/a/",
    "/h/",
    "/my",
    "/titles",
    "/find",
    "/privacy",
    "/app.webmanifest",
    "/sw.js",
    "/offline",
    "/",
    "/help",
    "/support",
    "/feedback",
    "/news",
    "/version.json",
    "/verify",
    "/static/",
    "/favicon.ico",
    "/healthz",
    "/readyz",
    "/log/",
    "/schema/",
    "/api/v1/verify",
)


def routed() -> Iterator[tuple[str, str]]:
    """(method, path) of every route of the program."""
    for route in ROUTES:
        assert isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, route.path


def public(path: str) -> bool:
    return path == "/" or any(path.startswith(begin) for begin in PUBLIC if begin != "/")


def test_every_route_stands_in_one_table_and_every_entry_is_a_route() -> None:
    """A route without an entry fails here, and so does an entry without a route."""
    found = {key for key in routed() if not public(key[1])}
    assert found == RIGHTS.keys() | OPEN | OPERATORS
    assert not RIGHTS.keys() & (OPEN | OPERATORS)


def matrix_table() -> str:
    """The matrix as docs/access.md shows it."""
    heads = ["route", *(role.value for role in Role), "by PIN", "leaves the event", "may ask for a factor"]
    rows = [heads, ["---"] * len(heads)]
    for (method, path), right in RIGHTS.items():
        who = ["✓" if role in right.who else "–" for role in Role]
        asks = right.factor or ("special" if path == "/console/codes/new" and method == "POST" else "")
        rows.append([f"{method} `{path}`", *who, "✓" if right.pin else "–", right.changes, asks])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_the_document_shows_the_matrix_as_it_is() -> None:
    """docs/access.md, every cell; run this file as a script to write it anew."""
    assert matrix_table() in (Path(__file__).parents[2] / "docs" / "access.md").read_text(encoding="utf-8")


def test_a_route_without_an_entry_does_not_even_start() -> None:
    """Negative control: both a page that asks for a session, and one that does not."""

    async def guarded(request: object, session: object) -> None: ...

    async def bare(request: object) -> None: ...

    for endpoint in (access.page(guarded), bare):  # type: ignore[arg-type]
        with pytest.raises((KeyError, AssertionError)):
            access.declared([Route("/console/forgotten", endpoint)])


def test_only_what_changes_nothing_is_a_get() -> None:
    """A link that somebody is made to follow does nothing; all that posts leaves an event, but for the preview."""
    for (method, path), right in RIGHTS.items():
        silent = not right.changes
        assert silent == (method == "GET" or path in ("/console/codes/preview", "/console/codes/photo")), path


async def _addresses(client: httpx.AsyncClient, shop: Shop) -> dict[str, str]:
    """What the places in addresses stand for: rows of a shop that exist."""
    code = await shop.code()
    await issue_by_pages(client, code.token)
    client.cookies.clear()
    number = (await shop.office.database.read("SELECT number FROM invoices WHERE merchant_id = $1", shop.id))[0][0]
    shop_id = await tills.save_shop(shop.office, shop.actor, "一店", "", None, active=True)
    till_id = await tills.save_till(shop.office, shop.actor, "1 号台", shop_id)
    clerk = await hire(shop, Role.CLERK)
    return {
        "code_id": str(code.code_id), "number": number, "kind": "xml", "person_id": str(clerk.person_id),
        "till_id": str(till_id), "form_id": "F-" + number, "reissue_id": "R-" + number,
        "export_id": await _running_export(shop), "entry": (await photographed(shop)).number,
        "batch_id": await _batch(shop), "what": "faults", "ticket_id": await _ticket(shop),
        "finding_id": await _finding(shop), "file_id": await _statement(shop),
        **await _static_code(shop),
    }  # fmt: skip


async def _static_code(shop: Shop) -> dict[str, str]:
    """A static code with two applications that wait; the older one's number."""
    terms = static_codes.Terms(static_codes.Item(MEAL.name, MEAL.code, MEAL.rate))
    office = shop.office
    code = (await static_codes.make(office, shop.merchant, ["桌 8"], terms, make_key="k", by=shop.actor))[0]
    wanted = applications.Wanted(Decimal(58), office.now().date(), COMPANY)
    asked = [await applications.apply(office, code.token, "phone", wanted, apply_key=key) for key in ("a", "b")]
    return {"static_id": str(code.static_id), "application_id": str(asked[0].application_id)}


async def _batch(shop: Shop) -> str:
    """A sheet of one sale that is right and waits."""
    head = "购买方名称,项目名称,税收分类编码,含税金额,税率\n"
    data = (head + f"个人,{MEAL.name},{MEAL.code},58,6%\n").encode()
    return await batches.check_sheet(shop.office, shop.actor, "a.csv", data, "issue")


async def _ticket(shop: Shop) -> str:
    """A ticket of the shop's owner."""
    opened = await tickets.open_ticket(shop.office, await owner(shop), "slow", "很慢", tickets.Context())
    return str(opened.ticket_id)


async def _running_export(shop: Shop) -> str:
    """An export that another process is making."""
    now_ms = milliseconds(shop.office.now())
    async with shop.office.database.write() as transaction:
        await transaction.execute(
            "INSERT INTO exports (merchant_id, export_id, kind, layout, search, made_by, state, created_at_ms,"
            " changed_at_ms) VALUES ($1, $2, 'csv', 'line', '{}', 'test', 'running', $3, $3)",
            shop.id, f"e{shop.id}", now_ms,
        )  # fmt: skip
    return f"e{shop.id}"


async def _finding(shop: Shop) -> str:
    """A finding that nobody has marked."""
    async with shop.office.database.write() as transaction:
        await transaction.execute(
            "INSERT INTO findings (merchant_id, finding_id, rule, figures, numbers, invoices, found_at_ms)"
            " VALUES ($1, $2, 'numbers', '{\"left\": \"1\"}', '[]', 0, 0)",
            shop.id, f"numbers-2026-11-{shop.id}",
        )  # fmt: skip
    return f"numbers-2026-11-{shop.id}"


async def _statement(shop: Shop) -> str:
    """A statement that was taken in."""
    async with shop.office.database.write() as transaction:
        await transaction.execute(
            "INSERT INTO payment_files (merchant_id, file_id, name, digest, head, made_by, created_at_ms)"
            " VALUES ($1, $2, '流水.csv', $2, '', 'test', 0)",
            shop.id, f"p{shop.id}",
        )  # fmt: skip
    return f"p{shop.id}"


def _filled(path: str, values: dict[str, str]) -> str:
    filled = re.sub(r"{(\w+)}", lambda found: values[found[1]], path)
    return filled.replace("symbol.xml", "symbol.svg")


async def _ask(browser: httpx.AsyncClient, method: str, address: str, csrf: str, **fields: str) -> httpx.Response:
    if method == "GET":
        return await browser.get(address, params={"size": "58"})
    return await browser.post(address, data={"csrf": csrf, **fields})


def test_every_cell_of_the_matrix_is_as_written(tmp_path: Path) -> None:
    """Own merchant: what the table allows is answered, all else is 403 with ACCOUNT-ROLE, before the form is read.

    The requests that may pass carry no form but its token, so that nothing but the refusal of a role is tried here.
    """

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        values = await _addresses(client, shop)
        allowed = 0
        people = {Role.OWNER: await owner(shop)} | {role: await hire(shop, role) for role in Role if role != Role.OWNER}
        for role, session in people.items():
            browser = another_browser(client, session)
            csrf = await csrf_of(browser)
            for (method, path), right in RIGHTS.items():
                if path == "/console/logout" or (path.endswith("/events") and path != "/console/events"):
                    continue  # the stream does not end; logging out is tried below
                answer = await _ask(browser, method, _filled(path, values), csrf)
                refused = answer.status_code == 403 and "ACCOUNT-ROLE" in answer.text
                assert refused == (role not in right.who), (role, method, path, answer.status_code)
                assert answer.status_code < 500
                allowed += not refused
        assert allowed > 150
        for role, session in people.items():
            browser = another_browser(client, session)
            assert (await browser.post("/console/logout", data={"csrf": await csrf_of(browser)})).status_code == 303
            assert await sessions.session_of(shop.office, session.secret) is None, role

    browse(tmp_path, story)


def test_nobody_gets_past_the_matrix_when_it_is_taken_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the check a reader opens the owner's page of staff."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        browser = another_browser(client, await hire(shop, Role.READER))
        assert (await browser.get("/console/settings/people")).status_code == 403
        monkeypatch.setattr(access, "check_right", lambda request, session, right: None)
        assert (await browser.get("/console/settings/people")).status_code == 200

    browse(tmp_path, story)


def test_whoever_is_not_logged_in_reaches_nothing(tmp_path: Path) -> None:
    """Every guarded route: a look leads to the log-in, a form is refused; an operator's page is not there."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        values = await _addresses(client, shop)
        before = await _everything(shop)
        for method, path in RIGHTS:
            answer = await _ask(another_browser(client), method, _filled(path, values), "x")
            if method == "GET":
                assert answer.status_code == 303 and answer.headers["location"].startswith("/console/login"), path
            else:
                assert answer.status_code == 401, path
        reader = another_browser(client, await owner(shop))
        for method, path in OPERATORS:
            assert (await _ask(reader, method, path.replace("{merchant_id}", str(shop.id)), "x")).status_code == 404
            assert (await _ask(another_browser(client), method, path, "x")).status_code in (303, 404)
        after = await _everything(shop)
        assert after == before | {"sessions": after["sessions"], "events": after["events"]}

    browse(tmp_path, story)


async def _everything(shop: Shop) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table that a merchant's people can change."""
    tables = ("merchants", "people", "memberships", "codes", "goods", "invoices", "jobs", "shops", "tills", "factors",
              "challenges", "sessions", "events", "received_invoices", "received_files", "mailboxes", "drafts",
              "batches", "batch_rows", "code_requests")  # fmt: skip
    found = {}
    for table in tables:
        rows = await shop.office.database.read(f"SELECT * FROM {table} ORDER BY 1, 2")
        found[table] = [tuple(row[place] for place in range(len(row))) for row in rows]
    return found


FOREIGN = [(key, right) for key, right in RIGHTS.items() if "{" in key[1]]
FORMS = {
    "/console/codes/{code_id}": {"revoke": "1"},
    "/console/invoices/{number}": {"email": "a@example.cn"},
    "/console/settings/people/{person_id}": {"role": "reader", "off": "1"},
    "/console/received/{entry}": {"do": "book", "voucher": "记-1"},
}


def test_ids_of_another_merchant_are_as_ids_that_do_not_exist(tmp_path: Path) -> None:
    """The same 404 in the same words, and nothing of the other has changed; by address and by the fields of forms."""
    missing = {
        "code_id": "1",
        "number": "1" * 20,
        "kind": "xml",
        "person_id": "1",
        "till_id": "1",
        "form_id": "1",
        "reissue_id": "1",
        "export_id": "1",
        "finding_id": "1",
        "file_id": "1",
        "static_id": "1",
        "entry": "1",
        "application_id": "1",
        "batch_id": "1",
        "what": "faults",
        "ticket_id": "1",
    }

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        theirs = await new_shop(shop.office, OTHER_ID)
        values = await _addresses(client, theirs)
        goods, question = await _their_goods(theirs), await _their_question(theirs, values["number"])
        shop_id = str((await tills.shops(shop.office, theirs.id))[0].shop_id)
        session = await owner(shop)
        browser = another_browser(client, session)
        csrf = await csrf_of(browser)
        before = await _everything(shop)
        for (method, path), right in FOREIGN:
            assert isinstance(right, Right)
            form = FORMS.get(path, {})
            foreign, none = [
                await _ask(browser, method, _filled(path, each), csrf, **form) for each in (values, missing)
            ]
            assert foreign.status_code == none.status_code == 404, path
            told = [_without_ids(each) for each in (foreign, none)]
            assert told[0] == told[1], path
        for path, field, value in (
            ("/console/settings/goods", "goods_id", goods), ("/console/settings/shops", "shop_id", shop_id),
            ("/console/settings/tills", "shop_id", shop_id), ("/console/account/sessions", "session", "7"),
            ("/console/switch", "merchant", str(theirs.id)), ("/console/questions", "question", question),
        ):  # fmt: skip
            fields = {"name": "改", "till_name": "改", "remove": "1", "answer": "改"}
            answer = await browser.post(path, data={"csrf": csrf, field: value, **fields})
            assert answer.status_code == 404 and "NOT-FOUND" in answer.text, path
        page = await browser.post(
            "/console/settings/people/invite",
            data={"csrf": csrf, "person_name": "某", "role": "clerk", "shop_id": shop_id},
        )
        assert "SHOP-NOT-FOUND" in page.text
        assert await _everything(shop) == before
        for query in (
            f"/console/invoices?q={values['number']}",
            f"/console/codes?q={values['number']}",
            "/console/events",
        ):
            page = await browser.get(query)
            assert values["number"] not in re.sub(r'value="[^"]*"|href="[^"]*"|action="[^"]*"', "", page.text)

    browse(tmp_path, story)


async def _their_goods(theirs: Shop) -> str:
    """An item of another merchant."""
    from decimal import Decimal

    from piaoma.desk import goods

    item = goods.GoodsForm("餐费", "3070401000000000000", Decimal("0.06"), None)
    return str((await goods.save_goods(theirs.office, theirs.merchant, item, theirs.actor)).goods_id)


async def _their_question(theirs: Shop, number: str) -> str:
    """A question of a customer of another merchant."""
    await questions.ask(theirs.office, theirs.id, number, "title", "", "")
    return str((await questions.list_questions(theirs.office, theirs.id, "open")).items[0].question_id)


def _without_ids(answer: httpx.Response) -> str:
    """A page without its own address and the id of its request."""
    return re.sub(r"[0-9a-f]{16}", "…", answer.text.replace(answer.request.url.path, "…"))


def test_a_cursor_of_another_merchant_shows_nothing_of_his(tmp_path: Path) -> None:
    """A cursor is a place in time, not a key: with another's, one's own list is shown."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        theirs = await new_shop(shop.office, OTHER_ID)
        for _ in range(52):
            await shop.office.database.read("SELECT 1")
            async with shop.office.database.write() as transaction:
                from piaoma.desk.events import record

                await record(transaction, theirs.actor, shop.office.now(), "code.make", "THEIRS")
        there = another_browser(client, await owner(theirs))
        cursor = re.search(r"cursor=([\w%=-]+)", (await there.get("/console/events")).text)
        assert cursor is not None
        here = another_browser(client, await owner(shop))
        page = await here.get(f"/console/events?cursor={cursor[1]}")
        assert page.status_code == 200 and "THEIRS" not in page.text

    browse(tmp_path, story)


if __name__ == "__main__":
    print(matrix_table())
