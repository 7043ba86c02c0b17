"""Reading a sheet from outside (导入表格), xlsx or csv, into rows of text: one function, run in a worker.

A workbook is looked through before it is parsed: what unpacks to too much, spans too large a grid, or declares
entities is refused there. A cell that holds a formula is named: what it shows was worked out elsewhere, perhaps never.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

import msgspec
from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from piaoma.invoice.refusal import refuse

SHEET_SECONDS_MAX = 5  # of the processor, for one file; 2,000 rows take a tenth of one
SHEET_BYTES_MAX = 4 * 1024 * 1024
UNPACKED_BYTES_MAX = 48 * 1024 * 1024
PARTS_MAX = 200  # files inside an xlsx
ROWS_MAX = 2_000  # with something in them, without the head
COLUMNS_MAX = 60
GRID_CELLS_MAX = 2_000_000  # that span all cells; real files are formatted far below their last row
CELL_CHARS_MAX = 1_000
FORMULAS_MAX = 5_000  # that are named
HEAD_ROWS_MAX = 10  # within which the head stands

_BLOCK_BYTES = 256 * 1024
_BOOK_BYTES = 1024 * 1024  # of the list of sheets that are looked at
_TAIL_BYTES = 300  # of the beginning of a cell, for one that lies across two blocks
_CELL = re.compile(
    rb"""<(?:\w+:)?c\b[^>]{0,200}?\br\s*=\s*["']\s*\$?([A-Za-z]{1,3})\$?(\d{1,10})\s*["'][^>]{0,200}>(\s*<(?:\w+:)?f\b)?"""
)
_DECLARES = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


class Sheet(msgspec.Struct, frozen=True):
    """The filled rows of the first sheet, each with its number as the program of the sheet counts; cells as text."""

    rows: tuple[tuple[int, tuple[str, ...]], ...]
    formulas: frozenset[tuple[int, int]]  # (row as above, column from 0)


def read_sheet(data: bytes, file_name: str) -> Sheet:
    """The first sheet of a file. Raises ``Refused`` SHEET-FORMAT, SHEET-TOO-LARGE, SHEET-HOSTILE, SHEET-EMPTY."""
    if len(data) > SHEET_BYTES_MAX:
        raise refuse("SHEET-TOO-LARGE", "sheet", have=f"{len(data)} B", max=f"{SHEET_BYTES_MAX} B")
    if data.startswith(b"PK"):
        found = _workbook(data)
    elif file_name.lower().endswith((".csv", ".txt")) and b"\0" not in data:
        found = _csv(data)
    else:
        raise refuse("SHEET-FORMAT", "sheet", have=file_name[-40:] or "?")
    if not found.rows:
        raise refuse("SHEET-EMPTY", "sheet")
    return found


def _workbook(data: bytes) -> Sheet:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            formulas = _looked_through(package)
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
            cells = workbook.get_sheet_by_index(0)
            first = (cells.start or (0, 0))[0]
            left = (cells.start or (0, 0))[1]
            rows = [[""] * left + [_text(cell) for cell in row] for row in cells.to_python(skip_empty_area=True)]
    except PasswordError:
        raise refuse("SHEET-FORMAT", "sheet", have="password") from None
    except (
        zipfile.BadZipFile, zipfile.LargeZipFile, CalamineError, NotImplementedError, RuntimeError, EOFError,
        ValueError, IndexError,
    ) as bad:  # fmt: skip
        raise refuse("SHEET-FORMAT", "sheet", have=type(bad).__name__) from None
    return Sheet(_filled(enumerate(rows, first + 1)), frozenset(formulas))


