"""``piaoma bench issue``: issuing over real HTTP, beside a floor that the same run measures.

Requests come from another process, so that server and client share the machine as they would. The floor is the same
libraries doing only what cannot be left out. Ratios travel between machines; absolute figures do not.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from piaoma.desk.config import Config
from piaoma.desk.office import open_office
from piaoma.trust.sealed_file import load_or_create_key

from .bench_shop import confirm_request, cpu_seconds, fill, running, serve_pages

ROUNDS = 3
RATE_MAX = 4_000  # answers a second that the requests prepared are enough for
SIGNED_BYTES, STORED_BYTES = 2_400, 4_200  # of an invoice with one line: what is signed, and the whole original


def bench_issue(config: Config, seconds: float, clients: int, scale: int) -> None:
    """Confirm codes over HTTP for so many seconds, then let the floor answer the same requests; three rounds.

    Both are measured in turn, so that what else the machine does meets both; the medians of the rounds are told.
    """
    codes = int(seconds * RATE_MAX + clients) * ROUNDS
    merchant_id, tokens = asyncio.run(fill(config, codes, scale))
    cookie_key = load_or_create_key(config.data_folder / "keys" / "cookie.key", config.secret)
    requests = [confirm_request(cookie_key, token) for token in tokens]
    share = len(requests) // ROUNDS
    rounds: list[tuple[Load, Load]] = []
    for turn in range(ROUNDS):
        mine = requests[turn * share : (turn + 1) * share]
        issue = load_of(serve_pages, config, mine, clients, seconds)
        floor = load_of(_serve_floor, config, mine, clients, seconds)
        rounds.append((issue, floor))
        print(f"round {turn + 1}  issue {_told(issue)}   floor {_told(floor)}")
    issued = asyncio.run(_count(config, merchant_id)) - scale
    assert issued >= sum(issue.done for issue, _ in rounds), "every answer is an invoice on disk"

    def median(figure: Callable[[Load, Load], float]) -> float:
        return statistics.median(figure(issue, floor) for issue, floor in rounds)

    print(
        f"{clients} clients, {scale} invoices beforehand, {issued} issued and on disk.\n"
        "Floor: an HTTP answer, an SM2 signature and a grouped insert of as many bytes, by the same libraries.\n"
        f"RESULT issue rate={median(lambda issue, _: issue.rate):.1f}/s"
        f" floor_ratio={median(lambda issue, floor: issue.cpu_us / floor.cpu_us):.2f}"
        f" p50_ms={median(lambda issue, _: issue.p50_ms):.0f} p99_ms={median(lambda issue, _: issue.p99_ms):.0f}"
        f" cpu_us={median(lambda issue, _: issue.cpu_us):.0f} scale={scale}"
    )


class Load(msgspec.Struct, frozen=True):
    """What came of driving a server: answers, answers a second, its processor time for each, waiting times."""

    done: int
    rate: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


def _told(load: Load) -> str:
    return f"{load.rate:.0f}/s, cpu {load.cpu_us:.0f} µs, p50 {load.p50_ms:.0f} ms, p99 {load.p99_ms:.0f} ms"


async def _count(config: Config, merchant_id: int) -> int:
    async with open_office(config, work=False) as office:
        rows = await office.database.read("SELECT count(*) FROM invoices WHERE merchant_id = $1", merchant_id)
        return int(rows[0][0])


def _serve_floor(config: Config) -> None:
    """Only what cannot be left out: the answer, the signature, the row; grouped as the batch writer groups.

    As many bytes are signed and stored as of a real invoice.
    """
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import RedirectResponse, Response
    from starlette.routing import Route

    from piaoma.store import open_database
    from piaoma.trust import PrivateKey

    key = PrivateKey.generate()
    waiting: list[tuple[bytes, asyncio.Future[None]]] = []
    wake = asyncio.Event()

    def sign(part: list[tuple[bytes, asyncio.Future[None]]]) -> list[bytes]:
        return [key.sign(body.ljust(SIGNED_BYTES)) for body, _ in part]

    async def answer(request: Request) -> Response:
        body = await request.body()
        done = asyncio.get_running_loop().create_future()
        waiting.append((body, done))
        wake.set()
        await done
        return RedirectResponse("/done", 303)

    async def write() -> None:
        url = config.database or f"sqlite:///{config.data_folder.resolve()}/floor.sqlite3"
        database = await open_database(url, schema="piaoma_floor", wanted=[])
        async with database.write() as transaction:
            await transaction.execute("CREATE TABLE IF NOT EXISTS floor (id BIGINT PRIMARY KEY, original BYTEA)")
        loop = asyncio.get_running_loop()
        while True:
            await wake.wait()
            await asyncio.sleep(0.002)
            batch, waiting[:] = waiting[:128], waiting[128:]
            if not waiting:
                wake.clear()
            half = len(batch) // 2
            parts = await asyncio.gather(
                *(loop.run_in_executor(None, sign, part)
                  for part in (batch[:half], batch[half:]))
            )  # fmt: skip
            signatures = [signature for part in parts for signature in part]
            async with database.write() as transaction:
                await transaction.execute_many(
                    "INSERT INTO floor (id, original) VALUES ($1, $2)",
                    [(secrets.randbits(62), body.ljust(STORED_BYTES) + signature)
                     for (body, _), signature in zip(batch, signatures, strict=True)],
                )  # fmt: skip
            for _, done in batch:
                done.set_result(None)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(write())
        yield
        task.cancel()

    app = Starlette(routes=[Route("/s/{token}/confirm", answer, methods=["POST"])], lifespan=lifespan)
    uvicorn.run(app, host=config.host, port=config.port, loop="uvloop", http="httptools", log_level="error",
                access_log=False)  # fmt: skip


def load_of(target: Any, config: Config, bodies: list[bytes], clients: int, seconds: float) -> Load:
    """Drive a server with so many clients for so long; the rate, latencies, and the server's CPU for each answer."""
    with running(target, config) as pid:
        before = cpu_seconds(pid)
        started = time.perf_counter()
        latencies = asyncio.run(_drive(config, bodies, clients, seconds))
        elapsed = time.perf_counter() - started
        cpu = cpu_seconds(pid) - before
    quantiles = statistics.quantiles(latencies, n=100)
    done = len(latencies)
    return Load(done, done / elapsed, cpu / done * 1e6, quantiles[49] * 1000, quantiles[98] * 1000)


async def _drive(config: Config, bodies: list[bytes], clients: int, seconds: float) -> list[float]:
    """Closed loop: each client sends its next confirm when the last was answered with a redirect to the result."""
    queue = iter(bodies)
    latencies: list[float] = []
    deadline = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(config.host, config.port)
        for request in queue:
            begun = time.perf_counter()
            if begun > deadline:
                break
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 303"):
                raise RuntimeError(head[:200].decode(errors="replace"))
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            if length and int(length):
                await reader.readexactly(int(length))
            latencies.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return latencies
