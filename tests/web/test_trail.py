"""S106, S10: whatever changes something leaves an event, with who, when, before and after; nothing takes one away."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from pathlib import Path

import httpx
import pyotp
import pytest

from piaoma.anomalies import BOUNDS as LIMITS
from piaoma.anomalies import Thresholds
from piaoma.desk import factors, goods, merchant, questions
from piaoma.desk.config import Config
from piaoma.desk.events import Actor, list_events, masked_address, record
from piaoma.desk.roles import Role
from piaoma.web.console.rights import RIGHTS
from tests.conftest import COMPANY, MEAL, Shop
from tests.desk.receiving import photographed
from tests.web.browsing import browse, hidden
from tests.web.people import PASSWORD, another_browser, csrf_of, hire, last_mail, mails, owner
from tests.web.test_matrix import _addresses, _filled

SOURCE = Path(__file__).parents[2] / "src" / "piaoma"
# Needs a browser's authenticator: tests/journeys/test_people.py does it.
CORRECTIONS = {
    "/console/corrections/received", "/console/corrections/forms/{form_id}", "/console/invoices/{number}/red",
    "/console/corrections/reissues/{reissue_id}", "/console/invoices/{number}/reissue",
}  # fmt: skip
# Asks for a file: tests/web/test_received.py, test_batches.py and test_payments.py do it. Leads to another merchant's
# pages: tests/web/test_training.py. A month that is over: tests/web/test_month.py.
ELSEWHERE = {
    "/console/account/factors/passkey", "/console/received", "/console/batches", "/console/training",
    "/console/payments", "/console/tax",
} | CORRECTIONS  # fmt: skip


ROW = {"name1": "餐费", "code1": "3070401000000000000", "rate1": "0.06", "amount1": "58"}
STATIC_TERMS = {"amount_min": "1", "amount_max": "900", "days_back": "7", "device_max": "5", "hour_max": "9"}


async def _forms(browser: httpx.AsyncClient, shop: Shop) -> dict[str, dict[str, str]]:
    """For every route that changes something, a form with which it does."""
    shop_id = str((await shop.office.database.read("SELECT shop_id FROM shops"))[0][0])
    item = goods.GoodsForm(MEAL.name, MEAL.code, MEAL.rate)
    goods_id = str((await goods.save_goods(shop.office, shop.merchant, item, shop.actor)).goods_id)
    rows = await shop.office.database.read("SELECT application_id FROM applications WHERE apply_key LIKE 'b:%'")
    newer = rows[0][0]
    number = (await shop.office.database.read("SELECT number FROM invoices"))[0][0]
    await questions.ask(shop.office, shop.id, number, "title", "", "")
    question = str((await questions.list_questions(shop.office, shop.id, "open")).items[0].question_id)
    received = (await photographed(shop, 1)).number
    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    page = await browser.get("/console/account/factors")
    sent = hidden(page, "secret")
    from piaoma.web.signed import pack

    person_id = (await owner(shop)).person_id
    signed = pack(shop.office.cookie_key, f"totp.{person_id}", secret)
    assert sent.count(".") == signed.count(".")
    return {
        "/console/switch": {"merchant": str(shop.id)},
        "/console/codes/new": ROW,
        "/console/codes/drafts": {"mint_key": "d", "amount1": "58"},
        "/console/codes/{code_id}/change": {**ROW, "amount1": "60", "version": "1"},
        "/console/codes/{code_id}": {"revoke": "1"},
        "/console/batches/{batch_id}": {},
        "/console/settings/buyers": {"buyer_name": COMPANY.name, "buyer_id": COMPANY.taxpayer_id},
        "/console/static/new": {"places": "桌 9", "goods": goods_id, **STATIC_TERMS},
        "/console/static/{static_id}/change": {"places": "桌 10", "goods": "kept", **STATIC_TERMS},
        "/console/static/{static_id}": {"revoke": "1"},
        "/console/inbox": {f"a{newer}": "1"},
        "/console/inbox/{application_id}": {"refuse": "1", "reason": "重复"},
        "/console/invoices/{number}": {"email": "someone@example.cn"},
        "/console/deliveries/retry": {},
        "/console/questions": {"question": question, "answer": "今天给您换开"},
        "/console/support/{ticket_id}": {"text": "还是慢"},
        "/console/announcements/dismiss": {"announcement": "5"},
        "/console/mails": {f"mail:{number}:mail:0": "1"},
        "/console/invoices/searches": {"name": "本月"},
        "/console/exports/{export_id}/cancel": {},
        "/console/invoices/batch": {"do": "csv:line"},
        "/console/received/{entry}": {"do": "book", "voucher": "记-1"},
        "/console/received/book": {f"n:{received}": "1", "voucher": "记-2"},
        "/console/received/export": {"do": "zip:files"},
        "/console/received/address": {},
        "/console/anomalies/{finding_id}": {"state": "seen"},
        "/console/settings/anomalies": {
            **{name: str(getattr(Thresholds(), name)) for name in LIMITS}, "reds_count": "9", "alerts": "off",
        },
        "/console/quota": {"extra": "50000", "reason": "年底宴席多"},
        "/console/payments/{file_id}": {"again": "1"},
        "/console/settings/profile": {"shop_name": "新名字", "drawer": "某某", "account": "6222000000001234",
                                      "password_now": PASSWORD},
        "/console/settings/goods": {"name": "餐费", "code": "3070401000000000000", "rate": "0.06"},
        "/console/settings/corrections": {"mode": "approve", "days": "30", "times": "2"},
        "/console/settings/people/invite": {"person_name": "小某", "role": "cashier"},
        "/console/settings/people/withdraw": {},
        "/console/settings/people/{person_id}": {"role": "reader"},
        "/console/settings/shops": {"name": "二店"},
        "/console/settings/tills": {"till_name": "2 号台", "shop_id": shop_id},
        "/console/settings/tills/{till_id}/enrol": {},
        "/console/events/export": {"do": "csv"},
        "/console/account/name": {"person_name": "王某"},
        "/console/account/password": {"password_now": PASSWORD, "password": "another long password"},
        "/console/account/pin": {"password_now": "another long password", "pin": "2580"},
        "/console/account/sessions": {"others": "1"},
        "/console/account/email": {"email": "boss@example.cn"},
        "/console/account/email/proof": {"code": "?"},
        "/console/account/factors": {"secret": signed, "code": "?", "password_now": "another long password"},
        "/console/account/recovery-codes": {"password_now": "another long password"},
        "/console/account/confirm": {"code": "?"},
        "/console/settings/security": {"settings": "1"},
        "/console/account/factors/remove": {"factor": "?", "password_now": "another long password"},
        "/console/logout": {},
    }  # fmt: skip


async def _code(path: str, shop: Shop, page: str) -> str:
    """What the person would read off his mail, his app, his paper or the page."""
    if path == "/console/account/email/proof":
        found = re.search(r"验证码：(\d{6})", await last_mail(shop))
    elif path == "/console/account/factors":
        return pyotp.TOTP("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP").at(shop.office.now().timestamp())
    elif path == "/console/account/confirm":
        found = re.search(r'class="key">(\w{5}-\w{5})<', page)
    else:
        found = re.search(r'name="factor" value="(\d+)"', page)
    assert found is not None, path
    return found[1]


def test_every_route_that_changes_something_leaves_its_event(config: Config) -> None:
    """Made from the table of rights: each form is sent once, and its event is the newest of the trail afterwards."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        values = await _addresses(client, shop)
        values["code_id"] = str((await shop.code()).code_id)
        session = await owner(shop)
        browser = another_browser(client, session)
        csrf = await csrf_of(browser)
        forms = await _forms(browser, shop)
        changing = {path: right.changes for (_, path), right in RIGHTS.items() if right.changes}
        assert forms.keys() == changing.keys() - ELSEWHERE
        page = ""
        for path, form in forms.items():
            before = (await list_events(shop.office, shop.id)).items[0]
            if "?" in form.values():
                shown = (await browser.get("/console/account/factors")).text if "factors/remove" in path else page
                form = {key: await _code(path, shop, shown) if value == "?" else value for key, value in form.items()}
            await asyncio.gather(*shop.office.exports.values())  # one at a time
            answer = await browser.post(_filled(path, values), data={"csrf": csrf, **form})
            assert answer.status_code in (200, 303), (path, re.findall(r"/help/([\w-]+)", answer.text))
            page = answer.text if "recovery" in path else page
            newest = (await list_events(shop.office, shop.id)).items[0]
            assert newest.kind == changing[path], (path, newest.kind)
            assert newest.person_name and newest.event_id > before.event_id

    browse(config, story, mail_in="127.0.0.1:0")


