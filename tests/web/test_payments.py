"""Reconciliation: a statement taken in once, each payment held against invoices, lists behind counts; hostile files."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import zipfile
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import xlsxwriter

from piaoma.desk import payment_lists
from piaoma.desk.config import Config
from piaoma.desk.events import list_events
from piaoma.documents import statement
from piaoma.documents.statement import read_statement
from piaoma.invoice.refusal import Refused
from tests.conftest import COMPANY, Shop, new_shop
from tests.desk.test_red import issued, take_back
from tests.web.browsing import browse, log_in
from tests.web.test_records import log_in_as

HEAD = "微信支付账单明细\n起始时间,,\n交易时间,商户订单号,订单金额(元)\n"


def rows_of(shop: Shop, *rows: tuple[str, str, int]) -> bytes:
    """A csv as a provider writes it: titles above, order numbers with a mark, GB 18030; (order, amount, minutes)."""
    lines = []
    for order, amount, minutes in rows:
        at = shop.office.now() + timedelta(minutes=minutes)
        lines.append(f"`{at:%Y-%m-%d %H:%M:%S},`{order},`¥{amount}\n")
    return (HEAD + "".join(lines) + "总计,,\n").encode("gb18030")


async def send(client: httpx.AsyncClient, csrf: str, data: bytes, name: str = "流水.csv") -> httpx.Response:
    return await client.post("/console/payments", data={"csrf": csrf}, files={"file": (name, data)})


def counted(page: str) -> list[str]:
    return re.findall(r'class="fig"><a[^>]*>([\d,]+)<', page)


def test_from_upload_to_lists_and_nothing_twice(config: Config) -> None:
    """Columns are asked once; matched, missing, double, differing, waiting, without a payment; matching again later;
    the same payments in another file are the same; the table has all of it; another merchant sees none of it."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        office = shop.office
        csrf = await log_in(client, shop)
        assert "还没有导入过流水" in (await client.get("/console/payments")).text
        await issued(shop, "106.00", key="order-a1")
        await issued(shop, "50.00", key="order-b1")
        taken = await issued(shop, "77.00", key="order-x1")
        await take_back(shop, taken)
        for key in ("order-c1", "other"):
            await issued(shop, "31.00", key=key)
        code = await shop.code("19.00")
        mint_key = (await office.database.read("SELECT mint_key FROM codes WHERE code_id = $1", code.code_id))[0][0]
        data = rows_of(
            shop, ("order-a1", "106.00", 0), ("order-b1", "52.00", 1), ("order-c1", "31", 2), (mint_key, "19", 0),
            ("order-x1", "77", 3), ("=cmd()", "8.80", 3), ("order-a1", "-5", 4),
        )  # fmt: skip
        sent = await send(client, csrf, data)
        assert sent.status_code == 303
        path = sent.headers["location"]
        page = (await client.get(path)).text
        assert "指定列" in page and '<option value="2" selected>订单金额(元)</option>' in page
        wrong = await client.post(path, data={"csrf": csrf, "time": "1", "amount": "0"})
        assert wrong.status_code == 422 and "PAYMENT-COLUMNS" in wrong.text
        done = await client.post(path, data={"csrf": csrf, "order": "1", "time": "0", "amount": "2"})
        assert done.status_code == 303
        page = (await client.get(path)).text
        assert counted(page) == ["2", "1", "3", "0", "1", "1"], "matched waiting missing double differing unpaid"
        assert "1 行不是付款" in page
        for state, number in (("missing", 3), ("unpaid", 1), ("matched", 2)):
            listed = (await client.get(f"{path}?state={state}")).text
            assert listed.count('<td class="num">20') == number, state
        table = (await client.get(f"{path}?as=csv")).content.decode("utf-8-sig")
        kept = list(csv.reader(io.StringIO(table)))
        assert len(kept) == 9 and any(row[1] == "'=cmd()" for row in kept)
        # A code that was open is issued meanwhile: matched again, it has its invoice.
        from piaoma.desk import scan

        await scan.confirm(office, code.token, "me", COMPANY, issue_key="later")
        again = await client.post(path, data={"csrf": csrf, "again": "1"})
        assert again.status_code == 303 and counted((await client.get(path)).text)[:2] == ["3", "0"]
        # The same file is refused; another with the same payments and a new one brings the new one alone, unasked.
        twice = await send(client, csrf, data)
        assert twice.status_code == 409 and "PAYMENT-FILE-TWICE" in twice.text
        more = data.replace("总计,,\n".encode("gb18030"), b"") + rows_of(shop, ("order-n1", "5", 9)).split(b"\n", 3)[3]
        sent = await send(client, csrf, more)
        second = await payment_lists.file(office, shop.id, sent.headers["location"].rpartition("/")[2])
        assert (second.payments, second.known, second.mapped) == (1, 7, True)
        kinds = [one.kind for one in (await list_events(office, shop.id, kind="payment.")).items]
        assert kinds[:3] == ["payment.import", "payment.upload", "payment.match"]
        # Removed, its columns are asked for anew.
        await client.post(sent.headers["location"], data={"csrf": csrf, "remove": "1"})
        sent = await send(client, csrf, more)
        assert "指定列" in (await client.get(sent.headers["location"])).text
        theirs = await new_shop(office, "91110000600037341L")
        await log_in_as(client, theirs)
        assert (await client.get(path)).status_code == 404
        assert "还没有导入过流水" in (await client.get("/console/payments")).text

    browse(config, story)


