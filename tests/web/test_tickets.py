"""S116, S117, S120: what somebody tells support, what comes along, what support may see, and what he reads of it."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from piaoma.desk import operators, receipts, tickets
from piaoma.desk.config import Config
from piaoma.desk.events import list_events
from piaoma.desk.roles import Role
from piaoma.web.help import checking
from tests.conftest import Shop, new_shop
from tests.web.browsing import browse, hidden, issue_by_pages
from tests.web.people import PASSWORD, another_browser, csrf_of, hire, mails, owner
from tests.web.test_matrix import OTHER_ID


async def _operator(client: httpx.AsyncClient, shop: Shop) -> httpx.AsyncClient:
    await operators.add_operator(shop.office.database, shop.office.now(), "platform", PASSWORD)
    browser = another_browser(client)
    await browser.post("/console/login", data={"login": "platform", "password": PASSWORD})
    return browser


async def _first_ticket(platform: httpx.AsyncClient) -> str:
    """The address of the newest ticket that waits."""
    found = re.search(r'class="open" href="(/operator/tickets/[^"]+)"', (await platform.get("/operator/tickets")).text)
    assert found is not None
    return found[1]


def test_from_an_error_to_an_answer_without_an_account(config: Config) -> None:
    """A customer meets an error, follows its link: cause, request and page are in the ticket, no token is; support
    answers, the mail arrives, the page shows it; the address is erased in time."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = (await shop.code()).token
        error = await client.get(f"/s/{token[:-1]}0" if token[-1] != "0" else f"/s/{token[:-1]}1")
        link = re.findall(r'href="(/support\?[^"]+cause=[^"]+)"', error.text)[-1].replace("&amp;", "&")
        form = await client.get(link)
        fields = {name: hidden(form, name) for name in ("page", "cause", "request", "device")}
        assert fields["cause"].startswith("CODE-") and fields["request"] == error.headers["x-request-id"]
        assert token[:19] not in str(fields)
        empty = await client.post("/support", data={**fields, "line": " "})
        assert (
            empty.status_code == 422 and "TICKET-EMPTY" in empty.text and hidden(empty, "request") == fields["request"]
        )
        told = {**fields, "topic": "cannot-scan", "line": "扫了没反应", "email": "guest@example.cn"}
        page = await client.post("/support", data=told, follow_redirects=True)
        address = page.url.path
        assert "等客服回复" in page.text and "扫了没反应" in page.text
        platform = await _operator(client, shop)
        place = await _first_ticket(platform)
        seen = await platform.get(place)
        assert fields["cause"] in seen.text and fields["request"] in seen.text and "✓ 系统" in seen.text
        assert "guest@example.cn" not in seen.text, "support sees that there is an address, not which"
        answer = {"csrf": hidden(seen, "csrf"), "text": "请擦一下镜头"}
        assert (await platform.post(place, data={"text": "x"})).status_code == 403, "without the token nothing"
        assert (await platform.post(place, data=answer)).status_code == 303
        page = await client.get(address)
        assert "客服已回复" in page.text and "请擦一下镜头" in page.text and "platform" not in page.text
        mail = (await mails(shop))[-1]
        assert mail["To"] == "guest@example.cn" and "请擦一下镜头" in mail.get_content()
        assert address.rpartition("/")[2] not in mail.get_content(), "the secret link goes by no mail"
        assert (await client.post(address, data={"text": "好了"})).status_code == 303
        assert "等客服回复" in (await client.get(address)).text
        assert (await client.post(address, data={"close": "1"})).status_code == 303
        for wrong in (address[:-1] + ("x" if address[-1] != "x" else "y"), f"/support/1/{address.rpartition('/')[2]}"):
            assert (await client.get(wrong)).status_code == 404
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE tickets SET changed_at_ms = changed_at_ms - 2700000000")
        assert await receipts.purge_contacts(shop.office) >= 1
        assert (await shop.office.database.read("SELECT contact FROM tickets"))[0][0] == ""

    browse(config, story)


