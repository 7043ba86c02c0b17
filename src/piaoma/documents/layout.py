"""The layout (排版): pages, rows and sizes of a ticket, worked out once, so that PDF and OFD cannot differ.

The form is einvoice.md §7, in millimetres. Rows are cut here by the fonts' own widths, so what is drawn stays in its
place: a text that is too long becomes smaller, then takes more rows, then another page; nothing is lost.

A page alone grows below eight rows, up to ``ROWS_ALONE``. More rows go on: ``ROWS_FIRST`` on the first page,
``ROWS_FURTHER`` on the next ones, at most ``ROWS_LAST`` above the totals. A remark that does not fit its box goes on
as 备注（续） on pages of its own.
"""

from __future__ import annotations

from itertools import accumulate

import msgspec

from .ticket import MM_PER_POINT, SIZES, Block, Ticket, TicketLine, set_at, set_in

# Rows of 4.5 mm that a page takes.
ROWS_BOX, ROWS_ALONE, ROWS_FIRST, ROWS_FURTHER, ROWS_LAST = 8, 20, 15, 20, 12
ROWS_LAST_KEPT = 3  # of a longer table, above the totals
ROWS_TOGETHER = 6  # an item of no more rows is not cut by the end of a page

# Millimetres. Columns of the item table: left edge and width of what may be printed.
COLUMNS = (
    (5.7, 36.0),
    (42.7, 22.8),
    (66.3, 11.4),
    (78.7, 24.0),
    (103.7, 24.0),
    (128.7, 25.0),
    (154.7, 24.0),
    (179.7, 24.8),
)
HEADS = ("项目名称", "规格型号", "单 位", "数 量", "单 价", "金 额", "税率/征收率", "税 额")
SIDES = ("left", "left", "center", "right", "right", "right", "center", "right")  # on which a column's texts stand
ROW_STEP = 4.5
SLACK = 0.3  # so that what was measured never wraps when it is drawn
PAGE_WIDTH = 210.0
PAGE_HEIGHT, NAME_WIDTH, NAME_HEIGHT, REMARK_WIDTH, REMARK_HEIGHT = 140.0, 81.5, 12.0, 191.0, 19.3
WORDS_WIDTH, WORDS_HEIGHT, DRAWER_WIDTH, DRAWER_HEIGHT, FURTHER_REMARK_HEIGHT = 87.0, 7.4, 172.0, 8.0, 89.0
ONE_ROW = SIZES[0] * MM_PER_POINT * 1.21
WORDS_SIZES = SIZES[:-1]  # in one row
TEXT_SIZES = (8.5, 8.0)  # of an item's name that saves a row by it
REMARK_SIZE = 8.0  # of a remark that goes on anyway

Cell = str | tuple[str, float]  # in 9 pt, or in the size that is given
Row = list[Cell]


class Parties(msgspec.Struct, frozen=True):
    """Buyer and seller: names and ids, and by how much very long names push down the rest."""

    names: tuple[Block, Block]
    ids: tuple[str, str]
    lower: float


class Sums(msgspec.Struct, frozen=True):
    """What stands below the item table. ``down`` is by how much the table grew."""

    down: float
    amount: Cell
    tax: Cell
    words: Block
    total: str
    remark: Block
    drawer: Block


class Page(msgspec.Struct, frozen=True):
    """A page: how high it is and what stands on it. One of a remark alone has no ``rows``."""

    height: float
    number: str  # 共 3 页 第 2 页
    foot: str
    top: float = 0.0  # of the item table
    parties: Parties | None = None
    rows: list[Row] | None = None
    lines: list[int] | None = None  # of each row, which line of the invoice it belongs to
    totals: Sums | None = None
    remark: Block | None = None


