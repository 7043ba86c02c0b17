"""The sheets that batch issuing hands out (批量模板): the template, the rows with faults, the results. In memory: they
have two thousand rows at most."""

from __future__ import annotations

import io
from collections.abc import Sequence

COLUMN_WIDTH = 18


def sheet_file(head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[tuple[str, str]] = ()) -> bytes:
    """An xlsx. Every cell is a text, which no program calculates; ``notes`` stand on a second sheet as (column, what
    it means)."""
    import xlsxwriter

    target = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(target, options)
    bold, text = book.add_format({"bold": True}), book.add_format({"num_format": "@"})
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    # Text: a long number typed below keeps all its digits.
    sheet.set_column(0, max(0, len(head) - 1), COLUMN_WIDTH, text)
    for row, cells in enumerate([head, *rows]):
        for column, cell in enumerate(cells):
            sheet.write_string(row, column, cell, bold if row == 0 else text)
    if notes:
        more = book.add_worksheet()
        more.set_column(0, 0, COLUMN_WIDTH)
        more.set_column(1, 1, 6 * COLUMN_WIDTH)
        for row, (column_name, meaning) in enumerate(notes):
            more.write_string(row, 0, column_name, bold)
            more.write_string(row, 1, meaning)
    book.close()
    return target.getvalue()
