"""Staff (员工): inviting people, their roles, switching a leaver off, one's PIN (数字密码) for tills."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from piaoma.delivery import is_address
from piaoma.invoice.refusal import Refusal, refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Row, Transaction, milliseconds, write_block

from . import accounts
from .events import Actor, record
from .notices import Content, add_notice
from .roles import Role
from .sessions import Client, Session, digest, open_session, record_own

if TYPE_CHECKING:
    from .office import Office

INVITE_DAYS = 7
MEMBERS_MAX = 500  # of a merchant
PIN_MIN, PIN_MAX = 4, 8  # digits
ACCESS_DAYS_MAX, ACCESS_DAYS_DEFAULT = 90, 14  # of an auditor, from when he accepts


class Member(msgspec.Struct, frozen=True):
    """One of a merchant's people."""

    person_id: int
    name: str
    login: str
    role: Role
    active: bool
    has_pin: bool
    factors: int
    shop_id: int | None
    until: datetime | None = None  # when an auditor's access ends


class Invitation(msgspec.Struct, frozen=True):
    """An invitation as whoever opens its link sees it, before he has an account."""

    merchant_id: int
    merchant_name: str
    role: Role
    made_by: str
    name: str
    shop_id: int | None


async def members(office: Office, merchant_id: int) -> list[Member]:
    """Everybody who works, or worked, for a merchant: owners first, then as they came."""
    rows = await office.database.read(
        "SELECT m.person_id, p.name, p.login, m.role, m.active, m.pin_hash,"
        " (SELECT count(*) FROM factors f WHERE f.person_id = m.person_id), m.shop_id, m.until_ms"
        " FROM memberships m JOIN people p ON p.person_id = m.person_id WHERE m.merchant_id = $1"
        " ORDER BY m.active DESC, CASE m.role WHEN 'owner' THEN 0 ELSE 1 END, m.joined_at_ms, m.person_id LIMIT $2",
        merchant_id, MEMBERS_MAX,
    )  # fmt: skip
    zone = office.now().tzinfo
    return [
        Member(
            row[0], row[1], row[2], Role(row[3]), bool(row[4]), bool(row[5]), row[6], row[7],
            None if row[8] is None else datetime.fromtimestamp(row[8] / 1000, zone),
        )
        for row in rows
    ]  # fmt: skip


async def invite(
    office: Office, by: Actor, name: str, role: Role, email: str, shop_id: int | None,
    access_days: int = ACCESS_DAYS_DEFAULT,
) -> str:  # fmt: skip
    """An invitation's secret, told once: it is good once, for a week, and only its digest is kept.

    With an address it is mailed as well. ``access_days`` bound an auditor's access. Raises ``Refused`` at the field.
    """
    faults = text.check(name, "person_name", accounts.PERSON_NAME_MAX, required=True)
    if role is Role.AUDITOR and not 1 <= access_days <= ACCESS_DAYS_MAX:
        faults.append(Refusal("STAFF-AUDITOR", "access_days", {"max": str(ACCESS_DAYS_MAX)}))
    email = email.strip()
    if email and not is_address(email):
        faults.append(Refusal("MAIL-ADDRESS", "email", {"have": email[:60]}))
    refuse_all(faults)
    secret, now = secrets.token_urlsafe(24), office.now()
    async with office.database.write() as transaction:
        count = await transaction.fetch("SELECT count(*) FROM memberships WHERE merchant_id = $1", by.merchant_id)
        if count[0][0] >= MEMBERS_MAX:
            raise refuse("STAFF-TOO-MANY", max=MEMBERS_MAX)
        await _check_shop(transaction, by.merchant_id, shop_id)
        await transaction.execute(
            "INSERT INTO challenges (digest, kind, merchant_id, target, role, shop_id, made_by, created_at_ms,"
            " expires_at_ms, access_days) VALUES ($1, 'invite', $2, $3, $4, $5, $6, $7, $8, $9)",
            digest(secret), by.merchant_id, name.strip(), role.value, shop_id, by.name, milliseconds(now),
            milliseconds(now + timedelta(days=INVITE_DAYS)), access_days if role is Role.AUDITOR else None,
        )  # fmt: skip
        told = {"role": role.value} | ({"days": access_days} if role is Role.AUDITOR else {})
        await record(transaction, by, now, "staff.invite", name.strip(), after=told)
        if email:
            merchant = (await transaction.fetch("SELECT name FROM merchants WHERE merchant_id = $1", by.merchant_id))[0]
            link = f"{office.config.base_url}/join/{secret}"
            await add_notice(transaction, email, Content(
                f"票码：{merchant[0]}邀请您加入 Invitation",
                f"{by.name}邀请您为「{merchant[0]}」开票。{INVITE_DAYS} 天内打开下面的链接，只能用一次：\n{link}\n\n"
                f"{by.name} invites you to issue invoices for {merchant[0]}. The link works once, for"
                f" {INVITE_DAYS} days.\n",
            ), now)  # fmt: skip
    return secret


