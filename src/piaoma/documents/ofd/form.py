"""The form of a 数电票 in OFD: frame and labels for the template of a page, values for the page (einvoice.md §7).

The places are those of ``invoice.typ``; rows and sizes come from ``layout``. Values are noted under the names that
CustomTags give them, so that accounting programs find them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from piaoma.codes.symbol import Symbol
from piaoma.documents.layout import (
    COLUMNS,
    DRAWER_WIDTH,
    NAME_WIDTH,
    REMARK_WIDTH,
    ROW_STEP,
    WORDS_WIDTH,
    Cell,
    Page,
    Parties,
    Row,
    Sums,
)
from piaoma.documents.ticket import MM_PER_POINT, SIZES, Block, Ticket

from .drawing import ASCENT, KAI, MONO, RED, SLATE, SONG, Ids, Layer
from .fonts import Subset

STAMP = (86.0, 20.1, 38.0, 9.0)  # x y width height of the sandbox's mark
SEAL = (44.0, 20.1, 38.0, 9.0)  # of the seal's own picture, beside it: some readers draw both, some only one of them
STAMP_TEXT = "沙盒样票·测试无效"
SAMPLE_NOTE = "本票为沙盒测试样票，不是发票，不得报销入账。SANDBOX SAMPLE, NOT AN INVOICE."

_HEADS = ("项目名称", "规格型号", "单 位", "数 量", "单 价", "金 额", "税率/征收率", "税 额")
_SIDES = ("left", "left", "center", "right", "right", "right", "center", "right")
LINE_TAGS = ("Item", "Specification", "MeasurementDimension", "Quantity", "Price", "Amount", "TaxScheme", "TaxAmount")


class Tag(msgspec.Struct, frozen=True):
    """A value's name, the line of the invoice it belongs to (-1: none), and the objects that show it."""

    name: str
    line: int
    objects: tuple[int, ...]


# A text of the form: x y text size font colour align width, as ``Layer.text`` takes them.
Label = tuple[float, float, str, float, int, str, str, float]
Rule = tuple[float, float, float, float]


class Form(msgspec.Struct, frozen=True):
    """What invoices whose values take the same room have in common on a page: labels and rules."""

    labels: tuple[Label, ...]
    rules: tuple[Rule, ...]

    def drawn(self, ids: Ids, subsets: Mapping[int, Subset] | None = None) -> str:
        """Its objects."""
        layer = Layer(ids, subsets=subsets)
        for x, y, text, size, font, colour, align, width in self.labels:
            layer.text(x, y, text, size, font, colour=colour, align=align, width=width)
        layer.lines(self.rules)
        return layer.xml


