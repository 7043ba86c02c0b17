"""A real browser for the journeys: Debian's Chromium, one for a module; and a shop to walk in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.journeys.pictures import DESK, register
from tests.journeys.served import CHROMIUM, CHROMIUM_ARGUMENTS, Served, serve


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def shop(browser: Browser) -> Iterator[tuple[Served, Page]]:
    """A server, and the owner's page on it."""
    with serve() as served:
        page = browser.new_page(viewport=DESK, locale="zh-CN")
        register(page, served.base_url)
        yield served, page
