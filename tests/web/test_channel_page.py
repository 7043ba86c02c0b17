"""The page of the channel says what waits for it and what it said, for every channel that could be in force."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from piaoma.channels import OutcomeUnknown, RemoteAnswer, RemoteRequest, SandboxAuthority
from piaoma.desk import merchant, scan
from piaoma.store import IssueState
from tests.channels.test_rehearsals import rehearse
from tests.conftest import COMPANY, Shop
from tests.web.browsing import browse, log_in

PAGE = "/console/settings/channel"


def test_what_a_channel_said_of_an_open_outcome_is_kept_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code that no table has: the outcome is open, and the owner reads the code as it came."""

    async def strange(self: SandboxAuthority, request: RemoteRequest) -> RemoteAnswer:
        raise OutcomeUnknown(request.serial, "X-77 <b>新规则")

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        assert "没有在等的" in (await client.get(PAGE)).text
        code = await shop.code()
        await rehearse(shop.office, remote=True)
        monkeypatch.setattr(SandboxAuthority, "issue_blue", strange)
        outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")
        assert outcome.state is IssueState.UNKNOWN
        text = (await client.get(PAGE)).text
        assert "X-77 &lt;b&gt;新规则" in text and f"/console/codes/{code.code_id}" in text

    browse(tmp_path, story)


def test_uploads_that_wait_and_that_were_refused_are_shown(tmp_path: Path) -> None:
    """With the number and the platform's reason; and every channel has its name there, another package's its own."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        code = await shop.code()
        number = (await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")).number
        assert "1 张已开，等待上传" in (await client.get(PAGE)).text
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE jobs SET state = 'dead', last_error = 'CHANNEL-FIGURES 33 <b>不符'")
        text = (await client.get(PAGE)).text
        assert f"/console/invoices/{number}" in text and "CHANNEL-FIGURES 33 &lt;b&gt;不符" in text
        for name, shown in (("leqi", "乐企"), ("nuonuo", "诺诺"), ("baiwang", "百望"), ("theirs", "theirs")):
            shop.office.channel.name = name
            assert f"● {shown}" in (await client.get(PAGE)).text

    browse(tmp_path, story)


def test_a_channel_that_hangs_holds_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for the quota it says nothing: today's page comes, with the limit that was told last."""

    async def hangs(self: SandboxAuthority, taxpayer_id: str, month: str, needed_fen: int = 0) -> int:
        await asyncio.sleep(60)
        return 0

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        await client.get("/console")
        monkeypatch.setattr(SandboxAuthority, "get_quota", hangs)
        monkeypatch.setattr(merchant, "QUOTA_WAIT_SECONDS", 0.05)
        assert "¥1,000,000.00" in (await client.get("/console")).text

    browse(tmp_path, story)
