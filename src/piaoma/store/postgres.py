"""PostgreSQL, for production: a pool of connections, READ COMMITTED with rows locked in the order of their keys."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from .database import Dialect, Row, WriteConflict

CONNECTIONS_MAX = 8
COMMAND_TIMEOUT_S = 30
LOOKUPS_MAX = 128  # answered by one statement

DIALECT = Dialect(
    name="postgres",
    for_update="FOR UPDATE OF t",
    int_keys="(SELECT value::bigint AS a FROM jsonb_array_elements_text($1::jsonb) AS item(value)) k",
    int_int_keys=(
        "(SELECT (value ->> 0)::bigint AS a, (value ->> 1)::bigint AS b"
        " FROM jsonb_array_elements($1::jsonb) AS item(value)) k"
    ),
    int_text_keys=(
        "(SELECT (value ->> 0)::bigint AS a, value ->> 1 AS b FROM jsonb_array_elements($1::jsonb) AS item(value)) k"
    ),
    migration_lock="SELECT pg_advisory_xact_lock(7401001)",  # any number that nothing else here locks
    sequencer_lock="SELECT pg_try_advisory_xact_lock(7401002)",
)

# A block that met one of these changed nothing and may be run again (deadlock, serialization, a key that another
# process inserted first).
_CONFLICTS = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
)


_SETS: dict[str, str] = {}  # the statement for many rows, by the one for a single row
_LOOKUPS: dict[str, str] = {}  # and the one for many look-ups

Found = Row | BaseException | None
_Asked = tuple[tuple[Any, ...], "asyncio.Future[Row | None]"]


def as_set(statement: str, kinds: Sequence[str]) -> str:
    """An INSERT … VALUES or UPDATE … WHERE for one row as the same for many: its parameters become the columns of
    ``unnest``, in the order of the rows. ``kinds`` are the types of the parameters."""
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, 1))
    names = ", ".join(f"p{number}" for number in range(1, len(kinds) + 1))
    source = f"FROM unnest({arrays}) AS r({names})"
    by_column = re.sub(r"\$(\d+)", r"r.p\1", statement)
    insert = re.fullmatch(r"(\s*INSERT .*?)VALUES\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)(.*)", by_column, re.DOTALL)
    if insert:
        return f"{insert[1]}SELECT {insert[2]} {source} {insert[3]}"
    update = re.fullmatch(r"(\s*UPDATE .*?)(\sWHERE\s.*)", by_column, re.DOTALL)
    assert update, "only INSERT … VALUES and UPDATE … WHERE are written for many rows"
    return f"{update[1]} {source}{update[2]}"


def as_lookups(statement: str, kinds: Sequence[str]) -> str:
    """A SELECT of one row as the same for many: what is found, and behind it the place of whoever asked for it."""
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, 1))
    names = ", ".join(f"p{number}" for number in range(1, len(kinds) + 1))
    by_column = re.sub(r"\$(\d+)", r"r.p\1", statement)
    return (
        f"SELECT found.*, r.place FROM unnest({arrays}) WITH ORDINALITY AS r({names}, place)"  # noqa: S608
        f" CROSS JOIN LATERAL ({by_column}) AS found"
    )


class PostgresTransaction:
    """Statements of the open write block, on its own connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, statement: str, *parameters: Any) -> Sequence[Row]:
        rows: Sequence[Row] = await self._connection.fetch(statement, *parameters)
        return rows

    async def execute(self, statement: str, *parameters: Any) -> int:
        status: str = await self._connection.execute(statement, *parameters)
        changed = status.rpartition(" ")[2]
        return int(changed) if changed.isdigit() else 0

    async def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """All rows in one statement: the server parses, plans and answers once, not once a row."""
        columns = list(zip(*rows, strict=True))
        if not columns:
            return
        if statement not in _SETS:
            prepared = await self._connection.prepare(statement)
            _SETS[statement] = as_set(statement, [kind.name for kind in prepared.get_parameters()])
        await self._connection.execute(_SETS[statement], *columns)


