"""``piaoma bench``: figures measured here and now. The last line of each is for scripts."""

from __future__ import annotations

import asyncio
import shutil
import socket
import statistics
import tempfile
import time
from pathlib import Path

from piaoma.desk import accounts
from piaoma.desk.config import Config
from piaoma.desk.office import open_office, shanghai_now

from .bench_issue import bench_issue
from .bench_log import LEAVES_DEFAULT, bench_log
from .bench_shop import fill, prefill, running, serve_pages
from .serve import set_up_logs


def bench(what: str, *, seconds: float, clients: int, scale: int, database: str) -> None:
    """Run one measurement; the last line is for scripts."""
    set_up_logs(40)
    if what not in ("issue", "pdf", "pages", "log"):
        raise SystemExit(f"bench: {what}? One of issue, pdf, pages, log")
    folder = Path(tempfile.mkdtemp(prefix="piaoma-bench-"))
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = Config(data=str(folder), database=database, base_url=f"http://127.0.0.1:{port}", port=port)
        if what == "issue":
            bench_issue(config, seconds, clients, scale)
        elif what == "pdf":
            _pdf(config, seconds)
        elif what == "log":
            bench_log(config, seconds, scale or LEAVES_DEFAULT)
        else:
            _pages(config)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pdf(config: Config, seconds: float) -> None:
    """Warm rendering in one process."""
    from piaoma.documents.render import render

    async def one() -> bytes:
        async with open_office(config, work=False) as office:
            session = await accounts.register(
                office,
                accounts.Registration("武汉测试餐饮有限公司", "91420100MA4K00000Q", "测试", "bench", "bench bench"),
            )
            await prefill(office, session.merchant_id, 1)
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
    merchant_id, tokens = asyncio.run(fill(config, 1, 0))
    assert merchant_id >= 0
    begun = time.perf_counter()
    with running(serve_pages, config) as pid:
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