async def _check_shop(transaction: Transaction, merchant_id: int, shop_id: int | None) -> None:
    if shop_id is not None and not await transaction.fetch(
        "SELECT 1 FROM shops WHERE merchant_id = $1 AND shop_id = $2", merchant_id, shop_id
    ):
        raise refuse("SHOP-NOT-FOUND", "shop_id")


_INVITATION = """
SELECT c.merchant_id, m.name, c.role, c.made_by, c.target, c.shop_id, c.access_days
FROM challenges c JOIN merchants m ON m.merchant_id = c.merchant_id
WHERE c.digest = $1 AND c.kind = 'invite' AND c.used_at_ms IS NULL AND c.expires_at_ms > $2
"""


async def invitation(office: Office, secret: str) -> Invitation:
    """What a link invites to. Raises ``Refused`` LINK-DEAD: used, expired, withdrawn or never made."""
    row = await office.database.read_by_key(_INVITATION, digest(secret), milliseconds(office.now()))
    if row is None:
        raise refuse("LINK-DEAD")
    return Invitation(row[0], row[1], Role(row[2]), row[3], row[4], row[5])


async def accept_new(office: Office, secret: str, login: str, password: str, client: Client) -> Session:
    """Accept as somebody who has no account: make one, and log in. Raises ``Refused``."""
    await invitation(office, secret)
    refuse_all(accounts.login_faults(login) + accounts.password_faults(password))
    password_hash = await accounts.hashed(password)

    async def work(transaction: Transaction) -> tuple[int, int]:
        now_ms = milliseconds(office.now())
        row = await _use(transaction, office.now(), secret)
        person_id = await accounts.add_person(transaction, login, password_hash, row["target"], "", now_ms)
        await _join(transaction, office.now(), row, person_id)
        return person_id, row["merchant_id"]

    person_id, merchant_id = await write_block(office.database, work)
    return await open_session(office, person_id, merchant_id, client)


async def accept(office: Office, session: Session, session_secret: str, secret: str) -> None:
    """Accept as somebody who is logged in; he goes on for the new merchant. Raises ``Refused`` LINK-DEAD."""

    async def work(transaction: Transaction) -> None:
        row = await _use(transaction, office.now(), secret)
        await _join(transaction, office.now(), row, session.person_id)
        await transaction.execute(
            "UPDATE sessions SET merchant_id = $2, till_id = NULL WHERE secret_hash = $1",
            digest(session_secret), row["merchant_id"],
        )  # fmt: skip

    await write_block(office.database, work)


async def _use(transaction: Transaction, now: datetime, secret: str) -> Row:
    """Take an invitation: of two who open it at once, one gets it. Raises LINK-DEAD."""
    now_ms = milliseconds(now)
    rows = await transaction.fetch(_INVITATION, digest(secret), now_ms)
    if not rows or not await transaction.execute(
        "UPDATE challenges SET used_at_ms = $2 WHERE digest = $1 AND used_at_ms IS NULL", digest(secret), now_ms
    ):
        raise refuse("LINK-DEAD")
    return rows[0]


async def _join(transaction: Transaction, now: datetime, row: Row, person_id: int) -> None:
    """Make a member, or give a member of old his new role."""
    merchant_id, role = row["merchant_id"], row["role"]
    known = await transaction.fetch(
        "SELECT role, active, until_ms FROM memberships WHERE merchant_id = $1 AND person_id = $2",
        merchant_id,
        person_id,
    )
    days = row["access_days"]
    until_ms = None if days is None else milliseconds(now + timedelta(days=days))
    # Whoever is at work needs no invitation; one whose access as an auditor is over may have another.
    if known and known[0]["active"] and known[0]["until_ms"] is None:
        raise refuse("STAFF-ALREADY")
    if known:
        await transaction.execute(
            "UPDATE memberships SET role = $3, shop_id = $4, until_ms = $5, active = 1 WHERE merchant_id = $1"
            " AND person_id = $2",
            merchant_id, person_id, role, row["shop_id"], until_ms,
        )  # fmt: skip
    else:
        await transaction.execute(
            "INSERT INTO memberships (merchant_id, person_id, role, shop_id, until_ms, joined_at_ms)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            merchant_id, person_id, role, row["shop_id"], until_ms, milliseconds(now),
        )  # fmt: skip
    name = (await transaction.fetch("SELECT name FROM people WHERE person_id = $1", person_id))[0][0]
    await record(transaction, Actor(merchant_id, person_id, name), now, "staff.join", name, after={"role": role})