def pages_of(ticket: Ticket) -> list[Page]:
    """Every page of a ticket."""
    names = [set_in(party.name, NAME_WIDTH, NAME_HEIGHT) for party in (ticket.buyer, ticket.seller)]
    lower = max(0.0, *(name.height - NAME_HEIGHT for name in names))  # by which very long names push down the rest
    items = [_rows(line) for line in ticket.lines]
    tables = _tables(items, int(-(-lower // ROW_STEP)))
    owners = iter([place for place, item in enumerate(items) for _ in item])
    remark, further = _remark(ticket.remark)
    count = len(tables) + len(further)
    numbers = [f"共 {count} 页 第 {number} 页" if count > 1 else "" for number in range(1, count + 1)]
    pages: list[Page] = []
    for place, rows in enumerate(tables):
        last = place == len(tables) - 1
        down = lower + max(0, len(rows) - ROWS_BOX) * ROW_STEP if len(tables) == 1 else 0.0
        ids = (ticket.buyer.taxpayer_id, ticket.seller.taxpayer_id)
        pages.append(
            Page(
                height=PAGE_HEIGHT + down,
                number=numbers[place],
                top=30.0 if place else 52 + lower,
                parties=Parties((names[0], names[1]), ids, lower) if place == 0 else None,
                rows=rows,
                lines=[next(owners) for _ in rows],
                totals=_sums(ticket, remark, down) if last else None,
                foot="" if last and not further else "备注续下页" if last else "续下页",
            )
        )
    for place, block in enumerate(further, len(tables)):
        foot = "" if block is further[-1] else "备注续下页"
        pages.append(Page(height=PAGE_HEIGHT, number=numbers[place], foot=foot, remark=block))
    return pages


def _sums(ticket: Ticket, remark: Block, down: float) -> Sums:
    words = set_in(f"⊗ {ticket.words}", WORDS_WIDTH, ONE_ROW, WORDS_SIZES)
    if len(words.rows) > 1:
        words = set_in(f"⊗ {ticket.words}", WORDS_WIDTH, WORDS_HEIGHT)
    return Sums(
        down=down,
        amount=_figure(ticket.amount, COLUMNS[5][1])[0],
        tax=_figure(ticket.tax, COLUMNS[7][1])[0],
        words=words,
        total=ticket.total,
        remark=remark,
        drawer=set_in(ticket.drawer, DRAWER_WIDTH, DRAWER_HEIGHT),
    )


def _remark(text: str) -> tuple[Block, list[Block]]:
    """The rows in the box 备注, and those of each page after it."""
    block = set_in(text, REMARK_WIDTH, REMARK_HEIGHT)
    if block.height <= REMARK_HEIGHT:
        return block, []
    block = set_at(text, REMARK_WIDTH, REMARK_SIZE)
    boxed, paged = int(REMARK_HEIGHT / block.pitch), int(FURTHER_REMARK_HEIGHT / block.pitch)
    further = [
        Block(block.rows[start : start + paged], block.size, block.pitch)
        for start in range(boxed, len(block.rows), paged)
    ]
    return Block(block.rows[:boxed], block.size, block.pitch), further


def _rows(line: TicketLine) -> list[Row]:
    """A line as printed rows: texts go on in the row below, figures become smaller first."""
    columns: list[list[Cell]] = [
        *(_text(text, COLUMNS[place][1]) for place, text in enumerate((line.name, line.spec, line.unit))),
        *(
            _figure(text, COLUMNS[place][1])
            for place, text in enumerate((line.quantity, line.unit_price, line.amount, line.rate, line.tax), 3)
        ),
    ]
    depth = max(map(len, columns))
    return [[column[row] if row < len(column) else "" for column in columns] for row in range(depth)]


def _text(text: str, width: float) -> list[Cell]:
    """A text in as many rows as it takes, a little smaller where that saves a row."""
    blocks = [set_at(text, width - SLACK, SIZES[0])]
    if len(blocks[0].rows) > 1:
        blocks += [set_at(text, width - SLACK, size) for size in TEXT_SIZES]
    return _cells(min(blocks, key=lambda block: len(block.rows)))


def _figure(text: str, width: float) -> list[Cell]:
    """A figure in one row, as large as it fits; two rows only when it does not fit at all."""
    return _cells(set_in(text, width - SLACK, ONE_ROW))


def _cells(block: Block) -> list[Cell]:
    return [row if block.size == SIZES[0] else (row, block.size) for row in block.rows]


def _tables(items: list[list[Row]], rows_lost: int) -> list[list[Row]]:
    """The rows of each page. The last page has rows too, so that the totals never stand alone."""
    rows = [row for item in items for row in item]
    if len(rows) <= ROWS_ALONE:
        return [rows]
    cuts = set(accumulate(map(len, items)))  # where an item ends
    tables, begun, room = [], 0, max(1, ROWS_FIRST - rows_lost)
    while begun == 0 or len(rows) - begun > ROWS_LAST:
        end = begun + min(room, len(rows) - begun - ROWS_LAST_KEPT)
        whole = next((place for place in range(end, max(begun, end - ROWS_TOGETHER), -1) if place in cuts), end)
        tables.append(rows[begun:whole])
        begun, room = whole, ROWS_FURTHER
    tables.append(rows[begun:])
    return tables
