"""The PDF: the same bytes each time, text that others can extract, any number of lines, nothing that looks real."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import typst
import zxingcpp
from fontTools.ttLib import TTFont
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfReader
from pypdf.generic import ContentStream

from piaoma.codes.printed import parse
from piaoma.documents import layout
from piaoma.documents import picture as pictures
from piaoma.documents.embedded import embedded_original
from piaoma.documents.faces import font_files
from piaoma.documents.layout import ROWS_LAST_KEPT
from piaoma.documents.pdf import form
from piaoma.documents.picture import PNG_GAP_PIXELS, PNG_PAGES_MAX, PNG_PPI
from piaoma.documents.render import render
from piaoma.documents.ticket import SIZES, TITLES, set_in, ticket_of, width_em, wrapped
from piaoma.invoice import original, printable, totals
from piaoma.invoice.classification import load
from piaoma.invoice.draft import Draft, InvoiceKind, Line, LineKind, ZeroKind
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.parties import Buyer, Seller
from piaoma.invoice.refusal import Refused
from piaoma.invoice.rules import check
from tests.invoice.test_original import AT, example, file_of

LINE = Line("餐费", "3070401000000000000", Decimal("0.06"), Decimal("58.00"))
SELLER = Seller("武汉测试餐饮有限公司", "91420100MA4K00000Q")
BUYER = Buyer("武汉某某科技有限公司", "91110108690017781B")
MM = 72 / 25.4

WORKER_END_SECONDS_MAX = 20


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


def issued(*lines: Line, number: str = "26420000000000000001", **fields: Any) -> IssuedInvoice:
    """An invoice that the rules let pass; with a real number, so without the sandbox's marks."""
    given: dict[str, Any] = {"kind": InvoiceKind.GENERAL, "seller": SELLER, "buyer": BUYER, "drawer": "张某"}
    draft = Draft(**(given | {"lines": lines or (LINE,)} | fields))
    assert check(draft, AT.date(), load()) == []
    priced, sums = totals.price(draft, AT.date(), load())
    return totals.invoice_of(draft, priced, sums, number, AT, original.SANDBOX_BUREAU)


def line(**fields: Any) -> Line:
    return msgspec.structs.replace(LINE, **fields)


class Run(NamedTuple):
    """A piece of printed text with its box, in points from the bottom left corner."""

    text: str
    left: float
    bottom: float
    right: float
    top: float


def runs_of(pdf: bytes) -> list[list[Run]]:
    """What stands where, page by page, as another reader sees it; widths from our table, which a test compares."""
    pages = []
    for page in PdfReader(io.BytesIO(pdf)).pages:
        found: list[Run] = []

        def visit(text: str, _: object, at: list[float], font: object, size: float, found: list[Run] = found) -> None:
            text = text.strip()
            if text:
                width = (len(text) * 0.5 if size == form.ID_SIZE else width_em(text)) * size
                found.append(Run(text, at[4], at[5] - 0.12 * size, at[4] + width, at[5] + 0.8 * size))

        page.extract_text(visitor_text=visit)
        pages.append(found)
    return pages


def assert_nothing_overlaps(pdf: bytes) -> None:
    """No two pieces of text touch, and all are inside the page's frame."""
    for page in runs_of(pdf):
        for run in page:
            assert run.left >= 5 * MM and run.right <= 205.4 * MM and run.bottom >= 3 * MM, run
        for place, one in enumerate(page):
            for other in page[place + 1 :]:
                apart = (
                    one.right <= other.left + 0.5
                    or other.right <= one.left + 0.5
                    or one.top <= other.bottom + 0.2
                    or other.top <= one.bottom + 0.2
                )
                assert apart, (one, other)


