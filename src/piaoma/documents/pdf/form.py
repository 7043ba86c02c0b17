"""The form of a 数电票 in PDF: what stands where on a page, in the order in which it is read aloud.

Rows and sizes come from ``layout``; the places are those of einvoice.md §7, in millimetres. What is an artifact (frame,
lines, the head of a further page, the watermark) is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from piaoma.codes.symbol import Symbol
from piaoma.documents.layout import COLUMNS, HEADS, ROW_STEP, SIDES, Cell, Page, Parties, Row, Sums
from piaoma.documents.ticket import MM_PER_POINT, SAMPLE_NOTE, SIZES, Block, Ticket

from .canvas import ASCENT, POINTS, SLATE, WATERY, Canvas, Line
from .fonts import Subset
from .objects import text as text_string
from .tags import Element, Tags

STAMP_TEXT = "沙盒样票 · 测试无效"
_BASE = ASCENT * SIZES[0] * MM_PER_POINT  # of the base line of 9 pt below the top of a row; smaller sizes share it
ID_SIZE = 10.0  # its digits are half as wide as they are high
_SYMBOL = (6.5, 6.0, 20.0)  # left, top, side


def draw(
    page: Page, ticket: Ticket, symbol: Symbol, subset: Subset, tags: Tags, place: int, number: int
) -> bytes:  # fmt: skip
    """The content of the page at ``place``, which is the object ``number``."""
    form = _Form(Canvas(page.height, subset), tags, page.height, f"p{place}")
    tags.begin_page(number)
    if ticket.mark:
        form.watermark(ticket.mark)
    form.frame(page)
    form.head(ticket, symbol, page.number, again=place > 0)
    if page.parties is not None:
        form.parties(page.parties)
    if page.rows is not None and page.lines is not None:
        form.items(page.top, page.rows, page.lines, page.totals)
    if page.totals is not None:
        form.totals(page.totals)
    if page.remark is not None:
        form.further(page.remark)
    form.foot(page.foot, sample=bool(ticket.mark))
    return form.canvas.content


class _Form:
    def __init__(self, canvas: Canvas, tags: Tags, height: float, name: str) -> None:
        self.canvas, self._tags, self._height, self._name = canvas, tags, height, name
        self._silent = False  # within an artifact

    def _begin(self, tag: str, entries: str = "") -> None:
        """Begin a part of the document; ``canvas.end`` ends it."""
        if not self._silent:
            self._mark(self._tags.add(tag, None, entries))

    def _mark(self, element: Element) -> None:
        self.canvas.begin(element.tag, self._tags.mark(element))

    def _end(self) -> None:
        if not self._silent:
            self.canvas.end()

    def _words(self, tag: str, x: float, y: float, text: str, size: float = 9.0, **more: str | float) -> None:
        """Words of the form that are a part of their own."""
        self._begin(tag)
        self.canvas.words(x, y, text, size, **more)  # type: ignore[arg-type]
        self._end()

    def _labelled(self, x: float, y: float, label: str, value: str, size: float = 9.0, *, mono: bool = False) -> None:
        """A label and its value."""
        self._begin("P")
        self.canvas.value(self.canvas.words(x, y, label), y + _BASE, value, size, mono=mono)
        self._end()

    def _rows(self, x: float, y: float, block: Block, label: str = "") -> None:
        """Rows below each other. A label stands in front of the first; the others begin where its value does."""
        if not label and not any(block.rows):
            return
        self._begin("P")
        if label:
            x = self.canvas.words(x, y, label)
        for place, row in enumerate(block.rows):
            self.canvas.value(x, y + _BASE + place * block.pitch, row, block.size)
        self._end()

    def _upright(self, x: float, middle: float, title: str) -> None:
        """The name of a part of the form, written downwards."""
        self._begin("H2")
        self.canvas.downwards(x, middle - len(title) * 1.65, title, 8.5, 3.3)
        self._end()

    def watermark(self, mark: str) -> None:
        """Opaque, since it is drawn before everything else."""
        self.canvas.begin_artifact("/Type/Pagination/Subtype/Watermark")
        self.canvas.slanted(105, self._height / 2 - 4, mark, 34, 16, WATERY)
        self.canvas.end()

    def frame(self, page: Page) -> None:
        """All lines of a page."""
        end = self._height - (16 if page.totals is not None else 12)
        lines: list[Line] = [(65.5, 18, 138.5, 18), (65.5, 19, 138.5, 19)]
        lines += [(4.5, 30, 205.5, 30), (4.5, end, 205.5, end), (4.5, 30, 4.5, end), (205.5, 30, 205.5, end)]
        if page.parties is not None:
            below = 52 + page.parties.lower
            lines += [(x, 30, x, below) for x in (10.5, 105, 111.2)] + [(4.5, below, 205.5, below)]
        if page.totals is not None:
            ruled, summed = 96 + page.totals.down, 104 + page.totals.down
            lines += [(4.5, ruled, 205.5, ruled), (56.5, ruled, 56.5, summed), (4.5, summed, 205.5, summed)]
            lines += [(10.7, summed, 10.7, end)]
        self.canvas.begin_artifact("/Type/Layout")
        self.canvas.rules(tuple(lines))
        self.canvas.end()

    def head(self, ticket: Ticket, symbol: Symbol, number: str, *, again: bool) -> None:
        """Title, symbol, number and date. A further page says once more what was read on the first."""
        self._silent = again
        if again:
            self.canvas.begin_artifact("/Type/Pagination/Subtype/Header")
        self._words("H1", 0, 8.6, ticket.title, 20, align="center", width=204)
        if ticket.mark:
            if not again:
                self.canvas.begin_artifact("/Type/Layout")
            self.canvas.stamp(86, 20.4, 38, 8.4, 1)
            if not again:
                self.canvas.end()
            self._words("P", 86, 24.6 - SIZES[0] * MM_PER_POINT / 2, STAMP_TEXT, colour=SLATE, align="center", width=38)
        x, y, side = _SYMBOL
        box = " ".join(f"{one * POINTS:.2f}" for one in (x, self._height - y - side, x + side, self._height - y))
        says = text_string(f"二维码：{ticket.number}，{ticket.total}")
        self._begin("Figure", f"/Alt{says}/A<</O/Layout/Placement/Block/BBox[{box}]>>")
        self.canvas.symbol(x, y, side, symbol.modules)
        self._end()
        self._labelled(154, 11, "发票号码：", ticket.number)
        self._labelled(154, 17, "开票日期：", ticket.issued_on)
        if number:
            self._words("P", 154, 23, number, 8)
        if again:
            self.canvas.end()
        self._silent = False

    def parties(self, parties: Parties) -> None:
        """Buyer and seller."""
        end = 52 + parties.lower
        for x, inset, title, name, taxpayer_id in (
            (4.5, 1.5, "购买方信息", parties.names[0], parties.ids[0]),
            (105.0, 1.6, "销售方信息", parties.names[1], parties.ids[1]),
        ):
            self._upright(x + inset, (30 + end) / 2, title)
            top = min(33.5, 43.3 + parties.lower - len(name.rows) * name.pitch)
            self._rows(x + 8, top, name, "名称：")
            self._labelled(x + 8, end - 7.6, "统一社会信用代码/纳税人识别号：", taxpayer_id, ID_SIZE, mono=True)

    def items(self, top: float, rows: Sequence[Row], lines: Sequence[int], sums: Sums | None) -> None:
        """The item table. Rows that belong to one line of the invoice are one row of the table, so that it is read
        aloud as one, a cell after the other."""
        tags, canvas = self._tags, self.canvas
        table = tags.add("Table")
        names = [f"{self._name}c{column}" for column in range(len(COLUMNS))]
        head = tags.add("TR", tags.add("THead", table))
        for name, title, (x, width), side in zip(names, HEADS, COLUMNS, SIDES, strict=True):
            self._mark(tags.add_head(head, name))
            canvas.words(x, top + 0.7, title, align=side, width=width)
            canvas.end()
        body, base = tags.add("TBody", table), top + 4.4 + _BASE
        for _, item in groupby(zip(lines, rows, strict=True), lambda one: one[0]):
            columns = list(zip(*(row for _, row in item), strict=True))
            self._row(tags.add("TR", body), names, columns, base)
            base += ROW_STEP * len(columns[0])
        if sums is not None:
            self._sums(tags.add("TR", tags.add("TFoot", table)), names, sums)

    def _row(self, row: Element, names: Sequence[str], columns: Sequence[Sequence[Cell]], base: float) -> None:
        for name, cells, (x, width), side in zip(names, columns, COLUMNS, SIDES, strict=True):
            element = self._tags.add_cell(row, name)
            if not any(cells):
                continue
            self._mark(element)
            for place, cell in enumerate(cells):
                self._cell(x, width, side, base + place * ROW_STEP, cell)
            self.canvas.end()

    def _sums(self, row: Element, names: Sequence[str], sums: Sums) -> None:
        """合计 stands on the last row above the line."""
        top, figures = 92.2 + sums.down, {5: sums.amount, 7: sums.tax}
        for place, (name, (x, width)) in enumerate(zip(names, COLUMNS, strict=True)):
            element = self._tags.add_cell(row, name)
            if place == 0:
                self._mark(element)
                self.canvas.words(x, top, "合      计", align="center", width=width)
                self.canvas.end()
            elif place in figures:
                self._mark(element)
                self._cell(x, width, SIDES[place], top + _BASE, figures[place])
                self.canvas.end()

    def _cell(self, x: float, width: float, side: str, base: float, cell: Cell) -> None:
        text, size = (cell, SIZES[0]) if isinstance(cell, str) else cell
        self.canvas.value(x, base, text, size, side, width)

    def totals(self, sums: Sums) -> None:
        """What stands below the item table."""
        ruled, summed, end = 96 + sums.down, 104 + sums.down, 124 + sums.down
        self._words("P", 5.7, ruled + 2.4, "价税合计（大写）", align="center", width=50)
        words = sums.words
        height = (len(words.rows) - 1) * words.pitch + words.size * MM_PER_POINT
        self._rows(60, ruled + 4 - height / 2 - _drop(words.size), words)
        self._labelled(149, ruled + 2.4, "（小写）", sums.total)
        self._upright(6.1, (summed + end) / 2, "备注")
        self._rows(12.2, summed + 0.7 - _drop(sums.remark.size), sums.remark)
        self._rows(20, end + (1.6 if len(sums.drawer.rows) > 1 else 5.2), sums.drawer, "开票人：")

    def further(self, remark: Block) -> None:
        """A page of a remark alone."""
        self._words("H2", 12.2, 32, "备注（续）")
        self._rows(12.2, 37 - _drop(remark.size), remark)

    def foot(self, foot: str, *, sample: bool) -> None:
        """What goes on where, and once more that a sample is one."""
        if foot:
            self._words("P", 5.5, self._height - 11, foot, 8, align="right", width=199)
        if sample:
            self._words("P", 4.5, self._height - 5, SAMPLE_NOTE, 8, colour=SLATE, align="center", width=201)


def _drop(size: float) -> float:
    """From the top of 9 pt to that of a smaller size on the same base line."""
    return (SIZES[0] - size) * MM_PER_POINT * ASCENT
