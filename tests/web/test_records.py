"""Records in the console: search, bulk, exports, timeline, report, board; and nothing of anybody else."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import html
import io
import re
import zipfile
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pypdf import PdfReader
from python_calamine import CalamineWorkbook

from piaoma import index
from piaoma.desk import accounts, exports, opens, packing
from piaoma.desk.board import board
from piaoma.desk.codes import Offer
from piaoma.desk.config import Config
from piaoma.desk.issue import issue
from piaoma.desk.mint import draft_of
from piaoma.invoice.draft import InvoiceKind, Line
from piaoma.invoice.parties import Buyer
from tests.conftest import COMPANY, MEAL, Shop, new_shop
from tests.web.browsing import browse, hidden, issue_by_pages, log_in

MARK = "<script>alert(1)</script>\"'><img src=x>"
QUOTES = '"onfocus="alert(1)" \'&#39; {{7*7}}'  # the rules let no angle bracket into an invoice


async def issue_to(shop: Shop, name: str, amount: str = "58.00", remark: str = "", item: str = "餐费") -> str:
    """An invoice without a code; its number."""
    line = Line(item, MEAL.code, MEAL.rate, Decimal(amount))
    draft = draft_of(
        Offer(InvoiceKind.GENERAL, (line,), remark=remark), shop.merchant, Buyer(name, natural_person=True)
    )
    outcome = await issue(shop.office, shop.id, draft, issue_key=f"{name[:30]}-{amount}")
    assert outcome.number, outcome.refusals
    return outcome.number


async def log_in_as(client: httpx.AsyncClient, shop: Shop) -> str:
    """As the owner of a shop that is not the first."""
    rows = await shop.office.database.read(
        "SELECT u.login FROM people u JOIN memberships m ON m.person_id = u.person_id WHERE m.merchant_id = $1", shop.id
    )
    session = await accounts.log_in(shop.office, rows[0][0], "a long password")
    client.cookies.clear()
    client.cookies.set("pm_s", session.secret)
    return hidden(await client.get("/console/codes/new"), "csrf")


async def finished(shop: Shop) -> None:
    await asyncio.gather(*shop.office.exports.values())


def figures(page: str) -> tuple[str, str]:
    """Count and sum as the list says them."""
    found = re.search(r"共 ([\d,]+) 张，合计 ¥(-?[\d,.]+)", page)
    assert found is not None
    return found[1], found[2]


def test_every_condition_stands_in_the_address_and_in_the_form(config: Config) -> None:
    """What was just issued is found; a wrong date or amount is told at its field; nothing found says so."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        assert "还没有" in (await client.get("/console/invoices")).text
        number = await issue_to(shop, "汉口测试部", "12.34", "单号 A77")
        await issue_to(shop, "江汉测试部", "99.00")
        for query in (f"q={number[-6:]}", "q=汉口", "q=A77", "min=12&max=12.34",
                      "q=测试&max=20&kind=02&colour=blue&state=issued"):  # fmt: skip
            page = (await client.get(f"/console/invoices?{query}")).text
            assert figures(page) == ("1", "12.34") and number in page, query
        assert figures((await client.get("/console/invoices?all=1")).text) == ("2", "111.34")
        page = (await client.get("/console/invoices?q=汉口&min=1&rate=0.06")).text
        assert 'value="汉口"' in page and 'name="min" inputmode="decimal" value="1"' in page and "details" in page
        assert "没有符合条件" in (await client.get("/console/invoices?colour=red&state=wholly_red")).text
        for query, field in (("since=yesterday", "since"), ("min=x", "min"), ("cursor=-1", "")):
            bad = await client.get(f"/console/invoices?{query}")
            assert bad.status_code == 422 and (not field or f'href="#{field}"' in bad.text), query

    browse(config, story)


