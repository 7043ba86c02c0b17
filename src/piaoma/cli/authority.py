"""``piaoma authority serve``: the authority and two providers as a process of their own, on loopback, for practice."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import resources
from pathlib import Path

import uvicorn

import piaoma.channels
from piaoma.channels import MODULES, SandboxAuthority
from piaoma.channels.sandbox import DIGITS_OF_THE_PROCESS
from piaoma.channels.simulator import access_in, app_of
from piaoma.desk.config import SANDBOX, load_config
from piaoma.desk.office import make_private, shanghai_now
from piaoma.store import migrations, open_database
from piaoma.trust import FileSigner, KeySecret, open_or_create

COMPANY, TAXPAYER_ID = "武汉测试餐饮有限公司", "91420100MA4K00000Q"  # the demo's seller, which the simulator must know
HOST = "127.0.0.1"
START_SECONDS = 20
ROOTS = "keys/root.pem"  # of the simulator's own test keys, in its folder


@asynccontextmanager
async def simulator(
    folder: Path, books: str, port: int, keys: Path | None = None
) -> AsyncIterator[tuple[uvicorn.Server, SandboxAuthority]]:
    """A server that is ready to run, and the authority behind it.

    ``folder`` is where the files that shops configure are written, and its keys kept unless ``keys`` names another;
    ``books`` is the address of its store.
    """
    keys = keys or folder
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = KeySecret(keys / "keys.secret", made=True)
    signer = FileSigner(await asyncio.to_thread(open_or_create, keys / "keys", shanghai_now(), secret))
    wanted = migrations(resources.files(piaoma.channels) / "migrations")
    ledger = await open_database(books, schema="piaoma_authority", wanted=wanted)
    try:
        authority = SandboxAuthority(ledger, lambda: signer, shanghai_now, DIGITS_OF_THE_PROCESS)
        access = access_in(folder, f"http://{HOST}:{port}", str((keys / ROOTS).resolve()))
        # What a rehearsal cuts off is an error to the server, and none to us.
        config = uvicorn.Config(
            app_of(authority, ledger, access), host=HOST, port=port, ws="none", lifespan="off", access_log=False,
            log_level="critical", server_header=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        yield uvicorn.Server(config), authority
    finally:
        await ledger.close()


@contextmanager
def simulated(channel: str) -> Iterator[dict[str, str]]:
    """A simulator for the demo's shop while it runs, and what the shop configures; nothing for the sandbox.

    Its books are thrown away. Its keys are this installation's simulator's, so that what it issued verifies afterwards.
    """
    if channel == SANDBOX:
        yield {}
        return
    own = load_config()[0].data_folder / "authority"
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="piaoma-authority-"))
    started, stopping = threading.Event(), threading.Event()

    async def run() -> None:
        async with simulator(folder, f"sqlite:///{folder / 'books.sqlite3'}", port, keys=own) as (server, authority):
            await authority.enrol(TAXPAYER_ID, COMPANY)
            serving = asyncio.create_task(server.serve())
            while not (server.started or serving.done()):
                await asyncio.sleep(0.01)
            started.set()
            while not (stopping.is_set() or serving.done()):
                await asyncio.sleep(0.05)
            server.should_exit = True
            await serving

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    try:
        if not started.wait(START_SECONDS):
            raise RuntimeError("the simulator did not start")
        yield {"channel": channel, "channel_file": str(folder / f"{channel}.toml")}
    finally:
        stopping.set()
        thread.join(START_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def serve_authority(port: int, config_file: Path | None) -> None:
    """Serve until stopped."""
    config, _ = load_config(config_file)
    make_private(config.data_folder)
    folder = config.data_folder / "authority"

    async def run() -> None:
        async with simulator(folder, config.authority_url, port) as (server, _):
            print(f"税务机关模拟器 authority simulator  http://{HOST}:{port}   只发样票 samples only")
            for name in MODULES:
                print(f'  channel = "{name}"  channel_file = "{folder.resolve() / name}.toml"', flush=True)
            await server.serve()

    asyncio.run(run())
