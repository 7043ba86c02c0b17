"""A real server in its own process, on a data folder of its own, for browsers and for kill tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
START_SECONDS = 30


class Served:
    """A running server."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None, *, localhost: bool = False) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.folder = folder
        # A passkey belongs to a name; an address of numbers has none.
        self.base_url = f"http://{'localhost' if localhost else '127.0.0.1'}:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PIAOMA_")},
            "PIAOMA_DATA": str(folder / "data"),
            "PIAOMA_PORT": str(self.port),
            "PIAOMA_BASE_URL": self.base_url,
            **(environment or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "piaoma.cli", "serve"], env=self.environment, stdout=self.log, stderr=self.log
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with urlopen(f"{self.base_url}/readyz", timeout=2):
                    return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    text = (self.folder / "server.log").read_text(errors="replace")
                    raise RuntimeError(f"the server did not start:\n{text[-3000:]}") from None
                time.sleep(0.03)

    def kill(self) -> None:
        """End it as a power cut would: without a chance to say goodbye."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command on the same data folder."""
        return subprocess.run(
            [sys.executable, "-m", "piaoma.cli", *arguments], env=self.environment, capture_output=True, text=True
        )


@contextmanager
def serve(environment: dict[str, str] | None = None, *, localhost: bool = False) -> Iterator[Served]:
    """A server for the time of a block."""
    folder = Path(tempfile.mkdtemp(prefix="piaoma-test-"))
    served = Served(folder, environment, localhost=localhost)
    served.start()
    try:
        yield served
    finally:
        if served.process is not None and served.process.poll() is None:
            served.kill()
        shutil.rmtree(folder, ignore_errors=True)
