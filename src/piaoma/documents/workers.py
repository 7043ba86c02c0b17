"""Worker processes (工作进程): a function runs apart from the program, within memory and time that it cannot exceed.

What draws and what reads files from outside runs here. A worker that dies, hangs or eats too much is ended and
replaced; whoever asked is told, and nobody else notices.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import multiprocessing
import resource
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Literal, TypeVar

Result = TypeVar("Result")
Reason = Literal["died", "time", "memory"]

MEMORY_BYTES_MAX = 1_500 * 1024 * 1024  # addresses of a worker; the fonts alone are mapped with 60 MiB
IDLE_SECONDS = 120  # workers hold fonts in memory; after this long without work they go
WAIT_TIMES = 3  # a busy machine may take so many times the processor's seconds, by the clock
START_SECONDS_MAX = 30  # by the clock, for a process to start


class WorkerFailed(Exception):
    """A worker could not finish: it died, or went beyond its time or memory."""

    def __init__(self, reason: Reason) -> None:
        self.reason: Reason = reason
        super().__init__(reason)


class Workers:
    """``count`` processes at most, each with one task at a time; started when needed, ended when idle."""

    def __init__(self, count: int, memory_bytes: int = MEMORY_BYTES_MAX, idle_seconds: float = IDLE_SECONDS) -> None:
        self.count = count
        self._memory_bytes = memory_bytes
        self._idle_seconds = idle_seconds
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")  # each waits for one process
        self._lock = threading.Lock()
        self._free: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._closed = False

    async def run(self, seconds: int, function: Callable[..., Result], *arguments: object) -> Result:
        """What a function of a module gives for arguments, within so many seconds of the processor.

        Raises what the function raises, and ``WorkerFailed``.
        """
        return await asyncio.wrap_future(self.submit(seconds, function, *arguments))

    def submit(self, seconds: int, function: Callable[..., Result], *arguments: object) -> Future[Result]:
        """The same for who does not wait in a loop."""
        return self._threads.submit(self._called, seconds, function, arguments)

    def processes(self) -> list[int]:
        """The ids of the processes that are there now."""
        with self._lock:
            return [worker.process.pid for worker in self._all if worker.process.pid and worker.process.is_alive()]

    def close(self) -> None:
        """End all of them, whatever they do."""
        with self._lock:
            self._closed = True
            workers = list(self._all)
        for worker in workers:
            worker.end()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _called(self, seconds: int, function: Callable[..., Result], arguments: tuple[object, ...]) -> Result:
        for last in (False, True):
            worker = self._take()
            try:
                done, answer = worker.call(seconds, function, arguments)
            except WorkerFailed as failed:
                ended = worker.process.exitcode
                self._drop(worker)
                # One that was killed from outside, or went idle just now, is no fault of the task; a crash is.
                if last or failed.reason != "died" or ended not in (0, -signal.SIGKILL):
                    raise
                continue
            except BaseException:
                self._drop(worker)
                raise
            with self._lock:
                self._free.append(worker)
            if done:
                return answer  # type: ignore[return-value]
            assert isinstance(answer, BaseException)
            if isinstance(answer, MemoryError):
                raise WorkerFailed("memory") from answer
            raise answer
        raise AssertionError("the second failure is raised")

    def _take(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise WorkerFailed("died")
            while self._free:
                worker = self._free.pop()
                if worker.process.is_alive():
                    return worker
                worker.end()
                self._all.discard(worker)
        worker = _Worker(self._memory_bytes, self._idle_seconds)
        with self._lock:
            self._all.add(worker)
            if self._closed:
                worker.end()
        return worker

    def _drop(self, worker: _Worker) -> None:
        worker.end()
        with self._lock:
            self._all.discard(worker)


class _Worker:
    """One process and the line to it."""

    def __init__(self, memory_bytes: int, idle_seconds: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, far = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_work, args=(far, memory_bytes, idle_seconds), daemon=True)
        self.process.start()
        far.close()
        self._wait = START_SECONDS_MAX

    def call(self, seconds: int, function: Callable[..., object], arguments: tuple[object, ...]) -> tuple[bool, object]:
        """(whether it returned, what it returned or raised). Raises ``WorkerFailed``."""
        try:
            self._line.send((seconds, function, arguments))
            if not self._line.poll(self._wait + seconds * WAIT_TIMES):
                raise WorkerFailed("time")
            self._wait = 0
            answer: tuple[bool, object] = self._line.recv()
        except (EOFError, OSError):
            self.process.join(1)
            raise WorkerFailed("time" if self.process.exitcode == -signal.SIGXCPU else "died") from None
        return answer

    def end(self) -> None:
        self.process.kill()
        with contextlib.suppress(OSError):
            self._line.close()
        self.process.join(1)


def _work(line: Connection, memory_bytes: int, idle_seconds: float) -> None:
    """The life of a worker. It ends with the program that started it: the line then has an end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is interrupted at a terminal ends its workers itself
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while line.poll(idle_seconds):
        try:
            seconds, function, arguments = line.recv()
        except EOFError:
            return
        _bound(seconds)
        try:
            answer = (True, function(*arguments))
        except Exception as error:
            answer = (False, error)
        try:
            line.send(answer)
        except OSError:
            return  # nobody waits any more
        except Exception as error:  # what cannot be sent
            line.send((False, RuntimeError(f"{type(error).__name__}: {error}")))


def _bound(seconds: int) -> None:
    """The kernel ends this process when it has computed for so many more seconds, whatever it is doing then."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))
