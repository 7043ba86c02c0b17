"""A file made by another process: whole, or a failure that is told, whatever happens to the process."""

from __future__ import annotations

import asyncio
import csv
import os
import signal
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from piaoma.documents.making import FileMaker, MakingFailed


def test_a_file_is_whole_when_it_is_finished(tmp_path: Path) -> None:
    """Parts in the order in which they were sent, and the last row."""

    async def story() -> None:
        maker = FileMaker(tmp_path / "table", "csv", "invoice", ["a", "b"])
        try:
            for place in range(20):
                await maker.send([[str(place), Decimal(place)]] * 500)
            await maker.finish(["sum", Decimal(1)])
        finally:
            maker.stop()

    asyncio.run(story())
    with (tmp_path / "table").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:-1]] == [str(place) for place in range(20) for _ in range(500)]
    assert rows[-1] == ["sum", "1"]


async def to_its_end(maker: FileMaker, parts: Sequence[object]) -> None:
    for part in parts:
        await maker.send(part)
    await maker.finish([])


def test_a_process_that_is_killed_or_cannot_write_is_told(tmp_path: Path) -> None:
    """Killed between two parts; a folder that is not there; a part that is none. Nobody waits for ever."""

    async def story() -> None:
        killed = FileMaker(tmp_path / "a", "xlsx", "invoice", ["a"])
        await killed.send([["1"]])
        os.kill(killed.pid, signal.SIGKILL)
        with pytest.raises(MakingFailed):
            await to_its_end(killed, [[["x" * 10_000]] * 10] * 100)
        for path, part in ((tmp_path / "none" / "b", [["1"]]), (tmp_path / "c", 7)):
            maker = FileMaker(path, "csv", "invoice", ["a"])
            with pytest.raises(MakingFailed):
                await to_its_end(maker, [part])
            maker.stop()
        killed.stop()

    asyncio.run(story())
