"""One device's day (设备): which invoices of a merchant and day the same browser confirmed, for the rule on titles.

The digest is keyed, another one for each merchant and day, and gone after two days: nobody can be followed by it.
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import TYPE_CHECKING

from piaoma.store import milliseconds

if TYPE_CHECKING:
    from .office import Office

GATHERED_MAX = 5_000  # invoices that wait to be written; the devices of further ones are not known
KEPT_DAYS = 2
Row = tuple[int, str, str, int]


def note(office: Office, merchant_id: int, number: str, secret: str) -> None:
    """A customer confirmed a code. ``secret`` is what his browser keeps; it is not."""
    if secret and len(office.devices) < GATHERED_MAX:
        now = office.now()
        named = f"device:{merchant_id}:{now:%Y-%m-%d}:{secret}".encode()
        device = hmac.digest(office.cookie_key, named, "sha256").hex()[:32]
        office.devices.append((merchant_id, number, device, milliseconds(now)))


async def write(office: Office) -> None:
    """Write what has gathered."""
    gathered, office.devices[:] = list(office.devices), []
    if gathered:
        async with office.database.write() as transaction:
            await transaction.execute_many(
                "INSERT INTO device_days (merchant_id, number, device, at_ms) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT DO NOTHING",
                gathered,
            )


async def purge(office: Office) -> None:
    """Digests of all merchants that are older than ``KEPT_DAYS`` go."""
    before_ms = milliseconds(office.now() - timedelta(days=KEPT_DAYS))
    async with office.database.write() as transaction:
        await transaction.execute("DELETE FROM device_days WHERE at_ms < $1", before_ms)
