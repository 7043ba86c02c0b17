"""开票管理: finding an invoice, its ticket, files and deliveries."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import accounts, deliver, records, relations
from piaoma.desk.filters import Filter
from piaoma.desk.reissue_book import latest_reissue
from piaoma.documents.ticket import ticket_of
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained, status_of
from piaoma.web.files import file_response
from piaoma.web.page import office_of

from .access import page, read_form, show
from .search import onward, read_filter

JOB_ID_MAX = 60


async def list_invoices(request: Request, session: accounts.Session) -> Response:
    """Search by number, buyer, amount and date; the search is in the address and can be bookmarked."""
    office, asked = office_of(request), request.query_params
    errors: tuple[Refusal, ...] = ()
    try:
        wanted, cursor = read_filter(asked), asked.get("cursor", "")
        found = await records.search_invoices(office, session.merchant_id, wanted, cursor)
    except Refused as refused:
        errors = refused.refusals
        found = await records.search_invoices(office, session.merchant_id, Filter())
    return show(
        request, session, "invoices.html", 422 if errors else 200, found=found, asked=asked,
        errors=explained(request, errors), onward="" if errors else onward(asked),
    )  # fmt: skip


async def show_invoice(request: Request, session: accounts.Session) -> Response:
    """One invoice: its ticket, files, deliveries."""
    return await _invoice_page(request, session)


async def _invoice_page(request: Request, session: accounts.Session, refusals: tuple[Refusal, ...] = ()) -> Response:
    office, number = office_of(request), request.path_params["number"]
    found = await records.invoice(office, session.merchant_id, number)
    stated = read(await records.original(office, session.merchant_id, number))
    sent = await deliver.deliveries(office, session.merchant_id, number)
    return show(
        request, session, "invoice.html", status_of(refusals) if refusals else 200, invoice=found,
        ticket=ticket_of(stated), keeps_books=not stated.buyer.natural_person, deliveries=sent,
        related=await relations.relations(office, session.merchant_id, number),
        reissue=await latest_reissue(office, session.merchant_id, number),
        errors=explained(request, refusals),
    )  # fmt: skip


async def invoice_file(request: Request, session: accounts.Session) -> Response:
    """The original, or a view of it."""
    return await file_response(request, session.merchant_id, request.path_params["number"], request.path_params["kind"])


async def deliver_invoice(request: Request, session: accounts.Session) -> Response:
    """Send again, or let a dead delivery be tried again."""
    form = await read_form(request)
    office, number = office_of(request), request.path_params["number"]
    try:
        if "retry" in form:
            await deliver.retry(office, session.merchant_id, form["retry"][:JOB_ID_MAX])
        else:
            await deliver.send(office, session.merchant_id, number, form.get("email", ""))
    except Refused as refused:
        return await _invoice_page(request, session, refused.refusals)
    return RedirectResponse(f"/console/invoices/{number}#delivery", 303)


async def retry_deliveries(request: Request, session: accounts.Session) -> Response:
    """Let everything that failed be tried again: after an outage of the mail server, say."""
    await read_form(request)
    await deliver.retry_all(office_of(request), session.merchant_id)
    return RedirectResponse("/console", 303)


routes = [
    Route("/console/invoices", page(list_invoices)),
    Route("/console/invoices/{number}", page(show_invoice)),
    Route("/console/invoices/{number}", page(deliver_invoice), methods=["POST"]),
    Route("/console/deliveries/retry", page(retry_deliveries), methods=["POST"]),
    Route("/console/invoices/{number}/file/{kind}", page(invoice_file)),
]
