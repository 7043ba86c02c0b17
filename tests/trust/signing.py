"""A real signer in a process of its own, for tests that talk to it, stop it and kill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from piaoma.trust import SignerFault
from piaoma.trust.outside_signer import SignerLine

START_SECONDS = 30


class SignerProcess:
    """``piaoma keys serve-signer`` on a data folder."""

    def __init__(self, data: Path, socket: Path, *options: str) -> None:
        self.data, self.socket, self.options = data, socket, options
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIAOMA_")}
        program = [sys.executable, "-m", "piaoma.cli", "keys", "serve-signer", "--socket", str(self.socket)]
        program += self.options
        self.process = subprocess.Popen(
            program, env={**kept, "PIAOMA_DATA": str(self.data)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        line, deadline = SignerLine(self.socket), time.monotonic() + START_SECONDS
        while True:
            try:
                line.hello()
            except SignerFault:
                assert self.process.poll() is None and time.monotonic() < deadline, "the signer did not start"
                time.sleep(0.02)
            else:
                line.close()
                return

    def pause(self) -> None:
        """It hangs: connections open, nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """As a power cut ends it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextmanager
def outside_signer(data: Path, socket: Path, *options: str) -> Iterator[SignerProcess]:
    """A signer for the time of a block."""
    process = SignerProcess(data, socket, *options)
    process.start()
    try:
        yield process
    finally:
        process.kill()
