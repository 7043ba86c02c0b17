"""I6 of the audit: red invoices take back no more than the blue one gave, and what is said of a correction in one place
is said in the others. It shares no code with the write path (see ``audit``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.money import to_fen
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refused

from .database import Database, Row

HOLDS = "red sums never exceed the blue, per line and tax; forms and relations agree both ways"

STATEMENTS = (
    # A red invoice has its blue one, which is no red one, of the same merchant and buyer.
    """SELECT r.number FROM invoices r LEFT JOIN invoices b ON b.merchant_id = r.merchant_id AND b.number = r.corrects
       WHERE r.corrects IS NOT NULL AND (b.number IS NULL OR b.corrects IS NOT NULL OR b.kind <> r.kind
             OR b.buyer_name <> r.buyer_name OR r.total_fen >= 0)""",
    # What a blue one says was taken back is what its red ones say.
    """SELECT b.number FROM invoices b LEFT JOIN
              (SELECT merchant_id, corrects, sum(total_fen) AS back FROM invoices
               WHERE corrects IS NOT NULL GROUP BY merchant_id, corrects) r
       ON r.merchant_id = b.merchant_id AND r.corrects = b.number
       WHERE b.taken_fen <> -coalesce(r.back, 0) OR (b.corrects IS NULL AND b.taken_fen > b.total_fen)""",
    # Each red invoice took back what its lines say; lines belong to an issue that is issued or open.
    """SELECT r.number FROM invoices r WHERE r.corrects IS NOT NULL AND (r.amount_fen <>
              (SELECT coalesce(sum(l.amount_fen), 0) FROM red_lines l
               WHERE l.merchant_id = r.merchant_id AND l.blue_number = r.corrects AND l.issue_key = r.issue_key)
           OR r.tax_fen <> (SELECT coalesce(sum(l.tax_fen), 0) FROM red_lines l
               WHERE l.merchant_id = r.merchant_id AND l.blue_number = r.corrects AND l.issue_key = r.issue_key))""",
    """SELECT l.issue_key FROM red_lines l LEFT JOIN issues s
       ON s.merchant_id = l.merchant_id AND s.issue_key = l.issue_key
       LEFT JOIN invoices r ON r.merchant_id = l.merchant_id AND r.number = s.number
       WHERE s.state IS NULL OR s.state = 'refused' OR (s.state = 'issued' AND
             (r.corrects IS NULL OR r.corrects <> l.blue_number))""",
    # A red invoice used up one form, of the same blue one, in a state that may be issued; and the other way.
    """SELECT r.number FROM invoices r LEFT JOIN red_forms f
       ON f.merchant_id = r.merchant_id AND f.issue_key = r.issue_key
       WHERE r.corrects IS NOT NULL AND (f.form_id IS NULL OR f.blue_number <> r.corrects
             OR f.state NOT IN ('01', '04') OR f.total_fen <> r.total_fen)""",
    """SELECT f.form_id FROM red_forms f LEFT JOIN issues s
       ON s.merchant_id = f.merchant_id AND s.issue_key = f.issue_key
       WHERE f.issue_key IS NOT NULL AND (s.issue_key IS NULL OR s.state = 'refused')""",
    "SELECT issue_key FROM red_forms WHERE issue_key IS NOT NULL GROUP BY merchant_id, issue_key HAVING count(*) > 1",
    # Nothing is given back to the quota by a blue invoice, nor more than it took by a red one.
    """SELECT number FROM invoices WHERE (corrects IS NULL AND quota_fen <> amount_fen)
       OR (corrects IS NOT NULL AND quota_fen <> 0 AND quota_fen <> amount_fen)""",
    # An invoice that replaces another: the old one is taken back as a whole, and the 换开 knows both.
    """SELECT n.number FROM invoices n LEFT JOIN invoices o ON o.merchant_id = n.merchant_id AND o.number = n.replaces
       LEFT JOIN reissues x ON x.merchant_id = n.merchant_id AND x.blue_number = n.replaces
            AND x.state NOT IN ('declined', 'failed')
       WHERE n.replaces IS NOT NULL AND (o.number IS NULL OR o.taken_fen <> o.total_fen OR o.total_fen <> n.total_fen
             OR x.reissue_id IS NULL OR (x.state = 'done' AND x.new_number <> n.number))""",
    """SELECT x.reissue_id FROM reissues x
       LEFT JOIN invoices n ON n.merchant_id = x.merchant_id AND n.number = x.new_number
       LEFT JOIN invoices r ON r.merchant_id = x.merchant_id AND r.number = x.red_number
       WHERE (x.state = 'done' AND (n.number IS NULL OR n.replaces IS NULL OR n.replaces <> x.blue_number))
       OR (x.red_number IS NOT NULL AND (r.number IS NULL OR r.corrects IS NULL OR r.corrects <> x.blue_number))
       OR (x.state = 'failed' AND x.red_number IS NOT NULL)""",
)

_CORRECTED = """
SELECT DISTINCT merchant_id, corrects FROM invoices
WHERE corrects IS NOT NULL AND (merchant_id, corrects) > ($1, $2) ORDER BY merchant_id, corrects LIMIT 200
"""
_FAMILY = """
SELECT number, corrects, issue_key, original FROM invoices
WHERE merchant_id = $1 AND (number = $2 OR corrects = $2) ORDER BY number
"""
_STORED = """
SELECT place, sum(amount_fen), sum(tax_fen) FROM red_lines
WHERE merchant_id = $1 AND blue_number = $2 GROUP BY place
"""
_FORM_NUMBER = "SELECT form_number FROM red_forms WHERE merchant_id = $1 AND issue_key = $2"

Sums = dict[tuple[str, str, Decimal], list[int]]


async def red_faults(database: Database) -> list[str]:
    """What breaks I6, from the rows and from the originals of every blue invoice that has a red one."""
    faults = [str(row[0]) for statement in STATEMENTS for row in await database.read(statement)]
    last: tuple[int, str] = (-1, "")
    while rows := await database.read(_CORRECTED, *last):
        for row in rows:
            faults += await _family_faults(database, row[0], row[1])
        last = (rows[-1][0], rows[-1][1])
    return faults


async def _family_faults(database: Database, merchant_id: int, blue_number: str) -> list[str]:
    rows = await database.read(_FAMILY, merchant_id, blue_number)
    try:
        read_rows = [(row, read(bytes(row["original"]))) for row in rows]
    except Refused:
        return []  # I7 tells of an original that cannot be read
    blue = next((invoice for row, invoice in read_rows if row["corrects"] is None), None)
    if blue is None:
        return []  # told by a statement
    reds = [(row, invoice) for row, invoice in read_rows if row["corrects"] is not None]
    faults = list(_sum_faults(blue, [invoice for _, invoice in reds]))
    stored = await database.read(_STORED, merchant_id, blue_number)
    faults += _line_faults(blue, {row[0]: (int(row[1]), int(row[2])) for row in stored})
    for row, invoice in reds:
        forms = await database.read(_FORM_NUMBER, merchant_id, row["issue_key"])
        stated = (invoice.red.blue_number, invoice.red.form_number) if invoice.red else ("", "")
        if not forms or stated != (blue_number, forms[0][0]):
            faults.append(f"{invoice.number}: its original names another invoice or form")
    return faults


def _sum_faults(blue: IssuedInvoice, reds: list[IssuedInvoice]) -> Iterator[str]:
    """By the originals alone: items that are alike are one, a discount belongs to its item."""
    given, back = _sums(blue), _sums(*reds)
    for key, (amount, tax) in back.items():
        blue_amount, blue_tax = given.get(key, [0, 0])
        if amount > 0 or tax > 0 or -amount > blue_amount or -tax > blue_tax:
            yield f"{blue.number}: more of {key[0]} was taken back than there is"


def _sums(*invoices: IssuedInvoice) -> Sums:
    sums: Sums = defaultdict(lambda: [0, 0])
    for invoice in invoices:
        for line in invoice.lines:
            sums[(line.name, line.code, line.rate)][0] += to_fen(line.amount)
            sums[(line.name, line.code, line.rate)][1] += to_fen(line.tax)
    return sums


def _line_faults(blue: IssuedInvoice, stored: dict[int, tuple[int, int]]) -> Iterator[str]:
    """By the stored lines: none of an item that is not there, none beyond it."""
    given: dict[int, list[int]] = {}
    for place, line in enumerate(blue.lines):
        mine = place - 1 if line.amount < 0 else place
        sums = given.setdefault(mine, [0, 0])
        sums[0] += to_fen(line.amount)
        sums[1] += to_fen(line.tax)
    for place, (amount, tax) in stored.items():
        blue_amount, blue_tax = given.get(place, [0, 0])
        if -amount > blue_amount or -tax > blue_tax:
            yield f"{blue.number}: more of line {place + 1} was taken back than there is"


def columns_agree(row: Row, invoice: IssuedInvoice) -> bool:
    """Whether an original and its columns agree on which blue invoice it corrects, if any."""
    return bool((invoice.red.blue_number if invoice.red else None) == row["corrects"])
