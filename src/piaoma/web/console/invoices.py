"""开票管理: finding invoices, saved searches; one invoice with its ticket, timeline, files and deliveries."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma import index
from piaoma.desk import deliver, records, relations, saved
from piaoma.desk.reissue_book import latest_reissue
from piaoma.desk.sessions import Session
from piaoma.desk.timeline import timeline
from piaoma.documents.ticket import ticket_of
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained, status_of
from piaoma.web.files import file_response
from piaoma.web.page import office_of

from .access import page, read_form, show
from .search import CHOICES, onward, read_wanted, searched

JOB_ID_MAX = 60


async def list_invoices(request: Request, session: Session) -> Response:
    """Search by everything; the search is in the address and can be bookmarked. Without one, the merchant's own
    first search opens."""
    if not request.query_params:
        for one in await saved.list_saved(office_of(request), session.merchant_id):
            if one.opens and one.search:
                return RedirectResponse(f"/console/invoices?{one.search}", 303)
    return await list_page(request, session)


async def list_page(request: Request, session: Session, refusals: tuple[Refusal, ...] = ()) -> Response:
    """The list as the address asks for it; with what was refused when something was to be done with it."""
    office, asked = office_of(request), request.query_params
    errors: tuple[Refusal, ...] = ()
    try:
        wanted, cursor = read_wanted(asked), asked.get("cursor", "")
        found = await records.search_invoices(office, session.merchant_id, wanted, cursor)
    except Refused as refused:
        errors = refused.refusals
        found = await records.search_invoices(office, session.merchant_id, index.Wanted())
    refusals = (*refusals, *errors)
    return show(
        request, session, "invoices.html", status_of(refusals) if refusals else 200, found=found, asked=asked,
        errors=explained(request, refusals), onward="" if errors else onward(asked), search=searched(asked),
        narrowed=any(asked.get(name) for name in CHOICES), page_path="/console/invoices",
        clerks=[one for one in await index.choices(office.database, session.merchant_id, "clerk") if one],
        shops=[one for one in await index.choices(office.database, session.merchant_id, "shop") if one],
        rates=await index.rates_of(office.database, session.merchant_id),
        saved=await saved.list_saved(office, session.merchant_id),
    )  # fmt: skip


async def save_search(request: Request, session: Session) -> Response:
    """Keep the search of the list under a name, or remove one."""
    form = await read_form(request)
    office = office_of(request)
    if "forget" in form:
        await saved.forget(office, session.actor, form["forget"][: saved.NAME_MAX])
        return RedirectResponse("/console/invoices?all=1", 303)
    # Only what our own form writes is kept, whatever was sent.
    kept = searched(request.query_params)
    try:
        one = saved.Saved(form.get("name", ""), kept, "opens" in form)
        await saved.save(office, session.actor, one)
    except Refused as refused:
        return await list_page(request, session, refused.refusals)
    return RedirectResponse(f"/console/invoices?{kept or 'all=1'}", 303)


async def show_invoice(request: Request, session: Session) -> Response:
    """One invoice: its ticket, files, timeline, deliveries."""
    return await _invoice_page(request, session)


async def _invoice_page(request: Request, session: Session, refusals: tuple[Refusal, ...] = ()) -> Response:
    office, number = office_of(request), request.path_params["number"]
    found = await records.invoice(office, session.merchant_id, number)
    stated = read(await records.original(office, session.merchant_id, number))
    sent = await deliver.deliveries(office, session.merchant_id, number)
    return show(
        request, session, "invoice.html", status_of(refusals) if refusals else 200, invoice=found,
        ticket=ticket_of(stated), keeps_books=not stated.buyer.natural_person, deliveries=sent,
        related=await relations.relations(office, session.merchant_id, number),
        reissue=await latest_reissue(office, session.merchant_id, number),
        events=await timeline(office, found, sent),
        errors=explained(request, refusals),
    )  # fmt: skip


async def invoice_file(request: Request, session: Session) -> Response:
    """The original, or a view of it."""
    return await file_response(request, session.merchant_id, request.path_params["number"], request.path_params["kind"])


async def deliver_invoice(request: Request, session: Session) -> Response:
    """Send again, or let a dead delivery be tried again."""
    form = await read_form(request)
    office, number = office_of(request), request.path_params["number"]
    try:
        if "retry" in form:
            await deliver.retry(office, session.merchant_id, form["retry"][:JOB_ID_MAX], session.actor)
        else:
            await deliver.send(office, session.merchant_id, number, form.get("email", ""), by=session.actor)
    except Refused as refused:
        return await _invoice_page(request, session, refused.refusals)
    return RedirectResponse(f"/console/invoices/{number}#delivery", 303)


async def retry_deliveries(request: Request, session: Session) -> Response:
    """Let everything that failed be tried again: after an outage of the mail server, say."""
    await read_form(request)
    await deliver.retry_all(office_of(request), session.actor)
    return RedirectResponse("/console", 303)


routes = [
    Route("/console/invoices", page(list_invoices)),
    Route("/console/invoices/searches", page(save_search), methods=["POST"]),
    Route("/console/invoices/{number}", page(show_invoice)),
    Route("/console/invoices/{number}", page(deliver_invoice), methods=["POST"]),
    Route("/console/deliveries/retry", page(retry_deliveries), methods=["POST"]),
    Route("/console/invoices/{number}/file/{kind}", page(invoice_file)),
]
