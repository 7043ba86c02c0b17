"""``piaoma verify``: files and folders; a table, JSON, a sheet; seen before, own company, the records."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from asn1crypto import pem
from python_calamine import CalamineWorkbook

from piaoma.cli.verify import INTERRUPTED, Wanted, company_of, files_of, verify_files
from piaoma.desk import log
from piaoma.desk.config import Config
from piaoma.documents.check import Trusted
from piaoma.documents.receiving import Result
from tests.conftest import Shop, with_shop
from tests.documents.foreign import foreign_pdf
from tests.documents.hostile import HOSTILE
from tests.documents.tampering import genuine
from tests.documents.test_ofd import ring
from tests.store.test_log import issue

OWN = company_of("武汉某某科技有限公司/91110108690017781B")


@pytest.fixture
def received(tmp_path: Path) -> Path:
    """A folder as people have one: files in folders, others between, a hostile one, a name that is a formula."""
    folder = tmp_path / "received"
    (folder / "一月").mkdir(parents=True)
    (folder / "=1+1.xml").write_bytes(genuine()["xml"])
    (folder / "一月" / "a.pdf").write_bytes(genuine()["pdf"])
    (folder / "一月" / "b.ofd").write_bytes(HOSTILE["zip: a way out"]())
    (folder / "一月" / "c.PDF").write_bytes(foreign_pdf())
    (folder / "notes.txt").write_text("nothing to check")
    return folder


def wanted(**more: object) -> Wanted:
    return msgspec.structs.replace(Wanted(Trusted((ring()[0].root,))), **more)


def told(capsys: pytest.CaptureFixture[str], *paths: Path, **more: object) -> tuple[int, list[Result]]:
    code = verify_files(paths, wanted(json=True, **more))
    return code, [msgspec.json.decode(line, type=Result) for line in capsys.readouterr().out.splitlines()]


def test_a_folder_is_looked_through_and_one_bad_file_stops_nothing(
    received: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In order, with what is below; what can be no invoice is left out; a file that is named is always told."""
    code, results = told(capsys, received)
    assert code == 1
    assert [(one.file, one.verdict.value) for one in results] == [
        ("=1+1.xml", "valid"), ("a.pdf", "valid"), ("b.ofd", "invalid"), ("c.PDF", "unknown"),
    ]  # fmt: skip
    assert "SEEN-IN-BATCH" in [cause for item in results[1].items for cause in item.causes]
    code, results = told(capsys, received / "notes.txt", received / "missing.xml")
    assert [one.items[0].causes for one in results] == [("FILE-KIND",), ("ORIGINAL-NO-FILE",)]
    assert told(capsys, received / "=1+1.xml")[0] == 0
    assert told(capsys)[0] == 1


def test_links_out_of_a_folder_are_not_followed(received: Path, tmp_path: Path) -> None:
    """A folder of somebody else that is linked to stays out."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.xml").write_bytes(b"<a/>")
    (received / "link").symlink_to(tmp_path / "elsewhere")
    assert "x.xml" not in [file.name for file in files_of([received])]


def test_people_get_a_table_item_by_item(received: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shapes and words for every light; what to type at the platform; what a file says is no instruction."""
    verify_files([received], wanted(company=OWN))
    shown = capsys.readouterr().out
    for text in (
        "✓ 正常",
        "△ 注意",
        "▲ 不符",
        "◇ 未知",
        "✓ 通过 2",
        "▲ 不通过 1",
        "是本公司的抬头",
        "查验平台 发票号码",
    ):
        assert text in shown, text
    verify_files([received / "=1+1.xml"], wanted(language="en"))
    assert "✓ fine" in capsys.readouterr().out


