"""``piaoma bench documents``: what each file of an invoice costs to make and to check, warm, in one process."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle

from piaoma.desk.config import Config
from piaoma.desk.keys import open_keys
from piaoma.desk.office import open_office, shanghai_now
from piaoma.invoice.original_reader import read
from piaoma.trust import Verdict, sign_original, sign_value, verify_original

from .bench_alternatives import HOW, PACKAGES, alternatives
from .bench_shop import prefill, registered

WARM_RUNS = 3
TURN_SECONDS = 0.05
INVOICES = 24


def bench_documents(config: Config, seconds: float) -> None:
    """What invoices with one line take, in milliseconds: the median and the least; the time is shared between the
    measurements.

    Invoices come in turn, so that nothing that is kept of the one before helps: more of them than the typesetter keeps.
    Time is that of the processor: others who use the machine interrupt what takes long more often than what is short,
    and would flatter it.
    """
    from piaoma.documents import ofd
    from piaoma.documents.check import Trusted, check
    from piaoma.documents.formats import FORMATS
    from piaoma.documents.render import render

    originals = asyncio.run(some_originals(config, INVOICES))
    original = originals[0]
    now = shanghai_now()
    keys = open_keys(config, shanghai_now)
    signer, seal, roots = keys.signing().signer, keys.signing().seal_signer, (keys.root,)
    invoice, trusted = read(original), Trusted(roots)

    def sealed(original: bytes) -> bytes:
        """As at the first rendering: what is listed, the signature, the whole file."""
        listed = ofd.to_be_sealed(original, now)
        assert listed is not None
        return ofd.write(original, sign_value(listed, f"/{ofd.SIGNATURE}", seal, now))

    def checked(package: bytes) -> None:
        """As a verifier does it: package, digests, seal, chain, original, figures, and drawn again."""
        assert check(package, trusted).verdict is Verdict.VALID

    packages = [sealed(one) for one in originals]
    values = [ofd.read_ofd(one).package.parts["Doc_0/Signs/Sign_0/SignedValue.dat"] for one in packages]
    turns, kept, files = cycle(originals), cycle(zip(originals, values, strict=True)), cycle(packages)
    work: dict[str, Callable[[], object]] = {
        "pdf": lambda: render(next(turns), "pdf"),
        "png": lambda: render(next(turns), "png"),
        "html": lambda: render(next(turns), "html"),
        "ofd_sealed": lambda: sealed(next(turns)),
        "ofd_again": lambda: ofd.write(*next(kept)),
        **{kind: partial(write, original) for kind, write in FORMATS.items()},
        "xml": lambda: sign_original(invoice, signer),
        "verify_xml": lambda: verify_original(original, roots),
        "verify_ofd": lambda: checked(next(files)),
    }
    others = alternatives(render(original, "pdf"))
    work |= {name: partial(_turn, way, turns) for name, way in others.items()}
    times = times_of(work, seconds)
    print(f"{'':12}{'median':>8}   {'least':>8}")
    for name, taken in times.items():
        print(f"{name:12}{statistics.median(taken):8.2f}   {min(taken):8.2f} ms")
    ratios = {
        f"{ours.partition('_')[0]}_vs_{name}": statistics.median(times[name]) / statistics.median(times[ours])
        for name, ours in (("reportlab", "pdf"), ("fpdf", "pdf"), ("weasyprint", "pdf"), ("easyofd", "ofd_sealed"))
        if name in times
    }
    for name, ratio in ratios.items():
        print(f"{name:20}{ratio:6.1f} times")
    for name in PACKAGES:
        if name not in others:
            print(f"{name} is not installed, so it is not compared: {HOW}")
    told = " ".join(f"{name}_ms={statistics.median(taken):.2f}" for name, taken in times.items())
    least = " ".join(f"{name}_ms_min={min(taken):.2f}" for name, taken in times.items())
    compared = "".join(f" {name}={ratio:.1f}" for name, ratio in ratios.items())
    sizes = f"pdf_bytes={len(render(original, 'pdf'))} ofd_bytes={len(packages[0])} xml_bytes={len(original)}"
    print(f"RESULT documents {told} {least}{compared} {sizes}")


def _turn(way: Callable[[bytes], object], turns: Iterator[bytes]) -> None:
    way(next(turns))


async def some_originals(config: Config, count: int) -> list[bytes]:
    """Signed originals with one line each, issued in a store of their own."""
    async with open_office(config, work=False) as office:
        session, _ = await registered(office)
        await prefill(office, session.merchant_id, count)
        rows = await office.database.read("SELECT original FROM invoices")
        return [bytes(row[0]) for row in rows]


def times_of(work: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """Milliseconds of the processor for every run of each, warm. They take turns, so that a busy minute of the machine
    falls on all of them and their ratios hold."""
    for run in work.values():
        milliseconds_of(run, 0)
    times: dict[str, list[float]] = {name: [] for name in work}
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        for name, run in work.items():
            times[name] += milliseconds_of(run, TURN_SECONDS, warm=False, clock=time.process_time)
    return times


def milliseconds_of(
    run: Callable[[], object], seconds: float, *, warm: bool = True, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Milliseconds of each run by a clock, warm, for about so many seconds; at least one."""
    for _ in range(WARM_RUNS if warm else 0):
        run()
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while not times or time.perf_counter() < deadline:
        begun = clock()
        run()
        times.append((clock() - begun) * 1000)
    return times
