"""Static codes (静态码): one symbol for a shop, a till or a table. Making, changing, revoking, renewing, looking.

A static code never issues by itself. Its customer applies, and the shop approves (``applications``); or he types the
sale number of a sale that the till has open (``sales``). It has no expiry: it is good until it is revoked or renewed.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.codes.proof import ScanProof, prove
from piaoma.codes.symbol import Symbol, draw
from piaoma.codes.token import canonical, unseal
from piaoma.invoice.draft import Line, ZeroKind
from piaoma.invoice.money import format_yuan, from_fen, to_fen
from piaoma.invoice.refusal import Refusal, Refused, refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Row, Transaction, milliseconds, write_block

from .events import Actor, record
from .merchant import Merchant, merchant

if TYPE_CHECKING:
    from .office import Office

PLACE_MAX = 20  # characters of a place: 桌 8, 收银台
PLACES_MAX = 60  # made at once
LIST_MAX = 500  # static codes of a merchant that are in use
DAYS_BACK_MAX = 180  # how long ago a sale may have been
DEVICE_MAX_MAX, HOUR_MAX_MAX = 50, 1_000
_RANGE = re.compile(r"(?P<before>.*?)(?P<first>\d{1,4})\s*[-–~至]\s*(?P<last>\d{1,4})(?P<after>\D*)")


class Mode(StrEnum):
    """How a customer comes to his invoice."""

    APPROVAL = "approval"  # 审批: he applies, the clerk approves
    SALE = "sale"  # 凭消费号: the till has entered the sale, he types its number


class StaticState(StrEnum):
    """Whether the symbol still serves."""

    ACTIVE = "active"  # 使用中
    REVOKED = "revoked"  # 已作废
    REPLACED = "replaced"  # 已更换: another symbol hangs there now


class Item(msgspec.Struct, frozen=True):
    """The goods line of whatever is invoiced by a static code; only the amount is missing."""

    name: str
    code: str
    rate: Decimal
    zero: ZeroKind = ZeroKind.NOT_ZERO
    preference: str = ""

    def line(self, amount: Decimal) -> Line:
        """The line for a tax-inclusive amount."""
        return Line(self.name, self.code, self.rate, amount, zero=self.zero, preference=self.preference)


class Terms(msgspec.Struct, frozen=True):
    """What the shop allows. Amounts are tax-inclusive yuan and include both ends."""

    item: Item
    mode: Mode = Mode.APPROVAL
    amount_min: Decimal = Decimal("1.00")
    amount_max: Decimal = Decimal("2000.00")
    days_back: int = 30  # how many days ago the sale may have been; 0 is today only
    device_max: int = 5  # applications of one device in a day
    hour_max: int = 60  # applications by this code in an hour
    listed: bool = False  # whether customers find it by the shop's name (按店名查找)


class StaticCode(msgspec.Struct, frozen=True):
    """A static code. What is invoiced by it counts for the shop in which it hangs."""

    merchant_id: int
    static_id: int
    token: str
    url: str
    place: str
    terms: Terms
    state: StaticState
    shop_id: int | None
    created_by: str
    created_at: datetime
    changed_at: datetime

    @property
    def symbol(self) -> Symbol:
        """The same symbol every time."""
        return draw(self.url)


def static_key(token_key: bytes) -> bytes:
    """The key of static tokens: another than that of dynamic ones, so that neither passes for the other."""
    return hashlib.blake2b(b"piaoma.static", key=token_key, digest_size=32).digest()


def expand_places(typed: str) -> list[str]:
    """One place a line; ``桌 1-12`` is twelve. Raises ``Refused`` STATIC-PLACES, TEXT-…."""
    places: list[str] = []
    for row in filter(None, (line.strip() for line in typed.splitlines())):
        span = _RANGE.fullmatch(row)
        if span is None:
            places.append(row)
        else:
            first, last = int(span["first"]), int(span["last"])
            if last < first or last - first >= PLACES_MAX:
                raise refuse("STATIC-PLACES", "places", max=PLACES_MAX)
            places += [f"{span['before']}{number}{span['after']}".strip() for number in range(first, last + 1)]
    if not 1 <= len(places) <= PLACES_MAX:
        raise refuse("STATIC-PLACES", "places", max=PLACES_MAX)
    refuse_all([fault for place in places for fault in text.check(place, "places", PLACE_MAX, required=True)][:1])
    return list(dict.fromkeys(places))


def check_terms(terms: Terms) -> None:
    """Raises ``Refused`` STATIC-TERMS at each field that is out of bounds."""
    wrong = {
        "amount_min": not 0 < terms.amount_min <= terms.amount_max,
        "days_back": not 0 <= terms.days_back <= DAYS_BACK_MAX,
        "device_max": not 1 <= terms.device_max <= DEVICE_MAX_MAX,
        "hour_max": not 1 <= terms.hour_max <= HOUR_MAX_MAX,
    }
    refuse_all([Refusal("STATIC-TERMS", field) for field, bad in wrong.items() if bad])


async def make(
    office: Office, shop: Merchant, places: list[str], terms: Terms, *, make_key: str, by: Actor,
    shop_id: int | None = None,
) -> list[StaticCode]:  # fmt: skip
    """A static code for each place, in one of the merchant's shops; the same ``make_key`` gives the same codes.

    Raises ``Refused``.
    """
    check_terms(terms)
    await _check_shop(office, by.merchant_id, shop_id)
    if shop.state != "active":
        raise refuse("MERCHANT-SUSPENDED")
    ids = [secrets.randbits(40) for _ in places]
    now_ms = milliseconds(office.now())
    # Each symbol is read back once before it goes to print.
    await asyncio.to_thread(prove, draw(office.static_url(shop.merchant_id, ids[0])))

    async def work(transaction: Transaction) -> list[int]:
        made: list[int] = []
        for static_id, place in zip(ids, places, strict=True):
            key = f"{make_key}:{place}"
            found = await transaction.fetch(_FIND, shop.merchant_id, key)
            if not found:
                await transaction.execute(
                    _INSERT, shop.merchant_id, static_id, key, place, *_values(terms), by.name, now_ms, shop_id
                )
                await record(transaction, by, office.now(), "static.make", place, after=_told(terms))
            made.append(int(found[0][0]) if found else static_id)
        used = await transaction.fetch(_COUNT, shop.merchant_id)
        if used[0][0] > LIST_MAX:
            raise refuse("STATIC-TOO-MANY", "places", max=LIST_MAX)
        return made

    return [await static_code(office, shop.merchant_id, one) for one in await write_block(office.database, work)]


async def _check_shop(office: Office, merchant_id: int, shop_id: int | None) -> None:
    """Raises ``Refused`` SHOP-NOT-FOUND for a shop that is not this merchant's."""
    asked = "SELECT 1 FROM shops WHERE merchant_id = $1 AND shop_id = $2"
    if shop_id is not None and await office.database.read_by_key(asked, merchant_id, shop_id) is None:
        raise refuse("SHOP-NOT-FOUND", "shop_id")


