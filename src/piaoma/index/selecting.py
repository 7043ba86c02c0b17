"""Finding (查找): the invoices of a merchant that fit every condition at once, with their count and sum.

A condition on words, clerk, kind … is a set of places that is kept; one on days or totals is worked out from slices.
Sets are ANDed block by block, so that a search of a million invoices reads a few hundred small values and no invoice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import date

import msgspec

from piaoma.store import Database, Row

from . import bits
from .entry import BLUE, DAY_BITS, RED, TAKEN_ALL, TAKEN_SOME, TOTAL_BITS, TOTAL_ZERO, day_number
from .terms import Words, normal, words_of

VERIFY_MAX = 1_000  # invoices whose texts are looked at before a search is answered
FETCH = 500  # entries read at a time


# What of a blue invoice was taken back: the terms that it has, and those that it has not.
STATES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "issued": ((f"colour:{BLUE}",), (TAKEN_SOME,)),
    "partly_red": ((TAKEN_SOME,), (TAKEN_ALL,)),
    "wholly_red": ((TAKEN_ALL,), ()),
    "red": ((f"colour:{RED}",), ()),
}


class Wanted(msgspec.Struct, frozen=True):
    """What to look for; empty fields do not matter. Days and totals (fen) include both ends."""

    text: str = ""
    since: date | None = None
    until: date | None = None
    total_min: int | None = None
    total_max: int | None = None
    kind: str = ""
    colour: str = ""
    clerk: str | None = None
    shop: str | None = None
    rate: str = ""
    item: str = ""
    state: str = ""  # one of STATES
    numbers: tuple[str, ...] = ()  # these alone, when there are any

    @property
    def facets(self) -> list[str]:
        """The terms that stand for the chosen values."""
        chosen = {
            "kind": self.kind or None, "colour": self.colour or None, "clerk": self.clerk, "shop": self.shop,
            "rate": self.rate or None, "item": self.item or None,
        }  # fmt: skip
        wanted, _ = STATES.get(self.state, ((), ()))
        return [f"{name}:{value}" for name, value in chosen.items() if value is not None] + list(wanted)

    @property
    def without(self) -> tuple[str, ...]:
        """Terms that an invoice must not have."""
        return STATES.get(self.state, ((), ()))[1]


class Found(msgspec.Struct, frozen=True):
    """An invoice that was found. Figures in fen; ``rates`` is rate, amount, tax."""

    place: int
    number: str
    kind: str
    buyer_name: str
    buyer_id: str
    amount_fen: int
    tax_fen: int
    total_fen: int
    remark: str
    issued_on: str
    issued_at_ms: int
    code_id: int | None
    items: str
    rates: tuple[tuple[str, int, int], ...]
    clerk: str
    shop: str
    corrects: str | None  # of a red invoice: the blue one
    taken_fen: int  # that red invoices took back of it, tax-inclusive
    own_number: str = ""  # the merchant's order number


class Selection(msgspec.Struct, frozen=True):
    """All that fits, as sets. ``count`` and ``total_fen`` are those of the sets; where ``exact`` is false some of the
    invoices have all parts of the words and not the words: those are left out when they are read."""

    merchant_id: int
    blocks: tuple[tuple[int, int], ...]  # block, set; the newest first
    count: int
    total_fen: int
    exact: bool
    words: tuple[str, ...]


_BLOCKS = """
SELECT block, size, day_min, day_max, total_min, total_max, total_sum FROM index_blocks
WHERE merchant_id = $1 ORDER BY block DESC
"""
_TERMS = """
SELECT t.term, t.block, t.places FROM {keys} CROSS JOIN index_terms t WHERE t.merchant_id = k.a AND t.term = k.b
"""
_SLICES = """
SELECT t.block, t.{column} FROM {keys} CROSS JOIN index_blocks t WHERE t.merchant_id = k.a AND t.block = k.b
"""
_NUMBERS = """
SELECT t.place FROM {keys} CROSS JOIN index_entries t WHERE t.merchant_id = k.a AND t.number = k.b
"""
ENTRIES = """
SELECT t.place, t.number, i.kind, i.buyer_name, i.buyer_id, i.amount_fen, i.tax_fen, i.total_fen, i.remark, i.issued_on,
       i.issued_at_ms, i.code_id, t.items, t.rates, t.clerk, t.shop, i.corrects, i.taken_fen,
       i.own_number
