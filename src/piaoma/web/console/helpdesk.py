"""我的工单, 公告 and 演练 in the console: what this merchant asked support, what the platform tells it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import announcements, diagnose, tickets, training
from piaoma.desk.channel_state import waiting
from piaoma.desk.config import SANDBOX
from piaoma.desk.roles import Role
from piaoma.desk.sessions import Session
from piaoma.desk.tickets import Ticket, TicketState
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained, status_of
from piaoma.web.lights import shown
from piaoma.web.page import office_of, words

from .access import page, read_form, session_secret, show
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


async def practice(request: Request, session: Session) -> Response:
    """演练: the practice ground, six exercises with a list of what to do, faults that are switched on and off."""
    office = office_of(request)
    if request.method == "POST":
        form = await read_form(request)
        secret = session_secret(request)
        if "enter" in form:
            await training.enter(office, session, secret)
        elif "leave" in form:
            await training.leave(office, session, secret)
        elif "end" in form:
            await training.end_fault(office, session, form["end"])
        else:
            await training.start(office, session, form.get("start", ""))
        return RedirectResponse("/console/training", 303)
    own = session.merchant_id if session.trains is None else session.trains
    return show(
        request, session, "training.html", steps=await training.steps(office, session),
        possible=office.config.channel == SANDBOX,
        everybody=await training.progress(office, own) if session.role is Role.OWNER else [],
    )  # fmt: skip


async def channel(request: Request, session: Session) -> Response:
    """开票渠道: which one, whether it can be used, what is left of quota and numbers, what to do."""
    office = office_of(request)
    asked = diagnose.Asked(session.merchant_id, session.role)
    checks, name = await diagnose.diagnose(office, "channel", asked), office.channel.name
    return show(
        request, session, "channel.html", checks=[shown(request, one) for one in checks], live=office.config.live,
        name=name if f"channel_{name}" in words() else "", called=name, numbering=(await office.numbering()).value,
        waiting=await waiting(office, session.merchant_id),
    )  # fmt: skip


routes = [
    Route("/console/support", page(my_tickets)),
    Route("/console/support/{ticket_id}", page(ticket), methods=["GET", "POST"]),
    Route("/console/announcements/dismiss", page(dismiss), methods=["POST"]),
    Route("/console/training", page(practice), methods=["GET", "POST"]),
    Route("/console/settings/channel", page(channel)),
]
