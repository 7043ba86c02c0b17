"""S8, S9, S107: people, their devices, shops and tills; whoever is switched off is out with his next request."""

from __future__ import annotations

import gzip
import re
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from piaoma.desk import accounts, events, merchant, scan, sessions, staff, tills
from piaoma.desk.config import Config
from piaoma.desk.mint import mint
from piaoma.desk.roles import Role
from piaoma.desk.sessions import Client
from piaoma.invoice.refusal import Refused
from piaoma.store import IssueState
from piaoma.web.console import entry
from tests.conftest import COMPANY, Shop, new_shop
from tests.web.browsing import browse, hidden
from tests.web.people import PASSWORD, alive, another_browser, at_once, csrf_of, hire, mails, owner, prove

OTHER_ID = "91110000600037341L"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def test_an_invitation_brings_somebody_in_once(config: Config) -> None:
    """The owner makes it, the link opens without an account, two who take it at once are one; used, it is dead."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        browser = another_browser(client, await owner(shop))
        form = {"csrf": await csrf_of(browser), "person_name": "小李", "role": "cashier", "email": "li@example.cn"}
        made = await browser.post("/console/settings/people/invite", data=form)
        link = re.search(r'value="http://shop.test(/join/[\w-]+)"', made.text)
        assert link is not None and link[1] in str((await mails(shop))[-1].get_content())
        kept = await shop.office.database.read("SELECT digest FROM challenges")
        assert link[1].rpartition("/")[2] not in kept[0][0]
        page = await client.get(link[1])
        assert "武汉测试餐饮有限公司" in page.text and "收银员" in page.text
        for wrong in ({"login": "a b", "password": PASSWORD}, {"login": "li", "password": "short"}):
            assert (await client.post(link[1], data=wrong)).status_code == 422
        answers = await at_once(
            another_browser(client).post(link[1], data={"login": "xiaoli", "password": PASSWORD}),
            another_browser(client).post(link[1], data={"login": "another", "password": PASSWORD}),
        )
        assert sorted(answer.status_code for answer in answers) == [303, 404]
        assert (await client.get(link[1])).status_code == 404
        people = await staff.members(shop.office, shop.id)
        assert sorted(one.role for one in people) == [Role.CASHIER, Role.OWNER]
        assert [one.name for one in people if one.role is Role.CASHIER] == ["小李"]

    browse(config, story)


def test_an_invitation_dies_with_time_and_when_it_is_withdrawn(config: Config) -> None:
    """A week, or one tap of the owner."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        first = await staff.invite(shop.office, shop.actor, "某", Role.CLERK, "", None)
        await staff.withdraw_invitations(shop.office, shop.actor)
        second = await staff.invite(shop.office, shop.actor, "某", Role.CLERK, "", None)
        assert (await staff.invitation(shop.office, second)).role is Role.CLERK
        now = shop.office.now
        shop.office.now = lambda: now() + timedelta(days=staff.INVITE_DAYS, seconds=1)
        for secret in (first, second, "never made"):
            with pytest.raises(Refused, match="LINK-DEAD"):
                await staff.invitation(shop.office, secret)

    browse(config, story)


