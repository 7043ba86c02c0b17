"""S6: the second factor, and what an owner demands it for; a passkey is tried in a real browser (tests/journeys)."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pyotp
import pytest

from piaoma.desk import factors
from piaoma.desk.config import Config
from piaoma.desk.roles import Role
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refused
from piaoma.web.console import entry
from tests.conftest import Shop
from tests.web.browsing import browse, hidden
from tests.web.people import PASSWORD, another_browser, csrf_of, hire, owner

# RFC 6238, appendix B, SHA-1: the last six of its eight digits at each moment.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_VECTORS = [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
               (2000000000, "279037"), (20000000000, "353130")]  # fmt: skip


@pytest.mark.parametrize(("moment", "code"), RFC_VECTORS)
def test_codes_are_those_of_the_standard(moment: int, code: str) -> None:
    """The vectors of RFC 6238; a step off by the phone's clock is taken, two are not; no code is good twice."""
    step = moment // 30
    assert factors.totp_step(RFC_SECRET, code, moment) == step
    assert factors.totp_step(RFC_SECRET, code, moment + 30) == step
    assert factors.totp_step(RFC_SECRET, code, moment + 60) is None
    assert factors.totp_step(RFC_SECRET, code, moment, after_step=step) is None


def test_a_secret_is_sealed_and_opens_for_nobody_else() -> None:
    """Another key, another person or a flipped bit opens nothing; the secret is not in the sealed bytes."""
    sealed = factors.seal(b"k" * 32, 7, RFC_SECRET.encode())
    assert RFC_SECRET.encode() not in sealed
    assert factors.unseal(b"k" * 32, 7, sealed) == RFC_SECRET.encode()
    for key, person, data in (
        (b"x" * 32, 7, sealed),
        (b"k" * 32, 8, sealed),
        (b"k" * 32, 7, sealed[:-1] + bytes([sealed[-1] ^ 1])),
    ):
        assert factors.unseal(key, person, data) == b""


def totp_now(shop: Shop) -> str:
    return pyotp.TOTP(RFC_SECRET).at(shop.office.now().timestamp())


async def with_app(shop: Shop, session: Session) -> list[str]:
    """Give a person an app; his recovery codes."""
    return await factors.add_totp(shop.office, session, RFC_SECRET, totp_now(shop), "手机")


async def password_step(browser: httpx.AsyncClient, session: Session) -> httpx.Response:
    return await browser.post("/console/login", data={"login": session.login, "password": PASSWORD})


def later(shop: Shop, **span: float) -> None:
    """Let the office's clock go on."""
    now = shop.office.now
    shop.office.now = lambda: now() + timedelta(**span)


def test_whoever_has_an_app_needs_it_to_log_in(config: Config) -> None:
    """The password alone opens nothing; a wrong, a used and an old code do not; the right one does, once."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        await with_app(shop, session)
        browser = another_browser(client)
        half = await password_step(browser, session)
        assert half.headers["location"] == "/console/login/second" and "pm_s" not in browser.cookies
        assert (await browser.get("/console")).status_code == 303
        assert "通行密钥" not in (await browser.get("/console/login/second")).text, "only what he has is offered"
        for wrong in (totp_now(shop), "000000", "", "１２３４５６"):
            assert (await browser.post("/console/login/second", data={"code": wrong})).status_code == 403, wrong
        later(shop, seconds=60)
        entered = await browser.post("/console/login/second", data={"code": totp_now(shop)})
        assert entered.status_code == 303 and (await browser.get("/console")).status_code == 200
        again = another_browser(client)
        await password_step(again, session)
        assert (await again.post("/console/login/second", data={"code": totp_now(shop)})).status_code == 403

    browse(config, story)


def test_the_second_step_cannot_be_reached_without_the_first(config: Config) -> None:
    """No cookie, a forged one, one that is ten minutes old: back to the password."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        await with_app(shop, session)
        later(shop, seconds=60)
        for cookie in ("", "x", "eyJwZXJzb25faWQiOjF9.abc"):
            browser = another_browser(client)
            browser.cookies.set("pm_2", cookie)
            answer = await browser.post("/console/login/second", data={"code": totp_now(shop)})
            assert answer.headers["location"] == "/console/login"
        browser = another_browser(client)
        await password_step(browser, session)
        later(shop, seconds=601)
        answer = await browser.post("/console/login/second", data={"code": totp_now(shop)})
        assert answer.headers["location"] == "/console/login"

    browse(config, story)