def _values(terms: Terms) -> tuple[object, ...]:
    return (
        terms.mode.value, msgspec.json.encode(terms.item).decode(), to_fen(terms.amount_min), to_fen(terms.amount_max),
        terms.days_back, terms.device_max, terms.hour_max, int(terms.listed),
    )  # fmt: skip


def _told(terms: Terms) -> dict[str, object]:
    """Terms as the trail tells them."""
    return {
        "mode": terms.mode.value, "item": terms.item.name, "amount_min": format_yuan(terms.amount_min),
        "amount_max": format_yuan(terms.amount_max), "days_back": terms.days_back, "device_max": terms.device_max,
        "hour_max": terms.hour_max, "listed": terms.listed,
    }  # fmt: skip


async def change(
    office: Office, by: Actor, static_id: int, place: str, terms: Terms, shop_id: int | None = None
) -> StaticCode:
    """Change place, terms and shop; the symbol on the wall stays the same. Raises ``Refused``."""
    check_terms(terms)
    await _check_shop(office, by.merchant_id, shop_id)
    refuse_all(text.check(place, "places", PLACE_MAX, required=True))
    was = await static_code(office, by.merchant_id, static_id)
    async with office.database.write() as transaction:
        changed = await transaction.execute(
            _CHANGE, by.merchant_id, static_id, place, *_values(terms), milliseconds(office.now()), shop_id
        )
        if not changed:
            raise refuse("CODE-NOT-FOUND")
        before, after = (
            {"place": one, "shop": shop, **_told(those)}
            for one, shop, those in ((was.place, was.shop_id, was.terms), (place, shop_id, terms))
        )
        await record(transaction, by, office.now(), "static.change", place, before, after)
    return await static_code(office, by.merchant_id, static_id)


