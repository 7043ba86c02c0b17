"""今天: the board that follows what happens, quota and outlook, what needs a look, what is left to set up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from piaoma.desk import announcements, goods, merchant, records
from piaoma.desk.board import FUNNEL_DAYS, MAIL_DAYS, board, state_of
from piaoma.desk.outlook import outlook
from piaoma.desk.sessions import Session
from piaoma.web.charts import day_bars, shares
from piaoma.web.live import stream_state
from piaoma.web.page import office_of

from .access import page, show

RECENT_MAX = 8
REFRESH_SECONDS = 30  # of the board without scripts


async def _view(request: Request, session: Session) -> dict[str, Any]:
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    figures = await board(office, session.merchant_id)
    quota = await merchant.quota(office, shop)
    today = figures.today.day
    return {
        "shop": shop,
        "figures": figures,
        "chart": day_bars([(day.day, day.total) for day in figures.days]),
        "waits": shares([(bound, count) for bound, count in figures.waits]),
        "quota": quota,
        "outlook": await outlook(office, session.merchant_id, quota) if quota else None,
        "recent": await records.latest(office, session.merchant_id, RECENT_MAX),
        "month_first": today.replace(day=1),
        "month_last": (today.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1),
        "funnel_days": FUNNEL_DAYS,
        "funnel_first": today - timedelta(days=FUNNEL_DAYS - 1),
        "mail_days": MAIL_DAYS,
        "now": office.now(),
    }


async def today(request: Request, session: Session) -> Response:
    """The first page after logging in."""
    view = await _view(request, session)
    stock = await goods.list_goods(office_of(request), session.merchant_id)
    figures, recent = view["figures"], view["recent"]
    steps = {
        "profile": not view["shop"].missing,
        "goods": bool(stock),
        "code": figures.codes_today.made > 0 or bool(recent),
        "scan": bool(recent),
    }
    told = await announcements.shown_to(office_of(request), session, view["shop"])
    return show(request, session, "today.html", steps=steps, announced=told, refresh=REFRESH_SECONDS, **view)


async def menu(request: Request, session: Session) -> Response:
    """全部: every place of the console on one page, for phones, whose bar has room for the daily ones only."""
    return show(request, session, "menu.html")


async def fragment(request: Request, session: Session) -> Response:
    """The board alone, for the script that keeps the page up to date."""
    return show(request, session, "board.html", **await _view(request, session))


async def events(request: Request, session: Session) -> Response:
    """That something on the board changed, live."""

    async def read() -> tuple[str, bool]:
        return await state_of(office_of(request), session.merchant_id), False

    return stream_state(request, read)


async def state(request: Request, session: Session) -> Response:
    """The same for scripts that poll."""
    return JSONResponse({"state": await state_of(office_of(request), session.merchant_id)})


routes = [
    Route("/console", page(today)),
    Route("/console/menu", page(menu)),
    Route("/console/board", page(fragment)),
    Route("/console/board/events", page(events)),
    Route("/console/board/state.json", page(state)),
]
