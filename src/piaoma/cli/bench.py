"""``piaoma bench``: figures measured here and now, and their ratio to a floor measured in the same run.

``issue`` sends confirms over real HTTP from another process, so that server and client share the machine as they
would. Its floor is the same libraries doing only what cannot be left out: answer HTTP, sign with SM2, insert rows in
groups. Ratios travel between machines; absolute figures do not.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import secrets
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from rich.console import Console
from rich.progress import Progress

from piaoma.codes.token import load_or_create_key, seal
from piaoma.desk import accounts
from piaoma.desk.codes import Offer
from piaoma.desk.config import Config
from piaoma.desk.merchant import merchant
from piaoma.desk.mint import preview
from piaoma.desk.office import Office, open_office, shanghai_now
from piaoma.invoice.draft import InvoiceKind, Line
from piaoma.invoice.money import to_fen
from piaoma.invoice.parties import Buyer
from piaoma.store import milliseconds
from piaoma.web import cookies
from piaoma.web.forms import Confirmation
from piaoma.web.signed import pack

from .serve import server_of, set_up_logs

LINE = Line("餐费", "3070401000000000000", Decimal("0.06"), Decimal("58.00"))
BUYER = Buyer("武汉某某科技有限公司", "91110108690017781B")


def bench(what: str, *, seconds: float, clients: int, scale: int, database: str) -> None:
    """Run one measurement; the last line is for scripts."""
    set_up_logs(40)
    if what not in ("issue", "pdf", "pages"):
        raise SystemExit(f"bench: {what}? One of issue, pdf, pages")
    folder = Path(tempfile.mkdtemp(prefix="piaoma-bench-"))
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = Config(data=str(folder), database=database, base_url=f"http://127.0.0.1:{port}", port=port)
        if what == "issue":
            _issue(config, seconds, clients, scale)
        elif what == "pdf":
            _pdf(config, seconds)
        else:
            _pages(config)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ── issue ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _issue(config: Config, seconds: float, clients: int, scale: int) -> None:
    codes = int(seconds * 4000) + clients
    merchant_id, tokens = asyncio.run(_fill(config, codes, scale))
    cookie_key = load_or_create_key(config.data_folder / "keys" / "cookie.key")
    bodies = [confirm_request(cookie_key, token) for token in tokens]
    cpu_issue = _load(_serve, config, bodies, clients, seconds)
    cpu_floor = _load(_serve_floor, config, bodies, clients, seconds)
    issued = asyncio.run(_count(config, merchant_id)) - scale
    assert issued >= cpu_issue["done"], "every answer is an invoice on disk"
    ratio = cpu_issue["cpu_us"] / cpu_floor["cpu_us"]
    Console().print(
        f"issue  {cpu_issue['rate']:8.0f}/s   cpu {cpu_issue['cpu_us']:6.0f} µs   "
        f"p50 {cpu_issue['p50_ms']:6.1f} ms   p99 {cpu_issue['p99_ms']:6.1f} ms   "
        f"({clients} clients, {scale} invoices beforehand)\n"
        f"floor  {cpu_floor['rate']:8.0f}/s   cpu {cpu_floor['cpu_us']:6.0f} µs   "
        "(HTTP answer + SM2 signature + grouped insert, same libraries)"
    )
    print(
        f"RESULT issue rate={cpu_issue['rate']:.1f}/s floor_ratio={ratio:.2f} p50_ms={cpu_issue['p50_ms']:.0f}"
        f" p99_ms={cpu_issue['p99_ms']:.0f} cpu_us={cpu_issue['cpu_us']:.0f} scale={scale}"
    )


def confirm_request(key: bytes, token: str) -> bytes:
    """The request behind a returning customer's one tap, as his browser sends it: the page's form and its cookies."""
    holder = secrets.token_urlsafe(16)
    confirmation = Confirmation(token, holder, secrets.token_urlsafe(16), BUYER)
    body = urlencode({"confirmation": pack(key, "confirm", confirmation)}).encode()
    kept = {
        cookies.HOLDER: pack(key, cookies.HOLDER, holder),
        cookies.TITLES: pack(key, cookies.TITLES, cookies.Wallet([BUYER])),
    }
    headers = {
        "host": "bench",
        "content-type": "application/x-www-form-urlencoded",
        "content-length": str(len(body)),
        "cookie": "; ".join(f"{name}={value}" for name, value in kept.items()),
        "accept": "text/html",
        "accept-language": "zh-CN,zh;q=0.9",
        "user-agent": "Mozilla/5.0 (Linux; Android 13) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36",
    }
    lines = [f"POST /s/{token}/confirm HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join((*lines, "", "")).encode() + body


async def _fill(config: Config, codes: int, scale: int) -> tuple[int, list[str]]:
    """A merchant with so many open codes, and ``scale`` invoices already issued."""
    async with open_office(config, work=False) as office:
        await office.channel.rehearse(quota_fen=10**15)  # type: ignore[attr-defined]
        registration = accounts.Registration(
            "武汉测试餐饮有限公司", "91420100MA4K00000Q", "测试", secrets.token_hex(6), "bench bench"
        )
        session = await accounts.register(office, registration)
        shop = await merchant(office, session.merchant_id)
        offer = Offer(InvoiceKind.GENERAL, (LINE,), sold_at=office.now())
        _, _, totals = preview(office, shop, offer)
        now_ms = milliseconds(office.now())
        encoded = msgspec.json.encode(offer).decode()
        proof = '{"score":0,"passed":[],"failed":[],"receipt_mm":0.0,"card_mm":0.0,"poster_mm":0.0}'
        ids = list({secrets.randbits(40) for _ in range(codes)})
        async with office.database.write() as transaction:
            await transaction.execute_many(
                "INSERT INTO codes (merchant_id, code_id, mint_key, mint_digest, offer, kind, total_fen, summary,"
                " created_by, created_at_ms, changed_at_ms, expires_at_ms, proof)"
                " VALUES ($1, $2, $3, '', $4, '02', $5, '餐费', 'bench', $6, $6, $7, $8)",
                [(shop.merchant_id, code_id, str(code_id), encoded, to_fen(totals.inclusive), now_ms,
                  now_ms + 10**9, proof) for code_id in ids],
            )  # fmt: skip
        if scale:
            await _prefill(office, session.merchant_id, scale)
    key = load_or_create_key(config.data_folder / "keys" / "token.key")
    return session.merchant_id, [seal(key, session.merchant_id, code_id) for code_id in ids]


async def _prefill(office: Office, merchant_id: int, scale: int) -> None:
    """Issue invoices by the same write path, without HTTP."""
    from piaoma.desk.issue import issue
    from piaoma.desk.mint import draft_of

    shop = await merchant(office, merchant_id)
    draft = draft_of(Offer(InvoiceKind.GENERAL, (LINE,)), shop, BUYER)
    with Progress(transient=True) as bar:
        task = bar.add_task("filling", total=scale)
        for start in range(0, scale, 512):
            batch = range(start, min(start + 512, scale))
            await asyncio.gather(*(issue(office, merchant_id, draft, issue_key=f"fill{i}") for i in batch))
            bar.advance(task, len(batch))


async def _count(config: Config, merchant_id: int) -> int:
    async with open_office(config, work=False) as office:
        rows = await office.database.read("SELECT count(*) FROM invoices WHERE merchant_id = $1", merchant_id)
        return int(rows[0][0])


def _serve(config: Config) -> None:
    set_up_logs(40)
    server_of(config).run()


def _serve_floor(config: Config) -> None:
    """Only what cannot be left out: the answer, the signature, the row; grouped as the batch writer groups."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import RedirectResponse, Response
    from starlette.routing import Route

    from piaoma.store.sqlite import open_sqlite
    from piaoma.trust import PrivateKey

    key = PrivateKey.generate()
    waiting: list[tuple[bytes, asyncio.Future[None]]] = []
    wake = asyncio.Event()

    def sign(part: list[tuple[bytes, asyncio.Future[None]]]) -> list[bytes]:
        return [key.sign(body * 4) for body, _ in part]

    async def answer(request: Request) -> Response:
        body = await request.body()
        done = asyncio.get_running_loop().create_future()
        waiting.append((body, done))
        wake.set()
        await done
        return RedirectResponse("/done", 303)

    async def write() -> None:
        database = open_sqlite(config.data_folder / "floor.sqlite3")
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
                    [(secrets.randbits(62), body * 4 + signature)
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


@contextmanager
def _process(target: Any, config: Config) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=target, args=(config,), daemon=False)
    process.start()
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((config.host, config.port), 0.2).close()
                break
            except OSError:
                if time.monotonic() > deadline or not process.is_alive():
                    raise RuntimeError("the server did not start") from None
                time.sleep(0.05)
        assert process.pid is not None
        yield process.pid
    finally:
        process.terminate()
        process.join(10)
        if process.is_alive():
            process.kill()
            process.join()


