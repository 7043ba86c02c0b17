"""SQLite, the embedded default: WAL, synchronous=FULL, one writer, a pool of readers, one process a folder."""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import re
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from .database import Dialect, Row, StoreLocked, WriteConflict

READERS_MAX = 4
BUSY_TIMEOUT_MS = 5_000
WRITER_CACHE_KIB, READER_CACHE_KIB = 65_536, 8_192  # the writer's stays warm; a commit empties a reader's

DIALECT = Dialect(
    name="sqlite",
    for_update="",
    int_keys="(SELECT value AS a FROM json_each($1)) k",
    int_int_keys="(SELECT value ->> 0 AS a, value ->> 1 AS b FROM json_each($1)) k",
    int_text_keys="(SELECT value ->> 0 AS a, value ->> 1 AS b FROM json_each($1)) k",
    migration_lock="SELECT 1",  # the write block itself is exclusive
    sequencer_lock="SELECT 1",
)


@lru_cache(maxsize=1024)
def _numbered(statement: str) -> str:
    """``$1`` as SQLite's ``?1``, so that parameters bind by position."""
    return re.sub(r"\$(\d+)", r"?\1", statement)


class FolderLock:
    """An exclusive lock on a data folder, held until the process ends or ``release``.

    The kernel drops it when the process dies, however it dies, so a crash leaves nothing to clean up.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 32).decode(errors="replace").strip() or "?"
            os.close(self._file)
            raise StoreLocked(f"data folder {folder} is in use by process {holder}") from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let another process have the folder."""
        os.close(self._file)


class SqliteTransaction:
    """Statements of the open write block.

    They run on the event loop's own thread: each is a few microseconds to a few milliseconds, and handing every one
    to another thread costs more than it does. Only the commit, which waits for the disk, leaves the loop.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def fetch(self, statement: str, *parameters: Any) -> Sequence[Row]:
        return self._connection.execute(_numbered(statement), parameters).fetchall()

    async def execute(self, statement: str, *parameters: Any) -> int:
        return self._connection.execute(_numbered(statement), parameters).rowcount

    async def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(_numbered(statement), rows)


class SqliteDatabase:
    """One SQLite file. Open it with ``open_sqlite``."""

    dialect = DIALECT

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = self._connect()
        self._loop_reader = self._connect(read_only=True)
        self._asked: list[tuple[str, tuple[Any, ...], asyncio.Future[Row | None]]] = []
        self._turn = asyncio.Lock()
        self._commits = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._reads = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="read")
        self._idle_readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._readers: list[sqlite3.Connection] = []

    def _connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
            connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
        return connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[SqliteTransaction]:
        """See ``Database.write``. There is one writer, so the only conflict is a key that exists already."""
        async with self._turn:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteTransaction(self._writer)
            except BaseException as error:
                self._writer.execute("ROLLBACK")
                if isinstance(error, sqlite3.IntegrityError) and "UNIQUE" in str(error):
                    raise WriteConflict(str(error)) from error
                raise
            await _to_its_end(asyncio.get_running_loop().run_in_executor(self._commits, self._commit))

    def _commit(self) -> None:
        try:
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    async def read(self, statement: str, *parameters: Any) -> Sequence[Row]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reads, self._read, _numbered(statement), parameters)

    def _read(self, statement: str, parameters: tuple[Any, ...]) -> list[sqlite3.Row]:
        try:
            connection = self._idle_readers.get_nowait()
        except queue.Empty:
            connection = self._connect(read_only=True)
            self._readers.append(connection)
        try:
            return connection.execute(statement, parameters).fetchall()
        finally:
            self._idle_readers.put(connection)

    async def read_by_key(self, statement: str, *parameters: Any) -> Row | None:
        """See ``Database.read_by_key``. Those who ask in one turn of the loop are answered from one snapshot: each new
        snapshot after a commit begins with an empty page cache, which costs more than the look-up."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Row | None] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._answer_asked)
        self._asked.append((_numbered(statement), parameters, answer))
        return await answer

    def _answer_asked(self) -> None:
        asked, self._asked = self._asked, []
        reader = self._loop_reader
        for place, (statement, parameters, answer) in enumerate(asked):
            # Whatever is wrong with one look-up is told to whoever asked for it, and to nobody else.
            try:
                if place == 0:
                    reader.execute("BEGIN")
                row = reader.execute(statement, parameters).fetchone()
            except Exception as error:
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(row)
        with suppress(sqlite3.Error):
            reader.execute("COMMIT")

    async def close(self) -> None:
        async with self._turn:
            self._loop_reader.close()
            self._reads.shutdown(wait=True)
            self._commits.shutdown(wait=True)
            for connection in self._readers:
                connection.close()
            self._writer.close()


async def _to_its_end(commit: asyncio.Future[None]) -> None:
    """Wait for a commit even when the waiter is cancelled, so that the writer's turn never ends before it does."""
    cancelled: asyncio.CancelledError | None = None
    while not commit.done():
        try:
            await asyncio.shield(commit)
        except asyncio.CancelledError as error:
            cancelled = error
    commit.result()
    if cancelled is not None:
        raise cancelled


def open_sqlite(path: Path) -> SqliteDatabase:
    """Open or make the file, readable by nobody else."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # the log files beside it take its mode
    return SqliteDatabase(path)
