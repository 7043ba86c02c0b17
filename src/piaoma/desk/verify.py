"""Verifying (查验) at the site that issues: what a file says by itself, and what the records and the log know of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import msgspec

from piaoma.documents.check import CHECK_SECONDS_MAX, Trusted, check
from piaoma.documents.facts import Facts, disagreements, merged, number_faults
from piaoma.documents.receiving import (
    Batch,
    Company,
    held_item,
    key_of,
    offline_items,
    seen_before,
    settled,
    title_item,
)
from piaoma.documents.report import Item, Light, Report, Source, item
from piaoma.invoice.issued import SANDBOX_PROVINCE
from piaoma.invoice.money import from_fen
from piaoma.invoice.red import BlueState
from piaoma.invoice.refusal import Refusal, refuse
from piaoma.invoice.taxpayer_id import mask_name
from piaoma.store import Database, Row, Transaction, milliseconds, write_block
from piaoma.trust import Verdict

from .relations import standing

if TYPE_CHECKING:
    from .merchant import Merchant
    from .office import Office

REQUESTS_MAX = 50  # whose files are checked or wait for it, in a process
BUSY_SECONDS = 10  # after which who was sent away may come again
PREFIX_DIGITS = 5  # of a number; the rest is its place in a block


class File(msgspec.Struct, frozen=True):
    """A file as it was sent."""

    name: str
    data: bytes


async def verify_files(office: Office, files: Sequence[File], reader: Merchant | None = None) -> list[Report]:
    """A report on each file. ``reader`` is who received them, when known: duplicates and the title are told then.

    Files of one request are read one after the other, so that a large batch does not make others wait for all of it.
    Raises ``Refused`` VERIFY-BUSY when too many wait.
    """
    if office.checking >= REQUESTS_MAX:
        raise refuse("VERIFY-BUSY", seconds=BUSY_SECONDS)
    office.checking += 1
    try:
        batch, told = Batch(), []
        for file in files:
            report = await _checked(office, file)
            twice = batch.seen(report, file.name) if len(files) > 1 else None
            known = await with_records(office.database, office.now(), report)
            told.append(await _received(office, known, reader, twice))
        return told
    finally:
        office.checking -= 1


async def _checked(office: Office, file: File) -> Report:
    """What a file says by itself."""
    keys = tuple(key.line() for key in office.log_keys.values())
    trusted = Trusted(office.roots, keys, office.config.base_url)
    waited = asyncio.ensure_future(office.checkers.run(CHECK_SECONDS_MAX, check, file.data, trusted))
    try:
        await asyncio.wait((waited,))
    finally:
        waited.cancel()  # whoever asked may have gone
    return settled(waited.result)


async def verify_typed(office: Office, facts: Facts, reader: Merchant | None = None) -> Report:
    """A report on a number, a date and an amount that somebody typed."""
    faults = number_faults(facts)
    light = item("number", faults)
    if not faults and facts.number[2:4] == SANDBOX_PROVINCE:
        light = item("number", (Refusal("INSPECT-SANDBOX"),), Light.WARN)
    report = await with_records(office.database, office.now(), Report(Source.TYPED, (light,), facts))
    return await _received(office, report, reader, None)


async def with_records(database: Database, now: datetime, report: Report) -> Report:
    """The same with what a store knows: the record, the log, whether it was reversed or replaced."""
    if not report.facts.number:
        return report
    items = {one.name: one for one in offline_items()}
    record = await _find(database, report.facts)
    if record is None:
        items["record"] = item("record", (Refusal("RECORD-NONE"),), Light.UNKNOWN)
    else:
        items["record"] = about = _judged(report, record, now)
        if about.light is Light.OK:
            items["log"] = await _logged(database, record, now)
            items["red"] = await _reversed(database, record, now)
            if not report.digest:
                report = msgspec.structs.replace(report, facts=merged(report.facts, _masked(record)))
    if report.source is Source.BUNDLE:
        del items["log"]  # it proves by itself whether it is there
    return report.with_items(items.values())


async def _received(office: Office, report: Report, reader: Merchant | None, twice: Item | None) -> Report:
    """The same for who received it: seen before, and whether it is made out to them."""
    key = key_of(report.facts)
    if reader is None or not key or report.verdict is Verdict.INVALID:
        return report.with_items([twice] if twice else [])
    if twice is None or twice.light is Light.OK:
        twice = await _remembered(office, reader.merchant_id, key)
    return report.with_items([twice, title_item(report.facts, Company(reader.name, reader.taxpayer_id))])


# ── records ───────────────────────────────────────────────────────────────────────────────────────────────────────

_BLOCK = """
SELECT merchant_id, last_sequence FROM number_blocks
WHERE prefix = $1 AND first_sequence <= $2 ORDER BY first_sequence DESC LIMIT 1
"""
_SELLER = "SELECT merchant_id FROM merchants WHERE taxpayer_id = $1"
_RECORD = """
SELECT i.merchant_id, i.number, i.issued_on, i.total_fen, i.issued_at_ms, i.digest, i.buyer_name, m.name
FROM invoices i JOIN merchants m ON m.merchant_id = i.merchant_id
WHERE i.merchant_id = $1 AND i.number = $2
"""


async def _find(database: Database, facts: Facts) -> Row | None:
    """The invoice of a number. Whose it is, its block tells; for a number that came from elsewhere, the seller does."""
    number = facts.number
    if len(number) != 20 or not (number.isascii() and number.isdigit()):
        return None
    prefix, sequence = number[:PREFIX_DIGITS], int(number[PREFIX_DIGITS:])
    block = await database.read_by_key(_BLOCK, prefix, sequence)
    holders = [block[0]] if block is not None and sequence <= block[1] else []
    if not holders and facts.seller_id:
        seller = await database.read_by_key(_SELLER, facts.seller_id)
        holders = [seller[0]] if seller is not None else []
    return await database.read_by_key(_RECORD, holders[0], number) if holders else None


def _judged(report: Report, record: Row, now: datetime) -> Item:
    """Whether a record is of just this invoice. Which field differs is not told: a stranger could try amounts."""
    stated = Facts(number=record["number"], issued_on=_day(record["issued_on"]), total=from_fen(record["total_fen"]))
    same = not any(disagreements(stated, report.facts)) and report.facts.total is not None
    if not same or (report.digest and report.digest != record["digest"]):
        return item("record", (Refusal("RECORD-DIFFERS"),))
    when = _shown(_moment(now, record["issued_at_ms"]))
    return item("record", when=when, form="original") if report.digest else item("record", when=when)


def _masked(record: Row) -> Facts:
    """The parties as a stranger may see them."""
    return Facts(buyer_name=mask_name(record["buyer_name"]), seller_name=mask_name(record["name"]))


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone


def _moment(now: datetime, at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, now.tzinfo)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


# ── log ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_LEAF = "SELECT leaf FROM log_leaves WHERE merchant_id = $1 AND number = $2"
_CHECKPOINT = "SELECT signed_at_ms FROM log_checkpoints WHERE size > $1 ORDER BY size LIMIT 1"


async def _logged(database: Database, record: Row, now: datetime) -> Item:
    """Whether and since when an invoice is in the log."""
    leaf = await database.read_by_key(_LEAF, record["merchant_id"], record["number"])
    signed = None if leaf is None else await database.read_by_key(_CHECKPOINT, leaf[0])
    if leaf is None or signed is None:
        return item("log", (Refusal("LOG-NOT-YET"),), Light.UNKNOWN)
    return item("log", form="since", leaf=str(leaf[0]), when=_shown(_moment(now, signed[0])))


# ── corrections ───────────────────────────────────────────────────────────────────────────────────────────────────


async def _reversed(database: Database, record: Row, now: datetime) -> Item:
    """Whether an invoice was taken back, as a whole or in part; what replaced it is not told to strangers."""
    known = await standing(database, record["merchant_id"], record["number"])
    if known is None or (known.state is BlueState.NORMAL and not known.is_red):
        return item("red", when=_shown(now))
    if known.is_red:
        return item("red", form="itself", number=known.corrects)
    assert known.changed_at is not None, "what was taken back has a red invoice"
    when = {"when": _shown(known.changed_at.astimezone(now.tzinfo))}
    if known.state is BlueState.RED:
        # Genuine, and worth nothing any more: whoever would pay for it must not read 通过.
        return item("red", (Refusal("RED-TAKEN-BACK", "", when),), Light.BAD)
    return item("red", (Refusal("RED-TAKEN-BACK-PARTLY", "", when),), Light.WARN)


# ── the receiver's books ──────────────────────────────────────────────────────────────────────────────────────────

_REMEMBER = """
INSERT INTO received (merchant_id, number, first_at_ms, last_at_ms, times) VALUES ($1, $2, $3, $3, 1)
ON CONFLICT (merchant_id, number) DO UPDATE SET last_at_ms = excluded.last_at_ms, times = received.times + 1
RETURNING first_at_ms, times
"""


_HELD = """
SELECT voucher, decided_by, decided_at_ms FROM received_invoices
WHERE merchant_id = $1 AND number = $2 AND state = 'booked'
"""


async def _remembered(office: Office, merchant_id: int, key: str) -> Item:
    """Note that a receiver checked a number, and say whether that was the first time."""
    now_ms = milliseconds(office.now())

    async def work(transaction: Transaction) -> Row:
        return (await transaction.fetch(_REMEMBER, merchant_id, key, now_ms))[0]

    row = await write_block(office.database, work)
    held = await office.database.read_by_key(_HELD, merchant_id, key)
    if held is not None:
        return held_item(_moment(office.now(), held[2]), held[1], held[0])
    return item("seen") if row[1] == 1 else seen_before(_moment(office.now(), row[0]), int(row[1]))