def test_guessing_codes_is_slowed(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five wrong ones, then even the right one must wait."""

    monkeypatch.setattr(entry._seconds, "clock", lambda: 1_000.0)

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        await with_app(shop, session)
        later(shop, seconds=60)
        browser = another_browser(client)
        await password_step(browser, session)
        for _ in range(5):
            assert (await browser.post("/console/login/second", data={"code": "000000"})).status_code == 403
        assert (await browser.post("/console/login/second", data={"code": totp_now(shop)})).status_code == 429

    browse(config, story)


def test_a_recovery_code_lets_in_once(config: Config) -> None:
    """S5: ten, each good once, kept as digests; new ones end the old."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        codes = await with_app(shop, session)
        assert len(set(codes)) == 10
        rows = await shop.office.database.read("SELECT code_hash FROM recovery_codes")
        assert not any(code.replace("-", "") in row[0] for row in rows for code in codes)
        for code, status in ((codes[0].upper(), 303), (codes[0], 403), (codes[1].replace("-", " "), 303)):
            browser = another_browser(client)
            await password_step(browser, session)
            assert (await browser.post("/console/login/second", data={"code": code})).status_code == status
        await factors.renew_recovery_codes(shop.office, session)
        browser = another_browser(client)
        await password_step(browser, session)
        assert (await browser.post("/console/login/second", data={"code": codes[2]})).status_code == 403

    browse(config, story)


def test_adding_and_removing_asks_for_the_password(config: Config) -> None:
    """A session left open at a till's corner gives nobody a factor of his own, and takes none away."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        browser = another_browser(client, session)
        page = await browser.get("/console/account/factors")
        secret = re.search(r'class="mid key">([A-Z2-7 ]+)<', page.text)
        assert secret is not None
        code = pyotp.TOTP(secret[1].replace(" ", "")).at(shop.office.now().timestamp())
        form = {"csrf": hidden(page, "csrf"), "secret": hidden(page, "secret"), "code": code}
        assert (await browser.post("/console/account/factors", data=form)).status_code == 403
        forged = {**form, "secret": RFC_SECRET, "code": totp_now(shop), "password_now": PASSWORD}
        assert (await browser.post("/console/account/factors", data=forged)).status_code == 403
        assert await factors.factors_of(shop.office, session.person_id) == []
        added = await browser.post("/console/account/factors", data={**form, "password_now": PASSWORD})
        assert len(re.findall(r'class="key">\w{5}-\w{5}<', added.text)) == 10
        factor = hidden(await browser.get("/console/account/factors"), "factor")
        form = {"csrf": form["csrf"], "factor": factor}
        assert (await browser.post("/console/account/factors/remove", data=form)).status_code == 403
        assert len(await factors.factors_of(shop.office, session.person_id)) == 1

    browse(config, story)


ROW = {"name1": "餐费", "code1": "3070401000000000000", "rate1": "0.06", "amount1": "58", "kind": "01",
       "buyer_name": "武汉某某科技有限公司", "buyer_id": "91110108690017781B"}  # fmt: skip


def test_what_the_owner_demands_a_factor_for_is_refused_without_and_nothing_changed(config: Config) -> None:
    """专票 and settings, each with the policy on: refused before anything is stored; with a fresh factor it goes;
    after a quarter of an hour it is refused again. A 普通发票 never asks."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        codes = await with_app(shop, session)
        await factors.set_policy(shop.office, session.actor, ["special", "settings"])
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE sessions SET factor_at_ms = NULL")
            await transaction.execute("UPDATE merchants SET address = '路', phone = '1', bank = '行', account = '2'")
        browser = another_browser(client, session)
        csrf = await csrf_of(browser)
        profile = {"csrf": csrf, "shop_name": "新名字", "drawer": "某某", "password_now": PASSWORD}

        async def stored() -> list[object]:
            read = shop.office.database.read
            return [
                (await read("SELECT count(*) FROM codes"))[0][0],
                (await read("SELECT shop_name, factor_policy FROM merchants"))[0][0],
                (await read("SELECT count(*) FROM challenges"))[0][0],
                (await read("SELECT count(*) FROM shops"))[0][0],
            ]

        before = await stored()
        for path, form in (
            ("/console/codes/new", {"csrf": csrf, **ROW}),
            ("/console/settings/profile", profile),
            ("/console/settings/people/invite", {"csrf": csrf, "person_name": "某", "role": "owner"}),
            ("/console/settings/shops", {"csrf": csrf, "name": "二店"}),
            ("/console/settings/security", {"csrf": csrf}),
        ):
            answer = await browser.post(path, data=form)
            assert answer.status_code == 403 and "FACTOR-NEEDED" in answer.text, path
            assert "/console/account/confirm?next=" in answer.text
            assert await stored() == before, path
        assert (await browser.post("/console/codes/new", data={"csrf": csrf, **ROW, "kind": "02"})).status_code == 303
        given = await browser.post(
            "/console/account/confirm", data={"csrf": csrf, "code": codes[0], "next": "/console/codes/new"}
        )
        assert given.headers["location"] == "/console/codes/new"
        assert (await browser.post("/console/codes/new", data={"csrf": csrf, **ROW})).status_code == 303
        assert (await browser.post("/console/settings/profile", data=profile)).status_code == 303
        later(shop, minutes=factors.FACTOR_MINUTES_MAX, seconds=1)
        assert (await browser.post("/console/codes/new", data={"csrf": csrf, **ROW})).status_code == 403

    browse(config, story)


def test_without_the_policy_nothing_asks(config: Config) -> None:
    """The control: the same requests, nobody demands anything. Red invoices have their point of the policy too."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        factors.demand(shop.office, session, "red")
        browser = another_browser(client, session)
        form = {"csrf": await csrf_of(browser), "name": "二店"}
        assert (await browser.post("/console/settings/shops", data=form)).status_code == 303
        await factors.set_policy(shop.office, session.actor, ["red"])
        demanded = await owner(shop)
        with pytest.raises(Refused, match="FACTOR-NEEDED"):
            factors.demand(shop.office, demanded, "red")

    browse(config, story)


def test_an_owner_without_a_factor_cannot_demand_one(config: Config) -> None:
    """He would lock himself out with one tap."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        browser = another_browser(client, await owner(shop))
        answer = await browser.post(
            "/console/settings/security", data={"csrf": await csrf_of(browser), "settings": "1"}
        )
        assert answer.status_code == 422 and "FACTOR-NONE" in answer.text

    browse(config, story)


def test_a_passkey_answer_that_nobody_made_is_refused(config: Config) -> None:
    """Garbage, another challenge's answer, none at all: FACTOR-PASSKEY, never an error of ours."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await hire(shop, Role.CLERK)
        browser = another_browser(client, session)
        csrf = await csrf_of(browser)
        options = (await browser.get("/console/account/factors/passkey")).json()
        assert options["rp"]["id"] == "shop.test" and len(options["challenge"]) >= 43
        for answer in ("", "{", "[]", "{}", '{"id":"x","rawId":"x","type":"public-key","response":{}}', "[" * 9000):
            form = {"csrf": csrf, "answer": answer, "password_now": PASSWORD}
            made = await browser.post("/console/account/factors/passkey", data=form)
            assert made.status_code == 403 and "FACTOR-PASSKEY" in made.text, answer[:20]
        assert await factors.factors_of(shop.office, session.person_id) == []

    browse(config, story)
