"""Reporting (上报): telling the authority of invoices that were numbered here."""

from __future__ import annotations

import json
from collections.abc import Sequence

from piaoma.channels import Channel, Report
from piaoma.store import Database

from .outbox import Job, Undeliverable

_REPORTS = """
SELECT m.taxpayer_id, t.number, t.digest, t.month, t.kind, t.amount_fen, t.tax_fen, t.original
FROM {keys} CROSS JOIN invoices t CROSS JOIN merchants m
WHERE t.merchant_id = k.a AND t.number = k.b AND m.merchant_id = t.merchant_id
"""


class ReportCarrier:
    """Carries report jobs, many in one call."""

    batch_max = 500
    leased = False
    attempts_max: int | None = None  # the authority must know of every invoice, however long it is away

    def __init__(self, database: Database, channel: Channel) -> None:
        self._database = database
        self._channel = channel
        self._statement = _REPORTS.format(keys=database.dialect.int_text_keys)

    async def carry(self, jobs: Sequence[Job]) -> None:
        """See ``Carrier.carry``. Reporting twice changes nothing there. What the authority will not take is dead with
        its cause: the outbox halves a batch until it stands alone."""
        keys = json.dumps([(job.merchant_id, job.number) for job in jobs])
        rows = await self._database.read(self._statement, keys)
        refused = await self._channel.report([
            Report(row[0], row[1], row[2], row[3], row[4], row[5], row[6], bytes(row[7])) for row in rows
        ])  # fmt: skip
        if refused:
            told = refused[0].refusal
            raise Undeliverable(f"{told.cause} {told.values.get('have', '')}".strip())
