"""Reading a statement (流水) of a till or a payment provider, xlsx or csv, into rows of text; run in a worker.

A workbook is looked through before it is parsed: what unpacks to too much, spans too large a grid, or declares
entities is refused there. What stands above the head (titles, sums, account names) is passed over.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

import msgspec
from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from piaoma.invoice.refusal import refuse

STATEMENT_SECONDS_MAX = 6  # of the processor, for one file
STATEMENT_BYTES_MAX = 8 * 1024 * 1024
STATEMENT_ROWS_MAX = 20_000
UNPACKED_BYTES_MAX = 64 * 1024 * 1024
PARTS_MAX = 200  # files inside an xlsx
GRID_CELLS_MAX = 2_000_000  # that span all cells
COLUMNS_MAX = 60
CELL_CHARS_MAX = 200  # the rest of a cell is cut
HEAD_ROWS_MAX = 40  # within which the head stands

_BLOCK_BYTES = 256 * 1024
_TAIL_BYTES = 300
_CELL = re.compile(rb"""<(?:\w+:)?c\b[^>]{0,200}?\br\s*=\s*["']\s*\$?([A-Za-z]{1,3})\$?(\d{1,10})""")
_DECLARES = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)

# What the columns are called, the surest first. Providers and tills differ; a person has the last word.
WORDS = {
    "order": ("商户订单号", "商家订单号", "商户单号", "订单编号", "订单号", "销售单号", "小票号", "交易单号", "交易号",
              "流水号", "单号", "order"),
    "time": ("交易时间", "支付时间", "付款时间", "完成时间", "交易创建时间", "入账时间", "下单时间", "时间", "交易日期",
             "日期", "time", "date"),
    "amount": ("实收金额", "应结订单金额", "订单金额", "支付金额", "交易金额", "收款金额", "实收", "收入金额", "金额",
               "amount", "total"),
}  # fmt: skip


class Statement(msgspec.Struct, frozen=True):
    """A head and the rows below it, as text; ``guessed`` says which column (from 0) is which of ``WORDS``."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    guessed: dict[str, int]


def read_statement(data: bytes) -> Statement:
    """The first sheet. Raises ``Refused`` PAYMENT-FILE-FORMAT, PAYMENT-FILE-LARGE, PAYMENT-FILE-EMPTY."""
    if len(data) > STATEMENT_BYTES_MAX:
        raise refuse("PAYMENT-FILE-LARGE", "file", have=f"{len(data)} B", max=f"{STATEMENT_BYTES_MAX} B")
    rows = _bounded(_workbook(data) if data.startswith(b"PK") else _csv(data))
    if not rows:
        raise refuse("PAYMENT-FILE-EMPTY", "file")
    place, guessed = _head(rows)
    return Statement(rows[place], tuple(rows[place + 1 :]), guessed)


def _head(rows: Sequence[tuple[str, ...]]) -> tuple[int, dict[str, int]]:
    """The first row in which time and amount are named; without one, the first row."""
    for place, row in enumerate(rows[:HEAD_ROWS_MAX]):
        guessed = guess(row)
        if "time" in guessed and "amount" in guessed:
            return place, guessed
    return 0, guess(rows[0])


def guess(head: Sequence[str]) -> dict[str, int]:
    """Which column is which, by its name."""
    names = [re.sub(r"[\s(（].*", "", cell).lower() for cell in head]
    found = {}
    for what, words in WORDS.items():
        place = next((names.index(word) for word in words if word in names), None)
        if place is not None:
            found[what] = place
    return found


def _bounded(rows: Iterable[Sequence[object]]) -> list[tuple[str, ...]]:
    """The rows that hold something. Raises PAYMENT-FILE-LARGE as soon as there are too many."""
    kept: list[tuple[str, ...]] = []
    for row in rows:
        cells = tuple(_text(cell)[:CELL_CHARS_MAX] for cell in row[:COLUMNS_MAX])
        if not any(cells):
            continue
        if len(kept) >= STATEMENT_ROWS_MAX + HEAD_ROWS_MAX:
            raise refuse("PAYMENT-FILE-LARGE", "file", have=f"> {STATEMENT_ROWS_MAX}", max=f"{STATEMENT_ROWS_MAX}")
        kept.append(cells)
    return kept


def _workbook(data: bytes) -> Iterable[Sequence[object]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            _look_through(package)
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
            return workbook.get_sheet_by_index(0).to_python(skip_empty_area=True)
    except PasswordError:
        raise refuse("PAYMENT-FILE-FORMAT", "file", have="password") from None
    except (
        zipfile.BadZipFile, zipfile.LargeZipFile, CalamineError, NotImplementedError, RuntimeError, EOFError,
        ValueError, IndexError,
    ) as bad:  # fmt: skip
        raise refuse("PAYMENT-FILE-FORMAT", "file", have=type(bad).__name__) from None


def _look_through(package: zipfile.ZipFile) -> None:
    """Refuse what should not even be parsed."""
    parts = package.infolist()
    if len(parts) > PARTS_MAX:
        raise refuse("PAYMENT-FILE-LARGE", "file", have=f"{len(parts)} files", max=f"{PARTS_MAX} files")
    left = UNPACKED_BYTES_MAX
    for part in parts:
        rows = columns = 1
        tail = b""
        with package.open(part) as content:
            while block := content.read(_BLOCK_BYTES):
                left -= len(block)
                if left < 0:
                    most = f"{UNPACKED_BYTES_MAX} B"
                    raise refuse("PAYMENT-FILE-LARGE", "file", have=f"> {most}", max=most)
                block = tail + block
                if _DECLARES.search(block):
                    raise refuse("PAYMENT-FILE-FORMAT", "file", have="ENTITY")
                for letters, digits in _CELL.findall(block):
                    rows, columns = max(rows, int(digits)), max(columns, _column(letters))
                tail = block[-_TAIL_BYTES:]
        if rows * columns > GRID_CELLS_MAX:
            raise refuse("PAYMENT-FILE-LARGE", "file", have=f"{rows} × {columns}", max=f"{GRID_CELLS_MAX}")


def _column(letters: bytes) -> int:
    """``C`` → 3, ``AA`` → 27."""
    column = 0
    for letter in letters.upper():
        column = column * 26 + letter - 64
    return column


def _csv(data: bytes) -> Iterable[Sequence[object]]:
    """UTF-8, or GB 18030 as many payment providers write it; commas, semicolons or tabs."""
    if b"\0" in data:
        raise refuse("PAYMENT-FILE-FORMAT", "file", have="binary")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise refuse("PAYMENT-FILE-FORMAT", "file", have="encoding")
    beginning = text[:20_000]
    delimiter = max(",;\t", key=beginning.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error:
        raise refuse("PAYMENT-FILE-FORMAT", "file", have="csv") from None


def _text(cell: object) -> str:
    """A cell as a person reads it, without what programs put around numbers to keep spreadsheets from them."""
    if isinstance(cell, float):
        # A spreadsheet computes with 15 digits: 19.9 × 3 is kept as 59.699999999999996 and meant as 59.7.
        exact = Decimal(f"{cell:.15g}")
        return f"{exact.to_integral_value():f}" if exact == exact.to_integral_value() else f"{exact:f}"
    if isinstance(cell, datetime | date):
        return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
    return "" if cell is None else str(cell).strip().strip("`'\t").strip()
