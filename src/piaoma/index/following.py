"""Following the log (跟随): every invoice that got its place in the log is taken into the index, in the same order.

The log is what the index follows because it costs the issuing path nothing, has no gaps and never changes order. One
transaction takes in a turn of invoices and moves the cursor, so each is counted exactly once, whatever dies when.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Sequence

from piaoma.store import Database, Row, Transaction

from . import bits
from .entry import DAY_BITS, TOTAL_BITS, TOTAL_ZERO, Entry, day_number, entry_of, taken_terms

TURN_MAX = 512  # invoices taken in by one transaction
WAIT_BOUNDS_S = (10, 30, 60, 120, 300, 600, 3_600, 86_400, 1 << 40)  # from code to invoice

FOLLOWING = """
SELECT l.leaf, i.merchant_id, i.number, i.kind, i.buyer_name, i.buyer_id, i.amount_fen, i.tax_fen, i.total_fen,
       i.remark, i.own_number, i.issued_on, i.issued_at_ms, i.original, i.corrects, i.taken_fen, c.created_at_ms,
       coalesce(nullif(i.person_name, ''), c.created_by, '') AS clerk, coalesce(s.name, m.shop_name) AS shop
FROM log_leaves l
JOIN invoices i ON i.merchant_id = l.merchant_id AND i.number = l.number
JOIN merchants m ON m.merchant_id = l.merchant_id
LEFT JOIN shops s ON s.merchant_id = i.merchant_id AND s.shop_id = i.shop_id
LEFT JOIN codes c ON c.merchant_id = i.merchant_id AND c.code_id = i.code_id
WHERE l.leaf >= $1 AND l.leaf < $2 ORDER BY l.leaf
"""
_CURSOR = "SELECT leaf FROM index_cursor"
_LOG_SIZE = "SELECT size FROM log_checkpoints ORDER BY size DESC LIMIT 1"
_MOVE_CURSOR = "UPDATE index_cursor SET leaf = $2 WHERE leaf = $1"
_TAILS = """
SELECT t.merchant_id, t.block, t.size, t.day_min, t.day_max, t.total_min, t.total_max, t.total_sum, t.days, t.totals
FROM {keys} CROSS JOIN index_blocks t WHERE t.merchant_id = k.a
AND t.block = (SELECT max(block) FROM index_blocks b WHERE b.merchant_id = k.a)
"""
_TERMS = """
SELECT t.merchant_id, t.term, t.block, t.places FROM {keys} CROSS JOIN index_terms t
WHERE t.merchant_id = k.a AND t.term = k.b AND t.block = $2
"""
_CORRECTED = """
SELECT t.merchant_id, t.place, i.taken_fen, i.total_fen FROM {keys} CROSS JOIN index_entries t
JOIN invoices i ON i.merchant_id = t.merchant_id AND i.number = t.number
WHERE t.merchant_id = k.a AND t.number = k.b
"""
_TERMS_BEFORE = """
SELECT t.merchant_id, t.term, t.block, t.places FROM {keys} CROSS JOIN index_terms t
WHERE t.merchant_id = k.a AND t.term = k.b
"""
_KEEP_TERM = """
INSERT INTO index_terms (merchant_id, term, block, places) VALUES ($1, $2, $3, $4)
ON CONFLICT (merchant_id, term, block) DO UPDATE SET places = excluded.places
"""
_KEEP_BLOCK = """
INSERT INTO index_blocks (merchant_id, block, size, day_min, day_max, total_min, total_max, total_sum, days, totals)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (merchant_id, block) DO UPDATE SET size = excluded.size, day_min = excluded.day_min,
  day_max = excluded.day_max, total_min = excluded.total_min, total_max = excluded.total_max,
  total_sum = excluded.total_sum, days = excluded.days, totals = excluded.totals
