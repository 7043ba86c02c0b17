"""Golden documents: views look as they did when somebody looked, conform to their standards, and can be read aloud."""

from __future__ import annotations

import io
import re
from pathlib import Path

import opendataloader_pdf
import pypdfium2
import pytest
import zxingcpp
from PIL import Image

from piaoma.codes.printed import invoice_text
from piaoma.documents.render import render
from piaoma.documents.ticket import ticket_of
from piaoma.invoice.original_reader import read
from piaoma.trust import Verdict, verify_original
from tests.documents.goldens import FOLDER, differing, names, original_of, pdf_pages, pictures_of
from tests.documents.reading import artifacts_of, tree_of
from tests.documents.verapdf import judged

BYTES_MAX = 1_500_000


@pytest.mark.parametrize("name", names())
def test_views_look_as_they_did(name: str) -> None:
    """Every page of every view against its kept picture, tile by tile."""
    drawn = dict(pictures_of(name, original_of(name)))
    assert set(drawn) == {file.name for file in FOLDER.glob(f"{name}.*.png")}
    for file, picture in drawn.items():
        assert differing(Image.open(FOLDER / file).convert("RGB"), picture.convert("RGB")) == [], file


def test_a_changed_digit_is_seen() -> None:
    """The control: one digit of an amount, and another seller, in every view."""
    data = original_of("one-line")
    for old, new in ((b">54.72<", b">54.12<"), ("武汉测试".encode(), "武汉则试".encode())):
        assert old in data
        for file, picture in pictures_of("one-line", data.replace(old, new)):
            assert differing(Image.open(FOLDER / file).convert("RGB"), picture.convert("RGB")), file


@pytest.mark.parametrize("name", names())
def test_the_kept_originals_are_valid(name: str) -> None:
    """Signed by a sandbox whose root is kept beside them; a changed one is not."""
    roots = ((FOLDER / "root.cer").read_bytes(),)
    assert verify_original(original_of(name), roots).verdict is Verdict.VALID
    assert verify_original(original_of(name).replace(b"2026", b"2025"), roots).verdict is Verdict.INVALID


def test_they_are_small() -> None:
    """All of them together."""
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < BYTES_MAX


@pytest.mark.parametrize("name", names())
def test_the_symbol_can_be_scanned(name: str) -> None:
    """In the picture for a chat, as small as it is, and on every page of the PDF as another reader draws it."""
    data = original_of(name)
    views = [Image.open(io.BytesIO(render(data, "png"))), *pdf_pages(render(data, "pdf"), 150)]
    for view in views:
        assert {found.text for found in zxingcpp.read_barcodes(view)} == {invoice_text(read(data))}


@pytest.mark.parametrize("name", names())
def test_pdfium_extracts_what_matters(name: str) -> None:
    """A second reader of text beside pypdf: label and value stand together."""
    data = original_of(name)
    ticket = ticket_of(read(data))
    with pypdfium2.PdfDocument(render(data, "pdf")) as document:
        text = re.sub(r"\s", "", "".join(page.get_textpage().get_text_range() for page in document))
    assert f"发票号码：{ticket.number}" in text and f"开票日期：{ticket.issued_on}" in text
    assert f"（小写）{ticket.total}" in text and f"名称：{ticket.seller.name}" in text


def test_a_third_reader_extracts_every_line(tmp_path: Path) -> None:
    """opendataloader, written in Java on veraPDF's parser: by the tags, a row of the table in a row of text."""
    files = []
    for name in names():
        files.append(str(tmp_path / f"{name}.pdf"))
        Path(files[-1]).write_bytes(render(original_of(name), "pdf"))
    opendataloader_pdf.convert(files, str(tmp_path), format="text", quiet=True, use_struct_tree=True)
    for name in names():
        ticket = ticket_of(read(original_of(name)))
        rows = [re.sub(" ", "", row) for row in (tmp_path / f"{name}.txt").read_text().splitlines()]
        for line in ticket.lines:
            cells = (line.name, line.spec, line.unit, line.quantity, line.unit_price, line.amount, line.rate, line.tax)
            assert "\t".join(cell for cell in cells if cell).replace(" ", "") in rows, (name, line)
        for text in (f"发票号码：{ticket.number}", f"开票日期：{ticket.issued_on}", f"（小写）{ticket.total}"):
            assert text in rows, (name, text)


def test_verapdf_finds_them_conforming(tmp_path: Path) -> None:
    """PDF/A-3a and PDF/UA-1 by the reference validator; it does notice a wrong claim, a missing relationship of the
    attachment, and a title of the third order."""
    for name in names():
        (tmp_path / f"{name}.pdf").write_bytes(render(original_of(name), "pdf"))
    one = (tmp_path / "one-line.pdf").read_bytes()
    broken = {
        "claim": one.replace(b"conformance>A<", b"conformance>B<"),
        "relationship": one.replace(b"/AFRelationship", b"/AFRelationshiX"),
        "title": one.replace(b"/S/H1/", b"/S/H3/"),
    }
    for name, data in broken.items():
        assert data != one
        (tmp_path / f"broken-{name}.pdf").write_bytes(data)
    found = judged(*sorted(tmp_path.glob("*.pdf")))
    for file, profiles in found.items():
        faults = [fault for faults in profiles.values() for fault in faults]
        assert bool(faults) == ("broken-" in file), (file, faults)


@pytest.mark.parametrize("name", names())
def test_it_is_read_aloud_in_order(name: str) -> None:
    """Title, mark, number, date, buyer, seller, the table with its header cells, totals, remark: each once, by tags."""
    data = original_of(name)
    ticket = ticket_of(read(data))
    tree = tree_of(render(data, "pdf"))
    assert [one.aloud for one in tree.named("H1")] == [ticket.title]
    assert [one.aloud for one in tree.named("H2")] == ["购买方信息", "销售方信息", "备注"]
    aloud = tree.aloud.replace(" ", "")
    wanted = [
        *(ticket.title, "沙盒样票", f"发票号码：{ticket.number}", f"开票日期：{ticket.issued_on}"),
        *(f"名称：{ticket.buyer.name}", f"名称：{ticket.seller.name}", "项目名称", ticket.lines[0].amount),
        *("合计", ticket.amount, ticket.words, f"（小写）{ticket.total}", "备注", f"开票人：{ticket.drawer}"),
    ]
    places = [aloud.index(text.replace(" ", "")) for text in wanted]
    assert places == sorted(places) and aloud.count(ticket.title) == 1
    assert [one.alt for one in tree.named("Figure")] == [f"二维码：{ticket.number}，{ticket.total}"]
    tables = list(tree.named("Table"))
    for table in tables:
        heads = {one.attributes["ID"]: one.aloud for one in table.named("TH")}
        assert next(iter(heads.values())) == "项目名称" and len(heads) == 8
        for row in table.named("TBody"):
            for cells in row.named("TR"):
                assert [list(one.attributes["Headers"]) for one in cells.named("TD")] == [[head] for head in heads]
    rows = [[cell.aloud for cell in row.named("TD")] for table in tables for body in table.named("TBody")
            for row in body.named("TR")]  # fmt: skip
    assert [(row[0].replace(" ", ""), row[5]) for row in rows] == [
        (line.name.replace(" ", ""), line.amount) for line in ticket.lines
    ]
    assert ticket.mark in artifacts_of(render(data, "pdf"))  # the watermark is not read aloud
