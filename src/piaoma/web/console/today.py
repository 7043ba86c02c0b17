"""今天: figures, fourteen days, quota, what needs a look, what is left to set up."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from piaoma.desk import goods, merchant, records
from piaoma.desk.sessions import Session
from piaoma.web.charts import day_bars
from piaoma.web.page import office_of

from .access import page, show

RECENT_MAX = 8


async def today(request: Request, session: Session) -> Response:
    """The first page after logging in."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    figures = await records.today(office, session.merchant_id)
    recent = await records.latest(office, session.merchant_id, RECENT_MAX)
    stock = await goods.list_goods(office, session.merchant_id)
    steps = {
        "profile": not shop.missing,
        "goods": bool(stock),
        "code": figures.codes_count > 0 or bool(recent),
        "scan": bool(recent),
    }
    return show(
        request, session, "today.html", shop=shop, figures=figures, chart=day_bars(figures.days),
        quota=await merchant.quota(office, shop), recent=recent, steps=steps,
        now=office.now(),
    )  # fmt: skip


routes = [Route("/console", page(today))]
