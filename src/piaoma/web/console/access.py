"""Who may see a console page, and the token that every form of it carries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from piaoma.desk import accounts
from piaoma.desk.applications import waiting_count
from piaoma.invoice.refusal import refuse
from piaoma.web import cookies, forms
from piaoma.web.page import office_of, render

Page = Callable[[Request, accounts.Session], Awaitable[Response]]


def page(handler: Page) -> Callable[[Request], Awaitable[Response]]:
    """A page for somebody who is logged in; others are sent to log in, and back afterwards."""

    async def handle(request: Request) -> Response:
        secret = session_secret(request)
        session = await accounts.session_of(office_of(request), secret)
        if session is None:
            if request.method == "POST":
                raise refuse("ACCOUNT-SESSION-NONE")
            return RedirectResponse(f"/console/login?next={request.url.path}", 303)
        request.state.csrf = forms.csrf_token(request, secret)
        request.state.waiting = await waiting_count(office_of(request), session.merchant_id)
        return await handler(request, session)

    return handle


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form of ours. Raises ``Refused`` REQUEST-STALE without its token."""
    fields = await forms.read_form(request)
    forms.check_csrf(request, session_secret(request), fields.get("csrf", ""))
    return fields


def session_secret(request: Request) -> str:
    """The cookie's value; empty when there is none."""
    return request.cookies.get(cookies.SESSION, "")


def show(request: Request, session: accounts.Session, template: str, status: int = 200, /, **view: object) -> Response:
    """A page of the console."""
    return render(request, f"console/{template}", status, session=session, csrf=request.state.csrf,
                  inbox_count=request.state.waiting, **view)  # fmt: skip