class PageForm:
    """One page: ``form`` is what many invoices have, ``values`` is drawn and says what is this one's."""

    def __init__(
        self, ids: Ids, ticket: Ticket, symbol: Symbol, page: Page, subsets: Mapping[int, Subset] | None = None
    ) -> None:
        self.values = Layer(ids, subsets=subsets)
        self.tags: list[Tag] = []
        self._labels: list[Label] = []
        self._page = page
        self._rules = [(65.5, 18.0, 138.5, 18.0), (65.5, 19.0, 138.5, 19.0)]
        self._head(ticket, symbol)
        if page.parties is not None:
            self._parties(page.parties)
        if page.rows is not None and page.lines is not None:
            self._items(page.top, page.rows, page.lines)
        if page.totals is not None:
            self._totals(page.totals)
        if page.remark is not None:
            self._label(12.2, 32, "备注（续）")
            self._rows("Note", 12.2, 37 - _drop(page.remark.size), page.remark, REMARK_WIDTH)
        if page.foot:
            self.values.text(5.5, page.height - 11, page.foot, 8, KAI, colour=RED, align="right", width=199)
        if ticket.mark:
            # The mark itself is an annotation; the note stands on the page, for readers that show none.
            self._labels.append((4.5, page.height - 5, SAMPLE_NOTE, 8, SONG, SLATE, "center", 201))
        self._frame()
        self.form = Form(tuple(self._labels), tuple(self._rules))

    def _label(self, x: float, y: float, text: str, size: float = 9.0, align: str = "left", width: float = 0) -> None:
        self._labels.append((x, y, text, size, KAI, RED, align, width))

    def _upright(self, x: float, middle: float, text: str) -> None:
        for place, sign in enumerate(text):
            self._label(x, middle + (place - len(text) / 2) * 3.3, sign, 8.5)

    def _value(self, tag: str, x: float, y: float, text: str, size: float = 9.0, *, font: int = SONG,
               align: str = "left", width: float = 0.0, room: float = 0.0, line: int = -1) -> None:  # fmt: skip
        found = self.values.text(x, y + _drop(size), text, size, font, align=align, width=width, room=room)
        if tag and found:
            self.tags.append(Tag(tag, line, tuple(found)))

    def _rows(self, tag: str, x: float, y: float, block: Block, room: float, label: str = "") -> None:
        """Rows below each other. A label stands in front of the first; the others begin where its value does."""
        indent = len(label) * SIZES[0] * MM_PER_POINT
        if label:
            self._label(x, y, label)
        for place, row in enumerate(block.rows):
            self._value(tag, x + indent, y + place * block.pitch, row, block.size, room=room)

    def _money(self, tag: str, x: float, y: float, cell: Cell, width: float) -> None:
        """The ¥ sign and the figure are two objects, as in real files."""
        text, size = (cell, SIZES[0]) if isinstance(cell, str) else cell
        if not text.startswith("¥"):
            self._value(tag, x, y, text, size, align="right", width=width)
            return
        wide = (len(text) - 1) * 0.5 * size * MM_PER_POINT
        sign = 0.5 * size * MM_PER_POINT
        self._value(tag, x + width - wide - sign, y, "¥", size)
        self._value(tag, x + width - wide, y, text[1:], size)

    def _head(self, ticket: Ticket, symbol: Symbol) -> None:
        self.values.squares(6.5, 6, 20, symbol.modules)
        self._label(0, 8.6, ticket.title, 20, "center", 204)
        self._label(154, 11, "发票号码：")
        self._label(154, 17, "开票日期：")
        value = 154 + 5 * SIZES[0] * MM_PER_POINT
        first = self._page.parties is not None  # further pages repeat them; they are one value all the same
        self._value("InvoiceNo" if first else "", value, 11, ticket.number)
        self._value("IssueDate" if first else "", value, 17, ticket.issued_on)
        if self._page.number:
            self.values.text(154, 23, self._page.number, 8, KAI, colour=RED)

    def _parties(self, parties: Parties) -> None:
        end = 52 + parties.lower
        self._rules += [(x, 30, x, end) for x in (10.5, 105, 111.2)] + [(4.5, end, 205.5, end)]
        for x, title, side, place in ((4.5, "购买方信息", "Buyer", 0), (105.0, "销售方信息", "Seller", 1)):
            name = parties.names[place]
            self._upright(x + (1.6 if place else 1.5), (30 + end) / 2, title)
            top = min(33.5, 43.3 + parties.lower - len(name.rows) * name.pitch)
            self._rows(f"{side}/{side}Name", x + 8, top, name, NAME_WIDTH, "名称：")
            label = "统一社会信用代码/纳税人识别号："
            self._label(x + 8, end - 7.6, label)
            where = x + 8 + (len(label) - 0.5) * SIZES[0] * MM_PER_POINT
            self._value(f"{side}/{side}TaxID", where, end - 7.6, parties.ids[place], 8.5, font=MONO)

    def _items(self, y: float, rows: Sequence[Row], lines: Sequence[int]) -> None:
        for (x, width), title, side in zip(COLUMNS, _HEADS, _SIDES, strict=True):
            self._label(x, y + 0.7, title, 9, side, width)
        for place, (row, line) in enumerate(zip(rows, lines, strict=True)):
            top = y + 4.4 + ROW_STEP * place
            for tag, (x, width), cell, side in zip(LINE_TAGS, COLUMNS, row, _SIDES, strict=True):
                text, size = (cell, SIZES[0]) if isinstance(cell, str) else cell
                self._value(tag, x, top, text, size, align=side, width=width, line=line)

    def _totals(self, sums: Sums) -> None:
        ruled, summed, end = 96 + sums.down, 104 + sums.down, 124 + sums.down
        self._rules += [
            (4.5, ruled, 205.5, ruled), (56.5, ruled, 56.5, summed), (4.5, summed, 205.5, summed),
            (10.7, summed, 10.7, end),
        ]  # fmt: skip
        self._label(5.7, ruled - 3.8, "合    计", align="center", width=36)
        self._money("TaxExclusiveTotalAmount", COLUMNS[5][0], ruled - 3.8, sums.amount, COLUMNS[5][1])
        self._money("TaxTotalAmount", COLUMNS[7][0], ruled - 3.8, sums.tax, COLUMNS[7][1])
        self._label(5.7, ruled + 2.4, "价税合计（大写）", align="center", width=50)
        words = sums.words
        height = (len(words.rows) - 1) * words.pitch + words.size * MM_PER_POINT
        self._rows("TotalInWords", 60, ruled + 4 - height / 2 - _drop(words.size), words, WORDS_WIDTH)
        self._label(149, ruled + 2.4, "（小写）")
        width = len(sums.total) * 0.5 * SIZES[0] * MM_PER_POINT
        self._money("TaxInclusiveTotalAmount", 149 + 4 * SIZES[0] * MM_PER_POINT, ruled + 2.4, sums.total, width)
        self._upright(6.1, (summed + end) / 2, "备注")
        self._rows("Note", 12.2, summed + 0.7 - _drop(sums.remark.size), sums.remark, REMARK_WIDTH)
        below = 1.6 if len(sums.drawer.rows) > 1 else 5.2
        self._rows("InvoiceClerk", 20, end + below, sums.drawer, DRAWER_WIDTH, "开票人：")

    def _frame(self) -> None:
        height = self._page.height
        end = height - (16 if self._page.totals is not None else 12)
        self._rules += [(4.5, 30, 205.5, 30), (4.5, end, 205.5, end), (4.5, 30, 4.5, end), (205.5, 30, 205.5, end)]


def sample_marks(ids: Ids, mark: str, height: float, subsets: Mapping[int, Subset] | None = None) -> tuple[str, str]:
    """The sandbox's stamp and its watermark on a page of that height."""
    stamp, watermark = (Layer(ids, plain=True, subsets=subsets) for _ in range(2))
    x, y, width, high = STAMP
    corners = [(x, y), (x + width, y), (x + width, y + high), (x, y + high), (x, y)]
    stamp.lines([(*one, *other) for one, other in pairwise(corners)], SLATE, 0.5, "1.5 1")
    stamp.text(x, y + 2.9, STAMP_TEXT, 9, colour=SLATE, align="center", width=width)
    # Some readers draw it black and solid: it ends before the column of amounts.
    watermark.slanted(52, height / 2 + 24, mark, 34, 16, SLATE, 36)
    return stamp.xml, watermark.xml


def _drop(size: float) -> float:
    """From the top of 9 pt to that of a smaller size on the same base line."""
    return (SIZES[0] - size) * MM_PER_POINT * ASCENT
