"""Tables that merchants open in a spreadsheet: what customers typed is never calculated, money is exact to the fen."""

from __future__ import annotations

import csv
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from piaoma.documents import sheets

HOSTILE = ["=1+1", "=HYPERLINK(\"http://x\",\"y\")", "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "\n=1",
           "＝1+1", "{=1}", "https://x.test/"]  # fmt: skip
ROWS: list[list[sheets.Cell]] = [[text, Decimal("-0.10"), Decimal("9999999999.99"), 7] for text in HOSTILE]


def written(folder: Path, kind: str) -> Path:
    path = folder / f"table.{kind}"
    sheet = sheets.open_sheet(path, kind, ["text", "least", "most", "count"])
    sheet.write(ROWS)
    sheet.close(["sum", "", Decimal("1.00"), 1])
    return path


def formulas(xlsx: Path) -> list[str]:
    """The parts of an xlsx in which something is calculated or linked."""
    with zipfile.ZipFile(xlsx) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith((".xml", ".rels"))}
    return [name for name, text in texts.items() if "<f>" in text or "<f " in text or "<hyperlink " in text]


def calculated(path: Path) -> list[str]:
    """The texts of a csv that a spreadsheet would take for a formula."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    return [row[0] for row in rows if row[0].lstrip("\t\r\n").startswith(("=", "+", "-", "@", "＝"))]


def test_an_xlsx_calculates_nothing_and_says_what_was_typed(tmp_path: Path) -> None:
    """Every text comes back as it was, every amount to the fen; the head is frozen."""
    path = written(tmp_path, "xlsx")
    assert formulas(path) == []
    rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    back = [str(row[0]).replace("_x000D_", "\r") for row in rows[1:-1]]
    assert [text.strip() for text in back] == [text.strip() for text in HOSTILE]
    assert {tuple(row[1:]) for row in rows[1:-1]} == {(-0.1, 9999999999.99, 7.0)}
    assert rows[-1] == ["sum", "", 1.0, 1.0]


def test_a_formula_in_an_xlsx_is_noticed(tmp_path: Path) -> None:
    """Negative control: the same texts, written as the library writes them when it is left to guess."""
    import xlsxwriter

    with xlsxwriter.Workbook(str(tmp_path / "guessed.xlsx")) as book:
        sheet = book.add_worksheet()
        for row, text in enumerate(HOSTILE):
            sheet.write(row, 0, text)
    assert formulas(tmp_path / "guessed.xlsx") != []


def test_a_csv_holds_no_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An apostrophe stands in front; amounts below zero stay numbers. Control: without it they are noticed."""
    path = written(tmp_path, "csv")
    assert calculated(path) == []
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert ",-0.10,9999999999.99,7" in path.read_text(encoding="utf-8-sig")
    monkeypatch.setattr(sheets, "defused", lambda text: text)
    assert len(calculated(written(tmp_path, "csv"))) >= 8


def test_a_long_table_goes_on_in_the_next_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spreadsheets end at a million rows."""
    monkeypatch.setattr(sheets, "SHEET_ROWS_MAX", 3)
    book = CalamineWorkbook.from_path(written(tmp_path, "xlsx"))
    lengths = [len(book.get_sheet_by_index(place).to_python()) for place in range(len(book.sheet_names))]
    assert sum(lengths) - len(lengths) == len(ROWS) + 1 and max(lengths) == 4
