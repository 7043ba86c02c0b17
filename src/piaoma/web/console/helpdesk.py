"""我的工单, 公告 and 演练 in the console: what this merchant asked support, what the platform tells it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import announcements, tickets
from piaoma.desk.sessions import Session
from piaoma.desk.tickets import Ticket, TicketState
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of

from .access import page, read_form, show
from .account import number_of
from .search import onward


async def my_tickets(request: Request, session: Session) -> Response:
    """This merchant's tickets, newest first."""
    cursor = request.query_params.get("cursor", "")
    found = await tickets.list_tickets(office_of(request), session.merchant_id, cursor)
    return show(request, session, "tickets.html", found=found, onward=onward(request.query_params))


async def _found(request: Request, session: Session) -> Ticket:
    return await tickets.ticket(office_of(request), session.merchant_id, number_of(request.path_params["ticket_id"]))


async def ticket(request: Request, session: Session) -> Response:
    """One of them: what was told, what came along, what was answered; more, solved, a look allowed."""
    office, found = office_of(request), await _found(request, session)
    refusals: tuple[Refusal, ...] = ()
    if request.method == "POST":
        form = await read_form(request)
        try:
            if "close" in form:
                await tickets.close_ticket(office, found, session.actor)
            elif "look" in form:
                await tickets.let_look(office, found, session.actor, allowed=form["look"] == "yes")
            else:
                await tickets.say_more(office, found, session.actor, form.get("text", ""))
            return RedirectResponse(request.url.path, 303)
        except Refused as refused:
            refusals = refused.refusals
    return show(
        request, session, "ticket_page.html", status_of(refusals) if refusals else 200, ticket=found,
        errors=explained(request, refusals), sent="sent" in request.query_params, line_max=tickets.LINE_MAX,
        closed=found.state is TicketState.CLOSED, look_days=tickets.LOOK_DAYS_MAX,
        looking=found.look_until is not None and found.look_until > office.now(),
    )  # fmt: skip


async def dismiss(request: Request, session: Session) -> Response:
    """Put an announcement away, for oneself."""
    form = await read_form(request)
    await announcements.dismiss(office_of(request), session, number_of(form.get("announcement", "")))
    return RedirectResponse("/console", 303)


routes = [
    Route("/console/support", page(my_tickets)),
    Route("/console/support/{ticket_id}", page(ticket), methods=["GET", "POST"]),
    Route("/console/announcements/dismiss", page(dismiss), methods=["POST"]),
]
