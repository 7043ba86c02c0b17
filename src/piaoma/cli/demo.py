"""``piaoma demo``: the main job on this machine, over real HTTP, as a shop and as its customer.

Nothing is taken for granted: the symbol is drawn and read back, pages are fetched and their forms filled in, the
files are verified and the store is audited.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import zxingcpp
from PIL import Image
from rich.console import Console
from rich.table import Table

from piaoma.codes.symbol import draw
from piaoma.desk.config import Config, load_config
from piaoma.desk.office import shanghai_now
from piaoma.documents.formats import file_name
from piaoma.store import open_database
from piaoma.trust import open_or_create

from .authority import COMPANY, TAXPAYER_ID, simulated
from .logs import set_up_logs
from .records import audit_of
from .serve import server_of
from .verify import trusted_by, verify_file

SHOP = "江汉路测试小馆（演示）"
CUSTOMER, CUSTOMER_ID = "武汉某某科技有限公司", "91110108690017781B"
AMOUNT = "58.00"
SAVED = ("xml", "pdf", "ofd", "png", "zip")
WAIT_SECONDS = 20


class Browser:
    """As much of a browser as the demo needs: cookies, forms, redirects."""

    def __init__(self, base_url: str) -> None:
        self._base = urlsplit(base_url)
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> bytes:
        """A page, redirects followed."""
        return self._ask("GET", path, None)

    def post(self, path: str, **fields: str) -> bytes:
        """What a form leads to."""
        return self._ask("POST", path, urlencode(fields))

    def _ask(self, method: str, path: str, body: str | None) -> bytes:
        for _ in range(5):
            connection = http.client.HTTPConnection(self._base.netloc, timeout=WAIT_SECONDS)
            headers = {
                "accept": "text/html",
                "cookie": "; ".join(f"{k}={v}" for k, v in self._cookies.items()),
            }
            if body is not None:
                headers["content-type"] = "application/x-www-form-urlencoded"
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            data = response.read()
            connection.close()
            for header in response.headers.get_all("set-cookie") or ():
                self._cookies |= {name: morsel.value for name, morsel in SimpleCookie(header).items()}
            if response.status not in (301, 302, 303, 307):
                if response.status >= 400:
                    raise RuntimeError(f"{method} {path}: {response.status}")
                return data
            self.path = path = response.headers["location"]
            method, body = "GET", None
        raise RuntimeError("too many redirects")


def hidden(page: bytes, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"'.encode(), page)
    if found is None:
        raise RuntimeError(f"the page has no field {name}")
    return found[1].decode()


def demo(out: Path, keep: bool | None, channel: str) -> None:
    """Run it; the process ends with an error when any step does not hold."""
    set_up_logs(40)
    with simulated(channel) as outside:
        _demo(out, keep, outside)


def _demo(out: Path, keep: bool | None, outside: dict[str, str]) -> None:
    keep = sys.stdout.isatty() and sys.stdin.isatty() if keep is None else keep
    folder = Path(tempfile.mkdtemp(prefix="piaoma-demo-"))
    # The demo's shop is thrown away, but its authority is this installation's: so its files verify afterwards.
    own = load_config()[0]
    if own.signer == "file":
        open_or_create(own.keys_folder, shanghai_now(), own.secret)
    shutil.copytree(own.keys_folder, folder / "keys" / "sandbox")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = Config(data=str(folder), base_url=f"http://127.0.0.1:{port}", port=port, support="演示无客服",
                    signer=own.signer, key_secret=own.key_secret, key_secret_file=str(own.secret.file),
                    **outside)  # type: ignore[arg-type]  # fmt: skip
    server = server_of(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        started = time.perf_counter()
        while not server.started:
            if not thread.is_alive() or time.perf_counter() - started > WAIT_SECONDS:
                raise RuntimeError("the server did not start")
            time.sleep(0.01)
        times = {"server ready": time.perf_counter() - started}
        number = _run(config, out, times)
        if outside:
            asyncio.run(_reported(config, times))
        _finish(config, out, times, number)
        if keep:
            print(f"\n票码在运行 serving on {config.base_url}  — Ctrl+C 结束\n数据 data {folder}", flush=True)
            thread.join()
    except KeyboardInterrupt:
        pass
    finally:
        server.should_exit = True
        thread.join(WAIT_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _run(config: Config, out: Path, times: dict[str, float]) -> str:
    """Shop and customer; the number of the invoice."""
    clock = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        times[name], clock = now - clock, now

    shop = Browser(config.base_url)
    shop.post("/console/register", name=COMPANY, taxpayer_id=TAXPAYER_ID, shop_name=SHOP, login="demo@example.cn",
              password="demo demo demo")  # fmt: skip
    lap("shop registered")
    goods = shop.get("/console/settings/goods")
    shop.post(
        "/console/settings/goods",
        csrf=hidden(goods, "csrf"),
        name="餐费",
        code="3070401000000000000",
        rate="0.06",
    )
    form = shop.get("/console/codes/new")
    page = shop.post("/console/codes/new", csrf=hidden(form, "csrf"), mint_key=hidden(form, "mint_key"),
                     amount1=AMOUNT, goods1=re.search(rb'name="goods1" value="(\d+)"', form)[1].decode(),  # type: ignore[index]
                     days="30", kind="02")  # fmt: skip
    lap("code minted")
    picture = shop.get(f"{shop.path}/symbol.png")
    read = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))
    url = read[0].text
    assert draw(url).text == url and b"<title>" in page
    if sys.stdout.isatty():
        print(draw(url).terminal())
    print(f"二维码 code  {url}")
    lap("symbol decoded")

    customer = Browser(config.base_url)
    path = urlsplit(url).path
    offer = customer.get(path)
    assert AMOUNT.encode() in offer, "the page shows the amount"
    lap("page opened")
    token = path.rpartition("/")[2]
    confirm = customer.post(f"/s/{token}/title", name=CUSTOMER, taxpayer_id=CUSTOMER_ID)
    customer.post(f"/s/{token}/confirm", confirmation=hidden(confirm, "confirmation"))
    lap("confirmed → issued")
    while b'"issued"' not in (state := customer.get(f"/s/{token}/state.json")):
        if time.perf_counter() - clock > WAIT_SECONDS:
            raise RuntimeError(f"not issued: {state!r}")
        time.sleep(0.2)
    number = re.search(rb'"number":"(\d{20})"', state)[1].decode()  # type: ignore[index]
    out.mkdir(parents=True, exist_ok=True)
    for kind in SAVED:
        (out / file_name(number, kind)).write_bytes(customer.get(f"/s/{token}/file/{kind}"))
        lap(f"{kind} saved")
    return number


async def _reported(config: Config, times: dict[str, float]) -> None:
    """Wait until the channel has what it must have of every invoice."""
    clock = time.perf_counter()
    database = await open_database(config.database_url)
    try:
        while (await database.read("SELECT count(*) FROM jobs WHERE kind = 'report' AND state <> 'done'"))[0][0]:
            if time.perf_counter() - clock > WAIT_SECONDS:
                raise RuntimeError("an invoice was not taken by the channel")
            await asyncio.sleep(0.05)
    finally:
        await database.close()
    times[f"{config.channel} has it"] = time.perf_counter() - clock


def _finish(config: Config, out: Path, times: dict[str, float], number: str) -> None:
    """Verify what was saved, audit the store, print the table."""
    clock = time.perf_counter()
    # Its log is thrown away with its shop; the log's key is kept, so the bundle verifies afterwards too.
    shutil.copy(config.data_folder / "keys" / "log.pub", load_config()[0].data_folder / "keys" / "demo-log.pub")
    trusted = trusted_by(None, None)
    for kind in SAVED:
        result = verify_file(out / file_name(number, kind), trusted)
        expected = "unknown" if kind == "png" else "valid"  # a picture proves nothing by itself
        if result.verdict != expected or result.total != f"¥{AMOUNT}":
            raise RuntimeError(f"{kind} does not verify: {result}")
    times["files verified"] = time.perf_counter() - clock
    clock = time.perf_counter()
    broken = [finding for finding in asyncio.run(audit_of(config, quiet=True)) if finding.broken]
    if broken:
        raise RuntimeError(f"audit: {broken}")
    times["store audited"] = time.perf_counter() - clock
    print(f"测试样票 {number} · ¥{AMOUNT} · {CUSTOMER}")
    table = Table("step", "ms")
    for name, seconds in times.items():
        table.add_row(name, f"{seconds * 1000:.0f}")
    Console().print(table)
    print(f"文件 files  {out}/   核对 check  piaoma verify {out}/*")