def book(rows: list[list[object]], *, last: tuple[int, int] | None = None) -> bytes:
    """An xlsx."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet()
        for place, row in enumerate(rows):
            sheet.write_row(place, 0, row)
        if last:
            sheet.write(*last, 1)
    return file.getvalue()


def repacked(data: bytes, name: str, change: bytes) -> bytes:
    """The workbook with something put in front of the root of one of its parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            content = old.read(part)
            new.writestr(part, content.replace(b"<worksheet", change + b"<worksheet", 1) if part == name else content)
    return file.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
HOSTILE = {
    "nothing": (b"", "PAYMENT-FILE-NONE"),
    "blank": (b"\n ,\n", "PAYMENT-FILE-EMPTY"),
    "no text": (b"\x00\x01", "PAYMENT-FILE-FORMAT"),
    "no encoding": (b"a,b\n\xff\xff\xff\n", "PAYMENT-FILE-FORMAT"),
    "a broken zip": (b"PK\x03\x04" + b"x" * 99, "PAYMENT-FILE-FORMAT"),
    "too many rows": (b"a,b\n" * 20_100, "PAYMENT-FILE-LARGE"),
    "a grid of billions": (book([["a"]], last=(1_000_000, 16_000)), "PAYMENT-FILE-LARGE"),
    "a bomb": (repacked(book([["a"]]), SHEET, b" " * (65 << 20)), "PAYMENT-FILE-LARGE"),
    "entities": (repacked(book([["a"]]), SHEET, b'<!DOCTYPE x [<!ENTITY a "aaa">]>'), "PAYMENT-FILE-FORMAT"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_within_bounds(name: str) -> None:
    """Before it is parsed, by the limit that it breaks."""
    data, cause = HOSTILE[name]
    if not data:
        return  # asked on the page, below
    with pytest.raises(Refused, match=cause):
        read_statement(data)


def test_without_its_bounds_the_grid_would_be_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with the look-through taken out, entities get as far as the parser."""
    monkeypatch.setattr(statement, "_look_through", lambda package: None)
    data = HOSTILE["entities"][0]
    assert read_statement(data).head == ("a",)


def test_a_file_runs_in_a_worker_and_is_told_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing chosen, too large, one that the worker dies of; without the token nothing is read; the server lives."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        for data, cause in ((b"", "PAYMENT-FILE-NONE"), (HOSTILE["entities"][0], "PAYMENT-FILE-FORMAT")):
            answer = await send(client, csrf, data)
            assert answer.status_code == 422 and cause in answer.text
        assert (await client.post("/console/payments", data={"csrf": csrf})).status_code == 422
        assert (await send(client, "no", b"a")).status_code == 403
        assert (await send(client, csrf, b"a" * (9 << 20))).status_code == 413
        # An xlsx, in a worker that really is another process.
        at = shop.office.now()
        rows: list[list[object]] = [["交易时间", "单号", "金额"], [f"{at:%Y-%m-%d %H:%M:%S}", "A-1001", 58.1]]
        sent = await send(client, csrf, book(rows), "till.xlsx")
        assert sent.status_code == 303 and len(shop.office.checkers.processes()) == 1
        assert "58.1" in (await client.get(sent.headers["location"])).text
        monkeypatch.setattr("piaoma.desk.payments.read_statement", asyncio.sleep)  # what cannot run there
        assert not await shop.office.database.read("SELECT 1 FROM payments")

    browse(tmp_path, story)