def test_the_sheet_holds_a_row_for_each_file_and_no_formula(
    received: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Read again by another library: texts are texts, whatever they begin with; the total is a number."""
    sheet = tmp_path / "report.xlsx"
    verify_files([received], wanted(sheet=sheet))
    rows = CalamineWorkbook.from_path(str(sheet)).get_sheet_by_index(0).to_python()
    assert rows[0][:5] == ["文件", "结论", "发票号码", "开票日期", "价税合计"]
    assert [row[0] for row in rows[1:]] == ["=1+1.xml", "a.pdf", "b.ofd", "c.PDF"]
    assert rows[1][4] == 58.0 and rows[1][2] == "26990000000000000001"
    import zipfile

    with zipfile.ZipFile(sheet) as package:
        parts = b"".join(package.read(name) for name in package.namelist() if "sheet1" in name)
    assert b"<f>" not in parts and b"hyperlink" not in parts


def test_a_number_that_was_seen_before_is_told_with_when(
    received: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the book that is kept from run to run; a line that was cut off does no harm; a forgery is not noted."""
    book = tmp_path / "seen.jsonl"
    _, first = told(capsys, received, seen=book)
    assert [item.causes for one in first for item in one.items if item.name == "seen"] == [(), ("SEEN-IN-BATCH",), ()]
    with book.open("ab") as kept:
        kept.write(b'{"number": "2699')
    _, again = told(capsys, received / "一月" / "a.pdf", seen=book)
    seen = next(item for item in again[0].items if item.name == "seen")
    assert seen.causes == ("SEEN-BEFORE",) and "第 2 次" in seen.said
    forged = tmp_path / "forged.xml"
    forged.write_bytes(genuine()["xml"].replace(b"58.00", b"98.00"))
    size = book.stat().st_size
    told(capsys, forged, seen=book)
    assert book.stat().st_size == size


@pytest.mark.parametrize(
    ("text", "name", "number"),
    [("甲公司/91110108690017781B", "甲公司", "91110108690017781B"), ("甲公司", "甲公司", ""),
     ("91110108690017781B", "", "91110108690017781B"),
     ("甲/乙公司/91110108690017781B", "甲/乙公司", "91110108690017781B")],
)  # fmt: skip
def test_a_company_is_named_by_either(text: str, name: str, number: str) -> None:
    """NAME/ID, or one of them."""
    company = company_of(text)
    assert company is not None and (company.name, company.taxpayer_id) == (name, number)
    assert company_of("") is None


def test_the_records_of_a_server_are_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its data folder: the very original, in the log since; another amount is refused."""

    async def story(shop: Shop) -> bytes:
        number = (await issue(shop))[0]
        await log.sequence_once(shop.office)
        return await shop.office.view(shop.id, number, "xml")

    data = tmp_path / "data"
    original = with_shop(Config(data=str(data)), story)
    file = tmp_path / "a.xml"
    file.write_bytes(original)
    root = pem.unarmor((data / "keys/sandbox/root.pem").read_bytes())[2]
    code, results = told(capsys, file, trusted=Trusted((root,)), data=data)
    lights = {item.name: item.light.value for item in results[0].items}
    assert code == 0 and (lights["record"], lights["log"], lights["red"]) == ("ok", "ok", "ok")
    with pytest.raises(FileNotFoundError):
        verify_files([file], wanted(data=tmp_path / "nothing"))


def test_an_interrupted_run_ends_soon_and_leaves_nobody(tmp_path: Path) -> None:
    """Ctrl-C while files are checked: the exit code says so, the sheet so far is whole, no worker is left."""
    folder = tmp_path / "many"
    folder.mkdir()
    for place in range(400):
        (folder / f"{place:03}.pdf").write_bytes(genuine()["pdf"] + b"%")
    # Whoever runs the tests in the background ignores the signal, and that is inherited.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "piaoma.cli", "verify", str(folder)]
    with subprocess.Popen(
        [*command, "--report", str(tmp_path / "r.xlsx")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | {"PIAOMA_DATA": str(tmp_path)},
        start_new_session=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        running.stdout.readline()
        time.sleep(0.2)
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(30) == INTERRUPTED
    rows = CalamineWorkbook.from_path(str(tmp_path / "r.xlsx")).get_sheet_by_index(0).to_python()
    assert 1 < len(rows) < 401
    deadline = time.monotonic() + 10
    while (left := _of_session(running.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)  # the interpreter's own helper goes a moment after the program
    assert left == []


def _of_session(session: int) -> list[str]:
    return [stat.parent.name for stat in Path("/proc").glob("[0-9]*/stat") if f" {session} " in f" {_read(stat)} "]


def _read(stat: Path) -> str:
    try:
        return " ".join(stat.read_text().rpartition(") ")[2].split()[1:4])  # parent, group, session
    except OSError:
        return ""
