"""S2 to S5: proving an address, getting back in by mail, and a lock that a stranger cannot close for the owner."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import argon2
import httpx
import pytest

from piaoma.desk import accounts, merchant, recovery, scan
from piaoma.desk.config import Config
from piaoma.desk.events import list_events
from piaoma.desk.mint import mint
from piaoma.invoice.refusal import Refused
from piaoma.store import IssueState
from piaoma.web.console import access, entry
from tests.conftest import COMPANY, Shop
from tests.web.browsing import browse, hidden
from tests.web.people import (
    PASSWORD,
    alive,
    another_browser,
    at_once,
    csrf_of,
    last_link,
    last_mail,
    mails,
    owner,
    prove,
)

NEW = "a quite new password"
COMPANY_NAME = "武汉又一家有限公司"


# ── proving an address ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_merchant_is_unverified_until_the_code_of_the_mail_is_typed(config: Config) -> None:
    """S2: registered with an address, the code is asked for; afterwards 已核验, logged with who and when."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        browser = another_browser(client)
        form = {"name": COMPANY_NAME, "taxpayer_id": "91110000600037341L", "login": "second", "password": PASSWORD,
                "email": "Second@Example.cn"}  # fmt: skip
        registered = await browser.post("/console/register", data=form)
        assert registered.headers["location"] == "/console/account/email"
        assert "待核验" in (await browser.get("/console")).text
        page = await browser.get("/console/account/email")
        assert "second@example.cn" in page.text
        code = re.search(r"验证码：(\d{6})", await last_mail(shop))
        assert code is not None
        csrf = hidden(page, "csrf")
        wrong = await browser.post("/console/account/email/proof", data={"csrf": csrf, "code": "x"})
        assert wrong.status_code == 422 and "CODE-MAIL-WRONG" in wrong.text
        right = await browser.post("/console/account/email/proof", data={"csrf": csrf, "code": code[1]})
        assert right.status_code == 303
        assert "待核验" not in (await browser.get("/console")).text
        rows = await shop.office.database.read("SELECT merchant_id FROM merchants WHERE verified_at_ms IS NOT NULL")
        (event,) = (await list_events(shop.office, rows[0][0], kind="merchant.verify")).items
        assert event.person_name == "second" and event.after == {"by": "email"}

    browse(config, story)


def test_a_code_is_good_once_for_a_while_and_for_few_tries(config: Config) -> None:
    """Five wrong tries, a quarter of an hour, a newer code, or having been used: then the right one is refused too."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        real_now = shop.office.now

        async def sent() -> str:
            await recovery.send_email_code(shop.office, session, "boss@example.cn")
            found = re.search(r"验证码：(\d{6})", await last_mail(shop))
            assert found is not None
            return found[1]

        async def refused(code: str) -> None:
            with pytest.raises(Refused, match="CODE-MAIL-WRONG"):
                await recovery.prove_email(shop.office, session, code)

        worn = await sent()
        for _ in range(recovery.CODE_TRIES_MAX):
            await refused("000000" if worn != "000000" else "111111")
        await refused(worn)
        old, new = await sent(), await sent()
        if old != new:
            await refused(old)
        shop.office.now = lambda: real_now() + timedelta(minutes=recovery.CODE_MINUTES_MAX, seconds=1)
        await refused(new)
        shop.office.now = real_now
        good = await sent()
        await recovery.prove_email(shop.office, session, good)
        await refused(good)
        kept = await shop.office.database.read("SELECT digest FROM challenges")
        assert not any(code in row[0] for row in kept for code in (worn, old, new, good) if len(code) > 6)

    browse(config, story)


def test_guesses_at_once_are_no_way_around_the_tries(config: Config) -> None:
    """Aim: five tries are five, however they come. Thirty wrong ones at once: the right one is refused afterwards, and
    exactly five were counted; a link taken by four at once is taken once."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        await recovery.send_email_code(shop.office, session, "boss@example.cn")
        code = re.search(r"验证码：(\d{6})", await last_mail(shop))
        assert code is not None
        await at_once(*(recovery.prove_email(shop.office, session, "wrong") for _ in range(30)))
        assert (await shop.office.database.read("SELECT tries FROM challenges"))[0][0] == recovery.CODE_TRIES_MAX
        with pytest.raises(Refused, match="CODE-MAIL-WRONG"):
            await recovery.prove_email(shop.office, session, code[1])
        await prove(shop, session, "boss@example.cn")
        await recovery.send_recovery(shop.office, session.login)
        secret = (await last_link(shop)).rpartition("/")[2]
        results = await at_once(*(recovery.recover(shop.office, secret, f"{NEW} {place}") for place in range(4)))
        assert sum(result is None for result in results) == 1, results

    browse(config, story)


