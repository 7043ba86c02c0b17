"""``piaoma verify``: what is known of files, item by item. Works without a server and without a network.

Every file is read in a worker within limits, so a hostile one costs a few seconds and stops nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import msgspec
from asn1crypto import pem
from rich.console import Console
from rich.progress import Progress

from piaoma.desk.channel import channel_roots
from piaoma.desk.config import load_config
from piaoma.desk.office import shanghai_now
from piaoma.desk.verify import with_records
from piaoma.documents.check import CHECK_MEMORY_BYTES_MAX, CHECK_SECONDS_MAX, FILE_BYTES_MAX, Trusted, check, unreadable
from piaoma.documents.receiving import Batch, Company, Result, offline_items, result_of, settled, title_item
from piaoma.documents.report import Report
from piaoma.documents.workers import Workers
from piaoma.invoice.refusal import Language, Refusal
from piaoma.store import Database, open_database
from piaoma.trust import Verdict
from piaoma.trust.checkpoint import LogPublicKey, log_keys_in

from .verify_seen import SeenBook
from .verify_shown import DETAILS_MAX, Sheet, show_details, show_row, show_summary

FILES_ALONE_MAX = 8  # up to so many files one worker is started, since starting one takes longer than reading them
WAITING_MAX = 4  # files read into memory for each worker
SUFFIXES = (".xml", ".ofd", ".pdf", ".zip", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")  # looked for in folders
INTERRUPTED = 130


class Wanted(msgspec.Struct, frozen=True):
    """How to check and what to tell."""

    trusted: Trusted
    language: Language = "zh"
    json: bool = False
    sheet: Path | None = None
    seen: Path | None = None
    company: Company | None = None
    data: Path | None = None
    jobs: int = 0


def verify_files(paths: Sequence[Path], wanted: Wanted) -> int:
    """Verify each file; 0 when all are valid, 1 when one is not, 130 when interrupted."""
    files = list(files_of(paths))
    try:
        return asyncio.run(_verify(files, wanted))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # who read the table has seen enough; nothing more can be written at the end either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


async def _verify(files: Sequence[Path], wanted: Wanted) -> int:
    jobs = wanted.jobs or (1 if len(files) <= FILES_ALONE_MAX else os.cpu_count() or 1)
    counts = dict.fromkeys(Verdict, 0)
    with contextlib.ExitStack() as stack:
        workers = Workers(jobs, CHECK_MEMORY_BYTES_MAX)
        stack.callback(workers.close)
        sheet = stack.enter_context(Sheet(wanted.sheet, wanted.language)) if wanted.sheet else None
        seen = stack.enter_context(SeenBook(wanted.seen)) if wanted.seen else None
        bar = stack.enter_context(Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()))
        task = bar.add_task("查验 verify", total=len(files))
        database = await _store_of(wanted.data) if wanted.data else None
        batch = Batch() if len(files) > 1 else None
        try:
            async for file, report in checked(files, wanted.trusted, workers, jobs * WAITING_MAX):
                told = await _judged(report, shown(file), batch, seen, database, wanted)
                counts[told.verdict] += 1
                if sheet:
                    sheet.add(told)
                _tell(told, len(files), wanted)
                bar.advance(task)
        finally:
            if database is not None:
                await database.close()
    if not wanted.json:
        show_summary(counts, wanted.language)
    return 0 if files and counts[Verdict.VALID] == len(files) else 1


async def _judged(
    report: Report, file: str, batch: Batch | None, seen: SeenBook | None, database: Database | None, wanted: Wanted
) -> Result:
    """A report with what is known here besides the file."""
    if database is not None:
        report = await with_records(database, shanghai_now(), report)
    elif report.facts.number:
        report = report.with_items(one for one in offline_items() if report.light(one.name) is None)
    if report.facts.number:
        items = [batch.seen(report, file) if batch else None, seen.seen(report, file) if seen else None]
        items.append(title_item(report.facts, wanted.company) if wanted.company else None)
        report = report.with_items(one for one in items if one is not None)
    return result_of(file, report, wanted.language)


def _tell(result: Result, count: int, wanted: Wanted) -> None:
    if wanted.json:
        print(msgspec.json.encode(result).decode())
    elif count <= DETAILS_MAX:
        show_details(result, wanted.language)
    elif result.verdict is not Verdict.VALID or not wanted.sheet:
        show_row(result, wanted.language)


async def checked(
    files: Sequence[Path], trusted: Trusted, workers: Workers, waiting_max: int
) -> AsyncIterator[tuple[Path, Report]]:
    """A report on each file, in order, while the next ones are read; only so many are held in memory."""
    waiting: deque[tuple[Path, asyncio.Future[Report]]] = deque()
    for file in files:
        if len(waiting) >= waiting_max:
            yield await _settled(*waiting.popleft())
        waiting.append((file, _begun(file, trusted, workers)))
    while waiting:
        yield await _settled(*waiting.popleft())


async def _settled(file: Path, waited: asyncio.Future[Report]) -> tuple[Path, Report]:
    await asyncio.wait((waited,))
    return file, settled(waited.result)


def _begun(file: Path, trusted: Trusted, workers: Workers) -> asyncio.Future[Report]:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        done: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        done.set_result(unreadable((Refusal("ORIGINAL-NO-FILE", "", {"have": error.strerror or "?"}),)))
        return done
    return asyncio.wrap_future(workers.submit(CHECK_SECONDS_MAX, check, data, trusted))


def verify_file(file: Path, trusted: Trusted) -> Result:
    """One file of our own, here and now, as the demo asks."""
    return result_of(shown(file), check(file.read_bytes(), trusted))


def files_of(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as they are named; of folders, all below that can be an invoice, in order. Links to folders are not
    followed."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names) if name.lower().endswith(SUFFIXES))


def shown(file: Path) -> str:
    """A name as it can be printed, whatever bytes it is made of."""
    return os.fsencode(file.name).decode(errors="replace")


async def _store_of(folder: Path) -> Database:
    """The store in a server's data folder, beside the server or without one."""
    store = folder / "piaoma.sqlite3"
    if not store.exists():
        raise FileNotFoundError(f"no store in {folder}: is this the data folder of the server?")
    return await open_database(f"sqlite:///{store.resolve()}")