async def revoke(office: Office, by: Actor, static_id: int) -> StaticCode:
    """Let the symbol serve no more (作废); others live on. Twice is as once."""
    async with office.database.write() as transaction:
        if await transaction.execute(_REVOKE, by.merchant_id, static_id, milliseconds(office.now())):
            await record(transaction, by, office.now(), "static.revoke", str(static_id))
    return await static_code(office, by.merchant_id, static_id)


async def renew(office: Office, by: Actor, static_id: int) -> StaticCode:
    """Hang up another symbol for the same place (更换): the old one says so to whoever scans it. Twice gives the same.

    Raises ``Refused`` CODE-NOT-FOUND, CODE-REVOKED.
    """
    merchant_id, new_id, now_ms = by.merchant_id, secrets.randbits(40), milliseconds(office.now())
    lock = _LOCK.format(for_update=office.database.dialect.for_update)

    async def work(transaction: Transaction) -> int:
        rows = await transaction.fetch(lock, merchant_id, static_id)
        if not rows:
            raise refuse("CODE-NOT-FOUND")
        if rows[0]["state"] == StaticState.REVOKED:
            raise refuse("CODE-REVOKED")
        if rows[0]["replaced_by"] is not None:
            return int(rows[0]["replaced_by"])
        await transaction.execute(_COPY, merchant_id, static_id, new_id, f"renew:{static_id}", by.name, now_ms)
        await transaction.execute(_REPLACE, merchant_id, static_id, new_id, now_ms)
        await record(transaction, by, office.now(), "static.renew", str(static_id), after={"code": str(new_id)})
        return new_id

    return await static_code(office, merchant_id, await write_block(office.database, work))


async def static_code(office: Office, merchant_id: int, static_id: int) -> StaticCode:
    """Raises ``Refused`` CODE-NOT-FOUND."""
    row = await office.database.read_by_key(f"{_SELECT} AND s.static_id = $2", merchant_id, static_id)
    if row is None:
        raise refuse("CODE-NOT-FOUND")
    return _static_code(office, row)


async def list_static_codes(
    office: Office, merchant_id: int, state: str = "active", words: str = ""
) -> list[StaticCode]:
    """The merchant's static codes, by place. ``words`` are looked for in the place."""
    rows = await office.database.read(
        f"{_SELECT} AND s.state = $2 ORDER BY s.created_at_ms, s.static_id LIMIT $3", merchant_id, state, LIST_MAX
    )
    found = [_static_code(office, row) for row in rows if words.strip().lower() in row["place"].lower()]
    # 桌 2 stands before 桌 10.
    return sorted(found, key=lambda one: [part.zfill(4) for part in re.split(r"(\d+)", one.place)])


async def scan_static(office: Office, token: str) -> tuple[StaticCode, Merchant]:
    """What a customer's scan leads to; nothing changes. A revoked or replaced one is shown as such.

    Raises ``Refused`` CODE-MALFORMED or CODE-FORGED before the store is asked, CODE-NOT-FOUND.
    """
    merchant_id, static_id = unseal(office.static_keys, token)
    return await static_code(office, merchant_id, static_id), await merchant(office, merchant_id)


def is_static(office: Office, token: str) -> bool:
    """Whether a token typed by hand is one of ours of this kind. Raises CODE-MALFORMED."""
    try:
        unseal(office.static_keys, canonical(token))
    except Refused as refused:
        if refused.refusals[0].cause == "CODE-MALFORMED":
            raise
        return False
    return True