_HERE = "(SELECT merchant_id FROM merchants WHERE merchant_id = $1 OR trains = $1)"
_CHANGE_MEMBER = f"""
UPDATE memberships SET role = $3, active = $4, until_ms = CASE WHEN $3 = 'auditor' THEN until_ms ELSE NULL END
WHERE merchant_id IN {_HERE} AND person_id = $2
"""  # noqa: S608


async def change_member(office: Office, by: Actor, person_id: int, *, role: Role, active: bool) -> None:
    """Give somebody another role, switch him off, or on again. What he made keeps his name.

    His open sessions for this merchant end with it. Raises ``Refused`` STAFF-NOT-FOUND, STAFF-LAST-OWNER.
    """

    # One change at a time: of two owners who switch each other off at once, one stays.
    lock = f"SELECT 1 FROM merchants t WHERE merchant_id = $1 {office.database.dialect.for_update}"  # noqa: S608

    async def work(transaction: Transaction) -> None:
        await transaction.fetch(lock, by.merchant_id)
        rows = await transaction.fetch(
            "SELECT m.role, m.active, p.name FROM memberships m JOIN people p ON p.person_id = m.person_id"
            " WHERE m.merchant_id = $1 AND m.person_id = $2",
            by.merchant_id, person_id,
        )  # fmt: skip
        if not rows:
            raise refuse("STAFF-NOT-FOUND")
        if role is Role.AUDITOR and rows[0][0] != Role.AUDITOR:
            raise refuse("STAFF-AUDITOR", max=ACCESS_DAYS_MAX)
        # The merchant's practice ground (``training``) lets in whom the merchant lets in, and as what he is.
        await transaction.execute(_CHANGE_MEMBER, by.merchant_id, person_id, role.value, int(active))
        owners = await transaction.fetch(
            "SELECT count(*) FROM memberships WHERE merchant_id = $1 AND role = 'owner' AND active = 1", by.merchant_id
        )
        if owners[0][0] == 0:
            raise refuse("STAFF-LAST-OWNER")
        if not active:
            await transaction.execute(
                f"DELETE FROM sessions WHERE merchant_id IN {_HERE} AND person_id = $2",  # noqa: S608
                by.merchant_id, person_id,
            )  # fmt: skip
        before = {"role": rows[0][0], "active": bool(rows[0][1])}
        after = {"role": role.value, "active": active}
        await record(transaction, by, office.now(), "staff.change", rows[0][2], before, after)

    await write_block(office.database, work)


async def withdraw_invitations(office: Office, by: Actor) -> int:
    """Let no open invitation of this merchant be good any more; how many there were."""
    now_ms = milliseconds(office.now())
    async with office.database.write() as transaction:
        count = await transaction.execute(
            "UPDATE challenges SET used_at_ms = $2 WHERE merchant_id = $1 AND kind = 'invite' AND used_at_ms IS NULL",
            by.merchant_id, now_ms,
        )  # fmt: skip
        await record(transaction, by, office.now(), "staff.withdraw", str(count))
    return count


async def open_invitations(office: Office, merchant_id: int) -> int:
    """How many invitations wait for somebody."""
    rows = await office.database.read(
        "SELECT count(*) FROM challenges WHERE merchant_id = $1 AND kind = 'invite' AND used_at_ms IS NULL"
        " AND expires_at_ms > $2",
        merchant_id, milliseconds(office.now()),
    )  # fmt: skip
    return int(rows[0][0])


async def set_pin(office: Office, session: Session, pin: str) -> None:
    """Choose one's own PIN for the tills of this merchant; an empty one takes it away. Raises STAFF-PIN-FORM."""
    if pin and not (pin.isascii() and pin.isdigit() and PIN_MIN <= len(pin) <= PIN_MAX and len(set(pin)) > 1):
        raise refuse("STAFF-PIN-FORM", "pin", min=PIN_MIN, max=PIN_MAX)
    pin_hash = await accounts.hashed(pin) if pin else ""
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE memberships SET pin_hash = $3 WHERE merchant_id = $1 AND person_id = $2",
            session.merchant_id, session.person_id, pin_hash,
        )  # fmt: skip
        await record_own(transaction, session, office.now(), "account.pin")
