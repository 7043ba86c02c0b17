"""Pages of the platform's operators (平台运营): merchants that wait for review, and suspending one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import operators, sessions
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refusal, Refused, refuse

from . import cookies, forms, operation
from .console.access import read_form, session_secret
from .console.account import number_of
from .errors import explained, status_of
from .page import office_of, render

Page = Callable[[Request, Session], Awaitable[Response]]


def page(handler: Page) -> Callable[[Request], Awaitable[Response]]:
    """A page for an operator. To everybody else it does not exist."""

    async def handle(request: Request) -> Response:
        session = await sessions.session_of(office_of(request), session_secret(request))
        if session is None and request.method != "POST":
            return RedirectResponse("/console/login", 303)
        if session is None or not session.operator:
            raise refuse("PAGE-NOT-FOUND")
        request.state.csrf = forms.csrf_token(request, session_secret(request))
        return await handler(request, session)

    return handle


async def queue(request: Request, session: Session) -> Response:
    """What waits for review; or what is looked for."""
    return await _queue_page(request, session)


async def _queue_page(request: Request, session: Session, refusals: tuple[Refusal, ...] = ()) -> Response:
    wanted = request.query_params.get("q", "")
    return render(
        request, "operator/queue.html", status_of(refusals) if refusals else 200, wanted=wanted,
        csrf=request.state.csrf,
        found=await operators.queue(office_of(request), wanted), errors=explained(request, refusals),
        operator=session.name,
    )  # fmt: skip


async def change(request: Request, session: Session) -> Response:
    """Confirm, suspend or let go on."""
    form = await read_form(request)
    office, merchant_id = office_of(request), number_of(request.path_params["merchant_id"])
    try:
        if "confirm" in form:
            await operators.confirm_merchant(office, session, merchant_id)
        else:
            reason, suspended = form.get("reason", ""), "suspend" in form
            await operators.suspend(office, session, merchant_id, reason, suspended=suspended)
    except Refused as refused:
        if refused.refusals[0].cause == "MERCHANT-NOT-FOUND":
            raise
        return await _queue_page(request, session, refused.refusals)
    return RedirectResponse("/operator", 303)


async def log_out(request: Request, session: Session) -> Response:
    """退出."""
    await read_form(request)
    await sessions.log_out(office_of(request), session, session_secret(request))
    response = RedirectResponse("/", 303)
    response.delete_cookie(cookies.SESSION)
    return response


routes = [
    Route("/operator", page(queue)),
    Route("/operator/tickets", page(operation.ticket_list)),
    Route("/operator/tickets/{merchant_id}/{ticket_id}", page(operation.ticket), methods=["GET", "POST"]),
    Route("/operator/health", page(operation.health), methods=["GET", "POST"]),
    Route("/operator/retention", page(operation.keeping), methods=["GET", "POST"]),
    Route("/operator/announcements", page(operation.announcing), methods=["GET", "POST"]),
    Route("/operator/audits", page(operation.auditing), methods=["GET", "POST"]),
    Route("/operator/trail", page(operation.trail)),
    Route("/operator/merchants/{merchant_id}", page(operation.merchant), methods=["GET", "POST"]),
    Route("/operator/logout", page(log_out), methods=["POST"]),
    Route("/operator/{merchant_id}", page(change), methods=["POST"]),
]
