"""A signer that dies in the middle never loses or doubles an invoice: it is killed with -9 under load, and comes back.

Customers confirm over real HTTP without pause while the signer's process is killed at random moments; the server stays.
Whoever was answered with his result has his invoice; whoever was told to try again gets, with the same button, one.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from piaoma.cli.records import audit_of
from piaoma.desk.config import Config
from piaoma.desk.office import shanghai_now
from piaoma.store import open_database
from piaoma.trust import open_or_create
from tests.faults.test_kill import _wait, lost, prepare
from tests.journeys.served import Served
from tests.trust.signing import SignerProcess

KILLS = int(os.environ.get("PIAOMA_SIGNER_KILLS", "4"))
CLIENTS = 8
ALIVE_SECONDS, AWAY_SECONDS = (0.1, 0.6), (0.0, 0.3)
AGAIN_SECONDS_MAX = 30
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)

# The safeguard taken out: a batch that the signer did not answer is told as issued.
BELIEVE_ANYWAY = """
from piaoma.store import IssueState, Outcome, writer
async def answer(self, batch, honest=writer.BatchWriter._answer):
    try:
        outcomes = await self._commit([request for request, _ in batch])
    except writer.SignerDown:
        outcomes = [Outcome(IssueState.ISSUED, "26990000000000000000")] * len(batch)
    for (_, waiting), outcome in zip(batch, outcomes):
        waiting.done() or waiting.set_result(outcome)
writer.BatchWriter._answer = answer
"""


class Customers:
    """Who confirm one code after the other, and remember who was answered and who was told to try again."""

    def __init__(self, base: str, bodies: list[tuple[str, bytes]]) -> None:
        self.port = int(base.rpartition(":")[2])
        self.bodies = dict(bodies)
        self.queue = iter(bodies)
        self.acknowledged: set[str] = set()
        self.told_to_try_again: set[str] = set()
        self.over = False

    async def client(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for token, body in self.queue:
            if self.over:
                break
            kept = await self._confirm(reader, writer, body)
            (self.acknowledged if kept else self.told_to_try_again).add(token)
            if not kept:
                await asyncio.sleep(0.15)  # a person does not tap at once either
        writer.close()
        await writer.wait_closed()

    async def again(self, tokens: set[str]) -> set[str]:
        """The same buttons once more; those that still give no invoice."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        still = {token for token in sorted(tokens) if not await self._confirm(reader, writer, self.bodies[token])}
        writer.close()
        await writer.wait_closed()
        return still

    @staticmethod
    async def _confirm(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> bool:
        writer.write(body)
        head = await reader.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(head)
        if found:
            await reader.readexactly(int(found[1]))
        return head.startswith(b"HTTP/1.1 303") and b"/result" in head


@contextmanager
def stage(tmp_path: Path, codes: int) -> Iterator[tuple[Config, Served, SignerProcess, Customers]]:
    """A signer with its own data folder, a server that is not started yet, customers with a code each."""
    theirs = tmp_path / "signer" / "keys" / "sandbox"
    open_or_create(theirs, shanghai_now())
    signer = SignerProcess(tmp_path / "signer", tmp_path / "s")
    config = Config(data=str(tmp_path / "data"), signer=f"unix:{signer.socket}")
    config.keys_folder.mkdir(parents=True)
    shutil.copy(theirs / "root.pem", config.keys_folder)
    signer.start()
    served, bodies = prepare(config, codes)
    served.environment["PIAOMA_SIGNER"] = config.signer
    try:
        yield config, served, signer, Customers(served.base_url, bodies)
    finally:
        signer.kill()
        if served.process is not None and served.process.poll() is None:
            served.kill()


async def under_load(customers: Customers, signer: SignerProcess, moments: random.Random, kills: int) -> None:
    """Confirm all the time, kill the signer so many times, and let everybody who was turned away tap again."""
    clients = [asyncio.create_task(customers.client()) for _ in range(CLIENTS)]
    for _ in range(kills):
        # From an answer on, so that a busy machine has something to lose too.
        seen = len(customers.acknowledged)
        while len(customers.acknowledged) == seen:
            assert not any(client.done() for client in clients), "there are codes for all"
            await asyncio.sleep(0.01)
        await asyncio.sleep(moments.uniform(*ALIVE_SECONDS))
        signer.kill()
        await asyncio.sleep(moments.uniform(*AWAY_SECONDS))
        await asyncio.to_thread(signer.start)
    customers.over = True
    await asyncio.gather(*clients)


async def invoices(config: Config) -> list[int]:
    """The codes of all invoices, one entry for each invoice."""
    database = await open_database(config.database_url)
    try:
        return [row[0] for row in await database.read("SELECT code_id FROM invoices")]
    finally:
        await database.close()


def test_a_signer_killed_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Random kills; everything acknowledged is there once, every other button gives one invoice, the audit holds."""
    seed = int(os.environ.get("PIAOMA_SEED", secrets.randbits(32)))
    print(f"PIAOMA_SEED={seed}")
    with stage(tmp_path, 1_000 * KILLS) as (config, served, signer, customers):
        served.start()
        asyncio.run(under_load(customers, signer, random.Random(seed), KILLS))
        assert customers.acknowledged and customers.told_to_try_again, "the load and the kills were real"
        assert asyncio.run(lost(config, customers.acknowledged)) == []
        left = customers.told_to_try_again
        for _ in range(AGAIN_SECONDS_MAX):
            left = asyncio.run(customers.again(left))
            if not left:
                break
            asyncio.run(asyncio.sleep(1))
        assert left == set()
        everybody = customers.acknowledged | customers.told_to_try_again
        assert asyncio.run(customers.again(set(sorted(everybody)[:50]))) == set(), "a tap too many gives the same"
        found = asyncio.run(invoices(config))
        assert len(found) == len(set(found)) == len(everybody)
        assert [one for one in asyncio.run(audit_of(config, quiet=True)) if one.broken] == []


def test_believing_a_signer_that_did_not_answer_is_caught(tmp_path: Path) -> None:
    """Negative control: against a server that tells a failed batch as issued, the same load finds a loss."""
    with stage(tmp_path, 6_000) as (config, served, signer, customers):
        program = f"{BELIEVE_ANYWAY}\nfrom piaoma.cli.serve import serve\nserve(None)"
        served.log = (tmp_path / "server.log").open("ab")
        served.process = subprocess.Popen(
            [sys.executable, "-c", program], env=served.environment, stdout=served.log, stderr=served.log
        )
        _wait(served)
        for turn in range(5):
            asyncio.run(under_load(customers, signer, random.Random(turn), 1))
            customers.over = False
            if asyncio.run(lost(config, customers.acknowledged)):
                return
        pytest.fail("a server that believes a dead signer was not caught")
