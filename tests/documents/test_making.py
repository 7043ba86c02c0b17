"""A file made by another process: whole, or a failure that is told, whatever happens to the process."""

from __future__ import annotations

import asyncio
import csv
import os
import re
import signal
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pypdfium2
import pytest

from piaoma.documents.making import FileMaker, MakingFailed
from piaoma.documents.render import render


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


def test_five_hundred_invoices_are_one_print_in_order_and_in_bounded_memory(tmp_path: Path) -> None:
    """S101: two on a sheet, 250 sheets, the first and the last where they belong; what its process held is told."""
    goldens = sorted((Path(__file__).parent / "golden").glob("*.xml"))[:3]
    drawn = [render(file.read_bytes(), "pdf") for file in goldens]

    async def story() -> int:
        maker = FileMaker(tmp_path / "print", "print", "two")
        try:
            for place in range(500):
                await maker.send([drawn[place % 3]])
            await maker.finish()
            held = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{maker.pid}/status").read_text())
            assert held is not None
            return int(held[1])
        finally:
            maker.stop()

    assert asyncio.run(story()) < 400 * 1024, "KiB"
    bound = pypdfium2.PdfDocument(tmp_path / "print")
    assert len(bound) == 250
    numbers = [pypdfium2.PdfDocument(one)[0].get_textpage().get_text_bounded().partition("发票号码")[2][:25]
               for one in drawn]  # fmt: skip
    for sheet, places in ((0, (0, 1)), (26, (52, 53)), (249, (498, 499))):
        text = bound[sheet].get_textpage().get_text_bounded()
        assert text.index(numbers[places[0] % 3]) < text.rindex(numbers[places[1] % 3])
