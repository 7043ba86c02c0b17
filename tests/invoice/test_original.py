"""The original: what is written is read again, whatever it says; what is hostile is refused."""

from __future__ import annotations

import contextlib
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piaoma.invoice import original, totals
from piaoma.invoice.classification import Entry, load
from piaoma.invoice.classification_import import SHORT_NAME_CHARS_MAX
from piaoma.invoice.draft import Draft, InvoiceKind, Line, LineKind, Pricing, ZeroKind
from piaoma.invoice.inspect import inspect
from piaoma.invoice.issued import IssuedInvoice, RedReference
from piaoma.invoice.money import round_fen
from piaoma.invoice.original_reader import BYTES_MAX, NODES_MAX, is_canonical, read
from piaoma.invoice.parties import Buyer, Seller
from piaoma.invoice.refusal import Refused, causes
from piaoma.invoice.rules import check
from piaoma.invoice.rules.whole import LINES_MAX

AT = datetime(2026, 11, 24, 12, 31, 5, tzinfo=ZoneInfo("Asia/Shanghai"))
TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from("&'\"]龘䶮𠮷㼆 （）aZ09"), st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5)
    ),
    max_size=20,
).map(str.strip)
NAME = TEXT.filter(bool)
FEN = st.integers(min_value=1, max_value=10**9)


@st.composite
def invoices(draw: st.DrawFn) -> IssuedInvoice:
    """Any invoice that the rules let pass."""
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        line = Line(draw(NAME), "3070401000000000000", Decimal("0.06"), Decimal(draw(FEN)).scaleb(-2), spec=draw(TEXT))
        if draw(st.booleans()):
            off = Decimal(draw(st.integers(1, int(line.amount.scaleb(2))))).scaleb(-2)
            lines += [
                msgspec.structs.replace(line, kind=LineKind.DISCOUNTED),
                msgspec.structs.replace(line, kind=LineKind.DISCOUNT, amount=-off, spec=""),
            ]
        else:
            lines.append(line)
    draft = Draft(
        kind=draw(st.sampled_from(InvoiceKind)),
        seller=Seller(draw(NAME), "91420100MA4K00000Q", address=draw(TEXT), bank=draw(TEXT)),
        buyer=Buyer(draw(NAME), "91110108690017781B", phone=draw(TEXT)),
        lines=(*lines, Line("茶水", "3070401000000000000", Decimal("0.06"), Decimal("1.00"))),
        pricing=draw(st.sampled_from(Pricing)),
        drawer=draw(NAME),
        remark=draw(TEXT),
        print_seller_bank=draw(st.booleans()),
    )
    assert check(draft, AT.date(), load()) == []
    priced, sums = totals.price(draft, AT.date(), load())
    return totals.invoice_of(draft, priced, sums, "26990000000000000001", AT, original.SANDBOX_BUREAU)


@settings(max_examples=150)
@given(invoices())
def test_what_is_written_is_read_again(invoice: IssuedInvoice) -> None:
    """read(write(x)) = x; the file is canonical; its figures agree; what was signed can be cut out again."""
    composed = original.compose(invoice)
    written = original.assemble(composed, b"\x30\x01\x02", [b"certificate"])
    found = read(written)
    assert msgspec.structs.replace(found, signature=None) == invoice
    assert is_canonical(written)
    assert original.signed_bytes(written) == composed
    assert inspect(found) == []


def example() -> IssuedInvoice:
    draft = Draft(
        InvoiceKind.GENERAL, Seller("武汉测试餐饮有限公司", "91420100MA4K00000Q"),
        Buyer("武汉某某科技有限公司", "91110108690017781B"),
        (Line("餐费", "3070401000000000000", Decimal("0.06"), Decimal("58.00")),), drawer="张某",
    )  # fmt: skip
    priced, sums = totals.price(draft, AT.date(), load())
    return totals.invoice_of(draft, priced, sums, "26990000000000000001", AT, original.SANDBOX_BUREAU)


def file_of(invoice: IssuedInvoice) -> bytes:
    return original.assemble(original.compose(invoice), b"\x30\x01\x02", [b"certificate"])


def test_the_example_has_the_figures_of_the_rule() -> None:
    """58.00 with 6 % inside: 54.72 and 3.28."""
    invoice = example()
    assert (invoice.totals.amount, invoice.totals.tax, invoice.totals.words) == (
        Decimal("54.72"), Decimal("3.28"), "伍拾捌圆整",
    )  # fmt: skip