def _load(target: Any, config: Config, bodies: list[bytes], clients: int, seconds: float) -> dict[str, float]:
    """Drive a server with so many clients for so long; the rate, latencies, and the server's CPU for each answer."""
    with _process(target, config) as pid:
        before = _cpu_seconds(pid)
        started = time.perf_counter()
        latencies = asyncio.run(_drive(config, bodies, clients, seconds))
        elapsed = time.perf_counter() - started
        cpu = _cpu_seconds(pid) - before
    done = len(latencies)
    quantiles = statistics.quantiles(latencies, n=100)
    return {
        "done": done,
        "rate": done / elapsed,
        "cpu_us": cpu / done * 1e6,
        "p50_ms": quantiles[49] * 1000,
        "p99_ms": quantiles[98] * 1000,
    }


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


# ── pdf and pages ─────────────────────────────────────────────────────────────────────────────────────────────────


def _pdf(config: Config, seconds: float) -> None:
    """Warm rendering in one process."""
    from piaoma.documents.render import render

    async def one() -> bytes:
        async with open_office(config, work=False) as office:
            session = await accounts.register(
                office,
                accounts.Registration("武汉测试餐饮有限公司", "91420100MA4K00000Q", "测试", "bench", "bench bench"),
            )
            await _prefill(office, session.merchant_id, 1)
            rows = await office.database.read("SELECT original FROM invoices")
            return bytes(rows[0][0])

    original = asyncio.run(one())
    size = len(render(original, "pdf"))
    times = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        begun = time.perf_counter()
        render(original, "pdf")
        times.append((time.perf_counter() - begun) * 1000)
    print(f"RESULT pdf warm_ms={statistics.median(times):.2f} bytes={size} runs={len(times)}")