def test_a_change_of_the_profile_asks_for_the_password_and_shows_before_and_after(tmp_path: Path) -> None:
    """S10: without it nothing changes; with it the trail has both, the bank account shortened; invoices stay."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        browser = another_browser(client, await owner(shop))
        csrf = await csrf_of(browser)
        form = {"csrf": csrf, "shop_name": "新名字", "drawer": "某某", "account": "6222000000001234"}
        for wrong in ({}, {"password_now": "not my password"}):
            answer = await browser.post("/console/settings/profile", data={**form, **wrong})
            assert answer.status_code == 403 and "ACCOUNT-PASSWORD-WRONG" in answer.text and "新名字" in answer.text
        assert (await merchant.merchant(shop.office, shop.id)).shop_name == "测试小馆"
        changed = await browser.post("/console/settings/profile", data={**form, "password_now": PASSWORD})
        assert changed.status_code == 303
        event = (await list_events(shop.office, shop.id, kind="profile.")).items[0]
        assert (event.before["shop_name"], event.after["shop_name"]) == ("测试小馆", "新名字")
        assert event.after["account"] == "***1234" and "phone" not in event.after, "only what differs, shortened"
        page = (await browser.get("/console/events?kind=profile.")).text
        assert "测试小馆" in page and "新名字" in page and "6222000000001234" not in page

    browse(tmp_path, story)


def test_the_trail_is_for_owner_and_accountant_and_can_be_searched(config: Config) -> None:
    """By kind, person and day, fifty a page; a clerk does not read it."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for place in range(60):
            actor = Actor(shop.id, None, "甲" if place % 2 else "乙", "203.0.113.*")
            async with shop.office.database.write() as transaction:
                await record(transaction, actor, shop.office.now(), "goods.save", f"商品{place}")
        browser = another_browser(client, await hire(shop, Role.ACCOUNTANT))
        page = await browser.get("/console/events")
        assert page.text.count("保存商品") >= 45 and "203.0.113.*" in page.text
        older = re.search(r'href="(\?[^"]*cursor=[^"]+)"', page.text)
        assert older is not None
        second = (await browser.get(f"/console/events{older[1]}".replace("&amp;", "&"))).text
        assert "商品0<" in second and "商品59<" not in second
        only = (await browser.get("/console/events?q=甲")).text
        assert "商品1<" in only and "商品2<" not in only
        assert "没有符合条件" in (await browser.get("/console/events?since=2031-01-01")).text
        assert (await browser.get("/console/events?since=nonsense")).status_code == 422
        clerk = another_browser(client, await hire(shop, Role.CLERK))
        assert (await clerk.get("/console/events")).status_code == 403
        assert "/console/events" not in (await clerk.get("/console")).text

    browse(config, story)


