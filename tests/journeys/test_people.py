"""People in a real browser: from the first page to a ready shop, a passkey by the browser's own authenticator, and the
change of cashiers at a till."""

from __future__ import annotations

import email
import email.policy
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.journeys.pictures import DESK, PHONE, register
from tests.journeys.served import Served, serve

pytestmark = pytest.mark.xdist_group("people")
PASSWORD = "测试用的一句话密码"
MAIL_SECONDS = 20


@pytest.fixture(scope="module")
def shop(browser: Browser) -> Iterator[tuple[Served, Page]]:
    """A server whose host is one that passkeys work on, and the owner's page on it."""
    with serve(localhost=True) as served:
        page = browser.new_page(viewport=DESK, locale="zh-CN")
        register(page, served.base_url)
        yield served, page


@pytest.mark.parametrize(("scripts", "number"), [(True, "91110000600037341L"), (False, "91110108690017781B")])
def test_from_the_first_page_to_a_ready_shop_in_three_screens(
    browser: Browser, shop: tuple[Served, Page], scripts: bool, number: str
) -> None:
    """S1, S13: home → register → code of the mail → today, with scripts and without; the steps that are left are
    there again after logging out and in."""
    served, _ = shop
    address = f"{number.lower()}@example.cn"
    page = browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=scripts).new_page()
    page.goto(served.base_url)
    page.click("text=注册")
    screens = [page.url]
    page.fill("#name", "武汉第二家有限公司")
    page.fill("#taxpayer_id", number)
    if scripts:  # left midway: what was typed is there again, but for the password
        page.fill("#password", PASSWORD)
        page.goto(served.base_url)
        page.click("text=注册")
        assert page.input_value("#name") == "武汉第二家有限公司" and page.input_value("#password") == ""
    page.fill("#login", address)
    page.fill("#password", PASSWORD)
    page.click("main button.main")
    screens.append(page.url)
    page.fill("#code", _code_for(served, address))
    page.click("main button.main")
    screens.append(page.url)
    assert [url.removeprefix(served.base_url) for url in screens] == [
        "/console/register", "/console/account/email", "/console?saved=1",
    ]  # fmt: skip
    assert page.locator("text=待核验").count() == 0 and page.locator(".steps li").count() == 4
    log_out(page, served.base_url)
    page.goto(f"{served.base_url}/console/login")
    page.fill("#login", address)
    page.fill("#password", PASSWORD)
    page.click("main button.main")
    assert page.locator(".steps li").count() == 4


def _code_for(served: Served, address: str) -> str:
    """The code that was sent to one address."""
    deadline = time.monotonic() + MAIL_SECONDS
    while time.monotonic() < deadline:
        for file in (served.folder / "data" / "mail").glob("*.eml"):
            message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            found = re.search(r"验证码：(\d{6})", str(message.get_content())) if message["To"] == address else None
            if found is not None:
                return found[1]
        time.sleep(0.1)
    raise AssertionError("no such mail came")


def test_a_passkey_is_made_and_lets_in(browser: Browser, shop: tuple[Served, Page]) -> None:
    """S6, with Chromium's virtual authenticator: made under 第二验证, asked for at the next log-in, refused when
    another authenticator answers; without it a recovery code does."""
    served, _ = shop
    context = browser.new_context(viewport=DESK, locale="zh-CN")
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasUserVerification": True, "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }  # fmt: skip
    key = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]
    log_in(page, served.base_url)
    page.goto(f"{served.base_url}/console/account/factors")
    page.fill("#passkey_name", "这台电脑")
    page.fill("#passkey_password", PASSWORD)
    page.click("text=添加通行密钥")
    page.wait_for_selector("ul.codes")
    codes = page.locator("ul.codes li").all_inner_texts()
    assert len(codes) == 10 and page.locator("tbody tr:has-text('这台电脑')").count() == 1
    log_out(page, served.base_url)
    log_in(page, served.base_url)
    assert page.url.endswith("/console/login/second")
    page.click("text=用通行密钥")
    page.wait_for_url(f"{served.base_url}/console")
    # The step-up that an owner may demand goes the same way.
    page.goto(f"{served.base_url}/console/account/confirm?next=/console/codes")
    page.click("text=用通行密钥")
    page.wait_for_url(f"{served.base_url}/console/codes")
    log_out(page, served.base_url)
    devtools.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": key})
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    log_in(page, served.base_url)
    page.click("text=用通行密钥")
    page.wait_for_selector("text=通行密钥没有完成")
    page.fill("#code", codes[0])
    page.click("text=验证 >> nth=-1")
    page.wait_for_url(f"{served.base_url}/console")
    # Without scripts there is no button for it, and a code does.
    plain = browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=False).new_page()
    log_in(plain, served.base_url)
    assert not plain.locator("text=用通行密钥").is_visible()
    plain.fill("#code", codes[1])
    plain.click("main button.main >> visible=true")
    assert plain.url == f"{served.base_url}/console"


def log_out(page: Page, base: str) -> None:
    """By 全部, where a phone has what its bar has no room for."""
    page.goto(f"{base}/console/menu")
    page.click("main >> text=退出")


def log_in(page: Page, base: str) -> None:
    page.goto(f"{base}/console/login")
    page.fill("#login", "owner@example.cn")
    page.fill("#password", PASSWORD)
    page.click("main button.main")


def test_cashiers_change_with_a_name_and_four_digits(browser: Browser, shop: tuple[Served, Page]) -> None:
    """S8: at a till one tap on 换人, one on the name, four digits, Enter; then the amount has the focus."""
    served, owner = shop
    base = served.base_url
    page = browser.new_context(viewport=DESK, locale="zh-CN").new_page()
    owner.goto(f"{base}/console/settings/people")
    for name in ("小李", "小王"):
        owner.goto(f"{base}/console/settings/people")
        owner.fill("#person_name", name)
        owner.select_option("#role", "cashier")
        owner.click("form[action$=invite] button")
        link = owner.get_attribute("input[readonly]", "value")
        clerk = browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
        clerk.goto(link or "")
        clerk.fill("#login", f"clerk{name.encode().hex()}")
        clerk.fill("#password", PASSWORD)
        clerk.click("main button.main")
        clerk.goto(f"{base}/console/account")
        clerk.fill("#pin", "2580" if name == "小李" else "1470")
        clerk.fill("#pin_password", PASSWORD)
        clerk.click("form[action$=pin] button")
        clerk.wait_for_selector("text=已保存 >> visible=true")
    owner.goto(f"{base}/console/settings/shops")
    owner.fill("#name", "江汉路店")
    owner.click("form.card:has(#name) button.main")
    owner.click("summary:has-text('添加收银台')")
    owner.fill("details[open] input[name=till_name]", "1 号台")
    owner.click("details[open] button")
    page.context.add_cookies(owner.context.cookies())  # type: ignore[arg-type]
    page.goto(f"{base}/console/settings/shops")
    page.click("text=把这台设备设为它")
    page.check("label:has-text('小李') input")
    page.fill("#pin", "2580")
    page.keyboard.press("Enter")
    page.wait_for_selector(".amount:focus")
    started = time.monotonic()
    page.click("text=换人")
    page.click("label:has-text('小王')")
    page.click("#pin")
    page.keyboard.type("1470")
    page.keyboard.press("Enter")
    page.wait_for_selector(".amount:focus")
    print(f"cashiers changed in {time.monotonic() - started:.2f} s, three taps and five keys")
    assert "小王" in page.inner_text(".who") and "1 号台" in page.inner_text(".who")
