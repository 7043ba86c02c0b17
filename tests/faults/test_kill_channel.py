"""kill -9 between what a channel did and what we wrote down of it: the next process asks first, and nothing is doubled.

A real server process, a real simulator over HTTP; the audit runs over what the death left, and again in the end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from piaoma.cli.records import audit_of
from piaoma.desk import issue, scan
from piaoma.desk.config import Config
from piaoma.desk.office import open_office
from piaoma.store import IssueState, Outcome, open_database
from tests.channels.bench import Bench, bench
from tests.conftest import COMPANY, new_shop
from tests.journeys.served import Served

__all__ = ["bench"]

DEATH = """
import os, signal
from piaoma.delivery.report import ReportCarrier
from piaoma.desk import pursue
async def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)
real = ReportCarrier.carry
async def carry(self, jobs):
    await real(self, jobs)
    await die()
{where}
from piaoma.cli.serve import serve
serve(None)
"""
# Where it dies, and how many the other side has by then.
STEPS = {
    "leqi": ("ReportCarrier.carry = carry", "SELECT count(*) FROM authority_uploads WHERE taxpayer_id = $1"),
    "nuonuo": ("pursue.settle_issued = die", "SELECT count(*) FROM authority_issued WHERE taxpayer_id = $1"),
}
SELLERS = {"leqi": "91420100MA4K00000Q", "nuonuo": "91110108690017781B"}
WAIT_SECONDS = 40


async def begun(config: Config, seller: str, patch: pytest.MonkeyPatch) -> None:
    """An invoice that waits for the worker: its call, or its upload."""

    async def keep(office: Any, request: Any) -> Outcome:
        return Outcome(IssueState.SUBMITTED)

    patch.setattr(issue, "_call", keep)
    async with open_office(config, work=False) as office:
        shop = await new_shop(office, seller)
        await scan.confirm(office, (await shop.code()).token, "me", COMPANY, issue_key="k")
        async with office.database.write() as transaction:
            await transaction.execute("UPDATE issues SET next_query_at_ms = 0 WHERE next_query_at_ms IS NOT NULL")


async def told(config: Config) -> tuple[int, int]:
    """(invoices, of which the channel is known to have)."""
    database = await open_database(config.database_url)
    try:
        rows = await database.read(
            "SELECT (SELECT count(*) FROM invoices), (SELECT count(*) FROM jobs WHERE state = 'done')"
        )
        return int(rows[0][0]), int(rows[0][1])
    finally:
        await database.close()


@pytest.mark.parametrize("name", STEPS)
def test_a_death_between_a_channel_and_our_record(
    bench: Bench, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Done there and not written here; started again it is found, once on either side."""
    (where, there), seller = STEPS[name], SELLERS[name]
    bench.run(bench.authority.enrol(seller, "武汉测试餐饮有限公司"))
    served = Served(tmp_path, {"PIAOMA_CHANNEL": name, "PIAOMA_CHANNEL_FILE": str(bench.file(name, seconds=5))})
    config = Config(data=str(tmp_path / "data"), channel=name, channel_file=served.environment["PIAOMA_CHANNEL_FILE"])
    asyncio.run(begun(config, seller, monkeypatch))
    command = [sys.executable, "-c", DEATH.format(where=where)]
    died = subprocess.run(command, env=served.environment, capture_output=True, timeout=WAIT_SECONDS)
    assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]

    def counted() -> int:
        return int(bench.run(bench.authority._ledger.read(there, seller))[0][0])

    assert counted() == 1 and asyncio.run(told(config))[1] == 0
    assert [finding for finding in asyncio.run(audit_of(config, quiet=True)) if finding.broken] == []
    served.start()
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while asyncio.run(told(config)) != (1, 1):
            assert time.monotonic() < deadline, (tmp_path / "server.log").read_text()[-2000:]
            time.sleep(0.1)
    finally:
        served.kill()
    assert counted() == 1
    assert [finding for finding in asyncio.run(audit_of(config, quiet=True)) if finding.broken] == []
    assert os.environ.get("PIAOMA_CHANNEL") is None
