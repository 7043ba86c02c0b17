"""S136, S138, S140, S141, S106: what stands behind the figures, an estimate, an auditor, the trail as a file."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zipfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from piaoma.desk import board, scan, sessions, staff
from piaoma.desk.config import Config
from piaoma.desk.events import list_events
from piaoma.desk.roles import Role
from piaoma.desk.savings import Assumptions, savings
from piaoma.desk.sessions import Client
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refused
from piaoma.web.console import access
from tests.conftest import COMPANY, Shop
from tests.web.browsing import browse, log_in
from tests.web.people import another_browser, csrf_of, hire


def rows_in(page: str) -> int:
    """Rows of the page's list; none when it has none."""
    tables = re.findall(r'<table class="list">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    return len(re.findall(r"<tr", tables[0])) if tables else 0


async def rehearse(shop: Shop, **changes: object) -> None:
    await shop.office.channel.rehearse(**changes)  # type: ignore[attr-defined]
    shop.office._numbering = (-1e9, shop.office._numbering[1])
    shop.office.channel_known = (-1e9, shop.office.channel_known[1])


def test_every_figure_of_the_board_has_its_list(config: Config) -> None:
    """Funnel, waiting times, failures, mails, channel and findings: as many rows as the figure says."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        office = shop.office
        made = [await shop.code(f"{58 + place}") for place in range(6)]
        await scan.viewed(office, made[0].token)
        for code in made[1:4]:
            await scan.confirm(office, code.token, "me", COMPANY, issue_key=code.token, email="a@example.cn")
        async with office.database.write() as transaction:  # one customer took five minutes, one a day and more
            for code, seconds in ((made[2], 200), (made[3], 90_000)):
                await transaction.execute(
                    "UPDATE codes SET created_at_ms = created_at_ms - $2 WHERE code_id = $1",
                    code.code_id, seconds * 1000,
                )  # fmt: skip
            await transaction.execute(
                "UPDATE jobs SET state = 'dead', last_error = 'x' WHERE kind = 'mail' AND number ="
                " (SELECT min(number) FROM jobs)"
            )
        await rehearse(shop, refuse=True)
        await scan.confirm(office, made[4].token, "me", Buyer("某", natural_person=True), issue_key="r")
        await rehearse(shop, refuse=False)
        await log_in(client, shop)
        shown = await board.board(office, shop.id)
        page = (await client.get("/console")).text
        behind = r'href="(/console/(?:codes\?since|reports/waits|reports/failures|mails\?only)[^"]*)"'
        links = dict.fromkeys(re.findall(behind, page))
        assert len(links) == 1 + 4 + 9 + 1 + 3
        counted = {}
        for link in links:
            listed = await client.get(link.replace("&amp;", "&"))
            assert listed.status_code == 200, link
            counted[link.partition("?")[2].replace("&amp;", "&")] = rows_in(listed.text)
        stages = {link.rpartition("state=")[2]: count for link, count in counted.items() if "state=" in link}
        funnel = shown.funnel
        assert stages == {"scanned": funnel.scanned, "confirmed": funnel.confirmed, "issued": funnel.issued}
        assert (funnel.scanned, funnel.confirmed, funnel.issued) == (5, 4, 3)
        waits = {link.partition("=")[2]: count for link, count in counted.items() if link.startswith("within")}
        assert waits == {str(bound): count for bound, count in shown.waits} and sum(waits.values()) == 3
        assert {name: counted[f"only={name}&days=30"] for name, _ in shown.mails} == dict(shown.mails)
        assert shown.refusals == (("ISSUE-REFUSED-BY-AUTHORITY", 1),)
        assert counted["cause=ISSUE-REFUSED-BY-AUTHORITY"] == 1 and shown.delivered_percent == 0
        assert "● 正常" in page
        state = await board.state_of(office, shop.id)
        await rehearse(shop, down="before")
        assert await board.state_of(office, shop.id) != state, "a channel that goes away changes the board"
        assert "▲ 连不上" in (await client.get("/console/board")).text

    browse(config, story)


def test_what_paper_would_have_taken_is_an_estimate_that_can_be_changed(tmp_path: Path) -> None:
    """Worked out from the number of invoices and the stated assumptions alone; nonsense stands at the usual."""
    found = savings(1_000, Assumptions())
    assert (found.sheets, found.hours, found.yuan) == (Decimal(2000), Decimal("50.0"), Decimal("1450.00"))

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        code = await shop.code()
        await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")
        page = (await client.get("/console/reports/savings?sheets=4&minutes=60&hour_yuan=30&sheet_yuan=1")).text
        assert "估算" in page and "¥34.00" in page and 'maxlength="12" value="4.0"' in page
        for wrong in ("-1", "x", "1e9", "９", "." * 12):
            page = (await client.get(f"/console/reports/savings?sheets={wrong}")).text
            assert 'maxlength="12" value="2"' in page, wrong
        assert (await client.get("/console/reports/savings?since=x")).status_code == 422

    browse(tmp_path, story)


def test_an_auditor_looks_for_a_time_and_everything_he_reads_is_recorded(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let in for days, reads lists, trail, months and payments, changes nothing; each page is in the trail; when his
    time is over he finds nothing. Controls: a reader's look leaves no event; without the note there is none."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        office = shop.office
        code = await shop.code()
        number = (await scan.confirm(office, code.token, "me", COMPANY, issue_key="k")).number
        csrf = await log_in(client, shop)
        form = {"csrf": csrf, "person_name": "审计某", "role": "auditor"}
        for days in ("0", "91", "x"):
            bad = await client.post("/console/settings/people/invite", data={**form, "access_days": days})
            assert bad.status_code == 422 and "STAFF-AUDITOR" in bad.text
        page = await client.post("/console/settings/people/invite", data={**form, "access_days": "7"})
        secret = re.findall(r"/join/([\w-]+)", page.text)[0]
        session = await staff.accept_new(office, secret, "auditor", "a long password", Client())
        browser = another_browser(client, session)
        read = ["/console/invoices?all=1", f"/console/invoices/{number}", "/console/events", "/console/tax",
                "/console/payments", "/console/reports/taxes", f"/console/invoices/{number}/file/xml"]  # fmt: skip
        for path in read:
            assert (await browser.get(path)).status_code == 200, path
        await browser.get("/console/board/state.json")
        seen = [one.subject for one in (await list_events(office, shop.id, kind="audit.")).items]
        assert seen == read[::-1]
        token = await csrf_of(browser)
        for path, sent in (("/console/codes/new", {}), (f"/console/invoices/{number}", {"email": "a@example.cn"}),
                           ("/console/tax", {"month": "2026-01"}), ("/console/settings/security", {})):  # fmt: skip
            assert (await browser.post(path, data={"csrf": token, **sent})).status_code == 403, path
        person = next(one for one in await staff.members(office, shop.id) if one.role is Role.AUDITOR)
        assert person.until is not None and person.until - office.now() > timedelta(days=6)
        # Nobody becomes an auditor without an end.
        clerk = await hire(shop, Role.CLERK)
        with pytest.raises(Refused, match="STAFF-AUDITOR"):
            await staff.change_member(office, shop.actor, clerk.person_id, role=Role.AUDITOR, active=True)
        count = len((await list_events(office, shop.id, kind="audit.")).items)
        reader = another_browser(client, await hire(shop, Role.READER))
        await reader.get("/console/invoices?all=1")
        monkeypatch.setattr(access, "_follows_by_itself", lambda path: True)
        await browser.get("/console/invoices?all=1")
        assert len((await list_events(office, shop.id, kind="audit.")).items) == count
        moment = office.now() + timedelta(days=7, seconds=1)
        office.now = lambda: moment
        assert await sessions.session_of(office, session.secret) is None
        assert (await browser.get("/console/invoices?all=1")).status_code == 303
        assert await sessions.memberships_of(office, session.person_id) == []

    browse(config, story)


def test_bundles_of_a_period_verify_offline(tmp_path: Path) -> None:
    """What an auditor takes away: each invoice's bundle, judged by the verifier that needs nothing of ours."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for place in range(2):
            code = await shop.code(f"{58 + place}")
            await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key=str(place))
        csrf = await log_in(client, shop)
        sent = await client.post(
            f"/console/invoices/batch?since={shop.office.now():%Y-%m-%d}", data={"csrf": csrf, "do": "zip:bundle"}
        )
        with zipfile.ZipFile(io.BytesIO(sent.content)) as package:
            names = [name for name in package.namelist() if name.endswith(".zip")]
            package.extractall(tmp_path / "out")
        assert len(names) == 2
        for name in names:
            verifier = Path(__file__).parents[2] / "verifier" / "verify.py"
            told = subprocess.run(
                [sys.executable, "-I", str(verifier), str(tmp_path / "out" / name)], capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            assert told.returncode == 2 and "NOTHING IS FALSE" in told.stdout, told.stdout  # 2: no root was given

    browse(tmp_path / "shop", story)