async def scanned(office: Office, token: str) -> None:
    """Count that a customer's browser has opened the page."""
    merchant_id, static_id = unseal(office.static_keys, token)
    async with office.database.write() as transaction:
        await transaction.execute(_SCANNED, merchant_id, static_id, f"{office.now():%Y-%m-%d}")


async def proof_of(code: StaticCode) -> ScanProof:
    """How well the symbol is read, and how large it should be printed."""
    return await asyncio.to_thread(prove, code.symbol)


def _static_code(office: Office, row: Row) -> StaticCode:
    zone = office.now().tzinfo
    token = office.static_token(row["merchant_id"], row["static_id"])
    return StaticCode(
        merchant_id=row["merchant_id"],
        static_id=row["static_id"],
        token=token,
        url=office.static_url(row["merchant_id"], row["static_id"]),
        place=row["place"],
        terms=Terms(
            item=msgspec.json.decode(row["item"], type=Item),
            mode=Mode(row["mode"]),
            amount_min=from_fen(row["amount_min_fen"]),
            amount_max=from_fen(row["amount_max_fen"]),
            days_back=row["days_back"],
            device_max=row["device_max"],
            hour_max=row["hour_max"],
            listed=bool(row["listed"]),
        ),
        state=StaticState(row["state"]),
        shop_id=row["shop_id"],
        created_by=row["created_by"],
        created_at=datetime.fromtimestamp(row["created_at_ms"] / 1000, zone),
        changed_at=datetime.fromtimestamp(row["changed_at_ms"] / 1000, zone),
    )


_TERMS = "mode, item, amount_min_fen, amount_max_fen, days_back, device_max, hour_max, listed"
_SELECT = """
SELECT s.merchant_id, s.static_id, s.shop_id, s.place, s.mode, s.item, s.amount_min_fen, s.amount_max_fen, s.days_back,
       s.device_max, s.hour_max, s.listed, s.state, s.created_by, s.created_at_ms, s.changed_at_ms
FROM static_codes s WHERE s.merchant_id = $1
"""
_FIND = "SELECT static_id FROM static_codes WHERE merchant_id = $1 AND make_key = $2"
_COUNT = "SELECT count(*) FROM static_codes WHERE merchant_id = $1 AND state = 'active'"
_LOCK = "SELECT state, replaced_by FROM static_codes t WHERE merchant_id = $1 AND static_id = $2 {for_update}"
_INSERT = f"""
INSERT INTO static_codes (merchant_id, static_id, make_key, place, {_TERMS}, created_by, created_at_ms, changed_at_ms,
                          shop_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $15)
"""  # noqa: S608
_CHANGE = """
UPDATE static_codes SET place = $3, mode = $4, item = $5, amount_min_fen = $6, amount_max_fen = $7, days_back = $8,
                        device_max = $9, hour_max = $10, listed = $11, changed_at_ms = $12, shop_id = $13
WHERE merchant_id = $1 AND static_id = $2 AND state = 'active'
"""
_REVOKE = """
UPDATE static_codes SET state = 'revoked', changed_at_ms = $3
WHERE merchant_id = $1 AND static_id = $2 AND state = 'active'
"""
_COPY = f"""
INSERT INTO static_codes (merchant_id, static_id, make_key, shop_id, place, {_TERMS}, created_by, created_at_ms,
                          changed_at_ms)
SELECT merchant_id, CAST($3 AS BIGINT), CAST($4 AS TEXT), shop_id, place, {_TERMS}, CAST($5 AS TEXT),
       CAST($6 AS BIGINT), CAST($6 AS BIGINT)
FROM static_codes WHERE merchant_id = $1 AND static_id = $2
"""  # noqa: S608
_REPLACE = """
UPDATE static_codes SET state = 'replaced', replaced_by = $3, changed_at_ms = $4
WHERE merchant_id = $1 AND static_id = $2
"""
_SCANNED = """
INSERT INTO static_scans (merchant_id, static_id, day, scans) VALUES ($1, $2, $3, 1)
ON CONFLICT (merchant_id, static_id, day) DO UPDATE SET scans = static_scans.scans + 1
"""
