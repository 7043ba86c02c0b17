"""索要发票: a customer who has no code at hand finds the shop by its name, and applies on its page."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from piaoma.desk.finding import SHOP_NAME_MAX, ListedShop, find_shops
from piaoma.invoice.refusal import Refusal, Refused

from .errors import explained, status_of
from .page import office_of, render
from .throttle import Throttle

_searches = Throttle(burst=20, per_minute=20)


async def find(request: Request) -> Response:
    """The form, and what fits what was typed."""
    typed = request.query_params.get("shop", "")
    found: list[ListedShop] = []
    more, refusals = False, tuple[Refusal, ...]()
    if "shop" in request.query_params:
        _searches.spend(request)
        try:
            found, more = await find_shops(office_of(request), typed)
        except Refused as refused:
            refusals = refused.refusals
    return render(
        request, "static/find.html", status_of(refusals) if refusals else 200, found=found, more=more, typed=typed,
        asked=bool(typed) and not refusals, name_max=SHOP_NAME_MAX, errors=explained(request, refusals),
    )  # fmt: skip


routes = [Route("/find", find)]
