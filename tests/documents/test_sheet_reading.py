"""P10 for sheets: every hostile file is refused in bounded time and memory, in the worker with its limits."""

from __future__ import annotations

import asyncio
import io
import time
import zipfile
from collections.abc import Iterator
from datetime import datetime

import pytest

from piaoma.documents import sheet_reading
from piaoma.documents.check import CHECK_MEMORY_BYTES_MAX
from piaoma.documents.sales_sheet import sheet_file
from piaoma.documents.sheet_reading import ROWS_MAX, SHEET_BYTES_MAX, SHEET_SECONDS_MAX, Sheet, read_sheet
from piaoma.documents.workers import WorkerFailed, Workers
from piaoma.invoice.refusal import Refused

HEAD = ["单号", "购买方名称", "项目名称", "含税金额"]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(1, CHECK_MEMORY_BYTES_MAX)
    yield made
    made.close()


def parts_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return {name: package.read(name) for name in package.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for name, content in parts.items():
            package.writestr(name, content)
    return target.getvalue()


def with_sheet(sheet: bytes, **more: bytes) -> bytes:
    """A genuine workbook whose sheet is this one."""
    parts = parts_of(sheet_file(HEAD, [["1", "个人", "餐费", "58"]]))
    return packed(parts | {"xl/worksheets/sheet1.xml": sheet} | more)


def rows(inside: bytes) -> bytes:
    space = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return b'<worksheet xmlns="' + space + b'"><sheetData>' + inside + b"</sheetData></worksheet>"


def bomb() -> bytes:
    return with_sheet(rows(b" " * (60 * 1024 * 1024)))


def million_rows() -> bytes:
    return with_sheet(rows(b"".join(b'<row r="%d"><c r="A%d"><v>1</v></c></row>' % (n, n) for n in range(1, 300_000))))


def rows_without_places() -> bytes:
    return with_sheet(rows(b"<row><c><v>1</v></c></row>" * 200_000))


def far_corner() -> bytes:
    return with_sheet(
        rows(b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    )


def entities() -> bytes:
    bad = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' + rows(b"")
    return with_sheet(bad)


def outside_entity() -> bytes:
    strings = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><sst><si><t>&a;</t></si></sst>'
    return packed(parts_of(sheet_file(HEAD, [["1", "a", "b", "c"]])) | {"xl/sharedStrings.xml": strings})


def many_parts() -> bytes:
    return packed(parts_of(sheet_file(HEAD, [])) | {f"xl/x{n}.xml": b"" for n in range(300)})


def repeated_in_itself() -> bytes:
    """A quine's cousin: a zip in a zip is no workbook."""
    return packed({"a.xlsx": packed({"b.xlsx": b"x"})})


HOSTILE = {
    "bomb": (bomb, "SHEET-TOO-LARGE"), "million rows": (million_rows, "SHEET-TOO-LARGE"),
    "rows without places": (rows_without_places, "SHEET-TOO-LARGE"), "far corner": (far_corner, "SHEET-TOO-LARGE"),
    "entities": (entities, "SHEET-HOSTILE"), "outside entity": (outside_entity, "SHEET-HOSTILE"),
    "many parts": (many_parts, "SHEET-TOO-LARGE"), "zip in zip": (repeated_in_itself, "SHEET-FORMAT"),
    "cut short": (lambda: sheet_file(HEAD, [["1"] * 4])[:-40], "SHEET-FORMAT"),
    "old xls": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2048), "SHEET-FORMAT"),
    "too many bytes": (lambda: b"PK" + bytes(SHEET_BYTES_MAX), "SHEET-TOO-LARGE"),
    "empty": (lambda: sheet_file([], []), "SHEET-EMPTY"),
    "long cell": (lambda: sheet_file(HEAD, [["x" * 5_000, "", "", ""]]), "SHEET-TOO-LARGE"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_sheet_is_refused_within_its_bounds(workers: Workers, name: str) -> None:
    """In the worker, with the program's own limits of time and memory; the next file is read as if nothing had been."""
    make, cause = HOSTILE[name]
    data = make()
    begun = time.process_time()

    async def tell() -> str:
        try:
            await workers.run(SHEET_SECONDS_MAX, read_sheet, data, "a.xlsx")
        except Refused as refused:
            return refused.refusals[0].cause
        except WorkerFailed as failed:
            return failed.reason
        return "read"

    told = asyncio.run(tell())
    assert told == cause or (told in ("time", "memory", "died") and cause == "SHEET-TOO-LARGE"), told
    assert time.process_time() - begun < 2, "whoever serves pages pays nothing"
    good = asyncio.run(workers.run(SHEET_SECONDS_MAX, read_sheet, sheet_file(HEAD, [["1", "a", "b", "2"]]), "b.xlsx"))
    assert isinstance(good, Sheet) and good.rows[1][1] == ("1", "a", "b", "2")


def test_without_the_look_beforehand_a_bomb_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with the look through the package taken out, the parser is handed the sheet with entities."""
    monkeypatch.setattr(sheet_reading, "_looked_through", lambda package: set())
    with pytest.raises(Refused) as refused:
        read_sheet(entities(), "a.xlsx")
    assert refused.value.refusals[0].cause != "SHEET-HOSTILE"


def test_formulas_are_named_by_their_cells() -> None:
    """What a formula shows was worked out elsewhere, perhaps never: the cell is told. Only the first sheet counts."""
    cells = b'<row r="2"><c r="A2"><f>1+1</f><v>2</v></c><c r="C2"  t="str"><f t="shared" si="0">B2</f><v>x</v></c>'
    cells += b'<c r="D2"><v>3</v></c></row>'
    found = read_sheet(with_sheet(rows(cells)), "a.xlsx")
    assert found.formulas == {(2, 0), (2, 2)}
    assert read_sheet(b"a,b\n1,=2+2\n", "a.csv").formulas == {(2, 1)}


def test_figures_dates_and_texts_are_read_as_they_are_shown() -> None:
    """59.7 is kept as 59.699999999999996 and read as 59.7; a long number that is a text keeps its digits."""
    import xlsxwriter

    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(2, 1, ["a", 59.699999999999996, 58, True, 0.06])
        sheet.write_string(3, 1, "6222000011112222333")
        day = datetime(2026, 11, 25)  # noqa: DTZ001 - a sheet has days without a zone
        sheet.write_datetime(3, 2, day, book.add_format({"num_format": "yyyy-mm-dd"}))
    found = read_sheet(target.getvalue(), "x.xlsx").rows
    assert found == ((3, ("", "a", "59.7", "58", "是", "0.06")), (4, ("", "6222000011112222333", "2026-11-25")))
    assert read_sheet("单号;金额\n甲;1\n".encode("gb18030"), "x.csv").rows[1][1] == ("甲", "1")


def test_as_many_rows_as_are_allowed_and_one_more() -> None:
    """2,000 with a head are read; more are refused as a whole, before anything is made of them."""
    assert len(read_sheet(sheet_file(HEAD, [["1", "a", "b", "2"]] * ROWS_MAX), "a.xlsx").rows) == ROWS_MAX + 1
    with pytest.raises(Refused, match="SHEET-TOO-LARGE"):
        read_sheet(sheet_file(HEAD, [["1", "a", "b", "2"]] * (ROWS_MAX + 20)), "a.xlsx")