def test_nobodys_mailbox_is_filled(config: Config) -> None:
    """Ten codes a day, then REQUEST-TOO-MANY."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        for _ in range(recovery.MAILS_PER_DAY_MAX):
            await recovery.send_email_code(shop.office, session, "boss@example.cn")
        with pytest.raises(Refused, match="REQUEST-TOO-MANY"):
            await recovery.send_email_code(shop.office, session, "boss@example.cn")

    browse(config, story)


def test_an_unverified_merchant_gets_the_sandbox_only(config: Config) -> None:
    """With a real channel neither code nor invoice; once confirmed both. The store itself decides."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        offer = code.offer
        import msgspec

        shop.office.config = msgspec.structs.replace(shop.office.config, live=True)
        with pytest.raises(Refused, match="MERCHANT-UNVERIFIED"):
            await mint(shop.office, shop.merchant, offer, mint_key="k", by=shop.actor)
        outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="i")
        assert [one.cause for one in outcome.refusals] == ["MERCHANT-UNVERIFIED"]
        session = await owner(shop)
        await prove(shop, session, "boss@example.cn")
        assert not (await merchant.merchant(shop.office, shop.id)).verified, "a real one waits for an operator"
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE merchants SET verified_at_ms = 1")
        outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="j")
        assert outcome.state is IssueState.ISSUED

    browse(config, story)


# ── a new password ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_forgotten_password_is_replaced_by_the_link_of_a_mail(config: Config) -> None:
    """S5: half an hour, once; every session ends; the owner is told; the old password is good no more."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        await prove(shop, session, "boss@example.cn")
        asked = await another_browser(client).post("/recover", data={"login": "boss@example.cn"})
        link = await last_link(shop)
        assert link.startswith("/recover/") and link not in asked.text
        kept = await shop.office.database.read("SELECT digest, target FROM challenges WHERE kind = 'recover'")
        assert link.rpartition("/")[2] not in kept[0][0]
        for _ in range(3):  # a mail program that looks into links uses none up
            assert session.login in (await client.get(link)).text
        assert (await client.post(link, data={"password": "short"})).status_code == 422
        assert (await client.post(link, data={"password": NEW})).status_code == 303
        assert not await alive(shop, session)
        assert (await client.post(link, data={"password": "yet another one"})).status_code == 404
        assert "密码已改" in (await mails(shop))[-1]["Subject"]
        for login in (session.login, "boss@example.cn"):
            assert (await accounts.check_password(shop.office, login, NEW)).person_id == session.person_id
        with pytest.raises(Refused, match="ACCOUNT-LOGIN-WRONG"):
            await accounts.check_password(shop.office, session.login, PASSWORD)
        assert (await list_events(shop.office, shop.id, kind="account.recover")).items

    browse(config, story)


def test_whoever_takes_anothers_address_for_a_name_keeps_him_neither_out_nor_from_coming_back(config: Config) -> None:
    """Registered first, with a proved address of the stranger's own: the address still is whose mailbox it is."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        registration = accounts.Registration(
            "武汉别家餐饮有限公司", "91110000600037341L", "别家", "boss@example.cn", "the stranger's password"
        )
        stranger = await accounts.register(shop.office, registration)
        await prove(shop, stranger, "stranger@example.cn")
        session = await owner(shop)
        await prove(shop, session, "boss@example.cn")
        assert (await accounts.check_password(shop.office, "boss@example.cn", PASSWORD)).person_id == session.person_id
        await another_browser(client).post("/recover", data={"login": "boss@example.cn"})
        assert session.login in (await client.get(await last_link(shop))).text
        assert (await mails(shop))[-1]["To"] == "boss@example.cn"

    browse(config, story)


def test_a_link_dies_after_half_an_hour_and_with_the_next_that_is_used(config: Config) -> None:
    """And one that was never made is refused in the same words."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        await prove(shop, session, "boss@example.cn")
        links = []
        for _ in range(2):
            await recovery.send_recovery(shop.office, session.login)
            links.append(await last_link(shop))
        assert len(set(links)) == 2
        real_now = shop.office.now
        shop.office.now = lambda: real_now() + timedelta(minutes=recovery.LINK_MINUTES_MAX, seconds=1)
        dead = [(await client.get(link)) for link in (*links, "/recover/never-made")]
        assert {answer.status_code for answer in dead} == {404}
        shop.office.now = real_now
        await client.post(links[1], data={"password": NEW})
        assert (await client.get(links[0])).status_code == 404

    browse(config, story)


def test_recovery_tells_nobody_who_has_an_account(config: Config) -> None:
    """Known, unknown, and known without a proved address: the same page, sent before anything is looked up."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        await prove(shop, session, "boss@example.cn")
        count = len(await mails(shop))
        pages = []
        for typed in ("boss@example.cn", "nobody@example.cn", "nobody", "'; DROP TABLE people; --"):
            page = await another_browser(client).post("/recover", data={"login": typed})
            pages.append(re.sub(r"[0-9a-f]{16}", "", page.text))
        assert len(set(pages)) == 1 and page.status_code == 200
        assert len(await mails(shop)) == count + 1

    browse(config, story)


