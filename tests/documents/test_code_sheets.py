"""Printed codes: what comes out of the printer is read again, at the resolution of receipt and of office printers."""

from __future__ import annotations

import io
import subprocess
import sys

import pypdf
import pytest
import zxingcpp
from PIL import Image, ImageDraw

from piaoma.codes.proof import prove
from piaoma.codes.symbol import QUIET_MODULES, draw
from piaoma.documents.code_sheets import DOT_MM, SHEET_SIZES, WIDTH_MM_MAX, Card, render_sheet, width_mm
from piaoma.invoice.refusal import Refused

URL = "https://FAPIAO.EXAMPLE.CN/T/0123456789ABCDEFGHJK"
LONG_URL = "https://A-RATHER-LONG-HOST-NAME.INVOICES.EXAMPLE-CITY.CN/T/0123456789ABCDEFGHJK"
NAME = "武汉市江汉区测试路一家名字特别特别长的小馆（江汉路步行街店）"


def card(url: str = URL, **changes: str) -> Card:
    symbol = draw(url)
    words = {"shop": "江汉路测试小馆", "steps": "扫码 → 填金额和抬头 → 店家确认", "short": "0123 4567 89AB CDEF GHJK",
             "promise": "本页不收款，不要银行密码和证件照片", "place": "桌 8", "mark": "测试样票"}  # fmt: skip
    return Card(svg=symbol.svg, modules=symbol.size, **{**words, **changes})


def printed(cards: tuple[Card, ...], size: str, ppi: int) -> Image.Image:
    """The page in the greys of a printer of that resolution."""
    return Image.open(io.BytesIO(render_sheet(cards, size, "png", ppi))).convert("L")


@pytest.mark.parametrize("size", WIDTH_MM_MAX)
@pytest.mark.parametrize("ppi", [203, 300])
def test_every_sheet_is_read_from_its_pixels(size: str, ppi: int) -> None:
    """Every symbol on it is decoded, as often as it stands there: six on A4, two on the tent, one elsewhere."""
    found = zxingcpp.read_barcodes(printed((card(),) * (6 if size == "a4" else 1), size, ppi))
    assert [one.text for one in found] == [URL] * {"a4": 6, "tent": 2}.get(size, 1)


def test_a_spoiled_sheet_is_not_read() -> None:
    """Negative control: with a finder pattern painted over, the same decoder finds nothing."""
    page = printed((card(),), "58", 203)
    box = page.point(lambda value: 255 - value).getbbox()
    assert box is not None
    ImageDraw.Draw(page).rectangle((0, 0, page.width, page.height // 2), fill=255)
    assert zxingcpp.read_barcodes(page) == []


def test_a_worn_receipt_is_read() -> None:
    """At 203 dpi with only black and white dots, and on yellowed paper with grey ink."""
    page = printed((card(),), "58", 203)
    assert zxingcpp.read_barcodes(page.convert("1").convert("L"))[0].text == URL
    assert zxingcpp.read_barcodes(page.point(lambda value: 110 + value * 60 // 255))[0].text == URL


@pytest.mark.parametrize("url", [URL, LONG_URL])
@pytest.mark.parametrize("size", SHEET_SIZES)
def test_modules_are_whole_dots_and_large_enough(url: str, size: str) -> None:
    """At least the width that the proof advises, at least 0.5 mm and a whole number of dots a module."""
    symbol = draw(url)
    width = width_mm(symbol.size, size)
    assert width >= prove(symbol).receipt_mm
    module = width / (symbol.size + 2 * QUIET_MODULES)
    dots = module / DOT_MM
    assert module >= 0.5 and abs(dots - round(dots)) < 1e-3


def test_the_words_are_on_the_paper_and_fit() -> None:
    """Shop, place, amount, steps, characters to type, expiry, mark of the sandbox; the longest name on one page."""
    full = card(shop=NAME, total="¥9,999,999.99", item="餐费", until="有效期至 2026-12-25 12:00",
                number_label="消费号", number="482 913")  # fmt: skip
    for size in SHEET_SIZES:
        reader = pypdf.PdfReader(io.BytesIO(render_sheet((full,), size, "pdf")))
        assert len(reader.pages) == 1, size
        text = "".join(reader.pages[0].extract_text().split())
        for word in (
            "江汉路步行街店",
            "桌8",
            "店家确认",
            "0123456789ABCDEFGHJK",
            "2026-12-25",
            "482913",
            "测试样票",
            "不收款",
        ):
            assert word in text, (size, word)


def test_a_sheet_has_its_paper() -> None:
    """A6, A5 to be folded, A4 with six a page; receipts as wide as their rolls."""
    for size, paper, cards, pages in (
        ("a6", (105, 148), 3, 3), ("tent", (148, 210), 1, 1), ("a4", (210, 297), 13, 3),
        ("58", (58, None), 1, 1), ("80", (80, None), 2, 2),
    ):  # fmt: skip
        reader = pypdf.PdfReader(io.BytesIO(render_sheet((card(),) * cards, size, "pdf")))
        box = reader.pages[0].mediabox
        assert len(reader.pages) == pages, size
        assert round(float(box.width) / 72 * 25.4) == paper[0]
        assert paper[1] is None or round(float(box.height) / 72 * 25.4) == paper[1]


def test_another_process_draws_the_same_bytes() -> None:
    """Today and elsewhere: nothing of the machine or the clock is in it."""
    script = (
        "import sys, hashlib; from tests.documents.test_code_sheets import card;"
        " from piaoma.documents.code_sheets import render_sheet;"
        " print(*[hashlib.sha256(render_sheet((card(),), 'a6', kind)).hexdigest() for kind in ('pdf', 'png')])"
    )
    here = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    again = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert here == again and len(here.split()) == 2


def test_what_cannot_be_printed_is_refused() -> None:
    """An unknown paper, an unknown file, nothing at all, a hundred cards."""
    for cards, size, kind in (((card(),), "a3", "pdf"), ((card(),), "a6", "docx"), ((), "a6", "pdf"),
                              ((card(),) * 100, "a6", "pdf")):  # fmt: skip
        with pytest.raises(Refused) as caught:
            render_sheet(cards, size, kind)
        assert caught.value.refusals[0].cause == "DOCUMENT-KIND"
