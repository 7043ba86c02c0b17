"""``piaoma bench signers``: what a signature costs by each library, and what an outside signer costs a server."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from piaoma.desk.config import Config
from piaoma.desk.keys import open_keys
from piaoma.desk.office import shanghai_now
from piaoma.store.writer import BATCH_MAX, SEALING_THREADS
from piaoma.trust import PrivateKey, PublicKey, Signer, SignerFault, sm2
from piaoma.trust.outside_signer import SignerLine
from piaoma.trust.sealed_file import load_or_create_key

from .bench_issue import RATE_MAX, SIGNED_BYTES, Load, load_of
from .bench_shop import confirm_request, fill, serve_pages

ROUNDS = 3
START_SECONDS_MAX = 20.0


def bench_signers(config: Config, seconds: float, clients: int) -> None:
    """Signatures a second by library and by signer, then invoices a second over HTTP with either signer, in turn."""
    share = seconds / 8
    told = {}
    for name, engine in (("tongsuo", sm2.tongsuo), ("openssl", sm2.openssl)):
        try:
            engine()
        except sm2.EngineMissing as missing:
            print(f"{name}: {missing}")
            continue
        sm2.choose(name)  # type: ignore[arg-type]
        key = PrivateKey.generate()
        public, data = PublicKey(key.public_der()), b"x" * SIGNED_BYTES
        signature = key.sign(data)
        for what, work in (("sign", lambda: key.sign(data)), ("verify", lambda: public.verifies(signature, data))):  # noqa: B023
            told[f"{name}_{what}"] = _rate(work, 1, share)
            told[f"{name}_{what}_2"] = _rate(work, 2, share)
    issue = _issued(config, seconds, clients, told)
    for name, rate in told.items():
        print(f"{name:16}{rate:8.0f}/s")
    ratio = issue["outside"].rate / issue["file"].rate
    print(
        "RESULT signers " + " ".join(f"{name}={rate:.0f}/s" for name, rate in told.items())
        + f" issue_file={issue['file'].rate:.0f}/s issue_outside={issue['outside'].rate:.0f}/s ratio={ratio:.2f}"
    )  # fmt: skip


def _issued(config: Config, seconds: float, clients: int, told: dict[str, float]) -> dict[str, Load]:
    """Both signers over HTTP, in turn, and by batches without anything around them."""
    _, tokens = asyncio.run(fill(config, int(seconds * RATE_MAX + clients) * ROUNDS * 2, 0))
    cookie_key = load_or_create_key(config.data_folder / "keys" / "cookie.key", config.secret)
    requests = [confirm_request(cookie_key, token) for token in tokens]
    part = len(requests) // (2 * ROUNDS)
    loads: dict[str, list[Load]] = {"file": [], "outside": []}
    with signer_process(config) as socket:
        kinds = {"file": config, "outside": msgspec.structs.replace(config, signer=f"unix:{socket}")}
        for name, kind in kinds.items():
            keys = open_keys(kind, shanghai_now)
            told[f"{name}_batches"] = _batches(keys.signing().signer, seconds / 4)
            keys.close()
        for turn in range(ROUNDS):
            for at, (name, kind) in enumerate(kinds.items()):
                start = (2 * turn + at) * part
                load = load_of(serve_pages, kind, requests[start : start + part], clients, seconds)
                loads[name].append(load)
                print(f"round {turn + 1} {name:8}{load.rate:6.0f}/s, p99 {load.p99_ms:.0f} ms")
    return {name: sorted(rounds, key=lambda load: load.rate)[ROUNDS // 2] for name, rounds in loads.items()}


def _batches(signer: Signer, seconds: float) -> float:
    """Signatures a second as the batch writer asks for them: half a batch in each of two threads."""
    half = [b"x" * SIGNED_BYTES] * (BATCH_MAX // SEALING_THREADS)
    return _rate(lambda: signer.sign_all(half), SEALING_THREADS, seconds) * len(half)


def _rate(work: Callable[[], object], threads: int, seconds: float) -> float:
    """Runs a second of so many threads together, the median of three spans."""
    rates = []
    for _ in range(3):
        counts = [0] * threads
        deadline = time.perf_counter() + seconds / 3

        def run(place: int, counts: list[int] = counts, deadline: float = deadline) -> None:
            while time.perf_counter() < deadline:
                work()
                counts[place] += 1

        begun = time.perf_counter()
        started = [threading.Thread(target=run, args=(place,)) for place in range(threads)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        rates.append(sum(counts) / (time.perf_counter() - begun))
    return statistics.median(rates)


@contextmanager
def signer_process(config: Config) -> Iterator[Path]:
    """A signer on the keys of a data folder, in a process of its own; where it listens."""
    folder = config.data_folder
    socket = folder / "signer.sock"
    program = [sys.executable, "-m", "piaoma.cli", "keys", "serve-signer", "--socket", str(socket)]
    environment = {**os.environ, "PIAOMA_DATA": str(folder)}
    process = subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
    try:
        line, deadline = SignerLine(socket), time.monotonic() + START_SECONDS_MAX
        while not _answers(line):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the signer did not start")
            time.sleep(0.05)
        line.close()
        yield socket
    finally:
        process.kill()
        process.wait()


def _answers(line: SignerLine) -> bool:
    try:
        line.hello()
    except SignerFault:
        return False
    return True
