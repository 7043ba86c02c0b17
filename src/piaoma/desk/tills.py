"""Shops (门店) and tills (收银台), the shared device that stands at a till, and changing the cashier on it by PIN.

A device becomes a till's by a cookie of its own, which its digest in the store answers to. On it, and nowhere else, a
person of the merchant may take over with his PIN. Such a session can what a cashier can, whatever its person's role.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.refusal import refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Transaction, milliseconds

from . import accounts
from .events import Actor, record
from .roles import Role
from .sessions import Client, Session, open_session

if TYPE_CHECKING:
    from .office import Office

SHOPS_MAX = 200  # of a merchant
TILLS_MAX = 500
AT_TILLS = (Role.OWNER, Role.CLERK, Role.CASHIER)


class Till(msgspec.Struct, frozen=True):
    """A till; ``enrolled`` when a device stands there."""

    till_id: int
    shop_id: int
    name: str
    active: bool
    enrolled: bool


class Shop(msgspec.Struct, frozen=True):
    """A shop with its tills."""

    shop_id: int
    name: str
    address: str
    active: bool
    tills: tuple[Till, ...]


class Place(msgspec.Struct, frozen=True):
    """The till of a shared device, and who may take it over."""

    merchant_id: int
    till_id: int
    till_name: str
    shop_name: str
    people: tuple[tuple[int, str], ...]


async def shops(office: Office, merchant_id: int) -> list[Shop]:
    """A merchant's shops and tills, in the order in which they were added."""
    found = await office.database.read(
        "SELECT shop_id, name, address, active FROM shops WHERE merchant_id = $1 ORDER BY created_at_ms, shop_id",
        merchant_id,
    )
    rows = await office.database.read(
        "SELECT till_id, shop_id, name, active, device_hash FROM tills WHERE merchant_id = $1"
        " ORDER BY created_at_ms, till_id",
        merchant_id,
    )
    tills = [Till(row[0], row[1], row[2], bool(row[3]), bool(row[4])) for row in rows]
    return [
        Shop(row[0], row[1], row[2], bool(row[3]), tuple(till for till in tills if till.shop_id == row[0]))
        for row in found
    ]


async def save_shop(office: Office, by: Actor, name: str, address: str, shop_id: int | None, *, active: bool) -> int:
    """Add a shop, or change one. Raises ``Refused`` at the field, SHOP-NOT-FOUND."""
    faults = text.check(name, "name", text.NAME_MAX, required=True)
    refuse_all(faults + text.check(address, "address", text.ADDRESS_MAX))
    async with office.database.write() as transaction:
        before: dict[str, object] = {}
        if shop_id is None:
            await _check_room(transaction, "shops", by.merchant_id, SHOPS_MAX)
            shop_id = secrets.randbits(48)
            await transaction.execute(
                "INSERT INTO shops (merchant_id, shop_id, name, address, created_at_ms) VALUES ($1, $2, $3, $4, $5)",
                by.merchant_id, shop_id, name.strip(), address.strip(), milliseconds(office.now()),
            )  # fmt: skip
        else:
            rows = await transaction.fetch(
                "SELECT name, address, active FROM shops WHERE merchant_id = $1 AND shop_id = $2",
                by.merchant_id, shop_id,
            )  # fmt: skip
            if not rows:
                raise refuse("SHOP-NOT-FOUND")
            before = {"name": rows[0][0], "address": rows[0][1], "active": bool(rows[0][2])}
            await transaction.execute(
                "UPDATE shops SET name = $3, address = $4, active = $5 WHERE merchant_id = $1 AND shop_id = $2",
                by.merchant_id, shop_id, name.strip(), address.strip(), int(active),
            )  # fmt: skip
        after = {"name": name.strip(), "address": address.strip(), "active": active}
        await record(transaction, by, office.now(), "shop.save", name.strip(), before, after)
    return shop_id


