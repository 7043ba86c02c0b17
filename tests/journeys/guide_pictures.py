"""The pictures in the help: the program as it looks on a phone, in both languages, a few kilobytes each.

Run as a script (``make pictures`` does). It walks through a new shop as the guides tell it, and puts what they name
into ``src/piaoma/web/static``. A guide that names a picture which nothing here takes fails tests/web/test_help.py.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.journeys.pictures import PHONE, mint, register, visit
from tests.journeys.served import CHROMIUM, CHROMIUM_ARGUMENTS, serve

STATIC = Path(__file__).parents[2] / "src" / "piaoma" / "web" / "static"
HEIGHT_MAX = 620  # pixels; what a part of a guide tells stands at the top
COLOURS = 24
BYTES_MAX = 24_000  # of one, asked by tests/web/test_help.py
NAMES = frozenset({
    "register", "goods", "new-code", "code", "static-new", "static-guest", "inbox", "print", "reissue", "red",
    "invoices", "today", "verify", "scan-title", "scan-confirm", "scan-result", "my-list",
})  # fmt: skip


def reduced(png: bytes) -> bytes:
    """A screenshot with few colours, cut below."""
    with Image.open(io.BytesIO(png)) as image:
        cut = image.convert("RGB").crop((0, 0, image.width, min(image.height, HEIGHT_MAX)))
        out = io.BytesIO()
        cut.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


class Camera:
    """Takes each picture once, in one language."""

    def __init__(self, folder: Path, language: str) -> None:
        self.folder, self.language = folder, language
        self.taken: set[str] = set()

    def take(self, page: Page, name: str, above: str = "main") -> None:
        """The page from the top of an element on."""
        assert name in NAMES
        page.evaluate(
            "document.querySelectorAll('.sample,.nav').forEach(function (one) { one.style.display = 'none'; })"
        )
        page.locator(above).first.scroll_into_view_if_needed()
        top = page.locator(above).first.bounding_box()
        assert top is not None
        offset = page.evaluate("window.scrollY") + top["y"]
        height = page.evaluate("document.documentElement.scrollHeight")
        clip = {
            "x": 0,
            "y": max(0.0, offset - 8),
            "width": PHONE["width"],
            "height": min(HEIGHT_MAX, height - offset + 8),
        }
        png = page.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type]
        (self.folder / f"guide-{name}.{self.language}.png").write_bytes(reduced(png))
        self.taken.add(name)


def walk(browser: Browser, base: str, camera: Camera) -> None:
    """A first day, from registering to the month's figures."""
    locale = "zh-CN" if camera.language == "zh" else "en-GB"
    shop = browser.new_context(viewport=PHONE, locale=locale).new_page()
    shop.goto(f"{base}/console/register")
    camera.take(shop, "register", "h1")
    register(shop, base)
    shop.goto(f"{base}/console/settings/goods")
    camera.take(shop, "goods", "h1")
    shop.goto(f"{base}/console/codes/new")
    shop.fill(".amount", "58")
    shop.wait_for_selector("#ticket .form")
    camera.take(shop, "new-code", "h1")
    url = mint(shop, base, "58")
    camera.take(shop, "code", "h1")
    shop.goto(f"{base}/console/sheets?kind=code&id={shop.url.rpartition('/')[2]}&size=80")
    camera.take(shop, "print", "main")
    customer = browser.new_context(viewport=PHONE, locale=locale).new_page()
    take_customer(customer, url, base, camera)
    take_static(browser, shop, base, locale, camera)
    visit(shop, f"{base}/console/invoices")
    camera.take(shop, "invoices", "h1")
    number = (shop.get_attribute("tbody a.open", "href") or "").rpartition("/")[2]
    shop.goto(f"{base}/console/invoices/{number}/reissue")
    camera.take(shop, "reissue", "h1")
    shop.goto(f"{base}/console/invoices/{number}/red")
    camera.take(shop, "red", "h1")
    visit(shop, f"{base}/console")
    camera.take(shop, "today", "h1")


def take_customer(page: Page, url: str, base: str, camera: Camera) -> None:
    """Somebody who scans for a company for the first time."""
    page.goto(url)
    camera.take(page, "scan-title")
    page.fill("#name", "武汉某某科技有限公司")
    page.fill("#taxpayer_id", "91110108690017781B")
    page.click("form[action$=title] button.main")
    camera.take(page, "scan-confirm")
    page.click("form[action$=confirm] button.main")
    page.wait_for_selector(".good")
    camera.take(page, "scan-result")
    page.goto(f"{base}/my")
    camera.take(page, "my-list", "h1")
    page.goto(f"{base}/verify")
    camera.take(page, "verify", "h1")


def take_static(browser: Browser, shop: Page, base: str, locale: str, camera: Camera) -> None:
    """A code for the tables, and who applies by it."""
    shop.goto(f"{base}/console/static/new")
    shop.fill("#places", "桌 1-6")
    camera.take(shop, "static-new", "h1")
    shop.click("main button.main")
    shop.click("tbody a.open >> nth=0")
    guest = browser.new_context(viewport=PHONE, locale=locale).new_page()
    guest.goto(shop.get_attribute("[data-copy]", "data-copy") or "")
    guest.fill("#total", "58")
    camera.take(guest, "static-guest")
    guest.click("button.main")
    guest.wait_for_selector("h1.state")
    visit(shop, f"{base}/console/inbox")
    camera.take(shop, "inbox", "h1")


def main(folder: Path) -> None:
    """Both languages, each in a shop of its own."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        for language in ("zh", "en"):
            with serve() as served:
                camera = Camera(folder, language)
                walk(chromium, served.base_url, camera)
                assert camera.taken == NAMES, NAMES - camera.taken
        chromium.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else STATIC)
