"""The page of the channel: who issues, whether it works and what to do if not, what is in stock, what waits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import msgspec
import pytest

from piaoma.channels import OutcomeUnknown, RemoteAnswer, RemoteRequest, SandboxAuthority, SessionState
from piaoma.desk import merchant, scan
from piaoma.desk.roles import Role
from piaoma.store import IssueState
from piaoma.web.page import words
from tests.conftest import COMPANY, Shop
from tests.web.browsing import browse, log_in
from tests.web.people import another_browser, hire


async def page_of(client: httpx.AsyncClient, language: str = "zh") -> str:
    page = await client.get(f"/console/channel?lang={language}")
    assert page.status_code == 200
    return page.text


def test_every_state_is_shown_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Works, not reached, keys not accepted, somebody must prove himself: each in words, in both languages."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        for state in SessionState:

            async def at_present(self: SandboxAuthority, state: SessionState = state) -> SessionState:
                return state

            monkeypatch.setattr(SandboxAuthority, "session_state", at_present)
            for language in ("zh", "en"):
                text = await page_of(client, language)
                for key in (f"channel_{state.value}", f"channel_{state.value}_remedy")[: 2 - (state == "ok")]:
                    assert words()[key][language].replace("'", "&#39;") in text
                others = {f"channel_{other.value}" for other in SessionState if other is not state}
                assert not [key for key in others if f"{words()[key][language]}</p>" in text]

    browse(tmp_path, story)


def test_stock_and_open_ends_are_shown(tmp_path: Path) -> None:
    """Numbers and quota left; an upload that waits, one that was refused for good with the reason, and a month."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        empty = await page_of(client)
        assert "没有</p>" in empty and "还没有。" in empty and "只开测试样票" in empty
        office, code = shop.office, await shop.code()
        office.config = msgspec.structs.replace(office.config, number_block=1_000)
        number = (await scan.confirm(office, code.token, "me", COMPANY, issue_key="k")).number
        text = await page_of(client)
        assert "999</p>" in text and "¥999,945.28" in text and "1 张已开，等待上传" in text
        async with office.database.write() as transaction:
            await transaction.execute("UPDATE jobs SET state = 'dead', last_error = 'CHANNEL-FIGURES 33 <b>不符'")
            await transaction.execute(
                "INSERT INTO month_summaries VALUES ($1, '2026-10', 'differs', '{}', 0, 1), "
                "($1, '2026-09', 'confirmed', '{}', 0, NULL)",
                shop.id,
            )
        text = await page_of(client)
        assert f"/console/invoices/{number}" in text and "CHANNEL-FIGURES 33 &lt;b&gt;不符" in text
        assert "与税务平台有差异" in text and "2026-09 已与税务平台确认" in text

    browse(tmp_path, story)


def test_what_a_channel_said_of_an_open_outcome_is_kept_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code that no table has: the outcome is open, and the owner reads the code as it came."""

    async def strange(self: SandboxAuthority, request: RemoteRequest) -> RemoteAnswer:
        raise OutcomeUnknown(request.serial, "X-77 <b>新规则")

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        code = await shop.code()
        await shop.office.channel.rehearse(remote=True)  # type: ignore[attr-defined]
        monkeypatch.setattr(SandboxAuthority, "issue_blue", strange)
        outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")
        assert outcome.state is IssueState.UNKNOWN
        text = await page_of(client)
        assert "X-77 &lt;b&gt;新规则" in text and f"/console/codes/{code.code_id}" in text

    browse(tmp_path, story)


def test_a_channel_that_hangs_holds_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for the quota it says nothing: the page comes, with the limit that was told last."""

    async def hangs(self: SandboxAuthority, taxpayer_id: str, month: str, needed_fen: int = 0) -> int:
        await asyncio.sleep(60)
        return 0

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        await page_of(client)
        monkeypatch.setattr(SandboxAuthority, "get_quota", hangs)
        monkeypatch.setattr(merchant, "QUOTA_WAIT_SECONDS", 0.05)
        assert "¥1,000,000.00" in await page_of(client)

    browse(tmp_path, story)


def test_a_cashier_does_not_see_it(tmp_path: Path) -> None:
    """Nor its link on the board; it is the owner's, the clerk's and the accountant's."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        assert "/console/channel" in (await client.get("/console")).text
        async with another_browser(client, await hire(shop, Role.CASHIER)) as cashier:
            assert "/console/channel" not in (await cashier.get("/console")).text
            assert (await cashier.get("/console/channel")).status_code == 403

    browse(tmp_path, story)