def test_one_person_works_for_two_merchants_and_switches_without_logging_in(config: Config) -> None:
    """S107: invited while logged in; in each merchant his role there, and never a row of the other."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        other = await new_shop(shop.office, OTHER_ID)
        code = await other.code()
        session = await owner(shop)
        secret = await staff.invite(shop.office, other.actor, "某", Role.READER, "", None)
        browser = another_browser(client, session)
        assert (await browser.post(f"/join/{secret}", data={"mine": "1"})).status_code == 303
        assert (await browser.get(f"/console/codes/{code.code_id}")).status_code == 200
        assert (await browser.get("/console/codes/new")).status_code == 403
        page = await browser.get("/console/account")
        csrf = hidden(page, "csrf")
        assert f'value="{shop.id}"' in page.text
        await browser.post("/console/switch", data={"csrf": csrf, "merchant": str(shop.id)})
        assert (await browser.get(f"/console/codes/{code.code_id}")).status_code == 404
        assert (await browser.get("/console/codes/new")).status_code == 200
        twice = await staff.invite(shop.office, other.actor, "某", Role.OWNER, "", None)
        assert (await browser.post(f"/join/{twice}", data={"mine": "1"})).status_code == 422, "no role by a second link"

    browse(config, story)


def test_whoever_is_switched_off_is_out_with_his_next_request(config: Config) -> None:
    """His open session, in this merchant only; what he made keeps his name; switched on, he is back."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        clerk = await hire(shop, Role.CLERK, "leaver")
        browser = another_browser(client, clerk)
        assert (await browser.get("/console")).status_code == 200
        offer = (await shop.code()).offer
        made = await mint(shop.office, shop.merchant, offer, mint_key="k", by=clerk.actor)
        outcome = await scan.confirm(shop.office, made.token, "me", COMPANY, issue_key="i")
        assert outcome.state is IssueState.ISSUED
        boss = another_browser(client, await owner(shop))
        csrf = await csrf_of(boss)
        path = f"/console/settings/people/{clerk.person_id}"
        assert (await boss.post(path, data={"csrf": csrf, "role": "clerk", "off": "1"})).status_code == 303
        gone = await browser.get("/console")
        assert gone.status_code == 303 and "/console/login" in gone.headers["location"]
        with pytest.raises(Refused, match="ACCOUNT-LOGIN-WRONG"):
            await accounts.log_in(shop.office, "leaver", PASSWORD)
        rows = await shop.office.database.read("SELECT person_id, person_name FROM invoices")
        assert (rows[0][0], rows[0][1]) == (clerk.person_id, clerk.name)
        assert clerk.name in (await boss.get(f"/console/codes/{made.code_id}")).text
        await boss.post(path, data={"csrf": csrf, "role": "clerk"})
        assert await accounts.log_in(shop.office, "leaver", PASSWORD)

    browse(config, story)


def test_a_switched_off_member_is_found_out_by_the_look_up_itself(config: Config) -> None:
    """Even a session that was not ended: the membership is looked at with every request. The control: with the
    membership on, the same session is good."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        clerk = await hire(shop, Role.CLERK)
        for active in (0, 1):
            async with shop.office.database.write() as transaction:
                await transaction.execute(
                    "UPDATE memberships SET active = $1 WHERE person_id = $2", active, clerk.person_id
                )
            assert await alive(shop, clerk) == bool(active)

    browse(config, story)


def test_a_merchant_always_has_an_owner(config: Config) -> None:
    """The last one can neither be switched off nor made something else, also when two do it at once."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        first, second = await owner(shop), await hire(shop, Role.OWNER)
        results = await at_once(*(
            staff.change_member(shop.office, shop.actor, one.person_id, role=Role.CLERK, active=True)
            for one in (first, second)
        ))  # fmt: skip
        assert sum(isinstance(one, Refused) for one in results) == 1
        left = [one for one in await staff.members(shop.office, shop.id) if one.role is Role.OWNER]
        with pytest.raises(Refused, match="STAFF-LAST-OWNER"):
            await staff.change_member(shop.office, shop.actor, left[0].person_id, role=Role.OWNER, active=False)

    browse(config, story)


