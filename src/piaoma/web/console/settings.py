"""开票资料 and 商品库: what stands on every invoice, what is sold, and finding a classification code."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import goods, merchant
from piaoma.desk.office import Office
from piaoma.desk.sessions import Session
from piaoma.desk.typed_lines import chosen_rate
from piaoma.invoice.money import parse_amount
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of

from .access import ask_password, page, read_form, show
from .code_fill import rate_choice
from .code_form import levy_choices, rate_choices

TYPED_MAX = 50


async def profile(request: Request, session: Session) -> Response:
    """开票资料."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    if request.method != "POST":
        form = {field: getattr(shop, field) for field in (*merchant.PROFILE_FIELDS, *merchant.PROFILE_CHOICES)}
        saved = "saved" in request.query_params
        return show(request, session, "profile.html", shop=shop, form=form, errors=[], saved=saved)
    form = await read_form(request)
    wanted = msgspec.convert(
        {field: form.get(field, "") for field in merchant.PROFILE_FIELDS}
        | {field: field in form for field in merchant.PROFILE_CHOICES},
        merchant.Profile,
    )
    try:
        await ask_password(request, session, form)
        await merchant.change_profile(office, session.actor, wanted)
    except Refused as refused:
        errors = explained(request, refused.refusals)
        status = status_of(refused.refusals)
        return show(request, session, "profile.html", status, shop=shop, form=form, errors=errors, saved=False)
    return RedirectResponse("/console/settings/profile?saved=1", 303)


async def stock(request: Request, session: Session) -> Response:
    """商品库: find, add, change, remove."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    refusals: tuple[Refusal, ...] = ()
    form: dict[str, str] = {}
    if request.method == "POST":
        form = await read_form(request)
        goods_id = _goods_id(form.get("goods_id", ""))
        try:
            if "remove" in form and goods_id is not None:
                await goods.remove_goods(office, session.actor, goods_id)
            else:
                await goods.save_goods(office, shop, _goods_form(office, shop, form), session.actor, goods_id)
            return RedirectResponse("/console/settings/goods", 303)
        except Refused as refused:
            refusals = refused.refusals
    elif _goods_id(request.query_params.get("change", "")) is not None:
        form = _form_of(await goods.goods_of(office, session.merchant_id, int(request.query_params["change"])))
    wanted = request.query_params.get("find", "")[:TYPED_MAX]
    looked_for = request.query_params.get("q", "")[:TYPED_MAX]
    today = office.now().date()
    return show(
        request, session, "goods.html", status_of(refusals) if refusals else 200, form=form,
        stock=await goods.find_goods(office, session.merchant_id, looked_for), looked_for=looked_for,
        count=await goods.count_goods(office, session.merchant_id), errors=explained(request, refusals),
        rates=[*rate_choices(shop, today), *levy_choices(shop)], wanted=wanted,
        entries=office.catalogue.search(wanted, today),
    )  # fmt: skip


def _form_of(item: goods.Goods) -> dict[str, str]:
    """The form of an item."""
    price = "" if item.price is None else f"{item.price:f}"
    return {
        "goods_id": str(item.goods_id), "name": item.name, "code": item.code, "rate": rate_choice(item), "price": price,
        "unit": item.unit, "spec": item.spec, "own_code": item.own_code,
    }  # fmt: skip


def _goods_id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 15 else None


def _goods_form(office: Office, shop: merchant.Merchant, form: dict[str, str]) -> goods.GoodsForm:
    """What the form says of an item. A price is tax-inclusive; no rate means the usual one of the code."""

    code = form.get("code", "").strip()
    rate, zero, preference = chosen_rate(office, shop, form.get("rate", ""), code, "rate")
    price = form.get("price", "").strip()
    return goods.GoodsForm(
        name=form.get("name", "").strip(),
        code=code,
        rate=rate,
        price=parse_amount(price, "price") if price else None,
        unit=form.get("unit", "").strip(),
        spec=form.get("spec", "").strip(),
        zero=zero,
        preference=preference,
        own_code=form.get("own_code", "").strip(),
    )


async def find_codes(request: Request, session: Session) -> Response:
    """Classification codes for what is typed: a name of goods, pinyin initials or the beginning of a code."""
    office = office_of(request)
    today = office.now().date()
    typed = request.query_params.get("q", "")[:TYPED_MAX]
    found = office.catalogue.search(typed, today) or office.catalogue.suggest(typed, today)
    shop = await merchant.merchant(office, session.merchant_id)
    usual = {one.code: goods.usual_rate(office, shop, one.code) for one in found}
    rows = [
        {"code": one.code, "name": one.name, "short": one.short_name, "rate": str(usual[one.code] or "")}
        for one in found
    ]
    return JSONResponse(rows, headers={"cache-control": "private, max-age=300"})


routes = [
    Route("/console/settings/profile", page(profile), methods=["GET", "POST"]),
    Route("/console/settings/goods", page(stock), methods=["GET", "POST"]),
    Route("/console/classification.json", page(find_codes)),
]
