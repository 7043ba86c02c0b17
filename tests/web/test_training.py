"""S13, S118: the practice ground is real but that it is nobody's shop, and its faults are felt there alone."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from piaoma.desk import accounts, merchant, reissue, staff, training
from piaoma.desk.config import Config
from piaoma.desk.events import Actor, list_events
from piaoma.desk.roles import Role
from piaoma.desk.sessions import Session, session_of
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refused
from tests.conftest import Shop
from tests.web.browsing import browse, hidden, issue_by_pages
from tests.web.people import PASSWORD, another_browser, csrf_of, hire, owner

ITEM = {"name1": "餐费", "code1": "3070401000000000000", "rate1": "0.06", "amount1": "58"}


def _later(shop: Shop) -> None:
    """Two seconds on: a person does not do two things within one, as a test does."""
    before = shop.office.now
    shop.office.now = lambda: before() + timedelta(seconds=2)


async def _press(browser: httpx.AsyncClient, **fields: str) -> str:
    """A button of the training page; the page afterwards."""
    csrf = hidden(await browser.get("/console/training"), "csrf")
    answer = await browser.post("/console/training", data={"csrf": csrf, **fields}, follow_redirects=True)
    assert answer.status_code == 200
    return answer.text


async def _make(browser: httpx.AsyncClient) -> httpx.Response:
    form = await browser.get("/console/codes/new")
    sent = {"csrf": hidden(form, "csrf"), "mint_key": hidden(form, "mint_key"), **ITEM}
    return await browser.post("/console/codes/new", data=sent)


async def _token(shop: Shop, ground: int) -> str:
    rows = await shop.office.database.read(
        "SELECT code_id FROM codes WHERE merchant_id = $1 AND state = 'open' ORDER BY created_at_ms DESC",
        ground,
    )
    return shop.office.token(ground, rows[0][0])


async def _now(shop: Shop, session: Session) -> Session:
    found = await session_of(shop.office, session.secret)
    assert found is not None
    return msgspec.structs.replace(found, secret=session.secret)


async def _done(shop: Shop, session: Session) -> list[str]:
    return [
        step.exercise.value for step in await training.steps(shop.office, await _now(shop, session)) if step.done_at
    ]


def test_a_new_clerk_completes_six_exercises(tmp_path: Path) -> None:
    """S118: by the pages alone; each is done by what happened, none by a button; the owner sees the progress."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await hire(shop, Role.CLERK, "clerk")
        clerk, customer = another_browser(client, session), another_browser(client)
        assert "演练中" not in (await clerk.get("/console")).text
        assert "演练中" in await _press(clerk, enter="1")
        ground = (await _now(shop, session)).merchant_id
        assert ground != shop.id and (await _now(shop, session)).trains == shop.id

        await _press(clerk, start="first")
        assert await _done(shop, session) == []
        assert (await _make(clerk)).status_code == 303
        first = await _token(shop, ground)
        assert "发票已开具" in (await issue_by_pages(customer, first)).text
        assert await _done(shop, session) == ["first"]

        await _press(clerk, start="send")
        number = (await shop.office.database.read("SELECT number FROM invoices WHERE merchant_id = $1", ground))[0][0]
        assert number[2:4] == "99"
        csrf = await csrf_of(clerk)
        await clerk.post(f"/console/invoices/{number}", data={"csrf": csrf, "email": "a@example.cn"})
        await _press(clerk, start="title")
        other = Buyer("武汉另一家贸易有限公司", "92330781MA2EDMFU50")
        await reissue.start(shop.office, Actor(ground, session.person_id, "clerk"), number, other, reissue_id="r")
        assert await _done(shop, session) == ["first", "send", "title"]

        assert "故障已打开" in await _press(clerk, start="quota")
        refused = await _make(clerk)
        assert refused.status_code == 422 and "/help/QUOTA-EXCEEDED" in refused.text
        assert "QUOTA-EXCEEDED" in (await clerk.get("/help/code-fails?check=1")).text
        _later(shop)
        await _press(clerk, end="quota")
        assert "quota" not in await _done(shop, session), "ending the fault is not yet the exercise"
        assert (await _make(clerk)).status_code == 303

        _later(shop)
        await _press(clerk, start="outage")
        token = await _token(shop, ground)
        down = await issue_by_pages(customer, token)
        assert "ISSUE-CHANNEL-DOWN" in down.text
        assert "ISSUE-CHANNEL-DOWN" in (await clerk.get("/console/settings/channel")).text
        _later(shop)
        await _press(clerk, end="outage")
        assert "发票已开具" in (await issue_by_pages(customer, token)).text
        _later(shop)
        await _press(clerk, start="network")
        assert (await _make(clerk)).status_code == 303
        assert await _done(shop, session) == ["first", "send", "title", "quota", "outage", "network"]

        assert "演练中" not in await _press(clerk, leave="1")
        boss = another_browser(client, await owner(shop))
        assert re.search(r"测试clerk</td><td class=\"r\">6 / 6", (await boss.get("/console/training")).text)
        kinds = [one.kind for one in (await list_events(shop.office, shop.id)).items]
        assert "training.enter" in kinds and "training.leave" in kinds
        assert (await shop.office.database.read("SELECT count(*) FROM invoices WHERE merchant_id = $1", shop.id))[0][
            0
        ] == 0

    browse(tmp_path, story)


