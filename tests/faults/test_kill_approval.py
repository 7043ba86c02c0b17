"""P2: the power goes between the clerk's yes and the invoice. The server that starts again finishes it, once."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.journeys.served import Served

FINISHED_SECONDS_MAX = 60
# Loaded by the interpreter of the first server: at the moment of issue the process ends, without a goodbye.
DIES_AT_ISSUE = """
import os, sys
if "serve" in sys.argv or "-m" in sys.orig_argv:
    from piaoma.desk import approve
    async def issue(*_, **__):
        os._exit(137)
    approve.issue = issue
"""


def hidden(page: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None, page.text
    return found[1]


def shop_with_an_application(client: httpx.Client) -> tuple[str, str, str]:
    """Register, hang up a code, apply by it; the form's token, the application's number and its customer's address."""
    client.post("/console/register", data={
        "name": "武汉测试餐饮有限公司", "taxpayer_id": "91420100MA4K00000Q", "login": "owner",
        "password": "a long password",
    })  # fmt: skip
    csrf = hidden(client.get("/console/codes/new"), "csrf")
    client.post("/console/settings/goods", data={
        "csrf": csrf, "name": "餐费", "code": "3070401000000000000", "rate": "0.06",
    })  # fmt: skip
    form = client.get("/console/static/new")
    goods = re.search(r'<option value="(\d+)">餐费', form.text)
    assert goods is not None
    made = client.post("/console/static/new", data={
        "csrf": csrf, "make_key": "k", "places": "桌 8", "goods": goods[1], "amount_min": "1", "amount_max": "500",
        "days_back": "3", "device_max": "5", "hour_max": "60",
    })  # fmt: skip
    url = re.search(r'data-copy="[^"]*(/T/\w+)"', made.text)
    assert url is not None, made.text
    page = client.get(url[1])
    waiting = client.post(
        f"{url[1].replace('/T/', '/t/')}/apply",
        data={"button": hidden(page, "button"), "total": "58", "title": "person"},
    )
    found = re.search(r'action="/console/inbox/(\d+)"', client.get("/console/inbox").text)
    assert found is not None
    return csrf, found[1], waiting.url.path


def invoices(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "data" / "piaoma.sqlite3")) as store:
        return int(store.execute("SELECT count(*) FROM invoices").fetchone()[0])


def test_killed_between_yes_and_invoice_there_is_one(tmp_path: Path) -> None:
    """The clerk's tap ends the server at the moment of issue: nothing is issued yet. Started again it issues by itself;
    the customer's page shows it, the clerk's second tap gives no other, and the audit holds."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(DIES_AT_ISSUE)
    served = Served(tmp_path)
    plain = dict(served.environment)
    served.environment["PYTHONPATH"] = f"{hook}:{plain.get('PYTHONPATH', '')}"
    served.start()
    try:
        with httpx.Client(base_url=served.base_url, follow_redirects=True, timeout=20) as client:
            csrf, number, address = shop_with_an_application(client)
            with pytest.raises(httpx.TransportError):
                client.post(f"/console/inbox/{number}", data={"csrf": csrf})
            assert served.process is not None and served.process.wait(timeout=20) == 137
            assert invoices(tmp_path) == 0
            served.kill()  # it is gone; what it wrote to is closed
            served.environment = plain
            served.start()
            deadline = time.monotonic() + FINISHED_SECONDS_MAX
            while "发票已开具" not in client.get(address).text:
                assert time.monotonic() < deadline, "it was never finished"
                time.sleep(0.3)
            client.post(f"/console/inbox/{number}", data={"csrf": csrf})
            assert invoices(tmp_path) == 1
    finally:
        if served.process is not None and served.process.poll() is None:
            served.kill()
    audit = served.run("audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
