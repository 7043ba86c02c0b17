"""The rows of a store as files, of one moment, and back into either engine.

One form for both engines, so a backup of SQLite can be put into PostgreSQL and the other way round, and none needs a
tool of the server's version. A file a table: a msgpack array of the columns' names, then one array a row, each after
its length in four bytes. Numbers, texts and bytes mean the same on both sides (docs/decisions).
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, BinaryIO

import asyncpg
import msgspec

from piaoma.invoice.refusal import refuse

from .database import Database, Transaction
from .migrate import Migration
from .postgres import COMMAND_TIMEOUT_S

CHUNK_ROWS = 500
ROW_BYTES_MAX = 64 * 1024 * 1024
_LENGTH_BYTES = 4
_TABLE = re.compile(r"\s*(CREATE TABLE|DROP TABLE|ALTER TABLE) (\w+)(?: RENAME TO (\w+))?")


def tables_of(wanted: Sequence[Migration]) -> list[str]:
    """The tables that migrations make, in their order: what is referred to comes before what refers to it."""
    found: list[str] = []
    for migration in wanted:
        for statement in migration.statements():
            match = _TABLE.match(statement)
            if match is None:
                continue
            if match[1] == "CREATE TABLE":
                found.append(match[2])
            elif match[1] == "DROP TABLE":
                found.remove(match[2])
            elif match[3]:  # what refers to it goes on doing so under its new name
                found[found.index(match[2])] = match[3]
    return found


async def version_of(url: str, schema: str) -> int:
    """How many migrations a store has had."""
    async with _snapshot(url, schema) as read:
        _, row = [row async for rows in read("SELECT max(version) FROM migrations") for row in rows]
        return int(row[0])


async def store_exists(url: str, schema: str) -> bool:
    """Whether anything is there that a restore would have to put aside."""
    if url.startswith("sqlite:///"):
        return _path(url).exists()
    async with _connection(url) as connection:
        return bool(await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = $1", schema))


async def drop_store(url: str, schema: str) -> None:
    """Take a store away, as far as there is one."""
    if url.startswith("sqlite:///"):
        for companion in ("", "-wal", "-shm"):
            _path(url).with_name(f"{_path(url).name}{companion}").unlink(missing_ok=True)
        return
    assert schema.isidentifier(), "a schema's name goes into SQL as it is"
    async with _connection(url) as connection:
        await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


async def export_rows(url: str, schema: str, tables: Sequence[str], folder: Path) -> None:
    """All rows of the tables at one moment, a file each, on disk when this returns. Nobody is kept waiting by it."""
    async with _snapshot(url, schema) as read:
        for table in tables:
            with (folder / f"{table}.rows").open("xb") as file:
                async for rows in read(f"SELECT * FROM {table}"):  # noqa: S608 - names of our own migrations
                    await asyncio.to_thread(_write, file, rows)
                file.flush()
                os.fsync(file.fileno())


async def import_rows(database: Database, tables: Sequence[str], folder: Path) -> int:
    """Put the rows of files into new tables, all of them or none; how many there were.

    Raises ``Refused`` BACKUP-DAMAGED for a file that does not fit its table.
    """
    count = 0
    async with database.write() as transaction:
        for table in reversed(tables):
            await transaction.execute(f"DELETE FROM {table}")  # noqa: S608 - rows that a migration put there
        for table in tables:
            with (folder / f"{table}.rows").open("rb") as file:
                try:
                    count += await _fill(transaction, table, _read(file))
                except (msgspec.MsgspecError, ValueError, sqlite3.Error, asyncpg.PostgresError):
                    raise refuse("BACKUP-DAMAGED", have=f"{table}.rows") from None
    return count


async def _fill(transaction: Transaction, table: str, rows: Iterator[list[Any]]) -> int:
    columns, count = next(rows), 0
    if not all(isinstance(name, str) and re.fullmatch(r"\w+", name) for name in columns):
        raise ValueError("names of columns")
    places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - names, checked
    chunk: list[list[Any]] = []
    for row in rows:
        chunk.append(row)
        count += 1
        if len(chunk) == CHUNK_ROWS:
            await transaction.execute_many(statement, chunk)
            chunk = []
    await transaction.execute_many(statement, chunk)
    return count


def _write(file: BinaryIO, rows: Iterable[Sequence[Any]]) -> None:
    for row in rows:
        data = msgspec.msgpack.encode(tuple(row))
        file.write(len(data).to_bytes(_LENGTH_BYTES))
        file.write(data)


def _read(file: BinaryIO) -> Iterator[list[Any]]:
    while head := file.read(_LENGTH_BYTES):
        length = int.from_bytes(head)
        data = file.read(min(length, ROW_BYTES_MAX))
        if len(head) < _LENGTH_BYTES or len(data) != length:
            raise ValueError("cut off")
        yield msgspec.msgpack.decode(data, type=list[Any])


@asynccontextmanager
async def _snapshot(url: str, schema: str) -> AsyncIterator[Any]:
    """A way of reading statements that all see one moment: lists of rows, the names of the columns first."""
    if url.startswith("sqlite:///"):
        read_only = f"{_path(url).as_uri()}?mode=ro"
        with closing(sqlite3.connect(read_only, uri=True, check_same_thread=False)) as store:
            store.execute("BEGIN")

            async def read(statement: str) -> AsyncIterator[list[Sequence[Any]]]:
                cursor = await asyncio.to_thread(store.execute, statement)
                yield [[column[0] for column in cursor.description]]
                while rows := await asyncio.to_thread(cursor.fetchmany, CHUNK_ROWS):
                    yield rows

            yield read
        return
    async with _connection(url) as connection:
        await connection.execute(f"SET search_path = {schema}")
        async with connection.transaction(isolation="repeatable_read", readonly=True):

            async def read(statement: str) -> AsyncIterator[list[Sequence[Any]]]:
                prepared = await connection.prepare(statement)
                yield [[attribute.name for attribute in prepared.get_attributes()]]
                cursor = await prepared.cursor()
                while rows := await cursor.fetch(CHUNK_ROWS):
                    yield rows

            yield read


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url, timeout=COMMAND_TIMEOUT_S)
    try:
        yield connection
    finally:
        await connection.close()


def _path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///")).resolve()
