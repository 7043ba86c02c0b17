"""The HTML view: it says all that the ticket says, needs nothing from elsewhere, and can be used without seeing."""

from __future__ import annotations

import base64
import hashlib
import re

import msgspec
import pytest
import zxingcpp
from lxml import etree, html
from PIL import Image

from piaoma.codes.printed import invoice_text
from piaoma.documents.html_view import policy
from piaoma.documents.render import render
from piaoma.documents.ticket import ticket_of
from piaoma.invoice.original_reader import read
from tests.documents.goldens import names, original_of
from tests.documents.test_pdf import bare, with_lines
from tests.invoice.test_original import example, file_of


def page_of(original: bytes) -> html.HtmlElement:
    return html.document_fromstring(render(original, "html").decode())


@pytest.mark.parametrize("name", names())
def test_it_says_what_the_ticket_says(name: str) -> None:
    """Every string of the ticket, line by line in the cells of the table; the same bytes each time."""
    data = original_of(name)
    ticket = ticket_of(read(data))
    assert render(data, "html") == render(data, "html")
    page = page_of(data)
    rows = [[cell.text_content() for cell in row.xpath("td")] for row in page.xpath("//tbody/tr")]
    assert rows == [list(msgspec.structs.astuple(line)) for line in ticket.lines]
    text = bare(page.text_content())
    for value in (
        *(ticket.title, ticket.number, ticket.issued_on, ticket.buyer.name, ticket.buyer.taxpayer_id),
        *(ticket.seller.name, ticket.amount, ticket.tax, ticket.words, ticket.total, ticket.remark, ticket.drawer),
    ):
        assert bare(value) in text


def test_a_long_invoice_is_one_page_with_every_line() -> None:
    """The largest there is."""
    assert len(page_of(file_of(with_lines(2000))).xpath("//tbody/tr")) == 2000


def test_it_needs_nothing_from_elsewhere_and_allows_no_more() -> None:
    """No script, no address, no event, no style but the one whose hash its policy names."""
    page = page_of(original_of("discount"))
    assert not page.xpath("//script|//link|//img|//iframe|//@href|//@src|//@*[starts-with(name(), 'on')]|//@style")
    (style,) = page.xpath("//style")
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    (allowed,) = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert allowed == f"default-src 'none'; style-src 'sha256-{digest}'" and policy().startswith(allowed)
    assert not re.search(r"url\(|@import", style.text)


def test_names_are_text_whatever_they_hold() -> None:
    """Markup in a name is shown as typed."""
    name = "</title><script>alert(1)</script>&amp;\"'{{ 7*7 }}"
    invoice = msgspec.structs.replace(example(), buyer=msgspec.structs.replace(example().buyer, name=name))
    page = page_of(file_of(invoice))
    assert not page.xpath("//script") and page.xpath("//dd[text()=$name]", name=name)


def test_it_can_be_used_without_seeing() -> None:
    """Language, one title, headings, a named table whose cells have roles and headers, the symbol in words; what only
    decorates is hidden."""
    page = page_of(original_of("discount"))
    ticket = ticket_of(read(original_of("discount")))
    assert page.get("lang") == "zh-CN" and page.xpath("string(//title)") == f"{ticket.title} {ticket.number}"
    assert [one.text for one in page.xpath("//h1|//h2")] == [ticket.title, "购买方信息", "销售方信息", "备注"]
    assert page.xpath("//table/@aria-label") == ["项目明细，共 8 行"]
    assert len(page.xpath("//thead//th[@scope='col'][@role='columnheader']")) == 8
    # A phone shows rows as blocks, which would take the table's meaning away without these.
    assert not page.xpath("//tr[not(@role='row')]|//td[not(@role='cell')]")
    assert page.xpath("//*[@role='img']/@aria-label") == [f"二维码：{ticket.number}，{ticket.total}"]
    assert page.xpath("//*[@aria-hidden='true']/text()") == [ticket.mark]


def test_the_symbol_can_be_scanned() -> None:
    """Drawn from its path, by a real decoder."""
    data = original_of("one-line")
    (symbol,) = page_of(data).xpath("//*[local-name()='svg']")
    path = etree.tostring(symbol).decode()
    picture = Image.new("L", (41 * 6, 41 * 6), 255)
    for x, y, run in re.findall(r"M(\d+) (\d+)h(\d+)v1H\d+z", path):
        left, top = (int(x) + 4) * 6, (int(y) + 4) * 6
        picture.paste(0, (left, top, left + int(run) * 6, top + 6))
    assert zxingcpp.read_barcodes(picture)[0].text == invoice_text(read(data))


def test_the_mark_of_the_sandbox_follows_the_number() -> None:
    """A real number has none."""
    real = msgspec.structs.replace(example(), number="26420000000000000001")
    assert "沙盒" in render(file_of(example()), "html").decode()
    assert "沙盒" not in render(file_of(real), "html").decode()
