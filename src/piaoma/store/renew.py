"""Beginning again after a backup was put back (重启纪元): what may have been used since must never be used again.

The store knows nothing of what happened after its backup, but others do: customers hold invoices, the authority has
reports, the log's checkpoints are out. So every number that was left is burnt with a record (P3), every code that was
open is revoked and every application that waited is closed, for an invoice of it may exist (P2), and the log begins
anew under another name (docs/log.md).
"""

from __future__ import annotations

import secrets

import msgspec

from piaoma.invoice.refusal import Refusal

from .database import Database, Transaction

_NEVER_MS = 253_402_214_400_000  # the last day of the year 9999: nothing comes by itself
REASON = "restored from a backup"  # of a burnt number, beside the epoch


def new_nonce() -> str:
    """What the blocks of a store's life are asked for under; nobody else has it."""
    return secrets.token_hex(16)


class Renewal(msgspec.Struct, frozen=True):
    """What beginning again cost. ``epoch`` counts the store's lives, the first being 1."""

    epoch: int
    numbers_burnt: int
    codes_revoked: int


# The two dialects share no way of filling with zeros; adding 10¹⁵ and leaving out the first digit is one.
BURN = """
INSERT INTO unused_numbers (merchant_id, number, reason, recorded_at_ms)
WITH RECURSIVE rest (merchant_id, prefix, sequence, last_sequence) AS (
    SELECT merchant_id, prefix, next_sequence, last_sequence FROM number_blocks WHERE next_sequence <= last_sequence
    UNION ALL
    SELECT merchant_id, prefix, sequence + 1, last_sequence FROM rest WHERE sequence < last_sequence
)
SELECT merchant_id, prefix || substr(CAST(1000000000000000 + sequence AS TEXT), 2), CAST($1 AS TEXT),
       CAST($2 AS BIGINT) FROM rest
"""
CLOSE_BLOCKS = "UPDATE number_blocks SET next_sequence = last_sequence + 1 WHERE next_sequence <= last_sequence"
# A red invoice that followed an open form, or a 换开 that went on, may exist as well: nothing of it goes on by itself.
_STOP_CORRECTIONS = (
    "UPDATE red_forms SET then_issue = 0 WHERE issue_key IS NULL",
    "UPDATE reissues SET state = 'failed', next_at_ms = NULL, email = ''"
    " WHERE state IN ('asked', 'working', 'confirming')",
)
# Where the old invoice is red, a person has to find out whether the new one came since, and say so by 重试.
_LEAVE_TO_SOMEBODY = "UPDATE reissues SET next_at_ms = $1, refusal = $2 WHERE state = 'red'"
_REVOKE = "UPDATE codes SET state = 'revoked', changed_at_ms = $1 WHERE state = 'open'"
# Its customer reads this.
_CLOSE_APPLICATIONS = """
UPDATE applications SET state = 'refused', reason = $2, decided_by = '', decided_at_ms = $1 WHERE state = 'waiting'
OR (state = 'approved' AND NOT EXISTS (
    SELECT 1 FROM codes c WHERE c.merchant_id = applications.merchant_id AND c.code_id = applications.application_id
    AND c.issue_key IS NOT NULL))
"""
APPLICATION_REASON = "系统从备份恢复过，请店家核对是否已开，没有开的请重新申请"
# The sequencer takes every invoice in again.
_EMPTY_LOG = (
    "DELETE FROM log_leaves", "DELETE FROM log_tiles", "DELETE FROM log_checkpoints", "DELETE FROM log_pending",
)  # fmt: skip
# Whoever hands invoices to their buyers follows it again from its beginning; what is there stays as it is.
_FOLLOW_AGAIN = "UPDATE receiving_cursor SET leaf = 0"
_CLOSE_MAILBOXES = "UPDATE mailboxes SET open = 0, turn = turn + 1"  # an address that was given up would live again
# One that was revoked or used up since would live again.
_LINKS = ("shares", "list_links")
_EPOCH = """
INSERT INTO epochs (epoch, begun_at_ms, backup_at_ms, numbers_burnt, codes_revoked) VALUES ($1, $2, $3, $4, $5)
"""


async def renew(database: Database, backup_at_ms: int, now_ms: int) -> Renewal:
    """Begin the store's next life, all of it or nothing. Nobody else may have the store open."""
    async with database.write() as transaction:
        epoch = await _last_epoch(transaction) + 1
        burnt = await transaction.execute(BURN, f"{REASON}, epoch {epoch}", now_ms)
        await transaction.execute(CLOSE_BLOCKS)
        revoked = await transaction.execute(_REVOKE, now_ms)
        await transaction.execute(_CLOSE_APPLICATIONS, now_ms, APPLICATION_REASON)
        await transaction.execute("DELETE FROM sessions")  # one that was ended since would live again
        await transaction.execute("DELETE FROM challenges WHERE used_at_ms IS NULL")  # so would a link that was used
        await transaction.execute("DELETE FROM notices WHERE state = 'waiting'")  # and these hold such links
        for table in _LINKS:
            await transaction.execute(f"DELETE FROM {table}")  # noqa: S608 - two names of our own
        await transaction.execute("UPDATE channels SET nonce = $1", new_nonce())
        for statement in (*_STOP_CORRECTIONS, *_EMPTY_LOG, _FOLLOW_AGAIN, _CLOSE_MAILBOXES):
            await transaction.execute(statement)
        told = msgspec.json.encode([Refusal("REISSUE-RESTORED")]).decode()
        await transaction.execute(_LEAVE_TO_SOMEBODY, _NEVER_MS, told)
        await transaction.execute(_EPOCH, epoch, now_ms, backup_at_ms, burnt, revoked)
    return Renewal(epoch, burnt, revoked)


async def _last_epoch(transaction: Transaction) -> int:
    return int((await transaction.fetch("SELECT coalesce(max(epoch), 1) FROM epochs"))[0][0])
