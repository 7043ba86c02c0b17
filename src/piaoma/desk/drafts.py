"""Drafts (草稿): what somebody has typed into the issuing page and not issued yet, kept for him alone on the server.

A draft follows its person from device to device. Each saving is a version: who saves on top of an older one, because
he has the page open elsewhere too, is told and overwrites nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.refusal import refuse
from piaoma.store import Row, Transaction, milliseconds, write_block

from .events import record
from .sessions import Session

if TYPE_CHECKING:
    from .office import Office

DRAFTS_MAX = 30  # of one person; the oldest goes
DRAFT_BYTES_MAX = 60_000  # of the form of one
DRAFT_DAYS_MAX = 60  # without a change, then it goes
SUMMARY_MAX = 80  # characters of what the list shows


class StoredDraft(msgspec.Struct, frozen=True):
    """A draft as it was saved last. ``device`` is the browser that saved it."""

    draft_id: str
    version: int
    device: str
    summary: str
    form: Mapping[str, str]
    changed_at: datetime


async def save_draft(
    office: Office, session: Session, draft_id: str, version: int, form: Mapping[str, str], summary: str, device: str
) -> StoredDraft:
    """Keep what was typed. ``draft_id`` is the key of its code to be, ``version`` the one that was shown, 0 at first.

    Raises ``Refused`` DRAFT-ELSEWHERE when it was saved from another device since, DRAFT-USED when it was made into a
    code or thrown away, DRAFT-TOO-LARGE.
    """
    encoded = msgspec.json.encode(form).decode()
    if len(encoded.encode()) > DRAFT_BYTES_MAX:
        raise refuse("DRAFT-TOO-LARGE", max=DRAFT_BYTES_MAX)
    now_ms = milliseconds(office.now())
    key = (session.merchant_id, draft_id or secrets.token_urlsafe(12))

    async def work(transaction: Transaction) -> int:
        rows = await transaction.fetch(_LOCK.format(for_update=office.database.dialect.for_update), *key)
        if rows and rows[0]["person_id"] != session.person_id:
            raise refuse("DRAFT-NOT-FOUND")
        used = not rows and await transaction.fetch(_CODE_MADE, *key)
        if used or (not rows and version):
            raise refuse("DRAFT-USED")
        if not rows:
            values = (*key, session.person_id, 1, device, summary[:SUMMARY_MAX], encoded, now_ms)
            await transaction.execute(_INSERT, *values)
            await transaction.execute(_DROP_OLD, session.merchant_id, session.person_id, DRAFTS_MAX)
            await record(transaction, session.actor, office.now(), "draft.save", summary[:SUMMARY_MAX])
            return 1
        if rows[0]["version"] != version:
            at = datetime.fromtimestamp(rows[0]["changed_at_ms"] / 1000, office.now().tzinfo)
            raise refuse("DRAFT-ELSEWHERE", device=rows[0]["device"] or "?", at=f"{at:%m-%d %H:%M}")
        await transaction.execute(_UPDATE, *key, version + 1, device, summary[:SUMMARY_MAX], encoded, now_ms)
        return version + 1

    saved = await write_block(office.database, work)
    return StoredDraft(key[1], saved, device, summary, form, office.now())


async def drafts_of(office: Office, session: Session) -> list[StoredDraft]:
    """A person's drafts for this merchant, newest first."""
    since = milliseconds(office.now()) - DRAFT_DAYS_MAX * 86_400_000
    rows = await office.database.read(_MINE, session.merchant_id, session.person_id, since, DRAFTS_MAX)
    return [_draft(office, row) for row in rows]


async def draft_of_person(office: Office, session: Session, draft_id: str) -> StoredDraft:
    """Raises ``Refused`` DRAFT-NOT-FOUND, in the same words when it is somebody else's."""
    row = await office.database.read_by_key(_ONE, session.merchant_id, draft_id[:40], session.person_id)
    if row is None:
        raise refuse("DRAFT-NOT-FOUND")
    return _draft(office, row)


async def remove_draft(office: Office, session: Session, draft_id: str, *, used: bool = False) -> None:
    """Throw a draft away, or let it go because it was used; twice is as once."""
    async with office.database.write() as transaction:
        key = (session.merchant_id, draft_id[:40], session.person_id)
        if await transaction.execute(_REMOVE, *key) and not used:
            await record(transaction, session.actor, office.now(), "draft.remove", draft_id[:40])


def _draft(office: Office, row: Row) -> StoredDraft:
    changed_at = datetime.fromtimestamp(row["changed_at_ms"] / 1000, office.now().tzinfo)
    form = msgspec.json.decode(row["form"], type=dict[str, str])
    return StoredDraft(row["draft_id"], row["version"], row["device"], row["summary"], form, changed_at)


_COLUMNS = "draft_id, person_id, version, device, summary, form, changed_at_ms"
_LOCK = """
SELECT person_id, version, device, changed_at_ms FROM drafts t
WHERE merchant_id = $1 AND draft_id = $2 {for_update}
"""
_ONE = f"SELECT {_COLUMNS} FROM drafts WHERE merchant_id = $1 AND draft_id = $2 AND person_id = $3"  # noqa: S608
_CODE_MADE = "SELECT 1 FROM codes WHERE merchant_id = $1 AND mint_key = $2"
_MINE = f"""
SELECT {_COLUMNS} FROM drafts WHERE merchant_id = $1 AND person_id = $2 AND changed_at_ms > $3
ORDER BY changed_at_ms DESC, draft_id LIMIT $4
"""  # noqa: S608
_INSERT = """
INSERT INTO drafts (merchant_id, draft_id, person_id, version, device, summary, form, changed_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_UPDATE = """
UPDATE drafts SET version = $3, device = $4, summary = $5, form = $6, changed_at_ms = $7
WHERE merchant_id = $1 AND draft_id = $2
"""
_REMOVE = "DELETE FROM drafts WHERE merchant_id = $1 AND draft_id = $2 AND person_id = $3"
_DROP_OLD = """
DELETE FROM drafts WHERE merchant_id = $1 AND person_id = $2 AND draft_id NOT IN (
  SELECT draft_id FROM drafts WHERE merchant_id = $1 AND person_id = $2 ORDER BY changed_at_ms DESC, draft_id LIMIT $3)
"""
