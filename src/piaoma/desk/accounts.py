"""Accounts (账户): registering a merchant, logging in and out.

Passwords are argon2id. A session is a random secret in a cookie; only its digest is stored.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import argon2
import msgspec

from piaoma.invoice import taxpayer_id
from piaoma.invoice.parties import TaxpayerKind
from piaoma.invoice.refusal import Refusal, refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Transaction, milliseconds, write_block

if TYPE_CHECKING:
    from .office import Office

PASSWORD_MIN, PASSWORD_MAX = 8, 200
LOGIN_MIN, LOGIN_MAX = 3, 100
SESSION_DAYS = 14
CONTACT_MAX = 100  # characters
FIRST_DRAWER = "管理员"  # 开票人 until the profile says another

_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_HASHING = asyncio.Semaphore(2)  # each hash takes 19 MiB and a core; more at once would starve issuing
# Compared with when there is no such account, so that the answer takes as long.
_NOBODY = _HASHER.hash(secrets.token_hex())


class Registration(msgspec.Struct, frozen=True):
    """What a new merchant tells."""

    name: str
    taxpayer_id: str
    shop_name: str
    login: str
    password: str
    taxpayer_kind: TaxpayerKind = TaxpayerKind.GENERAL
    contact: str = ""


class Session(msgspec.Struct, frozen=True):
    """Who is logged in. ``secret`` is the cookie's value, known only right after logging in."""

    user_id: int
    merchant_id: int
    login: str
    role: str
    expires_at_ms: int
    secret: str = ""


async def register(office: Office, registration: Registration) -> Session:
    """Make a merchant and its owner, and log in. All faults at once; in the sandbox a merchant is verified at once."""
    number = taxpayer_id.normalise(registration.taxpayer_id)
    login = registration.login.strip()
    faults = text.check(registration.name, "name", text.NAME_MAX, required=True)
    faults += text.check(registration.shop_name, "shop_name", text.NAME_MAX, required=True)
    if not number:
        faults.append(Refusal("TEXT-EMPTY", "taxpayer_id"))
    elif fault := taxpayer_id.check(number, "taxpayer_id"):
        faults.append(fault)
    if not LOGIN_MIN <= len(login) <= LOGIN_MAX or any(letter.isspace() for letter in login):
        faults.append(Refusal("ACCOUNT-LOGIN-FORM", "login"))
    faults += _password_faults(registration.password)
    refuse_all(faults)
    password_hash = await _hashed(registration.password)

    async def work(transaction: Transaction) -> tuple[int, int]:
        # Drawn anew when another process took the same numbers, or the same name, a moment ago.
        merchant_id, user_id = secrets.randbits(28), secrets.randbits(48)
        now_ms = milliseconds(office.now())
        if await transaction.fetch("SELECT 1 FROM merchants WHERE taxpayer_id = $1", number):
            raise refuse("ACCOUNT-TAXPAYER-TAKEN", "taxpayer_id")
        if await transaction.fetch("SELECT 1 FROM users WHERE login = $1", login.lower()):
            raise refuse("ACCOUNT-LOGIN-TAKEN", "login")
        await transaction.execute(
            _ADD_MERCHANT, merchant_id, number, registration.name.strip(), registration.taxpayer_kind.value,
            registration.shop_name.strip(), FIRST_DRAWER, registration.contact.strip()[:CONTACT_MAX], now_ms,
        )  # fmt: skip
        await transaction.execute(_ADD_USER, user_id, login.lower(), password_hash, now_ms)
        await transaction.execute(_ADD_OWNER, merchant_id, user_id)
        return merchant_id, user_id

    merchant_id, user_id = await write_block(office.database, work)
    return await _open_session(office, user_id, merchant_id, login.lower(), "owner")


_ADD_MERCHANT = """
INSERT INTO merchants (merchant_id, taxpayer_id, name, taxpayer_kind, shop_name, drawer, contact, verified_at_ms,
                       created_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
"""
_ADD_USER = "INSERT INTO users (user_id, login, password_hash, created_at_ms) VALUES ($1, $2, $3, $4)"
_ADD_OWNER = "INSERT INTO memberships (merchant_id, user_id, role) VALUES ($1, $2, 'owner')"


def _password_faults(password: str) -> list[Refusal]:
    if len(password) < PASSWORD_MIN:
        return [Refusal("ACCOUNT-PASSWORD-SHORT", "password", {"min": str(PASSWORD_MIN)})]
    if len(password) > PASSWORD_MAX:
        return [Refusal("ACCOUNT-PASSWORD-LONG", "password", {"max": str(PASSWORD_MAX)})]
    return []


async def _hashed(password: str) -> str:
    async with _HASHING:
        return await asyncio.to_thread(_HASHER.hash, password)


async def _verified(password_hash: str, password: str) -> bool:
    async with _HASHING:
        try:
            return await asyncio.to_thread(_HASHER.verify, password_hash, password)
        except (argon2.exceptions.VerifyMismatchError, argon2.exceptions.InvalidHashError):
            return False


async def log_in(office: Office, login: str, password: str) -> Session:
    """Log in. Raises ``Refused`` ACCOUNT-LOGIN-WRONG, in the same words and time whatever is wrong."""
    rows = await office.database.read(
        "SELECT u.user_id, u.login, u.password_hash, m.merchant_id, m.role FROM users u"
        " JOIN memberships m ON m.user_id = u.user_id WHERE u.login = $1 ORDER BY m.merchant_id LIMIT 1",
        login.strip().lower()[:LOGIN_MAX],
    )
    known = rows[0]["password_hash"] if rows else _NOBODY
    if not await _verified(known, password[: PASSWORD_MAX + 1]) or not rows:
        raise refuse("ACCOUNT-LOGIN-WRONG")
    row = rows[0]
    return await _open_session(office, row["user_id"], row["merchant_id"], row["login"], row["role"])


async def _open_session(office: Office, user_id: int, merchant_id: int, login: str, role: str) -> Session:
    secret = secrets.token_urlsafe(32)
    now: datetime = office.now()
    expires_at_ms = milliseconds(now + timedelta(days=SESSION_DAYS))
    async with office.database.write() as transaction:
        await transaction.execute("DELETE FROM sessions WHERE expires_at_ms <= $1", milliseconds(now))
        await transaction.execute(
            "INSERT INTO sessions (secret_hash, user_id, merchant_id, created_at_ms, expires_at_ms)"
            " VALUES ($1, $2, $3, $4, $5)",
            _digest(secret), user_id, merchant_id, milliseconds(now), expires_at_ms,
        )  # fmt: skip
    return Session(user_id, merchant_id, login, role, expires_at_ms, secret)


async def session_of(office: Office, secret: str) -> Session | None:
    """Who holds a cookie, or None when the session has ended or never was."""
    if not secret:
        return None
    row = await office.database.read_by_key(
        "SELECT s.user_id, s.merchant_id, u.login, m.role, s.expires_at_ms FROM sessions s"
        " JOIN users u ON u.user_id = s.user_id"
        " JOIN memberships m ON m.merchant_id = s.merchant_id AND m.user_id = s.user_id"
        " WHERE s.secret_hash = $1 AND s.expires_at_ms > $2",
        _digest(secret), milliseconds(office.now()),
    )  # fmt: skip
    return Session(row[0], row[1], row[2], row[3], row[4]) if row else None


async def log_out(office: Office, secret: str) -> None:
    """End a session; its cookie is dead at once."""
    async with office.database.write() as transaction:
        await transaction.execute("DELETE FROM sessions WHERE secret_hash = $1", _digest(secret))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
