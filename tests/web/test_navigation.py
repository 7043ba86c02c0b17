"""The console's places: each can be reached from every page, and nobody is shown a door that is locked to him."""

from __future__ import annotations

import re

import httpx

from piaoma.desk.config import Config
from piaoma.desk.roles import Role
from piaoma.web.console.navigation import ALWAYS, GROUPS
from piaoma.web.console.rights import RIGHTS
from tests.conftest import Shop
from tests.web.browsing import browse
from tests.web.people import another_browser, hire, owner

# Steps of something that is begun elsewhere, and one's own account, which stands beside the groups.
NO_PLACE = {
    "/console/menu",
    "/console/board",
    "/console/inbox",
    "/console/sheets",
    "/console/static/new",
    "/console/reports/waits",
}


def listed() -> list[str]:
    return [place.address for place in (*ALWAYS, *(place for group in GROUPS for place in group.places))]


def test_every_page_of_its_own_has_a_place() -> None:
    """A page that needs no number to be opened, and belongs to no other, is in the navigation, once."""
    places = listed()
    assert len(places) == len(set(places))
    for method, path in RIGHTS:
        alone = method == "GET" and "{" not in path and "." not in path and not path.endswith("/events")
        if alone and path not in NO_PLACE and not path.startswith("/console/account"):
            assert any((path + "/").startswith(place + "/") for place in places if place != "/console") or (
                path == "/console"
            ), path


def test_nobody_is_shown_a_place_that_he_may_not_open(config: Config) -> None:
    """On 全部, which phones use, and in the bar; what is shown opens."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for role, session in ((Role.OWNER, await owner(shop)), (Role.CASHIER, await hire(shop, Role.CASHIER))):
            browser = another_browser(client, session)
            page = await browser.get("/console/menu")
            shown = set(re.findall(r'href="(/console[^"?]*)"', page.text)) - {"/console/account", "/console/menu"}
            assert shown == {place for place in listed() if role in RIGHTS["GET", place].who}
            for place in sorted(shown):
                assert (await browser.get(place)).status_code == 200, place

    browse(config, story)
