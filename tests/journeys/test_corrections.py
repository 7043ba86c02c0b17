"""Journey (d) in a real browser, its taps counted: the holder's 换开, with scripts and without, and the shop's."""

from __future__ import annotations

import gzip

import pytest
from playwright.sync_api import Browser, Page

from tests.journeys.pictures import DESK, PHONE, mint, visit
from tests.journeys.served import Served
from tests.journeys.test_access import faults, opened

pytestmark = pytest.mark.xdist_group("corrections")

WRONG, WRONG_ID = "武汉某某科技有限公司", "91110108690017781B"
RIGHT, RIGHT_ID = "武汉另一家贸易有限公司", "92330781MA2EDMFU50"
CUSTOMER_BYTES_MAX, CONSOLE_BYTES_MAX = 30_000, 80_000


class Fingers:
    """Presses, and counts what was pressed. Typing is not a tap."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.taps = 0

    def tap(self, what: str) -> None:
        self.taps += 1
        self.page.click(what)

    def title(self, name: str, number: str) -> None:
        self.page.fill("#name", name)
        self.page.fill("#taxpayer_id", number)


def choose_rule(desk: Page, base: str, mode: str) -> None:
    visit(desk, f"{base}/console/settings/corrections")
    desk.check(f"#mode_{mode}")
    desk.fill("#times", "9")
    desk.click("form.card button.main")
    desk.wait_for_selector("text=已保存 >> visible=true")


def claim(page: Page, url: str, name: str = WRONG, number: str = WRONG_ID) -> None:
    """Have the invoice of a code, with a title."""
    visit(page, url)
    page.fill("#name", name)
    page.fill("#taxpayer_id", number)
    page.click("text=使用这个抬头")
    page.click("form[action$=confirm] button.main")
    page.wait_for_selector("text=发票已开具")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_holder_corrects_a_title_in_three_taps(browser: Browser, shop: tuple[Served, Page], scripts: bool) -> None:
    """(1) 抬头有误，换开 (2) the title picked from those of this browser, or typed and used (3) 确认换开 · 新公司名."""
    served, desk = shop
    choose_rule(desk, served.base_url, "auto")
    context = browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=scripts)
    phone = context.new_page()
    url = mint(desk, served.base_url, "58").replace("/S/", "/s/")
    claim(phone, url)
    fingers = Fingers(phone)
    fingers.tap("text=抬头有误，换开")
    fingers.title(RIGHT, RIGHT_ID)
    fingers.tap("text=使用这个抬头")
    fingers.tap(f"button:has-text('确认换开 ¥58.00'):has-text('{RIGHT}')")
    phone.wait_for_selector("text=发票已开具")
    assert RIGHT in phone.inner_text("main") and fingers.taps == 3
    phone.reload()
    visit(phone, url)
    assert RIGHT in phone.inner_text("section.ticket"), "the code is the new invoice's from now on"
    fingers = Fingers(phone)
    fingers.tap("text=抬头有误，换开")
    fingers.tap(f"a.btn:has-text('{WRONG}')")
    fingers.tap("button:has-text('确认换开 ¥58.00')")
    phone.wait_for_selector("text=发票已开具")
    assert WRONG in phone.inner_text("section.ticket") and fingers.taps == 3
    phone.click("summary:has-text('以前的发票')")
    assert phone.locator("details.card p .id").count() == 4
    with phone.expect_download() as download:
        phone.click("details.card p:has-text('红字发票') >> nth=0 >> a:has-text('PDF')")
    assert download.value.suggested_filename.endswith("-电子发票.pdf")


def test_the_shop_agrees_with_one_tap_and_the_phone_turns(browser: Browser, shop: tuple[Served, Page]) -> None:
    """The default rule: the holder's page says that it waits, and turns to the new invoice by itself."""
    served, desk = shop
    choose_rule(desk, served.base_url, "approve")
    phone = browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
    claim(phone, mint(desk, served.base_url, "61"))
    phone.click("text=抬头有误，换开")
    phone.click("button:has-text('个人')")
    phone.click("button:has-text('申请换开 ¥61.00')")
    phone.wait_for_selector("text=等商家同意")
    visit(desk, f"{served.base_url}/console/corrections")
    fingers = Fingers(desk)
    fingers.tap("tbody a.open >> nth=0")
    fingers.tap("button:has-text('同意换开 ¥61.00')")
    desk.wait_for_selector("text=已换开")
    assert fingers.taps == 2
    phone.wait_for_selector("section.ticket :text('个人')", timeout=20_000)


def test_the_shop_corrects_and_takes_back_from_the_record(browser: Browser, shop: tuple[Served, Page]) -> None:
    """换开: three taps with the typing between. 红冲: two. Both from the invoice's own page."""
    served, desk = shop
    phone = browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
    claim(phone, mint(desk, served.base_url, "63"))
    visit(desk, f"{served.base_url}/console/invoices?min=63&max=63")
    fingers = Fingers(desk)
    fingers.tap("tbody a.open")
    fingers.tap("text=换开（改抬头）")
    fingers.title(RIGHT, RIGHT_ID)
    fingers.tap("button:has-text('确认换开 ¥63.00') >> nth=0")
    desk.wait_for_selector("text=已换开")
    assert fingers.taps == 3
    desk.click("dl div:has-text('新发票号码') a")
    fingers = Fingers(desk)
    fingers.tap("#related .btn:has-text('红冲')")
    fingers.tap("button:has-text('确认红冲 ¥63.00')")
    desk.wait_for_selector("text=已开红字发票")
    assert fingers.taps == 2
    phone.reload()
    phone.wait_for_selector("text=这张发票已红冲")


def test_corrections_meet_no_barrier(browser: Browser, shop: tuple[Served, Page]) -> None:
    """axe finds nothing on any of these pages, phone light and desk dark; they fit, and they are light."""
    served, desk = shop
    base = served.base_url
    choose_rule(desk, base, "approve")
    phone = opened(browser, PHONE, "light")
    url = mint(desk, base, "65").replace("/S/", "/s/")
    claim(phone, url)
    pages = [phone]
    visit(phone, f"{url}/reissue")
    assert faults(phone) == []
    phone.fill("#name", RIGHT)
    phone.fill("#taxpayer_id", RIGHT_ID)
    phone.click("text=使用这个抬头")
    assert faults(phone) == []
    weight = len(gzip.compress(phone.content().encode()))
    assert weight < CUSTOMER_BYTES_MAX
    phone.click("button.main")
    phone.wait_for_selector("text=等商家同意")
    assert faults(phone) == []
    visit(desk, f"{base}/console/invoices?min=65&max=65")
    number = str(desk.get_attribute("tbody a.open", "href")).rpartition("/")[2]
    served.run("authority", "use", number)
    visit(desk, f"{base}/console/corrections")
    asked = str(desk.get_attribute("tbody a.open >> nth=0", "href"))
    state = desk.context.storage_state()
    for size, scheme in ((PHONE, "light"), (DESK, "dark")):
        page = opened(browser, size, scheme, state)
        pages.append(page)
        for path in (
            "/console/corrections", "/console/settings/corrections", f"/console/invoices/{number}",
            f"/console/invoices/{number}/red", f"/console/invoices/{number}/reissue", asked,
        ):  # fmt: skip
            visit(page, base + path)
            assert faults(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert len(gzip.compress(page.content().encode())) < CONSOLE_BYTES_MAX - 20_000, path
