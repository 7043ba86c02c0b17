"""``piaoma bench console``: finding, detail, board, issuing and export in a store with very many invoices.

The store is filled by statements: originals as long as real ones, each with its own number, buyer, item and amounts;
their signatures are those of one. Codes, issues and jobs are there for the last month's invoices alone. The index is
built by the program's own follower, and pages are asked for over HTTP, one after the other.
"""

from __future__ import annotations

import asyncio
import gzip
import multiprocessing
import os
import random
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import msgspec
from rich.progress import Progress

from piaoma import index
from piaoma.desk import exports, goods
from piaoma.desk.codes import Offer
from piaoma.desk.config import Config
from piaoma.desk.events import Actor
from piaoma.desk.issue import issue
from piaoma.desk.log import sequence_once
from piaoma.desk.merchant import merchant
from piaoma.desk.mint import draft_of, mint
from piaoma.desk.office import Office, open_office
from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.initials import initials
from piaoma.store import Database, milliseconds
from piaoma.trust.checkpoint import Checkpoint
from piaoma.web import cookies

from .bench_shop import BUYER, LINE, cpu_seconds, registered, running, serve_pages

INVOICES_DEFAULT = 1_000_000
MERCHANTS = 1_000
OTHERS_INVOICES = 20  # of each other merchant
FILL_TURN, FOLLOW_TURN = 5_000, 8_192
EXPORT_INVOICES = 100_000
GOODS = 10_000  # items of the list that are searched
SECTIONS = "科技商贸餐饮建筑工程物流文化传媒电子医药机械汽车教育咨询服装印刷食品"
NAMES = "江汉长远东湖光谷楚天华中和信德宏达永兴新安盛源通利嘉泰明丰海金大正"
ITEMS = [f"{first}{second}" for first in ("精选", "定制", "标准", "加急", "散装") for second in (
    "餐费", "咖啡", "打印纸", "住宿费", "会议费", "培训费", "设计费", "维修费", "轮胎", "机油", "口罩", "图书", "茶叶",
    "硒鼓", "电缆", "阀门", "螺栓", "办公桌", "清洗费", "快递费")]  # fmt: skip
CLERKS = [f"clerk{place}" for place in range(12)]


def bench_console(config: Config, seconds: float, scale: int) -> None:
    """Fill, then measure each kind of search for a part of the time, and the rest once."""
    begun = time.perf_counter()
    merchant_id, secret, numbers = asyncio.run(_fill(config, scale or INVOICES_DEFAULT))
    print(f"filled and indexed in {time.perf_counter() - begun:.0f} s")
    with running(serve_pages, config) as pid:
        browser = _Browser(config, secret)
        for path in ("/console", "/console/invoices?all=1", f"/console/invoices/{numbers[0]}"):
            browser.get(path)  # the templates are read once
        worst = dearest = 0.0
        for name, address in _searches(numbers):
            before = cpu_seconds(pid)
            times, weight = browser.measure(address, max(20, int(seconds * 20)))
            cpu_ms = (cpu_seconds(pid) - before) / len(times) * 1000
            worst, dearest = max(worst, _p99(times)), max(dearest, cpu_ms)
            print(
                f"search {name:24} p50 {statistics.median(times):6.1f} ms  p99 {_p99(times):6.1f} ms"
                f"  cpu {cpu_ms:5.1f} ms  {weight} bytes"
            )
        detail, detail_bytes = browser.measure(lambda: f"/console/invoices/{random.choice(numbers)}", 200)  # noqa: S311
        board, board_bytes = browser.measure(lambda: "/console", 100)
        memory = _memory_mb(pid, "VmHWM")
    finds, mints, spent_ms = asyncio.run(_issuing(config, merchant_id))
    print(
        f"RESULT issuing goods_find_p50_ms={statistics.median(finds):.1f} goods_find_p99_ms={_p99(finds):.1f}"
        f" goods_find_cpu_ms={spent_ms[0]:.1f} goods={GOODS} code_p50_ms={statistics.median(mints):.1f}"
        f" code_p99_ms={_p99(mints):.1f} code_cpu_ms={spent_ms[1]:.1f}"
    )
    made, table_s, table_cpu_s, table_mb = asyncio.run(_export(config, merchant_id, scale or INVOICES_DEFAULT))
    print(
        f"RESULT console search_p99_ms={worst:.1f} search_cpu_ms={dearest:.1f} detail_p99_ms={_p99(detail):.1f}"
        f" board_p99_ms={_p99(board):.1f} export_rows={made} export_s={table_s:.1f} export_cpu_s={table_cpu_s:.1f}"
        f" export_mb={table_mb:.0f} detail_bytes={detail_bytes} board_bytes={board_bytes} server_mb={memory:.0f}"
        f" invoices={len(numbers)} merchants={MERCHANTS}"
    )


