"""An issued invoice as the index keeps it: its terms, day, total, figures by rate."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from lxml import etree

from piaoma.invoice.money import to_fen
from piaoma.invoice.rates import printed
from piaoma.store import Row

from .terms import id_terms, text_terms

DAY_BITS, TOTAL_BITS = 17, 45
TOTAL_ZERO = 1 << (TOTAL_BITS - 1)  # totals of red invoices are below zero, so all are moved up by this
ITEMS_MAX = 200  # different names of goods of one invoice that can be searched for
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)

BLUE, RED = "blue", "red"  # 蓝字, 红字
TAKEN_SOME, TAKEN_ALL = "taken:some", "taken:all"


class LineFigures(NamedTuple):
    """A line of an original: item as the merchant calls it, rate as printed in the XML, fen."""

    item: str
    rate: str
    amount_fen: int
    tax_fen: int


class Entry(NamedTuple):
    """One invoice."""

    leaf: int
    merchant_id: int
    number: str
    kind: str
    colour: str
    clerk: str
    shop: str
    day: str
    amount_fen: int
    tax_fen: int
    items: tuple[str, ...]
    rates: dict[str, tuple[int, int, int]]  # rate → lines, amount, tax
    terms: frozenset[str]
    wait_s: int | None  # from code to invoice
    corrects: str | None  # of a red invoice: the blue one

    @property
    def total_fen(self) -> int:
        return self.amount_fen + self.tax_fen


def entry_of(row: Row) -> Entry:
    """The entry of a row of ``following.FOLLOWING``."""
    lines = lines_of(bytes(row["original"]))
    items = tuple(dict.fromkeys(line.item for line in lines))[:ITEMS_MAX]
    rates: dict[str, tuple[int, int, int]] = {}
    for line in lines:
        count, amount, tax = rates.get(line.rate, (0, 0, 0))
        rates[line.rate] = (count + 1, amount + line.amount_fen, tax + line.tax_fen)
    colour = RED if row["total_fen"] < 0 else BLUE
    clerk, shop = row["clerk"], row["shop"]
    terms = set().union(
        text_terms(row["buyer_name"]), text_terms(row["remark"]), *map(text_terms, items),
        id_terms(row["number"]), id_terms(row["buyer_id"]), id_terms(row["own_number"]), text_terms(row["own_number"]),
    )  # fmt: skip
    terms.update((f"kind:{row['kind']}", f"colour:{colour}", f"clerk:{clerk}", f"shop:{shop}"))
    terms.update(taken_terms(row["taken_fen"], row["total_fen"]))
    terms.update(f"rate:{rate}" for rate in rates)
    terms.update(f"item:{item}" for item in items)
    made_ms = row["created_at_ms"]
    return Entry(
        row["leaf"], row["merchant_id"], row["number"], row["kind"], colour, clerk, shop, row["issued_on"],
        row["amount_fen"], row["tax_fen"], items, rates, frozenset(terms),
        None if made_ms is None else max(0, (row["issued_at_ms"] - made_ms) // 1000),
        row["corrects"],
    )  # fmt: skip


def taken_terms(taken_fen: int, total_fen: int) -> tuple[str, ...]:
    """The terms of a blue invoice that red ones took something, or everything, back of. What was taken stays taken, so
    they are only ever added."""
    if not taken_fen:
        return ()
    return (TAKEN_SOME, TAKEN_ALL) if taken_fen == total_fen else (TAKEN_SOME,)


def lines_of(original: bytes) -> list[LineFigures]:
    """The figures of an original of ours, which was read and checked when it was made: only what is summed up is
    looked at here, so that following the log costs a fraction of what issuing does."""
    lines = []
    for item in etree.fromstring(original, _PARSER).iter("IssuItemInformation"):
        text = {child.tag: child.text or "" for child in item}
        lines.append(
            LineFigures(
                item_name(text["ItemName"]), text.get("TaxRate", ""), _fen(text["Amount"]), _fen(text["ComTaxAm"])
            )
        )
    return lines


def item_name(printed: str) -> str:
    """``*餐饮服务*餐费`` → ``餐费``."""
    return printed.rpartition("*")[2] or printed


def printed_rate(text: str) -> str:
    """``0.06`` → ``6%``; 免税 and 不征税 as they stand."""
    return printed(Decimal(text)) if text.replace(".", "", 1).isdigit() else text


def _fen(text: str) -> int:
    """``-54.72`` → -5472. Amounts of ours have two decimals."""
    yuan, _, cents = text.strip().partition(".")
    if len(cents) == 2 and yuan.removeprefix("-").isdigit() and cents.isdigit():
        return int(yuan + cents)
    return to_fen(Decimal(text or "0"))


def day_number(day: str | date) -> int:
    """A day as a number that fits ``DAY_BITS``: days since 1 January 1970, within 1970 to 2328."""
    return min(max((day if isinstance(day, date) else date.fromisoformat(day)).toordinal() - 719_163, 0), (1 << 17) - 1)
