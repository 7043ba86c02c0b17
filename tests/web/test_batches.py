"""A sheet of sales, from the template to the mail: every row by itself, none twice, whatever dies in the middle."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from piaoma.desk import batches, events, factors, goods
from piaoma.desk.config import Config
from piaoma.documents.sales_sheet import sheet_file
from piaoma.documents.sheet_reading import read_sheet
from piaoma.invoice.original_reader import read
from piaoma.store import milliseconds
from tests.conftest import COMPANY, MEAL, Shop
from tests.web.browsing import browse, log_in
from tests.web.people import another_browser, csrf_of, owner
from tests.web.test_issuing import causes_of, filled_profile

HEAD = ["单号", "票种", "抬头", "税号", "商品名称", "编码", "数量", "单价", "金额", "税率", "折扣", "备注", "邮箱"]
SHEETS = "/console/batches"


def row(number: str = "", **fields: str) -> list[str]:
    """A row of the sheet, good unless said otherwise."""
    usual = {
        "抬头": COMPANY.name, "税号": COMPANY.taxpayer_id, "商品名称": MEAL.name, "编码": MEAL.code, "金额": "58",
        "税率": "6%",
    }  # fmt: skip
    return [number, *(({**usual, **fields}).get(title, "") for title in HEAD[1:])]


async def upload(client: httpx.AsyncClient, csrf: str, rows: list[list[str]], mode: str = "issue") -> httpx.Response:
    files = {"sheet": ("十一月.xlsx", sheet_file(HEAD, rows))}
    return await client.post(SHEETS, data={"csrf": csrf, "mode": mode}, files=files)


async def run(client: httpx.AsyncClient, shop: Shop, csrf: str, address: str) -> httpx.Response:
    """Press the button, and let the work be done."""
    assert (await client.post(address, data={"csrf": csrf})).status_code == 303
    await batches.work_once(shop.office)
    return await client.get(address)


def figures(page: httpx.Response) -> list[str]:
    """Ready, issued, with faults, issued before."""
    return re.findall(r'class="fig[^>]*>([^<]*)', page.text)[:4]


async def count(shop: Shop, table: str) -> int:
    return int((await shop.office.database.read(f"SELECT count(*) FROM {table}"))[0][0])


def test_good_rows_go_on_and_bad_ones_come_back_with_cell_and_cause(config: Config) -> None:
    """S33: the template's titles are understood, and others; faults name their cells, all at once, and come back as a
    sheet; mended and sent again, only they are issued. What was issued is mailed, and found by its order number."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        await filled_profile(shop)
        template = await client.get(f"{SHEETS}/template.xlsx")
        assert read_sheet(template.content, "t.xlsx").rows[0][1][2] == "购买方名称"
        rows = [
            row("A1", 金额="58.00", 邮箱="a@example.cn"),
            row("A2", 票种="专票", 数量="2", 单价="10", 金额="", 折扣="10%"),
            row("A3", 税号="9111010869001778IX", 金额="58.001"), row("A4", 票种="发票", 邮箱="nobody"),
            row("A1", 商品名称="住宿费", 编码="3070402000000000000", 金额="100"), row(抬头="个人", 税号=""),
        ]  # fmt: skip
        at = (await upload(client, csrf, rows)).headers["location"]
        page = await client.get(at)
        assert figures(page) == ["3", "0", "2", "0"] and await count(shop, "invoices") == 0
        told = dict.fromkeys(re.findall(r'<b class="id">(\w+)</b>[^/]*/help/([\w-]+)', page.text))
        assert set(told) == {
            ("I4", "AMOUNT-DECIMALS"), ("D4", "TITLE-ID-CHECKSUM"), ("B5", "SHEET-KIND"), ("M5", "MAIL-ADDRESS")
        }  # fmt: skip
        done = await run(client, shop, csrf, at)
        assert figures(done) == ["0", "3", "2", "0"] and "已完成" in done.text
        originals = [read(bytes(one[0])) for one in await shop.office.database.read("SELECT original FROM invoices")]
        assert sorted(len(one.lines) for one in originals) == [1, 2, 2]
        assert sorted(str(one.totals.inclusive) for one in originals) == ["158.00", "18.00", "58.00"]
        targets = await shop.office.database.read("SELECT target FROM jobs WHERE kind = 'mail'")
        assert [one[0] for one in targets] == ["a@example.cn"]
        assert COMPANY.name in (await client.get("/console/invoices?q=A2")).text
        faulty = read_sheet((await client.get(f"{at}/faults.xlsx")).content, "f.xlsx").rows
        assert [cells[0] for _, cells in faulty] == ["单号", "A3", "A4"] and "AMOUNT-DECIMALS" in faulty[1][1][-1]
        results = read_sheet((await client.get(f"{at}/results.xlsx")).content, "r.xlsx").rows
        assert len(results) == 6 and sum(len(cells[4]) == 20 for _, cells in results[1:] if len(cells) > 4) == 3
        mended = [list(cells) for _, cells in faulty[1:]]
        mended[0][3], mended[0][8], mended[1][1], mended[1][12] = COMPANY.taxpayer_id, "58", "", ""
        again = await client.post(
            SHEETS, data={"csrf": csrf}, files={"sheet": ("m.xlsx", sheet_file(list(faulty[0][1]), mended))}
        )
        assert figures(await run(client, shop, csrf, again.headers["location"])) == ["0", "2", "0", "0"]
        assert await count(shop, "invoices") == 5
        kinds = [one.kind for one in (await events.list_events(shop.office, shop.id, kind="batch.")).items]
        assert kinds == ["batch.start", "batch.make"] * 2

    browse(config, story)