def _looked_through(package: zipfile.ZipFile) -> set[tuple[int, int]]:
    """The cells of the package that hold formulas. Refuses what should not even be parsed."""
    parts = package.infolist()
    if len(parts) > PARTS_MAX:
        raise refuse("SHEET-TOO-LARGE", "sheet", have=f"{len(parts)} files", max=f"{PARTS_MAX} files")
    left, first = UNPACKED_BYTES_MAX, _first_sheet(package)
    formulas: set[tuple[int, int]] = set()
    for part in parts:
        rows = columns = 1
        tail, asked = b"", part.filename == first
        with package.open(part) as content:
            while block := content.read(_BLOCK_BYTES):
                left -= len(block)
                if left < 0:
                    most = f"{UNPACKED_BYTES_MAX} B"
                    raise refuse("SHEET-TOO-LARGE", "sheet", have=f"> {most}", max=most)
                block = tail + block
                if _DECLARES.search(block):
                    raise refuse("SHEET-HOSTILE", "sheet", have="ENTITY")
                for letters, digits, formula in _CELL.findall(block):
                    row, column = int(digits), _column(letters)
                    rows, columns = max(rows, row), max(columns, column)
                    if formula and asked and len(formulas) < FORMULAS_MAX:
                        formulas.add((row, column - 1))
                tail = block[-_TAIL_BYTES:]
        if rows * columns > GRID_CELLS_MAX:
            raise refuse("SHEET-TOO-LARGE", "sheet", have=f"{rows} × {columns}", max=f"{GRID_CELLS_MAX}")
    return formulas


def _first_sheet(package: zipfile.ZipFile) -> str:
    """The part that holds the first sheet; sheet1.xml when the package does not say."""
    try:
        book, links = (
            package.open(name).read(_BOOK_BYTES) for name in ("xl/workbook.xml", "xl/_rels/workbook.xml.rels")
        )
    except KeyError:
        return "xl/worksheets/sheet1.xml"
    sheet = re.search(rb"""<(?:\w+:)?sheet\b[^>]*?\w+:id\s*=\s*["']([^"']+)["']""", book)
    for link in re.findall(rb"<(?:\w+:)?Relationship\b[^>]*>", links):
        target = re.search(rb"""\bTarget\s*=\s*["']([^"']+)["']""", link)
        if sheet and target and re.search(rb"""\bId\s*=\s*["']""" + re.escape(sheet[1]) + rb"""["']""", link):
            path = target[1].decode("utf-8", "replace")
            return path.lstrip("/") if path.startswith("/") else f"xl/{path}"
    return "xl/worksheets/sheet1.xml"


def _column(letters: bytes) -> int:
    """``C`` → 3, ``AA`` → 27."""
    column = 0
    for letter in letters.upper():
        column = column * 26 + letter - 64
    return column


def column_letters(place: int) -> str:
    """0 → ``A``, 26 → ``AA``."""
    letters, place = "", place + 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _csv(data: bytes) -> Sheet:
    """UTF-8, or GB 18030 as old spreadsheets write it."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise refuse("SHEET-FORMAT", "sheet", have="encoding")
    first_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=first_line.count)
    try:
        rows = _filled(enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), 1))
    except csv.Error:
        raise refuse("SHEET-FORMAT", "sheet", have="csv") from None
    formulas = {(number, place) for number, row in rows for place, cell in enumerate(row) if cell.startswith("=")}
    return Sheet(rows, frozenset(formulas))


def _filled(rows: Iterable[tuple[int, list[str]]]) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """The rows that hold something. Raises SHEET-TOO-LARGE as soon as there are too many."""
    kept: list[tuple[int, tuple[str, ...]]] = []
    for number, row in rows:
        cells = [cell.strip()[: CELL_CHARS_MAX + 1] for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        if len(kept) > ROWS_MAX + HEAD_ROWS_MAX:
            raise refuse("SHEET-TOO-LARGE", "sheet", have=f"> {ROWS_MAX}", max=f"{ROWS_MAX}")
        if len(cells) > COLUMNS_MAX or any(len(cell) > CELL_CHARS_MAX for cell in cells):
            raise refuse("SHEET-TOO-LARGE", "sheet", have=f"row {number}", max=f"{COLUMNS_MAX} × {CELL_CHARS_MAX}")
        kept.append((number, tuple(cells)))
    return tuple(kept)


def _text(cell: object) -> str:
    """A cell as a person reads it. A whole number has no ``.0``; figures are those that the program shows at most."""
    if cell is None or cell == "":
        return ""
    if isinstance(cell, bool):
        return "是" if cell else "否"
    if isinstance(cell, float):
        # A spreadsheet computes with 15 digits: 19.9 × 3 is kept as 59.699999999999996 and meant as 59.7.
        exact = Decimal(f"{cell:.15g}")
        return f"{exact.to_integral_value():f}" if exact == exact.to_integral_value() else f"{exact:f}"
    if isinstance(cell, datetime | date):
        return cell.isoformat()[:10]
    return "" if str(cell) == "" else str(cell)
