"""A browser without scripts, on the whole application in this process: what page tests share."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from piaoma.desk.config import Config
from piaoma.desk.office import open_office
from piaoma.web.app import create_app
from tests.conftest import Shop, furnish, new_shop

Story = Callable[[httpx.AsyncClient, Shop], Awaitable[None]]


def browse(where: Path | Config, story: Story, **changes: Any) -> None:
    """Tell a story with a browser that has no scripts and a shop that is registered, in a folder or as configured."""
    config = where if isinstance(where, Config) else Config(data=str(where))
    config = msgspec.structs.replace(config, base_url="http://shop.test", **changes)

    async def tell() -> None:
        async with open_office(config, work=False) as office:
            app = create_app(config)
            app.state.office = office
            shop = await new_shop(office)
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            headers = {"accept": "text/html", "accept-language": "zh-CN"}
            async with httpx.AsyncClient(transport=transport, base_url="http://shop.test", headers=headers) as client:
                await story(client, shop)

    furnish(config)
    asyncio.run(tell())


def hidden(page: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None, page.text
    return found[1]


async def issue_by_pages(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """A company's customer, from scan to result, with forms only."""
    page = await client.post(
        f"/S/{token}/title",
        data={"name": "武汉某某科技有限公司", "taxpayer_id": "91110108690017781B"},
        follow_redirects=True,
    )
    return await client.post(
        f"/s/{token}/confirm", data={"confirmation": hidden(page, "confirmation")}, follow_redirects=True
    )


async def log_in(client: httpx.AsyncClient, shop: Shop) -> str:
    """Log in as the shop's owner; the token that every form must carry."""
    rows = await shop.office.database.read("SELECT login FROM people ORDER BY created_at_ms LIMIT 1")
    form = {"login": rows[0][0], "password": "a long password"}
    entered = await client.post("/console/login", data=form)
    assert entered.status_code == 303
    return hidden(await client.get("/console/codes/new"), "csrf")
