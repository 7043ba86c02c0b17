"""``piaoma channel``: how the configured channel stands for a seller, giving quota back; beside a running server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from piaoma.channels import Channel, Unavailable
from piaoma.desk.channel import open_channel
from piaoma.desk.config import load_config
from piaoma.desk.office import shanghai_now
from piaoma.invoice.money import from_fen, to_fen
from piaoma.invoice.refusal import refuse
from piaoma.store import Database, month_of, numbers_left, open_database, set_quota, used_of_quota
from piaoma.trust.outside_signer import AbsentSigner


def show(taxpayer_id: str, config_file: Path | None) -> int:
    """Print state, quota and numbers; 1 when the channel cannot be used now."""

    async def work(channel: Channel, database: Database, merchant_id: int) -> int:
        now, month = shanghai_now(), month_of(shanghai_now())
        try:
            limit = f"¥{from_fen(await channel.get_quota(taxpayer_id, month)):,.2f}"
        except Unavailable as fault:
            limit = f"? {fault}"
        state = (await channel.session_state()).value
        used = from_fen(await used_of_quota(database, merchant_id, month))
        left = await numbers_left(database, merchant_id, f"{now:%y}")
        print(f"{channel.name}  {'samples' if channel.sandbox else 'live'}  {state}")
        print(f"{month}  quota {limit}  used ¥{used:,.2f}  numbers left {left}")
        return 0 if state == "ok" else 1

    return _beside_a_server(taxpayer_id, config_file, work)


def return_quota(taxpayer_id: str, yuan: str, config_file: Path | None) -> int:
    """Give downloaded quota back, never what is issued already. 1 when it is refused."""
    try:
        amount_fen = to_fen(Decimal(yuan))
    except (InvalidOperation, ValueError):
        amount_fen = 0

    async def work(channel: Channel, database: Database, merchant_id: int) -> int:
        month = month_of(shanghai_now())
        left_fen = await channel.get_quota(taxpayer_id, month) - await used_of_quota(database, merchant_id, month)
        give_back = getattr(channel, "return_quota", None)
        if give_back is None or not 0 < amount_fen <= left_fen:
            print(f"{channel.name}: ¥{from_fen(max(0, left_fen)):,.2f} could be given back", file=sys.stderr)
            return 1
        # Here first: an invoice that is issued meanwhile must not count on what goes away.
        await set_quota(database, merchant_id, month, await channel.get_quota(taxpayer_id, month) - amount_fen)
        limit_fen = await give_back(taxpayer_id, month, amount_fen)
        print(f"{channel.name}  {month}  quota ¥{from_fen(limit_fen):,.2f}")
        return 0

    return _beside_a_server(taxpayer_id, config_file, work)


def _beside_a_server(taxpayer_id: str, config_file: Path | None, work: Any) -> int:
    config, _ = load_config(config_file)

    async def run() -> int:
        database = await open_database(config.database_url)
        try:
            rows = await database.read("SELECT merchant_id FROM merchants WHERE taxpayer_id = $1", taxpayer_id)
            if not rows:
                raise refuse("MERCHANT-NOT-FOUND", "taxpayer")
            async with open_channel(config, AbsentSigner, shanghai_now) as channel:
                told: Coroutine[Any, Any, int] = work(channel, database, rows[0][0])
                return await told
        finally:
            await database.close()

    return asyncio.run(run())