# ── logging in ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("registered", "typed"),
    [("laoban", "LaoBan"), ("boss@example.cn", " Boss@Example.CN "), ("138 0000-0000", "+86 13800000000")],
)
def test_user_name_address_and_phone_log_in(config: Config, registered: str, typed: str) -> None:
    """S3: all three, however they are typed; without scripts."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        form = {
            "name": "武汉又一家有限公司",
            "taxpayer_id": "91110000600037341L",
            "login": registered,
            "password": PASSWORD,
        }
        assert (await another_browser(client).post("/console/register", data=form)).status_code == 303
        browser = another_browser(client)
        entered = await browser.post("/console/login", data={"login": typed, "password": PASSWORD})
        assert entered.status_code == 303 and (await browser.get("/console")).status_code == 200

    browse(config, story)


def test_an_address_that_is_not_proved_is_no_login(config: Config) -> None:
    """Otherwise whoever writes another's address into his account would stand in for him."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE people SET email = 'boss@example.cn'")
        with pytest.raises(Refused, match="ACCOUNT-LOGIN-WRONG"):
            await accounts.check_password(shop.office, "boss@example.cn", PASSWORD)
        await prove(shop, session, "boss@example.cn")
        assert await accounts.check_password(shop.office, "boss@example.cn", PASSWORD)

    browse(config, story)