"""
_KEEP_ENTRY = """
INSERT INTO index_entries (merchant_id, place, number, items, rates, clerk, shop) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_ADD_DAY = """
INSERT INTO index_days (merchant_id, day, kind, colour, clerk, shop, invoices, amount_fen, tax_fen)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (merchant_id, day, kind, colour, clerk, shop) DO UPDATE SET
  invoices = index_days.invoices + excluded.invoices, amount_fen = index_days.amount_fen + excluded.amount_fen,
  tax_fen = index_days.tax_fen + excluded.tax_fen
"""
_ADD_TAX = """
INSERT INTO index_taxes (merchant_id, month, kind, colour, rate, lines, amount_fen, tax_fen)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (merchant_id, month, kind, colour, rate) DO UPDATE SET
  lines = index_taxes.lines + excluded.lines, amount_fen = index_taxes.amount_fen + excluded.amount_fen,
  tax_fen = index_taxes.tax_fen + excluded.tax_fen
"""
_ADD_ITEM = """
INSERT INTO index_items (merchant_id, month, item, invoices, total_fen) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (merchant_id, month, item) DO UPDATE SET
  invoices = index_items.invoices + excluded.invoices, total_fen = index_items.total_fen + excluded.total_fen
"""
_ADD_WAIT = """
INSERT INTO index_waits (merchant_id, day, bound_s, invoices) VALUES ($1, $2, $3, $4)
ON CONFLICT (merchant_id, day, bound_s) DO UPDATE SET invoices = index_waits.invoices + excluded.invoices
"""
TABLES = ("index_entries", "index_terms", "index_blocks", "index_days", "index_taxes", "index_items", "index_waits")


async def behind(database: Database) -> int:
    """How many invoices of all merchants have their place in the log and are not in the index yet."""
    cursor, size = await database.read_by_key(_CURSOR), await database.read_by_key(_LOG_SIZE)
    assert cursor is not None, "the migration made the cursor"
    return max(0, (0 if size is None else int(size[0])) - int(cursor[0]))


async def follow(database: Database, count_max: int = TURN_MAX) -> int:
    """One turn: take in what comes next in the log; how many invoices. Of several processes one does it."""
    row = await database.read_by_key(_CURSOR)
    assert row is not None, "the migration made the cursor"
    cursor = int(row[0])
    rows = await database.read(FOLLOWING, cursor, cursor + count_max)
    if not rows:
        return 0
    entries = await asyncio.to_thread(_entries, rows)
    async with database.write() as transaction:
        # Whoever moves the cursor first holds its row until the end; the other then finds it moved and takes nothing.
        if await transaction.execute(_MOVE_CURSOR, cursor, cursor + len(entries)) != 1:
            return 0
        await _take_in(transaction, database, entries)
    return len(entries)


def _entries(rows: Sequence[Row]) -> list[Entry]:
    entries = [entry_of(row) for row in rows]
    first = entries[0].leaf
    assert [entry.leaf for entry in entries] == list(range(first, first + len(entries))), "the log has no gaps"
    return entries


async def rebuild(database: Database) -> None:
    """Begin again from the first leaf: everything here is derived."""
    async with database.write() as transaction:
        for table in TABLES:
            await transaction.execute(f"DELETE FROM {table}")  # noqa: S608
        await transaction.execute("UPDATE index_cursor SET leaf = 0")


async def _take_in(transaction: Transaction, database: Database, entries: Sequence[Entry]) -> None:
    by_merchant: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_merchant[entry.merchant_id].append(entry)
    keys = json.dumps(sorted(by_merchant))
    rows = await transaction.fetch(_TAILS.format(keys=database.dialect.int_keys), keys)
    tails = {row["merchant_id"]: _Tail.of(row) for row in rows}
    for merchant_id, mine in by_merchant.items():
        tail, start = tails.get(merchant_id) or _Tail(0), 0
        while start < len(mine):
            if tail.days.size == bits.BLOCK:
                tail = _Tail(tail.block + 1)
            part = mine[start : start + bits.BLOCK - tail.days.size]
            await _extend(transaction, database, merchant_id, tail, part)
            start += len(part)
    await _mark_corrected(transaction, database, entries)
    await _sum_up(transaction, entries)


async def _mark_corrected(transaction: Transaction, database: Database, entries: Sequence[Entry]) -> None:
    """What red invoices took back of blue ones that are in the index. One that comes after its red invoice, as those of
    one second may, brings its own marks."""
    keys = json.dumps(sorted({(each.merchant_id, each.corrects) for each in entries if each.corrects is not None}))
    rows = await transaction.fetch(_CORRECTED.format(keys=database.dialect.int_text_keys), keys)
    fresh: dict[tuple[int, str, int], list[int]] = defaultdict(list)
    for row in rows:
        block, place = row["place"] >> bits.BLOCK_BITS, row["place"] & (bits.BLOCK - 1)
        for term in taken_terms(row["taken_fen"], row["total_fen"]):
            fresh[(row["merchant_id"], term, block)].append(place)
    wanted = json.dumps(sorted({(merchant_id, term) for merchant_id, term, _ in fresh}))
    rows = await transaction.fetch(_TERMS_BEFORE.format(keys=database.dialect.int_text_keys), wanted)
    kept = {(row["merchant_id"], row["term"], row["block"]): bits.decode(bytes(row["places"])) for row in rows}
    await transaction.execute_many(
        _KEEP_TERM,
        [(*key, bits.encode(kept.get(key, 0) | bits.from_places(places))) for key, places in sorted(fresh.items())],
    )