def test_devices_are_listed_and_ended(config: Config) -> None:
    """S9: each with its browser, first and last use; one ended is dead at once, then all others; only one's own."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        login = (await owner(shop)).login
        here = await accounts.log_in(shop.office, login, PASSWORD, Client(FIREFOX, "203.0.113.9"))
        there = await accounts.log_in(shop.office, login, PASSWORD, Client("curl <script>", "203.0.113.9"))
        clerk = await hire(shop, Role.CLERK)
        browser = another_browser(client, here)
        page = await browser.get("/console/account")
        assert "Firefox · Linux" in page.text and "203.0.113.*" in page.text and "<script>curl" not in page.text
        csrf = hidden(page, "csrf")
        foreign = {"csrf": csrf, "session": str(clerk.session_id)}
        assert (await browser.post("/console/account/sessions", data=foreign)).status_code == 404
        assert await alive(shop, clerk)
        await browser.post("/console/account/sessions", data={"csrf": csrf, "session": str(there.session_id)})
        assert not await alive(shop, there) and await alive(shop, here)
        third = await accounts.log_in(shop.office, login, PASSWORD)
        await browser.post("/console/account/sessions", data={"csrf": csrf, "others": "1"})
        assert not await alive(shop, third) and await alive(shop, here) and await alive(shop, clerk)

    browse(config, story)


def test_a_new_device_is_told_by_mail(config: Config) -> None:
    """The first browser and one that is known are not; the notice is in the outbox before anybody can wipe it."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        await prove(shop, session, "boss@example.cn")
        count = len(await mails(shop))
        for device, told in (("home", 0), ("home", 0), ("abroad", 1), ("abroad", 1)):
            await accounts.log_in(shop.office, session.login, PASSWORD, Client(FIREFOX, "203.0.113.9", device))
            assert len(await mails(shop)) == count + told, device
        newest = (await mails(shop))[-1]
        assert newest["To"] == "boss@example.cn" and "Firefox · Linux" in newest.get_content()
        kept = await shop.office.database.read("SELECT content, state FROM notices")
        assert {(row[0], row[1]) for row in kept} == {("", "done")}, "nothing of a mail stays once it has gone"

    browse(config, story)


async def _till(client: httpx.AsyncClient, shop: Shop) -> tuple[httpx.AsyncClient, sessions.Session, sessions.Session]:
    """A device at a till, and two cashiers with a PIN."""
    people = [await hire(shop, Role.CASHIER), await hire(shop, Role.OWNER)]
    for session, pin in zip(people, ("2580", "1470"), strict=True):
        await staff.set_pin(shop.office, session, pin)
    shop_id = await tills.save_shop(shop.office, shop.actor, "江汉路店", "", None, active=True)
    till_id = await tills.save_till(shop.office, shop.actor, "1 号台", shop_id)
    device = another_browser(client, await owner(shop))
    enrolled = await device.post(f"/console/settings/tills/{till_id}/enrol", data={"csrf": await csrf_of(device)})
    assert enrolled.headers["location"] == "/console/till"
    return device, people[0], people[1]


def test_cashiers_change_at_a_till_by_pin_and_what_they_make_says_where_and_who(config: Config) -> None:
    """S8: name, PIN, Enter. The code and the invoice have shop, till and person."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        device, cashier, _ = await _till(client, shop)
        assert "1 号台" in (await device.get("/console/till")).text
        wrong = await device.post("/console/till", data={"person": str(cashier.person_id), "pin": "0000"})
        assert wrong.status_code == 403 and "STAFF-PIN-WRONG" in wrong.text
        entered = await device.post("/console/till", data={"person": str(cashier.person_id), "pin": "2580"})
        assert entered.headers["location"] == "/console/codes/new"
        page = await device.get("/console/codes/new")
        form = {"csrf": hidden(page, "csrf"), "mint_key": hidden(page, "mint_key"), "amount1": "58", "name1": "餐费",
                "code1": "3070401000000000000", "rate1": "0.06"}  # fmt: skip
        code_page = await device.post("/console/codes/new", data=form)
        code_id = int(code_page.headers["location"].rpartition("/")[2])
        await scan.confirm(shop.office, shop.office.token(shop.id, code_id), "me", COMPANY, issue_key="i")
        rows = await shop.office.database.read(
            "SELECT i.person_name, s.name, t.name FROM invoices i JOIN shops s ON s.shop_id = i.shop_id"
            " JOIN tills t ON t.till_id = i.till_id"
        )
        assert (rows[0][0], rows[0][1], rows[0][2]) == (cashier.name, "江汉路店", "1 号台")

    browse(config, story)


def test_a_pin_opens_a_till_and_no_office(config: Config) -> None:
    """An owner who came by PIN is a cashier; his account and settings stay shut, and a PIN is good at a till only."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        device, _, boss = await _till(client, shop)
        await device.post("/console/till", data={"person": str(boss.person_id), "pin": "1470"})
        assert (await device.get("/console/codes/new")).status_code == 200
        for path in ("/console/settings/people", "/console/account", "/console/account/factors", "/console/events"):
            assert (await device.get(path)).status_code == 403, path
        elsewhere = await another_browser(client).post(
            "/console/till", data={"person": str(boss.person_id), "pin": "1470"}
        )
        assert elsewhere.status_code == 403 and "TILL-NO-DEVICE" in elsewhere.text

    browse(config, story)


