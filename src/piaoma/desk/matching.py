"""Matching (勾对): payments against sales, by order number, then by amount and time. Pure, and the same each time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

BEFORE_MS = 30 * 60_000  # a code may be made so long before its payment is noted
AFTER_MS = 24 * 3_600_000  # and so long after
ORDER_CHARS_MIN = 4  # of an order number that is looked for in remarks; shorter ones stand everywhere


class Match(StrEnum):
    """What became of a payment."""

    MATCHED = "matched"
    WAITING = "waiting"  # its code is made; no invoice yet
    MISSING = "missing"  # neither code nor invoice
    DOUBLE = "double"  # its order number has several invoices
    DIFFERING = "differing"  # the invoice of its order number has another amount


class Payment(msgspec.Struct, frozen=True):
    """A payment; ``amount_fen`` below zero is a refund, which belongs to a red invoice."""

    payment_id: str
    order_number: str
    paid_at_ms: int
    amount_fen: int


class Sale(msgspec.Struct, frozen=True):
    """An invoice, or a code without one (``number`` empty). ``references`` are what names it elsewhere."""

    number: str
    code_id: int | None
    total_fen: int
    at_ms: int
    references: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, int | None]:
        return (self.number, None if self.number else self.code_id)


class Matched(msgspec.Struct, frozen=True):
    """A payment's match: the invoice or code, and further invoices of the same order."""

    state: Match
    sale: Sale | None = None
    others: tuple[str, ...] = ()


def match(payments: Sequence[Payment], sales: Sequence[Sale]) -> dict[str, Matched]:
    """What became of each payment, by its id. A sale is given to one payment at most."""
    found: dict[str, Matched] = {}
    used: set[tuple[str, int | None]] = set()
    by_order = _by_reference(sales)
    for payment in payments:
        named = [sale for sale in by_order.get(payment.order_number, ()) if sale.key not in used]
        named = [sale for sale in named if (sale.total_fen < 0) == (payment.amount_fen < 0)]
        if named:
            found[payment.payment_id] = one = _by_order(payment, named)
            used.update(sale.key for sale in named)
            assert one.sale is not None, "an order that is named has a sale"
    for issued in (True, False):
        rest = [payment for payment in payments if payment.payment_id not in found]
        free = [sale for sale in sales if sale.key not in used and bool(sale.number) == issued]
        for payment_id, sale in _by_amount(rest, free).items():
            found[payment_id] = Matched(Match.MATCHED if issued else Match.WAITING, sale)
            used.add(sale.key)
    return {payment.payment_id: found.get(payment.payment_id, Matched(Match.MISSING)) for payment in payments}


def _by_reference(sales: Iterable[Sale]) -> Mapping[str, list[Sale]]:
    named: dict[str, list[Sale]] = defaultdict(list)
    for sale in sales:
        for reference in set(sale.references):
            if len(reference) >= ORDER_CHARS_MIN:
                named[reference].append(sale)
    return named


def _by_order(payment: Payment, named: Sequence[Sale]) -> Matched:
    issued = [sale for sale in named if sale.number]
    if not issued:
        return Matched(Match.WAITING, named[0])
    exact = [sale for sale in issued if sale.total_fen == payment.amount_fen]
    first = (exact or issued)[0]
    others = tuple(sale.number for sale in issued if sale is not first)
    if others:
        return Matched(Match.DOUBLE, first, others)
    return Matched(Match.MATCHED if exact else Match.DIFFERING, first)


def _by_amount(payments: Iterable[Payment], sales: Iterable[Sale]) -> dict[str, Sale]:
    """Of equal amounts each payment in turn gets the first sale that lies near enough: as many as can be are matched,
    since all spans are equally long."""
    waiting: dict[int, list[Payment]] = defaultdict(list)
    for payment in payments:
        waiting[payment.amount_fen].append(payment)
    offered: dict[int, list[Sale]] = defaultdict(list)
    for sale in sales:
        offered[sale.total_fen].append(sale)
    found = {}
    for amount, here in waiting.items():
        there = sorted(offered.get(amount, ()), key=lambda sale: (sale.at_ms, sale.number))
        place = 0
        for payment in sorted(here, key=lambda one: (one.paid_at_ms, one.payment_id)):
            while place < len(there) and there[place].at_ms < payment.paid_at_ms - BEFORE_MS:
                place += 1
            if place < len(there) and there[place].at_ms <= payment.paid_at_ms + AFTER_MS:
                found[payment.payment_id] = there[place]
                place += 1
    return found
