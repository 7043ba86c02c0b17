"""The channel in force (开票渠道): opening the one that the configuration names, and changing from one to another.

A change is a restart with another configuration. It happens only when nothing is under way with the channel before, and
what is left of its numbers is burnt with a record: numbers of two channels are never mixed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from importlib import resources
from pathlib import Path

import piaoma.channels
from piaoma.channels import Channel, SandboxAuthority, SettingsFault, open_outside, trusted_roots
from piaoma.store import enter_channel, migrations, open_database
from piaoma.trust import Signer

from .config import SANDBOX, Config, ConfigFault


@asynccontextmanager
async def open_channel(
    config: Config, signer: Callable[[], Signer], now: Callable[[], datetime]
) -> AsyncIterator[Channel]:
    """The channel of a configuration, closed in the end; ``signer`` says who signs what the sandbox issues by call.

    Raises ``ConfigFault``.
    """
    if config.channel == SANDBOX:
        books = resources.files(piaoma.channels) / "migrations"
        ledger = await open_database(config.authority_url, schema="piaoma_authority", wanted=migrations(books))
        try:
            yield SandboxAuthority(ledger, signer, now)
        finally:
            await ledger.close()
        return
    try:
        channel = open_outside(config.channel, Path(config.channel_file), now, live=config.live)
    except SettingsFault as fault:
        raise ConfigFault(f"channel_file: {fault}") from None
    try:
        yield channel
    finally:
        await channel.close()


async def demand_channel(config: Config, now: datetime) -> None:
    """Let the store go over to the configured channel, before a server starts. Raises ``Refused`` CHANNEL-SWITCH-OPEN,
    ``ConfigFault``."""
    channel_roots(config)
    database = await open_database(config.database_url)
    try:
        await enter_channel(database, config.channel, now, live=config.live)
    finally:
        await database.close()


def channel_roots(config: Config) -> tuple[bytes, ...]:
    """The roots, DER, that the channel's settings trust beside our own. Raises ``ConfigFault``."""
    if config.channel == SANDBOX:
        return ()
    try:
        return trusted_roots(config.channel, Path(config.channel_file))
    except SettingsFault as fault:
        raise ConfigFault(f"channel_file: {fault}") from None
