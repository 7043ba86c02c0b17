"""``piaoma bench log``: proofs from a large log, and how fast leaves get their places.

The large log is made of tiles alone, of random hashes.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time

from piaoma.desk.config import Config
from piaoma.store import Database, consistency, inclusion, open_database, sequence
from piaoma.store.log import SEQUENCE_MAX
from piaoma.trust import merkle
from piaoma.trust.checkpoint import Checkpoint, LogKey

LEAVES_DEFAULT = 10_000_000
SAMPLES_MAX = 2_000  # proofs that are timed
TURNS_MAX = 20  # of the sequencer that are timed

_TILE = "INSERT INTO log_tiles (level, tile, hashes) VALUES ($1, $2, $3)"
_LEAF = "INSERT INTO log_leaves (leaf, merchant_id, number, salt, commitment) VALUES ($1, 0, $2, $3, $4)"
_PENDING = "INSERT INTO log_pending (merchant_id, number, salt, commitment) VALUES (0, $1, $2, $3)"
_CHECKPOINT = "INSERT INTO log_checkpoints (size, root, note, signed_at_ms) VALUES ($1, $2, $3, 0)"


def bench_log(config: Config, seconds: float, leaves: int) -> None:
    """Proofs for so many seconds in a log of so many leaves; then sequencing on top of it."""
    asyncio.run(_measure(config, seconds, leaves))


async def _measure(config: Config, seconds: float, leaves: int) -> None:
    database = await open_database(config.database_url, schema="piaoma_bench_log")
    try:
        key = LogKey("bench/log", bytes(32))
        numbers = await _fill(database, key, leaves)
        proofs = await _proofs(database, numbers, seconds)
        between = await _consistencies(database, leaves, seconds)
        rate, turn_ms = await _sequencing(database, key)
    finally:
        await database.close()
    print(
        f"A log of {leaves} leaves; proofs are read from {database.dialect.name}, tiles in one statement.\n"
        f"RESULT log proof_ms={statistics.median(proofs):.2f}"
        f" proof_p99_ms={statistics.quantiles(proofs, n=100)[98]:.2f}"
        f" consistency_ms={statistics.median(between):.2f}"
        f" sequence_rate={rate:.0f}/s turn_ms={turn_ms:.0f} leaves={leaves}"
    )


async def _fill(database: Database, key: LogKey, leaves: int) -> dict[str, int]:
    """Rows of tiles of random hashes, where some leaves are known by number. A proof never works out a hash that
    stands in a tile from the tile below, so every proof is as it would be, and consistent with all others."""
    drawn = random.sample(range(leaves), min(leaves, SAMPLES_MAX))
    known = {leaf: f"{place:020d}" for place, leaf in enumerate(drawn)}
    top = merkle.tiles_for_root(leaves)
    tiles: dict[merkle.Coordinate, bytes] = {}
    level = 0
    while entries := leaves >> (merkle.TILE_HEIGHT * level):
        async with database.write() as transaction:
            for place in range(-(-entries // merkle.TILE_HASHES_MAX)):
                hashes = os.urandom(merkle.width((level, place), leaves) * merkle.HASH_BYTES)
                await transaction.execute(_TILE, level, place, hashes)
                if (level, place) in top:
                    tiles[(level, place)] = hashes
        level += 1
    checkpoint = Checkpoint(key.public.name, leaves, merkle.root(leaves, tiles))
    async with database.write() as transaction:
        await transaction.execute_many(_LEAF, [(leaf, known[leaf], bytes(32), bytes(32)) for leaf in known])
        await transaction.execute(_CHECKPOINT, leaves, checkpoint.root, key.signed(checkpoint))
    return {number: leaf for leaf, number in known.items()}


async def _proofs(database: Database, numbers: dict[str, int], seconds: float) -> list[float]:
    """Milliseconds of each inclusion proof, from the number to the hashes."""
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    for number, leaf in numbers.items():
        begun = time.perf_counter()
        proof = await inclusion(database, 0, number)
        times.append((time.perf_counter() - begun) * 1000)
        assert proof is not None and proof.leaf == leaf, "the leaf is in the log"
        if begun > deadline:
            break
    return times


async def _consistencies(database: Database, leaves: int, seconds: float) -> list[float]:
    """Milliseconds of proofs between the whole and sizes drawn by chance."""
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline and len(times) < SAMPLES_MAX:
        begun = time.perf_counter()
        await consistency(database, random.randrange(1, leaves), leaves)  # noqa: S311 - a sample, no secret
        times.append((time.perf_counter() - begun) * 1000)
    return times


async def _sequencing(database: Database, key: LogKey) -> tuple[float, float]:
    """Leaves a second and milliseconds of a turn, when more wait than one turn takes."""
    rows = [(f"w{place:019d}", os.urandom(32), os.urandom(32)) for place in range(SEQUENCE_MAX * TURNS_MAX)]
    async with database.write() as transaction:
        await transaction.execute_many(_PENDING, rows)
    begun = time.perf_counter()
    done, turns = 0, 0
    while added := await sequence(database, key, 0):
        done, turns = done + added, turns + 1
    elapsed = time.perf_counter() - begun
    assert done == len(rows), "every leaf has its place"
    return done / elapsed, elapsed / turns * 1000
