"""The buyer book (客户资料): the companies that a merchant invoices, from what was issued and by hand.

Persons are not kept: their names are needed once. What was issued is read from the log, in its order and each once, as
the index reads it; the book costs the issuing path nothing.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec
import structlog

from piaoma.invoice import taxpayer_id
from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.initials import initials
from piaoma.invoice.original_reader import read
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, refuse, refuse_all
from piaoma.invoice.rules import parties
from piaoma.store import LogFault, Row, WriteConflict, milliseconds

from .deliver import check_address
from .events import Actor, record
from .filters import like
from .log import sequence_once
from .turns import take_turns

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 50  # of a page
SUGGESTED_MAX = 8
FOLLOW_MAX = 1_024  # invoices taken in at a time
FOLLOW_SECONDS = 2.0  # between two looks at the log

_log = structlog.get_logger("piaoma.buyers")


class BookedBuyer(msgspec.Struct, frozen=True):
    """A row of the book."""

    buyer_id: int
    buyer: Buyer
    email: str
    by_hand: bool
    used_at_ms: int


_COLUMNS = "buyer_id, name, taxpayer_id, address, phone, bank, account, email, by_hand, used_at_ms"
_LAST = f"SELECT {_COLUMNS} FROM buyers WHERE merchant_id = $1 ORDER BY used_at_ms DESC, buyer_id LIMIT $2"  # noqa: S608
_ONE = f"SELECT {_COLUMNS} FROM buyers WHERE merchant_id = $1 AND buyer_id = $2"  # noqa: S608
_FIND = f"""
SELECT {_COLUMNS} FROM buyers WHERE merchant_id = $1 AND (lower(name) LIKE $2 ESCAPE '!' OR initials LIKE $2 ESCAPE '!'
  OR lower(taxpayer_id) LIKE $2 ESCAPE '!')
ORDER BY CASE WHEN lower(name) LIKE $3 ESCAPE '!' OR initials LIKE $3 ESCAPE '!' THEN 0 ELSE 1 END,
         used_at_ms DESC, buyer_id LIMIT $4
"""  # noqa: S608


def _booked(row: Row) -> BookedBuyer:
    buyer = Buyer(row["name"], row["taxpayer_id"], row["address"], row["phone"], row["bank"], row["account"])
    return BookedBuyer(row["buyer_id"], buyer, row["email"], bool(row["by_hand"]), row["used_at_ms"])


async def list_buyers(office: Office, merchant_id: int, limit: int = LIST_MAX) -> list[BookedBuyer]:
    """Those that were invoiced or changed last."""
    await catch_up(office)
    return [_booked(row) for row in await office.database.read(_LAST, merchant_id, limit)]


async def find_buyers(office: Office, merchant_id: int, typed: str, limit: int = SUGGESTED_MAX) -> list[BookedBuyer]:
    """Whose name, pinyin initials or taxpayer id hold what is typed; those that begin with it first."""
    wanted = typed.strip().lower()
    if not wanted:
        return await list_buyers(office, merchant_id, limit)
    await catch_up(office)
    rows = await office.database.read(_FIND, merchant_id, like(wanted), like(wanted)[1:], limit)
    return [_booked(row) for row in rows]


async def all_buyers(office: Office, merchant_id: int) -> list[BookedBuyer]:
    """Every company: for looking at all of them, not for a page."""
    rows = await office.database.read(f"SELECT {_COLUMNS} FROM buyers WHERE merchant_id = $1", merchant_id)  # noqa: S608
    return [_booked(row) for row in rows]


async def buyer_of(office: Office, merchant_id: int, buyer_id: int) -> BookedBuyer:
    """Raises ``Refused`` BUYER-NOT-FOUND."""
    row = await office.database.read_by_key(_ONE, merchant_id, buyer_id)
    if row is None:
        raise refuse("BUYER-NOT-FOUND")
    return _booked(row)


def faults_of(buyer: Buyer) -> list[Refusal]:
    """What is wrong with a company in the book: the rules of a 普票, and it needs a number."""
    return parties.check_buyer(buyer, InvoiceKind.GENERAL)


async def save_buyer(office: Office, by: Actor, buyer: Buyer, email: str, buyer_id: int | None) -> int:
    """Add a company, or change one; its number. Raises ``Refused`` with every fault, BUYER-TWICE, BUYER-NOT-FOUND."""
    buyer = msgspec.structs.replace(buyer, natural_person=False)
    email = check_address(email) if email else ""
    refuse_all(faults_of(buyer))
    now_ms = milliseconds(office.now())
    row = _row(by.merchant_id, secrets.randbits(40) if buyer_id is None else buyer_id, buyer, email, now_ms)
    async with office.database.write() as transaction:
        twice = await transaction.fetch(_TWICE, by.merchant_id, buyer.name, buyer.taxpayer_id)
        if twice and twice[0][0] != buyer_id:
            raise refuse("BUYER-TWICE", "buyer.name")
        if not await transaction.execute(_INSERT_BY_HAND if buyer_id is None else _UPDATE, *row):
            raise refuse("BUYER-NOT-FOUND")
        after = {"taxpayer_id": buyer.taxpayer_id, "account": buyer.account, "email": email}
        await record(transaction, by, office.now(), "buyer.save", buyer.name, after=after)
    return int(str(row[1]))


async def remove_buyer(office: Office, by: Actor, buyer_id: int) -> None:
    """Take a company off the book; what was issued stays, and the next invoice brings it back. BUYER-NOT-FOUND."""
    async with office.database.write() as transaction:
        found = await transaction.fetch(_ONE, by.merchant_id, buyer_id)
        if not found:
            raise refuse("BUYER-NOT-FOUND")
        await transaction.execute(
            "DELETE FROM buyers WHERE merchant_id = $1 AND buyer_id = $2", by.merchant_id, buyer_id
        )
        await record(transaction, by, office.now(), "buyer.remove", found[0]["name"])


def _row(merchant_id: int, buyer_id: int, buyer: Buyer, email: str, used_at_ms: int) -> tuple[object, ...]:
    """The columns of ``_INSERT``."""
    return (
        merchant_id, buyer_id, buyer.name, buyer.taxpayer_id, buyer.address, buyer.phone, buyer.bank, buyer.account,
        email, initials(buyer.name), used_at_ms,
    )  # fmt: skip


_TWICE = "SELECT buyer_id FROM buyers WHERE merchant_id = $1 AND name = $2 AND taxpayer_id = $3"
_INSERT_BY_HAND = """
INSERT INTO buyers (merchant_id, buyer_id, name, taxpayer_id, address, phone, bank, account, email, initials,
                    used_at_ms, by_hand) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1)