async def _issuing(config: Config, merchant_id: int) -> tuple[list[float], list[float], tuple[float, float]]:
    """Milliseconds to find an item among ten thousand by three letters, and to make a code with its scan proof; what
    either takes of the processor."""
    finds, mints = [], []
    async with open_office(config, work=False) as office:
        shop = await merchant(office, merchant_id)
        rows = [_item_row(merchant_id, place) for place in range(GOODS)]
        async with office.database.write() as transaction:
            await transaction.execute_many(_GOODS, rows)
        started = time.process_time()
        for place in range(200):
            typed = str(rows[place * 7 % GOODS][2])[-6:-3] if place % 2 else str(rows[place][3])[:3]
            begun = time.perf_counter()
            await goods.find_goods(office, merchant_id, typed, 8)
            finds.append((time.perf_counter() - begun) * 1000)
        found = time.process_time()
        for place in range(50):
            offer = Offer(InvoiceKind.GENERAL, (LINE,))
            begun = time.perf_counter()
            await mint(office, shop, offer, mint_key=f"bench{place}", by=Actor(merchant_id, None, "bench"))
            mints.append((time.perf_counter() - begun) * 1000)
        made = time.process_time()
    return finds, mints, ((found - started) / len(finds) * 1000, (made - found) / len(mints) * 1000)


_GOODS = """
INSERT INTO goods (merchant_id, goods_id, name, initials, code, rate, own_code, used_at_ms)
VALUES ($1, $2, $3, $4, $5, '0.06', $6, $7)
"""


def _item_row(merchant_id: int, place: int) -> tuple[object, ...]:
    drawn = random.Random(place)  # noqa: S311
    name = f"{drawn.choice(ITEMS)}{drawn.choice(NAMES)}{drawn.choice(SECTIONS)} {place:05d} 号"
    return merchant_id, place, name, initials(name), LINE.code, f"69{place:011d}", place


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


class _Browser:
    """Asks for pages on one connection, as a browser that is logged in."""

    def __init__(self, config: Config, secret: str) -> None:
        self._link = socket.create_connection((config.host, config.port))
        self._head = (
            f"HTTP/1.1\r\nhost: b\r\naccept: text/html\r\naccept-encoding: gzip\r\ncookie: {cookies.SESSION}={secret}"
        )

    def get(self, path: str) -> bytes:
        """A page as it comes over the wire."""
        self._link.sendall(f"GET {path} {self._head}\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._link.recv(65_536)
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), (path, head[:60])
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._link.recv(65_536)
        return body

    def measure(self, address: Callable[[], str], count: int) -> tuple[list[float], int]:
        """Milliseconds of each, and the bytes of the largest."""
        times, weight = [], 0
        for _ in range(count):
            path = address()
            begun = time.perf_counter()
            page = self.get(path)
            times.append((time.perf_counter() - begun) * 1000)
            weight = max(weight, len(page))
        assert b"</html>" in gzip.decompress(page)
        return times, weight


def _searches(numbers: list[str]) -> Iterator[tuple[str, Callable[[], str]]]:
    """Each kind of search, another one at every call."""
    pick, today = random.choice, datetime.now().astimezone().date()

    def day() -> str:
        return (today - timedelta(days=random.randrange(360))).isoformat()  # noqa: S311

    def low() -> int:
        return random.randrange(20, 3_000)  # noqa: S311

    kinds: dict[str, Callable[[], Mapping[str, object]]] = {
        "nothing (the list)": lambda: {"all": 1},
        "whole buyer": lambda: {"q": _buyer(random.randrange(50_000))},  # noqa: S311
        "two characters": lambda: {"q": pick(NAMES) + pick(SECTIONS)},
        "one character": lambda: {"q": pick(NAMES)},
        "what all have": lambda: {"q": "有限公司"},
        "what none has": lambda: {"q": "龘靐齉爩"},
        "whole number": lambda: {"q": pick(numbers)},
        "end of a number": lambda: {"q": pick(numbers)[-5:]},
        "part of a tax id": lambda: {"q": f"{random.randrange(10_000, 50_000)}X"},  # noqa: S311
        "item": lambda: {"q": pick(ITEMS)},
        "clerk, words": lambda: {"q": pick(NAMES) + pick(NAMES), "clerk": pick(CLERKS)},
        "amounts": lambda: (lambda least: {"min": least, "max": least + 5})(low()),
        "a week": lambda: (lambda first: {"since": first, "until": first})(day()),
        "words, amounts, since": lambda: {"q": pick(SECTIONS) + pick(SECTIONS), "min": low(), "since": day()},
        "everything at once": lambda: {
            "q": f"{pick(SECTIONS)} {pick(ITEMS)[2:]}", "min": 20, "max": 2_000, "since": day(), "kind": "02",
            "colour": "blue", "clerk": pick(CLERKS), "rate": "0.06",
        },
    }  # fmt: skip
    for name, fields in kinds.items():
        yield name, lambda fields=fields: f"/console/invoices?{urlencode(fields())}"  # type: ignore[misc]


