"""静态码: hanging up codes for shop, tills and tables; changing, renewing, revoking, printing them; what they do."""

from __future__ import annotations

import secrets
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.codes.symbol import draw
from piaoma.desk import goods, merchant, static_codes, statistics, tills
from piaoma.desk.sessions import Session
from piaoma.desk.static_codes import Item, Mode, StaticCode, StaticState, Terms
from piaoma.invoice.money import parse_amount
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of

from .access import page, read_form, show

WORDS_MAX = 40  # characters looked for in places
_NUMBERS = ("days_back", "device_max", "hour_max")


async def list_static(request: Request, session: Session) -> Response:
    """Every static code of a state, with what it did in thirty days."""
    office, asked = office_of(request), request.query_params
    state = asked.get("state", StaticState.ACTIVE)
    found = await static_codes.list_static_codes(office, session.merchant_id, state, asked.get("q", "")[:WORDS_MAX])
    mode = asked.get("mode", "")
    return show(
        request, session, "static_codes.html", found=[one for one in found if mode in ("", one.terms.mode)],
        figures=await statistics.figures(office, session.merchant_id), asked=asked, states=list(StaticState),
        modes=list(Mode), nothing=statistics.Figures(), state=state,
    )  # fmt: skip


async def new_static(request: Request, session: Session) -> Response:
    """One form for one code or for sixty tables."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    if request.method != "POST":
        form = {**_form_of(Terms(Item("", "", Decimal(0)))), "make_key": secrets.token_urlsafe(12), "places": ""}
        form["shop_id"] = str(session.shop_id or "")
        return await _form_page(request, session, form)
    form = await read_form(request)
    try:
        places = static_codes.expand_places(form.get("places", "")[:4000])
        terms = await _terms(request, session, form)
        make_key = form.get("make_key", "")[:40] or secrets.token_urlsafe(12)
        made = await static_codes.make(
            office, shop, places, terms, make_key=make_key, by=session.actor, shop_id=_shop(form)
        )
    except Refused as refused:
        return await _form_page(request, session, form, refused.refusals)
    if len(made) == 1:
        return RedirectResponse(f"/console/static/{made[0].static_id}", 303)
    return RedirectResponse("/console/static", 303)


async def change_static(request: Request, session: Session) -> Response:
    """Place and terms; the symbol stays."""
    office = office_of(request)
    code = await _code(request, session)
    if request.method != "POST":
        kept = {**_form_of(code.terms), "places": code.place, "shop_id": str(code.shop_id or "")}
        return await _form_page(request, session, kept, code=code)
    form = await read_form(request)
    try:
        terms = await _terms(request, session, form, code)
        place = form.get("places", "").strip()
        await static_codes.change(office, session.actor, code.static_id, place, terms, _shop(form))
    except Refused as refused:
        return await _form_page(request, session, form, refused.refusals, code)
    return RedirectResponse(f"/console/static/{code.static_id}?saved=1", 303)


def _form_of(terms: Terms) -> dict[str, str]:
    """The fields of the form that terms fill."""
    numbers = {field: str(getattr(terms, field)) for field in (*_NUMBERS, "amount_min", "amount_max")}
    listed = {"listed": "1"} if terms.listed else {}
    return {"mode": terms.mode.value, **numbers, **listed}


async def _form_page(
    request: Request, session: Session, form: dict[str, str], refusals: tuple[Refusal, ...] = (),
    code: StaticCode | None = None,
) -> Response:  # fmt: skip
    return show(
        request, session, "static_form.html", status_of(refusals) if refusals else 200, form=form, code=code,
        stock=await goods.list_goods(office_of(request), session.merchant_id), errors=explained(request, refusals),
        modes=list(Mode),
        shops=[one for one in await tills.shops(office_of(request), session.merchant_id) if one.active],
    )  # fmt: skip


def _shop(form: dict[str, str]) -> int | None:
    """The shop that was chosen. Raises ``Refused`` SHOP-NOT-FOUND."""
    chosen = form.get("shop_id", "")
    if chosen and not (chosen.isascii() and chosen.isdigit() and len(chosen) <= 18):
        raise refuse("SHOP-NOT-FOUND", "shop_id")
    return int(chosen) if chosen else None


async def _terms(request: Request, session: Session, form: dict[str, str], code: StaticCode | None = None) -> Terms:
    """What the form says. Raises ``Refused`` with every fault, at its field."""
    faults: list[Refusal] = []
    lowest, highest = (_amount(form, field, faults) for field in ("amount_min", "amount_max"))
    days_back, device_max, hour_max = (_number(form, field, faults) for field in _NUMBERS)
    item = await _item(request, session, form.get("goods", ""), code)
    if item is None:
        faults.append(Refusal("GOODS-NOT-FOUND", "goods"))
    if faults or item is None:
        raise Refused(*faults)
    mode = Mode.SALE if form.get("mode") == Mode.SALE else Mode.APPROVAL
    return Terms(item, mode, lowest, highest, days_back, device_max, hour_max, "listed" in form)


def _amount(form: dict[str, str], field: str, faults: list[Refusal]) -> Decimal:
    try:
        return parse_amount(form.get(field, ""), field)
    except Refused as refused:
        faults += refused.refusals
        return Decimal(0)


def _number(form: dict[str, str], field: str, faults: list[Refusal]) -> int:
    typed = form.get(field, "").strip()
    if typed.isascii() and typed.isdigit() and len(typed) < 6:
        return int(typed)
    faults.append(Refusal("STATIC-TERMS", field))
    return 0


async def _item(request: Request, session: Session, chosen: str, code: StaticCode | None) -> Item | None:
    """The goods that were chosen, as they are now; ``kept`` leaves what the code has."""
    if code is not None and chosen in ("", "kept"):
        return code.terms.item
    for one in await goods.list_goods(office_of(request), session.merchant_id):
        if str(one.goods_id) == chosen:
            return Item(one.name, one.code, one.rate, one.zero, one.preference)
    return None


async def _code(request: Request, session: Session) -> StaticCode:
    text = request.path_params["static_id"]
    if not (text.isascii() and text.isdigit() and len(text) <= 13):
        raise refuse("CODE-NOT-FOUND")
    return await static_codes.static_code(office_of(request), session.merchant_id, int(text))


async def show_static(request: Request, session: Session) -> Response:
    """One code: its symbol, what it allows, what it did, what may be done with it."""
    office, code = office_of(request), await _code(request, session)
    shop = await merchant.merchant(office, session.merchant_id)
    found = await statistics.figures(office, session.merchant_id)
    return show(
        request, session, "static_code.html", code=code, shop=shop, proof=await static_codes.proof_of(code),
        figures=found.get(code.static_id, statistics.Figures()), errors=[], saved="saved" in request.query_params,
    )  # fmt: skip


async def do_static(request: Request, session: Session) -> Response:
    """Renew or revoke."""
    form, code = await read_form(request), await _code(request, session)
    office = office_of(request)
    if "renew" in form:
        new = await static_codes.renew(office, session.actor, code.static_id)
        return RedirectResponse(f"/console/static/{new.static_id}?saved=1", 303)
    if "revoke" in form:
        await static_codes.revoke(office, session.actor, code.static_id)
    return RedirectResponse(f"/console/static/{code.static_id}", 303)


async def symbol(request: Request, session: Session) -> Response:
    """The symbol as a drawing, the same bytes each time."""
    return Response(draw((await _code(request, session)).url).svg, media_type="image/svg+xml")


routes = [
    Route("/console/static", page(list_static)),
    Route("/console/static/new", page(new_static), methods=["GET", "POST"]),
    Route("/console/static/{static_id}", page(show_static)),
    Route("/console/static/{static_id}", page(do_static), methods=["POST"]),
    Route("/console/static/{static_id}/change", page(change_static), methods=["GET", "POST"]),
    Route("/console/static/{static_id}/symbol.svg", page(symbol)),
]
