"""Corrections in the write path: the rows that a red invoice or a replacing one touches, read before the plan decides
and written with the invoice. The sums taken back stand in ``red_lines``, and nowhere else are they written.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from piaoma.invoice.money import from_fen, to_fen
from piaoma.invoice.original_reader import read
from piaoma.invoice.red import RedLine, left

from .database import Dialect, Transaction
from .plan import BlueRow, FormRow, State, Taken
from .submission import IssueRequest

_LOAD_BLUES = """
SELECT t.merchant_id, t.number, t.corrects, t.month, t.taken_fen, t.total_fen, t.original
FROM {keys} CROSS JOIN invoices t WHERE t.merchant_id = k.a AND t.number = k.b
ORDER BY t.merchant_id, t.number {for_update}
"""
_LOAD_LINES = """
SELECT t.merchant_id, t.blue_number, t.place, t.amount_fen, t.tax_fen
FROM {keys} CROSS JOIN red_lines t WHERE t.merchant_id = k.a AND t.blue_number = k.b
"""
_LOAD_REPLACED = """
SELECT t.merchant_id, t.replaces FROM {keys} CROSS JOIN invoices t WHERE t.merchant_id = k.a AND t.replaces = k.b
"""
_LOAD_FORMS = """
SELECT t.merchant_id, t.form_id, t.blue_number, t.state, t.issue_key, t.lines
FROM {keys} CROSS JOIN red_forms t WHERE t.merchant_id = k.a AND t.form_id = k.b
ORDER BY t.merchant_id, t.form_id {for_update}
"""
TAKEN_BACK = "SELECT place, amount_fen, tax_fen FROM red_lines WHERE merchant_id = $1 AND blue_number = $2"

_INSERT_LINE = """
INSERT INTO red_lines (merchant_id, blue_number, issue_key, place, amount_fen, tax_fen) VALUES ($1, $2, $3, $4, $5, $6)
"""
_DELETE_LINES = "DELETE FROM red_lines WHERE merchant_id = $1 AND blue_number = $2 AND issue_key = $3"
_CLAIM_FORM = """
UPDATE red_forms SET issue_key = $3, next_query_at_ms = NULL WHERE merchant_id = $1 AND form_id = $2
"""
_FREE_FORM = "UPDATE red_forms SET issue_key = NULL WHERE merchant_id = $1 AND form_id = $2 AND issue_key = $3"
_TAKE_BACK = "UPDATE invoices SET taken_fen = taken_fen + $3 WHERE merchant_id = $1 AND number = $2"


async def load_reds(transaction: Transaction, dialect: Dialect, requests: Sequence[IssueRequest], state: State) -> None:
    """Read, and on PostgreSQL lock, the blue invoices and forms of these requests into ``state``."""

    def text(statement: str) -> str:
        return statement.format(keys=dialect.int_text_keys, for_update=dialect.for_update)

    numbers = {(request.merchant_id, request.replaces) for request in requests if request.replaces}
    numbers |= {(request.merchant_id, request.red.blue_number) for request in requests if request.red is not None}
    forms = {(request.merchant_id, request.red.form_id) for request in requests if request.red is not None}
    keys = json.dumps(sorted(numbers))
    blues = await transaction.fetch(text(_LOAD_BLUES), keys)
    # Read after the locks: whoever takes something back of an invoice holds its row.
    earlier: dict[tuple[int, str], list[RedLine]] = defaultdict(list)
    for row in await transaction.fetch(text(_LOAD_LINES), keys):
        earlier[(row[0], row[1])].append(RedLine(row[2], from_fen(row[3]), from_fen(row[4])))
    replaced = {(row[0], row[1]) for row in await transaction.fetch(text(_LOAD_REPLACED), keys)}
    for row in blues:
        key, red = (row["merchant_id"], row["number"]), row["corrects"] is not None
        rest: dict[int, tuple[Decimal, Decimal]] = {} if red else left(read(bytes(row["original"])), earlier[key])
        wholly_red = not red and row["taken_fen"] == row["total_fen"]
        state.blues[key] = BlueRow(red, row["month"], rest, wholly_red, key in replaced)
    if forms:
        for row in await transaction.fetch(text(_LOAD_FORMS), json.dumps(sorted(forms))):
            lines = msgspec.json.decode(row["lines"], type=tuple[RedLine, ...])
            state.forms[(row[0], row[1])] = FormRow(row["blue_number"], row["state"], row["issue_key"], lines)


async def store_reds(transaction: Transaction, taken: Sequence[Taken]) -> None:
    """Write what the red invoices among these take back, and that their forms are used up."""
    reds = [each for each in taken if each.request.red is not None]
    if not reds:
        return
    await transaction.execute_many(_INSERT_LINE, [row for each in reds for row in _line_values(each.request)])
    claims = []
    back: dict[tuple[int, str], int] = defaultdict(int)
    for each in reds:
        assert each.request.red is not None
        claims.append((each.request.merchant_id, each.request.red.form_id, each.request.issue_key))
        if each.number is not None:
            key = (each.request.merchant_id, each.request.red.blue_number)
            back[key] -= to_fen(each.request.totals.inclusive)
    await transaction.execute_many(_CLAIM_FORM, claims)
    # One row for each blue invoice: a set of rows changes each target once only.
    await transaction.execute_many(_TAKE_BACK, [(*key, fen) for key, fen in sorted(back.items())])


def _line_values(request: IssueRequest) -> list[tuple[object, ...]]:
    red = request.red
    assert red is not None
    return [
        (request.merchant_id, red.blue_number, request.issue_key, line.place, to_fen(line.amount), to_fen(line.tax))
        for line in red.lines
    ]


async def red_issued(transaction: Transaction, request: IssueRequest) -> None:
    """The channel issued the red invoice of an intent; nothing to do for a blue one."""
    if request.red is not None:
        taken_fen = -to_fen(request.totals.inclusive)
        await transaction.execute(_TAKE_BACK, request.merchant_id, request.red.blue_number, taken_fen)


async def red_refused(transaction: Transaction, request: IssueRequest) -> None:
    """The channel refused the red invoice of an intent: nothing is taken back, and its form may be used again."""
    if request.red is not None:
        await transaction.execute(_DELETE_LINES, request.merchant_id, request.red.blue_number, request.issue_key)
        await transaction.execute(_FREE_FORM, request.merchant_id, request.red.form_id, request.issue_key)
