"""The PDF: the same bytes each time, text that others can extract, any number of lines, nothing that looks real."""

from __future__ import annotations

import io
import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import zxingcpp
from PIL import Image
from pypdf import PdfReader

from piaoma.codes.printed import parse
from piaoma.documents.embedded import embedded_original
from piaoma.documents.render import render
from piaoma.invoice import original, totals
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.refusal import Refused
from tests.invoice.test_original import example, file_of


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def with_lines(count: int) -> IssuedInvoice:
    invoice = example()
    lines = tuple(
        msgspec.structs.replace(invoice.lines[0], name=f"*餐饮服务*第{number}号测试套餐")
        for number in range(1, count + 1)
    )
    return msgspec.structs.replace(invoice, lines=lines, totals=totals.totals_of(lines))


def test_the_same_original_gives_the_same_bytes() -> None:
    """In one process twice, and in another process."""
    import subprocess
    import sys

    data = file_of(example())
    here = render(data, "pdf")
    assert render(data, "pdf") == here
    program = (
        "import sys; from piaoma.documents.render import render;"
        " sys.stdout.buffer.write(render(sys.stdin.buffer.read(), 'pdf'))"
    )
    there = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True).stdout
    assert there == here


def test_other_readers_extract_what_matters() -> None:
    """Label and value stand together in reading order, as extraction by neighbourhood needs it."""
    text = text_of(render(file_of(example()), "pdf")).replace(" ", "")
    assert "发票号码：26990000000000000001" in text
    assert "开票日期：2026年11月24日" in text
    assert "（小写）¥58.00" in text
    assert "伍拾捌圆整" in text and "91110108690017781B" in text and "武汉某某科技有限公司" in text


def test_it_is_pdf_a_3_with_the_original_inside() -> None:
    """The metadata says so, the original comes out byte for byte, by our reader and by another."""
    data = file_of(example())
    pdf = render(data, "pdf")
    assert re.search(rb"pdfaid:part>3<", pdf) and re.search(rb"pdfaid:conformance>B<", pdf)
    assert embedded_original(pdf) == data
    attached = PdfReader(io.BytesIO(pdf)).attachments
    assert attached["26990000000000000001.xml"] == [data]
    page = PdfReader(io.BytesIO(pdf)).pages[0].mediabox
    assert (round(float(page.width) / 72 * 25.4), round(float(page.height) / 72 * 25.4)) == (210, 140)


def test_a_sandbox_invoice_never_looks_real() -> None:
    """The mark, the other frame, the line at the foot, on every page; no red oval."""
    pdf = render(file_of(with_lines(30)), "pdf")
    pages = PdfReader(io.BytesIO(pdf)).pages
    assert len(pages) > 1
    for page in pages:
        text = page.extract_text().replace(" ", "")
        assert "沙盒样票" in text and "测试样票无效" in text and "不是发票" in text


def test_a_real_number_has_no_sandbox_mark() -> None:
    """The mark follows the number, not the machine."""
    real = msgspec.structs.replace(example(), number="26420000000000000001")
    assert "沙盒" not in text_of(render(file_of(real), "pdf"))


@pytest.mark.parametrize("count", [1, 8, 9, 16, 28, 2000])
def test_every_line_is_there(count: int) -> None:
    """On one page or on a hundred: each line once, in order, totals on the last page only."""
    pdf = render(file_of(with_lines(count)), "pdf")
    found = [int(number) for number in re.findall(r"第(\d+)号", text_of(pdf).replace(" ", "").replace("\n", ""))]
    assert found == list(range(1, count + 1))
    pages = PdfReader(io.BytesIO(pdf)).pages
    with_totals = [number for number, page in enumerate(pages) if "小写" in page.extract_text()]
    assert with_totals == [len(pages) - 1]


def test_the_printed_code_is_read_from_the_picture() -> None:
    """At 200 dpi, by a real decoder; also after a grey print."""
    picture = Image.open(io.BytesIO(render(file_of(example()), "png")))
    for version in (picture, picture.convert("L").point(lambda value: 60 + value * 150 // 255)):
        found = parse(zxingcpp.read_barcodes(version)[0].text)
        assert found is not None and found.number == example().number and found.amount == Decimal("58.00")
        assert found.crc_holds


@pytest.mark.parametrize(
    "name", ["#panic()", "$x$ *b* _i_ @ref", "`raw` #include", "\\u{41} ~ -- //c", "䶮龘㼆㵘𣲗䲟鱻"]
)
def test_text_is_data_and_rare_characters_are_drawn(name: str) -> None:
    """Markup of the typesetter is printed as typed; rare characters have glyphs."""
    invoice = msgspec.structs.replace(example(), buyer=msgspec.structs.replace(example().buyer, name=name))
    assert name.replace(" ", "") in text_of(render(file_of(invoice), "pdf")).replace(" ", "").replace("\n", "")


def test_a_missing_glyph_is_an_error_never_an_empty_box() -> None:
    """A character that no font of ours has."""
    invoice = msgspec.structs.replace(example(), remark="𠮷")
    with pytest.raises(Refused) as caught:
        render(file_of(invoice), "pdf")
    assert caught.value.refusals[0].cause == "DOCUMENT-GLYPH-MISSING"


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    """Kill the worker under way: the view comes all the same, and is kept for the next time."""
    import asyncio

    from piaoma.documents.cabinet import Cabinet

    async def story() -> None:
        cabinet = Cabinet(tmp_path)
        first = await cabinet.view(file_of(example()), "pdf")
        other = file_of(with_lines(2))
        assert cabinet._pool is not None
        for process in cabinet._pool._processes.values():
            process.kill()
        assert (await cabinet.view(other, "pdf")).startswith(b"%PDF")
        for file in tmp_path.iterdir():
            file.unlink()
        assert await cabinet.view(file_of(example()), "pdf") == first
        await cabinet.close()

    asyncio.run(story())


def test_the_bureau_of_the_sandbox_is_not_a_province() -> None:
    """Its code and tag use 99."""
    assert original.SANDBOX_BUREAU.code[1:3] == "99" and original.SANDBOX_BUREAU.tag == "SWEI9900"