def test_a_merchants_ticket_is_his_alone(tmp_path: Path) -> None:
    """Its people see it, another merchant's do not; the same words are one ticket; twenty that wait are the most; a
    number that is not one's own is refused."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        theirs = await new_shop(shop.office, OTHER_ID)
        session = await owner(shop)
        opened = [await tickets.open_ticket(shop.office, session, "slow", "很慢", tickets.Context()) for _ in range(2)]
        assert opened[0].ticket_id == opened[1].ticket_id
        clerk = another_browser(client, await hire(shop, Role.CLERK))
        stranger = another_browser(client, await owner(theirs))
        path = f"/console/support/{opened[0].ticket_id}"
        assert "很慢" in (await clerk.get("/console/support")).text and (await clerk.get(path)).status_code == 200
        assert "很慢" not in (await stranger.get("/console/support")).text
        assert (await stranger.get(path)).status_code == 404
        csrf = await csrf_of(stranger)
        assert (await stranger.post(path, data={"csrf": csrf, "text": "x"})).status_code == 404
        form = await clerk.get("/support")
        sent = {"csrf": hidden(form, "csrf"), "topic": "wrong-data", "line": "错了", "number": "1" * 20}
        refused = await clerk.post("/support", data=sent)
        assert refused.status_code == 404 and "INVOICE-NOT-FOUND" in refused.text and "错了" in refused.text
        assert (await clerk.post("/support", data={**sent, "csrf": "x"})).status_code == 403
        for place in range(tickets.OPEN_MAX - 1):
            await tickets.open_ticket(shop.office, session, "slow", f"很慢 {place}", tickets.Context())
        with pytest.raises(Exception, match="TICKET-TOO-MANY"):
            await tickets.open_ticket(shop.office, session, "slow", "还慢", tickets.Context())

    browse(tmp_path, story)


def test_support_sees_an_invoice_only_while_the_merchant_lets_it(tmp_path: Path) -> None:
    """S116: no look without consent, a look within three days, none after; each look stands in the merchant's trail."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issue_by_pages(another_browser(client), (await shop.code()).token)
        number = (await shop.office.database.read("SELECT number FROM invoices"))[0][0]
        session = await owner(shop)
        opened = await tickets.open_ticket(
            shop.office, session, "wrong-data", "抬头错了", tickets.Context(), number=number
        )
        platform, boss = await _operator(client, shop), another_browser(client, session)
        place, path = await _first_ticket(platform), f"/console/support/{opened.ticket_id}"
        form = {"csrf": hidden(await platform.get(place), "csrf"), "look": "1"}
        refused = await platform.post(place, data=form)
        assert refused.status_code == 403 and "TICKET-NO-CONSENT" in refused.text
        csrf = await csrf_of(boss)
        assert (await boss.post(path, data={"csrf": csrf, "look": "yes"})).status_code == 303
        pdf = await platform.post(place, data=form)
        assert pdf.status_code == 200 and pdf.content.startswith(b"%PDF")
        kinds = [one.kind for one in (await list_events(shop.office, shop.id, kind="ticket.")).items]
        assert kinds == ["ticket.look", "ticket.reply", "ticket.open"]
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE tickets SET look_until_ms = look_until_ms - 259200000")
        assert (await platform.post(place, data=form)).status_code == 403, "three days are over"
        assert (await boss.post(path, data={"csrf": csrf, "look": "yes"})).status_code == 303
        assert (await boss.post(path, data={"csrf": csrf, "look": "no"})).status_code == 303
        assert (await platform.post(place, data=form)).status_code == 403, "taken back"

    browse(tmp_path, story)


def test_support_leads_to_the_correction_and_it_is_logged_as_supports(tmp_path: Path) -> None:
    """S117: of an invoice that was issued to its 换开; the merchant has a button, and his trail says who led him."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issue_by_pages(another_browser(client), (await shop.code()).token)
        number = (await shop.office.database.read("SELECT number FROM invoices"))[0][0]
        session = await owner(shop)
        about = {"": ["codes", "profile"], number: ["reissue", "red", "codes", "profile"]}
        platform, boss = await _operator(client, shop), another_browser(client, session)
        for asked, ways in about.items():
            opened = await tickets.open_ticket(
                shop.office, session, "wrong-data", f"错了 {asked}", tickets.Context(), number=asked
            )
            place = f"/operator/tickets/{shop.id}/{opened.ticket_id}"
            page = await platform.get(place)
            assert re.findall(r'<option value="(\w+)"', page.text) == ways
        answer = {"csrf": hidden(page, "csrf"), "text": "请换开", "way": "reissue"}
        assert (await platform.post(place, data=answer)).status_code == 303
        seen = await boss.get(f"/console/support/{opened.ticket_id}")
        way = f"/console/invoices/{number}/reissue"
        assert f'href="{way}"' in seen.text and (await boss.get(way)).status_code == 200
        event = (await list_events(shop.office, shop.id, kind="ticket.answer")).items[0]
        assert event.person_name == "platform" and event.after["link"] == way
        assert "回复工单" in (await platform.get("/operator/trail")).text

    browse(tmp_path, story)


def test_feedback_takes_two_taps_and_no_name(tmp_path: Path) -> None:
    """S120: page and version arrive, nobody's address; the sender sees its state; support sees the month."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        home = await client.get("/")
        link = re.search(r'href="(/feedback\?[^"]+)"', home.text)
        assert link is not None
        form = await client.get(link[1].replace("&amp;", "&"))
        sent = {"page": hidden(form, "page"), "request": hidden(form, "request"), "csrf": "", "bad": "1"}
        page = await client.post("/feedback", data=sent, follow_redirects=True)
        assert "收到" in page.text and "等客服回复" in page.text
        platform = await _operator(client, shop)
        seen = await platform.get(await _first_ticket(platform))
        assert "反馈：不好用" in seen.text and re.search(r"\+[0-9a-f]{8}", seen.text) and ">/<" in seen.text
        row = (await shop.office.database.read("SELECT contact, person_id, person_name FROM tickets"))[0]
        assert (row[0], row[1], row[2]) == ("", None, "")
        assert "近 30 天" in (await platform.get("/operator/tickets")).text

    browse(tmp_path, story)


def test_tickets_and_codes_are_not_to_be_guessed_by_the_help(tmp_path: Path) -> None:
    """Rates: tickets told from one address, codes checked by the help; both say when to go on."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        answers = [await client.post("/support", data={"line": f"慢 {place}"}) for place in range(7)]
        assert [one.status_code for one in answers][-1] == 429 and "REQUEST-TOO-MANY" in answers[-1].text
        answers = [await client.get(f"/help/cannot-scan?check=1&typed={place}") for place in range(25)]
        assert "REQUEST-TOO-MANY" in answers[-1].text and "REQUEST-TOO-MANY" not in answers[0].text
        assert checking._codes is not None
        assert (await client.get("/help/slow?check=1")).text.count("data-check") == 3

    browse(tmp_path, story)
