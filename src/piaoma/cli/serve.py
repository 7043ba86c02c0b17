"""``piaoma serve``."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import uvicorn

from piaoma.desk.channel import demand_channel
from piaoma.desk.config import Config, ConfigFault, load_config
from piaoma.desk.keys import open_keys
from piaoma.desk.office import make_private, shanghai_now
from piaoma.web.app import create_app

from .logs import set_up_logs

KEEP_ALIVE_SECONDS = 30
SHUTDOWN_SECONDS = 10


def server_of(config: Config) -> uvicorn.Server:
    """The HTTP server of a configuration. Access logs are ours, without tokens."""
    settings = uvicorn.Config(
        create_app(config),
        host=config.host,
        port=config.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        lifespan="on",
    )
    return uvicorn.Server(settings)


def _check_free(where: str) -> None:
    """Raises ``ConfigFault`` when nobody can listen there."""
    host, _, port = where.rpartition(":")
    try:
        with socket.create_server((host.strip("[]"), int(port)), family=_family(host)):
            pass
    except OSError as error:
        raise ConfigFault(f"mail_in: cannot listen at {where}: {error.strerror}") from None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def serve(file: Path | None) -> None:
    """Serve until stopped. A data folder that is in use, a fault in the configuration or in the keys is said in one
    line."""
    from piaoma.store import FolderLock

    config, _ = load_config(file)
    set_up_logs()
    if config.database_url.startswith("sqlite:"):
        # Asked before the server starts, so that the message is one line and not a trace.
        make_private(config.data_folder)
        FolderLock(config.data_folder).release()
    open_keys(config, shanghai_now)  # so is a secret that opens no key
    if config.mail_in:
        _check_free(config.mail_in)
    asyncio.run(demand_channel(config, shanghai_now()))  # and a channel that cannot be gone over to
    print(f"票码 Piaoma  {config.base_url}   数据 {config.data_folder}", flush=True)
    server_of(config).run()
