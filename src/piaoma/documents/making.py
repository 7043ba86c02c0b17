"""A file made by a process of its own, from parts that are sent to it: whoever serves pages meanwhile notices nothing.

The process is bounded in memory, holds one part at a time, and ends with the process that started it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from .workers import MEMORY_BYTES_MAX

FINISH_SECONDS_MAX = 120  # to close a file


class MakingFailed(Exception):
    """The process died or could not write."""


class FileMaker:
    """``send`` parts, then ``finish``; ``stop`` at any time."""

    def __init__(self, path: Path, kind: str, layout: str, head: Sequence[str] = ()) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_make, args=(there, path, kind, layout, tuple(head)), daemon=True)
        self._process.start()
        there.close()

    @property
    def pid(self) -> int:
        """Of the process, to watch what it needs."""
        assert self._process.pid is not None
        return self._process.pid

    async def send(self, part: object) -> None:
        """Rows of a table, or PDFs. Waits while the process has enough to do. Raises ``MakingFailed``."""
        try:
            await asyncio.to_thread(self._here.send, part)
        except (OSError, ValueError):
            raise MakingFailed(self._process.exitcode) from None

    async def finish(self, last: object = None) -> None:
        """Let the file be closed, with a last row. Raises ``MakingFailed``."""
        await self.send(_End(last))
        if not await asyncio.to_thread(self._here.poll, FINISH_SECONDS_MAX):
            raise MakingFailed("it takes too long")
        try:
            answer = self._here.recv()
        except (EOFError, OSError):
            raise MakingFailed(self._process.exitcode) from None
        if answer != "done":
            raise MakingFailed(answer)

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self._here.close()


class _End:
    def __init__(self, last: object) -> None:
        self.last = last


def _make(connection: Connection, path: Path, kind: str, layout: str, head: Sequence[str]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    try:
        if kind == "print":
            _bind(connection, path, 2 if layout == "two" else 1)
        else:
            _tabulate(connection, path, kind, layout, head)
    except EOFError:
        return  # whoever wanted the file is gone
    except Exception as error:
        connection.send(f"{type(error).__name__}: {error}"[:200])
    else:
        connection.send("done")


def _tabulate(connection: Connection, path: Path, kind: str, layout: str, head: Sequence[str]) -> None:
    from .sheets import by_line, open_sheet

    sheet = open_sheet(path, kind, head)
    while not isinstance(part := connection.recv(), _End):
        sheet.write(row for whole in part for row in by_line(*whole)) if layout == "line" else sheet.write(part)
    sheet.close(part.last)  # type: ignore[arg-type]


def _bind(connection: Connection, path: Path, per_sheet: int) -> None:
    from .binder import Binder

    binder = Binder(path, per_sheet)
    while not isinstance(part := connection.recv(), _End):
        for pdf in part:
            binder.add(pdf)
    binder.close()
