"""What stands behind figures: attempts that failed, invoices by waiting time; and what paper would have taken."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from piaoma import index
from piaoma.desk import failures, waited
from piaoma.desk.indexing import catch_up
from piaoma.desk.savings import FIGURE_MAX, Assumptions, savings
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of

from .access import page, show
from .search import read_days

CAUSE_MAX = 60  # characters
BOUND_DIGITS_MAX = 13  # of a waiting time in an address
ASSUMED_MAX = 12  # characters of an assumption
ASSUMED = ("sheets", "sheet_yuan", "minutes", "hour_yuan")


async def list_failures(request: Request, session: Session) -> Response:
    """Causes with their counts, and the attempts of one or all."""
    office, asked = office_of(request), request.query_params
    cause = asked.get("cause", "")[:CAUSE_MAX]
    found = await failures.list_failures(office, session.merchant_id, cause, asked.get("cursor", ""))
    return show(
        request, session, "failures.html", found=found, cause=cause, days=failures.KEPT_DAYS,
        causes=await failures.by_cause(office, session.merchant_id),
    )  # fmt: skip


async def list_waited(request: Request, session: Session) -> Response:
    """The invoices behind one row of the waiting times."""
    asked = request.query_params
    typed = asked.get("within", "")
    bound = int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= BOUND_DIGITS_MAX else 0
    found = await waited.waited(office_of(request), session.merchant_id, bound, asked.get("cursor", ""))
    return show(request, session, "waited.html", found=found, bound=bound, bounds=index.WAIT_BOUNDS_S)


async def show_savings(request: Request, session: Session) -> Response:
    """The estimate of some days; its assumptions are in the address, so they can be kept as a bookmark."""
    office, asked = office_of(request), request.query_params
    today = office.now().date()
    errors: tuple[Refusal, ...] = ()
    try:
        since, until = read_days(asked)
    except Refused as refused:
        errors, since, until = refused.refusals, None, None
    first, last = since or today.replace(day=1), until or today
    await catch_up(office)
    rows = await index.sums(office.database, session.merchant_id, "colour", first, last)
    invoices = sum(row.invoices for row in rows if row.value == index.BLUE)
    assumed = _assumed(asked)
    return show(
        request, session, "savings.html", status_of(errors) if errors else 200, first=first, last=last,
        assumed=assumed, names=ASSUMED, found=savings(invoices, assumed), errors=explained(request, errors),
    )  # fmt: skip


def _assumed(asked: Mapping[str, str]) -> Assumptions:
    """What the address assumes; what cannot be stands at the usual."""
    usual = Assumptions()
    return Assumptions(**{name: _figure(asked.get(name, ""), getattr(usual, name)) for name in ASSUMED})


def _figure(text: str, usual: Decimal) -> Decimal:
    whole, _, rest = text.strip().partition(".")
    if not (whole + rest).isdigit() or not (whole + rest).isascii() or len(text) > ASSUMED_MAX:
        return usual
    return min(Decimal(f"{whole or 0}.{rest or 0}"), FIGURE_MAX)


routes = [
    Route("/console/reports/failures", page(list_failures)),
    Route("/console/reports/waits", page(list_waited)),
    Route("/console/reports/savings", page(show_savings)),
]
