"""The customer's whole life with an invoice in a real browser: list, book, handing on, no network, a bad one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route

from tests.journeys.pictures import DESK, PHONE, mint, register
from tests.journeys.served import Served, serve
from tests.journeys.test_access import faults

pytestmark = pytest.mark.xdist_group("customers")


@pytest.fixture(scope="module")
def shop(browser: Browser) -> Iterator[tuple[Served, Page]]:
    with serve() as served:
        page = browser.new_page(viewport=DESK, locale="zh-CN")
        register(page, served.base_url)
        yield served, page


def phone(browser: Browser, *, scripts: bool = True) -> BrowserContext:
    return browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=scripts, bypass_csp=scripts)


def issue(page: Page, url: str) -> None:
    page.goto(url)
    page.fill("#name", "武汉某某科技有限公司")
    page.fill("#taxpayer_id", "91110108690017781B")
    page.click("text=使用这个抬头")
    page.click("button:has-text('确认开票')")
    page.wait_for_selector("text=发票已开具")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_list_share_ask_and_book(browser: Browser, shop: tuple[Served, Page], scripts: bool) -> None:
    """A link handed on in one tap, a question asked in three, list and book; the same without scripts."""
    served, till = shop
    context = phone(browser, scripts=scripts)
    page = context.new_page()
    issue(page, mint(till, served.base_url, "58"))
    page.click("button[name=days][value='7']")
    link = page.get_attribute("#share a", "href")
    page.click("a:has-text('问商家')")
    page.click("label[for=r-amount]")
    page.click("button:has-text('发给商家')")
    page.wait_for_selector("text=已发给商家")
    page.goto(f"{served.base_url}/my")
    page.click("a:has-text('打开')")
    page.wait_for_selector("text=发票已开具")
    page.goto(f"{served.base_url}/titles")
    page.click("button:has-text('设为默认')")
    page.wait_for_selector("text=● 默认")
    receiver = phone(browser, scripts=scripts).new_page()
    assert link is not None
    receiver.goto(link)
    with receiver.expect_download() as download:
        receiver.click("text=保存 PDF")
    assert download.value.suggested_filename.endswith(".pdf")


def test_no_barrier_on_any_of_these_pages(browser: Browser, shop: tuple[Served, Page]) -> None:
    """axe-core, also in large type; nothing wider than the screen; targets big enough."""
    served, till = shop
    page = phone(browser).new_page()
    issue(page, mint(till, served.base_url, "58"))
    page.click("button[name=days][value='1']")
    token = page.url.split("/s/")[1][:20]
    shared = page.get_attribute("#share a", "href") or ""
    paths = ["/my", "/titles", "/titles?edit=0", "/privacy", "/offline", f"/s/{token}/ask", f"/s/{token}/result"]
    for address in [*(served.base_url + path for path in paths), shared]:
        for big in ("1", "0"):
            page.goto(f"{address}{'&' if '?' in address else '?'}big={big}")
            assert faults(page) == [], (address, big)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], (address, big)
    for path in ("/console/questions", "/console/mails"):
        till.goto(served.base_url + path)
        assert till.evaluate("document.documentElement.scrollWidth") <= DESK["width"]


def test_large_type_is_larger_and_is_kept(browser: Browser, shop: tuple[Served, Page]) -> None:
    """One tap at the foot of a page; the next page has it too; one tap back."""
    served, _ = shop
    page = phone(browser).new_page()

    def size() -> float:
        page.wait_for_selector("main p", state="attached")  # after a tap the next page has to arrive first
        return float(page.evaluate("parseFloat(getComputedStyle(document.querySelector('main p')).fontSize)"))

    page.goto(f"{served.base_url}/privacy")
    before = size()
    page.click("text=大字版")
    page.goto(f"{served.base_url}/privacy")
    assert size() == pytest.approx(before * 1.25)
    page.click("text=标准字号")
    assert size() == before


def test_without_network_the_seen_pages_open(browser: Browser, shop: tuple[Served, Page]) -> None:
    """S130: the worker is registered on the hub pages and not on a code's; help, book and list open without network,
    another page says so in words; what is forgotten is gone from the copies too."""
    served, till = shop
    context = phone(browser)
    page = context.new_page()
    issue(page, mint(till, served.base_url, "58"))
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then(function (all) { return all.length; })") == 0
    assert page.evaluate("fetch('/app.webmanifest').then(function (r) { return r.json(); })")["icons"][0]["src"]
    page.goto(f"{served.base_url}/my")
    page.evaluate("navigator.serviceWorker.ready.then(function () { return 1; })")
    for path in ("/my", "/titles", "/help"):
        page.goto(served.base_url + path)
        page.wait_for_function(
            "path => caches.match(path).then(function (copy) { return !!copy; })", arg=path, polling=100
        )
    context.set_offline(True)
    page.goto(f"{served.base_url}/my")
    assert "¥58.00" in page.content()
    assert page.is_visible("#offline")
    page.goto(f"{served.base_url}/titles")
    assert "武汉某某科技有限公司" in page.content()
    page.goto(f"{served.base_url}/help")
    assert page.is_visible("h1:has-text('帮助')")
    page.goto(f"{served.base_url}/privacy")
    assert page.is_visible("text=现在没有网络")
    context.set_offline(False)
    page.goto(f"{served.base_url}/titles")
    page.click("text=清空抬头本")
    page.wait_for_selector("text=还没有抬头")
    kept = page.evaluate("caches.match('/my').then(function (copy) { return copy ? copy.text() : ''; })")
    assert "58.00" not in kept


def test_a_slow_and_lossy_network(browser: Browser, shop: tuple[Served, Page]) -> None:
    """S132, S133: 400 kbit/s, 600 ms; requests are lost, the notice comes and goes, what was typed is there, one
    invoice comes of it."""
    served, till = shop
    url = mint(till, served.base_url, "58")
    context = phone(browser)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 600, "downloadThroughput": 50_000, "uploadThroughput": 50_000},
    )
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(url)
    loaded = [each for each in requests if not each.endswith("/seen")]
    assert len(loaded) <= 3, loaded
    usable = page.evaluate(
        "(function (t) { return t.domContentLoadedEventEnd - t.responseStart; })(performance.timing)"
    )
    assert usable < 5_000  # a bound that a loaded machine keeps; the figure itself is bench's
    page.fill("#name", "武汉某某科技有限公司")
    page.fill("#taxpayer_id", "91110108690017781B")
    # No answer that a page could be made of: the browser stays where it is, as on a dead line.
    page.route("**/title", lambda route: route.fulfill(status=204))
    page.click("text=使用这个抬头")
    page.wait_for_selector("#offline", state="visible", timeout=15_000)
    assert "网络不稳定，已保存" in page.inner_text("#offline")
    page.unroute("**/title")
    page.goto(url)
    assert page.input_value("#name") == "武汉某某科技有限公司", "what was typed outlives the lost request"
    page.click("text=使用这个抬头")
    page.wait_for_selector("button:has-text('确认开票')")
    assert not page.is_visible("#offline")
    lost: list[str] = []

    def lose_answer(route: Route) -> None:
        """The request arrives, its answer does not."""
        if lost:
            route.continue_()
            return
        lost.append(route.request.url)
        route.fetch(max_redirects=0)
        route.abort()

    page.route("**/confirm", lose_answer)
    page.click("button:has-text('确认开票')", no_wait_after=True)
    with pytest.raises(Error, match="ERR_FAILED"):
        page.wait_for_url("**/result", wait_until="commit")
    page.wait_for_timeout(1_500)  # until the browser has shown its own page of the error
    page.goto(url)
    page.wait_for_selector("text=发票已开具")
    assert lost
    page.goto(f"{served.base_url}/my")
    assert page.locator("button[name=remove]").count() == 1
