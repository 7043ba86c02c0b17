"""``piaoma operator``: the people who run the platform. Only who has the data folder can make one."""

from __future__ import annotations

import asyncio
import getpass
import sys
from pathlib import Path

from piaoma.desk.config import load_config
from piaoma.desk.office import make_private, shanghai_now
from piaoma.desk.operators import add_operator
from piaoma.store import open_database


def add(login: str, config_file: Path | None) -> int:
    """Ask for the password, or read it from standard input, and make the operator; a running server may go on."""
    config, _ = load_config(config_file)
    password = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")

    async def run() -> None:
        make_private(config.data_folder)
        database = await open_database(config.database_url)
        try:
            await add_operator(database, shanghai_now(), login, password)
        finally:
            await database.close()

    asyncio.run(run())
    print(f"{login}: /operator")
    return 0
