"""A code (二维码): shown large, watched while its customer acts, mailed, revoked, extended; the list of them."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import code_requests, codes, merchant, mint, sales, share
from piaoma.desk.codes import CodeState
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.web.errors import explained, status_of
from piaoma.web.live import stream_state
from piaoma.web.page import office_of

from .access import page, read_form, show
from .issuing import code_id_of
from .search import onward, read_filter

REFRESH_SECONDS = 5  # of the code's page without scripts
FINAL_STATES = (CodeState.ISSUED, CodeState.REVOKED)


async def _code(request: Request, session: Session) -> codes.Code:
    return await codes.code(office_of(request), session.merchant_id, code_id_of(request))


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
        asked=await code_requests.latest(office, made.merchant_id, made.code_id),
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
    office, code_id = office_of(request), code_id_of(request)
    try:
        if "revoke" in form:
            await codes.revoke(office, session.actor, code_id)
        elif "extend" in form:
            await codes.extend(office, session.actor, code_id, mint.DAYS_DEFAULT)
        elif "request" in form:
            await code_requests.answer(
                office, session.actor, code_id, _number(form["request"]), accept="accept" in form,
                reason=form.get("reason", ""),
            )  # fmt: skip
        elif "email" in form:
            await share.send_code(office, session.actor, code_id, form["email"])
    except Refused as refused:
        return await _code_page(
            request, session, await _code(request, session), refused.refusals, form.get("email", "")
        )
    return RedirectResponse(f"/console/codes/{code_id}", 303)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 13 else 0


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
    Route("/console/codes/{code_id}", page(show_code)),
    Route("/console/codes/{code_id}", page(change_code), methods=["POST"]),
    Route("/console/codes/{code_id}/symbol.{kind}", page(symbol)),
    Route("/console/codes/{code_id}/large", page(show_large)),
    Route("/console/codes/{code_id}/events", page(events)),
    Route("/console/codes/{code_id}/state.json", page(state)),
]
