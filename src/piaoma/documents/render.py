"""Rendering an original as PDF or PNG: a pure function of its bytes, the same bytes each time.

The layout is einvoice.md §7, in millimetres; ``invoice.typ`` draws it and knows no rule. Rows are cut here by the
fonts' own widths, so what is drawn stays in its place: a text that is too long becomes smaller, then takes more rows,
then another page; nothing is lost. Runs in worker processes.

A page alone grows below eight rows, up to ``ROWS_ALONE``. More rows go on: ``ROWS_FIRST`` on the first page,
``ROWS_FURTHER`` on the next ones, at most ``ROWS_LAST`` above the totals. A remark that does not fit its box goes on
as 备注（续） on pages of its own.
"""

from __future__ import annotations

import io
import json
import resource
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import noto_cjk_sans_otc
import pylopdf_fonts_zh_cn
import segno

from piaoma.codes.printed import invoice_text
from piaoma.codes.symbol import Symbol
from piaoma.invoice import printable
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import refuse

from .ticket import MM_PER_POINT, SIZES, Block, Ticket, TicketLine, set_at, set_in, ticket_of

if TYPE_CHECKING:
    import typst

VIEW_VERSION = "v2"
MEMORY_BYTES_MAX = 1_500 * 1024 * 1024  # of a worker
PNG_PPI = 200
PNG_PAGES_MAX = 10  # of one picture: the first nine and the last of a longer invoice
PNG_GAP_PIXELS = 16  # grey between two pages

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
ROW_STEP = 4.5
SLACK = 0.3  # so that what was measured never wraps when it is drawn
PAGE_HEIGHT, NAME_WIDTH, NAME_HEIGHT, REMARK_WIDTH, REMARK_HEIGHT = 140.0, 81.5, 12.0, 191.0, 19.3
WORDS_WIDTH, WORDS_HEIGHT, DRAWER_WIDTH, DRAWER_HEIGHT, FURTHER_REMARK_HEIGHT = 87.0, 7.4, 172.0, 8.0, 89.0
ONE_ROW = SIZES[0] * MM_PER_POINT * 1.21
WORDS_SIZES = SIZES[:-1]  # in one row
TEXT_SIZES = (8.5, 8.0)  # of an item's name that saves a row by it
REMARK_SIZE = 8.0  # of a remark that goes on anyway

BUILT_IN_FONT = "Libertinus Serif"  # of the typesetter: letters of European names that the others lack


def font_files() -> list[tuple[str, int]]:
    """Files and faces in the order in which ``invoice.typ`` asks them for a character."""
    return [
        (str(pylopdf_fonts_zh_cn.serif_path()), 0),
        (str(pylopdf_fonts_zh_cn.sans_path()), 0),
        (str(noto_cjk_sans_otc.FONT_PATH), 2),  # the collection's Noto Sans CJK SC: rare and Korean characters
    ]


