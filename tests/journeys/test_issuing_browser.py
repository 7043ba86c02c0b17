"""The issuing page in a real browser: by keyboard alone, by a barcode scanner, through a browser that dies."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.pictures import DESK, visit
from tests.journeys.served import Served

pytestmark = pytest.mark.xdist_group("issuing")


def keep_item(page: Page, base: str, name: str, code: str, price: str, own_code: str) -> None:
    page.goto(f"{base}/console/settings/goods")
    for field, value in (("name", name), ("code", code), ("price", price), ("own_code", own_code), ("unit", "包")):
        page.fill(f"#{field}", value)
    page.click("form.card button.main")


def field(page: Page, name: str) -> str:
    return page.input_value(f"#issue [name={name}]")


def test_the_path_leads_there_and_a_special_invoice_is_made_by_keyboard_alone(
    browser: Browser, shop: tuple[Served, Page]
) -> None:
    """S15, S16, S19: 开票管理 → 扫码开票 by their names. Then no mouse: a 专票 with its buyer typed, three figures of
    which the third comes by itself, totals at every keystroke that are the server's to the fen, Ctrl+Enter: a code."""
    served, page = shop
    base = served.base_url
    for size in (DESK, {"width": 360, "height": 740}):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        visit(page, f"{base}/console")
        expect(page.locator("main a.btn.main", has_text="开票")).to_be_in_viewport()
    page.set_viewport_size(DESK)
    page.click("nav >> text=开票管理")
    page.click("nav >> text=扫码开票")
    page.wait_for_selector(".amount:focus")
    visit(page, f"{base}/console/codes/new?kind=01")
    page.locator("#name").focus()
    keys = page.keyboard
    for text in ("武汉某某科技有限公司", "91110108690017781B"):
        keys.type(text)
        keys.press("Enter")
    assert page.evaluate("document.activeElement.id") == "buyer_person", "Enter moves on"
    page.locator("[id='lines[0].name']").focus()
    for text in ("设计费", "3040301020000000000", "", "次"):
        keys.type(text)
        keys.press("Enter")
    keys.type("7")
    keys.press("Enter")
    keys.type("33.333")
    assert field(page, "amount1") == "233.33"
    page.locator("[id='lines[0].rate']").focus()
    keys.type("6")
    assert page.input_value("[id='lines[0].rate']") == "0.06"
    page.locator("[id='lines[0].discount']").focus()
    keys.type("10%")
    shown = page.inner_text("#totals")
    expect(page.locator("#ticket:not(.stale)")).to_contain_text("210.00")
    ticket = page.inner_text("#ticket")
    for figure in re.findall(r"[\d,]+\.\d\d", shown):
        assert figure in ticket, (figure, ticket)
    assert re.findall(r"[\d,]+\.\d\d", shown)[2] == "210.00"
    page.locator("[id='lines[0].quantity']").focus()
    keys.press("Control+a")
    keys.type("8")
    assert field(page, "amount1") == "266.66" and "239.99" in page.inner_text("#totals")
    keys.press("Control+Enter")
    page.wait_for_selector(".qr img")
    assert "239.99" in page.inner_text("h1") and "专用发票" in page.inner_text("h1")


def test_browser_and_server_agree_on_every_figure(browser: Browser, shop: tuple[Served, Page]) -> None:
    """S19: figures that round awkwardly, in both pricings: the totals worked out here are those of the ticket."""
    served, page = shop
    visit(page, f"{served.base_url}/console/codes/new?full=1")
    page.fill("#issue [name=name1]", "设计费")
    page.fill("#issue [name=code1]", "3040301020000000000")
    for rate, quantity, price, pricing in (
        ("0.06", "0.333", "9.99", "inclusive"), ("0|exempt|03", "12345.678", "0.7000007", "exclusive"),
        ("0.06", "3", "0.335", "exclusive"), ("0.06", "99.99", "8888.88", "inclusive"),
    ):  # fmt: skip
        page.check(f"[name=pricing][value={pricing}]")
        page.select_option("[name=rate1]", rate)
        page.fill("#issue [name=amount1]", "")
        page.fill("#issue [name=quantity1]", quantity)
        page.fill("#issue [name=price1]", price)
        figures = re.findall(r"[\d,]+\.\d\d", page.inner_text("#totals"))
        with page.expect_response("**/codes/preview") as answer:
            page.press("#issue [name=price1]", "End")
            page.fill("#issue [name=remark]", f"{rate} {price}")
        told = answer.value.text()
        assert len(figures) == 3, figures
        for figure in figures:  # the ticket has no thousands, and no tax on what is exempt
            assert figure.replace(",", "") in told or figure == "0.00", (figures, told)


