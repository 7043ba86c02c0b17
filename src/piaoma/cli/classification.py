"""``piaoma classification import`` and ``search``: an office's own table of tax classification codes."""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from python_calamine import CalamineError, CalamineWorkbook
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from piaoma.desk.config import load_config
from piaoma.desk.office import shanghai_now
from piaoma.invoice.classification import load, write_csv
from piaoma.invoice.classification_import import Sheet, initials_of, read_sheet, renew
from piaoma.invoice.refusal import Refused, refuse

FILE_NAME = "classification.csv"
FILE_BYTES_MAX = 16 * 1024 * 1024  # the official file has about 1 MB
UNPACKED_BYTES_MAX = 96 * 1024 * 1024
PARTS_MAX = 200  # files inside an xlsx
SHEETS_MAX = 10
CELLS_MAX = 2_000_000  # of the grid that spans all cells; real files are formatted far below their last row
CELL_BYTES_MAX = 40  # of the reference of a cell, for one that lies across two blocks
CELL = re.compile(rb"""\br\s*=\s*["']\s*\$?([A-Za-z]{1,3})\$?(\d{1,10})\s*["']""")
REFUSALS_SHOWN_MAX = 50
SEARCH_SHOWN_MAX = 30
BLOCK_BYTES = 256 * 1024

Cells = Sequence[Sequence[object]]


def import_table(file: Path, valid_from: date | None, config_file: Path | None, *, close_missing: bool) -> int:
    """Read an official xlsx into the data folder. 0 when done; 1 when a row is bad, and then nothing is written."""
    config, _ = load_config(config_file)
    day = valid_from or shanghai_now().date()
    target = config.data_folder / FILE_NAME
    console = Console()
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("读取 reading", total=4)
            sheets = read_workbook(file)
            progress.update(task, advance=1, description="核对 checking")
            sheet = _first_table(sheets, day)
            progress.update(task, advance=1, description="比较 comparing")
            renewal = renew(load(target).versions, sheet, day, close_missing=close_missing)
            progress.update(task, advance=1, description="写入 writing")
            write_atomically(target, write_csv(renewal.entries))
            progress.update(task, advance=1)
    except Refused as refused:
        for refusal in refused.refusals[:REFUSALS_SHOWN_MAX]:
            text = f"{refusal.cause} {refusal.what()} {refusal.remedy()}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
        left = len(refused.refusals) - REFUSALS_SHOWN_MAX
        if left > 0:
            console.print(f"… 还有 {left} 处 and {left} more")
        console.print("没有写入任何内容 nothing was written")
        return 1
    table = Table("", "")
    for label, number in (
        ("新增 added", renewal.added),
        ("变更 changed", renewal.changed),
        ("旧版本止用 closed", renewal.closed),
        ("未变 unchanged", renewal.unchanged),
        ("表中没有、照旧可用 not in the file, left as it is", renewal.missing),
        ("停用或没有简称、略过 out of use or without a short name, skipped", sheet.unusable),
    ):
        table.add_row(label, str(number))
    console.print(table)
    if not sheet.stated_rates:
        console.print("表中没有税率列，已知税率保持不变 no column of rates: known rates stay")
    console.print(
        f"自 {day.isoformat()} 起生效，写入 {target}；重启服务后使用 used after the next start of the server",
        soft_wrap=True,
        markup=False,
    )
    return 0


def search(word: str, config_file: Path | None) -> int:
    """Print what fits a word. 0 when something does, 1 when nothing does."""
    config, _ = load_config(config_file)
    found = load(config.data_folder / FILE_NAME).search(word, shanghai_now().date(), SEARCH_SHOWN_MAX)
    if not found:
        print("没有找到 nothing found")
        return 1
    table = Table("编码 code", "名称 name", "简称 short name", "税率 rates")
    for entry in found:
        rates = "、".join(f"{(rate * 100).normalize():f}%" for rate in entry.rates)
        table.add_row(entry.code, entry.name, entry.short_name, rates)
    Console().print(table)
    return 0


def _first_table(sheets: list[Cells], day: date) -> Sheet:
    """The first sheet that has the header; a workbook may begin with notes."""
    for cells in sheets[:-1]:
        try:
            return read_sheet(cells, day, _initials())
        except Refused as refused:
            if refused.refusals[0].cause != "CLASSIFICATION-HEADER":
                raise
    return read_sheet(sheets[-1], day, _initials())


def _initials() -> Callable[[str], str] | None:
    """How to find pinyin initials, when pypinyin is installed; rows are found by name and word without it."""
    try:
        import pypinyin  # noqa: F401
    except ImportError:
        return None
    return initials_of


def read_workbook(file: Path) -> list[Cells]:
    """The cells of every sheet. What is not an xlsx, or would unpack to too much, is refused before it is parsed."""
    size = file.stat().st_size
    if size > FILE_BYTES_MAX:
        raise refuse("CLASSIFICATION-LARGE", have=f"{size} bytes", max=f"{FILE_BYTES_MAX} bytes")
    if file.suffix.lower() != ".xlsx":  # the parser goes by it, and other forms are not bounded below
        raise refuse("CLASSIFICATION-FILE", have=file.name[:60])
    try:
        with zipfile.ZipFile(file) as package:
            _bounded(package)
        workbook = CalamineWorkbook.from_path(str(file))
        names = workbook.sheet_names[:SHEETS_MAX]
        sheets: list[Cells] = [workbook.get_sheet_by_name(name).to_python() for name in names]
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        CalamineError,
        NotImplementedError,
        RuntimeError,
        EOFError,
    ) as bad:
        raise refuse("CLASSIFICATION-FILE", have=str(bad)[:120] or type(bad).__name__) from None
    if not sheets:
        raise refuse("CLASSIFICATION-EMPTY")
    return sheets


def _bounded(package: zipfile.ZipFile) -> None:
    """Refuse a package that unpacks to too much, or whose cells lie so far out that the parser's grid would be huge."""
    parts = package.infolist()
    if len(parts) > PARTS_MAX:
        raise refuse("CLASSIFICATION-LARGE", have=f"{len(parts)} files", max=f"{PARTS_MAX} files")
    left = UNPACKED_BYTES_MAX
    for part in parts:
        rows = columns = 1
        tail = b""
        with package.open(part) as content:
            while block := content.read(BLOCK_BYTES):
                left -= len(block)
                if left < 0:
                    most = f"{UNPACKED_BYTES_MAX} bytes"
                    raise refuse("CLASSIFICATION-LARGE", have=f"> {most}", max=most)
                for letters, digits in CELL.findall(tail + block):
                    rows, columns = max(rows, int(digits)), max(columns, _column(letters))
                tail = block[-CELL_BYTES_MAX:]
        if rows * columns > CELLS_MAX:
            raise refuse("CLASSIFICATION-LARGE", have=f"{rows} × {columns} cells", max=f"{CELLS_MAX} cells")


def _column(letters: bytes) -> int:
    """``C`` → 3, ``AA`` → 27."""
    column = 0
    for letter in letters.upper():
        column = column * 26 + letter - 64
    return column


def write_atomically(target: Path, text: str) -> None:
    """Write a file whole or not at all, and lastingly."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
