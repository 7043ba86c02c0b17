"""Pictures of every page and document, made by the program itself: ``make pictures`` puts them into docs/pictures.

Run as a script. It serves a new shop, walks through it as owner and customer, and photographs what they see.
"""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, ViewportSize, sync_playwright

from tests.journeys.served import CHROMIUM, CHROMIUM_ARGUMENTS, Served, serve

PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 800}


def visit(page: Page, address: str) -> None:
    """Go to an address. A page that watches a code may be reloading itself at this very moment: then go again."""
    for turn in range(5):
        try:
            page.goto(address)
            return
        except Error as error:
            reloading = "ERR_ABORTED" in error.message or "interrupted by another navigation" in error.message
            if not reloading or turn == 4:
                raise
            page.wait_for_timeout(300)  # the one that was first arrives


def register(page: Page, base: str) -> None:
    """A new shop with a profile and an item."""
    page.goto(f"{base}/console/register")
    page.fill("#name", "武汉测试餐饮有限公司")
    page.fill("#taxpayer_id", "91420100MA4K00000Q")
    page.fill("#shop_name", "江汉路测试小馆")
    page.fill("#login", "owner@example.cn")
    page.fill("#password", "测试用的一句话密码")
    page.click("main button.main")
    page.wait_for_url(f"{base}/console/account/email")
    page.goto(f"{base}/console/settings/profile")
    page.fill("#address", "武汉市江汉区测试路 1 号")
    page.fill("#phone", "027-00000000")
    page.fill("#bank", "测试银行武汉支行")
    page.fill("#account", "1234567890123")
    page.fill("#password_now", "测试用的一句话密码")
    page.click("main button.main")
    page.goto(f"{base}/console/settings/goods")
    page.fill("#name", "餐费")
    page.fill("#code", "3070401000000000000")
    page.select_option("#rate", "0.06")
    page.click("form.card button.main")


def mint(page: Page, base: str, amount: str) -> str:
    """A code for an amount; the address that its symbol holds."""
    visit(page, f"{base}/console/codes/new")
    page.fill(".amount", amount)
    page.keyboard.press("Enter")
    page.wait_for_selector(".qr img")
    return str(page.get_attribute("[data-copy]", "data-copy"))


