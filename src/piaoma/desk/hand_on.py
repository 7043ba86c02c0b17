"""Handing on (转发): a link that shows one invoice to whoever has it, until it expires or is taken back.

Its token is sealed like a code's, under a key of its own: no secret is stored, and a guess dies before the store.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from piaoma.codes.token import CODE_BITS, canonical, seal, unseal
from piaoma.invoice.refusal import Refused, refuse
from piaoma.store import milliseconds, write_block

if TYPE_CHECKING:
    from piaoma.store import Row, Transaction

    from .office import Office

SHARE_DAYS = (1, 7, 30)  # that a link may be made for
SHARES_MAX = 10  # links of one invoice that stand at a time


class Share(msgspec.Struct, frozen=True):
    """A link that was handed on. Times are aware."""

    merchant_id: int
    share_id: int
    number: str
    token: str
    url: str
    created_at: datetime
    expires_at: datetime
    revoked: bool
    opened_at: datetime | None
    downloaded_at: datetime | None


@lru_cache(maxsize=4)
def _key(cookie_key: bytes) -> bytes:
    return hmac.digest(cookie_key, b"piaoma.share", "sha256")


async def make_share(office: Office, merchant_id: int, number: str, days: int) -> Share:
    """A link to an invoice for so many days.

    Raises ``Refused`` REQUEST-MALFORMED, INVOICE-NOT-FOUND, SHARE-TOO-MANY.
    """
    if days not in SHARE_DAYS:
        raise refuse("REQUEST-MALFORMED", "days", have=days)
    now = office.now()
    lock = _LOCK.format(for_update=office.database.dialect.for_update)

    async def work(transaction: Transaction) -> int:
        if not await transaction.fetch(lock, merchant_id, number):
            raise refuse("INVOICE-NOT-FOUND")
        standing = await transaction.fetch(_COUNT, merchant_id, number, milliseconds(now))
        if standing[0][0] >= SHARES_MAX:
            raise refuse("SHARE-TOO-MANY", "days", have=SHARES_MAX)
        share_id = secrets.randbits(CODE_BITS)
        expires = milliseconds(now + timedelta(days=days))
        await transaction.execute(_ADD, merchant_id, share_id, number, milliseconds(now), expires)
        return share_id

    share_id = await write_block(office.database, work)
    return next(each for each in await shares_of(office, merchant_id, number) if each.share_id == share_id)


_LOCK = "SELECT 1 FROM invoices t WHERE merchant_id = $1 AND number = $2 {for_update}"
_COUNT = """
SELECT count(*) FROM shares WHERE merchant_id = $1 AND number = $2 AND revoked_at_ms IS NULL AND expires_at_ms > $3
"""
_ADD = """
INSERT INTO shares (merchant_id, share_id, number, created_at_ms, expires_at_ms) VALUES ($1, $2, $3, $4, $5)
"""
_SELECT = """
SELECT merchant_id, share_id, number, created_at_ms, expires_at_ms, revoked_at_ms, opened_at_ms, downloaded_at_ms
FROM shares WHERE merchant_id = $1
"""


async def shares_of(office: Office, merchant_id: int, number: str) -> list[Share]:
    """The links of an invoice that still stand, newest first."""
    rows = await office.database.read(
        _SELECT + " AND number = $2 AND revoked_at_ms IS NULL AND expires_at_ms > $3 ORDER BY created_at_ms DESC",
        merchant_id, number, milliseconds(office.now()),
    )  # fmt: skip
    return [_share(office, row) for row in rows]


async def share_of(office: Office, token: str) -> Share:
    """The link of a token, while it stands. Raises ``Refused`` PAGE-NOT-FOUND for what was never one, SHARE-GONE."""
    try:
        token = canonical(token)
        merchant_id, share_id = unseal((_key(office.cookie_key),), token)
    except Refused:
        raise refuse("PAGE-NOT-FOUND") from None
    row = await office.database.read_by_key(_SELECT + " AND share_id = $2", merchant_id, share_id)
    if row is None:
        raise refuse("PAGE-NOT-FOUND")
    found = _share(office, row)
    if found.revoked or found.expires_at <= office.now():
        raise refuse("SHARE-GONE")
    return found


async def revoke_share(office: Office, merchant_id: int, number: str, share_id: int) -> None:
    """Take a link of an invoice back (撤回). Twice is as once; another invoice's is left alone."""
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE shares SET revoked_at_ms = $4"
            " WHERE merchant_id = $1 AND share_id = $2 AND number = $3 AND revoked_at_ms IS NULL",
            merchant_id, share_id, number, milliseconds(office.now()),
        )  # fmt: skip


async def note_share_used(office: Office, share: Share, *, downloaded: bool) -> None:
    """Note the first opening and the first download: whoever shared it sees that it arrived."""
    if share.downloaded_at is not None or (share.opened_at is not None and not downloaded):
        return
    now_ms = milliseconds(office.now())
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE shares SET opened_at_ms = coalesce(opened_at_ms, $3),"
            " downloaded_at_ms = coalesce(downloaded_at_ms, $4) WHERE merchant_id = $1 AND share_id = $2",
            share.merchant_id, share.share_id, now_ms, now_ms if downloaded else None,
        )  # fmt: skip


def _share(office: Office, row: Row) -> Share:
    zone = office.now().tzinfo

    def moment(ms: int | None) -> datetime | None:
        return datetime.fromtimestamp(ms / 1000, zone) if ms else None

    token = seal(_key(office.cookie_key), row[0], row[1])
    created, expires = moment(row[3]), moment(row[4])
    assert created is not None and expires is not None, "a link has its times"
    return Share(
        row[0], row[1], row[2], token, f"{office.config.base_url}/h/{token}", created, expires, row[5] is not None,
        moment(row[6]), moment(row[7]),
    )  # fmt: skip
