"""What measurements and fault tests share: a shop with open codes, the request behind one tap, a server process."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from rich.progress import Progress

from piaoma.codes.token import seal
from piaoma.desk import accounts
from piaoma.desk.codes import Offer
from piaoma.desk.config import Config
from piaoma.desk.merchant import Merchant, merchant
from piaoma.desk.mint import preview
from piaoma.desk.office import Office, open_office
from piaoma.desk.sessions import Session
from piaoma.invoice.draft import InvoiceKind, Line
from piaoma.invoice.money import to_fen
from piaoma.invoice.parties import Buyer
from piaoma.store import milliseconds
from piaoma.trust.sealed_file import load_or_create_key
from piaoma.web import cookies
from piaoma.web.forms import Confirmation, new_issue_key
from piaoma.web.signed import pack

from .logs import set_up_logs
from .serve import server_of

LINE = Line("餐费", "3070401000000000000", Decimal("0.06"), Decimal("58.00"))
BUYER = Buyer("武汉某某科技有限公司", "91110108690017781B")


async def registered(office: Office) -> tuple[Session, Merchant]:
    """A merchant whose quota no measurement uses up, and the session of whoever registered it."""
    await office.channel.rehearse(quota_fen=10**15)  # type: ignore[attr-defined]
    registration = accounts.Registration(
        "武汉测试餐饮有限公司", "91420100MA4K00000Q", "测试", secrets.token_hex(6), "bench bench"
    )
    session = await accounts.register(office, registration)
    return session, await merchant(office, session.merchant_id)


async def fill(config: Config, codes: int, scale: int) -> tuple[int, list[str]]:
    """A merchant with so many open codes, and ``scale`` invoices already issued."""
    async with open_office(config, work=False) as office:
        session, shop = await registered(office)
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
            await prefill(office, session.merchant_id, scale)
    key = load_or_create_key(config.data_folder / "keys" / "token.key", config.secret)
    return session.merchant_id, [seal(key, session.merchant_id, code_id) for code_id in ids]


async def prefill(office: Office, merchant_id: int, scale: int) -> None:
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
        # What the fill left to do is done before anything is measured.
        while await office.outbox.work_once():
            pass


def confirm_request(key: bytes, token: str) -> bytes:
    """The request behind a returning customer's one tap, as his browser sends it: the page's form and its cookies."""
    holder = secrets.token_urlsafe(16)
    confirmation = Confirmation(token, holder, new_issue_key(), BUYER, in_front=True)
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


def serve_pages(config: Config) -> None:
    set_up_logs(40)
    server_of(config).run()


@contextmanager
def running(target: Any, config: Config) -> Iterator[int]:
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


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