def test_a_red_invoice_is_read_again() -> None:
    """Negative amounts, the reference to the blue one, words with （负数）."""
    invoice = example()
    line = invoice.lines[0]
    red_line = msgspec.structs.replace(line, amount=-line.amount, tax=-line.tax, inclusive=-line.inclusive)
    red = msgspec.structs.replace(
        invoice, lines=(red_line,), totals=totals.totals_of([red_line]), red=RedReference("26990000000000000001", "R1")
    )
    assert red.totals.words == "（负数）伍拾捌圆整"
    assert msgspec.structs.replace(read(file_of(red)), signature=None) == red


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<TaxRate>0.06</TaxRate>", b"<TaxRate>0.060000</TaxRate>"),
        (b"<TaxRate>0.06</TaxRate>", b"<TaxRate>6%</TaxRate>"),
        (b"<ComTaxAm>3.28</ComTaxAm>", b"<ComTaxAm>3.280000</ComTaxAm>"),
        (b"<RequestTime>2026-11-24 12:31:05<", b"<RequestTime>2026-11-24<"),
        (b"<IssueTime>2026-11-24<", b"<IssueTime>2026-11-24 12:31:05<"),
        (b"<SpecMod></SpecMod>", b""),
        (b"<BuyerAddr></BuyerAddr>", b"<BuyerAddr/>"),
        (b"<SellerAuthentication>", b"<!-- a comment --><SellerAuthentication>"),
    ],
)
def test_what_real_files_do_is_tolerated(old: bytes, new: bytes) -> None:
    """Every trap of einvoice.md §1 is read, and none of them counts as our own canonical file."""
    data = file_of(example()).replace(old, new)
    found = read(data)
    assert (found.number, found.totals, found.lines[0].rate) == (
        "26990000000000000001", example().totals, Decimal("0.06"),
    )  # fmt: skip
    assert not is_canonical(data)


@pytest.mark.parametrize(
    ("said", "zero"),
    [("免税", ZeroKind.EXEMPT), ("***", ZeroKind.EXEMPT), ("不征税", ZeroKind.UNTAXED), ("0.13", ZeroKind.NOT_ZERO)],
)
def test_what_the_rate_says_in_words_is_kept(said: str, zero: ZeroKind) -> None:
    """Other issuers' files carry no mark of ours beside the words."""
    data = file_of(example()).replace(b"<TaxRate>0.06</TaxRate>", f"<TaxRate>{said}</TaxRate>".encode())
    assert read(data).lines[0].zero is zero


def test_a_byte_order_mark_in_front_changes_nothing() -> None:
    """Editors add one when they save: the file is read, is canonical and holds the same signed bytes.

    The controls: two of them, or one elsewhere, or one before an altered file.
    """
    data = file_of(example())
    marked = original.BOM + data
    assert (read(marked), original.signed_bytes(marked)) == (read(data), original.signed_bytes(data))
    assert is_canonical(marked)
    elsewhere = data.replace(b"<EInvoice>", b"<EInvoice>" + original.BOM, 1)
    altered = marked.replace(b"<TaxRate>0.06<", b"<TaxRate>0.060<")
    for other in (original.BOM + marked, elsewhere, altered, data + original.BOM):
        assert not is_canonical(other)
    assert original.signed_bytes(elsewhere) != original.signed_bytes(data)
    with pytest.raises(Refused):
        original.signed_bytes(original.BOM + marked)


class LongNames:
    """A catalogue whose short names are as long as an import lets them be."""

    def lookup(self, code: str, on: date) -> Entry | None:
        return Entry(code, "长", "&" * SHORT_NAME_CHARS_MAX, (), leaf=True)


