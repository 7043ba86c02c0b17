"""Tables (表格) of invoices as xlsx and csv, written row by row: their size does not matter to memory.

What customers and clerks typed stands in these files, and a spreadsheet takes a text that begins with =, +, - or @ for
a formula. In an xlsx every text is stored as a text, which no program calculates. A csv has no types, so there such a
text gets an apostrophe in front.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from piaoma.invoice.original_reader import read

SHEET_ROWS_MAX = 1_000_000  # of one sheet, without its head; spreadsheets end at 1,048,576
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Cell = str | Decimal | int


class Sheet(Protocol):
    """A file under way."""

    def write(self, rows: Iterable[Sequence[Cell]]) -> None: ...

    def close(self, last: Sequence[Cell]) -> None:
        """Write the last row, with the sums, and finish the file."""
        ...


def open_sheet(path: Path, kind: str, head: Sequence[str]) -> Sheet:
    """A new file with its head; ``kind`` is xlsx or csv."""
    return _Xlsx(path, head) if kind == "xlsx" else _Csv(path, head)


def defused(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def by_line(whole: Sequence[Cell], original: bytes) -> list[list[Cell]]:
    """A row for each line of an invoice, from the row for the whole: the line's item and figures stand in the places
    of the invoice's, and what only a line has stands at the end."""
    rows: list[list[Cell]] = []
    for line in read(original).lines:
        quantity = "" if line.quantity is None else f"{line.quantity:f}"
        price = "" if line.unit_price is None else f"{line.unit_price:f}"
        figures: list[Cell] = [line.amount, line.tax, line.amount + line.tax, f"{line.rate:f}"]
        more = [line.spec, line.unit, quantity, price, line.code]
        rows.append([*whole[:4], line.name.rpartition("*")[2] or line.name, *figures, *whole[9:], *more])
    return rows


class _Csv:
    """UTF-8 with a byte order mark: without it Excel reads Chinese as something else."""

    def __init__(self, path: Path, head: Sequence[str]) -> None:
        self._file = path.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(head)

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        self._writer.writerows([defused(cell) if isinstance(cell, str) else str(cell) for cell in row] for row in rows)

    def close(self, last: Sequence[Cell]) -> None:
        self.write([last])
        self._file.close()


class _Xlsx:
    """The head frozen, money with two decimals. XlsxWriter's constant-memory mode keeps one row."""

    def __init__(self, path: Path, head: Sequence[str]) -> None:
        import xlsxwriter

        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self._book = xlsxwriter.Workbook(str(path), options)
        self._money = self._book.add_format({"num_format": "0.00"})
        self._bold = self._book.add_format({"bold": True})
        self._head = head
        self._begin()

    def _begin(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(0, len(self._head) - 1, 16)
        for column, text in enumerate(self._head):
            self._sheet.write_string(0, column, text, self._bold)
        self._row = 1

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        string, number, money = self._sheet.write_string, self._sheet.write_number, self._money
        for row in rows:
            if self._row > SHEET_ROWS_MAX:
                self._begin()
                string, number = self._sheet.write_string, self._sheet.write_number
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    if cell:
                        string(self._row, column, cell)
                elif isinstance(cell, Decimal):
                    # The format knows no other numbers than floats; one of fifteen digits is exact to the fen.
                    number(self._row, column, float(cell), money)
                else:
                    number(self._row, column, cell)
            self._row += 1

    def close(self, last: Sequence[Cell]) -> None:
        self.write([last])
        self._book.close()
