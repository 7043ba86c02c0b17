"""Vouchers (记账凭证) of a month's output: a table that accounting programs import, in balance to the fen.

One voucher for blue and one for red invoices; red ones are booked as the blue ones with amounts below zero (红字), as
is usual in China. Account numbers are those of 企业会计准则; whoever keeps other ones maps them at the import.
"""

from __future__ import annotations

import csv
import io
from decimal import Decimal

from piaoma.index import RED, printed_rate
from piaoma.invoice.parties import TaxpayerKind
from piaoma.invoice.rates import is_small_scale

from .merchant import Merchant
from .tax_report import Report, Row

HEAD = ("日期", "凭证字", "凭证号", "摘要", "科目编码", "科目名称", "借方金额", "贷方金额")
RECEIVABLE = ("1122", "应收账款")
REVENUE = ("6001", "主营业务收入")
OUTPUT_TAX = ("22210107", "应交税费—应交增值税（销项税额）")
SIMPLE_TAX = ("222109", "应交税费—简易计税")
SMALL_TAX = ("2221", "应交税费—应交增值税")
GENERAL_RATES = ("0.13", "0.09", "0.06", "0")  # beside these a general taxpayer's rates are levy rates

Line = tuple[str, str, str, str, str, str, str, str]


def vouchers(report: Report, shop: Merchant) -> list[Line]:
    """The lines of both vouchers; debits and credits of each are equal."""
    lines: list[Line] = []
    for number, colour in enumerate(dict.fromkeys(row.colour for row in report.rows), 1):
        rows = [row for row in report.rows if row.colour == colour]
        told = f"{rows[0].month} {'红字' if colour == RED else '销售'}发票"
        head = (rows[0].last_day, "记", str(number), told)
        total = sum((row.amount + row.tax for row in rows), Decimal(0))
        lines.append((*head, *RECEIVABLE, f"{total:.2f}", ""))
        for (code, name), amount in _credits(rows, shop.taxpayer_kind).items():
            lines.append((*head, code, name, "", f"{amount:.2f}"))
    return lines


def _credits(rows: list[Row], kind: TaxpayerKind) -> dict[tuple[str, str], Decimal]:
    """Revenue and tax by rate. A tax of nothing needs no line."""
    booked: dict[tuple[str, str], Decimal] = {}
    for row in rows:
        printed = printed_rate(row.rate)
        revenue = (REVENUE[0], f"{REVENUE[1]}—{printed}")
        booked[revenue] = booked.get(revenue, Decimal(0)) + row.amount
    for row in rows:
        if row.tax:
            general = row.rate in GENERAL_RATES
            code, name = SMALL_TAX if is_small_scale(kind) else OUTPUT_TAX if general else SIMPLE_TAX
            tax = (code, f"{name}—{printed_rate(row.rate)}")
            booked[tax] = booked.get(tax, Decimal(0)) + row.tax
    return booked


def as_csv(lines: list[Line]) -> bytes:
    """With a byte order mark, as Excel and accounting programs want it; nothing in it was typed by anybody."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEAD)
    writer.writerows(lines)
    return b"\xef\xbb\xbf" + text.getvalue().encode()