class _Tail:
    """The last block of a merchant, which still grows."""

    def __init__(self, block: int) -> None:
        self.block = block
        self.bounds: tuple[int, int, int, int] | None = None  # days, totals
        self.total = 0
        self.days, self.totals = bits.Slices.empty(DAY_BITS), bits.Slices.empty(TOTAL_BITS)

    @classmethod
    def of(cls, row: Row) -> _Tail:
        tail = cls(row["block"])
        tail.bounds = row["day_min"], row["day_max"], row["total_min"], row["total_max"]
        tail.total = row["total_sum"]
        tail.days = bits.Slices.decode(bytes(row["days"]), DAY_BITS, row["size"])
        tail.totals = bits.Slices.decode(bytes(row["totals"]), TOTAL_BITS, row["size"])
        return tail

    def append(self, entries: Sequence[Entry]) -> None:
        days, totals = [day_number(entry.day) for entry in entries], [entry.total_fen for entry in entries]
        old = self.bounds or (days[0], days[0], totals[0], totals[0])
        self.bounds = min(old[0], *days), max(old[1], *days), min(old[2], *totals), max(old[3], *totals)
        self.total += sum(totals)
        self.days.append(days)
        self.totals.append([total + TOTAL_ZERO for total in totals])


async def _extend(
    transaction: Transaction, database: Database, merchant_id: int, tail: _Tail, entries: Sequence[Entry]
) -> None:
    """Give entries the next places of a block."""
    first = tail.days.size
    fresh: dict[str, list[int]] = defaultdict(list)
    for place, entry in enumerate(entries, first):
        for term in entry.terms:
            fresh[term].append(place)
    keys = json.dumps([(merchant_id, term) for term in fresh])
    rows = await transaction.fetch(_TERMS.format(keys=database.dialect.int_text_keys), keys, tail.block)
    kept = {row["term"]: bytes(row["places"]) for row in rows}
    await transaction.execute_many(
        _KEEP_TERM,
        [(merchant_id, term, tail.block, bits.extended(kept.get(term), fresh[term])) for term in sorted(fresh)],
    )
    tail.append(entries)
    assert tail.bounds is not None
    await transaction.execute_many(
        _KEEP_BLOCK,
        [(merchant_id, tail.block, tail.days.size, *tail.bounds, tail.total, tail.days.encode(), tail.totals.encode())],
    )
    base = tail.block << bits.BLOCK_BITS
    await transaction.execute_many(
        _KEEP_ENTRY,
        [
            (merchant_id, base + place, each.number, "\n".join(each.items), _rates(each), each.clerk, each.shop)
            for place, each in enumerate(entries, first)
        ],
    )


def _rates(entry: Entry) -> str:
    return json.dumps([(rate, amount, tax) for rate, (_, amount, tax) in entry.rates.items()])


async def _sum_up(transaction: Transaction, entries: Sequence[Entry]) -> None:
    """Add the entries to the figures of their days and months."""
    days: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    taxes: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    items: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0, 0])
    waits: Counter[tuple[object, ...]] = Counter()
    for each in entries:
        day = (each.merchant_id, each.day, each.kind, each.colour, each.clerk, each.shop)
        _add(days[day], 1, each.amount_fen, each.tax_fen)
        month = each.day[:7]
        for rate, figures in each.rates.items():
            _add(taxes[(each.merchant_id, month, each.kind, each.colour, rate)], *figures)
        for item in each.items:
            _add(items[(each.merchant_id, month, item)], 1, each.total_fen)
        if each.wait_s is not None:
            bound = next(bound for bound in WAIT_BOUNDS_S if each.wait_s < bound)
            waits[(each.merchant_id, each.day, bound)] += 1
    for statement, sums in ((_ADD_DAY, days), (_ADD_TAX, taxes), (_ADD_ITEM, items)):
        await transaction.execute_many(statement, [(*key, *sums[key]) for key in sorted(sums)])
    if waits:
        await transaction.execute_many(_ADD_WAIT, [(*key, count) for key, count in sorted(waits.items())])


def _add(sums: list[int], *figures: int) -> None:
    for index, figure in enumerate(figures):
        sums[index] += figure
