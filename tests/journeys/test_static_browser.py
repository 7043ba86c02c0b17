"""A static code in a real browser: the printed card is read from the screen, the till follows by itself."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.journeys.pictures import DESK, PHONE, mint, register, visit
from tests.journeys.served import Served, serve

pytestmark = pytest.mark.xdist_group("static")


@pytest.fixture(scope="module")
def shop(browser: Browser) -> Iterator[tuple[Served, Page]]:
    """A server, and the owner's page on it."""
    with serve() as served:
        page = browser.new_page(viewport=DESK, locale="zh-CN")
        register(page, served.base_url)
        yield served, page


def phone(browser: Browser, *, scripts: bool = True) -> Page:
    return browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=scripts).new_page()


def hang_up(till: Page, base: str, place: str, *, by_number: bool = False) -> str:
    """Make a static code by its form, and read it off the card that would be printed."""
    visit(till, f"{base}/console/static/new")
    till.fill("#places", place)
    if by_number:
        till.check("[name=mode][value=sale]")
    till.click("main button.main")
    till.wait_for_selector(".qr img")
    till.click("text=A6")
    till.wait_for_selector(".sheet svg")
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(till.locator(".slip").screenshot())))
    assert found, "the card on the screen can be read"
    return found[0].text


def test_a_guest_applies_and_the_till_follows(browser: Browser, shop: tuple[Served, Page]) -> None:
    """The clerk's list is open and empty; the guest applies; the list shows it by itself; one tap, and the guest's page
    turns into the invoice by itself. The badge of another page counted meanwhile."""
    served, till = shop
    url = hang_up(till, served.base_url, "桌 8")
    visit(till, f"{served.base_url}/console/inbox")
    till.wait_for_selector("text=都处理完了")
    guest = phone(browser)
    guest.goto(url)
    guest.fill("#total", "58")
    guest.click("summary:has-text('填公司抬头')")
    guest.fill("#name", "武汉某某科技有限公司")
    guest.fill("#taxpayer_id", "91110108690017781B")
    assert guest.is_checked("[name=title][value=company]"), "typing a company chooses it"
    guest.click("text=提交，请店家确认")
    guest.wait_for_selector("text=已提交，等店家确认")
    till.wait_for_selector("text=武汉某某科技有限公司", timeout=15_000)
    assert till.inner_text("#inbox") == "1"
    till.click("text=同意并开票")
    guest.wait_for_selector("text=发票已开具", timeout=15_000)
    till.wait_for_selector("text=已同意 1 笔")
    guest.goto(url)
    assert guest.is_visible("text=您在这里的申请")
    assert guest.input_value("#total") == guest.input_value("#name") == "", "what arrived is not typed again"
    guest.fill("#total", "58")
    guest.click("text=提交，请店家确认")
    guest.wait_for_selector("text=已提交，等店家确认")
    guest.click("summary:has-text('撤回申请')")
    guest.click("details button:has-text('撤回申请')")
    guest.wait_for_selector("text=已撤回")


def test_a_guest_without_scripts_is_refused_with_a_reason(browser: Browser, shop: tuple[Served, Page]) -> None:
    """No scripts on either side: the pages reload by themselves or by hand, and say how it stands."""
    served, till = shop
    guest = phone(browser, scripts=False)
    guest.goto(hang_up(till, served.base_url, "桌 9"))
    guest.fill("#total", "66")
    guest.check("[name=title][value=person]")
    guest.click("text=提交，请店家确认")
    guest.wait_for_selector("text=已提交，等店家确认")
    clerk = browser.new_context(
        viewport=PHONE, locale="zh-CN", java_script_enabled=False, storage_state=till.context.storage_state()
    ).new_page()
    clerk.goto(f"{served.base_url}/console/inbox")
    clerk.click("summary:has-text('拒绝')")
    clerk.check("text=金额和小票不符")
    clerk.click("details button:has-text('拒绝')")
    clerk.wait_for_selector("text=都处理完了")
    guest.wait_for_selector("text=店家已拒绝", timeout=20_000)
    assert "金额和小票不符" in guest.content()


