"""Workers: a task beyond its memory or time is ended, others go on, nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from piaoma.documents import workers as module
from piaoma.documents.workers import WorkerFailed, Workers

MEMORY = 400 * 1024 * 1024


@pytest.fixture
def workers() -> Iterator[Workers]:
    pool = Workers(1, MEMORY)
    yield pool
    pool.close()


def eats(megabytes: int) -> str:
    """Tasks are told as text: a worker does not know the tests."""
    return f"len(bytearray({megabytes} * 1024 * 1024))"


SPINS = "sum(0 for _ in __import__('itertools').repeat(0))"  # for ever, and takes no memory
RUNS_BACK = "__import__('re').fullmatch('(a+)+b', 'a' * 60)"  # one call into C that no Python code can interrupt
HASHES = "len(__import__('hashlib').pbkdf2_hmac('sha256', b'', b'', 9_000_000))"  # some seconds, and comes to its end
KILLS = "__import__('os').kill(__import__('os').getpid(), 9)"
DIES = "__import__('os').kill(__import__('os').getpid(), 11)"
RAISES = "int('as it is')"


def test_a_task_gives_its_result_and_its_error(workers: Workers) -> None:
    """Both come back as they are, and the worker stays."""
    assert workers.submit(5, eval, eats(1)).result() == 1024 * 1024
    before = workers.processes()
    with pytest.raises(ValueError, match="as it is"):
        workers.submit(5, eval, RAISES).result()
    assert workers.processes() == before and len(before) == 1


def test_memory_is_bounded(workers: Workers) -> None:
    """What would take more fails; the next task does not."""
    with pytest.raises(WorkerFailed) as caught:
        workers.submit(5, eval, eats(1_000)).result()
    assert caught.value.reason == "memory"
    assert workers.submit(5, eval, eats(10)).result() > 0


def test_without_the_bound_the_memory_is_taken() -> None:
    """Negative control: the same task in a worker that may have it."""
    pool = Workers(1, 4 * 1024 * 1024 * 1024)
    assert pool.submit(5, eval, eats(1_000)).result() > 0
    pool.close()


@pytest.mark.parametrize("task", [SPINS, RUNS_BACK])
def test_time_is_bounded(workers: Workers, task: str) -> None:
    """One second of the processor, in Python and in C; the next task begins anew."""
    with pytest.raises(WorkerFailed) as caught:
        workers.submit(1, eval, task).result()
    assert caught.value.reason == "time"
    assert workers.submit(5, eval, eats(1)).result() > 0


def test_without_the_bound_the_time_is_taken(workers: Workers) -> None:
    """Negative control: what one second does not allow comes to its end when there are enough."""
    with pytest.raises(WorkerFailed):
        workers.submit(1, eval, HASHES).result()
    assert workers.submit(60, eval, HASHES).result() == 32


def test_a_task_that_sleeps_is_ended_by_the_clock(monkeypatch: pytest.MonkeyPatch, workers: Workers) -> None:
    """It uses no processor at all."""
    monkeypatch.setattr(module, "WAIT_TIMES", 0.5)
    workers.submit(5, eval, eats(1)).result()  # it has started
    with pytest.raises(WorkerFailed) as caught:
        workers.submit(1, time.sleep, 60).result()
    assert caught.value.reason == "time"


def test_a_task_that_kills_its_workers_is_given_up(workers: Workers) -> None:
    """One that crashes by itself at once, one whose worker is killed twice; those after it have a new one."""
    for task in (DIES, KILLS):
        with pytest.raises(WorkerFailed) as caught:
            workers.submit(5, eval, task).result()
        assert caught.value.reason == "died"
    assert workers.submit(5, eval, eats(1)).result() > 0


def test_an_idle_worker_goes_and_another_comes() -> None:
    """Its fonts are not kept for nobody."""
    pool = Workers(1, MEMORY, idle_seconds=0.2)
    pool.submit(5, eval, eats(1)).result()
    deadline = time.monotonic() + 10
    while pool.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert pool.processes() == []
    assert pool.submit(5, eval, eats(1)).result() > 0
    pool.close()


def test_closing_ends_what_is_under_way() -> None:
    """Nothing is left, and nothing more is taken."""
    pool = Workers(1, MEMORY)
    pool.submit(5, eval, eats(1)).result()
    left = pool.processes()
    waiting = pool.submit(60, eval, SPINS)
    pool.close()
    with pytest.raises((WorkerFailed, CancelledError)):  # the second on a busy machine, where it had not begun
        waiting.result(20)
    for process in left:
        with contextlib.suppress(FileNotFoundError):
            assert " Z " in Path(f"/proc/{process}/stat").read_text()


INTERRUPTED = """
import signal, sys, time
from piaoma.documents.workers import Workers
if __name__ == "__main__":
    pool = Workers(1)
    try:
        waiting = pool.submit(60, time.sleep, 50)
        while not pool.processes():
            time.sleep(0.01)
        print(*pool.processes(), flush=True)
        waiting.result()
    except KeyboardInterrupt:
        pool.close()
"""


def test_an_interrupted_program_leaves_nobody(tmp_path: Path) -> None:
    """Ctrl-C at a terminal goes to all processes at once: the program ends its workers and itself."""
    program = tmp_path / "program.py"
    program.write_text(INTERRUPTED)
    # Whoever runs the tests in the background ignores the signal, and that is inherited.
    command = ["env", "--default-signal=INT", sys.executable, str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as running:
        assert running.stdout is not None
        worker = int(running.stdout.readline())
        time.sleep(0.3)
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(20) == 0
    assert not Path(f"/proc/{worker}").exists() or " Z " in Path(f"/proc/{worker}/stat").read_text()
