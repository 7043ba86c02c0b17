"""扫码开票: making a code, showing it large, watching what its customer does, printing, revoking, extending."""

from __future__ import annotations

import asyncio
import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import accounts, codes, goods, merchant, mint
from piaoma.desk.codes import CodeState
from piaoma.documents.ticket import Ticket, ticket_of_draft
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.web.errors import explained, status_of
from piaoma.web.live import stream_state
from piaoma.web.page import office_of

from .access import page, read_form, show
from .code_form import ROWS, rate_choices, read_days, read_offer
from .search import onward, read_filter

REFRESH_SECONDS = 5  # of the code's page without scripts
PRINT_SIZES = ("58", "80", "a6")
FINAL_STATES = (CodeState.ISSUED, CodeState.REVOKED)


async def new_code(request: Request, session: accounts.Session) -> Response:
    """Amount first; Enter makes the code. Without scripts the button 预览 shows the ticket."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    if request.method != "POST":
        form = {"mint_key": secrets.token_urlsafe(12), "days": str(mint.DAYS_DEFAULT)}
        return await _form_page(request, session, shop, form)
    form = await read_form(request)
    form.setdefault("mint_key", secrets.token_urlsafe(12))
    try:
        offer = await read_offer(office, shop, form)
        if "preview" in form:
            ticket = ticket_of_draft(*mint.preview(office, shop, offer))
            return await _form_page(request, session, shop, form, ticket=ticket)
        mint_key = form.get("mint_key", "")[:60] or secrets.token_urlsafe(12)
        made = await mint.mint(office, shop, offer, mint_key=mint_key, by=session.login, days=read_days(form))
    except Refused as refused:
        return await _form_page(request, session, shop, form, refused.refusals)
    return RedirectResponse(f"/console/codes/{made.code_id}", 303)


async def preview(request: Request, session: accounts.Session) -> Response:
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
    request: Request, session: accounts.Session, shop: merchant.Merchant, form: dict[str, str],
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


async def _code(request: Request, session: accounts.Session) -> codes.Code:
    return await codes.code(office_of(request), session.merchant_id, _code_id(request))


async def show_code(request: Request, session: accounts.Session) -> Response:
    """The code, large and alone, with what its customer is doing."""
    made = await _code(request, session)
    shop = await merchant.merchant(office_of(request), session.merchant_id)
    final = made.state in (*FINAL_STATES, CodeState.EXPIRED)
    return show(
        request, session, "code.html", code=made, shop=shop, errors=[], failures=explained(request, made.refusals),
        refresh=0 if final else REFRESH_SECONDS, final=final,
    )  # fmt: skip


async def symbol(request: Request, session: accounts.Session) -> Response:
    """The symbol as a file, the same bytes each time."""
    made = await _code(request, session)
    if request.path_params["kind"] == "svg":
        return Response(made.symbol.svg, media_type="image/svg+xml")
    if request.path_params["kind"] != "png":
        raise refuse("DOCUMENT-KIND", have=request.path_params["kind"][:10])
    data = await asyncio.to_thread(made.symbol.png)
    name = f"{made.code_id}-{made.total}.png"
    return Response(data, media_type="image/png", headers={"content-disposition": f'inline; filename="{name}"'})


async def print_code(request: Request, session: accounts.Session) -> Response:
    """A slip of 58 or 80 mm, or an A6 card."""
    made = await _code(request, session)
    shop = await merchant.merchant(office_of(request), session.merchant_id)
    size = request.query_params.get("size", "58")
    return show(request, session, "print.html", code=made, shop=shop, size=size if size in PRINT_SIZES else "58")


async def change_code(request: Request, session: accounts.Session) -> Response:
    """Revoke or extend."""
    form = await read_form(request)
    office, code_id = office_of(request), _code_id(request)
    if "revoke" in form:
        await codes.revoke(office, session.merchant_id, code_id)
    elif "extend" in form:
        await codes.extend(office, session.merchant_id, code_id, mint.DAYS_DEFAULT)
    return RedirectResponse(f"/console/codes/{code_id}", 303)


async def events(request: Request, session: accounts.Session) -> Response:
    """The state of a code, live."""
    await _code(request, session)

    async def read() -> tuple[str, bool]:
        made = await _code(request, session)
        return made.state.value, made.state in FINAL_STATES

    return stream_state(request, read)


async def state(request: Request, session: accounts.Session) -> Response:
    """The state of a code, for scripts that poll."""
    return JSONResponse({"state": (await _code(request, session)).state.value})


async def list_codes(request: Request, session: accounts.Session) -> Response:
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
        errors=explained(request, errors), onward="" if errors else onward(asked),
    )  # fmt: skip


routes = [
    Route("/console/codes", page(list_codes)),
    Route("/console/codes/new", page(new_code), methods=["GET", "POST"]),
    Route("/console/codes/preview", page(preview), methods=["POST"]),
    Route("/console/codes/{code_id}", page(show_code)),
    Route("/console/codes/{code_id}", page(change_code), methods=["POST"]),
    Route("/console/codes/{code_id}/symbol.{kind}", page(symbol)),
    Route("/console/codes/{code_id}/print", page(print_code)),
    Route("/console/codes/{code_id}/events", page(events)),
    Route("/console/codes/{code_id}/state.json", page(state)),
]