def test_a_fault_of_the_practice_ground_is_felt_there_alone(tmp_path: Path) -> None:
    """While quota and channel are away there, the real shop makes codes and issues. Negative control: the same switch
    for the shop's own id stops it. From outside the ground no switch is touched."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        boss = another_browser(client, session)
        refused = await boss.post("/console/training", data={"csrf": await csrf_of(boss), "start": "outage"})
        assert refused.status_code == 409 and "TRAINING-OUTSIDE" in refused.text
        await _press(boss, enter="1")
        for fault in ("quota", "outage"):
            await _press(boss, start=fault)
            code = await shop.code()
            assert "发票已开具" in (await issue_by_pages(another_browser(client), code.token)).text, fault
        ground = await merchant.merchant(shop.office, (await _now(shop, session)).merchant_id)
        assert ground.taxpayer_id.startswith(training.PRACTICE_REGION)
        await shop.office.channel.rehearse(shop.merchant.taxpayer_id, quota_fen=0)  # type: ignore[attr-defined]
        month = await merchant.quota(shop.office, shop.merchant)
        assert month is not None and month.left == 0

    browse(tmp_path, story)


def test_training_belongs_to_the_sandbox(tmp_path: Path) -> None:
    """With another channel there is none; and operators review no practice ground."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        boss = another_browser(client, await owner(shop))
        channel = shop.office.channel
        shop.office.channel = object()  # type: ignore[assignment]
        refused = await boss.post("/console/training", data={"csrf": await csrf_of_training(boss), "enter": "1"})
        shop.office.channel = channel
        assert refused.status_code == 409 and "TRAINING-ONLY-SANDBOX" in refused.text
        await _press(boss, enter="1")
        from piaoma.desk import operators

        assert [one.merchant_id for one in await operators.queue(shop.office, "测试")] == [shop.id]

    async def csrf_of_training(browser: httpx.AsyncClient) -> str:
        return hidden(await browser.get("/console/training"), "csrf")

    browse(tmp_path, story)


def test_whoever_is_switched_off_is_out_of_the_practice_ground_too(config: Config) -> None:
    """His session there ends with his next request, he cannot log in to it, and his role there follows."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await hire(shop, Role.CLERK, "clerk")
        clerk = another_browser(client, session)
        await _press(clerk, enter="1")
        ground = (await _now(shop, session)).merchant_id
        await staff.change_member(shop.office, shop.actor, session.person_id, role=Role.CASHIER, active=True)
        assert (await _now(shop, session)).role is Role.CASHIER and (await _now(shop, session)).merchant_id == ground
        await staff.change_member(shop.office, shop.actor, session.person_id, role=Role.CLERK, active=False)
        assert await session_of(shop.office, session.secret) is None
        with pytest.raises(Refused, match="ACCOUNT-LOGIN-WRONG"):
            await accounts.log_in(shop.office, "clerk", PASSWORD)

    browse(config, story)


def test_the_first_run_leads_to_the_first_sample_and_survives_logging_out(tmp_path: Path) -> None:
    """S13: profile → item → code → test scan, as the checklist has it; logged out in between, it goes on there."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        boss = another_browser(client, await owner(shop))
        csrf = await csrf_of(boss)

        async def left() -> int:
            page = (await another_browser(client, await owner(shop)).get("/console")).text
            steps = page.partition('<ol class="steps">')[2].partition("</ol>")[0]
            return 4 - steps.count("✓") if steps else 0

        assert await left() == 4
        profile = {"shop_name": "小馆", "address": "测试路 1 号", "phone": "027-0", "bank": "测试银行", "account": "1",
                   "drawer": "某某", "password_now": "a long password"}  # fmt: skip
        await boss.post("/console/settings/profile", data={"csrf": csrf, **profile})
        assert await left() == 3
        item = {"name": "餐费", "code": "3070401000000000000", "rate": "0.06"}
        await boss.post("/console/settings/goods", data={"csrf": csrf, **item})
        assert await left() == 2
        assert (await boss.post("/console/logout", data={"csrf": csrf})).status_code == 303
        again = another_browser(client, await owner(shop))
        assert (await _make(again)).status_code == 303
        assert await left() == 1
        result = await issue_by_pages(another_browser(client), await _token(shop, shop.id))
        assert "测试样票" in result.text and await left() == 0

    browse(tmp_path, story)
