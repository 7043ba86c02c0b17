"""Sessions (会话) of people (人员): who is logged in, for which merchant, on which device; listed, ended, moved over.

A session is a random secret in a cookie; only its digest is stored. Its person's membership is looked up with every
request, so whoever is switched off is out with his next one.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.refusal import refuse
from piaoma.store import Row, Transaction, milliseconds

from .events import Actor, masked_address, record
from .notices import Content, add_notice
from .roles import Role

if TYPE_CHECKING:
    from .office import Office

SESSION_DAYS = 14
SEEN_SECONDS = 60  # a session's last use is noted to this precision
DEVICES_MAX = 20  # remembered for a person; the one used longest ago is forgotten
NO_MERCHANT = -1  # of an operator's session


class Client(msgspec.Struct, frozen=True):
    """Where a request comes from: what the browser calls itself, the address, the digest of this browser's cookie."""

    agent: str = ""
    address: str = ""
    device_hash: str = ""


class Session(msgspec.Struct, frozen=True):
    """Who is logged in. ``secret`` is the cookie's value, known only right after logging in."""

    session_id: int
    person_id: int
    merchant_id: int
    login: str
    name: str
    role: Role
    expires_at_ms: int
    by_pin: bool = False
    shop_id: int | None = None
    till_id: int | None = None
    till_name: str = ""
    factor_at_ms: int | None = None
    factor_policy: str = ""
    operator: bool = False
    address: str = ""
    secret: str = ""
    trains: int | None = None  # the real merchant, while this one is its practice ground

    @property
    def actor(self) -> Actor:
        """As whom the audit trail knows this session."""
        return Actor(self.merchant_id, self.person_id, self.name, self.address, self.shop_id, self.till_id)


class Listed(msgspec.Struct, frozen=True):
    """A session as its person sees it."""

    session_id: int
    device: str
    address: str
    first_at: datetime
    last_at: datetime
    by_pin: bool
    merchant_name: str


_AGENTS = (
    ("MicroMessenger", "微信"), ("AlipayClient", "支付宝"), ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"), ("Chrome", "Chrome"), ("CriOS", "Chrome"), ("Safari", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("HarmonyOS", "HarmonyOS"), ("Android", "Android"),
    ("Windows", "Windows"), ("Mac OS", "Mac"), ("Linux", "Linux"),
)  # fmt: skip


def short_agent(agent: str) -> str:
    """A browser as a person knows it: ``Chrome · Windows``. Only words of ours, whatever was sent."""
    names = [next((shown for mark, shown in table if mark in agent), "") for table in (_AGENTS, _SYSTEMS)]
    return " · ".join(name for name in names if name) or "?"


