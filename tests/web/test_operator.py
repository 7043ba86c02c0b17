"""The platform's operators: review of merchants and suspending one; and that accounts of before the migration go on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import argon2
import httpx

from piaoma.desk import accounts, merchant, operators, scan
from piaoma.desk.config import Config
from piaoma.desk.events import list_events
from piaoma.desk.sessions import NO_MERCHANT
from piaoma.store import migrations
from tests.conftest import COMPANY, Shop
from tests.web.browsing import browse, hidden
from tests.web.people import PASSWORD, another_browser, csrf_of, owner


async def _operator(shop: Shop) -> None:
    await operators.add_operator(shop.office.database, shop.office.now(), "platform", PASSWORD)


def test_an_operator_confirms_and_suspends_and_the_merchant_reads_who_did(config: Config) -> None:
    """S2: the queue, 核验通过, 暂停 with a reason; suspended, nothing is issued but all can be read; then on again."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await _operator(shop)
        code = await shop.code()
        browser = another_browser(client)
        entered = await browser.post("/console/login", data={"login": "platform", "password": PASSWORD})
        assert entered.headers["location"] == "/operator"
        page = await browser.get("/operator")
        assert shop.merchant.name in page.text and "待核验" in page.text
        csrf, path = hidden(page, "csrf"), f"/operator/{shop.id}"
        assert (await browser.post(path, data={"confirm": "1"})).status_code == 403, "without the token nothing"
        assert (await browser.post(path, data={"csrf": csrf, "confirm": "1"})).status_code == 303
        assert (await merchant.merchant(shop.office, shop.id)).verified
        assert shop.merchant.name not in (await browser.get("/operator")).text
        assert shop.merchant.name in (await browser.get("/operator?q=测试餐饮")).text
        assert (await browser.post(path, data={"csrf": csrf, "suspend": "1"})).status_code == 422, "a reason is asked"
        reason = {"csrf": csrf, "reason": "资料不符"}
        assert (await browser.post(path, data={**reason, "suspend": "1"})).status_code == 303
        outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="i")
        assert [one.cause for one in outcome.refusals] == ["MERCHANT-SUSPENDED"]
        boss = another_browser(client, await owner(shop))
        today, trail = await boss.get("/console"), await boss.get("/console/events?kind=merchant.")
        assert "暂停开票" in today.text and "资料不符" in trail.text and "platform" in trail.text
        assert (await browser.post(path, data={**reason, "resume": "1"})).status_code == 303
        assert (await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="j")).number
        assert (await browser.post("/operator/5", data={"csrf": csrf, "confirm": "1"})).status_code == 404
        assert (await browser.post("/operator/logout", data={"csrf": csrf})).status_code == 303
        assert (await browser.get("/operator")).headers["location"] == "/console/login"

    browse(config, story)


def test_an_operator_has_no_merchant_and_sees_none_of_its_pages(config: Config) -> None:
    """Neither invoices nor codes; and an owner is no operator."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await _operator(shop)
        session = await accounts.log_in(shop.office, "platform", PASSWORD)
        assert session.merchant_id == NO_MERCHANT and session.operator
        browser = another_browser(client, session)
        for page in (
            "/console",
            "/console/invoices",
            "/console/account",
            f"/console/codes/{(await shop.code()).code_id}",
        ):
            answer = await browser.get(page)
            assert answer.status_code == 303 and answer.headers["location"] == "/operator"
        boss = another_browser(client, await owner(shop))
        csrf = await csrf_of(boss)
        assert (await boss.get("/operator")).status_code == 404
        assert (await boss.post(f"/operator/{shop.id}", data={"csrf": csrf, "confirm": "1"})).status_code == 404
        assert not (await merchant.merchant(shop.office, shop.id)).verified
        assert not [one for one in (await list_events(shop.office, shop.id)).items if one.kind == "merchant.verify"]

    browse(config, story)


def test_an_operator_is_made_by_the_command_line_beside_a_running_server(tmp_path: Path) -> None:
    """``piaoma operator add``: the password comes from standard input, not from the arguments."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        command = [sys.executable, "-m", "piaoma.cli", "operator", "add", "platform"]
        environment = {**os.environ, "PIAOMA_DATA": str(tmp_path)}
        for password, code in (("short\n", 2), (f"{PASSWORD}\n", 0)):
            done = subprocess.run(command, env=environment, input=password, text=True, capture_output=True)
            assert done.returncode == code, done.stderr
        assert (await accounts.log_in(shop.office, "platform", PASSWORD)).operator

    browse(tmp_path, story)


def test_accounts_of_before_go_on_with_their_password(tmp_path: Path) -> None:
    """A store from before people, with a merchant and its owner: afterwards he logs in as before, as owner; his session
    of before is over."""
    with sqlite3.connect(tmp_path / "piaoma.sqlite3") as old:
        old.execute("CREATE TABLE migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,"
                    " applied_at_ms BIGINT NOT NULL)")  # fmt: skip
        for migration in takewhile(lambda one: one.name != "people", migrations()):
            for statement in migration.statements():
                old.execute(statement)
            applied = (migration.version, migration.name, migration.checksum)
            old.execute("INSERT INTO migrations VALUES (?, ?, ?, 0)", applied)
        old.execute("INSERT INTO merchants (merchant_id, taxpayer_id, name, taxpayer_kind, shop_name, verified_at_ms,"
                    " created_at_ms) VALUES (7, '91110000600037341L', '老店公司', '1', '老店', 1, 1)")  # fmt: skip
        password_hash = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
        old.execute("INSERT INTO users VALUES (5, 'old@example.cn', ?, 1)", (password_hash,))
        old.execute("INSERT INTO memberships VALUES (7, 5, 'owner')")
        old.execute("INSERT INTO sessions VALUES ('digest', 5, 7, 1, 9999999999999)")
    old.close()

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await accounts.log_in(shop.office, "old@example.cn", PASSWORD)
        assert (session.merchant_id, session.role, session.name) == (7, "owner", "old@example.cn")
        rows = await shop.office.database.read("SELECT count(*) FROM sessions WHERE secret_hash = 'digest'")
        assert rows[0][0] == 0

    browse(tmp_path, story)
