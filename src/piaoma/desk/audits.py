"""Audits (审计) run from the operator's page: the same as ``piaoma audit``, behind the page, with their history."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import structlog

from piaoma.invoice.refusal import refuse
from piaoma.store import Finding, Transaction, audit, milliseconds, open_database, write_block
from piaoma.trust import Verdict, trusted_root, verify_original
from piaoma.trust.checkpoint import LogPublicKey

from .channel import channel_roots
from .config import Config
from .platform_trail import record_act
from .sessions import Session

if TYPE_CHECKING:
    from .office import Office

HISTORY_MAX = 30  # runs shown
STALE_SECONDS = 6 * 3_600  # after which a run that never ended no longer holds up the next

_log = structlog.get_logger("piaoma.audits")


class Run(msgspec.Struct, frozen=True):
    """A run of the audit. ``broken`` is how much breaks an invariant, of all of them together."""

    run_id: int
    state: str
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    findings: tuple[Finding, ...]

    @property
    def broken(self) -> int:
        return sum(finding.broken for finding in self.findings)

    @property
    def seconds(self) -> int | None:
        return None if self.ended_at is None else int((self.ended_at - self.started_at).total_seconds())


async def start(office: Office, operator: Session) -> int:
    """Start an audit behind the page. Raises ``Refused`` AUDIT-RUNNING while one is under way."""
    now = office.now()
    now_ms = milliseconds(now)
    run_id = secrets.randbits(48)

    async def work(transaction: Transaction) -> None:
        running = await transaction.fetch(
            "SELECT 1 FROM audit_runs WHERE state = 'running' AND started_at_ms > $1", now_ms - STALE_SECONDS * 1000
        )
        if running:
            raise refuse("AUDIT-RUNNING")
        await transaction.execute(
            "INSERT INTO audit_runs (run_id, state, started_by, started_at_ms) VALUES ($1, 'running', $2, $3)",
            run_id, operator.name, now_ms,
        )  # fmt: skip
        await record_act(transaction, operator, now, "audit.start")

    await write_block(office.database, work)
    running = asyncio.create_task(_run(office, run_id))
    office.errands.add(running)
    running.add_done_callback(office.errands.discard)
    return run_id


async def _run(office: Office, run_id: int) -> None:
    state, findings = "failed", []
    try:
        # A thread with a loop and connections of its own: reading every original would hold up whoever issues.
        findings = await asyncio.to_thread(lambda: asyncio.run(findings_of(office.config)))
        state = "done"
    except Exception:
        _log.exception("audit")
    finally:
        async with office.database.write() as transaction:
            await transaction.execute(
                "UPDATE audit_runs SET state = $2, ended_at_ms = $3, findings = $4 WHERE run_id = $1",
                run_id, state, milliseconds(office.now()), msgspec.json.encode(findings).decode(),
            )  # fmt: skip


async def findings_of(config: Config, progress: Callable[[int], None] = lambda _: None) -> list[Finding]:
    """What the audit finds in a configuration's store: each invariant, with how much breaks it."""
    root = trusted_root(config.keys_folder)
    roots = (*(() if root is None else (root,)), *channel_roots(config))  # no secret is needed to verify

    def verify(original: bytes) -> str | None:
        verdict = verify_original(original, roots)
        if verdict.verdict is Verdict.VALID:
            return None
        return ", ".join(refusal.cause for refusal in verdict.reasons) or "not valid"

    database = await open_database(config.database_url)
    try:
        return await audit(database, verify, _verify_note(config), progress)
    finally:
        await database.close()


def _verify_note(config: Config) -> Callable[[str], str | None]:
    """What judges a checkpoint: the log's own key. A store without one has signed nothing."""
    public = config.data_folder / "keys" / "log.pub"
    return LogPublicKey.of(public.read_text()).fault if public.exists() else lambda _: "there is no keys/log.pub"


async def history(office: Office) -> list[Run]:
    """The last runs, newest first."""
    rows = await office.database.read(
        "SELECT run_id, state, started_by, started_at_ms, ended_at_ms, findings FROM audit_runs"
        " ORDER BY started_at_ms DESC, run_id LIMIT $1",
        HISTORY_MAX,
    )
    zone = office.now().tzinfo
    return [
        Run(
            row[0], row[1], row[2], datetime.fromtimestamp(row[3] / 1000, zone),
            datetime.fromtimestamp(row[4] / 1000, zone) if row[4] else None,
            msgspec.json.decode(row[5], type=tuple[Finding, ...]),
        )
        for row in rows
    ]  # fmt: skip