def _pages(config: Config) -> None:
    """Start time, idle memory, and the weight of the scan page on the wire."""
    merchant_id, tokens = asyncio.run(_fill(config, 1, 0))
    assert merchant_id >= 0
    begun = time.perf_counter()
    with _process(_serve, config) as pid:
        start_ms = (time.perf_counter() - begun) * 1000
        page = _fetch(config, f"/s/{tokens[0]}")
        links = [part.partition(b'"')[0].decode() for part in page[1].split(b'"/static/')[1:]]
        weights = [page[0], *(_fetch(config, f"/static/{link}")[0] for link in links)]
        time.sleep(1)
        memory = Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]
    print(
        f"RESULT pages scan_bytes={sum(weights)} requests={len(weights)} start_ms={start_ms:.0f}"
        f" idle_mb={int(memory) / 1024:.0f} at={shanghai_now():%H:%M}"
    )


def _fetch(config: Config, path: str) -> tuple[int, bytes]:
    """(bytes on the wire, the body plain)."""
    import gzip

    with socket.create_connection((config.host, config.port)) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nhost: b\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n".encode())
        data = b"".join(iter(lambda: link.recv(65536), b""))
    head, _, body = data.partition(b"\r\n\r\n")
    return len(data), gzip.decompress(body) if b"content-encoding: gzip" in head.lower() else body