def _buyer(place: int) -> str:
    drawn = random.Random(place)  # noqa: S311
    return "武汉" + "".join(drawn.choices(NAMES, k=2) + drawn.choices(SECTIONS, k=2)) + "有限公司"


async def _fill(config: Config, invoices: int) -> tuple[int, str, list[str]]:
    """The merchant, his session's secret and his numbers."""
    async with open_office(config, work=False) as office:
        session, shop = await registered(office)
        draft = draft_of(Offer(InvoiceKind.GENERAL, (LINE,)), shop, BUYER)
        first = await issue(office, shop.merchant_id, draft, issue_key="bench")
        await sequence_once(office)
        office.log_memory.unlink()  # the log that is made up below does not go on from this one
        assert first.number is not None
        others = await _other_merchants(office.database, shop.merchant_id)
        pattern = bytes((await office.database.read("SELECT original FROM invoices"))[0][0])
        numbers = await _fill_invoices(office, shop.merchant_id, others, invoices, _Pattern(pattern, first.number))
        with Progress(transient=True) as bar:
            task = bar.add_task("indexing", total=await index.behind(office.database))
            while taken := await index.follow(office.database, FOLLOW_TURN):
                bar.advance(task, taken)
        return shop.merchant_id, session.secret, [first.number, *numbers]


async def _other_merchants(database: Database, mine: int) -> list[int]:
    others = [(mine + place) % (1 << 28) for place in range(1, MERCHANTS)]
    async with database.write() as transaction:
        await transaction.execute_many(
            "INSERT INTO merchants (merchant_id, taxpayer_id, name, taxpayer_kind, shop_name, created_at_ms)"
            " VALUES ($1, $2, 'x', '1', 'x', 0)",
            [(other, f"x{other}") for other in others],
        )
    return others


class _Pattern:
    """An original whose figures are replaced: as long as a real one, and read like one."""

    def __init__(self, original: bytes, number: str) -> None:
        self._text, self._number = original.decode(), number

    def original(self, number: str, buyer: str, buyer_id: str, item: str, amount: int, tax: int) -> bytes:
        """With other figures, in fen."""
        text = self._text.replace(self._number, number).replace(BUYER.name, buyer).replace(BUYER.taxpayer_id, buyer_id)
        text = text.replace("餐费<", f"{item}<").replace("54.72<", f"{amount / 100:.2f}<")
        return text.replace("3.28<", f"{tax / 100:.2f}<").replace("58.00<", f"{(amount + tax) / 100:.2f}<").encode()


_INVOICE = """
INSERT INTO invoices (merchant_id, number, issue_key, code_id, kind, buyer_name, buyer_id, amount_fen, tax_fen,
                      total_fen, summary, remark, month, issued_on, issued_at_ms, digest, original)
VALUES ($1, $2, $3, $4, '02', $5, $6, $7, $8, $9, $10, '', $11, $12, $13, $3, $14)
"""
_LEAF = "INSERT INTO log_leaves (leaf, merchant_id, number, salt, commitment) VALUES ($1, $2, $3, $4, $4)"
_CODE = """
INSERT INTO codes (merchant_id, code_id, mint_key, mint_digest, state, offer, kind, total_fen, summary, created_by,
                   created_at_ms, changed_at_ms, expires_at_ms, viewed_at_ms, holder, issue_key, proof)
VALUES ($1, $2, $3, '', $4, $5, '02', $6, $7, $8, $9, $9, $9, $9, $10, $10, '')
"""
_ISSUE = """
INSERT INTO issues (merchant_id, issue_key, request_digest, code_id, state, number, month, amount_fen, submitted_at_ms,
                    settled_at_ms) VALUES ($1, $2, '', $3, 'issued', $4, $5, $6, $7, $7)
"""
_JOB = """
INSERT INTO jobs (merchant_id, job_id, kind, number, state, next_at_ms, created_at_ms, done_at_ms)
VALUES ($1, $2, 'report', $3, 'done', $4, $4, $4)
"""


