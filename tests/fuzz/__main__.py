"""``python -m tests.fuzz [TARGET…] [--runs N | --seconds N] [--seed N]``: run targets within bounds.

Each input has ``INPUT_SECONDS_MAX`` of processor time, so that a busy machine changes nothing, and the process has
``MEMORY_BYTES_MAX``. What fails is kept in ``tests/fuzz/found/`` and said; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

from .mutate import mutated
from .targets import TARGETS, Target

FOUND = Path(__file__).parent / "found"
INPUT_SECONDS_MAX = 10  # processor time
MEMORY_BYTES_MAX = 3 * 1024 * 1024 * 1024


class TooSlow(BaseException):
    """Not an ``Exception``, so that no parser takes it for one of its own."""


def fault_of(target: Target, data: bytes) -> str:
    """What is wrong with how a target took some bytes; empty when nothing is."""
    signal.setitimer(signal.ITIMER_PROF, INPUT_SECONDS_MAX)
    try:
        target.run(data)
    except target.expected:
        pass
    except (Exception, TooSlow):
        return traceback.format_exc(limit=-4)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return ""


def fuzz(name: str, target: Target, seed: int, runs: int | None, seconds: float, found: Path) -> bool:
    """Feed a target until a bound is met; whether all went well."""
    seeds, deadline, done = target.seeds(), time.monotonic() + seconds, 0
    for data in seeds:
        target.run(data)  # a seed that is refused would test nothing behind the first check
    for turn in itertools.count() if runs is None else range(runs):
        if runs is None and time.monotonic() > deadline:
            break
        data = mutated(seeds, random.Random(f"{name} {seed} {turn}"))
        done += 1
        if fault := fault_of(target, data):
            found.mkdir(exist_ok=True)
            kept = found / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
            kept.write_bytes(data)
            print(f"{name}: input {turn} of seed {seed} is kept as {kept}\n{fault}", flush=True)
            return False
    print(f"{name}: {done} inputs", flush=True)
    return True


def bound_process() -> None:
    """Memory for all, and a bell for each input."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))

    def too_slow(*_: object) -> None:
        raise TooSlow(f"more than {INPUT_SECONDS_MAX} s of processor time")

    signal.signal(signal.SIGPROF, too_slow)


def main() -> int:
    """Run what is asked for, or everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], default=[])
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seconds", type=float, default=60, help="for each target, when --runs is not given")
    parser.add_argument("--seed", type=int, default=time.time_ns())
    parser.add_argument("--found", type=Path, default=FOUND)
    asked = parser.parse_args()
    bound_process()
    well = [
        fuzz(name, TARGETS[name], asked.seed, asked.runs, asked.seconds, asked.found)
        for name in asked.targets or TARGETS
    ]
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
