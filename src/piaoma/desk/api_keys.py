"""API keys (接口密钥): made, listed, rotated with an overlap and revoked by the owner; shown once, kept as a digest.

``pm_test_`` and ``pm_live_`` keep the sandbox and real invoices apart: a key opens only the installation that made it,
and only while that issues in the key's mode. Behind the prefix stand the sealed (merchant, key), so that guesses die
before the database is asked, and a secret of chance.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.codes.token import LENGTH, seal, unseal
from piaoma.invoice.refusal import Refused, refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Row, Transaction, milliseconds, write_block

from .events import Actor, record

if TYPE_CHECKING:
    from .office import Office

KEYS_MAX = 50  # of a merchant that are good at a time
NAME_MAX = 40  # characters
SECRET_LENGTH_MAX = 32  # characters of the secret part, 190 bits of chance
EXPIRY_DAYS_MAX = 3_650
OVERLAP_HOURS_MAX = 7 * 24  # that an old key stays good beside the one that replaces it
USED_SECONDS = 600  # between two notes that a key is in use

_LETTERS = string.ascii_letters + string.digits
_WHOLE = len("pm_test_") + LENGTH + SECRET_LENGTH_MAX


class Scope(StrEnum):
    """What a key may do."""

    MERCHANT_READ = "merchant:read"  # profile and quota
    CODES_READ = "codes:read"
    CODES_WRITE = "codes:write"
    INVOICES_READ = "invoices:read"  # files too
    INVOICES_ISSUE = "invoices:issue"
    INVOICES_SEND = "invoices:send"
    CORRECTIONS_READ = "corrections:read"
    CORRECTIONS_WRITE = "corrections:write"  # 红冲, 换开
    GOODS_READ = "goods:read"
    GOODS_WRITE = "goods:write"
    EVENTS_READ = "events:read"
    WEBHOOKS_WRITE = "webhooks:write"


class ApiKey(msgspec.Struct, frozen=True):
    """A key as its owner sees it; times aware. ``secret`` is the whole key, there right after it was made."""

    merchant_id: int
    key_id: int
    name: str
    mode: str
    scopes: frozenset[str]
    hint: str
    made_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None
    replaced_by: int | None
    secret: str = ""

    def ended(self, now: datetime) -> bool:
        """Whether it opens nothing any more."""
        return self.revoked_at is not None or (self.expires_at is not None and self.expires_at <= now)


def sealing_key(token_key: bytes) -> bytes:
    """The key under which API keys are sealed: another than that of codes."""
    return hashlib.blake2b(b"piaoma.api", key=token_key, digest_size=32).digest()


def mode_of(office: Office) -> str:
    """What keys of this installation are for: ``test`` samples, or ``live`` invoices."""
    return "test" if office.config.sandbox else "live"


def _hash(secret: str) -> str:
    # A key has more chance in it than a digest has bits to try, so nothing slower is needed.
    return hashlib.sha256(secret.encode()).hexdigest()


_COLUMNS = """merchant_id, key_id, name, mode, scopes, secret_hash, hint, made_by, created_at_ms, expires_at_ms,
              revoked_at_ms, used_at_ms, replaced_by"""
_SELECT = f"SELECT {_COLUMNS} FROM api_keys "  # noqa: S608


def _key(office: Office, row: Row) -> ApiKey:
    def moment(ms: int | None) -> datetime | None:
        return None if ms is None else datetime.fromtimestamp(ms / 1000, office.now().tzinfo)

    created_at = moment(row["created_at_ms"])
    assert created_at is not None
    return ApiKey(
        row["merchant_id"], row["key_id"], row["name"], row["mode"], frozenset(row["scopes"].split()), row["hint"],
        row["made_by"], created_at, moment(row["expires_at_ms"]), moment(row["revoked_at_ms"]),
        moment(row["used_at_ms"]), row["replaced_by"],
    )  # fmt: skip


async def make(office: Office, by: Actor, name: str, scopes: Iterable[str], expires_at: datetime | None) -> ApiKey:
    """A new key. Raises ``Refused``: TEXT-… of the name, API-KEY-SCOPES, API-KEY-EXPIRY, API-KEY-TOO-MANY."""
    name, wanted = name.strip(), sorted(set(scopes))
    now = office.now()
    refuse_all(text.check(name, "name", NAME_MAX, required=True))
    if not wanted or not set(wanted) <= {scope.value for scope in Scope}:
        raise refuse("API-KEY-SCOPES", "scopes")
    if expires_at is not None and not now < expires_at <= now + timedelta(days=EXPIRY_DAYS_MAX):
        raise refuse("API-KEY-EXPIRY", "days", max=EXPIRY_DAYS_MAX)

    async def work(transaction: Transaction) -> ApiKey:
        made = await _insert(office, transaction, by, name, " ".join(wanted), expires_at)
        await record(transaction, by, now, "api.key_make", name, after={"scopes": " ".join(wanted), "key": made.hint})
        return made

    return await write_block(office.database, work)


async def _insert(
    office: Office, transaction: Transaction, by: Actor, name: str, scopes: str, expires_at: datetime | None
) -> ApiKey:
    now_ms, mode, key_id = milliseconds(office.now()), mode_of(office), secrets.randbits(40)
    good = await transaction.fetch(_COUNT_GOOD, by.merchant_id, now_ms)
    if good[0][0] >= KEYS_MAX:
        raise refuse("API-KEY-TOO-MANY", max=KEYS_MAX)
    chance = "".join(secrets.choice(_LETTERS) for _ in range(SECRET_LENGTH_MAX))
    secret = f"pm_{mode}_{seal(office.api_sealing_keys[0], by.merchant_id, key_id)}{chance}"
    expires_ms = None if expires_at is None else milliseconds(expires_at)
    await transaction.execute(
        _INSERT, by.merchant_id, key_id, name, mode, scopes, _hash(secret), f"pm_{mode}_…{secret[-4:]}", by.name,
        now_ms, expires_ms,
    )  # fmt: skip
    await transaction.execute("UPDATE merchants SET announces = 1 WHERE merchant_id = $1", by.merchant_id)
    rows = await transaction.fetch(_SELECT + "WHERE merchant_id = $1 AND key_id = $2", by.merchant_id, key_id)
    return msgspec.structs.replace(_key(office, rows[0]), secret=secret)


_COUNT_GOOD = """
SELECT count(*) FROM api_keys
WHERE merchant_id = $1 AND revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > $2)
"""
_INSERT = """
INSERT INTO api_keys (merchant_id, key_id, name, mode, scopes, secret_hash, hint, made_by, created_at_ms, expires_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""


async def list_keys(office: Office, merchant_id: int) -> list[ApiKey]:
    """Every key there ever was, newest first; those that are good before the others."""
    rows = await office.database.read(_SELECT + "WHERE merchant_id = $1 ORDER BY created_at_ms DESC", merchant_id)
    now = office.now()
    return sorted((_key(office, row) for row in rows), key=lambda one: one.ended(now))


async def rotate(office: Office, by: Actor, key_id: int, overlap_hours: int) -> ApiKey:
    """Another key with the same name and scopes, which lives as long as the old one was meant to; the old one stays
    good for the overlap. Raises ``Refused`` API-KEY-NOT-FOUND, API-KEY-EXPIRY, API-KEY-TOO-MANY."""
    if not 0 <= overlap_hours <= OVERLAP_HOURS_MAX:
        raise refuse("API-KEY-EXPIRY", "overlap", max=OVERLAP_HOURS_MAX // 24)
    now = office.now()

    async def work(transaction: Transaction) -> ApiKey:
        rows = await transaction.fetch(
            _SELECT + "t WHERE merchant_id = $1 AND key_id = $2 " + office.database.dialect.for_update,
            by.merchant_id, key_id,
        )  # fmt: skip
        old = _key(office, rows[0]) if rows else None
        if old is None or old.ended(now) or old.replaced_by is not None:
            raise refuse("API-KEY-NOT-FOUND")
        lives = None if old.expires_at is None else now + (old.expires_at - old.created_at)
        made = await _insert(office, transaction, by, old.name, " ".join(sorted(old.scopes)), lives)
        ends = now + timedelta(hours=overlap_hours)
        ends = ends if old.expires_at is None else min(ends, old.expires_at)
        await transaction.execute(
            "UPDATE api_keys SET expires_at_ms = $3, replaced_by = $4 WHERE merchant_id = $1 AND key_id = $2",
            by.merchant_id, key_id, milliseconds(ends), made.key_id,
        )  # fmt: skip
        told = {"key": made.hint, "overlap": overlap_hours}
        await record(transaction, by, now, "api.key_rotate", old.name, {"key": old.hint}, told)
        return made

    return await write_block(office.database, work)


async def revoke(office: Office, by: Actor, key_id: int) -> None:
    """Let a key open nothing from now on; twice is as once. Raises ``Refused`` API-KEY-NOT-FOUND."""

    async def work(transaction: Transaction) -> None:
        rows = await transaction.fetch(_SELECT + "WHERE merchant_id = $1 AND key_id = $2", by.merchant_id, key_id)
        if not rows:
            raise refuse("API-KEY-NOT-FOUND")
        if await transaction.execute(
            "UPDATE api_keys SET revoked_at_ms = $3 WHERE merchant_id = $1 AND key_id = $2 AND revoked_at_ms IS NULL",
            by.merchant_id, key_id, milliseconds(office.now()),
        ):  # fmt: skip
            await record(transaction, by, office.now(), "api.key_revoke", rows[0]["name"],
                         after={"key": rows[0]["hint"]})  # fmt: skip

    await write_block(office.database, work)


async def key_of(office: Office, secret: str) -> ApiKey:
    """The key that a program shows. Raises ``Refused``: API-KEY-WRONG in the same words whether it never was one or is
    somebody's with a letter changed; API-KEY-ENDED, API-KEY-MODE for one that was right."""
    prefix = f"pm_{mode_of(office)}_"
    other = secret.startswith(("pm_test_", "pm_live_")) and not secret.startswith(prefix)
    if len(secret) != _WHOLE or not secret.isascii():
        raise refuse("API-KEY-WRONG")
    try:
        merchant_id, key_id = unseal(office.api_sealing_keys, secret[len(prefix) : len(prefix) + LENGTH])
    except Refused:
        raise refuse("API-KEY-WRONG") from None
    row = await office.database.read_by_key(_ONE, merchant_id, key_id)
    if row is None or not hmac.compare_digest(row["secret_hash"], _hash(secret)):
        raise refuse("API-KEY-WRONG")
    found, now = _key(office, row), office.now()
    if found.ended(now):
        raise refuse("API-KEY-ENDED", hint=found.hint)
    if other or found.mode != mode_of(office):
        raise refuse("API-KEY-MODE", have=found.mode)
    if found.used_at is None or now - found.used_at > timedelta(seconds=USED_SECONDS):
        async with office.database.write() as transaction:
            await transaction.execute(_USED, merchant_id, key_id, milliseconds(now))
    return found


_ONE = _SELECT + "WHERE merchant_id = $1 AND key_id = $2"
_USED = "UPDATE api_keys SET used_at_ms = $3 WHERE merchant_id = $1 AND key_id = $2"
