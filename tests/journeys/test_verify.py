"""A receiver checks what came by mail: on a phone without scripts, and at a desk; nobody meets a barrier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from tests.documents.test_check import picture_of
from tests.journeys.pictures import DESK, PHONE, mint, register
from tests.journeys.served import Served, serve
from tests.journeys.test_access import faults, opened

pytestmark = pytest.mark.xdist_group("verify")

Received = dict[str, Path]


@pytest.fixture(scope="module")
def received(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Received]]:
    """A server, and what a customer of it got: the files, a forged copy, a photo of the till's code."""
    folder = tmp_path_factory.mktemp("received")
    with serve() as served:
        till = browser.new_page(viewport=DESK, locale="zh-CN")
        register(till, served.base_url)
        url = mint(till, served.base_url, "58")
        customer = browser.new_page(viewport=PHONE, locale="zh-CN")
        customer.goto(url)
        customer.fill("#name", "武汉某某科技有限公司")
        customer.fill("#taxpayer_id", "91110108690017781B")
        customer.click("text=使用这个抬头")
        customer.click("text=确认开票 ¥58.00")
        customer.wait_for_selector("text=发票已开具")
        files = {}
        for kind in ("xml", "pdf", "ofd", "png", "zip"):
            files[kind] = folder / f"invoice.{kind}"
            files[kind].write_bytes(customer.request.get(url.replace("/S/", "/s/") + f"/file/{kind}").body())
        files["forged"] = folder / "forged.xml"
        files["forged"].write_bytes(files["xml"].read_bytes().replace(b"58.00", b"98.00"))
        files["code"] = folder / "code.png"
        files["code"].write_bytes(picture_of(url))
        yield served, files


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def choose(page: Page, base: str, *files: Path) -> None:
    page.goto(f"{base}/verify")
    page.set_input_files("#files", list(files))
    page.click("form:has(#files) button")


def test_a_phone_without_scripts_checks_a_batch_a_photo_and_a_number(
    browser: Browser, received: tuple[Served, Received]
) -> None:
    """Several files at once, then the photo field, then number, date and amount: each ends in a verdict in words."""
    served, files = received
    page = browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=False).new_page()
    choose(page, served.base_url, *(files[kind] for kind in ("xml", "pdf", "ofd", "zip", "forged")))
    assert page.locator(".report").count() == 5
    assert page.locator(".report .state.good").count() == 4 and page.locator(".report .state.fail").count() == 1
    assert "不通过" in page.inner_text(".report:has-text('forged.xml') .state")
    assert "SIGNATURE-INVALID" in page.inner_text(".report:has-text('forged.xml')")
    page.set_input_files("#photo", [files["png"]])
    page.click("form:has(#photo) button")
    assert "此处无法判断" in page.inner_text(".state") and "与本站" in page.inner_text(".report")
    number = page.inner_text("dd.id").replace(" ", "")
    day = page.inner_text("dl div:nth-child(2) dd")
    page.click("summary")
    page.fill("#number", number)
    page.fill("#date", day)
    page.fill("#amount", "58.00")
    page.click("form:has(#number) button")
    assert "通过" in page.inner_text(".state.good")
    page.set_input_files("#photo", [files["code"]])
    page.click("form:has(#photo) button")
    page.click("text=打开这个码")
    page.wait_for_selector("text=这个码已开过票")


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESK, "dark")], ids=["phone-light", "desk-dark"])
def test_nobody_meets_a_barrier(
    browser: Browser, received: tuple[Served, Received], size: ViewportSize, scheme: str
) -> None:
    """The form, a result of several files, an error; no sideways scrolling."""
    served, files = received
    page = opened(browser, size, scheme)
    page.goto(f"{served.base_url}/verify")
    assert faults(page) == [] and fits(page)
    choose(page, served.base_url, files["xml"], files["png"], files["forged"])
    assert faults(page) == [] and fits(page)
    page.click("summary")
    page.fill("#number", "12")
    page.click("form:has(#number) button")
    page.wait_for_selector("#errors")
    assert faults(page) == [] and fits(page)