def test_the_largest_original_that_can_be_issued_is_read() -> None:
    """2,000 lines, every field at its longest, every character the one that takes most bytes: ``&amp;``."""
    text: dict[str, Any] = {
        "name": "&" * 100,
        "address": "&" * 300,
        "phone": "&" * 60,
        "bank": "&" * 120,
        "account": "&" * 100,
    }
    line = Line(
        "&" * 200, "3070401000000000000", Decimal("0"), Decimal("123456789.15"), Decimal("123.4567890123456"),
        Decimal("1000000.00729"), "&" * 50, "&" * 100, preference="05", zero=ZeroKind.ORDINARY,
    )  # fmt: skip
    assert line.unit_price is not None and line.quantity is not None
    line = msgspec.structs.replace(line, amount=round_fen(line.unit_price * line.quantity))
    draft = Draft(
        InvoiceKind.GENERAL, Seller(**text, taxpayer_id="91420100MA4K00000Q"),
        Buyer(**text, taxpayer_id="91110108690017781B"), (line,) * LINES_MAX, drawer="&" * 100, remark="&" * 200,
        print_buyer_bank=True, print_seller_bank=True,
    )  # fmt: skip
    assert check(draft, AT.date(), LongNames()) == []
    priced, sums = totals.price(draft, AT.date(), LongNames())
    invoice = totals.invoice_of(draft, priced, sums, "26990000000000000001", AT, original.SANDBOX_BUREAU)
    data = original.assemble(original.compose(invoice), b"s" * 72, [b"c" * 6_000] * 5)
    assert 5 * 1024 * 1024 < len(data) < 7 * 1024 * 1024 < BYTES_MAX
    assert data.count(b"</") < 25_000 < NODES_MAX
    found = read(data)
    assert msgspec.structs.replace(found, signature=None) == invoice
    assert inspect(found) == []


def test_the_order_of_elements_does_not_matter() -> None:
    """Files differ in the order inside BuyerInformation and BasicInformation."""
    data = file_of(example())
    name, number = b"<BuyerName>\xe6\xad\xa6", b"<BuyerIdNum>91110108690017781B</BuyerIdNum>"
    moved = data.replace(number, b"").replace(b"</BuyerInformation>", number + b"</BuyerInformation>")
    assert name in moved
    assert read(moved).buyer == example().buyer


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "ORIGINAL-NOT-XML"), (b"not xml", "ORIGINAL-NOT-XML"), (b"<EInvoice>", "ORIGINAL-NOT-XML"),
        (b"x" * (BYTES_MAX + 1), "ORIGINAL-TOO-LARGE"), (BOMB + b"<EInvoice>&b;</EInvoice>", "ORIGINAL-DTD"),
        (b"<a/>", "ORIGINAL-ROOT"), (b"<EInvoice/>", "ORIGINAL-ELEMENT-MISSING"),
        (b"<EInvoice>" + b"<a>" * 70 + b"</a>" * 70 + b"</EInvoice>", "ORIGINAL-TOO-DEEP"),
        (b"<EInvoice>" + b"<a/>" * 200_001 + b"</EInvoice>", "ORIGINAL-TOO-DEEP"),
        (file_of(example()).replace(b"54.72", b"NaN"), "ORIGINAL-FIGURE"),
        (file_of(example()).replace(b"54.72", b"1E999999"), "ORIGINAL-FIGURE"),
        (file_of(example()).replace(b"2026-11-24 12", b"2026-13-24 12"), "ORIGINAL-TIME"),
        (file_of(example()).replace(b"<Drawer>", b"<RequestTime>2026-01-01</RequestTime><Drawer>"),
         "ORIGINAL-ELEMENT-TWICE"),
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_with_its_cause(data: bytes, cause: str) -> None:
    """Bombs, depth, size, entities, figures: refused, never an exception of another kind."""
    with pytest.raises(Refused) as caught:
        read(data)
    assert caught.value.refusals[0].cause == cause


@settings(max_examples=200)
@given(st.binary(max_size=300), st.integers(0, 4000))
def test_garbage_never_surprises(garbage: bytes, place: int) -> None:
    """Random bytes inside a file give a reading or a refusal."""
    data = file_of(example())
    with contextlib.suppress(Refused):
        read(data[:place] + garbage + data[place:])


def test_every_cause_has_all_its_texts() -> None:
    """Chinese and English, what and remedy, none empty; the figures in braces are the same in both."""
    import re

    for code, cause in causes().items():
        assert re.fullmatch(r"[A-Z]+(-[A-Z]+)+", code)
        assert cause.zh and cause.en and cause.remedy_zh and cause.remedy_en
        names = [set(re.findall(r"{(\w+)}", text)) for text in (cause.zh, cause.en)]
        assert names[0] == names[1], code