def test_the_trail_is_taken_away_as_a_table(config: Config) -> None:
    """S106: all that a search finds, page after page, newest first, with before and after; a formula stays a text."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for place in range(60):
            actor = Actor(shop.id, None, "=甲" if place % 2 else "乙", "203.0.113.*")
            async with shop.office.database.write() as transaction:
                await record(transaction, actor, shop.office.now(), "goods.save", f"商品{place}", {"name": "旧"},
                             {"name": f"新{place}"})  # fmt: skip
        browser = another_browser(client, await hire(shop, Role.ACCOUNTANT))
        csrf = await csrf_of(browser)
        started = await browser.post("/console/events/export?kind=goods.", data={"csrf": csrf, "do": "csv"})
        await asyncio.gather(*shop.office.exports.values())
        file = await browser.get(started.headers["location"] + "/file")
        rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
        assert [row[4] for row in rows[1:-1]] == [f"商品{place}" for place in range(59, -1, -1)]
        assert rows[1][1:] == ["'=甲", "203.0.113.*", "保存商品", "商品59", "名称：旧 → 新59"]
        assert rows[-1] == ["合计", "60"] and "%E6%93%8D" in file.headers["content-disposition"]
        assert (await browser.post("/console/events/export", data={"csrf": csrf, "do": "exe"})).status_code == 422

    browse(config, story)


def test_an_event_and_what_it_tells_are_there_together_or_not_at_all(config: Config) -> None:
    """Aim: no change without its event. The event cannot be written: then the change is not there either."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        actor = Actor(shop.id, None, None)  # type: ignore[arg-type]  # a name is demanded by the table
        with pytest.raises(Exception, match=r"(?i)not.null"):
            await factors.set_policy(shop.office, actor, ["red"])
        rows = await shop.office.database.read("SELECT factor_policy FROM merchants")
        assert rows[0][0] == ""
        assert await mails(shop) == []

    browse(config, story)


def test_no_statement_changes_or_removes_an_event() -> None:
    """Append-only: the only statement on the table that is no SELECT is the INSERT of ``record``."""
    for file in SOURCE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(UPDATE|DELETE FROM|DROP TABLE)\s+events\b", text), file.name
        assert ("INSERT INTO events" in text) == (file.name == "events.py"), file.name


@pytest.mark.parametrize(
    ("address", "shown"),
    [("203.0.113.7", "203.0.113.*"), ("2001:db8:1:2::7", "2001:0db8:0001:*"), ("unix:", ""), ("", "")],
)
def test_an_address_is_shown_as_its_network(address: str, shown: str) -> None:
    """Enough to tell the shop from elsewhere, not enough to find a person."""
    assert masked_address(address) == shown
