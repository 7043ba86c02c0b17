"""Delivering (交付): sending an invoice by mail, seeing what became of it, trying again."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from piaoma.delivery import is_address, masked
from piaoma.invoice.refusal import refuse
from piaoma.store import milliseconds

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


async def send(office: Office, merchant_id: int, number: str, address: str) -> Delivery:
    """Send an invoice to an address. Asked for twice while the first still waits, it is sent once.

    Raises ``Refused`` MAIL-ADDRESS, INVOICE-NOT-FOUND, REQUEST-TOO-MANY.
    """
    address = check_address(address)
    now_ms = milliseconds(office.now())
    async with office.database.write() as transaction:
        if not await transaction.fetch(
            "SELECT 1 FROM invoices WHERE merchant_id = $1 AND number = $2", merchant_id, number
        ):
            raise refuse("INVOICE-NOT-FOUND")
        mails = await transaction.fetch(
            "SELECT job_id, target, state FROM jobs WHERE merchant_id = $1 AND number = $2 AND kind = 'mail'"
            " AND job_id > $2 AND job_id < CAST($2 AS TEXT) || ';'",
            merchant_id, number,
        )  # fmt: skip
        waiting = [row[0] for row in mails if row[1] == address and row[2] == "waiting"]
        if waiting:
            job_id = waiting[0]
        else:
            if len(mails) >= MAILS_MAX:
                raise refuse("REQUEST-TOO-MANY", "email", seconds=86_400)
            job_id = f"{number}:mail:{len(mails)}"
            await transaction.execute(
                "INSERT INTO jobs (merchant_id, job_id, kind, number, target, next_at_ms, created_at_ms)"
                " VALUES ($1, $2, 'mail', $3, $4, $5, $5)",
                merchant_id, job_id, number, address, now_ms,
            )  # fmt: skip
    return next(each for each in await deliveries(office, merchant_id, number) if each.job_id == job_id)


async def deliveries(office: Office, merchant_id: int, number: str) -> list[Delivery]:
    """Everything that was or will be done for an invoice."""
    rows = await office.database.read(
        "SELECT job_id, kind, number, target, state, attempts, next_at_ms, done_at_ms, last_error FROM jobs"
        " WHERE merchant_id = $1 AND job_id > $2 AND job_id < CAST($2 AS TEXT) || ';' ORDER BY created_at_ms, job_id",
        merchant_id, number,
    )  # fmt: skip
    zone = office.now().tzinfo
    return [
        Delivery(
            row[0], row[1], row[2], masked(row[3]) if row[3] else "", row[4], row[5],
            datetime.fromtimestamp(row[6] / 1000, zone),
            datetime.fromtimestamp(row[7] / 1000, zone) if row[7] else None, row[8],
        )
        for row in rows
    ]  # fmt: skip


async def retry(office: Office, merchant_id: int, job_id: str) -> None:
    """Let a dead delivery be tried again, under the same id. Raises ``Refused`` JOB-NOT-FOUND."""
    async with office.database.write() as transaction:
        if not await transaction.execute(
            "UPDATE jobs SET state = 'waiting', attempts = 0, next_at_ms = $3, lease_until_ms = 0"
            " WHERE merchant_id = $1 AND job_id = $2 AND state = 'dead'",
            merchant_id, job_id, milliseconds(office.now()),
        ):  # fmt: skip
            raise refuse("JOB-NOT-FOUND")
