"""``piaoma bench``: figures measured here and now. The last line of each is for scripts."""

from __future__ import annotations

import asyncio
import shutil
import socket
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import msgspec

from piaoma.desk.config import Config
from piaoma.desk.office import shanghai_now
from piaoma.invoice.classification import Classification, load

from .bench_accounts import bench_accounts
from .bench_console import bench_console
from .bench_documents import bench_documents, milliseconds_of, some_originals
from .bench_issue import bench_issue
from .bench_log import LEAVES_DEFAULT, bench_log
from .bench_shop import fill, running, serve_pages
from .bench_signers import bench_signers
from .bench_verify import bench_verify
from .logs import set_up_logs

MEASUREMENTS = ("issue", "documents", "pdf", "pages", "search", "log", "signers", "verify", "console", "accounts")
SEARCH_ROWS = 4_300  # about as many as the official table has
SEARCH_WORDS = ("餐费", "服务", "qt", "手机屏幕维修费", "品", "阿司匹林肠溶片一百片装")


def bench(what: str, *, seconds: float, clients: int, scale: int, database: str) -> None:
    """Run one measurement; the last line is for scripts."""
    set_up_logs(40)
    if what not in MEASUREMENTS:
        raise SystemExit(f"bench: {what}? One of {', '.join(MEASUREMENTS)}")
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
        elif what == "documents":
            bench_documents(config, seconds)
        elif what == "search":
            _search(seconds)
        elif what == "log":
            bench_log(config, seconds, scale or LEAVES_DEFAULT)
        elif what == "console":
            bench_console(config, seconds, scale)
        elif what == "accounts":
            bench_accounts(config, seconds)
        elif what == "signers":
            bench_signers(config, seconds, clients)
        elif what == "verify":
            bench_verify(config, scale)
        else:
            _pages(config)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pdf(config: Config, seconds: float) -> None:
    """Warm rendering in one process."""
    from piaoma.documents.render import render

    original = asyncio.run(some_originals(config, 1))[0]
    size = len(render(original, "pdf"))
    times = milliseconds_of(lambda: render(original, "pdf"), seconds)
    print(f"RESULT pdf warm_ms={statistics.median(times):.2f} bytes={size} runs={len(times)}")


def _search(seconds: float) -> None:
    """Finding a classification code while somebody types, in a table as large as the official one."""
    today = shanghai_now().date()
    rows = load().entries(today)
    # The packaged rows again and again, under other codes.
    table = Classification(
        msgspec.structs.replace(rows[place % len(rows)], code=f"{1_000_000_000 + place}000000000")
        for place in range(SEARCH_ROWS)
    )
    medians = {}
    for name, work in (("search", table.search), ("suggest", table.suggest)):
        for word in SEARCH_WORDS:
            times = milliseconds_of(partial(work, word, today), seconds / 2 / len(SEARCH_WORDS))
            medians[(name, word)] = statistics.median(times)
            print(f"{name:8} {word}: {medians[(name, word)]:.2f} ms")
    print(f"RESULT search worst_ms={max(medians.values()):.2f} rows={SEARCH_ROWS}")


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