def assert_nothing_lost(invoice: IssuedInvoice, pdf: bytes) -> None:
    """Every text of the ticket is extracted, character by character; rows of columns side by side are interleaved."""
    text = bare("".join(run.text for page in runs_of(pdf) for run in page))
    ticket = ticket_of(invoice)
    for words in (ticket.buyer.name, ticket.seller.name, ticket.drawer, ticket.words, f"（小写）{ticket.total}"):
        assert bare(words) in text
    assert bare(ticket.remark) in text or "备注（续）" in text
    wanted: Counter[str] = Counter()
    for one in ticket.lines:
        for value in (one.name, one.spec, one.unit, one.quantity, one.unit_price, one.amount, one.tax):
            wanted.update(bare(value))
    wanted.update(bare(ticket.remark))
    assert not wanted - Counter(text)


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
    assert re.search(rb"pdfaid:part>3<", pdf) and re.search(rb"pdfaid:conformance>A<", pdf)
    assert embedded_original(pdf) == data
    attached = PdfReader(io.BytesIO(pdf)).attachments
    assert attached["26990000000000000001.xml"] == [data]
    page = PdfReader(io.BytesIO(pdf)).pages[0].mediabox
    assert (round(float(page.width) / 72 * 25.4), round(float(page.height) / 72 * 25.4)) == (210, 140)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n\n"])
@pytest.mark.parametrize("lines", [1, 60])
def test_the_original_comes_out_whatever_it_says(lines: int, ending: bytes) -> None:
    """Its remark says what ends a stream, and it ends as an editor may leave it; small ones are not compressed."""
    told = msgspec.structs.replace(with_lines(lines), remark="endstream endobj /EmbeddedFile stream")
    data = file_of(told).rstrip() + ending
    pdf = render(data, "pdf")
    assert embedded_original(pdf) == data
    assert PdfReader(io.BytesIO(pdf)).attachments["26990000000000000001.xml"] == [data]
    assert (data in pdf) == (lines == 1)


def test_the_places_are_those_of_the_form() -> None:
    """einvoice.md §7, measured in the file: page, lines, symbol, title, number, date, items, totals; millimetres."""
    page = PdfReader(io.BytesIO(render(file_of(issued()), "pdf"))).pages[0]
    across, down, symbols, start = set(), set(), [], (0.0, 0.0)
    for operands, operator in ContentStream(page.get_contents(), page.pdf).operations:
        if operator == b"m":
            start = (float(operands[0]), float(operands[1]))
        elif operator == b"l":
            (x1, y1), (x2, y2) = start, (float(operands[0]), float(operands[1]))
            if y1 == y2:
                across.add((round(140 - y1 / MM, 2), round((x2 - x1) / MM, 2)))
            elif x1 == x2:
                down.add((round(x1 / MM, 2), round(140 - y1 / MM), round(140 - y2 / MM)))
        elif operator == b"cm":
            symbols.append([round(float(one) / MM, 4) for one in operands])
    assert across == {(18, 73), (19, 73), *((y, 201) for y in (30, 52, 96, 104, 124))}
    assert down == {
        (4.5, 30, 124), (205.5, 30, 124), *((x, 30, 52) for x in (10.5, 105, 111.2)), (56.5, 96, 104), (10.7, 104, 124)
    }  # fmt: skip
    ((step, _, _, _, left, bottom),) = symbols
    assert [round(one, 2) for one in (left, 140 - bottom, step * 33)] == [6.5, 6, 20]
    runs = {run.text: run for run in runs_of(render(file_of(issued()), "pdf"))[0]}
    tops = {text: 140 - run.bottom / MM - size * 25.4 / 72 for text, run, size in ((t, r, 9) for t, r in runs.items())}
    assert runs["发票号码："].left / MM == pytest.approx(154, abs=0.01)
    assert runs["26420000000000000001"].left / MM == pytest.approx(169.875, abs=0.01)
    assert tops["发票号码："] == pytest.approx(11, abs=0.01) and tops["开票日期："] == pytest.approx(17, abs=0.01)
    title = runs["电子发票（普通发票）"]
    assert (title.left + title.right) / 2 / MM == pytest.approx(102, abs=0.01)
    assert tops["项目名称"] == pytest.approx(52.7, abs=0.01) and tops["54.72"] == pytest.approx(56.4, abs=0.01)
    assert runs["54.72"].right / MM == pytest.approx(128.7 + 25, abs=0.02)
    assert tops["¥54.72"] == pytest.approx(92.2, abs=0.01)


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
    found = [int(number) for number in re.findall(r"第(\d+)号", bare(text_of(pdf)))]
    assert found == list(range(1, count + 1))
    pages = PdfReader(io.BytesIO(pdf)).pages
    with_totals = [number for number, page in enumerate(pages) if "小写" in page.extract_text()]
    assert with_totals == [len(pages) - 1]


