"""联系客服 and 反馈, for everybody: a ticket with what belongs to it, and its answer, without an account."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import diagnose, tickets
from piaoma.desk.sessions import short_agent
from piaoma.desk.tickets import Context, Ticket, TicketState, Topic
from piaoma.invoice.refusal import Refusal, Refused, causes

from . import cookies, forms
from .console.access import session_secret
from .errors import explained, status_of
from .help.checking import session_or_none
from .middleware import shown_path
from .page import office_of, render, version
from .throttle import Throttle

_tells = Throttle(burst=5, per_minute=1)  # of one address
_links = Throttle(burst=30, per_minute=30)  # looks at tickets by link

ASKED = ("page", "cause", "request", "topic", "device")  # what a link to this page may bring along
ASKED_MAX = 300


async def ask(request: Request) -> Response:
    """The form of a ticket."""
    return await _form(request, "support.html")


async def tell(request: Request) -> Response:
    """The form of feedback: one of two buttons, a line if wanted."""
    return await _form(request, "feedback.html")


async def _form(
    request: Request, template: str, refusals: tuple[Refusal, ...] = (), form: dict[str, str] | None = None
) -> Response:
    session = await session_or_none(request)
    sent = form if form is not None else dict(request.query_params)
    along = {name: sent.get(name, "")[:ASKED_MAX] for name in ASKED}
    cause = along["cause"] if along["cause"] in causes() else ""
    csrf = forms.csrf_token(request, session_secret(request)) if session else ""
    return render(
        request, template, status_of(refusals) if refusals else 200, along=along | {"cause": cause},
        topics=[topic.value for topic in Topic if not topic.feedback], form=form or {}, csrf=csrf, who=session,
        errors=explained(request, refusals), line_max=tickets.LINE_MAX, agent=short_agent(_agent(request)),
        email=cookies.wallet_of(request).email,
    )  # fmt: skip


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "")


async def send(request: Request) -> Response:
    """Open a ticket, or take feedback."""
    form = await forms.read_form(request)
    feedback = request.url.path == "/feedback"
    session = await session_or_none(request)
    try:
        if session is not None:
            forms.check_csrf(request, session_secret(request), form.get("csrf", ""))
        _tells.spend(request)
        office = office_of(request)
        system = {} if feedback else {
            one.name: one.light.value for one in await diagnose.diagnose(office, "complex", diagnose.Asked(
                session.merchant_id if session else None, session.role if session else None))
        }  # fmt: skip
        device = "; ".join(part for part in (short_agent(_agent(request)), form.get("device", "")) if part)
        along = Context(
            # A path that somebody typed himself holds no token of ours either.
            shown_path(form.get("page", "")), form.get("cause", "") if form.get("cause", "") in causes() else "",
            form.get("request", ""), version(), device, system,
        )  # fmt: skip
        topic = ("feedback-good" if "good" in form else "feedback-bad") if feedback else form.get("topic", "")
        opened = await tickets.open_ticket(
            office, session, topic, form.get("line", ""), along, contact=form.get("email", ""),
            number=form.get("number", ""),
        )  # fmt: skip
    except Refused as refused:
        return await _form(request, "feedback.html" if feedback else "support.html", refused.refusals, form)
    if session is not None:
        return RedirectResponse(f"/console/support/{opened.ticket_id}?sent=1", 303)
    return RedirectResponse(f"/support/{opened.ticket_id}/{opened.secret}?sent=1", 303)


async def _found(request: Request) -> Ticket:
    _links.spend(request)
    asked = request.path_params["ticket_id"]
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 12 else -1
    return await tickets.ticket_by_link(office_of(request), number, request.path_params["secret"])


async def read(request: Request) -> Response:
    """A ticket by its link: what was told, what was answered."""
    return _page(request, await _found(request))


def _page(request: Request, found: Ticket, refusals: tuple[Refusal, ...] = ()) -> Response:
    return render(
        request, "ticket.html", status_of(refusals) if refusals else 200, ticket=found,
        sent="sent" in request.query_params, errors=explained(request, refusals), line_max=tickets.LINE_MAX,
        closed=found.state is TicketState.CLOSED,
    )  # fmt: skip


async def say(request: Request) -> Response:
    """A further word, or that it is solved."""
    form = await forms.read_form(request)
    found = await _found(request)
    try:
        _tells.spend(request)
        if "close" in form:
            await tickets.close_ticket(office_of(request), found, None)
        else:
            await tickets.say_more(office_of(request), found, None, form.get("text", ""))
    except Refused as refused:
        return _page(request, found, refused.refusals)
    return RedirectResponse(request.url.path, 303)


routes = [
    Route("/support", ask),
    Route("/support", send, methods=["POST"]),
    Route("/feedback", tell),
    Route("/feedback", send, methods=["POST"]),
    Route("/support/{ticket_id}/{secret}", read),
    Route("/support/{ticket_id}/{secret}", say, methods=["POST"]),
]