def test_pages_follow_each_other_without_a_gap(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every invoice once, newest first, with the search kept."""
    monkeypatch.setattr("piaoma.desk.records.LIST_MAX", 3)

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        numbers = [await issue_to(shop, f"测试{place}部", f"{place + 1}.00") for place in range(8)]
        seen, address = [], "/console/invoices?q=测试"
        while address:
            page = (await client.get(address)).text
            assert figures(page)[0] == "8"
            seen += re.findall(r'class="open id" href="/console/invoices/(\d+)"', page)
            onward = re.search(r'href="(\?[^"]*cursor=\d+)"', page)
            address = "/console/invoices" + html.unescape(onward[1]) if onward else ""
        assert seen == numbers[::-1]

    browse(config, story)


def test_a_search_is_kept_under_a_name_and_opens_the_list(config: Config) -> None:
    """Replaced under the same name, removed, bounded; only fields of the form are kept."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        to = "/console/invoices/searches?q=汉口&x=1&cursor=3"
        kept = await client.post(to, data={"csrf": csrf, "name": MARK[:20], "opens": "1"})
        assert kept.status_code == 303 and "x=1" not in kept.headers["location"]
        opened = await client.get("/console/invoices")
        assert opened.headers["location"] == kept.headers["location"]
        page = await client.get("/console/invoices?all=1")
        assert "<script>alert" not in page.text and html.escape(MARK[:20], quote=False)[:15] in page.text
        assert (await client.post(to, data={"csrf": csrf, "name": " "})).status_code == 422
        assert (await client.post(to, data={"csrf": "no", "name": "x"})).status_code == 403
        await client.post(to, data={"csrf": csrf, "forget": MARK[:20]})
        assert (await client.get("/console/invoices")).status_code == 200
        from piaoma.desk import saved

        for place in range(saved.SEARCHES_MAX):
            await saved.save(shop.office, shop.actor, saved.Saved(f"n{place}", "q=1", False))
        full = await client.post(to, data={"csrf": csrf, "name": "one more"})
        assert full.status_code == 422 and "SEARCH-TOO-MANY" in full.text

    browse(config, story)


def test_what_customers_typed_is_shown_and_never_run(config: Config) -> None:
    """Names, remarks and goods with markup, on every page that shows them; and in the search itself."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        number = await issue_to(shop, QUOTES, remark=QUOTES, item=QUOTES)
        typed, quoted = quote(MARK), quote(QUOTES)
        seen = 0
        for path in (
            "/console", "/console/board", "/console/invoices?all=1", f"/console/invoices/{number}",
            "/console/reports/taxes", "/console/reports/issued", f"/console/invoices?q={quoted}&item={quoted}",
            f"/console/invoices?q={typed}&clerk={typed}&item={typed}&rate={typed}&since={typed}&min={typed}",
            f"/console/reports/taxes?first={typed}&last={typed}",
        ):  # fmt: skip
            page = (await client.get(path)).text
            assert "<script>alert" not in page and "<img src=x" not in page, path
            assert '"onfocus="' not in page and "49" not in re.findall(r"'&#39; (\S+)", page), path
            seen += "onfocus=" in page
        assert seen >= 5

    browse(config, story)


def summed(rows: list[list[Any]]) -> float:
    return round(sum(float(row[7]) for row in rows[1:-1]), 2)


async def export_of(client: httpx.AsyncClient, shop: Shop, csrf: str, do: str, search: str = "") -> httpx.Response:
    begun = await client.post(f"/console/invoices/batch?{search}", data={"csrf": csrf, "do": do})
    assert begun.status_code == 303, begun.text
    await finished(shop)
    page = await client.get(begun.headers["location"])
    assert "下载文件" in page.text, page.text
    return await client.get(begun.headers["location"] + "/file")


def test_a_table_has_what_the_list_has(config: Config) -> None:
    """Count and sum of the search, a row an invoice or a line, in xlsx and csv; what looks like a formula is none."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        await issue_to(shop, "=1+1", "10.01", "@x")
        await issue_to(shop, "汉口测试部", "20.02")
        lines = (MEAL, Line("咖啡", MEAL.code, MEAL.rate, Decimal("7.00")))
        draft = draft_of(Offer(InvoiceKind.GENERAL, lines), shop.merchant, COMPANY)
        await issue(shop.office, shop.id, draft, issue_key="two lines")
        listed = figures((await client.get("/console/invoices?all=1")).text)
        assert listed == ("3", "95.03")
        file = await export_of(client, shop, csrf, "xlsx:invoice")
        rows = CalamineWorkbook.from_filelike(io.BytesIO(file.content)).get_sheet_by_index(0).to_python()
        assert rows[-1][:2] == ["合计", "3"] and rows[-1][7] == 95.03
        assert len(rows) == 5 and summed(rows) == 95.03
        assert rows[3][2] == "=1+1" and len(str(rows[1][0])) == 20
        file = await export_of(client, shop, csrf, "xlsx:line")
        rows = CalamineWorkbook.from_filelike(io.BytesIO(file.content)).get_sheet_by_index(0).to_python()
        assert len(rows) == 6 and summed(rows) == 95.03
        file = await export_of(client, shop, csrf, "csv:invoice", "q=1%2B1")
        table = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
        assert [row[2] for row in table[1:-1]] == ["'=1+1"] and table[1][13] == "'@x" and table[-1][7] == "10.01"
        assert "%E5%8F%91%E7%A5%A8" in file.headers["content-disposition"]
        assert "导出记录" in (await client.get("/console/exports")).text

    browse(config, story)


def test_one_export_at_a_time_and_it_can_be_stopped(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is refused while the first is made; cancelled leaves no file; one whose process died is failed, and
    the next may begin. A file is kept for a day."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        nothing = await client.post("/console/invoices/batch", data={"csrf": csrf, "do": "xlsx:invoice"})
        assert nothing.status_code == 422 and "EXPORT-NOTHING" in nothing.text
        await issue_to(shop, "汉口测试部")
        with monkeypatch.context() as patch:

            async def waits(*_: object) -> None:
                await asyncio.sleep(600)

            patch.setattr(exports._Job, "_fill", waits)
            first = await client.post("/console/invoices/batch", data={"csrf": csrf, "do": "xlsx:invoice"})
            page = await client.get(first.headers["location"])
            assert '<noscript><meta http-equiv="refresh"' in page.text and "取消导出" in page.text
            second = await client.post("/console/invoices/batch", data={"csrf": csrf, "do": "csv:invoice"})
            assert second.status_code == 409 and "EXPORT-RUNNING" in second.text
            assert (await client.get(first.headers["location"] + "/file")).status_code == 410
            await client.post(first.headers["location"] + "/cancel", data={"csrf": csrf})
            assert "已取消" in (await client.get(first.headers["location"])).text
            third = await client.post("/console/invoices/batch", data={"csrf": csrf, "do": "xlsx:invoice"})
            [task] = shop.office.exports.values()
            monkeypatch.setattr(exports._Job, "_tell", waits)
            task.cancel()  # as when its process is killed: nothing is told any more
            shop.office.exports.clear()
        monkeypatch.undo()
        monkeypatch.setattr(exports, "STALE_SECONDS", -1)
        assert "没有做成" in (await client.get(third.headers["location"])).text
        file = await export_of(client, shop, csrf, "csv:invoice")
        assert file.status_code == 200
        folder = shop.office.config.data_folder / "exports"
        await exports.tidy(shop.office)
        assert len(list(folder.glob("*"))) == 1
        monkeypatch.setattr(exports, "KEPT_SECONDS", -60)
        assert [one.expired for one in await exports.list_exports(shop.office, shop.id) if one.state == "done"] == [
            True
        ]
        await exports.tidy(shop.office)
        assert list(folder.glob("*")) == []

    browse(config, story)


def test_ticked_invoices_come_as_one_zip(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files under their names, byte for byte, with a manifest; more than the bound is refused in words."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        first, second = await issue_to(shop, "=汉口", "1.00"), await issue_to(shop, "江汉", "2.00")
        await issue_to(shop, "第三", "3.00")
        ticks = {"csrf": csrf, "do": "zip:all", f"n:{first}": "1", f"n:{second}": "1", "n:999": "1"}
        answer = await client.post("/console/invoices/batch", data=ticks)
        archive = zipfile.ZipFile(io.BytesIO(answer.content))
        assert archive.testzip() is None and len(archive.namelist()) == 7
        table = list(csv.reader(io.StringIO(archive.read(packing.MANIFEST).decode("utf-8-sig"))))
        assert len(table) == 7 and {row[2] for row in table[1:]} == {"'=汉口", "江汉"}
        for row in table[1:]:
            data = archive.read(row[4])
            assert hashlib.sha256(data).hexdigest() == row[5]
            assert data == await shop.office.view(shop.id, row[0], row[4].rpartition(".")[2])
        monkeypatch.setattr(packing, "PACK_MAX", 2)
        many = await client.post("/console/invoices/batch?all=1", data={"csrf": csrf, "do": "zip:xml"})
        assert many.status_code == 422 and "一次最多 2 张，现在选中了 3 张" in many.text
        for wrong in ("zip:exe", "xlsx:two", "", "print:line"):
            bad = await client.post("/console/invoices/batch?all=1", data={"csrf": csrf, "do": wrong})
            assert bad.status_code == 422 and "EXPORT-KIND" in bad.text, wrong

    browse(config, story)


def test_a_print_is_one_pdf_in_the_order_of_the_list(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two invoices on a sheet of A4 or one; more than the bound is refused."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        for place in range(3):
            await issue_to(shop, f"第{place}测试部", f"{place + 1}.00")
        for do, sheets in (("print:two", 2), ("print:one", 3)):
            file = await export_of(client, shop, csrf, do)
            document = PdfReader(io.BytesIO(file.content))
            assert len(document.pages) == sheets
            whole = "".join(page.extract_text() for page in document.pages)
            assert whole.index("第2测试部") < whole.index("第1测试部") < whole.index("第0测试部")
            assert [round(side) for side in document.pages[0].mediabox[2:]] == [595, 842]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(exports, "PRINT_MAX", 2)
            many = await client.post("/console/invoices/batch?all=1", data={"csrf": csrf, "do": "print:one"})
            assert many.status_code == 422 and "EXPORT-TOO-MANY" in many.text

    browse(tmp_path_factory.mktemp("print"), story)


def test_nobody_gets_at_another_merchants_records(config: Config) -> None:
    """By search, cursor, tick, export, its file, its state, its cancelling, saved search, report and board. Control:
    the owner gets all of it by the same requests."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        number = await issue_to(shop, "秘密测试部", "77.77", item="秘密商品")
        own = await log_in(client, shop)
        begun = await client.post("/console/invoices/batch", data={"csrf": own, "do": "csv:invoice"})
        await finished(shop)
        await client.post("/console/invoices/searches?q=秘密", data={"csrf": own, "name": "秘密搜索", "opens": "1"})
        export = begun.headers["location"]

        async def reached(csrf: str) -> list[str]:
            got = []
            for path in ("/console/invoices?q=77", f"/console/invoices?q={number[-5:]}", "/console/invoices?cursor=99",
                         "/console/invoices?all=1", "/console/invoices?item=秘密商品", "/console/invoices",
                         "/console/reports/taxes", "/console/reports/issued", "/console", "/console/board",
                         "/console/exports",
                         f"/console/invoices/{number}"):  # fmt: skip
                page = (await client.get(path, follow_redirects=True)).text
                if "秘密测试部" in page or "77.77" in page or "73.37" in page or export in page or "秘密搜索" in page:
                    got.append(path)
            for path in (export, f"{export}/state.json", f"{export}/file"):
                if (await client.get(path)).status_code == 200:
                    got.append(path)
            zipped = await client.post(
                "/console/invoices/batch", data={"csrf": csrf, "do": "zip:xml", f"n:{number}": "1"}
            )
            if zipped.status_code == 200:
                got.append("zip")
            cancelled = await client.post(f"{export}/cancel", data={"csrf": csrf})
            if cancelled.status_code != 404:
                got.append("cancel")
            return got

        assert len(await reached(own)) >= 12
        other = await new_shop(shop.office, "91110000600037341L")
        csrf = await log_in_as(client, other)
        assert await reached(csrf) == []
        # In one data folder two merchants' exports of one id would be two files.
        assert exports.file_of(shop.office, shop.id, "a") != exports.file_of(shop.office, other.id, "a")

    browse(config, story)


def test_the_timeline_tells_what_happened_in_order(config: Config) -> None:
    """From the code to the customer's download; opens are counted, nobody is named."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        await client.post(f"/s/{code.token.lower()}/seen")
        await issue_by_pages(client, code.token)
        for _ in range(2):
            await client.get(f"/s/{code.token}/file/xml")
        await opens.write(shop.office)
        while await shop.office.outbox.work_once():
            pass
        await log_in(client, shop)
        number = (await shop.office.database.read("SELECT number FROM invoices"))[0][0]
        await client.get("/console/invoices?all=1")  # the log gets its leaf at the latest when somebody looks
        page = (await client.get(f"/console/invoices/{number}")).text
        told = re.findall(r"<li><span class=\"num\">[^<]*</span> ([^<\n]*)", page)
        words = [text.strip() for text in told]
        assert [words.index(word) for word in ("出码", "顾客确认", "开具", "写入透明日志")] == sorted(
            words.index(word) for word in ("出码", "顾客确认", "开具", "写入透明日志")
        )
        assert {"顾客扫码", "上报税务平台", "顾客打开", "顾客下载"} <= set(words) and "共 2 次" in page
        columns = {row[0] for row in await shop.office.database.read("SELECT what FROM invoice_opens")}
        assert columns == {"open", "download"}
        client.cookies.clear()

    browse(config, story)


def test_every_figure_of_the_board_leads_to_the_same_sum(config: Config) -> None:
    """Today, each day and each item: the list behind the link has the same count and sum. So has the tax report."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        code = await shop.code()
        await issue_by_pages(client, code.token)
        await shop.code("5.00")
        await log_in(client, shop)
        await issue_to(shop, "汉口测试部", "10.01", item="咖啡")
        await issue_to(shop, "江汉测试部", "20.02", item="咖啡")
        figures_now = await board(shop.office, shop.id)
        assert (figures_now.today.count, figures_now.today.total) == (3, Decimal("88.03"))
        assert (figures_now.codes_today.made, figures_now.codes_today.issued, figures_now.open_count) == (2, 1, 1)
        page = (await client.get("/console")).text
        link = re.search(r'class="fig"><a href="([^"]+)">¥([\d,.]+)', page)
        assert link is not None
        assert figures((await client.get(html.unescape(link[1]))).text) == ("3", link[2])
        rows = re.findall(r'<a href="([^"]+&amp;item=[^"]+)">[^<]*</a></td><td[^>]*>(\d+)</td><td[^>]*>([\d,.]+)', page)
        assert len(rows) == 2
        for address, count, total in rows:
            assert figures((await client.get(html.unescape(address))).text) == (count, total)
        report = (await client.get("/console/reports/taxes")).text
        address = re.search(r'<a href="(/console/invoices\?since[^"]+)">6%</a>', report)
        assert address is not None and figures((await client.get(html.unescape(address[1]))).text)[0] == "3"
        for by, counts in (("day", {"3"}), ("kind", {"3"}), ("colour", {"3"}), ("clerk", {"1", "2"}), ("shop", {"3"})):
            page = (await client.get(f"/console/reports/issued?by={by}")).text
            rows = re.findall(
                r"<tr><td>(.*?)</td><td[^>]*>([\d,]+)</td><td.*?</td><td.*?</td><td[^>]*>([\d,.]+)</td>", page
            )
            assert {count for _, count, _ in rows} == counts, by
            for cell, count, total in rows:
                led = re.search(r'href="([^"]+)"', cell)
                if led is not None:  # who issued without a code has no clerk to lead to
                    assert figures((await client.get(html.unescape(led[1]))).text) == (count, total), by
        wrong = await client.get("/console/reports/issued?since=x&by=number")
        assert wrong.status_code == 422
        table = await client.get("/console/reports/taxes?as=csv")
        assert table.content.startswith(b"\xef\xbb\xbf") and "0.06" in table.text
        assert "REPORT-MONTH" in (await client.get("/console/reports/taxes?first=2026-13&last=x")).text

    browse(config, story)


def test_the_board_says_when_something_changed(config: Config) -> None:
    """Its state is another after a code, an invoice; the fragment carries it; a page refreshes without scripts too."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        states = [(await client.get("/console/board/state.json")).json()["state"]]
        code = await shop.code()
        states.append((await client.get("/console/board/state.json")).json()["state"])
        await issue_by_pages(client, code.token)
        await log_in(client, shop)
        states.append((await client.get("/console/board/state.json")).json()["state"])
        assert len(set(states)) == 3
        assert f'data-state="{states[-1]}"' in (await client.get("/console/board")).text
        assert 'http-equiv="refresh"' in (await client.get("/console")).text

    browse(config, story)


def test_what_is_not_indexed_yet_is_said(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """When much is missing nobody waits for it: list, board and report say how many."""
    monkeypatch.setattr("piaoma.desk.indexing.CATCH_UP_MAX", 0)

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        await issue_to(shop, "汉口测试部")
        for path in ("/console/invoices?all=1", "/console", "/console/reports/taxes"):
            assert "还有 1 张刚开的在登记" in (await client.get(path)).text, path
        await index.follow(shop.office.database)
        assert "在登记" not in (await client.get("/console")).text

    browse(config, story)


def test_console_pages_of_records_are_light(config: Config) -> None:
    """Below 80 kB on the wire with all that they load, when the list is full."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await log_in(client, shop)
        for place in range(51):
            await issue_to(shop, f"湖北第{place}号某某商贸有限公司", f"{place + 1}.00")
        for path in ("/console/invoices?all=1", "/console"):
            page = await client.get(path)
            weight = page.num_bytes_downloaded
            for link in set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)):
                weight += (await client.get(link)).num_bytes_downloaded
            assert weight < 80_000, path

    browse(config, story)
