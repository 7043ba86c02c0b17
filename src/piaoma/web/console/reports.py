"""报表: output tax by month, kind and rate; what was issued by day, kind, clerk or shop."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from piaoma.desk import issued_report, tax_report
from piaoma.desk.issued_report import COLUMNS
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained, status_of
from piaoma.web.page import language_of, office_of, words

from .access import page, show
from .search import read_days

HEAD = ("month", "kind", "colour", "rate", "lines", "amount", "tax")


async def taxes(request: Request, session: Session) -> Response:
    """The report of some months, this one at first; each row leads to its invoices."""
    office, asked = office_of(request), request.query_params
    now = f"{office.now():%Y-%m}"
    errors: tuple[Refusal, ...] = ()
    first, last = asked.get("first") or now, asked.get("last") or asked.get("first") or now
    try:
        found = await tax_report.report(office, session.merchant_id, first, last)
    except Refused as refused:
        errors = refused.refusals
        found = await tax_report.report(office, session.merchant_id, now, now)
    if asked.get("as") == "csv" and not errors:
        head = tuple(words()[f"head_{name}"][language_of(request)] for name in HEAD)
        name = f"output-tax-{first}-{last}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(tax_report.as_csv(found, head), media_type="text/csv; charset=utf-8", headers=headers)
    return show(
        request, session, "taxes.html", status_of(errors) if errors else 200, report=found, first=first, last=last,
        errors=explained(request, errors),
    )  # fmt: skip


async def issued(request: Request, session: Session) -> Response:
    """Invoices of some days by the values of one column; each row leads to the list with the same sum."""
    office, asked = office_of(request), request.query_params
    today = office.now().date()
    errors: tuple[Refusal, ...] = ()
    by = asked.get("by", "")
    column = by if by in COLUMNS else COLUMNS[0]
    try:
        since, until = read_days(asked)
    except Refused as refused:
        errors, since, until = refused.refusals, None, None
    found = await issued_report.report(
        office, session.merchant_id, column, since or today.replace(day=1), until or today
    )
    return show(
        request, session, "issued.html", status_of(errors) if errors else 200, report=found, by=column,
        columns=COLUMNS, errors=explained(request, errors),
    )  # fmt: skip


routes = [Route("/console/reports/taxes", page(taxes)), Route("/console/reports/issued", page(issued))]
