"""What links in mails open: an invitation (加入), a new password (找回密码). Opening one uses nothing up."""

from __future__ import annotations

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import recovery, sessions, staff
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.web import forms
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of, render
from piaoma.web.throttle import Throttle

from .access import client_of, enter, session_secret
from .entry import device_of

SECRET_MAX = 100  # characters of a link's secret

_recoveries = Throttle(burst=5, per_minute=2)
_links = Throttle(burst=20, per_minute=20)


async def ask_recovery(request: Request) -> Response:
    """找回密码: whatever is typed, the same page answers before anything is looked up."""
    if request.method != "POST":
        return render(request, "console/recover.html", sent=False, errors=[])
    form = await forms.read_form(request)
    _recoveries.spend(request)
    page = render(request, "console/recover.html", sent=True, errors=[])
    page.background = BackgroundTask(recovery.send_recovery, office_of(request), form.get("login", ""))
    return page


async def recover(request: Request) -> Response:
    """A new password by the link of a mail."""
    _links.spend(request)
    office, secret = office_of(request), request.path_params["secret"][:SECRET_MAX]
    login = await recovery.recovery_login(office, secret)
    refusals: tuple[Refusal, ...] = ()
    if request.method == "POST":
        form = await forms.read_form(request)
        try:
            await recovery.recover(office, secret, form.get("password", ""))
            return RedirectResponse("/console/login", 303)
        except Refused as refused:
            if refused.refusals[0].cause == "LINK-DEAD":
                raise
            refusals = refused.refusals
    return render(
        request, "console/new_password.html", status_of(refusals) if refusals else 200, login=login,
        errors=explained(request, refusals),
    )  # fmt: skip


async def join(request: Request) -> Response:
    """An invitation: with an account that is logged in here, or a new one."""
    _links.spend(request)
    office, secret = office_of(request), request.path_params["secret"][:SECRET_MAX]
    offered = await staff.invitation(office, secret)
    session = await sessions.session_of(office, session_secret(request))
    if session is not None and session.by_pin:
        session = None
    refusals: tuple[Refusal, ...] = ()
    form: dict[str, str] = {}
    if request.method == "POST":
        form = await forms.read_form(request)
        try:
            if "mine" in form:
                if session is None:
                    raise refuse("ACCOUNT-SESSION-NONE")
                await staff.accept(office, session, session_secret(request), secret)
                return RedirectResponse("/console", 303)
            device = device_of(request)
            login, password = form.get("login", ""), form.get("password", "")
            entered = await staff.accept_new(office, secret, login, password, client_of(request, device))
            return enter(request, entered, "/console", device)
        except Refused as refused:
            if refused.refusals[0].cause == "LINK-DEAD":
                raise
            refusals = refused.refusals
    return render(
        request, "console/join.html", status_of(refusals) if refusals else 200, offered=offered, form=form,
        known=session.name if session else "", errors=explained(request, refusals),
    )  # fmt: skip


routes = [
    Route("/recover", ask_recovery, methods=["GET", "POST"]),
    Route("/recover/{secret}", recover, methods=["GET", "POST"]),
    Route("/join/{secret}", join, methods=["GET", "POST"]),
]