FROM {keys} CROSS JOIN index_entries t JOIN invoices i ON i.merchant_id = t.merchant_id AND i.number = t.number
WHERE t.merchant_id = k.a AND t.place = k.b ORDER BY t.place DESC
"""


async def select(database: Database, merchant_id: int, wanted: Wanted) -> Selection:
    """Everything of a merchant that fits."""
    blocks = await database.read(_BLOCKS, merchant_id)
    words = words_of(wanted.text)
    sets = {row["block"]: (1 << row["size"]) - 1 for row in blocks}
    for group in ([*words.terms], wanted.facets):
        if group and sets:
            await _narrow_by_terms(database, merchant_id, sets, group)
    if wanted.without and sets:
        await _drop(database, merchant_id, sets, wanted.without)
    if wanted.numbers:
        await _narrow_by_numbers(database, merchant_id, sets, wanted.numbers)
    by_block = {row["block"]: row for row in blocks}
    day_min = None if wanted.since is None else day_number(wanted.since)
    day_max = None if wanted.until is None else day_number(wanted.until)
    await _narrow_by_range(database, merchant_id, sets, by_block, "day", day_min, day_max)
    await _narrow_by_range(database, merchant_id, sets, by_block, "total", wanted.total_min, wanted.total_max)
    found = await _summed(database, merchant_id, sets, by_block, words)
    if not found.exact and found.count <= VERIFY_MAX:
        return await _verified(database, found)
    return found


async def _narrow_by_terms(database: Database, merchant_id: int, sets: dict[int, int], terms: Sequence[str]) -> None:
    keys = json.dumps([(merchant_id, term) for term in dict.fromkeys(terms)])
    rows = await database.read(_TERMS.format(keys=database.dialect.int_text_keys), keys)

    def narrow() -> None:
        held: dict[int, list[bytes]] = {}
        for row in rows:
            held.setdefault(row["block"], []).append(bytes(row["places"]))
        for block in list(sets):
            parts = held.get(block, [])
            if len(parts) < len(set(terms)):  # a term that no invoice of the block has
                del sets[block]
                continue
            places = sets[block]
            for part in sorted(parts, key=len):
                places &= bits.decode(part)
                if not places:
                    break
            _keep(sets, block, places)

    await asyncio.to_thread(narrow)


async def _drop(database: Database, merchant_id: int, sets: dict[int, int], terms: Sequence[str]) -> None:
    """Leave out what has one of the terms; they are few."""
    keys = json.dumps([(merchant_id, term) for term in terms])
    for row in await database.read(_TERMS.format(keys=database.dialect.int_text_keys), keys):
        if row["block"] in sets:
            _keep(sets, row["block"], sets[row["block"]] & ~bits.decode(bytes(row["places"])))


def _keep(sets: dict[int, int], block: int, places: int) -> None:
    if places:
        sets[block] = places
    else:
        sets.pop(block, None)


async def _narrow_by_numbers(
    database: Database, merchant_id: int, sets: dict[int, int], numbers: Sequence[str]
) -> None:
    keys = json.dumps([(merchant_id, number) for number in numbers])
    rows = await database.read(_NUMBERS.format(keys=database.dialect.int_text_keys), keys)
    chosen: dict[int, int] = {}
    for row in rows:
        block = row["place"] >> bits.BLOCK_BITS
        chosen[block] = chosen.get(block, 0) | 1 << (row["place"] & (bits.BLOCK - 1))
    for block in list(sets):
        _keep(sets, block, sets[block] & chosen.get(block, 0))


async def _narrow_by_range(
    database: Database, merchant_id: int, sets: dict[int, int], blocks: dict[int, Row], what: str,
    least: int | None, most: int | None,
) -> None:  # fmt: skip
    """Blocks that lie within or without as a whole need no slices: of a range of days at most two are left."""
    if least is None and most is None:
        return
    mixed = []
    for block in list(sets):
        low, high = blocks[block][f"{what}_min"], blocks[block][f"{what}_max"]
        if (least is not None and high < least) or (most is not None and low > most):
            del sets[block]
        elif (least is not None and low < least) or (most is not None and high > most):
            mixed.append(block)
    shift, width = (0, DAY_BITS) if what == "day" else (TOTAL_ZERO, TOTAL_BITS)
    slices = await _slices(database, merchant_id, mixed, "days" if what == "day" else "totals")

    def narrow() -> None:
        for block, data in slices.items():
            numbers = bits.Slices.decode(data, width, blocks[block]["size"])
            within = numbers.between(None if least is None else least + shift, None if most is None else most + shift)
            _keep(sets, block, sets[block] & within)

    await asyncio.to_thread(narrow)


async def _slices(database: Database, merchant_id: int, blocks: Sequence[int], column: str) -> dict[int, bytes]:
    if not blocks:
        return {}
    statement = _SLICES.format(column=column, keys=database.dialect.int_int_keys)
    rows = await database.read(statement, json.dumps([(merchant_id, block) for block in blocks]))
    return {row[0]: bytes(row[1]) for row in rows}


async def _summed(
    database: Database, merchant_id: int, sets: dict[int, int], blocks: dict[int, Row], words: Words
) -> Selection:
    whole = [block for block, places in sets.items() if places == (1 << blocks[block]["size"]) - 1]
    rest = [block for block in sets if block not in set(whole)]
    slices = await _slices(database, merchant_id, rest, "totals")

    def total_of() -> int:
        total = sum(int(blocks[block]["total_sum"]) for block in whole)
        for block in rest:
            numbers = bits.Slices.decode(slices[block], TOTAL_BITS, blocks[block]["size"])
            total += numbers.sum(sets[block]) - sets[block].bit_count() * TOTAL_ZERO
        return total

    total = await asyncio.to_thread(total_of)
    newest_first = tuple(sorted(sets.items(), reverse=True))
    count = sum(places.bit_count() for places in sets.values())
    return Selection(merchant_id, newest_first, count, total, words.exact or not count, words.words)


async def _verified(database: Database, found: Selection) -> Selection:
    """The same without those that have only the parts of the words."""
    sets: dict[int, int] = {}
    count = total = 0
    async for one in read(database, found):
        block = one.place >> bits.BLOCK_BITS
        sets[block] = sets.get(block, 0) | 1 << (one.place & (bits.BLOCK - 1))
        count, total = count + 1, total + one.total_fen
    return Selection(found.merchant_id, tuple(sorted(sets.items(), reverse=True)), count, total, True, found.words)


async def read(database: Database, found: Selection, before: int | None = None) -> AsyncIterator[Found]:
    """The invoices of a selection, newest first, those alone that have the words; from below a place when one is given.
    However many there are, only ``FETCH`` are held at a time."""
    async for part in read_parts(database, found, before):
        for one in part:
            yield one


async def read_parts(
    database: Database, found: Selection, before: int | None = None, first: int = FETCH
) -> AsyncIterator[list[Found]]:
    """The same in parts, the first of which looks at ``first`` places."""
    statement = ENTRIES.format(keys=database.dialect.int_int_keys)
    waiting: list[int] = []
    length = first
    for block, places in found.blocks:
        base = block << bits.BLOCK_BITS
        if before is not None and before < base + bits.BLOCK:
            places &= (1 << max(0, before - base)) - 1
        for place in bits.places_of(places):
            waiting.append(base + place)
            if len(waiting) == length:
                yield await _entries(database, statement, found, waiting)
                waiting, length = [], FETCH
    if waiting:
        yield await _entries(database, statement, found, waiting)


async def _entries(database: Database, statement: str, found: Selection, places: Sequence[int]) -> list[Found]:
    rows = await database.read(statement, json.dumps([(found.merchant_id, place) for place in places]))
    entries = [_found(row) for row in rows]
    return entries if found.exact or not found.words else [one for one in entries if holds(one, found.words)]


def _found(row: Row) -> Found:
    rates = tuple((rate, amount, tax) for rate, amount, tax in msgspec.json.decode(row["rates"]))
    return Found(
        row["place"], row["number"], row["kind"], row["buyer_name"], row["buyer_id"], row["amount_fen"], row["tax_fen"],
        row["total_fen"], row["remark"], row["issued_on"], row["issued_at_ms"], row["code_id"], row["items"], rates,
        row["clerk"], row["shop"], row["corrects"], row["taken_fen"], row["own_number"],
    )  # fmt: skip


def holds(one: Found, words: Sequence[str]) -> bool:
    """Whether each word stands in one of the texts."""
    texts = normal("\n".join((one.number, one.buyer_name, one.buyer_id, one.remark, one.items, one.own_number)))
    return all(word in texts for word in words)