def digest(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def open_session(
    office: Office, person_id: int, merchant_id: int | None, client: Client, *, factor: bool = False,
    till_id: int | None = None, by_pin: bool = False,
) -> Session:  # fmt: skip
    """Let a person in. His password, and his second factor if he has one, were looked at before."""
    secret = secrets.token_urlsafe(32)
    now = office.now()
    now_ms, expires_at_ms = milliseconds(now), milliseconds(now + timedelta(days=SESSION_DAYS))
    address = masked_address(client.address)
    async with office.database.write() as transaction:
        await transaction.execute("DELETE FROM sessions WHERE expires_at_ms <= $1", now_ms)
        await transaction.execute(
            "INSERT INTO sessions (secret_hash, session_id, person_id, merchant_id, till_id, by_pin, device, address,"
            " factor_at_ms, created_at_ms, seen_at_ms, expires_at_ms)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)",
            digest(secret), secrets.randbits(53), person_id, merchant_id, till_id, int(by_pin),
            short_agent(client.agent), address, now_ms if factor else None, now_ms, expires_at_ms,
        )  # fmt: skip
        rows = await transaction.fetch(_SESSION, digest(secret), now_ms)
        if not rows:  # switched off between password and second factor
            raise refuse("ACCOUNT-LOGIN-WRONG")
        session = msgspec.structs.replace(_session(rows[0]), secret=secret)
        if merchant_id is not None:
            kind = "session.pin" if by_pin else "session.open"
            await record(transaction, session.actor, now, kind, short_agent(client.agent))
        if not by_pin:
            await _remember_device(transaction, session, client, now)
    return session


async def _remember_device(transaction: Transaction, session: Session, client: Client, now: datetime) -> None:
    """Know this browser again. The first is how he began; of every other one he is told."""
    if not client.device_hash:
        return
    now_ms, device = milliseconds(now), short_agent(client.agent)
    if await transaction.execute(
        "UPDATE devices SET last_at_ms = $3, device = $4 WHERE person_id = $1 AND device_hash = $2",
        session.person_id, client.device_hash, now_ms, device,
    ):  # fmt: skip
        return
    known = await transaction.fetch(
        "SELECT device_hash FROM devices WHERE person_id = $1 ORDER BY last_at_ms DESC", session.person_id
    )
    for row in known[DEVICES_MAX - 1 :]:
        await transaction.execute(
            "DELETE FROM devices WHERE person_id = $1 AND device_hash = $2", session.person_id, row[0]
        )
    await transaction.execute(
        "INSERT INTO devices (person_id, device_hash, device, first_at_ms, last_at_ms) VALUES ($1, $2, $3, $4, $4)",
        session.person_id, client.device_hash, device, now_ms,
    )  # fmt: skip
    if known:
        told = f"{device} · {now:%Y-%m-%d %H:%M} · {masked_address(client.address)}"
        await notify(transaction, session.person_id, now, Content(
            "票码：新设备登录 New device",
            f"您的账号刚在一台新设备上登录：{told}\n是您本人，就不用理会。不是，请马上登录，在「我的账号」里结束其他会话并改密码。\n\n"
            f"Your account was used on a new device: {told}\nIf it was you, there is nothing to do. If not, log in now,"
            " end the other sessions under “My account” and change your password.\n",
        ))  # fmt: skip


async def notify(transaction: Transaction, person_id: int, now: datetime, content: Content) -> None:
    """Tell a person by mail, when he has an address that is proved."""
    rows = await transaction.fetch(
        "SELECT email FROM people WHERE person_id = $1 AND email_proved_at_ms IS NOT NULL", person_id
    )
    if rows:
        await add_notice(transaction, rows[0][0], content, now)


# A person who is no member any more, or is switched off, has no session for that merchant: nothing is found.
_SESSION = """
SELECT s.session_id, s.person_id, s.merchant_id, p.login, p.name, m.role, s.expires_at_ms, s.by_pin,
       COALESCE(t.shop_id, m.shop_id) AS shop_id, s.till_id, t.name AS till_name, s.factor_at_ms, c.factor_policy,
       p.operator, s.address, s.seen_at_ms, c.trains
FROM sessions s JOIN people p ON p.person_id = s.person_id
LEFT JOIN memberships m ON m.merchant_id = s.merchant_id AND m.person_id = s.person_id AND m.active = 1
     AND (m.until_ms IS NULL OR m.until_ms > $2)
LEFT JOIN merchants c ON c.merchant_id = s.merchant_id
LEFT JOIN tills t ON t.merchant_id = s.merchant_id AND t.till_id = s.till_id
WHERE s.secret_hash = $1 AND s.expires_at_ms > $2
  AND (m.role IS NOT NULL OR (s.merchant_id IS NULL AND p.operator = 1))
  AND (s.by_pin = 0 OR t.active = 1)
"""


def _session(row: Row) -> Session:
    role = Role(row["role"] or Role.READER)
    by_pin = bool(row["by_pin"])
    return Session(
        session_id=row["session_id"],
        person_id=row["person_id"],
        merchant_id=NO_MERCHANT if row["merchant_id"] is None else row["merchant_id"],
        login=row["login"],
        name=row["name"] or row["login"],
        # A PIN of a few digits at a shared till opens a till, not an office.
        role=Role.CASHIER if by_pin else role,
        expires_at_ms=row["expires_at_ms"],
        by_pin=by_pin,
        shop_id=row["shop_id"],
        till_id=row["till_id"],
        till_name=row["till_name"] or "",
        factor_at_ms=row["factor_at_ms"],
        factor_policy=row["factor_policy"] or "",
        operator=bool(row["operator"]) and not by_pin,
        address=row["address"],
        trains=row["trains"],
    )


async def session_of(office: Office, secret: str) -> Session | None:
    """Who holds a cookie, or None when the session has ended or never was."""
    if not secret:
        return None
    now_ms = milliseconds(office.now())
    row = await office.database.read_by_key(_SESSION, digest(secret), now_ms)
    if row is None:
        return None
    if now_ms - row["seen_at_ms"] >= SEEN_SECONDS * 1000:
        async with office.database.write() as transaction:
            await transaction.execute(
                "UPDATE sessions SET seen_at_ms = $2 WHERE secret_hash = $1", digest(secret), now_ms
            )
    return _session(row)


async def log_out(office: Office, session: Session, secret: str) -> None:
    """End a session; its cookie is dead at once."""
    async with office.database.write() as transaction:
        await transaction.execute("DELETE FROM sessions WHERE secret_hash = $1", digest(secret))
        await record_own(transaction, session, office.now(), "session.close")


async def forget(office: Office, secret: str) -> None:
    """End the session that another one takes over from, at a till."""
    async with office.database.write() as transaction:
        await transaction.execute("DELETE FROM sessions WHERE secret_hash = $1", digest(secret))


async def record_own(transaction: Transaction, session: Session, now: datetime, kind: str, subject: str = "") -> None:
    """Tell something that a person did to his own account in the trail of the merchant he works for."""
    if session.merchant_id != NO_MERCHANT:
        await record(transaction, session.actor, now, kind, subject)


async def sessions_of(office: Office, person_id: int) -> list[Listed]:
    """A person's open sessions, last used first."""
    rows = await office.database.read(
        "SELECT s.session_id, s.device, s.address, s.created_at_ms, s.seen_at_ms, s.by_pin, c.shop_name"
        " FROM sessions s LEFT JOIN merchants c ON c.merchant_id = s.merchant_id"
        " WHERE s.person_id = $1 AND s.expires_at_ms > $2 ORDER BY s.seen_at_ms DESC, s.session_id",
        person_id, milliseconds(office.now()),
    )  # fmt: skip
    zone = office.now().tzinfo
    return [
        Listed(
            row[0], row[1], row[2], datetime.fromtimestamp(row[3] / 1000, zone),
            datetime.fromtimestamp(row[4] / 1000, zone), bool(row[5]), row[6] or "",
        )
        for row in rows
    ]  # fmt: skip


async def end_session(office: Office, session: Session, session_id: int) -> None:
    """End one of one's own sessions. Raises ``Refused`` SESSION-NOT-FOUND."""
    async with office.database.write() as transaction:
        if not await transaction.execute(
            "DELETE FROM sessions WHERE person_id = $1 AND session_id = $2", session.person_id, session_id
        ):
            raise refuse("SESSION-NOT-FOUND")
        await record_own(transaction, session, office.now(), "session.end")


async def end_others(office: Office, session: Session) -> int:
    """End all of one's sessions but this one; how many."""
    async with office.database.write() as transaction:
        ended = await transaction.execute(
            "DELETE FROM sessions WHERE person_id = $1 AND session_id <> $2", session.person_id, session.session_id
        )
        await record_own(transaction, session, office.now(), "session.end", str(ended))
    return ended


class Membership(msgspec.Struct, frozen=True):
    """A merchant that a person works for."""

    merchant_id: int
    name: str
    shop_name: str
    role: Role


async def memberships_of(office: Office, person_id: int) -> list[Membership]:
    """The merchants that a person may switch between, in the order in which he joined them."""
    rows = await office.database.read(
        "SELECT m.merchant_id, c.name, c.shop_name, m.role FROM memberships m"
        " JOIN merchants c ON c.merchant_id = m.merchant_id WHERE m.person_id = $1 AND m.active = 1"
        " AND (m.until_ms IS NULL OR m.until_ms > $2) ORDER BY m.joined_at_ms, m.merchant_id",
        person_id,
        milliseconds(office.now()),
    )
    return [Membership(row[0], row[1], row[2], Role(row[3])) for row in rows]


async def switch_merchant(office: Office, session: Session, secret: str, merchant_id: int) -> None:
    """Go on for another merchant without logging in again. Raises MERCHANT-NOT-FOUND for one that is not his."""
    async with office.database.write() as transaction:
        mine = await transaction.fetch(
            "SELECT 1 FROM memberships WHERE merchant_id = $1 AND person_id = $2 AND active = 1"
            " AND (until_ms IS NULL OR until_ms > $3)",
            merchant_id, session.person_id, milliseconds(office.now()),
        )  # fmt: skip
        if not mine:
            raise refuse("MERCHANT-NOT-FOUND")
        await transaction.execute(
            "UPDATE sessions SET merchant_id = $2, till_id = NULL WHERE secret_hash = $1", digest(secret), merchant_id
        )
        there = msgspec.structs.replace(session.actor, merchant_id=merchant_id, shop_id=None, till_id=None)
        await record(transaction, there, office.now(), "session.switch")


def normal_login(login: str) -> str:
    """A login as it is stored: small letters; a phone number without blanks, hyphens and +86."""
    login = login.strip().lower()
    digits = re.sub(r"[\s-]", "", login).removeprefix("+86")
    return digits if re.fullmatch(r"1\d{10}", digits) else login
