"""扫码开票: making a code, showing it large, watching what its customer does, printing, revoking, extending."""

from __future__ import annotations

import asyncio
import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import codes, factors, goods, merchant, mint, sales, share
from piaoma.desk.codes import CodeState
from piaoma.desk.sessions import Session
from piaoma.documents.ticket import Ticket, ticket_of_draft
from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.web.errors import explained, status_of
from piaoma.web.live import stream_state
from piaoma.web.page import office_of

from .access import page, read_form, show
from .code_form import ROWS, rate_choices, read_days, read_offer
from .search import onward, read_filter

REFRESH_SECONDS = 5  # of the code's page without scripts
FINAL_STATES = (CodeState.ISSUED, CodeState.REVOKED)


async def new_code(request: Request, session: Session) -> Response:
    """Amount first; Enter makes the code. Without scripts the button 预览 shows the ticket."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    empty = {"mint_key": secrets.token_urlsafe(12), "days": str(mint.DAYS_DEFAULT)}
    if request.method != "POST":
        return await _form_page(request, session, shop, empty)
    form = empty | await read_form(request)
    try:
        offer = await read_offer(office, shop, form)
        if "preview" in form:
            ticket = ticket_of_draft(*mint.preview(office, shop, offer))
            return await _form_page(request, session, shop, form, ticket=ticket)
        if offer.kind is InvoiceKind.SPECIAL:
            factors.demand(office, session, "special")
        mint_key = form.get("mint_key", "")[:60] or secrets.token_urlsafe(12)
        made = await mint.mint(office, shop, offer, mint_key=mint_key, by=session.actor, days=read_days(form))
    except Refused as refused:
        return await _form_page(request, session, shop, form, refused.refusals)
    return RedirectResponse(f"/console/codes/{made.code_id}", 303)


async def preview(request: Request, session: Session) -> Response:
    """The ticket of what is typed so far, for the script that keeps it up to date while the form is filled in."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    form = await read_form(request)
    try:
        ticket = ticket_of_draft(*mint.preview(office, shop, await read_offer(office, shop, form)))
    except Refused as refused:
        return show(request, session, "preview.html", ticket=None, errors=explained(request, refused.refusals))
    return show(request, session, "preview.html", ticket=ticket, errors=[])


async def _form_page(
    request: Request, session: Session, shop: merchant.Merchant, form: dict[str, str],
    refusals: tuple[Refusal, ...] = (), ticket: Ticket | None = None,
) -> Response:  # fmt: skip
    office = office_of(request)
    return show(
        request, session, "new_code.html", status_of(refusals) if refusals else 200, shop=shop, form=form,
        stock=await goods.list_goods(office, session.merchant_id), quota=await merchant.quota(office, shop),
        rates=rate_choices(shop, office.now().date()), errors=explained(request, refusals), ticket=ticket,
        rows=range(1, ROWS + 1),
    )  # fmt: skip


def _code_id(request: Request) -> int:
    text = request.path_params["code_id"]
    if not (text.isascii() and text.isdigit() and len(text) <= 13):
        raise refuse("CODE-NOT-FOUND")
    return int(text)


async def _code(request: Request, session: Session) -> codes.Code:
    return await codes.code(office_of(request), session.merchant_id, _code_id(request))


async def show_code(request: Request, session: Session) -> Response:
    """The code, large and alone, with what its customer is doing."""
    return await _code_page(request, session, await _code(request, session))


async def _code_page(
    request: Request, session: Session, made: codes.Code, refusals: tuple[Refusal, ...] = (), typed: str = ""
) -> Response:
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    final = made.state in (*FINAL_STATES, CodeState.EXPIRED)
    return show(
        request, session, "code.html", status_of(refusals) if refusals else 200, code=made, shop=shop,
        errors=explained(request, refusals), failures=explained(request, made.refusals), email=typed,
        refresh=0 if final or refusals else REFRESH_SECONDS, final=final,
        message=share.message(shop, made, sandbox=office.config.sandbox),
        sent=await share.sent(office, made.merchant_id, made.code_id),
        sale_number=await sales.sale_number(office, made.merchant_id, made.code_id), carriers=share.carriers(),
    )  # fmt: skip


