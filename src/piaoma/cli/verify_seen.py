"""The book of numbers that a receiver checked before (已查验): a line of JSON for each, only ever added to."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec

from piaoma.desk.office import shanghai_now
from piaoma.documents.receiving import key_of, seen_before
from piaoma.documents.report import Item, Report, item
from piaoma.trust import Verdict


class Entry(msgspec.Struct, frozen=True):
    """A number and when it was checked, aware."""

    number: str
    at: datetime
    file: str


class SeenBook:
    """An open book; closed at the end of a ``with``. A number that stands twice in one run is told by the batch."""

    def __init__(self, path: Path) -> None:
        self._first: dict[str, tuple[datetime, int]] = {}
        self._now: set[str] = set()
        if path.exists():
            with path.open("rb") as kept:
                for line in kept:
                    self._note(line)
        self._file: IO[bytes] = path.open("ab")

    def __enter__(self) -> SeenBook:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def seen(self, report: Report, file: str) -> Item | None:
        """The item of a report; the number is noted. None when the batch has told it already."""
        key = key_of(report.facts)
        if key in self._now or report.verdict is Verdict.INVALID:
            return None
        self._now.add(key)
        self._file.write(msgspec.json.encode(Entry(key, shanghai_now(), file)) + b"\n")
        self._file.flush()
        first, times = self._first.get(key, (None, 0))
        return item("seen") if first is None else seen_before(first, times + 1)

    def _note(self, line: bytes) -> None:
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except msgspec.DecodeError:
            return  # the last line of a run that was cut off
        first, times = self._first.get(entry.number, (entry.at, 0))
        self._first[entry.number] = (first, times + 1)
