"""Records in a real browser: the board follows by itself; an accountant finds, exports, prints; without scripts too."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect
from pypdf import PdfReader
from python_calamine import CalamineWorkbook

from tests.journeys.pictures import DESK, PHONE, mint, register, visit
from tests.journeys.served import Served, serve

pytestmark = pytest.mark.xdist_group("records")


@pytest.fixture(scope="module")
def shop(browser: Browser) -> Iterator[tuple[Served, BrowserContext]]:
    """A server with a shop and three invoices, and the owner's browser."""
    with serve() as served:
        owner = browser.new_context(viewport=DESK, locale="zh-CN")
        till = owner.new_page()
        register(till, served.base_url)
        till.wait_for_selector("td:has-text('餐费')")
        for amount in ("12.50", "126", "300"):
            issue(browser, owner, served.base_url, amount)
        yield served, owner


def issue(browser: Browser, owner: BrowserContext, base: str, amount: str) -> None:
    """A sale to a person. The till is a page of its own: one that watches a code turns by itself."""
    till = owner.new_page()
    customer = browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
    customer.goto(mint(till, base, amount))
    customer.click("button:has-text('个人')")
    customer.click("form[action$=confirm] button.main")
    customer.wait_for_selector("text=发票已开具")
    customer.context.close()
    # The till's page turns by itself when the invoice is there; a page that is closed in that moment is never closed.
    till.wait_for_selector("text=顾客已经拿到发票")
    till.close()


def rows_of(file: Path) -> list[list[object]]:
    return [list(row) for row in CalamineWorkbook.from_path(file).get_sheet_by_index(0).to_python()]


@pytest.mark.parametrize("told", [True, False], ids=["told by the server", "asking"])
def test_the_board_follows_by_itself(browser: Browser, shop: tuple[Served, BrowserContext], told: bool) -> None:
    """An open page shows the next sale without being touched; what was open in it stays open. A browser without
    server-sent events asks instead."""
    served, owner = shop
    page = owner.new_page()
    if not told:
        page.add_init_script("delete window.EventSource")
    page.goto(f"{served.base_url}/console")
    page.click("summary:has-text('看数字')")
    before = page.inner_text(".fig")
    page.evaluate("window.untouched = true; document.activeElement.blur()")
    issue(browser, owner, served.base_url, "7.70")
    expect(page.locator(".fig").first).not_to_have_text(before, timeout=10_000)
    assert page.evaluate("window.untouched") and page.is_visible("#board details table")
    page.close()


def test_an_accountant_finds_exports_and_prints(shop: tuple[Served, BrowserContext]) -> None:
    """A search that is kept, its table, two ticked as a zip, both on one sheet; three clicks each at most."""
    served, owner = shop
    page = owner.new_page()
    page.goto(f"{served.base_url}/console")
    page.click("nav >> text='扫码开票'")  # S16: under these names
    page.wait_for_url("**/console/codes/new")
    page.click("nav >> text='开票管理'")
    page.wait_for_url("**/console/invoices")
    page.keyboard.press("/")
    page.keyboard.type("餐费")
    page.fill("#min", "100")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=共 2 张，合计 ¥426.00")
    page.click("summary:has-text('保存这个搜索')")
    page.fill("#name", "一百以上")
    page.click("form[action*=searches] button:has-text('保存')")
    page.goto(f"{served.base_url}/console/invoices?all=1")
    page.click("a:has-text('一百以上')")
    page.wait_for_selector("text=共 2 张，合计 ¥426.00")
    page.click("button[value='xlsx:invoice']")
    with page.expect_download() as download:
        page.click("text=下载文件")
    table = rows_of(Path(download.value.path()))
    assert len(table) == 4 and table[-1][7] == 426
    page.goto(f"{served.base_url}/console/invoices?min=100")
    for tick in page.query_selector_all("td.tick input"):
        tick.check()
    with page.expect_download() as download:
        page.click("button[value='zip:pdf']")
    assert len(zipfile.ZipFile(download.value.path()).namelist()) == 3
    page.click("button[value='print:two']")
    with page.expect_download(timeout=30_000) as download:
        page.click("text=下载文件", timeout=30_000)
    assert len(PdfReader(download.value.path()).pages) == 1
    page.close()


def test_records_without_scripts(browser: Browser, shop: tuple[Served, BrowserContext]) -> None:
    """The same on a phone with scripts switched off: the page of an export turns by itself until the file is there."""
    served, owner = shop
    context = browser.new_context(
        viewport=PHONE, locale="zh-CN", java_script_enabled=False, storage_state=owner.storage_state()
    )
    page = context.new_page()
    visit(page, f"{served.base_url}/console")
    assert page.is_visible("text=今天已开")
    page.goto(f"{served.base_url}/console/invoices")
    page.click("summary:has-text('更多条件')")
    page.select_option("#kind", "02")
    page.fill("#q", "个人")
    page.click("button:has-text('查找')")
    page.wait_for_selector("text=共")
    page.click("button[value='csv:invoice']")
    page.wait_for_selector("a:has-text('下载文件')", timeout=20_000)
    with page.expect_download() as download:
        page.click("a:has-text('下载文件')")
    assert "个人" in Path(download.value.path()).read_text(encoding="utf-8-sig")
    page.goto(f"{served.base_url}/console/reports/taxes")
    page.click("td a:has-text('6%')")
    page.click("tbody a.open >> nth=0")
    assert page.is_visible("text=写入透明日志")
    context.close()