def test_a_killed_browser_gives_everything_back_on_another_machine(browser: Browser, shop: tuple[Served, Page]) -> None:
    """S30: nothing is sent by hand; the browser dies; on another machine with the same person all values are there. The
    first one, still open elsewhere, is told when it types on."""
    served, page = shop
    cookies = page.context.cookies()

    def machine() -> Page:
        context = browser.new_context(viewport=DESK, locale="zh-CN")
        context.add_cookies(cookies)  # type: ignore[arg-type]
        return context.new_page()

    one = machine()
    one.goto(f"{served.base_url}/console/codes/new?full=1")
    one.fill("#name", "武汉某某科技有限公司")
    one.check("[name=kind][value='01']")
    one.fill("#remark", "第三期合同款")
    one.fill("#issue [name=name1]", "设计费")
    one.wait_for_selector("#kept:has-text('草稿已保存')")
    two = machine()
    two.goto(f"{served.base_url}/console/codes/new")
    two.click("main a:has-text('继续')")
    assert [field(two, name) for name in ("buyer_name", "remark", "name1")] == [
        "武汉某某科技有限公司", "第三期合同款", "设计费"
    ]  # fmt: skip
    assert two.is_checked("[name=kind][value='01']")
    two.fill("#remark", "第四期合同款")
    two.wait_for_selector("#kept:has-text('草稿已保存')")
    one.fill("#remark", "改在旧页面上")
    one.wait_for_selector("#kept.fail:has-text('另一台设备')")
    for each in (one, two):
        each.context.close()


def test_a_scanner_makes_rows_as_fast_as_it_beeps(browser: Browser, shop: tuple[Served, Page]) -> None:
    """S32: a scanner is a keyboard that types a code and Enter; twice the same counts; the sum follows; no mouse."""
    served, page = shop
    keep_item(page, served.base_url, "A4 打印纸", "1060102010000000000", "25", "6901234567892")
    keep_item(page, served.base_url, "中性笔", "1060402010200000000", "2.5", "6909876543210")
    visit(page, f"{served.base_url}/console/codes/new")
    page.focus("#scan")
    for code, count in (("6901234567892", "1"), ("6909876543210", "1"), ("6901234567892", "2")):
        page.keyboard.type(code)
        page.keyboard.press("Enter")
        row = "2" if code.startswith("69098") else "1"
        expect(page.locator(f"#issue [name=quantity{row}]")).to_have_value(count)
        expect(page.locator("#scan")).to_be_focused()
        expect(page.locator("#scan")).to_have_value("")
    assert "52.50" in page.inner_text("#totals")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".qr img")
    assert "52.50" in page.inner_text("h1")


def test_a_sheet_is_followed_while_it_is_issued(browser: Browser, shop: tuple[Served, Page]) -> None:
    """S33: choose the file, look, press; the figures move by themselves to the end."""
    served, page = shop
    visit(page, f"{served.base_url}/console/batches")
    text = "单号,购买方名称,项目名称,税收分类编码,含税金额,税率\n"
    text += "".join(f"J{n},个人,餐费,3070401000000000000,{n + 1},6%\n" for n in range(30))
    page.set_input_files("#sheet", {"name": "日报.csv", "mimeType": "text/csv", "buffer": text.encode()})
    page.click("main button.main")
    page.click("text=开具 30 张发票")
    page.wait_for_selector("text=已完成", timeout=20_000)
    assert page.inner_text(".fig.good") == "30"