async def save_till(
    office: Office, by: Actor, name: str, shop_id: int, till_id: int | None = None, *, active: bool = True
) -> int:
    """Add a till to a shop, or change one; switched off, the device there is nobody's any more.

    Raises ``Refused`` at the field, SHOP-NOT-FOUND, TILL-NOT-FOUND.
    """
    refuse_all(text.check(name, "till_name", text.NAME_MAX, required=True))
    async with office.database.write() as transaction:
        if not await transaction.fetch(
            "SELECT 1 FROM shops WHERE merchant_id = $1 AND shop_id = $2", by.merchant_id, shop_id
        ):
            raise refuse("SHOP-NOT-FOUND")
        if till_id is None:
            await _check_room(transaction, "tills", by.merchant_id, TILLS_MAX)
            till_id = secrets.randbits(48)
            await transaction.execute(
                "INSERT INTO tills (merchant_id, till_id, shop_id, name, created_at_ms) VALUES ($1, $2, $3, $4, $5)",
                by.merchant_id, till_id, shop_id, name.strip(), milliseconds(office.now()),
            )  # fmt: skip
        elif not await transaction.execute(
            "UPDATE tills SET name = $3, active = $4,"
            " device_hash = CASE WHEN CAST($4 AS BIGINT) = 0 THEN '' ELSE device_hash END"
            " WHERE merchant_id = $1 AND till_id = $2",
            by.merchant_id, till_id, name.strip(), int(active),
        ):  # fmt: skip
            raise refuse("TILL-NOT-FOUND")
        await record(transaction, by, office.now(), "till.save", name.strip(), after={"active": active})
    return till_id


async def _check_room(transaction: Transaction, table: str, merchant_id: int, count_max: int) -> None:
    rows = await transaction.fetch(f"SELECT count(*) FROM {table} WHERE merchant_id = $1", merchant_id)  # noqa: S608
    if rows[0][0] >= count_max:
        raise refuse("STAFF-TOO-MANY", max=count_max)


async def enrol(office: Office, by: Actor, till_id: int, device_hash: str) -> None:
    """Make this browser the device of a till; it was another's before, that one is nobody's now. TILL-NOT-FOUND."""
    async with office.database.write() as transaction:
        rows = await transaction.fetch(
            "SELECT name FROM tills WHERE merchant_id = $1 AND till_id = $2 AND active = 1", by.merchant_id, till_id
        )
        if not rows:
            raise refuse("TILL-NOT-FOUND")
        await transaction.execute("UPDATE tills SET device_hash = '' WHERE device_hash = $1", device_hash)
        await transaction.execute(
            "UPDATE tills SET device_hash = $3 WHERE merchant_id = $1 AND till_id = $2",
            by.merchant_id, till_id, device_hash,
        )  # fmt: skip
        await record(transaction, by, office.now(), "till.enrol", rows[0][0])


async def place_of(office: Office, device_hash: str) -> Place:
    """Where a shared device stands, and who may take over: those with a PIN. Raises ``Refused`` TILL-NO-DEVICE."""
    row = None
    if device_hash:
        row = await office.database.read_by_key(
            "SELECT t.merchant_id, t.till_id, t.name, s.name FROM tills t"
            " JOIN shops s ON s.merchant_id = t.merchant_id AND s.shop_id = t.shop_id"
            " WHERE t.device_hash = $1 AND t.device_hash <> '' AND t.active = 1",
            device_hash,
        )
    if row is None:
        raise refuse("TILL-NO-DEVICE")
    people = await office.database.read(
        "SELECT m.person_id, p.name, m.role FROM memberships m JOIN people p ON p.person_id = m.person_id"
        " WHERE m.merchant_id = $1 AND m.active = 1 AND m.pin_hash <> '' ORDER BY p.name, m.person_id",
        row[0],
    )
    able = tuple((each[0], each[1]) for each in people if Role(each[2]) in AT_TILLS)
    return Place(row[0], row[1], row[2], row[3], able)


async def take_over(office: Office, place: Place, person_id: int, pin: str, client: Client) -> Session:
    """Begin at the till as a cashier. Raises ``Refused`` STAFF-PIN-WRONG, in the same words whatever is wrong.

    Whoever calls slows wrong tries down; only whoever stands at an enrolled device gets here.
    """
    rows = await office.database.read(
        "SELECT pin_hash FROM memberships WHERE merchant_id = $1 AND person_id = $2 AND active = 1 AND pin_hash <> ''",
        place.merchant_id, person_id,
    )  # fmt: skip
    known = any(person_id == one for one, _ in place.people)
    if not await accounts.matches(rows[0][0] if rows else "", pin[: accounts.PASSWORD_MAX]) or not known:
        raise refuse("STAFF-PIN-WRONG", "pin")
    return await open_session(office, person_id, place.merchant_id, client, till_id=place.till_id, by_pin=True)