def test_a_sale_number_leads_to_the_invoice(browser: Browser, shop: tuple[Served, Page]) -> None:
    """The table's card, the digits of the till, the title, done: one invoice of the amount that the till typed."""
    served, till = shop
    url = hang_up(till, served.base_url, "桌 10", by_number=True)
    mint(till, served.base_url, "88")
    number = till.inner_text(".salenumber")
    guest = phone(browser)
    guest.goto(url)
    guest.fill("#sale_number", number)
    guest.click("text=查这笔消费")
    guest.click("button:has-text('个人')")
    guest.click("text=确认开票 ¥88.00")
    guest.wait_for_selector("text=发票已开具")
    till.wait_for_selector("text=顾客已经拿到发票", timeout=15_000)


def test_a_list_in_use_is_not_taken_away(browser: Browser, shop: tuple[Served, Page]) -> None:
    """While the clerk mends an amount another application comes: what he typed stays, and a line tells of it."""
    served, till = shop
    url = hang_up(till, served.base_url, "吧台")
    for amount in ("31", "32"):
        guest = phone(browser)
        guest.goto(url)
        guest.fill("#total", amount)
        guest.click("text=提交，请店家确认")
        guest.wait_for_selector("text=已提交，等店家确认")
        if amount == "31":
            visit(till, f"{served.base_url}/console/inbox")
            till.fill("input[name=total]", "35")
    till.wait_for_selector("#fresh:not([hidden])", timeout=15_000)
    assert till.input_value("input[name=total] >> nth=0") == "35"
    till.click("text=同意并开票")
    till.wait_for_selector("text=已同意 1 笔")


def test_what_was_typed_survives_a_failure(browser: Browser, shop: tuple[Served, Page]) -> None:
    """The form is sent and its answer never comes; opened again, amount and remark are there, and one code is made;
    after that the form is empty."""
    served, till = shop
    page = browser.new_context(viewport=DESK, locale="zh-CN", storage_state=till.context.storage_state()).new_page()
    page.goto(f"{served.base_url}/console/codes/new")
    page.fill(".amount", "47.50")
    page.click("summary:has-text('备注')")
    page.fill("#remark", "靠窗")
    page.route(
        "**/console/codes/new", lambda route: route.abort() if route.request.method == "POST" else route.continue_()
    )
    page.click("text=生成二维码", no_wait_after=True)
    page.wait_for_timeout(300)
    page.unroute("**/console/codes/new")
    visit(page, f"{served.base_url}/console/codes/new")
    assert (page.input_value(".amount"), page.input_value("#remark")) == ("47.50", "靠窗")
    page.press(".amount", "Enter")
    page.wait_for_selector(".qr img")
    visit(page, f"{served.base_url}/console/codes/new")
    assert page.input_value(".amount") == ""


def test_a_quick_code_takes_two_taps(browser: Browser, shop: tuple[Served, Page]) -> None:
    """From the first page: one tap, the digits of a number pad, one tap or its Enter; the code is displayed."""
    served, till = shop
    for finish in ("tap", "NumpadEnter"):
        visit(till, f"{served.base_url}/console")
        till.click("nav >> text=扫码开票")
        till.wait_for_selector(".amount:focus")
        till.keyboard.type("58")
        if finish == "tap":
            till.click("text=生成二维码")
        else:
            till.keyboard.press(finish)
        till.wait_for_selector(".qr img")
        assert "¥58.00" in till.inner_text("h1")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_large_is_one_tap_and_has_its_quiet_zone(browser: Browser, shop: tuple[Served, Page], dark: bool) -> None:
    """On a phone: one tap from the code, at least 60 % of the shorter side, four white modules around, shop, amount and
    kind beside it; on white in the dark theme too; without scripts."""
    served, till = shop
    mint(till, served.base_url, "9")
    page = browser.new_context(
        viewport=PHONE, locale="zh-CN", storage_state=till.context.storage_state(), java_script_enabled=False,
        color_scheme="dark" if dark else "light",
    ).new_page()  # fmt: skip
    page.goto(till.url)
    page.click("text=大屏给顾客扫")
    page.wait_for_selector(".large img")
    box = page.locator(".large img").bounding_box()
    assert box is not None and box["width"] >= 0.6 * 360
    image = Image.open(io.BytesIO(page.screenshot())).convert("L")
    found = zxingcpp.read_barcodes(image)
    assert found and "/S/" in found[0].text
    corner, other = found[0].position.top_left, found[0].position.top_right
    module = (other.x - corner.x) / 29
    for step in range(1, 5):
        assert image.getpixel((int(corner.x - (step - 0.5) * module), int(corner.y + module))) == 255
    text = page.inner_text("main")
    for word in ("江汉路测试小馆", "¥9.00", "普通发票"):
        assert word in text