class PostgresDatabase:
    """One database. Open it with ``open_postgres``."""

    dialect = DIALECT

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._asked: dict[str, list[_Asked]] = {}  # who waits while the same statement is under way for others
        self._answering: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[PostgresTransaction]:
        """See ``Database.write``."""
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                yield PostgresTransaction(connection)
        except _CONFLICTS as conflict:
            raise WriteConflict(str(conflict)) from conflict

    async def read(self, statement: str, *parameters: Any) -> Sequence[Row]:
        rows: Sequence[Row] = await self._pool.fetch(statement, *parameters)
        return rows

    async def read_by_key(self, statement: str, *parameters: Any) -> Row | None:
        """See ``Database.read_by_key``. Those who ask in one turn of the loop, or while the same is looked up for
        others, are answered by one statement: under load the way to the server and back costs more than the row."""
        answer: asyncio.Future[Row | None] = asyncio.get_running_loop().create_future()
        if statement in self._asked:
            self._asked[statement].append((parameters, answer))
        else:
            self._asked[statement] = [(parameters, answer)]
            task = asyncio.create_task(self._answer(statement))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        return await answer

    async def _answer(self, statement: str) -> None:
        """Look up until nobody asks this any more."""
        try:
            while asked := self._asked[statement][:LOOKUPS_MAX]:
                del self._asked[statement][:LOOKUPS_MAX]
                rows = await self._found(statement, [parameters for parameters, _ in asked])
                for (_, answer), row in zip(asked, rows, strict=True):
                    if answer.done():  # whoever asked has gone
                        continue
                    if isinstance(row, BaseException):
                        answer.set_exception(row)
                    else:
                        answer.set_result(row)
        finally:
            for _, answer in self._asked.pop(statement):
                answer.cancel()

    async def _found(self, statement: str, asked: Sequence[Sequence[Any]]) -> list[Found]:
        if len(asked) > 1:
            # What fails together is tried one by one: what is wrong with a look-up is told to whoever asked for it.
            with contextlib.suppress(Exception):
                return await self._look_up(statement, asked)
        each = (self._pool.fetchrow(statement, *parameters) for parameters in asked)
        rows: list[Found] = await asyncio.gather(*each, return_exceptions=True)
        return rows

    async def _look_up(self, statement: str, asked: Sequence[Sequence[Any]]) -> list[Found]:
        async with self._pool.acquire() as connection:
            if statement not in _LOOKUPS:
                prepared = await connection.prepare(statement)
                _LOOKUPS[statement] = as_lookups(statement, [kind.name for kind in prepared.get_parameters()])
            found = await connection.fetch(_LOOKUPS[statement], *zip(*asked, strict=True))
        rows: list[Found] = [None] * len(asked)
        for row in reversed(found):  # of several the first, as a single look-up would have it
            rows[row["place"] - 1] = row
        return rows

    async def close(self) -> None:
        await self._pool.close()


async def _nothing_to_reset(connection: Any) -> None:
    """See ``open_postgres``."""


async def open_postgres(url: str, schema: str = "piaoma") -> PostgresDatabase:
    """Open the database at ``url``; its tables live in ``schema``, which is made when missing."""
    assert schema.isidentifier(), "a schema's name goes into SQL as it is"
    connection = await asyncpg.connect(url, timeout=COMMAND_TIMEOUT_S)
    try:
        # Two that start at once can both find it missing; the one that comes second has what it wanted.
        with contextlib.suppress(asyncpg.UniqueViolationError, asyncpg.DuplicateSchemaError):
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    finally:
        await connection.close()
    pool = await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=CONNECTIONS_MAX,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings={"search_path": schema, "synchronous_commit": "on"},
        # Nothing here leaves anything in a session, and the usual clean-up costs a round trip for every read.
        reset=_nothing_to_reset,
    )
    return PostgresDatabase(pool)