"""
_UPDATE = """
UPDATE buyers SET name = $3, taxpayer_id = $4, address = $5, phone = $6, bank = $7, account = $8, email = $9,
                  initials = $10, used_at_ms = $11, by_hand = 1 WHERE merchant_id = $1 AND buyer_id = $2
"""
# What was issued fills what the book does not know yet; what somebody typed in by hand stays as he typed it.
_TAKE = """
INSERT INTO buyers (merchant_id, buyer_id, name, taxpayer_id, address, phone, bank, account, email, initials,
                    used_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (merchant_id, name, taxpayer_id) DO UPDATE SET
  used_at_ms = CASE WHEN buyers.used_at_ms < excluded.used_at_ms THEN excluded.used_at_ms ELSE buyers.used_at_ms END,
  address = CASE WHEN buyers.address = '' THEN excluded.address ELSE buyers.address END,
  phone = CASE WHEN buyers.phone = '' THEN excluded.phone ELSE buyers.phone END,
  bank = CASE WHEN buyers.bank = '' THEN excluded.bank ELSE buyers.bank END,
  account = CASE WHEN buyers.account = '' THEN excluded.account ELSE buyers.account END
"""
_CURSOR = "SELECT leaf FROM buyers_cursor"
_MOVE = "UPDATE buyers_cursor SET leaf = $2 WHERE leaf = $1"
# Originals are large, and of many invoices to one buyer only the newest is read: they are fetched by themselves.
_LEAVES = "SELECT count(*) FROM log_leaves WHERE leaf >= $1 AND leaf < $2"
_NEWEST = """
SELECT i.merchant_id, i.buyer_name, i.buyer_id, max(l.leaf) AS leaf
FROM log_leaves l JOIN invoices i ON i.merchant_id = l.merchant_id AND i.number = l.number
WHERE l.leaf >= $1 AND l.leaf < $2 AND i.buyer_id <> '' AND i.total_fen >= 0
GROUP BY i.merchant_id, i.buyer_name, i.buyer_id
"""
_ORIGINAL = """
SELECT i.original, i.issued_at_ms
FROM log_leaves l JOIN invoices i ON i.merchant_id = l.merchant_id AND i.number = l.number WHERE l.leaf = $1
"""


async def keep_buyers(office: Office) -> None:
    """Follow the log until cancelled."""
    await take_turns(_log, FOLLOW_SECONDS, lambda: _follow_all(office))


async def catch_up(office: Office) -> None:
    """Take in what was issued just now, so that whoever issues twice to one buyer finds him; a great backlog is left
    to ``keep_buyers``."""
    try:
        await sequence_once(office)
        await follow(office)
    except (WriteConflict, LogFault):
        pass  # another process was faster, or the log says itself what is wrong with it


async def _follow_all(office: Office) -> None:
    while await follow(office) == FOLLOW_MAX:
        pass


async def follow(office: Office) -> int:
    """One turn: take in what comes next in the log; how many invoices. Of several processes one does it."""
    database = office.database
    row = await database.read_by_key(_CURSOR)
    assert row is not None, "the migration made the cursor"
    cursor = int(row[0])
    count = int((await database.read(_LEAVES, cursor, cursor + FOLLOW_MAX))[0][0])
    if not count:
        return 0
    taken = await _companies(office, cursor, cursor + count)
    async with database.write() as transaction:
        if await transaction.execute(_MOVE, cursor, cursor + count) != 1:
            return 0
        await transaction.execute_many(_TAKE, taken)
    return count


async def _companies(office: Office, first: int, end: int) -> list[tuple[object, ...]]:
    """The companies that the leaves from ``first`` to before ``end`` name, each as its newest blue invoice has it; in
    the order of keys so that two processes cannot deadlock."""
    found: list[tuple[int, Buyer, int]] = []
    for newest in await office.database.read(_NEWEST, first, end):
        number = taxpayer_id.normalise(newest["buyer_id"])
        if not number or taxpayer_id.is_id_card(number):
            continue
        invoice = (await office.database.read(_ORIGINAL, newest["leaf"]))[0]
        buyer = read(bytes(invoice["original"])).buyer
        if not buyer.natural_person:
            found.append((newest["merchant_id"], buyer, invoice["issued_at_ms"]))
    found.sort(key=lambda one: (one[0], one[1].name, one[1].taxpayer_id))
    return [_row(merchant_id, secrets.randbits(40), buyer, "", used_ms) for merchant_id, buyer, used_ms in found]
