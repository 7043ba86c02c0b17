"""Invoices that the formats are tried on: four whole ones kept as files, and any number of generated ones.

``python -m tests.documents.formats.examples`` writes the files of ``golden/`` anew: look at what changed.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
from hypothesis import strategies as st

from piaoma.documents.formats import FORMATS, file_name
from piaoma.invoice import original, red, totals
from piaoma.invoice.classification import load
from piaoma.invoice.draft import Difference, DifferenceMode, Draft, InvoiceKind, Line, LineKind, Pricing, ZeroKind
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.lines import complete
from piaoma.invoice.parties import Buyer, Seller, TaxpayerKind
from piaoma.invoice.red_form import RedReason
from piaoma.invoice.refusal import Refused
from tests.invoice.test_original import AT, file_of

GOLDEN = Path(__file__).parent / "golden"
MEAL, SOFTWARE = "3070401000000000000", "3040201010000000000"
SELLER = Seller(
    "武汉测试餐饮有限公司", "91420100MA4K00000Q", "武汉市测试路 1 号", "027-00000000", "测试银行", "6200000000000000",
    TaxpayerKind.GENERAL,
)  # fmt: skip
COMPANY = Buyer("武汉某某科技有限公司", "91110108690017781B", phone="010-00000000")
PERSON = Buyer("个人", natural_person=True)


def issued(draft: Draft, number: str = "26990000000000000001") -> IssuedInvoice:
    """The invoice of a draft; figures that disagree raise, as they do in the shop."""
    priced, sums = totals.price(draft, AT.date(), load())
    return totals.invoice_of(draft, priced, sums, number, AT, original.SANDBOX_BUREAU)


def line(amount: str, rate: str = "0.06", **more: object) -> Line:
    return msgspec.structs.replace(Line("餐费", MEAL, Decimal(rate), Decimal(amount)), **more)


def draft_of(*lines: Line, **more: object) -> Draft:
    draft = Draft(InvoiceKind.GENERAL, SELLER, COMPANY, lines, pricing=Pricing.EXCLUSIVE, drawer="张某")
    return msgspec.structs.replace(draft, **more)


def reversed_of(blue: IssuedInvoice) -> IssuedInvoice:
    """The red invoice that takes all of a blue one back."""
    wanted = red.RedDraft(blue, RedReason.RETURNED, red.whole(blue), "42019900000000000001", "李某")
    return red.red_invoice_of(wanted, "26990000000000000002", AT, blue.bureau)


def kept() -> dict[str, IssuedInvoice]:
    """The invoices of ``golden/`` by name."""
    dinner = draft_of(
        line(
            "300.00", quantity=Decimal(3), unit_price=Decimal(100), unit="份", spec="六人桌", kind=LineKind.DISCOUNTED
        ),
        line("-30.00", kind=LineKind.DISCOUNT),
        line("12.50", "0.13", name="茶叶 <明前> & 特级", quantity=Decimal("0.25"), unit_price=Decimal(50), unit="千克"),
        line("88.00", "0", zero=ZeroKind.EXEMPT, preference="03", name="蔬菜"),
        remark="包间 8 号",
    )
    travel = draft_of(
        line("1000.00", name="旅游服务"), pricing=Pricing.INCLUSIVE,
        difference=Difference(DifferenceMode.DIFFERENCE, Decimal("600.00")),
    )  # fmt: skip
    return {
        "dinner": issued(dinner),
        "person": issued(draft_of(line("58.00"), buyer=PERSON, pricing=Pricing.INCLUSIVE)),
        "difference": issued(travel),
        "red": reversed_of(issued(dinner)),
    }


def golden_files(name: str, invoice: IssuedInvoice) -> dict[Path, bytes]:
    """The original of an invoice and every format that there is of it."""
    data = file_of(invoice)
    files = {GOLDEN / f"{name}.xml": data}
    for kind, write in FORMATS.items():
        try:
            files[GOLDEN / file_name(name, kind).replace("-电子发票", "")] = write(data)
        except Refused:
            assert (name, kind) == ("person", "xbrl"), "only a person has no books"
    return files


# ── generated ─────────────────────────────────────────────────────────────────────────────────────────────────────

HOSTILE = ["<script>alert(1)</script>", "]]>", "&amp;", "<!--", "😀", "\u202e", "𠮷", "a\nb", "\t", "'\"", "<?x ?>"]
NOT_XML = "\ufffe\uffff"
TEXT = st.lists(
    st.one_of(
        st.sampled_from(HOSTILE),
        st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters=NOT_XML), max_size=8),
    ),
    max_size=3,
).map("".join)
NAME = TEXT.map(lambda text: text if text.strip() else "餐费")
FEN = st.integers(min_value=1, max_value=10**7).map(lambda fen: Decimal(fen).scaleb(-2))
TAXED = st.sampled_from(["0.13", "0.09", "0.06", "0.05", "0.03", "0.015", "0.01"]).map(Decimal)
UNITS = st.one_of(st.sampled_from(["个", "份", "千克", "KG", "间夜", "瓶", ""]), TEXT)


@st.composite
def _rows(draw: st.DrawFn, zero: ZeroKind) -> list[Line]:
    """An item with or without quantity, with or without its discount."""
    rate = draw(TAXED) if zero is ZeroKind.NOT_ZERO else Decimal(0)
    quantity = draw(st.one_of(st.none(), st.integers(1, 10**6).map(lambda count: Decimal(count).scaleb(-2))))
    amount, quantity, price = complete(draw(FEN), quantity, None)
    assert amount is not None
    item = Line(
        draw(NAME), draw(st.sampled_from([MEAL, SOFTWARE])), rate, amount, quantity, price,
        draw(UNITS), draw(TEXT), preference=draw(st.sampled_from(["", "01"])), zero=zero,
    )  # fmt: skip
    if not draw(st.booleans()):
        return [item]
    off = Decimal(draw(st.integers(1, int(amount.scaleb(2))))).scaleb(-2)
    discount = msgspec.structs.replace(
        item, amount=-off, kind=LineKind.DISCOUNT, quantity=None, unit_price=None, unit="", spec=""
    )
    return [msgspec.structs.replace(item, kind=LineKind.DISCOUNTED), discount]


@st.composite
def invoices(draw: st.DrawFn) -> IssuedInvoice:
    """Any invoice, blue or red; texts are more hostile than the rules of a draft let pass."""
    if draw(st.booleans()):
        zeros = st.sampled_from([ZeroKind.NOT_ZERO, ZeroKind.NOT_ZERO, ZeroKind.EXEMPT, ZeroKind.ORDINARY])
    else:
        zeros = st.just(draw(st.sampled_from([ZeroKind.NOT_ZERO, ZeroKind.UNTAXED])))
    rows = [row for _ in range(draw(st.integers(1, 4))) for row in draw(_rows(draw(zeros)))]
    difference = None
    if len(rows) == 1 and rows[0].rate and draw(st.booleans()):
        deduction = Decimal(draw(st.integers(1, int(rows[0].amount.scaleb(2))))).scaleb(-2)
        difference = Difference(draw(st.sampled_from(DifferenceMode)), deduction)
    number = draw(st.sampled_from(["91110108690017781B", "", "420100199001010000"]))
    blue = issued(
        Draft(
            draw(st.sampled_from(InvoiceKind)),
            Seller(draw(NAME), SELLER.taxpayer_id, draw(TEXT), draw(TEXT), draw(TEXT), draw(TEXT),
                   draw(st.sampled_from(TaxpayerKind))),
            Buyer(draw(NAME), number, draw(TEXT), draw(TEXT), natural_person=not number.startswith("9")),
            tuple(rows),
            pricing=draw(st.sampled_from(Pricing)),
            drawer=draw(TEXT),
            remark=draw(TEXT),
            difference=difference,
        )
    )  # fmt: skip
    return reversed_of(blue) if draw(st.booleans()) and blue.totals.inclusive else blue


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for example, kept_invoice in kept().items():
        for path, content in golden_files(example, kept_invoice).items():
            path.write_bytes(content)
