"""Pictures of help, support, training and the operator's pages: ``make pictures`` puts them into docs/pictures too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.journeys.pictures import DESK, PHONE, register, visit
from tests.journeys.served import CHROMIUM, CHROMIUM_ARGUMENTS, Served, serve

PASSWORD = "测试用的一句话密码"


def take(served: Served, folder: Path, browser: Browser) -> None:
    """What each of the three readers sees: somebody at the counter, the owner, the operator."""
    base = served.base_url

    def shot(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    phone = browser.new_context(viewport=PHONE, locale="zh-CN").new_page()
    for path, name in (
        ("/help", "help"), ("/help?q=扫不出来", "help-search"), ("/help/QUOTA-EXCEEDED", "help-cause"),
        ("/help/cannot-scan?check=1&typed=1839MQJ89C6S3447X5X0", "help-check"),
        ("/support?cause=QUOTA-EXCEEDED&page=/console/codes/new&request=1f2e3d", "support"),
    ):  # fmt: skip
        phone.goto(base + path)
        shot(phone, name)
    phone.goto(f"{base}/help/device")
    phone.wait_for_selector("li.ok [data-device=network]")
    shot(phone, "help-device")
    desk = browser.new_context(viewport=DESK, locale="zh-CN").new_page()
    register(desk, base)
    desk.goto(f"{base}/console/training")
    desk.click("button[name=enter]")
    desk.wait_for_selector("button[value=outage]")
    desk.click("button[value=outage]")
    desk.wait_for_selector("text=故障已打开")
    shot(desk, "console-training")
    desk.click("button[name=leave]")
    desk.wait_for_selector("button[name=enter]")
    desk.goto(f"{base}/support?page=/console/invoices&topic=wrong-data")
    desk.fill("#line", "第二张抬头写错了，怎么改？")
    desk.click("button.main")
    take_operator(served, browser, shot)
    visit(desk, f"{base}/console")
    shot(desk, "console-announced")
    desk.goto(f"{base}/console/support")
    desk.click("tbody a.open")
    shot(desk, "console-ticket")


def take_operator(served: Served, browser: Browser, shot: Callable[[Page, str], None]) -> None:
    """A morning of the operator: a ticket, an announcement, an audit, the health of it all."""
    base = served.base_url
    command = [sys.executable, "-m", "piaoma.cli", "operator", "add", "platform"]
    subprocess.run(command, env=served.environment, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)
    page = browser.new_context(viewport=DESK, locale="zh-CN").new_page()
    page.goto(f"{base}/console/login")
    page.fill("#login", "platform")
    page.fill("#password", PASSWORD)
    page.click("button.main")
    page.wait_for_url(f"{base}/operator")
    page.goto(f"{base}/operator/tickets")
    page.click("tbody a.open")
    shot(page, "operator-ticket")
    page.fill("#text", "开具后不能改。打开那张发票，点「换开（改抬头）」。")
    page.click("button.main")
    page.wait_for_selector("text=客服已回复")
    page.goto(f"{base}/operator/announcements")
    for field, text in (
        ("title_zh", "周六凌晨维护"), ("title_en", "Maintenance on Saturday"),
        ("text_zh", "周六 2 点到 3 点开不了票，码照常能扫。"),
        ("text_en", "No issuing from 2 to 3 on Saturday; codes go on working."),
    ):  # fmt: skip
        page.fill(f"#{field}", text)
    page.fill("#last_day", page.input_value("#first_day"))
    page.click("button.main")
    page.wait_for_selector("text=撤回公告")
    page.goto(f"{base}/operator/audits")
    page.click("main button.main")
    page.wait_for_selector("text=全部成立", timeout=30_000)
    shot(page, "operator-audits")
    for name in ("health", "retention", "trail"):
        page.goto(f"{base}/operator/{name}")
        shot(page, f"operator-{name}")


if __name__ == "__main__":
    with serve() as one, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        take(one, Path(sys.argv[1]), chromium)
        chromium.close()
