"""The transparency log on disk (透明日志): pending leaves get their places, tiles grow, checkpoints are signed.

One turn is one transaction: leaves, tiles and checkpoint are on disk together or not at all, so a crash leaves
nothing to mend, and whatever is published was committed. Tiles are kept beside the leaves, not as files, for just
that reason; and so every process of an installation serves the same ones, and a backup has them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence

import msgspec

from piaoma.trust import merkle
from piaoma.trust.checkpoint import Checkpoint, LogKey, NoteFault

from .database import Database, Row, Transaction

SEQUENCE_MAX = 2_048  # leaves that get their places in one turn


class LogFault(Exception):
    """The log on disk contradicts what was signed. Nothing more is signed until somebody has looked."""


class Proof(msgspec.Struct, frozen=True):
    """That an invoice is in the log: everything a verifier needs besides the original."""

    leaf: int
    salt: bytes
    hashes: tuple[bytes, ...]
    note: str  # the first checkpoint that covers the leaf


_ANY_PENDING = "SELECT 1 FROM log_pending LIMIT 1"
# Rows go from one table to the other inside the database; only what is hashed comes here.
_PLACE_PENDING = """
INSERT INTO log_leaves (leaf, merchant_id, number, salt, commitment)
SELECT $1 + row_number() OVER () - 1, merchant_id, number, salt, commitment
FROM (SELECT merchant_id, number, salt, commitment FROM log_pending LIMIT $2) p
"""
_PLACED = "SELECT commitment FROM log_leaves WHERE leaf >= $1 ORDER BY leaf"
_DROP_PENDING = """
DELETE FROM log_pending WHERE (merchant_id, number) IN (SELECT merchant_id, number FROM log_leaves WHERE leaf >= $1)
"""
_WITHOUT_PENDING = """
SELECT i.merchant_id, i.number, i.digest FROM invoices i
LEFT JOIN log_pending p ON p.merchant_id = i.merchant_id AND p.number = i.number
WHERE p.number IS NULL AND (i.merchant_id, i.number) > ($1, $2)
ORDER BY i.merchant_id, i.number LIMIT $3
"""
_ADOPT = "INSERT INTO log_pending (merchant_id, number, salt, commitment) VALUES ($1, $2, $3, $4)"
_LAST_CHECKPOINT = "SELECT size, root, note FROM log_checkpoints ORDER BY size DESC LIMIT 1"
_TILES = """
SELECT t.level, t.tile, t.hashes FROM {keys} CROSS JOIN log_tiles t WHERE t.level = k.a AND t.tile = k.b
"""
_KEEP_TILE = """
INSERT INTO log_tiles (level, tile, hashes) VALUES ($1, $2, $3)
ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes
"""
_INSERT_CHECKPOINT = "INSERT INTO log_checkpoints (size, root, note, signed_at_ms) VALUES ($1, $2, $3, $4)"


async def sequence(database: Database, key: LogKey, now_ms: int) -> int:
    """One turn: give places to what waits and sign the tree that results; how many leaves were added.

    One process at a time does it; for the others there is nothing to do. An empty log gets a checkpoint too. Raises
    ``LogFault`` when the tree does not follow from the last checkpoint, and then nothing was changed.
    """
    last = await database.read_by_key(_LAST_CHECKPOINT)
    if last is None:
        await _adopt(database)
    elif await database.read_by_key(_ANY_PENDING) is None:
        return 0
    async with database.write() as transaction:
        if not (await transaction.fetch(database.dialect.sequencer_lock))[0][0]:
            return 0
        rows = await transaction.fetch(_LAST_CHECKPOINT)
        last = rows[0] if rows else None
        older = Checkpoint(key.public.name, 0, merkle.EMPTY_ROOT) if last is None else _opened(key, last)
        await transaction.execute(_PLACE_PENDING, older.size, SEQUENCE_MAX)
        placed = [bytes(row[0]) for row in await transaction.fetch(_PLACED, older.size)]
        if last is not None and not placed:
            return 0
        if await transaction.execute(_DROP_PENDING, older.size) != len(placed):
            raise LogFault(f"there are leaves beyond the {older.size} that were signed")
        await _append(transaction, database, key, older, placed, now_ms)
        return len(placed)


async def _adopt(database: Database) -> None:
    """Let the invoices of a store that is older than its log wait for their places too, before anything is signed."""
    last: tuple[int, str] = (-1, "")
    while True:
        async with database.write() as transaction:
            # Whoever holds the lock while nothing is signed knows that there are no leaves, and that none come.
            alone = (await transaction.fetch(database.dialect.sequencer_lock))[0][0]
            if not alone or await transaction.fetch(_LAST_CHECKPOINT):
                return
            rows = await transaction.fetch(_WITHOUT_PENDING, *last, SEQUENCE_MAX)
            if not rows:
                return
            salts = [os.urandom(merkle.HASH_BYTES) for _ in rows]
            pending = [
                (row[0], row[1], salt, merkle.commitment(salt, bytes.fromhex(row[2])))
                for row, salt in zip(rows, salts, strict=True)
            ]
            await transaction.execute_many(_ADOPT, pending)
            last = (rows[-1][0], rows[-1][1])


async def _append(
    transaction: Transaction, database: Database, key: LogKey, older: Checkpoint, placed: Sequence[bytes], now_ms: int
) -> None:
    """Let the tree grow by the commitments of the leaves that got their places, and sign it."""
    size = older.size + len(placed)
    if placed:
        tiles = await _fetch_tiles(database, transaction.fetch, merkle.edge(older.size), older.size, exact=True)
        grown = merkle.grown(older.size, tiles, [merkle.leaf_hash(commitment) for commitment in placed])
        await transaction.execute_many(_KEEP_TILE, [(*coordinate, hashes) for coordinate, hashes in grown.items()])
    # What is signed is proven from what the statements above left behind, not from what they were meant to.
    needed = merkle.tiles_for_root(size) | merkle.tiles_for_consistency(older.size, size)
    tiles = await _fetch_tiles(database, transaction.fetch, needed, size)
    newer = Checkpoint(older.origin, size, merkle.root(size, tiles))
    proof = merkle.consistency_proof(older.size, size, tiles)
    if not merkle.is_consistent(older.size, older.root, size, newer.root, proof):
        raise LogFault(f"the log of {size} leaves does not begin with the {older.size} that were signed")
    await transaction.execute(_INSERT_CHECKPOINT, size, newer.root, key.signed(newer), now_ms)


def _opened(key: LogKey, row: Row) -> Checkpoint:
    """The last checkpoint as it was signed; a row that says something else is not gone on from."""
    try:
        checkpoint = key.public.opened(row["note"])
    except NoteFault as fault:
        raise LogFault(f"the last checkpoint: {fault}") from None
    if (checkpoint.size, checkpoint.root) != (row["size"], bytes(row["root"])):
        raise LogFault("the last checkpoint is not what its note says")
    return checkpoint


async def _fetch_tiles(
    database: Database,
    fetch: Callable[..., object],
    coordinates: Iterable[merkle.Coordinate],
    size: int,
    *,
    exact: bool = False,
) -> dict[merkle.Coordinate, bytes]:
    """The tiles, each with at least the hashes that a tree of ``size`` leaves has in it."""
    keys = list(coordinates)
    if not keys:
        return {}
    statement = _TILES.format(keys=database.dialect.int_int_keys)
    rows: Sequence[Row] = await fetch(statement, json.dumps(keys))  # type: ignore[misc]
    tiles = {(row[0], row[1]): bytes(row[2]) for row in rows}
    if missing := set(keys) - set(tiles):
        raise LogFault(f"tiles are missing: {sorted(missing)[:3]}")
    for coordinate, hashes in tiles.items():
        bytes_there = merkle.width(coordinate, size) * merkle.HASH_BYTES
        if len(hashes) < bytes_there or (exact and len(hashes) > bytes_there):
            raise LogFault(f"tile {coordinate} does not fit {size} leaves")
    return tiles


async def latest_checkpoint(database: Database) -> str | None:
    """The note signed last; None before the first turn."""
    row = await database.read_by_key(_LAST_CHECKPOINT)
    return None if row is None else str(row["note"])


async def log_tile(database: Database, level: int, tile: int) -> bytes | None:
    """The hashes of a tile as far as it has grown."""
    row = await database.read_by_key("SELECT hashes FROM log_tiles WHERE level = $1 AND tile = $2", level, tile)
    return None if row is None else bytes(row[0])


async def log_entries(database: Database, tile: int) -> list[bytes]:
    """The data of the leaves below a tile of the lowest level, as far as there are."""
    first = tile * merkle.TILE_HASHES_MAX
    rows = await database.read(
        "SELECT commitment FROM log_leaves WHERE leaf >= $1 AND leaf < $2 ORDER BY leaf",
        first, first + merkle.TILE_HASHES_MAX,
    )  # fmt: skip
    return [bytes(row[0]) for row in rows]


async def inclusion(database: Database, merchant_id: int, number: str) -> Proof | None:
    """The proof of an invoice towards the first checkpoint that covers it, so it is the same whenever it is asked
    for. None as long as the invoice waits for its place."""
    leaf = await database.read_by_key(
        "SELECT leaf, salt FROM log_leaves WHERE merchant_id = $1 AND number = $2", merchant_id, number
    )
    if leaf is None:
        return None
    index = int(leaf[0])
    signed = await database.read_by_key(
        "SELECT size, note FROM log_checkpoints WHERE size > $1 ORDER BY size LIMIT 1", index
    )
    assert signed is not None, "leaves and their checkpoint are committed together"
    size = int(signed[0])
    tiles = await _fetch_tiles(database, database.read, merkle.tiles_for_inclusion(index, size), size)
    return Proof(index, bytes(leaf[1]), tuple(merkle.inclusion_proof(index, size, tiles)), signed[1])


async def consistency(database: Database, older: int, size: int) -> list[bytes]:
    """The proof between two sizes that the log has reached. Raises ``LogFault`` for others."""
    tiles = await _fetch_tiles(database, database.read, merkle.tiles_for_consistency(older, size), size)
    return merkle.consistency_proof(older, size, tiles)