def test_the_same_sheet_again_issues_nothing(config: Config) -> None:
    """With order numbers or without: each sale is said to be there already, with the number of its invoice. Equal rows
    of one sheet are two sales."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        rows = [row("B1"), row(), row()]
        at = (await upload(client, csrf, rows)).headers["location"]
        assert figures(await run(client, shop, csrf, at)) == ["0", "3", "0", "0"]
        again = (await upload(client, csrf, rows)).headers["location"]
        page = await client.get(again)
        assert figures(page) == ["0", "0", "0", "3"] and causes_of(page).count("SHEET-SEEN") == 3
        assert causes_of(await client.post(again, data={"csrf": csrf}))[0] == "BATCH-NOTHING"
        other = (await upload(client, csrf, [row("B1", 金额="99")])).headers["location"]
        assert figures(await client.get(other)) == ["0", "0", "0", "1"], "an order number is issued once"
        await client.post(at, data={"csrf": csrf})
        assert await batches.work_once(shop.office) == 0 and await count(shop, "invoices") == 3

    browse(config, story)


@pytest.mark.parametrize("keyed", [True, False])
def test_what_dies_in_the_middle_goes_on_and_nothing_is_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keyed: bool
) -> None:
    """The process dies after rows were issued and before that was noted; the next takes the batch up when its beat has
    stopped. Negative control: with a key that is another at each try, the same rows are issued twice."""
    if not keyed:
        turns = iter(range(1_000))
        monkeypatch.setattr(batches, "key_of", lambda row_key: f"{row_key}:{next(turns)}")

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        at = (await upload(client, csrf, [row(f"C{n}") for n in range(40)])).headers["location"]
        await client.post(at, data={"csrf": csrf})
        settle = batches._SETTLE
        monkeypatch.setattr(batches, "_SETTLE", "no statement")
        with pytest.raises(Exception, match=r"(?i)syntax|no statement"):
            await batches.work_once(shop.office)
        monkeypatch.setattr(batches, "_SETTLE", settle)
        assert await count(shop, "invoices") == batches.TOGETHER_MAX
        assert await batches.work_once(shop.office) == 0, "its beat is fresh"
        page = await client.get(at)
        assert 'http-equiv="refresh" content="2' in page.text and "正在开具" in page.text
        assert (await client.get(f"{at}/state.json")).json() == {"state": "running", "done": 0, "count": 40}
        now = shop.office.now()
        monkeypatch.setattr(shop.office, "now", lambda: now + timedelta(minutes=1))
        assert await batches.work_once(shop.office) == 1
        assert figures(await client.get(at)) == ["0", "40", "0", "0"]
        assert (await count(shop, "invoices") == 40) == keyed

    browse(tmp_path, story)


def test_two_processes_at_one_batch_and_a_stop(tmp_path: Path) -> None:
    """One takes it up, the other finds it taken. Stopped, the rest waits until somebody goes on."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        at = (await upload(client, csrf, [row(f"D{n}") for n in range(50)])).headers["location"]
        await client.post(at, data={"csrf": csrf})
        taken = await asyncio.gather(*(batches.work_once(shop.office) for _ in range(3)))
        assert sorted(taken) == [0, 0, 1] and await count(shop, "invoices") == 50
        other = (await upload(client, csrf, [row(f"E{n}") for n in range(3)])).headers["location"]
        await client.post(other, data={"csrf": csrf})
        assert (await client.post(other, data={"csrf": csrf, "stop": "1"})).status_code == 303
        assert await batches.work_once(shop.office) == 0 and "已停止" in (await client.get(other)).text
        assert figures(await run(client, shop, csrf, other)) == ["0", "3", "0", "0"]

    browse(tmp_path, story)