def take(served: Served, folder: Path, browser: Browser) -> None:
    """Walk and photograph."""
    folder.mkdir(parents=True, exist_ok=True)
    base = served.base_url

    def shot(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    desk = browser.new_page(viewport=DESK, locale="zh-CN")
    desk.goto(base)
    shot(desk, "home")
    desk.goto(f"{base}/console/register")
    shot(desk, "register")
    register(desk, base)
    shot(desk, "console-goods")
    url = mint(desk, base, "58")
    shot(desk, "console-code")
    code_page = desk.url

    phone = browser.new_page(viewport=PHONE, locale="zh-CN")
    phone.goto(url)
    shot(phone, "customer-title")
    phone.fill("#name", "武汉某某科技有限公司")
    phone.fill("#taxpayer_id", "9111010869001778IX")
    phone.click("text=使用这个抬头")
    shot(phone, "customer-title-error")
    phone.fill("#taxpayer_id", "91110108690017781B")
    phone.click("text=使用这个抬头")
    shot(phone, "customer-scan")
    phone.goto(url + "?lang=en")
    shot(phone, "customer-scan-en")
    phone.goto(url + "?lang=zh")
    phone.click("form[action$=confirm] button.main")
    phone.wait_for_selector(".good")
    shot(phone, "customer-result")
    stranger = browser.new_context(viewport=PHONE, locale="zh-CN", color_scheme="dark").new_page()
    stranger.goto(url)
    shot(stranger, "customer-taken-dark")
    desk.goto(code_page)
    shot(desk, "console-code-issued")
    for amount in ("126", "1280", "35.5", "468"):
        phone.goto(mint(desk, base, amount))
        phone.click("form[action$=confirm] button.main")
        phone.wait_for_selector(".good")
    mint(desk, base, "864.50")
    desk.goto(f"{base}/console")
    shot(desk, "console-today")
    desk.goto(f"{base}/console/codes/new")
    desk.fill(".amount", "126")
    desk.wait_for_selector("#ticket .form")
    shot(desk, "console-new-code")
    desk.goto(f"{base}/console/invoices")
    shot(desk, "console-invoices")
    desk.click("tbody a.open")
    shot(desk, "console-invoice")
    desk.goto(f"{base}/console/settings/profile")
    shot(desk, "console-profile")
    phone.goto(f"{base}/verify")
    phone.screenshot(path=folder / "verify.png")
    pdf = phone.request.get(url.replace("/S/", "/s/") + "/file/pdf").body()
    phone.goto(f"{base}/verify")
    phone.set_input_files(
        "#files", {"name": "26990000000000000001-电子发票.pdf", "mimeType": "application/pdf", "buffer": pdf}
    )
    phone.click("form:has(#files) button")
    shot(phone, "verify-result")
    take_life(served, folder, browser, mint(desk, base, "58"))
    take_corrections(served, folder, browser, desk)
    take_static(served, folder, browser, desk)
    take_outages(served, folder, browser, desk)
    take_eyes(served, folder, browser, desk)
    desk.set_viewport_size(PHONE)
    for path, name in (("/console", "today"), ("/console/codes/new", "new-code"), ("/console/invoices", "invoices")):
        desk.goto(base + path)
        shot(desk, f"console-{name}-phone")
    desk.goto(code_page)
    mint(desk, base, "12")
    shot(desk, "console-code-phone")
    desk.goto(f"{base}/console/sheets?kind=code&id={desk.url.rpartition('/')[2]}&size=a6")
    shot(desk, "print-a6")
    png = phone.request.get(url.replace("/S/", "/s/") + "/file/png")
    (folder / "invoice-pdf.png").write_bytes(png.body())


def take_corrections(served: Served, folder: Path, browser: Browser, desk: Page) -> None:
    """A customer's 换开 that the shop agrees to, and a part of a used invoice that its buyer must confirm."""
    base = served.base_url

    def shot(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    phone = browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
    url = mint(desk, base, "88").replace("/S/", "/s/")
    phone.goto(url)
    phone.fill("#name", "武汉某某科技有限公司")
    phone.fill("#taxpayer_id", "91110108690017781B")
    phone.click("text=使用这个抬头")
    phone.click("form[action$=confirm] button.main")
    phone.click("text=抬头有误，换开")
    phone.fill("#name", "武汉另一家贸易有限公司")
    phone.fill("#taxpayer_id", "92330781MA2EDMFU50")
    phone.click("text=使用这个抬头")
    shot(phone, "customer-reissue")
    phone.click("button.main")
    shot(phone, "customer-reissue-asked")
    desk.goto(f"{base}/console/corrections")
    desk.click("tbody a.open")
    shot(desk, "console-reissue-asked")
    desk.click("button.main")
    desk.wait_for_selector("text=已换开")
    shot(desk, "console-reissue-done")
    phone.goto(f"{url}/result")
    phone.click("summary:has-text('以前的发票')")
    shot(phone, "customer-reissued")
    desk.click("dl a.id >> nth=0")
    shot(desk, "console-invoice-replaced")
    desk.click("#related tbody a.id >> nth=0")
    shot(desk, "console-invoice-red")
    red = desk.url.rpartition("/")[2]
    (folder / "red-invoice.png").write_bytes(desk.request.get(f"{base}/console/invoices/{red}/file/png").body())
    phone.goto(mint(desk, base, "212"))
    phone.click("form[action$=confirm] button.main")
    phone.wait_for_selector(".good")
    desk.goto(f"{base}/console/invoices?min=212&max=212")
    desk.click("tbody a.open")
    number = desk.url.rpartition("/")[2]
    desk.goto(f"{base}/console/invoices/{number}/red")
    shot(desk, "console-red-whole")
    told = served.run("authority", "use", number)
    assert told.returncode == 0, told.stderr
    desk.goto(f"{base}/console/invoices/{number}/red")
    desk.check("#lines")
    desk.fill("#back0", "53")
    shot(desk, "console-red-part")
    desk.click("button.main")
    desk.wait_for_selector("text=待购买方确认")
    shot(desk, "console-red-form")
    desk.goto(f"{base}/console/corrections")
    shot(desk, "console-corrections")
    desk.goto(f"{base}/console/settings/corrections")
    shot(desk, "console-reissue-rules")
    desk.set_viewport_size(PHONE)
    desk.goto(f"{base}/console/corrections")
    shot(desk, "console-corrections-phone")
    desk.goto(f"{base}/console/invoices/{number}/red")
    shot(desk, "console-red-phone")
    desk.set_viewport_size(DESK)


def take_static(served: Served, folder: Path, browser: Browser, desk: Page) -> None:
    """Static codes: made for tables, applied to by a guest, refused and approved by the clerk, on desk and phone."""
    base = served.base_url

    def shot(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    desk.goto(f"{base}/console/static/new")
    desk.fill("#places", "收银台\n桌 1-6")
    shot(desk, "static-new")
    desk.click("main button.main")
    desk.click("tbody a.open >> nth=0")
    url = desk.get_attribute("[data-copy]", "data-copy") or ""
    guest = browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
    guest.goto(url)
    shot(guest, "static-guest")
    for amount in ("58", "58", "126"):
        guest.goto(url)
        guest.fill("#total", amount)
        if guest.locator("[name=title]").count() == 2:
            guest.click("summary:has-text('填公司抬头')")
            guest.fill("#name", "武汉某某科技有限公司")
            guest.fill("#taxpayer_id", "91110108690017781A")
            guest.click("button.main")
            shot(guest, "static-guest-error")
            guest.fill("#taxpayer_id", "91110108690017781B")
        guest.click("button.main")
        guest.wait_for_selector("h1.state")
        shot(guest, "static-guest-waiting")
    visit(desk, f"{base}/console/inbox")
    shot(desk, "inbox")
    phone = browser.new_context(viewport=PHONE, storage_state=desk.context.storage_state(), locale="zh-CN").new_page()
    visit(phone, f"{base}/console/inbox")
    shot(phone, "inbox-phone")
    asked = desk.locator(".ask", has_text="126.00")
    asked.locator("summary").click()
    asked.get_by_label("没有查到这笔消费").check()
    asked.locator("details button").click()
    guest.wait_for_selector("text=店家已拒绝", timeout=15_000)
    shot(guest, "static-guest-refused")
    desk.click("text=同意并开票 >> nth=0")
    desk.wait_for_selector("text=已同意 1 笔")
    for path, name in (("static", "static-list"), ("inbox", "inbox-decided")):
        visit(desk, f"{base}/console/{path}")
        shot(desk, name)
        visit(phone, f"{base}/console/{path}")
        shot(phone, f"{name}-phone")
    desk.goto(f"{base}/console/static")
    desk.click("tbody a.open >> nth=0")
    shot(desk, "static-code")
    for size in ("a6", "a4", "58"):
        desk.goto(f"{base}/console/sheets?kind=static&size={size}")
        shot(desk, f"sheet-{size}")
    mint(desk, base, "72")
    code_id = desk.url.rpartition("/")[2]
    visit(phone, f"{base}/console/codes/{code_id}/large")
    shot(phone, "large-phone")
    visit(desk, f"{base}/console/codes/{code_id}/large")
    shot(desk, "large")
    visit(desk, f"{base}/console/codes/{code_id}")
    desk.click("summary:has-text('发给顾客')")
    shot(desk, "console-code-share")


def take_life(served: Served, folder: Path, browser: Browser, url: str) -> None:
    """What a customer has after the invoice."""
    phone = browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
    phone.goto(url)
    phone.fill("#name", "武汉某某科技有限公司")
    phone.fill("#taxpayer_id", "91110108690017781B")
    phone.click("text=使用这个抬头")
    phone.click("form[action$=confirm] button.main")
    phone.wait_for_selector("text=发票已开具")
    phone.click("button[name=days][value='7']")
    phone.screenshot(path=folder / "customer-hand-on.png", full_page=True)
    shared = phone.get_attribute("#share a", "href") or ""
    for address, name in (
        (phone.url.partition("?")[0].partition("#")[0].replace("/result", "/ask"), "customer-ask"),
        (shared, "customer-shared"), (f"{served.base_url}/my", "customer-list"),
        (f"{served.base_url}/titles", "customer-titles"), (f"{served.base_url}/privacy", "customer-privacy"),
        (f"{served.base_url}/my?big=1", "customer-list-large"),
    ):  # fmt: skip
        phone.goto(address)
        phone.screenshot(path=folder / f"{name}.png", full_page=True)


def take_eyes(served: Served, folder: Path, browser: Browser, desk: Page) -> None:
    """What an owner looks at in the evening and an accountant at month's end, on desk and phone."""
    base = served.base_url
    phone = browser.new_context(viewport=PHONE, storage_state=desk.context.storage_state(), locale="zh-CN").new_page()

    def both(path: str, name: str) -> None:
        for page, more in ((desk, ""), (phone, "-phone")):
            visit(page, base + path)
            page.screenshot(path=folder / f"console-{name}{more}.png", full_page=True)

    guest = browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
    for place, amount in enumerate(("980", "985", "990")):
        guest.goto(mint(desk, base, amount))
        if not place:
            guest.fill("#name", "武汉某某科技有限公司")
            guest.fill("#taxpayer_id", "91110108690017781B")
            guest.click("text=使用这个抬头")
        guest.click("form[action$=confirm] button.main")
        guest.wait_for_selector(".good")
    both("/console/anomalies", "anomalies")
    both(desk.locator("section h2 a").first.get_attribute("href") or "", "anomaly")
    for path, name in (("settings/anomalies", "thresholds"), ("quota", "quota"), ("reports/failures", "failures")):
        both(f"/console/{path}", name)
    both(f"/console/tax?month={date.today():%Y-%m}", "month")  # noqa: DTZ011 - of this machine, as the server's
    rows = [f"{datetime.now():%Y-%m-%d %H:%M:%S},4200{place:06d},{amount}" for place, amount in  # noqa: DTZ005
            enumerate(("980", "985", "1980", "8.80"))]  # fmt: skip
    statement = "\n".join(["交易时间,商户订单号,订单金额(元)", *rows]).encode()
    visit(desk, f"{base}/console/payments")
    desk.set_input_files("#file", {"name": "流水.csv", "mimeType": "text/csv", "buffer": statement})
    desk.click("main form button.main")
    desk.wait_for_url("**/console/payments/*")
    path = desk.url.removeprefix(base)
    both(path, "payment-columns")
    desk.click("main form button.main")
    both(path, "payments")


def take_outages(served: Served, folder: Path, browser: Browser, desk: Page) -> None:
    """What a customer sees while the authority does not answer: the authority is told to fail, for real."""
    for name, switches in (
        ("customer-unknown", ("--down", "after")),
        ("customer-submitted", ("--down", "before")),
        ("customer-refused", ("--refuse",)),
    ):
        url = mint(desk, served.base_url, "36")
        told = served.run("authority", "rehearse", *switches)
        assert told.returncode == 0, told.stderr
        desk.wait_for_timeout(1_000)  # the office asks how the authority numbers twice a second
        phone = browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
        phone.goto(url)
        phone.click("button:has-text('个人')")
        phone.click("text=确认开票 ¥36.00")
        phone.wait_for_selector(".state, h2.fail")
        phone.screenshot(path=folder / f"{name}.png", full_page=True)
    served.run("authority", "rehearse")


if __name__ == "__main__":
    with serve() as one, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        take(one, Path(sys.argv[1]), chromium)