@pytest.mark.parametrize(
    ("count", "pages", "height_mm"),
    [
        (1, 1, 140), (8, 1, 140), (9, 1, 144.5), (12, 1, 158), (15, 1, 171.5), (20, 1, 194), (21, 2, 140), (27, 2, 140),
        (28, 3, 140), (40, 3, 140), (47, 3, 140), (48, 4, 140),
    ],
)  # fmt: skip
def test_a_page_grows_and_then_continues(count: int, pages: int, height_mm: float) -> None:
    """Up to twenty rows make one page; more go on, and the totals never stand alone."""
    found = PdfReader(io.BytesIO(render(file_of(with_lines(count)), "pdf"))).pages
    assert len(found) == pages
    assert {round(float(page.mediabox.height) / MM, 1) for page in found} == {height_mm}
    lines = [len(re.findall(r"第\d+号", bare(page.extract_text()))) for page in found]
    assert sum(lines) == count and lines[-1] >= min(count, ROWS_LAST_KEPT)
    numbers = [re.findall(r"共(\d+)页第(\d+)页", bare(page.extract_text())) for page in found]
    assert numbers == ([[]] if pages == 1 else [[(str(pages), str(place))] for place in range(1, pages + 1)])


def test_an_item_of_a_few_rows_is_not_cut_by_the_end_of_a_page() -> None:
    """Three rows each: every page begins with an item, not in the middle of one."""
    long = line(name="特级手工现切秘制麻辣小龙虾套餐（大份）加辣不加葱", spec="甲")
    for page in PdfReader(io.BytesIO(render(file_of(issued(*[long] * 30)), "pdf"))).pages:
        first = bare(page.extract_text()).partition("税率/征收率税额")[2]
        assert re.match(r"\*\w+\*特级", first)


