"""换开 and kill -9: the server dies at each of its steps, above all between the red invoice and the new one.

After every death the audit holds and the state says the truth; started again, it goes on by itself, and in the end
there are one form, one red invoice and one new one.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from piaoma.cli.records import audit_of
from piaoma.desk import reissue
from piaoma.desk.config import Config
from piaoma.desk.office import open_office
from piaoma.desk.records import invoice
from piaoma.desk.reissue_book import ReissueState, add_reissue
from piaoma.invoice.red_form import Side
from piaoma.store import open_database
from tests.conftest import Shop, fresh_database, with_shop
from tests.desk.test_reissue import RIGHT, claimed
from tests.journeys.served import Served

DEATH = """
import os, signal
from piaoma.desk import red, reissue
async def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)
{where} = die
from piaoma.cli.serve import serve
serve(None)
"""
# Where it dies, and what is said of the request then.
STEPS = {
    "before the form is raised": ("red._apply", "working"),
    "before the answer is recorded": ("red._record", "working"),
    "between form and red invoice": ("red.issue_of", "working"),
    "before the red one is noted": ("reissue.set_red", "working"),
    "between the red and the new one": ("reissue._issue_anew", "red"),
    "before the new one is noted": ("reissue.set_done", "red"),
}
WAIT_SECONDS = 40


async def begin(shop: Shop) -> tuple[int, str]:
    """A request that is on disk and has not begun; the worker takes it up."""
    had = await claimed(shop)
    old = await invoice(shop.office, shop.id, had.number)
    await add_reissue(
        shop.office, old, RIGHT, reissue_id="the_request", by=Side.SELLER, made_by="test", code_id=None, email="",
        state=ReissueState.WORKING,
    )  # fmt: skip
    async with shop.office.database.write() as transaction:
        await transaction.execute("UPDATE reissues SET next_at_ms = 0")
    return shop.id, had.number


async def told(config: Config) -> tuple[str, int, int, int]:
    """(state of the request, invoices, red ones, forms)."""
    database = await open_database(config.database_url)
    try:
        rows = [
            await database.read(statement)
            for statement in (
                "SELECT state FROM reissues",
                "SELECT count(*) FROM invoices",
                "SELECT count(*) FROM invoices WHERE corrects IS NOT NULL",
                "SELECT count(*) FROM red_forms",
            )
        ]
    finally:
        await database.close()
    return rows[0][0][0], rows[1][0][0], rows[2][0][0], rows[3][0][0]


async def make_due(config: Config) -> None:
    """What waits for its next try is due now, so that the test need not wait as long."""
    database = await open_database(config.database_url)
    try:
        async with database.write() as transaction:
            await transaction.execute("UPDATE reissues SET next_at_ms = 0 WHERE next_at_ms IS NOT NULL")
            await transaction.execute("UPDATE red_forms SET next_query_at_ms = 0 WHERE next_query_at_ms IS NOT NULL")
    finally:
        await database.close()


def broken(config: Config) -> list[str]:
    return [finding.name for finding in asyncio.run(audit_of(config, quiet=True)) if finding.broken]


@pytest.mark.parametrize(("step", "engine"), [*((step, "sqlite") for step in STEPS),
                                              ("between the red and the new one", "postgres")])  # fmt: skip
def test_a_killed_reissue_goes_on_by_itself(
    step: str, engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Killed at the step; audited; started again; audited."""
    database = fresh_database(request.getfixturevalue("postgres_server")) if engine == "postgres" else ""
    config = Config(data=str(tmp_path / "data"), database=database)
    with_shop(config, begin)
    served = Served(tmp_path, {"PIAOMA_DATABASE": database} if database else None)
    where, state = STEPS[step]
    with (tmp_path / "dying.log").open("ab") as log:
        program = DEATH.format(where=where)
        dying = subprocess.Popen([sys.executable, "-c", program], env=served.environment, stdout=log, stderr=log)
        try:
            assert dying.wait(WAIT_SECONDS) == -9, (tmp_path / "dying.log").read_text()[-3000:]
        finally:
            if dying.poll() is None:
                dying.kill()
                dying.wait()
    assert asyncio.run(told(config))[0] == state
    assert broken(config) == []
    asyncio.run(make_due(config))
    served.start()
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while asyncio.run(told(config))[0] != "done" and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        served.kill()
    assert asyncio.run(told(config)) == ("done", 3, 1, 1)
    assert broken(config) == []


def test_without_the_request_on_disk_it_would_end_there(tmp_path: Path) -> None:
    """Negative control: with the request taken off the disk, nothing goes on after the red invoice."""
    config = Config(data=str(tmp_path / "data"))

    async def dies(shop: Shop) -> None:
        await begin(shop)
        real = reissue._issue_anew

        async def gone(*_: object) -> None:
            raise RuntimeError("killed")

        reissue._issue_anew = gone  # type: ignore[assignment]
        try:
            await reissue.correct_once(shop.office)
        finally:
            reissue._issue_anew = real
        async with shop.office.database.write() as transaction:
            await transaction.execute("DELETE FROM reissues")

    async def after() -> int:
        async with open_office(config, work=False) as office:
            await reissue.correct_once(office)
            return int((await office.database.read("SELECT count(*) FROM invoices"))[0][0])

    with_shop(config, dies)
    assert asyncio.run(after()) == 2
