"""``piaoma bench verify``: files a second that are checked, through the workers that bound them, each kind alone."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from piaoma.desk.config import Config
from piaoma.desk.keys import open_keys
from piaoma.desk.office import shanghai_now
from piaoma.documents.check import CHECK_MEMORY_BYTES_MAX, Trusted
from piaoma.documents.workers import Workers
from piaoma.trust import sign_value

from .bench_documents import some_originals
from .verify import WAITING_MAX, checked

FILES_DEFAULT = 300  # of each kind
DIFFERENT_MAX = 20  # invoices, again and again, so that nothing that is kept of one helps


def bench_verify(config: Config, files: int) -> None:
    """Files a second for each kind, on all processors."""
    from piaoma.documents import ofd
    from piaoma.documents.render import render

    count = files or FILES_DEFAULT
    originals = asyncio.run(some_originals(config, DIFFERENT_MAX))
    now, keys = shanghai_now(), open_keys(config, shanghai_now)
    seal, trusted = keys.signing().seal_signer, Trusted((keys.root,))

    def sealed(original: bytes) -> bytes:
        listed = ofd.to_be_sealed(original, now)
        assert listed is not None
        return ofd.write(original, sign_value(listed, f"/{ofd.SIGNATURE}", seal, now))

    kinds = {
        "xml": originals,
        "pdf": [render(one, "pdf") for one in originals],
        "pdf_of_others": [render(one, "pdf") + b"%" for one in originals],  # read by its text and its QR
        "ofd": [sealed(one) for one in originals],
        "png": [render(one, "png") for one in originals],
    }
    jobs = os.cpu_count() or 1
    workers = Workers(jobs, CHECK_MEMORY_BYTES_MAX)
    rates = {}
    try:
        with tempfile.TemporaryDirectory(prefix="piaoma-bench-") as place:
            for kind, made in kinds.items():
                paths = _written(Path(place), kind, made, count)
                asyncio.run(_all(paths[: jobs * 4], trusted, workers))  # warm
                begun = time.perf_counter()
                asyncio.run(_all(paths, trusted, workers))
                rates[kind] = count / (time.perf_counter() - begun)
                print(f"{kind:14}{rates[kind]:8.0f} files/s")
    finally:
        workers.close()
    told = " ".join(f"{kind}_per_s={rate:.0f}" for kind, rate in rates.items())
    print(f"RESULT verify {told} files={count} workers={jobs}")


def _written(folder: Path, kind: str, made: list[bytes], count: int) -> list[Path]:
    paths = []
    for place in range(count):
        paths.append(folder / f"{kind}-{place}")
        paths[-1].write_bytes(made[place % len(made)])
    return paths


async def _all(paths: list[Path], trusted: Trusted, workers: Workers) -> None:
    async for _, report in checked(paths, trusted, workers, workers.count * WAITING_MAX):
        assert report.facts.number, "every file of the bench can be read"