def test_codes_in_place_of_invoices_and_items_of_the_own_list(tmp_path: Path) -> None:
    """A row may leave its title to the customer when codes are made; an item of the list brings code, rate, price."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        item = goods.GoodsForm("A4 打印纸", "1060105040000000000", Decimal("0.13"), unit="包")
        await goods.save_goods(shop.office, shop.merchant, item, shop.actor)
        rows = [
            row("F1", 抬头="", 税号="", 邮箱="c@example.cn"),
            row("F2", 商品名称="A4 打印纸", 编码="", 税率="", 数量="2", 单价="25", 金额=""),
        ]
        at = (await upload(client, csrf, rows, "code")).headers["location"]
        page = await run(client, shop, csrf, at)
        assert figures(page) == ["0", "2", "0", "0"] and page.text.count("打开二维码") == 2
        totals = await shop.office.database.read("SELECT total_fen FROM codes ORDER BY total_fen")
        assert [one[0] for one in totals] == [5_000, 5_800]
        results = read_sheet((await client.get(f"{at}/results.xlsx")).content, "r.xlsx").rows
        assert all("/S/" in cells[5] for _, cells in results[1:])
        issue = (await upload(client, csrf, [row("F3", 抬头="", 税号="")])).headers["location"]
        assert "ISSUE-NEEDS-TITLE" in causes_of(await client.get(issue))

    browse(tmp_path, story)


def test_formulas_other_orders_and_special_businesses_are_refused_by_row(tmp_path: Path) -> None:
    """A formula is named by its cell; two buyers under one order number; a special business by its name. A file that is
    no sheet, or has no head, is refused as a whole; so is a form from elsewhere."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        text = "单号,购买方名称,纳税人识别号,项目名称,编码,含税金额,税率,特定业务\n"
        text += f"G1,个人,,餐费,{MEAL.code},=50+8,6%,\nG2,个人,,餐费,{MEAL.code},58,6%,建筑服务\n"
        text += f"G3,个人,,餐费,{MEAL.code},58,6%,\nG3,{COMPANY.name},{COMPANY.taxpayer_id},餐费,{MEAL.code},58,6%,\n"

        async def send(data: bytes, name: str, token: str = csrf) -> httpx.Response:
            return await client.post(SHEETS, data={"csrf": token}, files={"sheet": (name, data)})

        page = await client.get((await send(text.encode("gb18030"), "a.csv")).headers["location"])
        assert [
            one
            for one in re.findall(r'<b class="id">(\w+)</b>[^/]*/help/([\w-]+)', page.text)
            if one[1] != "AMOUNT-NOT-A-NUMBER"
        ] == [("F2", "SHEET-FORMULA"), ("H3", "BUSINESS-NOT-CARRIED"), ("A5", "SHEET-ORDER-DIFFERS")]
        assert causes_of(await send(b"hello", "a.xlsx")) == ["SHEET-FORMAT"]
        assert causes_of(await send("甲,乙\n1,2\n".encode(), "a.csv")) == ["SHEET-HEADER"]
        assert causes_of(await send(text.partition("\n")[0].encode(), "a.csv")) == ["SHEET-EMPTY"]
        assert (await send(text.encode(), "a.csv", "forged")).status_code == 403
        assert await count(shop, "batches") == 1

    browse(tmp_path, story)


def test_a_sheet_with_special_invoices_asks_for_the_second_factor(tmp_path: Path) -> None:
    """Where the owner demands one for 专票 it is demanded for many at once, too; and what the quota does not cover is
    said before, and left over."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        await factors.set_policy(shop.office, session.actor, ["special"])
        browser = another_browser(client, session)
        csrf = await csrf_of(browser)
        at = (await upload(browser, csrf, [row("H1", 票种="专票")])).headers["location"]
        refused = await browser.post(at, data={"csrf": csrf})
        assert refused.status_code == 403 and causes_of(refused) == ["FACTOR-NEEDED"]
        assert await batches.work_once(shop.office) == 0
        await shop.office.channel.rehearse(quota_fen=10_000)  # type: ignore[attr-defined]
        plain = (await upload(browser, csrf, [row("H2"), row("H3")])).headers["location"]
        assert "额度不够" in (await browser.get(plain)).text
        done = await run(browser, shop, csrf, plain)
        assert figures(done) == ["0", "1", "1", "0"] and "QUOTA-EXCEEDED" in causes_of(done)
        await shop.office.channel.rehearse(quota_fen=10_000_000)  # type: ignore[attr-defined]
        assert figures(await run(browser, shop, csrf, plain)) == ["0", "2", "0", "0"], "tried again by the same button"
        assert milliseconds(shop.office.now()) > 0

    browse(tmp_path, story)
