"""A shop with one person of each role, and browsers that they are logged in with."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from piaoma.desk import accounts, sessions, staff
from piaoma.desk.roles import Role
from piaoma.desk.sessions import Client, Session
from piaoma.web import cookies
from tests.conftest import Shop
from tests.web.browsing import hidden

PASSWORD = "a long password"
Browsers = Callable[[], httpx.AsyncClient]


async def owner(shop: Shop) -> Session:
    """The owner of a shop, logged in."""
    rows = await shop.office.database.read(
        "SELECT p.login FROM people p JOIN memberships m ON m.person_id = p.person_id"
        " WHERE m.merchant_id = $1 AND m.role = 'owner'",
        shop.id,
    )
    return await accounts.log_in(shop.office, rows[0][0], PASSWORD)


async def hire(shop: Shop, role: Role, login: str = "") -> Session:
    """Somebody new, by an invitation that he accepts."""
    secret = await staff.invite(shop.office, shop.actor, f"测试{role.value}", role, "", None)
    return await staff.accept_new(shop.office, secret, login or secrets.token_hex(6), PASSWORD, Client())


def another_browser(client: httpx.AsyncClient, session: Session | None = None) -> httpx.AsyncClient:
    """A second browser on the same application."""
    other = httpx.AsyncClient(transport=client._transport, base_url=client.base_url, headers=client.headers)
    if session is not None:
        other.cookies.set(cookies.SESSION, session.secret)
    return other


async def csrf_of(browser: httpx.AsyncClient) -> str:
    """The token of the forms of whoever is logged in."""
    return hidden(await browser.get("/console"), "csrf")


async def mails(shop: Shop) -> list[Any]:
    """Every mail that left, as the receiver's program reads it, in the order of their making."""
    while await shop.office.notices.work_once():
        pass
    folder = Path(shop.office.config.data) / "mail"
    files = sorted(folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns) if folder.exists() else []
    return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]


async def last_mail(shop: Shop) -> str:
    """The text of the newest."""
    found = await mails(shop)
    return str(found[-1].get_content()).replace("\r\n", "\n")


async def last_link(shop: Shop) -> str:
    """The path of the link in the newest mail."""
    found = re.search(r"http://shop.test(/\S+)", await last_mail(shop))
    assert found is not None
    return found[1]


async def prove(shop: Shop, session: Session, address: str) -> None:
    """Let a person's address be proved, as he would."""
    from piaoma.desk import recovery

    await recovery.send_email_code(shop.office, session, address)
    found = re.search(r"验证码：(\d{6})", await last_mail(shop))
    assert found is not None
    await recovery.prove_email(shop.office, session, found[1])


async def alive(shop: Shop, session: Session) -> bool:
    return await sessions.session_of(shop.office, session.secret) is not None


def at_once(*stories: Awaitable[Any]) -> Any:
    return asyncio.gather(*stories, return_exceptions=True)