LONG = "武汉江汉路某某某某餐饮管理股份有限公司第一分公司（测试长名称）" * 12
WIDE = "W" * 300
FULL_BANK = (LONG[:300], "0" * 60, LONG[:120], "6" * 100)  # address, phone, bank and account
FULL_SELLER = Seller(LONG[:100], SELLER.taxpayer_id, *FULL_BANK)
FULL_BUYER = Buyer(LONG[7:107], BUYER.taxpayer_id, *FULL_BANK)
BANK = ("武汉市江汉区中山大道八十八号", "027-12345678", "某某银行武汉支行", "4200 1234")
MOST = Decimal("9999999999999.99")
FIGURES = line(
    quantity=Decimal("123456.1234567890"), unit_price=Decimal("10000.1234567"), amount=Decimal("1234576476.05")
)
EXTREMES: dict[str, IssuedInvoice] = {
    "names of three rows": issued(
        seller=Seller(LONG[:60], SELLER.taxpayer_id), buyer=Buyer(LONG[:75], BUYER.taxpayer_id)
    ),
    "names of 100": issued(seller=FULL_SELLER, buyer=FULL_BUYER),
    "no spaces": issued(
        line(name=WIDE[:200], spec=WIDE[:100]),
        buyer=Buyer(WIDE[:100], BUYER.taxpayer_id), drawer=WIDE[:100], remark=WIDE[:200],
    ),
    "long drawer": issued(drawer=LONG[:100]),
    "long item": issued(
        line(name=LONG[:200], spec=LONG[:100], unit=LONG[:50], quantity=Decimal(1), unit_price=LINE.amount)
    ),
    "long items": issued(*[line(name=LONG[:200], spec=LONG[:100])] * 9, buyer=FULL_BUYER),
    "largest amount": issued(line(amount=MOST, quantity=Decimal(1), unit_price=MOST)),
    "long figures": issued(*[FIGURES] * 8),
    "remark": issued(remark=LONG[:200]),
    "bank in the remark": issued(
        kind=InvoiceKind.SPECIAL, print_seller_bank=True, print_buyer_bank=True, remark="桌号8",
        seller=Seller(SELLER.name, SELLER.taxpayer_id, *BANK), buyer=Buyer(BUYER.name, BUYER.taxpayer_id, *BANK),
    ),
    "everything in the remark": issued(
        kind=InvoiceKind.SPECIAL, print_seller_bank=True, print_buyer_bank=True, seller=FULL_SELLER, buyer=FULL_BUYER,
        remark=LONG[:200],
    ),
    "discount and exempt": issued(
        line(kind=LineKind.DISCOUNTED, quantity=Decimal(3), unit_price=Decimal(100), amount=Decimal(300)),
        line(kind=LineKind.DISCOUNT, amount=Decimal("-58.00")),
        line(rate=Decimal(0), zero=ZeroKind.EXEMPT, preference="03"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXTREMES)
def test_however_long_nothing_overlaps_and_nothing_is_lost(name: str) -> None:
    """The longest texts and figures that the rules let pass: by the place of every piece of text."""
    pdf = render(file_of(EXTREMES[name]), "pdf")
    assert_nothing_overlaps(pdf)
    assert_nothing_lost(EXTREMES[name], pdf)


def test_an_overlap_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with a column that is thought wider than it is, the same check fails."""
    monkeypatch.setattr(layout, "NAME_WIDTH", 120.0)
    with pytest.raises(AssertionError):
        assert_nothing_overlaps(render(file_of(EXTREMES["names of 100"]), "pdf"))


def test_a_longer_remark_goes_on_on_a_page_of_its_own() -> None:
    """1,400 characters: what is in the box and what is on the page after it make the whole, in order."""
    invoice = EXTREMES["everything in the remark"]
    assert len(invoice.remark) > 1_300
    pages = PdfReader(io.BytesIO(render(file_of(invoice), "pdf"))).pages
    boxed, further = (bare(page.extract_text()) for page in pages)
    boxed = boxed.partition("备注")[2].partition("开票人：")[0]
    further = further.partition("备注（续）")[2]
    assert boxed + further == bare(invoice.remark)
    assert "备注（续）" not in text_of(render(file_of(EXTREMES["bank in the remark"]), "pdf"))


TEXTS = st.text(st.sampled_from("武汉餐饮（）：，。 WMil1-._/&𠮷한Šк①"), min_size=1, max_size=100).filter(str.strip)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=9), TEXTS, TEXTS, TEXTS, TEXTS)
def test_any_texts_stay_in_their_places(
    items: list[tuple[str, str, str]], buyer: str, seller: str, drawer: str, remark: str
) -> None:
    """Any mixture of wide, narrow, rare and closing characters."""
    invoice = issued(
        *(
            line(name=name, spec=spec.strip(), unit=unit.strip()[:50], quantity=Decimal(1), unit_price=LINE.amount)
            for name, spec, unit in items
        ),
        buyer=Buyer(buyer, BUYER.taxpayer_id),
        seller=Seller(seller, SELLER.taxpayer_id),
        drawer=drawer,
        remark=remark,
    )
    pdf = render(file_of(invoice), "pdf")
    assert_nothing_overlaps(pdf)
    assert_nothing_lost(invoice, pdf)


@given(st.text(st.sampled_from("武汉（），WMi .-1𠮷"), max_size=80), st.floats(2.5, 30))
def test_wrapping_keeps_every_character_and_every_width(text: str, em: float) -> None:
    """Rows joined are the text; only a space may hang over the end of a row."""
    rows = wrapped(text, em)
    assert "".join(rows) == text
    assert all(width_em(row.rstrip(" ")) <= em for row in rows)


def test_wrapping_keeps_words_and_signs_together() -> None:
    """Cut is before a word, not before a closing sign; what is longer than a row is cut where the row ends."""
    assert wrapped("不锈钢 insulated bottle", 9.0) == ["不锈钢 insulated ", "bottle"]
    assert wrapped("武汉某某有限公司（武汉）", 11.0) == ["武汉某某有限公司（武", "汉）"]
    assert wrapped("WWWWWWWWWW", 4.3) == ["WWWW", "WWWW", "WW"]
    assert wrapped("", 5) == [""]
    assert set_in("武" * 40, 81.5, 12.0).size == SIZES[0] and set_in("武" * 400, 81.5, 12.0).size == SIZES[-1]


def test_the_colon_after_a_label_keeps_its_width() -> None:
    """名称： and its value stand a full three characters apart."""
    runs = runs_of(render(file_of(issued()), "pdf"))[0]
    label = next(run for run in runs if run.text == "名称：")
    value = next(run for run in runs if run.text == BUYER.name)
    assert value.left - label.left == pytest.approx(27, abs=0.1) and value.bottom == label.bottom


def test_a_picture_has_every_page_up_to_a_limit() -> None:
    """One page is as it is; three stand below each other; of a hundred the first nine and the last, with the totals."""
    wide, high = round(210 / 25.4 * PNG_PPI), round(140 / 25.4 * PNG_PPI)
    sizes = {}
    for count in (1, 40, 2000):
        picture = Image.open(io.BytesIO(render(file_of(with_lines(count)), "png")))
        sizes[count] = picture.size
        codes = zxingcpp.read_barcodes(picture.crop((0, picture.height - high, wide // 3, picture.height)))
        assert parse(codes[0].text) is not None
    pages = {1: 1, 40: 3, 2000: PNG_PAGES_MAX}
    for count, number in pages.items():
        width, height = sizes[count]
        assert abs(width - wide) <= 1 and abs(height - number * high - (number - 1) * PNG_GAP_PIXELS) <= number


def test_the_printed_code_is_read_from_the_picture() -> None:
    """As small as it is, by a real decoder; also after a grey print."""
    picture = Image.open(io.BytesIO(render(file_of(example()), "png")))
    for version in (picture, picture.convert("L").point(lambda value: 60 + value * 150 // 255)):
        found = parse(zxingcpp.read_barcodes(version)[0].text)
        assert found is not None and found.number == example().number and found.amount == Decimal("58.00")
        assert found.crc_holds


@pytest.mark.parametrize(
    "name",
    [
        "#panic()",
        "$x$ *b* _i_ @ref",
        "`raw` #include",
        "\\u{41} ~ -- //c",
        '") #panic("',
        ")Tj (\\) endstream",
        "䶮龘㼆㵘𣲗䲟鱻㛃喆堃犇",
        "𠮷野家",
    ],
)
def test_text_is_data_and_rare_characters_are_drawn(name: str) -> None:
    """Markup of the typesetter, and what ends a string of it or of a PDF, is printed as typed; rare characters have
    glyphs. In the picture it is not carried out either."""
    invoice = msgspec.structs.replace(example(), buyer=msgspec.structs.replace(example().buyer, name=name))
    assert render(file_of(invoice), "png").startswith(b"\x89PNG")
    assert name.replace(" ", "") in text_of(render(file_of(invoice), "pdf")).replace(" ", "").replace("\n", "")


@pytest.mark.parametrize("kind", ["pdf", "png"])
def test_a_missing_glyph_is_an_error_never_an_empty_box(kind: str) -> None:
    """A character that no font of ours has; the rules refuse it, so only a foreign original can hold it."""
    invoice = msgspec.structs.replace(example(), remark="𪚥")
    with pytest.raises(Refused) as caught:
        render(file_of(invoice), kind)
    assert caught.value.refusals[0].cause == "DOCUMENT-GLYPH-MISSING"
    assert caught.value.refusals[0].values == {"have": "𪚥"}


def test_every_printable_character_has_a_glyph_and_is_no_wider_than_the_table_says(tmp_path: Path) -> None:
    """All 45,000, with the fonts as the form names them, set by the typesetter itself: it fails for a missing glyph."""
    template = Path(pictures.__file__).with_name("invoice.typ").read_text()
    fonts = "".join(re.findall(r"^#let (?:european|serif) = .*\n", template, re.MULTILINE))
    style = re.search(r"^  set text\(.*?\)\n", template, re.MULTILINE | re.DOTALL)
    assert style is not None
    letters = printable.letters()
    assert len(letters) > 45_000
    program = (
        fonts + "#" + style.group().lstrip() + "#let letters = sys.inputs.letters.codepoints()\n"
        "#context [#metadata(letters.map(c => measure(text(size: 1000pt, c)).width / 1pt)) <widths>]\n"
        "#text(size: 3pt, letters.join([ ]))"
    )
    folders = sorted({str(Path(file).parent) for file, _ in font_files()})
    inputs = {"letters": "".join(letters)}
    file = tmp_path / "letters.typ"
    file.write_text(program)
    compiler = typst.Compiler(input=str(file), font_paths=folders, ignore_system_fonts=True, sys_inputs=inputs)
    widths = json.loads(compiler.query("<widths>", field="value", one=True))
    wider = {a for a, width in zip(letters, widths, strict=True) if width > printable.advances().get(a, 1000) + 0.5}
    assert not wider
    assert compiler.compile(format="pdf", pdf_standards=["a-3b"])


def test_the_font_of_the_form_has_all_of_its_words() -> None:
    """Every Chinese character that the template or a title holds; nothing of an invoice is drawn in it."""
    template = re.sub(r"//.*", "", Path(pictures.__file__).with_name("invoice.typ").read_text())
    words = {sign for sign in template + "".join(TITLES.values()) if sign > "\u2fff"} - set(
        "，原件"
    )  # not drawn: descriptions
    font = TTFont(Path(pictures.__file__).parent / "fonts" / "form.ttf")
    assert words <= {chr(code) for code in font.getBestCmap()}
    assert font["name"].getDebugName(1) == "Piaoma Form" and "LXGW" not in font["name"].getDebugName(6)
    assert all("PiaomaForm" not in font for font in _fonts_of(BUYER.name)) and _fonts_of("名称：") == {"PiaomaForm"}


def _fonts_of(text: str) -> set[str]:
    """The fonts in which a text stands on a page."""
    found: set[str] = set()

    def visit(piece: str, at: object, _: object, font: Any, size: float) -> None:
        if piece.strip() == text:
            found.add(str(font["/BaseFont"]).partition("+")[2].partition("-Identity")[0])

    PdfReader(io.BytesIO(render(file_of(issued()), "pdf"))).pages[0].extract_text(visitor_text=visit)
    assert found
    return found


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    """Kill the worker under way: the view comes all the same, and is kept for the next time."""
    import asyncio

    from piaoma.documents.cabinet import Cabinet

    async def story() -> None:
        cabinet = Cabinet(tmp_path)
        first = await cabinet.view(file_of(example()), "pdf")
        other = file_of(with_lines(2))
        for process in cabinet.workers.processes():
            os.kill(process, signal.SIGKILL)
        assert (await cabinet.view(other, "pdf")).startswith(b"%PDF")
        for file in tmp_path.iterdir():
            file.unlink()
        assert await cabinet.view(file_of(example()), "pdf") == first
        await cabinet.close()

    asyncio.run(story())


LIVES_ON = """
import asyncio, sys
from pathlib import Path
from piaoma.documents.cabinet import Cabinet
async def story():
    cabinet = Cabinet(Path(sys.argv[2]))
    await cabinet.view(Path(sys.argv[1]).read_bytes(), "pdf")
    print(*cabinet.workers.processes(), flush=True)
    await asyncio.sleep(60)
if __name__ == "__main__":
    asyncio.run(story())
"""


def test_a_worker_ends_with_its_server(tmp_path: Path) -> None:
    """The server is killed with -9, so nobody tells the worker: it must notice by itself."""
    program, given = tmp_path / "server.py", tmp_path / "a.xml"
    program.write_text(LIVES_ON)
    given.write_bytes(file_of(example()))
    with subprocess.Popen([sys.executable, program, given, tmp_path / "views"], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        worker = Path(f"/proc/{int(server.stdout.readline())}")
        assert worker.exists()
        server.kill()
    deadline = time.monotonic() + WORKER_END_SECONDS_MAX
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(worker)


def is_running(process: Path) -> bool:
    """Whether a process is there and has not ended; one that nobody has waited for stays in the table."""
    try:
        return (process / "stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_bureau_of_the_sandbox_is_not_a_province() -> None:
    """Its code and tag use 99."""
    assert original.SANDBOX_BUREAU.code[1:3] == "99" and original.SANDBOX_BUREAU.tag == "SWEI9900"
