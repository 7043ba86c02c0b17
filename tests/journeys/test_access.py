"""Everybody can use the pages: axe-core finds nothing on any of them, light and dark, on a phone and on a desk."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from tests.journeys.pictures import DESK, PHONE, mint, register
from tests.journeys.served import Served, serve

pytestmark = pytest.mark.xdist_group("access")

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
SCHEMES = [(PHONE, "light"), (DESK, "dark")]
IDS = ["phone-light", "desk-dark"]


@pytest.fixture(scope="module")
def served(browser: Browser) -> Iterator[tuple[Served, BrowserContext]]:
    """A server with a shop, and the owner's cookies."""
    with serve() as one:
        context = browser.new_context(viewport=DESK, locale="zh-CN")
        register(context.new_page(), one.base_url)
        yield one, context


def faults(page: Page) -> list[str]:
    """What axe-core finds, in a line each."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{each['id']}: {[node['html'][:120] for node in each['nodes']][:3]}" for each in found]


def opened(browser: Browser, size: ViewportSize, scheme: str, state: object = None) -> Page:
    context = browser.new_context(
        viewport=size,
        locale="zh-CN",
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,  # so that the checker's own script may run in the page
        storage_state=json.loads(json.dumps(state)) if state else None,
    )
    return context.new_page()


@pytest.mark.parametrize(("size", "scheme"), SCHEMES, ids=IDS)
def test_a_customer_meets_no_barrier(
    browser: Browser, served: tuple[Served, BrowserContext], size: ViewportSize, scheme: str
) -> None:
    """From the title to the result, with an error on the way, and what a stranger sees."""
    one, owner = served
    till = owner.new_page()
    url = mint(till, one.base_url, "58")
    page = opened(browser, size, scheme)
    page.goto(url)
    assert faults(page) == []
    page.fill("#name", "武汉某某科技有限公司")
    page.fill("#taxpayer_id", "91110108690017781A")
    page.click("text=使用这个抬头")
    page.wait_for_selector("#errors")
    assert faults(page) == []
    page.fill("#taxpayer_id", "91110108690017781B")
    page.click("text=使用这个抬头")
    page.wait_for_selector("text=确认开票")
    assert faults(page) == []
    page.click("text=确认开票")
    page.wait_for_selector("text=发票已开具")
    assert faults(page) == []
    stranger = opened(browser, size, scheme)
    for address in (url, f"{one.base_url}/", f"{one.base_url}/verify", f"{one.base_url}/help", url[:-1] + "0"):
        stranger.goto(address)
        assert faults(stranger) == [], address


@pytest.mark.parametrize(("size", "scheme"), SCHEMES, ids=IDS)
def test_a_merchant_meets_no_barrier(
    browser: Browser, served: tuple[Served, BrowserContext], size: ViewportSize, scheme: str
) -> None:
    """Every page of the console."""
    one, owner = served
    page = opened(browser, size, scheme, owner.storage_state())
    mint(page, one.base_url, "12.50")
    assert faults(page) == []
    for path in (
        "/console",
        "/console/codes",
        "/console/codes/new",
        "/console/invoices",
        "/console/invoices?q=nothing",
        "/console/invoices?all=1&kind=02&min=0",
        "/console/exports",
        "/console/reports/taxes",
        "/console/reports/issued?by=kind",
        "/console/reports/failures",
        "/console/reports/savings",
        "/console/anomalies",
        "/console/settings/anomalies",
        "/console/tax",
        "/console/quota",
        "/console/payments",
        "/console/static",
        "/console/static/new",
        "/console/inbox",
        "/console/settings/goods",
        "/console/settings/profile",
        "/console/settings/people",
        "/console/settings/shops",
        "/console/settings/security",
        "/console/events",
        "/console/account",
        "/console/account/email",
        "/console/account/factors",
        "/console/account/confirm",
    ):
        page.goto(one.base_url + path)
        assert faults(page) == [], path
    stranger = opened(browser, size, scheme)
    for path in ("/console/login", "/console/register", "/recover"):
        stranger.goto(one.base_url + path)
        assert faults(stranger) == [], path


@pytest.mark.parametrize(("size", "scheme"), SCHEMES, ids=IDS)
def test_a_static_code_has_no_barrier(
    browser: Browser, served: tuple[Served, BrowserContext], size: ViewportSize, scheme: str
) -> None:
    """What hangs on the wall, the waiting application, the clerk's list, the sheet to print, the large page."""
    one, owner = served
    till = opened(browser, size, scheme, owner.storage_state())
    till.goto(f"{one.base_url}/console/static/new")
    till.fill("#places", f"{scheme} 1")
    till.click("main button.main")
    till.wait_for_selector(".qr img")
    assert faults(till) == []
    guest = opened(browser, size, scheme)
    guest.goto(till.get_attribute("[data-copy]", "data-copy") or "")
    assert faults(guest) == []
    guest.fill("#total", "3000")
    guest.click("button.main")
    guest.wait_for_selector("#errors")
    assert faults(guest) == []
    guest.fill("#total", "30")
    guest.click("button.main")
    guest.wait_for_selector("text=等店家确认")
    assert faults(guest) == []
    till.click("text=A6")
    assert faults(till) == []
    till.goto(f"{one.base_url}/console/inbox")
    assert faults(till) == []
    mint(till, one.base_url, "12.50")
    till.click("text=大屏给顾客扫")
    assert faults(till) == []


def test_a_barrier_is_found(browser: Browser, served: tuple[Served, BrowserContext]) -> None:
    """Negative control: a field without a label and grey on grey are reported."""
    page = opened(browser, PHONE, "light")
    page.goto(served[0].base_url)
    page.evaluate(
        "document.querySelector('main').innerHTML += '<input><p style=\"color:#aaa;background:#bbb\">grey on grey</p>'"
    )
    found = " ".join(faults(page))
    assert "label" in found and "color-contrast" in found
