"""The log's keeper (存证): leaves get their places within a second of issue, and holders get proofs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from piaoma.documents.bundle import BUNDLE_VIEWS, Bundle, pack, proof_of_bundle
from piaoma.store import (
    LogFault,
    Proof,
    WriteConflict,
    consistency,
    inclusion,
    latest_checkpoint,
    milliseconds,
    sequence,
)  # fmt: skip
from piaoma.store.log import SEQUENCE_MAX
from piaoma.trust.checkpoint import Checkpoint, NoteFault
from piaoma.trust.files import write_whole
from piaoma.trust.merkle import EMPTY_ROOT, is_consistent

if TYPE_CHECKING:
    from .office import Office

SEQUENCE_SECONDS = 0.5  # between two turns, so that under load many leaves share one
PROOF_SECONDS_MAX = 2.0  # that a download waits for the proof of an invoice just issued
PROOF_TURN_SECONDS = 0.1
FAULT_SECONDS = 30  # between two tries when the log contradicts itself

_log = structlog.get_logger("piaoma.log")


async def keep_log(office: Office) -> None:
    """Sequence until cancelled. A log that contradicts what was signed is told loudly and not gone on with."""
    while True:
        pause = SEQUENCE_SECONDS
        try:
            if await sequence_once(office) == SEQUENCE_MAX:
                pause = 0
        except LogFault as fault:
            _log.error("log", fault=str(fault))
            pause = FAULT_SECONDS
        except Exception:
            _log.exception("log")
        await asyncio.sleep(pause)


async def sequence_once(office: Office) -> int:
    """One turn; how many leaves got their places. Raises ``LogFault`` as ``store.sequence``, and when the log does
    not go on from what this machine has seen of it."""
    await _compare_with_memory(office)
    added = await sequence(office.database, office.log_key, milliseconds(office.now()))
    if added:
        await _remember(office)
    return added


async def _remember(office: Office) -> None:
    """Keep the last checkpoint outside the store: a store put back from a backup cannot take it along."""
    note = await latest_checkpoint(office.database)
    assert note is not None, "a turn that added leaves has signed"
    await asyncio.to_thread(write_whole, office.log_memory, note.encode())


async def _compare_with_memory(office: Office) -> None:
    """Once, before the first turn of a process: the log must contain the log that this machine saw last. Otherwise
    holders have proofs of leaves that are gone, and signing other leaves in their places would make two logs."""
    if office.log_compared:
        return
    if office.log_memory.exists():
        seen = _opened(office, office.log_memory.read_text(encoding="utf-8"))
        note = await latest_checkpoint(office.database)
        now = _opened(office, note) if note else Checkpoint(seen.origin, 0, EMPTY_ROOT)
        if now.size < seen.size:
            raise LogFault(f"the log has {now.size} leaves and had {seen.size}: was a backup put back?")
        proof = await consistency(office.database, seen.size, now.size)
        if not is_consistent(seen.size, seen.root, now.size, now.root, proof):
            raise LogFault(f"the log is not the one of {seen.size} leaves that this machine saw")
    office.log_compared = True


def _opened(office: Office, note: str) -> Checkpoint:
    try:
        return office.log_key.public.opened(note)
    except NoteFault as fault:
        raise LogFault(f"a checkpoint of this log is none: {fault}") from None


async def proof_of(office: Office, merchant_id: int, number: str) -> Proof | None:
    """The proof of an invoice. One that was just issued is waited for, not for long; then None: not yet in the log."""
    turns = round(PROOF_SECONDS_MAX / PROOF_TURN_SECONDS)
    for turn in range(turns):
        proof = await inclusion(office.database, merchant_id, number)
        if proof is not None or turn == turns - 1:
            return proof
        try:
            if await sequence_once(office):
                continue
        except WriteConflict:
            pass  # another process was faster
        except LogFault as fault:
            _log.error("log", fault=str(fault))
            return None
        await asyncio.sleep(PROOF_TURN_SECONDS)
    return None


async def bundle_of(office: Office, merchant_id: int, number: str) -> bytes:
    """The bundle (凭证包) of an invoice. Raises ``Refused`` as ``views.view``."""
    original = await office.view(merchant_id, number, "xml")
    views = {kind: await office.view(merchant_id, number, kind) for kind in BUNDLE_VIEWS}
    proof = await proof_of(office, merchant_id, number)
    leaf = None if proof is None else (proof.leaf, proof.salt, proof.hashes)
    stated = proof_of_bundle(number, original, office.log_key.public, leaf)
    return pack(Bundle(number, original, views, stated, proof.note if proof else "", office.roots[0]))
