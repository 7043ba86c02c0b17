"""The main job in a real browser: the symbol is read from the screen's pixels, its address opened on a phone."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize

from tests.journeys.pictures import DESK, PHONE, visit
from tests.journeys.served import Served

pytestmark = pytest.mark.xdist_group("browser")


def mint(page: Page, base: str, amount: str) -> str:
    """Make a code by keyboard alone and read it off the screen as a phone's camera would."""
    visit(page, f"{base}/console")
    page.keyboard.press("n")
    page.wait_for_selector(".amount:focus")
    page.keyboard.type(amount)
    page.keyboard.press("Enter")
    page.wait_for_selector(".qr img")
    page.wait_for_function("(i => i.complete && i.naturalWidth > 0)(document.querySelector('.qr img'))")
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(page.screenshot())))
    assert found, "the symbol on the screen can be read"
    return found[0].text


def phone(browser: Browser, *, scripts: bool = True) -> Page:
    context = browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=scripts)
    return context.new_page()


def test_first_company_then_one_tap(browser: Browser, shop: tuple[Served, Page]) -> None:
    """Cashier types 58 and Enter; the customer pastes a block, confirms, saves; the till changes by itself; the next
    sale takes the same customer exactly one tap."""
    served, till = shop
    url = mint(till, served.base_url, "58")
    customer = phone(browser)
    customer.goto(url)
    till.wait_for_selector("text=已扫码", timeout=5_000)
    customer.click("summary:has-text('粘贴')")
    customer.fill("#block", "名称：武汉某某科技有限公司\n税号：91110108690017781B")
    customer.click("button:has-text('识别')")
    customer.wait_for_selector("#name[value]:not([value=''])")
    assert customer.input_value("#name") == "武汉某某科技有限公司"
    customer.click("text=使用这个抬头")
    customer.click("text=确认开票 ¥58.00")
    customer.wait_for_selector("text=发票已开具")
    till.wait_for_selector("text=顾客已经拿到发票", timeout=5_000)
    with customer.expect_download() as download:
        customer.click("text=保存 PDF")
    assert download.value.suggested_filename.endswith("-电子发票.pdf")
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF")

    customer.goto(mint(till, served.base_url, "126"))
    customer.click("text=确认开票 ¥126.00")
    customer.wait_for_selector("text=发票已开具")
    assert "壹佰贰拾陆圆整" in customer.content()


def test_without_scripts(browser: Browser, shop: tuple[Served, Page]) -> None:
    """The whole journey of a person with scripts switched off."""
    served, till = shop
    customer = phone(browser, scripts=False)
    customer.goto(mint(till, served.base_url, "31.50"))
    customer.click("button:has-text('个人')")
    customer.click("text=确认开票 ¥31.50")
    customer.wait_for_selector("text=发票已开具")


def test_two_browsers_race_for_one_code(browser: Browser, shop: tuple[Served, Page]) -> None:
    """Both have the confirm button before either taps: one gets the invoice, the other is told, masked."""
    served, till = shop
    url = mint(till, served.base_url, "77")
    pages = [phone(browser), phone(browser)]
    for page in pages:
        page.goto(url)
        page.click("button:has-text('个人')")
        page.wait_for_selector("text=确认开票")
    for page in pages:
        page.click("text=确认开票", no_wait_after=True)
    for page in pages:
        page.wait_for_selector(".state")
    texts = [page.content() for page in pages]
    assert sum("发票已开具" in text for text in texts) == 1
    assert sum("这个码已开过票" in text for text in texts) == 1


def test_a_lost_connection_in_the_middle_gives_one_invoice(browser: Browser, shop: tuple[Served, Page]) -> None:
    """The network goes while the answer is on its way; back and tapped again, the same invoice is shown."""
    served, till = shop
    customer = phone(browser)
    customer.goto(mint(till, served.base_url, "42"))
    customer.click("button:has-text('个人')")
    customer.wait_for_selector("text=确认开票")
    token = customer.url.rpartition("/")[2]
    fields: dict[str, str | float | bool] = {
        "confirmation": customer.get_attribute("[name=confirmation]", "value") or ""
    }
    customer.request.post(f"{served.base_url}/s/{token}/confirm", form=fields, max_redirects=0)  # its answer is lost
    customer.click("text=确认开票")
    customer.wait_for_selector("text=发票已开具")
    customer.go_back()
    customer.reload()
    assert "发票已开具" in customer.content()
    visit(till, f"{served.base_url}/console/invoices?min=42&max=42")
    assert till.locator("tbody tr").count() == 1


def test_keyboard_only(browser: Browser, shop: tuple[Served, Page]) -> None:
    """From the scan to the result with Tab, typing and Enter."""
    served, till = shop
    customer = phone(browser)
    customer.goto(mint(till, served.base_url, "19"))
    customer.focus("#name")
    customer.keyboard.type("武汉某某科技有限公司")
    customer.keyboard.press("Tab")
    customer.keyboard.type("91110108690017781B")
    customer.keyboard.press("Enter")
    customer.wait_for_selector("text=确认开票")
    for _ in range(20):
        customer.keyboard.press("Tab")
        if "确认开票" in (customer.evaluate("document.activeElement.textContent") or ""):
            break
    customer.keyboard.press("Enter")
    customer.wait_for_selector("text=发票已开具")


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_pages_fit_and_are_operable(browser: Browser, shop: tuple[Served, Page], size: ViewportSize) -> None:
    """No sideways scrolling, one h1, a label for each field, targets of 44 px on the customer's page."""
    served, till = shop
    url = mint(till, served.base_url, "5")
    customer = browser.new_context(viewport=size, locale="zh-CN").new_page()
    till.set_viewport_size(size)
    console = ["/console", "/console/codes/new", "/console/codes", "/console/invoices", "/console/settings/goods"]
    console += [
        "/console/invoices?all=1&kind=02",
        "/console/exports",
        "/console/reports/issued",
        "/console/reports/taxes",
    ]
    for page, address in [(customer, url), *((till, served.base_url + path) for path in console)]:
        visit(page, address)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        assert page.locator("h1").count() == 1, address
        unnamed = page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]),select,textarea')]"
            ".filter(f => !f.ariaLabel && (!f.labels || !f.labels.length)).map(f => f.name)"
        )
        assert unnamed == [], address
    customer.goto(url)
    small = customer.evaluate(
        "[...document.querySelectorAll('.btn,summary')].filter(b => b.getBoundingClientRect().height < 44).length"
    )
    assert small == 0
    till.set_viewport_size(DESK)


def test_a_code_fills_the_phone(browser: Browser, shop: tuple[Served, Page]) -> None:
    """At least 60 % of the shorter side at 360 × 740, black on white in the dark theme too."""
    served, till = shop
    mint(till, served.base_url, "8")
    dark = browser.new_context(
        viewport=PHONE,
        color_scheme="dark",
        storage_state=till.context.storage_state(),
    ).new_page()
    dark.goto(till.url)
    box = dark.locator(".qr img").bounding_box()
    assert box is not None and box["width"] >= 0.6 * 360
    assert zxingcpp.read_barcodes(Image.open(io.BytesIO(dark.screenshot())))
