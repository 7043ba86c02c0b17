"""资料体检: what has gone stale in goods, buyers and addresses, each with the one tap that mends it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from piaoma.desk.checkup import check_up
from piaoma.desk.sessions import Session
from piaoma.web.errors import explained
from piaoma.web.page import office_of

from .access import page, show


async def checked(request: Request, session: Session) -> Response:
    """The list, empty when all is well."""
    found = await check_up(office_of(request), session.merchant_id)
    rows = [(one, explained(request, one.faults)) for one in found]
    return show(request, session, "checkup.html", rows=rows, errors=[])


routes = [Route("/console/settings/check", page(checked))]
