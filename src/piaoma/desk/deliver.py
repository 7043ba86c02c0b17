"""Delivering (交付): sending an invoice by mail, seeing what became of it, trying again."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from piaoma.delivery import is_address, masked
from piaoma.invoice.refusal import refuse
from piaoma.store import Transaction, milliseconds, write_block

from .events import Actor, record

if TYPE_CHECKING:
    from .office import Office

MAILS_MAX = 20  # of one invoice


class Delivery(msgspec.Struct, frozen=True):
    """One delivery as people see it. ``target`` is masked."""

    job_id: str
    kind: str
    number: str
    target: str
    state: str
    attempts: int
    next_at: datetime
    done_at: datetime | None
    last_error: str


def check_address(address: str) -> str:
    """An e-mail address without blanks around it. Raises ``Refused`` MAIL-ADDRESS."""
    address = address.strip()
    if not is_address(address):
        raise refuse("MAIL-ADDRESS", "email", have=address[:60])
    return address


async def send(
    office: Office, merchant_id: int, number: str, address: str, *, unless_sent: bool = False, by: Actor | None = None
) -> Delivery:
    """Send an invoice to an address. Asked for twice while the first still waits, it is sent once.

    ``by`` is who of the merchant's people asked; None when the customer did.
    ``unless_sent`` does nothing when it was sent there before: for a request that is a repetition of another.
    Raises ``Refused`` MAIL-ADDRESS, INVOICE-NOT-FOUND, REQUEST-TOO-MANY.
    """
    address = check_address(address)
    now_ms = milliseconds(office.now())
    statement = _JOBS.format(keys=office.database.dialect.int_text_keys)
    lock = _LOCK_INVOICE.format(for_update=office.database.dialect.for_update)

    async def work(transaction: Transaction) -> str:
        if not await transaction.fetch(lock, merchant_id, number):
            raise refuse("INVOICE-NOT-FOUND")
        jobs = await transaction.fetch(statement, _keys(merchant_id, number))
        mails = [row for row in jobs if row["kind"] == "mail"]
        same = [
            row["job_id"] for row in mails if row["target"] == address and (unless_sent or row["state"] == "waiting")
        ]
        if same:
            return str(same[0])
        if len(mails) >= MAILS_MAX:
            raise refuse("REQUEST-TOO-MANY", "email", seconds=86_400)
        job_id = f"{number}:mail:{len(mails)}"
        await transaction.execute(_ADD_MAIL, merchant_id, job_id, number, address, now_ms)
        if by is not None:
            await record(transaction, by, office.now(), "invoice.send", number, after={"email": address})
        return job_id

    job_id = await write_block(office.database, work)
    return next(each for each in await deliveries(office, merchant_id, number) if each.job_id == job_id)


# The invoice's row is locked, so that two who send at once do not take the same number for their mails.
_LOCK_INVOICE = "SELECT 1 FROM invoices t WHERE merchant_id = $1 AND number = $2 {for_update}"
# Jobs are named by whole keys: a range of texts means one thing in one database's alphabet and another in the next.
_JOBS = """
SELECT t.job_id, t.kind, t.number, t.target, t.state, t.attempts, t.next_at_ms, t.done_at_ms, t.last_error
FROM {keys} CROSS JOIN jobs t WHERE t.merchant_id = k.a AND t.job_id = k.b ORDER BY t.created_at_ms, t.job_id
"""
_ADD_MAIL = """
INSERT INTO jobs (merchant_id, job_id, kind, number, target, next_at_ms, created_at_ms)
VALUES ($1, $2, 'mail', $3, $4, $5, $5)
"""


def _keys(merchant_id: int, number: str) -> str:
    """Every job that an invoice can have."""
    names = [f"{number}:report", *(f"{number}:mail:{place}" for place in range(MAILS_MAX))]
    return json.dumps([(merchant_id, name) for name in names])


async def deliveries(office: Office, merchant_id: int, number: str) -> list[Delivery]:
    """Everything that was or will be done for an invoice."""
    statement = _JOBS.format(keys=office.database.dialect.int_text_keys)
    rows = await office.database.read(statement, _keys(merchant_id, number))
    zone = office.now().tzinfo
    return [
        Delivery(
            row[0], row[1], row[2], masked(row[3]) if row[3] else "", row[4], row[5],
            datetime.fromtimestamp(row[6] / 1000, zone),
            datetime.fromtimestamp(row[7] / 1000, zone) if row[7] else None, row[8],
        )
        for row in rows
    ]  # fmt: skip


async def contact_of(office: Office, merchant_id: int, number: str) -> str:
    """The address that an invoice was sent to last; empty when none is known, or is not kept any more."""
    statement = _JOBS.format(keys=office.database.dialect.int_text_keys)
    rows = await office.database.read(statement, _keys(merchant_id, number))
    return next((str(row["target"]) for row in reversed(rows) if row["kind"] == "mail" and row["target"]), "")


async def retry(office: Office, merchant_id: int, job_id: str, by: Actor | None = None) -> None:
    """Let a dead delivery be tried again, under the same id. Raises ``Refused`` JOB-NOT-FOUND."""
    async with office.database.write() as transaction:
        now_ms = milliseconds(office.now())
        if not await transaction.execute(_RETRY + " AND job_id = $3", merchant_id, now_ms, job_id):
            raise refuse("JOB-NOT-FOUND")
        if by is not None:
            await record(transaction, by, office.now(), "delivery.retry", job_id)


async def retry_all(office: Office, by: Actor) -> int:
    """Let every dead delivery of a merchant be tried again; how many."""
    async with office.database.write() as transaction:
        count = await transaction.execute(_RETRY, by.merchant_id, milliseconds(office.now()))
        await record(transaction, by, office.now(), "delivery.retry", str(count))
    return count


_RETRY = """
UPDATE jobs SET state = 'waiting', attempts = 0, next_at_ms = $2, lease_until_ms = 0
WHERE merchant_id = $1 AND state = 'dead'
"""
