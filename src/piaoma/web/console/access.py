"""Who may see a console page, and the token that every form of it carries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import accounts, events, factors, sessions
from piaoma.desk.applications import waiting_count
from piaoma.desk.roles import Role
from piaoma.desk.sessions import Client, Session
from piaoma.invoice.refusal import refuse
from piaoma.web import cookies, forms
from piaoma.web.delay import Delay
from piaoma.web.page import language_of, office_of, render, words

from . import navigation
from .rights import OPEN, OPERATORS, RIGHTS, Right, may

Page = Callable[[Request, Session], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]

_rights: dict[Endpoint, dict[str, Right]] = {}
_passwords = Delay()


def page(handler: Page) -> Endpoint:
    """A page for somebody who is logged in and whose role may; others are sent to log in, and back afterwards.

    What it asks is looked up in ``RIGHTS`` by its route (see ``declared``).
    """

    async def handle(request: Request) -> Response:
        secret = session_secret(request)
        session = await sessions.session_of(office_of(request), secret)
        if session is None or session.merchant_id == sessions.NO_MERCHANT:
            if session is not None:
                return RedirectResponse("/operator", 303)
            if request.method == "POST":
                raise refuse("ACCOUNT-SESSION-NONE")
            return RedirectResponse(f"/console/login?next={quote(request.url.path)}", 303)
        right = _rights[handle]["GET" if request.method == "HEAD" else request.method]
        check_right(request, session, right)
        request.state.csrf = forms.csrf_token(request, secret)
        if session.role is Role.AUDITOR and right.changes == "" and not _follows_by_itself(request.url.path):
            await events.note(office_of(request), session.actor, "audit.read", _read(request))
        request.state.waiting = await waiting_count(office_of(request), session.merchant_id)
        return await handler(request, session)

    _rights[handle] = {}
    return handle


def _follows_by_itself(path: str) -> bool:
    """Whether a page asks for this again and again while it is open: nobody reads anything by it."""
    return path.endswith(".json") or (path.endswith("/events") and path != "/console/events")


def _read(request: Request) -> str:
    """What an auditor looked at."""
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def check_right(request: Request, session: Session, right: Right) -> None:
    """Raises ``Refused`` ACCOUNT-ROLE, ACCOUNT-PIN-SESSION, FACTOR-NEEDED: before anything of the request is read."""
    if session.role not in right.who:
        raise refuse("ACCOUNT-ROLE", role=words()[f"role_{session.role.value}"][language_of(request)])
    if session.by_pin and not right.pin:
        raise refuse("ACCOUNT-PIN-SESSION")
    if right.factor:
        factors.demand(office_of(request), session, right.factor)


def declared(routes: Iterable[Route]) -> list[Route]:
    """The routes, each bound to its entry of the table. A route without one is a fault of the program."""
    bound = list(routes)
    for route in bound:
        for method in (route.methods or set()) - {"HEAD"}:
            key = (method, route.path)
            if route.endpoint in _rights:
                _rights[route.endpoint][method] = RIGHTS[key]
            else:
                assert key in OPEN or key in OPERATORS, f"{key} has no entry in rights.py"
    return bound


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form of ours. Raises ``Refused`` REQUEST-STALE without its token."""
    fields = await forms.read_form(request)
    forms.check_csrf(request, session_secret(request), fields.get("csrf", ""))
    return fields


async def ask_password(request: Request, session: Session, form: dict[str, str]) -> None:
    """Whoever changes what matters shows that he is still who logged in. Raises ACCOUNT-PASSWORD-WRONG, -TOO-MANY."""
    key = str(session.person_id)
    _passwords.attempt(request, key)
    await accounts.confirm_password(office_of(request), session, form.get("password_now", ""))
    _passwords.passed(request, key)


def session_secret(request: Request) -> str:
    """The cookie's value; empty when there is none."""
    return request.cookies.get(cookies.SESSION, "")


def client_of(request: Request, device: str = "") -> Client:
    """Where a request comes from; ``device`` when its cookie is about to be set."""
    secret = device or request.cookies.get(cookies.DEVICE, "")
    host = request.client.host if request.client else ""
    agent = request.headers.get("user-agent", "")
    return Client(agent, host, sessions.digest(secret) if secret else "")


def enter(request: Request, session: Session, address: str, device: str) -> Response:
    """Go on as somebody who is logged in now, in a browser that will be known again."""
    response = RedirectResponse(address, 303)
    secure = office_of(request).config.secure
    response.set_cookie(
        cookies.SESSION, session.secret, max_age=sessions.SESSION_DAYS * 86400, httponly=True, samesite="lax",
        secure=secure,
    )  # fmt: skip
    response.set_cookie(
        cookies.DEVICE, device, max_age=cookies.YEAR_SECONDS, httponly=True, samesite="lax", secure=secure
    )
    return response


def show(request: Request, session: Session, template: str, status: int = 200, /, **view: object) -> Response:
    """A page of the console."""

    def allowed(path: str, method: str = "GET") -> bool:
        return may(session.role, path, method, by_pin=session.by_pin)

    return render(
        request, f"console/{template}", status, session=session, csrf=request.state.csrf, may=allowed,
        inbox_count=request.state.waiting, places_always=navigation.always(allowed),
        place_groups=navigation.groups(allowed, request.url.path), **view,
    )  # fmt: skip