def start_worker() -> None:
    """Bound a worker process before it renders anything."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))


@cache
def _compiler() -> typst.Compiler:
    """One compiler for a process: making it reads the fonts, which costs tens of milliseconds."""
    import typst

    template = Path(__file__).with_name("invoice.typ")
    folders = sorted({str(Path(file).parent) for file, _ in font_files()})
    return typst.Compiler(input=str(template), root=str(template.parent), font_paths=folders, ignore_system_fonts=True)


def render(original: bytes, kind: str) -> bytes:
    """The PDF/A-3b of an original, or one PNG with its pages below each other.

    A PNG shows ``PNG_PAGES_MAX`` pages at most: of a longer invoice all but the last of these are its first pages, and
    the last one is its last, with the totals; each page says which it is.

    Raises ``Refused`` as ``original_reader.read``, and DOCUMENT-GLYPH-MISSING when the fonts lack a character.
    """
    import typst

    invoice = read(original)
    ticket = ticket_of(invoice)
    pages = _pages(ticket)
    if kind == "png":
        _need_glyphs(ticket)
        if len(pages) > PNG_PAGES_MAX:
            pages = [*pages[: PNG_PAGES_MAX - 1], pages[-1]]
    inputs = {"data": json.dumps(_data(invoice, ticket, pages), ensure_ascii=False), "xml": original.decode()}
    try:
        if kind == "png":
            made: Any = _compiler().compile(format="png", ppi=PNG_PPI, sys_inputs=inputs)
            return _below_each_other(made) if isinstance(made, list) else bytes(made)
        made = _compiler().compile(
            format="pdf",
            sys_inputs=inputs,
            pdf_standards=["a-3b"],
            timestamp=int((invoice.signed_at or invoice.requested_at).timestamp()),
        )
        return bytes(made)
    except typst.TypstError as error:
        if "could not be displayed" in error.message or "glyph" in error.message:
            raise refuse("DOCUMENT-GLYPH-MISSING", have=_named_character(error.message)) from None
        raise


def _named_character(message: str) -> str:
    return "".join(letter for letter in message if ord(letter) > 0x2E7F)[:4] or "?"


def _need_glyphs(ticket: Ticket) -> None:
    """For pictures, which would show an empty box: the typesetter says that a glyph is missing for PDF/A only."""
    lines = (text for line in ticket.lines for text in (line.name, line.spec, line.unit))
    for text in (ticket.buyer.name, ticket.seller.name, ticket.drawer, ticket.remark, *lines):
        found = printable.refused().search(text.replace("<", "").replace(">", ""))
        if found:
            raise refuse("DOCUMENT-GLYPH-MISSING", have=found.group())


def _below_each_other(pictures: list[bytes]) -> bytes:
    from PIL import Image

    pages = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    height = sum(page.height for page in pages) + PNG_GAP_PIXELS * (len(pages) - 1)
    whole = Image.new("RGB", (max(page.width for page in pages), height), (200, 200, 200))
    top = 0
    for page in pages:
        whole.paste(page, (0, top))
        top += page.height + PNG_GAP_PIXELS
    file = io.BytesIO()
    whole.save(file, "PNG")
    return file.getvalue()


def _data(invoice: IssuedInvoice, ticket: Ticket, pages: list[dict[str, object]]) -> dict[str, object]:
    """What the template draws: strings and places, nothing to work out."""
    moment = invoice.signed_at or invoice.requested_at
    return {
        "title": ticket.title,
        "number": ticket.number,
        "date": ticket.issued_on,
        "moment": [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second],
        "seller": ticket.seller.name,
        "total": ticket.total,
        "mark": ticket.mark,
        "qr": _qr(invoice),
        "columns": COLUMNS,
        "pages": pages,
    }


def _qr(invoice: IssuedInvoice) -> str:
    """The printed symbol: level M, version 4 where the text fits it (einvoice.md §2)."""
    text = invoice_text(invoice)
    return Symbol(text, segno.make_qr(text, error="m", boost_error=False)).svg_bare


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _pages(ticket: Ticket) -> list[dict[str, object]]:
    """Every page: how high it is and what stands on it."""
    names = [set_in(party.name, NAME_WIDTH, NAME_HEIGHT) for party in (ticket.buyer, ticket.seller)]
    lower = max(0.0, *(name.height - NAME_HEIGHT for name in names))  # by which very long names push down the rest
    tables = _tables([_rows(line) for line in ticket.lines], int(-(-lower // ROW_STEP)))
    remark, further = _remark(ticket.remark)
    pages: list[dict[str, object]] = []
    for place, rows in enumerate(tables):
        last = place == len(tables) - 1
        down = lower + max(0, len(rows) - ROWS_BOX) * ROW_STEP if len(tables) == 1 else 0.0
        pages.append(
            {
                "height": PAGE_HEIGHT + down,
                "top": 30 if place else 52 + lower,
                "parties": _parties(ticket, names, lower) if place == 0 else None,
                "rows": rows,
                "totals": _totals(ticket, remark, down) if last else None,
                "foot": "" if last and not further else "备注续下页" if last else "续下页",
            }
        )
    pages += [
        {"height": PAGE_HEIGHT, "remark": block, "foot": "" if block is further[-1] else "备注续下页"}
        for block in further
    ]
    for number, page in enumerate(pages, 1):
        page["number"] = f"共 {len(pages)} 页 第 {number} 页" if len(pages) > 1 else ""
    return pages


def _parties(ticket: Ticket, names: list[Block], lower: float) -> dict[str, object]:
    return {
        "names": [_drawn(name) for name in names],
        "ids": [ticket.buyer.taxpayer_id, ticket.seller.taxpayer_id],
        "lower": lower,
    }


def _totals(ticket: Ticket, remark: Block, down: float) -> dict[str, object]:
    words = set_in(f"⊗ {ticket.words}", WORDS_WIDTH, ONE_ROW, WORDS_SIZES)
    if len(words.rows) > 1:
        words = set_in(f"⊗ {ticket.words}", WORDS_WIDTH, WORDS_HEIGHT)
    return {
        "down": down,
        "amount": _figure(ticket.amount, COLUMNS[5][1])[0],
        "tax": _figure(ticket.tax, COLUMNS[7][1])[0],
        "words": _drawn(words),
        "total": ticket.total,
        "remark": _drawn(remark),
        "drawer": _drawn(set_in(ticket.drawer, DRAWER_WIDTH, DRAWER_HEIGHT)),
    }


def _drawn(block: Block) -> dict[str, object]:
    return {"rows": block.rows, "size": block.size, "pitch": block.pitch}


def _remark(text: str) -> tuple[Block, list[dict[str, object]]]:
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
    return Block(block.rows[:boxed], block.size, block.pitch), [_drawn(one) for one in further]


# ── the item table ────────────────────────────────────────────────────────────────────────────────────────────────

Cell = str | tuple[str, float]  # in 9 pt, or in the size that is given
Row = list[Cell]


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