async def _fill_invoices(office: Office, mine: int, others: list[int], count: int, pattern: _Pattern) -> list[str]:
    """A year of invoices in the order of their times, the other merchants' among them; the numbers of mine."""
    now, drawn, numbers = office.now(), random.Random(7), []  # noqa: S311
    theirs = min(len(others) * OTHERS_INVOICES, count // 2)
    total = count + theirs
    step = timedelta(days=365) / total
    every = total // theirs if theirs else total + 1
    offer = msgspec.json.encode(Offer(InvoiceKind.GENERAL, (LINE,))).decode()
    with Progress(transient=True) as bar:
        task = bar.add_task("filling", total=total)
        for start in range(0, total, FILL_TURN):
            rows: dict[str, list[tuple[object, ...]]] = {name: [] for name in (_INVOICE, _LEAF, _CODE, _ISSUE, _JOB)}
            for place in range(start, min(start + FILL_TURN, total)):
                owner = others[place % len(others)] if place % every == 0 and theirs else mine
                number, when = f"26990{10**12 + place:015d}", now - step * (total - place)
                if owner == mine:
                    numbers.append(number)
                _one(rows, drawn, pattern, offer, owner, number, place, when, recent=(now - when).days < 30)
            async with office.database.write() as transaction:
                for statement, values in rows.items():
                    if values:
                        await transaction.execute_many(statement, values)
            bar.advance(task, FILL_TURN)
    key = office.log_key
    note = key.signed(Checkpoint(key.public.name, total + 1, os.urandom(32)))
    async with office.database.write() as transaction:
        await transaction.execute(
            "INSERT INTO log_checkpoints (size, root, note, signed_at_ms) VALUES ($1, $2, $3, 0)",
            total + 1, os.urandom(32), note,
        )  # fmt: skip
    return numbers


def _one(
    rows: dict[str, list[tuple[object, ...]]], drawn: random.Random, pattern: _Pattern, offer: str, owner: int,
    number: str, place: int, when: datetime, *, recent: bool,
) -> None:  # fmt: skip
    """The rows of one invoice."""
    who = drawn.randrange(50_000)
    buyer, buyer_id = _buyer(who), f"91420100MA{who:07d}X"
    item, amount = drawn.choice(ITEMS), int(drawn.lognormvariate(9.5, 1.2)) + 1
    tax = round(amount * 6 / 100)
    ms, month, day, code = milliseconds(when), f"{when:%Y-%m}", when.date().isoformat(), place if recent else None
    original = pattern.original(number, buyer, buyer_id, item, amount, tax)
    rows[_INVOICE].append(
        (owner, number, f"k{place}", code, buyer, buyer_id, amount, tax, amount + tax, item, month, day, ms, original)
    )
    rows[_LEAF].append((place + 1, owner, number, b""))
    if recent:
        made = ms - drawn.randrange(5_000, 90_000)
        clerk = drawn.choice(CLERKS)
        rows[_CODE].append((owner, place, f"k{place}", "issued", offer, amount + tax, item, clerk, made, f"k{place}"))
        rows[_ISSUE].append((owner, f"k{place}", place, number, month, amount, ms))
        rows[_JOB].append((owner, f"{number}:report", number, ms))


async def _export(config: Config, merchant_id: int, invoices: int) -> tuple[int, float, float, float]:
    """Rows, seconds, seconds of the processor, and megabytes: what this process grew by and all that the one has that
    writes the file."""
    texts = exports.Texts(["x"] * 14, {"01": "special", "02": "general"}, {"blue": "blue", "red": "red"}, "sum")
    async with open_office(config, work=False) as office:
        days = max(1, round(365 * EXPORT_INVOICES / invoices))
        wanted = index.Wanted(since=office.now().date() - timedelta(days=days - 1))
        await index.select(office.database, merchant_id, wanted)
        before, begun, used = _memory_mb(os.getpid(), "VmRSS"), time.perf_counter(), _processor_seconds()
        export_id = await exports.begin(office, Actor(merchant_id, None, "bench"), wanted, "xlsx", "invoice", texts)
        task = office.exports[(merchant_id, export_id)]
        grown = writing = 0.0
        while not task.done():
            await asyncio.sleep(0.1)
            grown = max(grown, _memory_mb(os.getpid(), "VmRSS") - before)
            for child in multiprocessing.active_children():
                assert child.pid is not None
                writing = max(writing, _memory_mb(child.pid, "VmHWM"))
        elapsed, used = time.perf_counter() - begun, _processor_seconds() - used
        made = await exports.export(office, merchant_id, export_id)
        assert made.state == "done"
        return made.count, elapsed, used, grown + writing


def _processor_seconds() -> float:
    """Of this process and of those that it started and that ended."""
    return sum(os.times()[:4])


def _memory_mb(pid: int, field: str) -> float:
    try:
        return int(Path(f"/proc/{pid}/status").read_text().partition(f"{field}:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0