def test_every_wrong_log_in_costs_the_same_work(
    config: Config, dear_passwords: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By construction: one look-up and one hash of the same parameters, for a wrong password, nobody's name, somebody
    who was switched off, and a person without a merchant. Read from the calls, not from a clock. A hash is as dear as
    OWASP asks for: 19 MiB, twice."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        calls: list[str] = []
        read, verify = shop.office.database.read, accounts._HASHER.verify

        async def counted(statement: str, *parameters: Any) -> Any:
            calls.append("read")
            return await read(statement, *parameters)

        class Counting:
            def verify(self, known: str, password: str) -> bool:
                calls.append(str(argon2.extract_parameters(known)))
                return verify(known, password)

        async def tried(login: str) -> list[str]:
            calls.clear()
            with pytest.raises(Refused, match="ACCOUNT-LOGIN-WRONG"):
                await accounts.check_password(shop.office, login, "not the password")
            return list(calls)

        monkeypatch.setattr(shop.office.database, "read", counted)
        monkeypatch.setattr(accounts, "_HASHER", Counting())
        wrong, nobody = await tried(session.login), await tried("nobody")
        assert "time_cost=2, memory_cost=19456, parallelism=1" in wrong[1]
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE memberships SET active = 0")
        assert wrong == nobody == await tried(session.login) and len(wrong) == 2

    browse(config, story)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the delays stands still, so that a busy machine proves the same as an idle one."""
    for delay in (entry._logins, access._passwords):
        monkeypatch.setattr(delay, "clock", lambda: 1_000.0)


def _from(client: httpx.AsyncClient, address: str) -> httpx.AsyncClient:
    """A browser at another address."""
    transport = httpx.ASGITransport(
        app=client._transport.app,  # type: ignore[attr-defined]
        raise_app_exceptions=False,
        client=(address, 1),
    )
    return httpx.AsyncClient(transport=transport, base_url=client.base_url, headers=client.headers)


def test_a_stranger_cannot_lock_the_owner_out(config: Config, still: None) -> None:
    """A thousand wrong tries from many addresses: each of them must wait, the owner logs in at once, from a device
    that is known and from a new one."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        login = (await owner(shop)).login
        wrong = {"login": login, "password": "not the password"}
        known = _from(client, "198.51.100.1")
        assert (await known.post("/console/login", data={**wrong, "password": PASSWORD})).status_code == 303
        for place in range(8):
            stranger = _from(client, f"203.0.113.{place}")
            statuses = [(await stranger.post("/console/login", data=wrong)).status_code for _ in range(7)]
            assert statuses == [403] * 5 + [429] * 2, "five, then growing delays"
            right = await stranger.post("/console/login", data={**wrong, "password": PASSWORD})
            assert right.status_code == 429, "not even the right password, from there"
        for owners in (known, _from(client, "198.51.100.2")):
            assert (await owners.post("/console/login", data={**wrong, "password": PASSWORD})).status_code == 303
        # Behind the same address as the guesser (the shop's own wireless): the known device has a count of its own.
        beside = _from(client, "203.0.113.0")
        beside.cookies.update(known.cookies)
        assert (await beside.post("/console/login", data={**wrong, "password": PASSWORD})).status_code == 303

    browse(config, story)


def test_an_account_that_does_not_exist_is_slowed_in_the_same_way(config: Config, still: None) -> None:
    """The delay tells nobody whether there is such an account; a thousand at once are no way around it."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        login = (await owner(shop)).login
        answers = []
        for place, name in enumerate((login, "nobody")):
            guesser = _from(client, f"203.0.113.{place}")
            form = {"login": name, "password": "not the password"}
            sent = await asyncio.gather(*(guesser.post("/console/login", data=form) for _ in range(12)))
            answers.append(sorted(answer.status_code for answer in sent))
        assert answers == [[403] * 5 + [429] * 7] * 2, answers

    browse(config, story)


def test_each_wrong_try_makes_the_next_wait_longer(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five free, then 2, 4, 8 … seconds up to fifteen minutes; the right password after the wait begins anew."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        moment = 1_000.0
        monkeypatch.setattr(entry._logins, "clock", lambda: moment)
        login = (await owner(shop)).login
        guesser = _from(client, "203.0.113.1")
        waits = []
        for place in range(12):
            guesser = _from(client, "203.0.113.1")
            client._transport.app.state.buckets.pop(entry._logins_from, None)  # type: ignore[attr-defined]
            tried = await guesser.post("/console/login", data={"login": login, "password": "not the password"})
            assert tried.status_code == 403, place
            again = await guesser.post("/console/login", data={"login": login, "password": "not the password"})
            if again.status_code == 403:
                continue
            waits.append(int(re.findall(r"请等 (\d+) 秒", again.text)[0]))
            moment += waits[-1]
        assert waits[:4] == [2, 4, 8, 16] and max(waits) <= 900
        right = await guesser.post("/console/login", data={"login": login, "password": PASSWORD})
        assert right.status_code == 303
        tried = await _from(client, "203.0.113.1").post("/console/login", data={"login": login, "password": "no"})
        assert tried.status_code == 403, "counted from nothing again"

    browse(config, story)


def test_without_the_delay_guessing_goes_on(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with the safeguard taken out twelve guesses are judged."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        monkeypatch.setattr(entry._logins, "attempt", lambda request, key: None)
        form = {"login": (await owner(shop)).login, "password": "not the password"}
        guesser = _from(client, "203.0.113.1")
        assert {(await guesser.post("/console/login", data=form)).status_code for _ in range(12)} == {403}

    browse(config, story)


def test_a_new_password_ends_all_other_sessions(config: Config, still: None) -> None:
    """This one goes on; the old password is asked for, and slowed like any other."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        other = await accounts.log_in(shop.office, session.login, PASSWORD)
        browser = another_browser(client, session)
        form = {"csrf": await csrf_of(browser), "password": NEW}
        wrong = [
            (await browser.post("/console/account/password", data={**form, "password_now": "no"})).status_code
            for _ in range(6)
        ]
        assert wrong == [403] * 5 + [429]
        browser.headers["x"] = "y"
        client._transport.app.state.buckets.clear()  # type: ignore[attr-defined]  # the wait is over
        done = await browser.post("/console/account/password", data={**form, "password_now": PASSWORD})
        assert done.status_code == 303
        assert await alive(shop, session) and not await alive(shop, other)

    browse(config, story)


def test_what_was_sent_and_refused_comes_back_after_the_browser_was_closed(config: Config) -> None:
    """S1: leaving midway loses nothing, without scripts too; the password is not kept."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        browser = another_browser(client)
        form = {
            "name": "武汉又一家有限公司",
            "taxpayer_id": "91110000600037341X",
            "login": "laoban",
            "password": PASSWORD,
        }
        assert (await browser.post("/console/register", data=form)).status_code == 422
        page = (await browser.get("/console/register")).text
        assert COMPANY_NAME in page and "laoban" in page and PASSWORD not in page
        done = await browser.post("/console/register", data={**form, "taxpayer_id": "91110000600037341L"})
        assert done.status_code == 303
        assert COMPANY_NAME not in (await another_browser(client).get("/console/register")).text
        assert COMPANY_NAME not in (await browser.get("/console/register")).text

    browse(config, story)
