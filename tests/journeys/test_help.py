"""The help in a real browser: a device that is checked, a cache that is cleared, a newer version, no network at all."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.journeys.pictures import PHONE
from tests.journeys.served import Served, serve

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def phone(browser: Browser) -> Iterator[tuple[Served, Page]]:
    """A server, and a phone on it that reports every fault of a script."""
    with serve() as served:
        page = browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        yield served, page
        assert faults == []


def test_a_device_is_checked_by_itself(phone: tuple[Served, Page]) -> None:
    """S109, S114: scripts, storage, clock, camera, network, in words; the results go to support on request only."""
    served, page = phone
    page.goto(f"{served.base_url}/help/device")
    for name, light in (("script", "ok"), ("storage", "ok"), ("clock", "ok"), ("network", "ok"), ("camera", "warn")):
        page.wait_for_selector(f"li.{light} [data-device={name}]")
    assert "没找到相机" in page.inner_text("[data-device=camera]"), "a headless browser has none"
    page.click("#report")
    page.click("summary")
    assert "storage: ok" in page.inner_text("details") and "camera: warn" in page.inner_text("details")
    # A clock that is wrong by an hour is told, with the seconds.
    page.add_init_script("var real = Date.now; Date.now = function () { return real() + 3600000; };")
    page.goto(f"{served.base_url}/help/device")
    page.wait_for_selector("li.bad [data-device=clock]")
    assert re.search(r"差 (3599|360[01]) 秒", page.inner_text("[data-device=clock]"))


def test_clearing_the_cache_keeps_what_was_not_sent(phone: tuple[Served, Page]) -> None:
    """S114: stored pages go, drafts stay and are counted."""
    served, page = phone
    page.goto(f"{served.base_url}/help/slow")
    page.evaluate(
        "localStorage.setItem('draft:code', '{}'); caches.open('pages').then(one => one.put('/x', new Response('x')))"
    )
    page.click("#cache button")
    page.wait_for_selector("#cache :text('保留了 1 份')")
    assert page.evaluate("localStorage.getItem('draft:code')") == "{}"
    assert page.evaluate("caches.match('/x').then(copy => !copy)")


def test_a_newer_version_is_said_and_nothing_reloads(browser: Browser, phone: tuple[Served, Page]) -> None:
    """S115: back after five minutes the page asks; what is typed stays until one taps. The same version is not told."""
    served, _ = phone
    page = browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
    page.clock.install()
    page.goto(f"{served.base_url}/support")
    page.fill("#line", "写到一半")
    for told in (False, True):
        if told:
            page.route("**/version.json", lambda route: route.fulfill(json={"version": "9.9.9+00000000"}))
        page.clock.fast_forward(400_000)
        with page.expect_response("**/version.json"):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_timeout(50)
        assert page.locator("#newer").is_visible() == told
        assert page.input_value("#line") == "写到一半"
    page.context.close()


def test_the_help_is_read_and_searched_without_a_network(browser: Browser, phone: tuple[Served, Page]) -> None:
    """S121: a page of the help that was never seen opens from what the app keeps, and a symptom is found there."""
    served, _ = phone
    context = browser.new_context(viewport=PHONE, locale="zh-CN")
    page = context.new_page()
    page.goto(f"{served.base_url}/help")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    context.set_offline(True)
    page.goto(f"{served.base_url}/help/QUOTA-EXCEEDED")
    page.wait_for_selector("#find")
    assert page.locator(".entry:visible").first.get_attribute("id") == "QUOTA-EXCEEDED"
    for typed, wanted in (("扫不出来", "cannot-scan"), ("forgot password", "cannot-log-in"), ("转圈", "slow")):
        page.fill("#find", typed)
        shown = [one.get_attribute("id") for one in page.locator(".entry:visible").all()[:3]]
        assert wanted in shown, (typed, shown)
    context.close()


def test_no_page_of_the_help_is_a_barrier(phone: tuple[Served, Page]) -> None:
    """axe finds nothing; nothing is wider than the phone."""
    from axe_playwright_python.sync_playwright import Axe

    served, page = phone
    for path in (
        "/help",
        "/help/cannot-scan?check=1&typed=1",
        "/help/device?cookies=1",
        "/support?cause=QUOTA-EXCEEDED",
    ):
        page.goto(served.base_url + path)
        found = Axe().run(page)
        assert found.violations_count == 0, (path, found.generate_report())
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
