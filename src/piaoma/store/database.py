"""The one contract that both engines keep: statements in, rows out, and a write block that is durable when it ends.

Statements are written once, in the SQL that SQLite and PostgreSQL share, with ``$1`` for parameters. Where the two
differ, a statement names a phrase of ``Dialect`` in braces.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

import msgspec

CONFLICT_RETRIES_MAX = 8


class Row(Protocol):
    """A row as both drivers give it: columns by position and by name."""

    def __getitem__(self, column: int | str, /) -> Any: ...
    def __len__(self) -> int: ...


class Dialect(msgspec.Struct, frozen=True):
    """The few phrases in which the engines differ.

    The ``*_keys`` phrases make a table ``k`` with columns ``a`` and ``b`` of the JSON text parameter ``$1``, an array
    of numbers or pairs. Statements join it first and by whole keys, so that a batch costs the same however much is
    stored; ``FOR UPDATE`` locks the rows of the table called ``t``.
    """

    name: str
    for_update: str
    int_keys: str  # a: BIGINT
    int_int_keys: str  # a, b: BIGINT
    int_text_keys: str  # a: BIGINT, b: TEXT
    migration_lock: str  # holds other processes back until the transaction ends
    sequencer_lock: str  # selects whether this process alone may sequence the log until the transaction ends


class Transaction(Protocol):
    """What may be done while a write block is open. Nothing is on disk until the block has ended without an error."""

    async def fetch(self, statement: str, *parameters: Any) -> Sequence[Row]: ...

    async def execute(self, statement: str, *parameters: Any) -> int:
        """Run one statement; the number of rows it changed."""
        ...

    async def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None: ...


class Database(Protocol):
    """An open store. ``read`` sees only what is committed."""

    dialect: Dialect

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """A block that commits at its end, durably, or rolls back on an error.

        Raises ``WriteConflict`` where another process won a race; the block changed nothing and may be run again.
        """
        ...

    async def read(self, statement: str, *parameters: Any) -> Sequence[Row]: ...

    async def read_by_key(self, statement: str, *parameters: Any) -> Row | None:
        """One row by its key, or None. Only for statements that touch a handful of pages: SQLite runs them on the
        loop's own thread, where handing them over would cost more than they do."""
        ...

    async def close(self) -> None: ...


Result = TypeVar("Result")


async def write_block(database: Database, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
    """Run ``work`` in a write block; when another process wins a race, run it again from the start.

    ``work`` may be called several times and must not act outside the transaction. Raises ``WriteConflict`` when the
    race is lost ``CONFLICT_RETRIES_MAX`` times.
    """
    for attempt in range(CONFLICT_RETRIES_MAX):
        try:
            async with database.write() as transaction:
                return await work(transaction)
        except WriteConflict:
            if attempt == CONFLICT_RETRIES_MAX - 1:
                raise
            await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - spreads retries, no secret
    raise AssertionError("unreachable")


# What is written in a block beside its own rows: who changed them, say.
Also = Callable[[Transaction], Awaitable[None]]


class WriteConflict(Exception):
    """Another process changed the same rows first. Nothing was stored; run the block again."""


class StoreLocked(Exception):
    """Another process holds this data folder."""


class SchemaMismatch(Exception):
    """The migrations on disk are not those that made this store."""
