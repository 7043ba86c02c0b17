"""开票渠道: who issues, whether it can be used now and what to do if not, what is in stock, what waits for it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from piaoma.desk import merchant
from piaoma.desk.channel_state import channel_state
from piaoma.desk.sessions import Session
from piaoma.web.page import office_of, words

from .access import page, show

REFRESH_SECONDS = 30


async def channel(request: Request, session: Session) -> Response:
    """The page. It changes nothing: which channel is in force is a line of the configuration."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    found = await channel_state(office, shop)
    name = f"channel_name_{found.name}"  # another package's channel has no word here, and is called as it calls itself
    return show(
        request, session, "channel.html", shop=shop, now=office.now(), refresh=REFRESH_SECONDS,
        found=found, name=name if name in words() else "",
    )  # fmt: skip


routes = [Route("/console/channel", page(channel))]
