"""``piaoma classification import`` and ``search`` on real xlsx files, good, odd and hostile."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from piaoma.cli import classification as command
from piaoma.invoice.classification import load, read_csv

DINING = "3070401000000000000"
HEADER = ("合并编码", "货物和劳务名称", "商品和服务分类简称", "增值税税率")
ROWS: list[Sequence[object]] = [
    HEADER,
    ("3070400000000000000", "餐饮住宿服务", "生活服务", ""),
    (DINING, "餐饮服务", "新版简称", "6%"),
    ("3070402000000000000", "住宿服务", "住宿服务", 0.06),
    ("1030201090000000000", "蛋挞", "焙烤食品", "13%"),
]
DAY = date(2026, 11, 24)

TYPES = """<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels"
ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml"
ContentType="application/xml"/></Types>"""
RELATIONS = """<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>"""
KINDS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATION = f'<Relationship Id="rId{{0}}" Type="{KINDS}/{{1}}" Target="{{2}}"/>'
BOOK = """<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>{}</sheets></workbook>"""
SHEET = """<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>"""


def cells(rows: list[Sequence[object]]) -> str:
    """Rows as sheet XML: numbers as numbers, all else as inline text."""
    lines = []
    for number, row in enumerate(rows, 1):
        line = ""
        for place, cell in enumerate(row):
            at = f'r="{chr(65 + place)}{number}"'
            if isinstance(cell, (int, float)):
                line += f"<c {at}><v>{cell}</v></c>"
            else:
                line += f'<c {at} t="inlineStr"><is><t>{escape(str(cell))}</t></is></c>'
        lines.append(f'<row r="{number}">{line}</row>')
    return "".join(lines)


def book(path: Path, *sheets: str, extra: dict[str, bytes] | None = None) -> Path:
    """A minimal xlsx by hand."""
    numbers = range(1, len(sheets) + 1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("[Content_Types].xml", TYPES)
        package.writestr("_rels/.rels", RELATIONS.format(RELATION.format(1, "officeDocument", "xl/workbook.xml")))
        package.writestr(
            "xl/workbook.xml",
            BOOK.format(
                "".join(f'<sheet name="S{number}" sheetId="{number}" r:id="rId{number}"/>' for number in numbers)
            ),
        )
        package.writestr(
            "xl/_rels/workbook.xml.rels",
            RELATIONS.format(
                "".join(RELATION.format(number, "worksheet", f"worksheets/sheet{number}.xml") for number in numbers)
            ),
        )
        for number, sheet in zip(numbers, sheets, strict=True):
            package.writestr(f"xl/worksheets/sheet{number}.xml", SHEET.format(sheet))
        for name, data in (extra or {}).items():
            package.writestr(name, data)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose data folder is not there yet."""
    file = tmp_path / "piaoma.toml"
    file.write_text(f'data = "{tmp_path / "data"}"\n', encoding="utf-8")
    return file


def run(file: Path, config: Path, day: date = DAY, *, close_missing: bool = False) -> int:
    return command.import_table(file, day, config, close_missing=close_missing)


