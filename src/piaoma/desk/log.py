"""The log's keeper (存证): leaves get their places within a second of issue, and holders get proofs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from piaoma.documents.bundle import BUNDLE_VIEWS, Bundle, pack, proof_of_bundle
from piaoma.store import LogFault, Proof, WriteConflict, inclusion, milliseconds, sequence
from piaoma.store.log import SEQUENCE_MAX

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
    """One turn; how many leaves got their places."""
    return await sequence(office.database, office.log_key, milliseconds(office.now()))


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