def test_a_till_that_is_switched_off_is_nobodys(config: Config) -> None:
    """The device is no till any more, and the session that was opened there fails on its next request."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        device, cashier, _ = await _till(client, shop)
        await device.post("/console/till", data={"person": str(cashier.person_id), "pin": "2580"})
        assert (await device.get("/console")).status_code == 200
        found = (await tills.shops(shop.office, shop.id))[0]
        till_id = found.tills[0].till_id
        await tills.save_till(shop.office, shop.actor, "1 号台", found.shop_id, till_id, active=False)
        assert (await device.get("/console")).status_code == 303
        assert (await device.get("/console/till")).status_code == 403

    browse(config, story)


def test_guessing_a_pin_is_slowed_for_that_name_at_that_till(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """After five wrong ones even the right one must wait; the colleague at the same till need not."""

    monkeypatch.setattr(entry._pins, "clock", lambda: 1_000.0)

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        device, cashier, boss = await _till(client, shop)
        form = {"person": str(cashier.person_id), "pin": "0000"}
        statuses = [(await device.post("/console/till", data=form)).status_code for _ in range(6)]
        assert statuses == [403] * 5 + [429]
        assert (await device.post("/console/till", data={**form, "pin": "2580"})).status_code == 429
        other = await device.post("/console/till", data={"person": str(boss.person_id), "pin": "1470"})
        assert other.status_code == 303

    browse(config, story)


@pytest.mark.parametrize("pin", ["123", "123456789", "12a4", "1111", "١٢٣٤"])
def test_a_pin_that_is_none_is_refused(config: Config, pin: str) -> None:
    """Four to eight digits that are not all the same."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        with pytest.raises(Refused, match="STAFF-PIN-FORM"):
            await staff.set_pin(shop.office, await owner(shop), pin)

    browse(config, story)


def test_a_name_that_changes_leaves_the_past_alone(config: Config) -> None:
    """What was made and recorded under the old name keeps it."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        offer = (await shop.code()).offer
        made = await mint(shop.office, shop.merchant, offer, mint_key="k", by=session.actor)
        await accounts.change_name(shop.office, session, "新名字")
        assert (await another_browser(client, session).get(f"/console/codes/{made.code_id}")).text.count("新名字") == 1
        found = await events.list_events(shop.office, shop.id, kind="code.make")
        assert session.name in {one.person_name for one in found.items}
        assert (await merchant.merchant(shop.office, shop.id)).drawer != "新名字"

    browse(config, story)


def test_pages_of_people_are_light(tmp_path: Path) -> None:
    """Page, styles and scripts of each under 80 kB packed, nothing from anybody else's host."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        browser = another_browser(client, await owner(shop))
        for path in ("people", "shops", "security"), ("account", "account/factors", "account/email", "events", "till"):
            for name in path:
                page = await browser.get(f"/console/{'settings/' if path[0] == 'people' else ''}{name}")
                files = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
                weight = len(gzip.compress(page.content))
                for file in files:
                    weight += len(gzip.compress((await browser.get(file)).content))
                assert weight < 80_000 and not re.search(r'(?:src|href)="https?://', page.text), name

    browse(tmp_path, story)