async def symbol(request: Request, session: Session) -> Response:
    """The symbol as a file, the same bytes each time."""
    made = await _code(request, session)
    if request.path_params["kind"] == "svg":
        return Response(made.symbol.svg, media_type="image/svg+xml")
    if request.path_params["kind"] != "png":
        raise refuse("DOCUMENT-KIND", have=request.path_params["kind"][:10])
    data = await asyncio.to_thread(made.symbol.png)
    name = f"{made.code_id}-{made.total}.png"
    return Response(data, media_type="image/png", headers={"content-disposition": f'inline; filename="{name}"'})


async def show_large(request: Request, session: Session) -> Response:
    """The symbol as large as the screen, with shop, amount and kind, and nothing else."""
    made = await _code(request, session)
    shop = await merchant.merchant(office_of(request), session.merchant_id)
    final = made.state in (*FINAL_STATES, CodeState.EXPIRED)
    return show(
        request, session, "large.html", code=made, shop=shop, final=final, refresh=0 if final else REFRESH_SECONDS
    )


async def change_code(request: Request, session: Session) -> Response:
    """Revoke, extend, or mail its address to the customer."""
    form = await read_form(request)
    office, code_id = office_of(request), _code_id(request)
    try:
        if "revoke" in form:
            await codes.revoke(office, session.actor, code_id)
        elif "extend" in form:
            await codes.extend(office, session.actor, code_id, mint.DAYS_DEFAULT)
        elif "email" in form:
            await share.send_code(office, session.actor, code_id, form["email"])
    except Refused as refused:
        return await _code_page(
            request, session, await _code(request, session), refused.refusals, form.get("email", "")
        )
    return RedirectResponse(f"/console/codes/{code_id}", 303)


async def events(request: Request, session: Session) -> Response:
    """The state of a code, live."""
    await _code(request, session)

    async def read() -> tuple[str, bool]:
        made = await _code(request, session)
        return made.state.value, made.state in FINAL_STATES

    return stream_state(request, read)


async def state(request: Request, session: Session) -> Response:
    """The state of a code, for scripts that poll."""
    return JSONResponse({"state": (await _code(request, session)).state.value})


async def list_codes(request: Request, session: Session) -> Response:
    """二维码: searched by goods, title, amount, date and state, newest first."""
    office, asked = office_of(request), request.query_params
    errors: tuple[Refusal, ...] = ()
    try:
        wanted, cursor = read_filter(asked), asked.get("cursor", "")
        found = await codes.list_codes(office, session.merchant_id, wanted, asked.get("state", ""), cursor)
    except Refused as refused:
        errors = refused.refusals
        found = await codes.list_codes(office, session.merchant_id)
    return show(
        request, session, "codes.html", 422 if errors else 200, found=found, asked=asked, states=list(CodeState),
        stages=tuple(codes.STAGES), errors=explained(request, errors), onward="" if errors else onward(asked),
    )  # fmt: skip


routes = [
    Route("/console/codes", page(list_codes)),
    Route("/console/codes/new", page(new_code), methods=["GET", "POST"]),
    Route("/console/codes/preview", page(preview), methods=["POST"]),
    Route("/console/codes/{code_id}", page(show_code)),
    Route("/console/codes/{code_id}", page(change_code), methods=["POST"]),
    Route("/console/codes/{code_id}/symbol.{kind}", page(symbol)),
    Route("/console/codes/{code_id}/large", page(show_large)),
    Route("/console/codes/{code_id}/events", page(events)),
    Route("/console/codes/{code_id}/state.json", page(state)),
]