def test_a_table_is_imported_and_used(tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Changed, added and kept rows are counted, the old version is closed, and the next start reads the new table."""
    assert run(book(tmp_path / "official.xlsx", cells(ROWS)), config) == 0
    out = capsys.readouterr().out
    target = tmp_path / "data" / "classification.csv"
    assert str(target) in out and "2026-11-24" in out
    table = load(target)
    now, before = table.lookup(DINING, DAY), table.lookup(DINING, date(2026, 11, 23))
    assert now is not None and before is not None
    assert now.short_name == "新版简称" and "餐费" in now.keywords
    assert before.short_name == "生产生活服务" and before.valid_to == date(2026, 11, 23)
    assert table.search("蛋挞", DAY)[0].source == "own"
    assert len(table) == len(load()) + 1
    assert [path.name for path in target.parent.iterdir()] == ["classification.csv"]


def test_importing_again_changes_nothing(tmp_path: Path, config: Path) -> None:
    """The same file on another day gives the same bytes."""
    file = book(tmp_path / "official.xlsx", cells(ROWS))
    target = tmp_path / "data" / "classification.csv"
    assert run(file, config) == 0
    first = target.read_bytes()
    assert run(file, config, date(2026, 12, 1)) == 0
    assert target.read_bytes() == first


def test_a_sheet_of_notes_before_the_table_is_passed_over(tmp_path: Path, config: Path) -> None:
    """Also a header below a title."""
    notes = cells([("编码表使用说明",)])
    file = book(tmp_path / "official.xlsx", notes, cells([("二〇二六年版",), ("",), *ROWS]))
    assert run(file, config) == 0


def test_nothing_is_written_when_one_row_is_bad(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All bad rows are listed with their numbers; what was there before stays as it was."""
    assert run(book(tmp_path / "good.xlsx", cells(ROWS)), config) == 0
    target = tmp_path / "data" / "classification.csv"
    before = target.read_bytes()
    capsys.readouterr()
    bad = [*ROWS, ("12", "不是编码", "简称", ""), ("1030201980000000000", "名", "简称", "十三个点")]
    assert run(book(tmp_path / "bad.xlsx", cells(bad)), config, date(2026, 12, 1)) == 1
    out = capsys.readouterr().out
    assert "CLASSIFICATION-ROW-CODE 第 6 行" in out and "CLASSIFICATION-ROW-RATE 第 7 行" in out
    assert "没有写入" in out
    assert target.read_bytes() == before and len(list(target.parent.iterdir())) == 1


def test_a_long_list_of_faults_is_cut(tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The screen shows the first fifty and says how many more there are."""
    bad: list[Sequence[object]] = [HEADER, *[("X", "名", "简称", "")] * 80]
    assert run(book(tmp_path / "bad.xlsx", cells(bad)), config) == 1
    out = capsys.readouterr().out
    assert out.count("CLASSIFICATION-ROW-CODE") == 50 and "30" in out
    assert not (tmp_path / "data").exists()


def hostile(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    """Files that are no table, each with the cause it is refused for."""
    text = tmp_path / "text.xlsx"
    text.write_text("合并编码,货物和劳务名称\n", encoding="utf-8")
    empty = tmp_path / "empty.xlsx"
    empty.write_bytes(b"")
    renamed = tmp_path / "table.xls"
    renamed.write_bytes(book(tmp_path / "a.xlsx", cells(ROWS)).read_bytes())
    cut = tmp_path / "cut.xlsx"
    cut.write_bytes(book(tmp_path / "b.xlsx", cells(ROWS)).read_bytes()[:-200])
    other = tmp_path / "other.xlsx"
    with zipfile.ZipFile(other, "w") as package:
        package.writestr("readme.txt", "no workbook")
    broken = book(tmp_path / "broken.xlsx", "<row r='1'><c r='A1'><v>1</c></row>")
    heavy = tmp_path / "heavy.xlsx"
    with heavy.open("wb") as file:
        file.truncate(command.FILE_BYTES_MAX + 1)
    bomb = book(tmp_path / "bomb.xlsx", cells(ROWS), extra={"xl/media/zeros": bytes(command.UNPACKED_BYTES_MAX)})
    many = book(tmp_path / "many.xlsx", cells(ROWS), extra={f"xl/p{n}": b"" for n in range(command.PARTS_MAX)})
    far = book(tmp_path / "far.xlsx", cells(ROWS) + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    entities = "<!DOCTYPE w [<!ENTITY a 'aaaaaaaaaa'>]>"
    return {
        "text": (text, "CLASSIFICATION-FILE"),
        "empty file": (empty, "CLASSIFICATION-FILE"),
        "another suffix": (renamed, "CLASSIFICATION-FILE"),
        "cut off": (cut, "CLASSIFICATION-FILE"),
        "a zip that is no workbook": (other, "CLASSIFICATION-FILE"),
        "broken xml": (broken, "CLASSIFICATION-"),
        "huge file": (heavy, "CLASSIFICATION-LARGE"),
        "zip bomb": (bomb, "CLASSIFICATION-LARGE"),
        "too many parts": (many, "CLASSIFICATION-LARGE"),
        "a cell at the end of the world": (far, "CLASSIFICATION-LARGE"),
        "no header": (book(tmp_path / "none.xlsx", cells([("a", "b")])), "CLASSIFICATION-HEADER"),
        "entities": (book(tmp_path / "entities.xlsx", entities), "CLASSIFICATION-"),
    }


HOSTILE = (
    "text", "empty file", "another suffix", "cut off", "a zip that is no workbook", "broken xml", "huge file",
    "zip bomb", "too many parts", "a cell at the end of the world", "no header", "entities",
)  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused(
    kind: str, tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a cause, before anything is written, and without unpacking more than the bound (lowered here)."""
    monkeypatch.setattr(command, "UNPACKED_BYTES_MAX", 1_000_000)
    files = hostile(tmp_path)
    assert set(files) == set(HOSTILE)
    file, cause = files[kind]
    assert run(file, config) == 1
    assert cause in capsys.readouterr().out
    assert not (tmp_path / "data").exists()


def test_formatted_rows_below_the_table_do_no_harm(tmp_path: Path, config: Path) -> None:
    """Real files are formatted far down; only cells count."""
    assert run(book(tmp_path / "long.xlsx", cells(ROWS) + '<row r="50000" ht="15"/>'), config) == 0


def test_writing_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure before the rename leaves the old file and no other."""
    target = tmp_path / "classification.csv"
    command.write_atomically(target, "old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        command.write_atomically(target, "new")
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_search_prints_matches(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says when there is none."""
    assert command.search("餐费", config) == 0
    assert DINING in capsys.readouterr().out
    assert command.search("量子纠缠", config) == 1


def test_the_commands_are_there(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the command line itself, with a day and the option."""
    from piaoma.cli.commands import app

    file = book(tmp_path / "official.xlsx", cells(ROWS))
    arguments = ["classification", "import", str(file), "--valid-from", "2026-12-01", "--close-missing"]
    result = app([*arguments, "--config", str(config)], result_action="return_value")
    assert result == 0
    rows = read_csv((tmp_path / "data" / "classification.csv").read_text(encoding="utf-8"))
    open_now = {row.code for row in rows if row.in_force(date(2026, 12, 1))}
    assert open_now == {str(row[0]) for row in ROWS[1:]}
    assert app(["classification", "search", "cyfw", "--config", str(config)], result_action="return_value") == 0
    assert DINING in capsys.readouterr().out