def trusted_by(root: Path | None, log_key: Path | None) -> Trusted:
    """What files are judged against here."""
    config = load_config()[0]
    return Trusted(roots_of(root), tuple(key.line() for key in log_keys_of(log_key).values()), config.base_url)


def company_of(text: str) -> Company | None:
    """``NAME/ID``, or either alone, as one's own company."""
    if not text:
        return None
    name, slash, number = text.rpartition("/")
    if not slash:
        name, number = ("", text) if text.isascii() and text.isalnum() else (text, "")
    return Company(name.strip(), number.strip())


def roots_of(root: Path | None) -> tuple[bytes, ...]:
    """The trusted roots, DER: a named PEM; or this installation's own, its channel's, and its simulator's."""
    if root is not None:
        return _root_in(root)
    config = load_config()[0]
    own, simulator = config.keys_folder / "root.pem", config.data_folder / "authority" / "keys" / "root.pem"
    return tuple(dict.fromkeys((*_root_in(own), *channel_roots(config), *_root_in(simulator))))


def _root_in(path: Path) -> tuple[bytes, ...]:
    return (pem.unarmor(path.read_bytes())[2],) if path.exists() else ()


def log_keys_of(log_key: Path | None) -> dict[str, LogPublicKey]:
    """The trusted logs by name: a named key, or those in the data folder: this installation's own and the demo's."""
    if log_key is None:
        return log_keys_in(load_config()[0].data_folder / "keys")
    key = LogPublicKey.of(log_key.read_text(encoding="utf-8"))
    return {key.name: key}
