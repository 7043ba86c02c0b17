"""Operators of the platform (平台运营): merchants that wait for review, and suspending one. They see no invoice."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.refusal import refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Database, Row, milliseconds

from . import accounts
from .events import Actor, record
from .platform_trail import record_act
from .sessions import Session

if TYPE_CHECKING:
    from .office import Office

QUEUE_MAX = 50  # merchants on the page
REASON_MAX = 200  # characters
FIND_MAX = 60  # characters of a search


class Registered(msgspec.Struct, frozen=True):
    """A merchant as an operator sees it."""

    merchant_id: int
    name: str
    taxpayer_id: str
    contact: str
    registered_at: datetime
    state: str
    verified: bool
    verified_by: str
    email_proved: bool


async def add_operator(database: Database, now: datetime, login: str, password: str) -> None:
    """Make an operator, from the command line only: beside a running server, so without its office. Raises
    ``Refused``."""
    refuse_all(accounts.login_faults(login) + accounts.password_faults(password))
    password_hash = await accounts.hashed(password)
    async with database.write() as transaction:
        await accounts.add_person(transaction, login, password_hash, login, "", milliseconds(now), operator=True)


_MERCHANTS = """
SELECT c.merchant_id, c.name, c.taxpayer_id, c.contact, c.created_at_ms, c.state, c.verified_at_ms, c.verified_by,
       (SELECT count(*) FROM memberships m JOIN people p ON p.person_id = m.person_id
        WHERE m.merchant_id = c.merchant_id AND m.role = 'owner' AND p.email_proved_at_ms IS NOT NULL) AS proved
FROM merchants c
"""


async def queue(office: Office, find: str = "") -> list[Registered]:
    """Merchants whose name or number holds what is looked for; without it, those that wait for review, oldest first."""
    find = find.strip()[:FIND_MAX]
    if find:
        escaped = find.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        rows = await office.database.read(
            f"{_MERCHANTS} WHERE c.trains IS NULL AND (c.name LIKE $1 ESCAPE '!' OR c.taxpayer_id LIKE $1 ESCAPE '!')"
            " ORDER BY c.created_at_ms LIMIT $2",
            f"%{escaped}%", QUEUE_MAX,
        )  # fmt: skip
    else:
        rows = await office.database.read(
            f"{_MERCHANTS} WHERE c.verified_at_ms IS NULL ORDER BY c.created_at_ms LIMIT $1", QUEUE_MAX
        )
    return [_registered(office, row) for row in rows]


async def registered(office: Office, merchant_id: int) -> Registered:
    """One merchant. Raises ``Refused`` MERCHANT-NOT-FOUND."""
    rows = await office.database.read(f"{_MERCHANTS} WHERE c.merchant_id = $1", merchant_id)
    if not rows:
        raise refuse("MERCHANT-NOT-FOUND")
    return _registered(office, rows[0])


def _registered(office: Office, row: Row) -> Registered:
    at = datetime.fromtimestamp(row[4] / 1000, office.now().tzinfo)
    return Registered(row[0], row[1], row[2], row[3], at, row[5], row[6] is not None, row[7], bool(row[8]))


async def confirm_merchant(office: Office, operator: Session, merchant_id: int) -> None:
    """Confirm that a merchant is who it says; who did it and when stands in the merchant's own trail.

    Raises ``Refused`` MERCHANT-NOT-FOUND.
    """
    now = office.now()
    async with office.database.write() as transaction:
        if not await transaction.fetch("SELECT 1 FROM merchants WHERE merchant_id = $1", merchant_id):
            raise refuse("MERCHANT-NOT-FOUND")
        if await transaction.execute(
            "UPDATE merchants SET verified_at_ms = $2, verified_by = $3 WHERE merchant_id = $1"
            " AND verified_at_ms IS NULL",
            merchant_id, milliseconds(now), operator.name,
        ):  # fmt: skip
            await record(transaction, _as_seen(operator, merchant_id), now, "merchant.verify", after={"by": "operator"})
            await record_act(transaction, operator, now, "merchant.verify", str(merchant_id))


async def suspend(office: Office, operator: Session, merchant_id: int, reason: str, *, suspended: bool) -> None:
    """Let a merchant issue nothing more, or again. Its people may still log in, read and export.

    Raises ``Refused`` MERCHANT-NOT-FOUND, TEXT-EMPTY without a reason.
    """
    refuse_all(text.check(reason, "reason", REASON_MAX, required=True))
    state = "suspended" if suspended else "active"
    async with office.database.write() as transaction:
        if not await transaction.execute("UPDATE merchants SET state = $2 WHERE merchant_id = $1", merchant_id, state):
            raise refuse("MERCHANT-NOT-FOUND")
        kind = "merchant.suspend" if suspended else "merchant.resume"
        await record(transaction, _as_seen(operator, merchant_id), office.now(), kind, reason.strip())
        await record_act(transaction, operator, office.now(), kind, str(merchant_id), reason.strip())


def _as_seen(operator: Session, merchant_id: int) -> Actor:
    """An operator in a merchant's trail: by name, without his address."""
    return Actor(merchant_id, operator.person_id, operator.name)
