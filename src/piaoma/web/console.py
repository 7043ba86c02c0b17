"""The merchant's console (商户后台): register, log in, 扫码开票, codes, records, settings."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from decimal import Decimal, InvalidOperation

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from piaoma.desk import accounts, codes, deliver, goods, merchant, mint, records
from piaoma.desk.codes import CodeState, Offer
from piaoma.documents.ticket import ticket_of, ticket_of_draft
from piaoma.invoice import lines as line_arithmetic
from piaoma.invoice import rates, taxpayer_id
from piaoma.invoice.draft import InvoiceKind, Line, ZeroKind
from piaoma.invoice.money import parse_amount
from piaoma.invoice.original_reader import read
from piaoma.invoice.parties import Buyer, TaxpayerKind
from piaoma.invoice.refusal import Refusal, Refused, refuse, refuse_all
from piaoma.invoice.title_text import parse_title_text

from . import cookies, forms
from .charts import day_bars
from .errors import explained, status_of
from .page import office_of, render
from .scan import STREAM_SECONDS, STREAM_TURN_SECONDS, file_response
from .throttle import Throttle

LINES_SHOWN = 5
TILL_REFRESH_SECONDS = 5
PRINT_SIZES = ("58", "80", "a6")

_logins_from = Throttle(burst=20, per_minute=20, cause="ACCOUNT-TOO-MANY")
_logins_to = Throttle(burst=10, per_minute=6, cause="ACCOUNT-TOO-MANY")
_registrations = Throttle(burst=10, per_minute=6)

Page = Callable[[Request, accounts.Session], Awaitable[Response]]


def page(handler: Page) -> Callable[[Request], Awaitable[Response]]:
    """A page for somebody who is logged in; others are sent to log in, and back afterwards."""

    async def handle(request: Request) -> Response:
        secret = _session_secret(request)
        session = await accounts.session_of(office_of(request), secret)
        if session is None:
            if request.method == "POST":
                raise refuse("ACCOUNT-SESSION-NONE")
            return RedirectResponse(f"/console/login?next={request.url.path}", 303)
        request.state.csrf = forms.csrf_token(request, secret)
        return await handler(request, session)

    return handle


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form of ours. Raises ``Refused`` REQUEST-STALE without its token."""
    fields = await forms.read_form(request)
    forms.check_csrf(request, _session_secret(request), fields.get("csrf", ""))
    return fields


def _session_secret(request: Request) -> str:
    return request.cookies.get(cookies.SESSION, "")


def _show(request: Request, session: accounts.Session, template: str, status: int = 200, /, **view: object) -> Response:
    return render(request, f"console/{template}", status, session=session, csrf=request.state.csrf, **view)


# ── accounts ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def register(request: Request) -> Response:
    """注册: one calm page."""
    if request.method == "GET":
        return render(request, "console/register.html", form={}, errors=[])
    form = await forms.read_form(request)
    _registrations.spend(request.client.host if request.client else "")
    kind = TaxpayerKind.SMALL_SCALE if form.get("taxpayer_kind") == "2" else TaxpayerKind.GENERAL
    wanted = accounts.Registration(
        name=form.get("name", "").strip(),
        taxpayer_id=form.get("taxpayer_id", ""),
        shop_name=form.get("shop_name", "").strip() or form.get("name", "").strip(),
        login=form.get("login", ""),
        password=form.get("password", ""),
        taxpayer_kind=kind,
        contact=form.get("contact", ""),
    )
    try:
        session = await accounts.register(office_of(request), wanted)
    except Refused as refused:
        errors = explained(request, refused.refusals)
        return render(request, "console/register.html", status_of(refused.refusals), form=form, errors=errors)
    return _enter(request, session, "/console")


async def log_in(request: Request) -> Response:
    """登录."""
    if request.method == "GET":
        return render(
            request,
            "console/login.html",
            form={},
            errors=[],
            next=_safe_next(request.query_params.get("next")),
        )
    form = await forms.read_form(request)
    onward = _safe_next(form.get("next"))
    try:
        _logins_from.spend(request.client.host if request.client else "")
        _logins_to.spend(form.get("login", "").strip().lower()[:100])
        session = await accounts.log_in(office_of(request), form.get("login", ""), form.get("password", ""))
    except Refused as refused:
        errors = explained(request, refused.refusals)
        status = status_of(refused.refusals)
        return render(request, "console/login.html", status, form=form, errors=errors, next=onward)
    return _enter(request, session, onward)


def _safe_next(wanted: str | None) -> str:
    """Only a page of our own console may follow."""
    plain = wanted or ""
    return plain if plain.startswith("/console") and not any(mark in plain for mark in "\\:\r\n") else "/console"


def _enter(request: Request, session: accounts.Session, address: str) -> Response:
    response = RedirectResponse(address, 303)
    response.set_cookie(
        cookies.SESSION, session.secret, max_age=accounts.SESSION_DAYS * 86400, httponly=True, samesite="lax",
        secure=office_of(request).config.secure,
    )  # fmt: skip
    return response


async def log_out(request: Request, session: accounts.Session) -> Response:
    await _form(request)
    await accounts.log_out(office_of(request), _session_secret(request))
    response = RedirectResponse("/", 303)
    response.delete_cookie(cookies.SESSION)
    return response


# ── today ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def today(request: Request, session: accounts.Session) -> Response:
    """今天: figures, fourteen days, quota, what needs a look, what is left to set up."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    figures = await records.today(office, session.merchant_id)
    recent = await records.search_invoices(office, session.merchant_id, records.InvoiceFilter())
    stock = await goods.list_goods(office, session.merchant_id)
    return _show(
        request,
        session,
        "today.html",
        shop=shop,
        figures=figures,
        chart=day_bars(figures.days),
        quota=await merchant.quota(office, shop),
        recent=recent.page.items[:8],
        steps={"profile": not shop.missing, "goods": bool(stock), "code": figures.codes_count > 0 or recent.count > 0,
               "scan": recent.count > 0},
        now=office.now(),
    )  # fmt: skip


# ── codes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def new_code(request: Request, session: accounts.Session) -> Response:
    """扫码开票: amount first, Enter makes the code."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    if request.method == "GET":
        form = {"mint_key": secrets.token_urlsafe(12), "days": str(mint.DAYS_DEFAULT)}
        return await _code_form(request, session, shop, form)
    form = await _form(request)
    try:
        offer = await _offer(request, shop, form)
        if "preview" in form:
            draft, lines, totals = mint.preview(office, shop, offer)
            return await _code_form(request, session, shop, form, ticket=ticket_of_draft(draft, lines, totals))
        days = form.get("days", "")
        made = await mint.mint(
            office, shop, offer, mint_key=form.get("mint_key", "")[:60] or secrets.token_urlsafe(12),
            by=session.login, days=int(days) if days.isascii() and days.isdigit() and len(days) < 6 else 0,
        )  # fmt: skip
    except Refused as refused:
        return await _code_form(request, session, shop, form, refused.refusals)
    return RedirectResponse(f"/console/codes/{made.code_id}", 303)


async def _code_form(
    request: Request, session: accounts.Session, shop: merchant.Merchant, form: dict[str, str],
    refusals: tuple[Refusal, ...] = (), ticket: object = None,
) -> Response:  # fmt: skip
    office = office_of(request)
    stock = await goods.list_goods(office, session.merchant_id)
    wanted = form.get("find", "")
    return _show(
        request,
        session,
        "new_code.html",
        status_of(refusals) if refusals else 200,
        shop=shop,
        stock=stock,
        form=form,
        quota=await merchant.quota(office, shop),
        rates=_rates_for(shop, office.now().date()),
        entries=office.catalogue.entries(office.now().date()),
        errors=explained(request, refusals),
        ticket=ticket,
        wanted=wanted,
        extra_rows=range(2, LINES_SHOWN + 1),
    )


def _rates_for(shop: merchant.Merchant, on: date) -> list[tuple[str, str]]:
    """The rates that the seller may choose from, as (value, printed)."""
    if rates.is_small_scale(shop.taxpayer_kind):
        choices = [rates.small_scale_levy(on), rates.ZERO]
    else:
        choices = list(rates.GENERAL_RATES)
    return [(str(rate), rates.printed(rate)) for rate in choices]


async def _offer(request: Request, shop: merchant.Merchant, form: dict[str, str]) -> Offer:
    """What the form offers. Raises ``Refused`` with every fault of its figures."""
    office = office_of(request)
    stock = {str(one.goods_id): one for one in await goods.list_goods(office, shop.merchant_id)}
    faults: list[Refusal] = []
    lines: list[Line] = []
    for row in range(1, LINES_SHOWN + 1):
        try:
            line = _line(form, row, stock)
        except Refused as refused:
            faults += refused.refusals
        else:
            if line is not None:
                lines.append(line)
    refuse_all(faults)
    buyer = None
    if form.get("buyer_name", "").strip() or form.get("buyer_id", "").strip():
        buyer = Buyer(form.get("buyer_name", "").strip(), taxpayer_id.normalise(form.get("buyer_id", "")))
    elif form.get("buyer_block", "").strip():
        buyer = parse_title_text(form["buyer_block"])
    kind = InvoiceKind.SPECIAL if form.get("kind") == "01" else InvoiceKind.GENERAL
    return Offer(kind, tuple(lines), remark=form.get("remark", "").strip(), buyer=buyer)


def _line(form: dict[str, str], row: int, stock: dict[str, goods.Goods]) -> Line | None:
    """One row of the form: an item of the list or a typed one, with an amount or a quantity and a price."""
    field = f"lines[{row - 1}]"
    item = stock.get(form.get(f"goods{row}", ""))
    name = form.get(f"name{row}", "").strip() or (item.name if item else "")
    figures = {key: form.get(f"{key}{row}", "").strip() for key in ("amount", "quantity", "price")}
    if not any(figures.values()) and not name and row > 1:
        return None
    given = {key: parse_amount(text, f"{field}.{key}") if key == "amount" else _figure(text, f"{field}.{key}")
             for key, text in figures.items() if text}  # fmt: skip
    if item and item.price is not None and "amount" not in given and "price" not in given:
        given["price"] = item.price
        given.setdefault("quantity", Decimal(1))
    amount, quantity, price = line_arithmetic.complete(given.get("amount"), given.get("quantity"), given.get("price"))
    if amount is None:
        raise refuse("AMOUNT-EMPTY", f"{field}.amount")
    if quantity is None or price is None:
        quantity = price = None
    rate = form.get(f"rate{row}", "") or (str(item.rate) if item else "")
    if not name or not (item or form.get(f"code{row}", "")):
        # The quick way: nothing chosen. The shop's last item, or a meal, which the customer page names.
        if not name and stock:
            item = next(iter(stock.values()))
            name, rate = item.name, str(item.rate)
        elif not name:
            raise refuse("TEXT-EMPTY", f"{field}.name")
    return Line(
        name=name,
        code=form.get(f"code{row}", "").strip() or (item.code if item else ""),
        rate=_rate(rate, f"{field}.rate"),
        amount=amount,
        quantity=quantity,
        unit_price=price,
        unit=(form.get(f"unit{row}", "").strip() or (item.unit if item else "")) if quantity is not None else "",
        spec=item.spec if item else "",
        zero=item.zero if item else (ZeroKind.ORDINARY if rate in ("0", "0.00") else ZeroKind.NOT_ZERO),
        preference=item.preference if item else "",
    )


def _figure(text: str, field: str) -> Decimal:
    """A quantity or a unit price as typed; the rules judge it further."""
    try:
        value = Decimal(text.replace(",", ""))
    except InvalidOperation:
        raise refuse("AMOUNT-NOT-A-NUMBER", field, have=text[:20]) from None
    if not value.is_finite() or len(text) > 40 or abs(value.adjusted()) > 20:
        raise refuse("AMOUNT-NOT-A-NUMBER", field, have=text[:20])
    if value <= 0:
        raise refuse("AMOUNT-NOT-POSITIVE", field, have=text[:20])
    return value


def _rate(text: str, field: str) -> Decimal:
    try:
        rate = Decimal(text)
    except InvalidOperation:
        raise refuse("RATE-UNKNOWN", field, have=text[:20]) from None
    if not rate.is_finite() or abs(rate.adjusted()) > 6:
        raise refuse("RATE-UNKNOWN", field, have=text[:20])
    return rate


def _code_id(request: Request) -> int:
    text = request.path_params["code_id"]
    if not (text.isascii() and text.isdigit() and len(text) <= 13):
        raise refuse("CODE-NOT-FOUND")
    return int(text)


async def show_code(request: Request, session: accounts.Session) -> Response:
    """The code, large and alone, with what its customer is doing."""
    made = await codes.code(office_of(request), session.merchant_id, _code_id(request))
    shop = await merchant.merchant(office_of(request), session.merchant_id)
    final = made.state in (CodeState.ISSUED, CodeState.REVOKED, CodeState.EXPIRED)
    errors = explained(request, made.refusals)
    return _show(
        request, session, "code.html", code=made, shop=shop, errors=[], failures=errors,
        refresh=0 if final else TILL_REFRESH_SECONDS, final=final,
    )  # fmt: skip


async def symbol(request: Request, session: accounts.Session) -> Response:
    """The symbol as a file, the same bytes each time."""
    made = await codes.code(office_of(request), session.merchant_id, _code_id(request))
    if request.path_params["kind"] == "svg":
        return Response(made.symbol.svg, media_type="image/svg+xml")
    if request.path_params["kind"] != "png":
        raise refuse("DOCUMENT-KIND", have=request.path_params["kind"][:10])
    data = await asyncio.to_thread(made.symbol.png)
    name = f"{made.code_id}-{made.total}.png"
    return Response(data, media_type="image/png", headers={"content-disposition": f'inline; filename="{name}"'})


async def print_code(request: Request, session: accounts.Session) -> Response:
    """A slip of 58 or 80 mm, or an A6 card."""
    made = await codes.code(office_of(request), session.merchant_id, _code_id(request))
    shop = await merchant.merchant(office_of(request), session.merchant_id)
    size = request.query_params.get("size", "58")
    size = size if size in PRINT_SIZES else "58"
    return _show(request, session, "print.html", code=made, shop=shop, size=size)


async def change_code(request: Request, session: accounts.Session) -> Response:
    """Revoke or extend."""
    form = await _form(request)
    office, code_id = office_of(request), _code_id(request)
    if "revoke" in form:
        await codes.revoke(office, session.merchant_id, code_id)
    elif "extend" in form:
        await codes.extend(office, session.merchant_id, code_id, mint.DAYS_DEFAULT)
    return RedirectResponse(f"/console/codes/{code_id}", 303)


async def code_events(request: Request, session: accounts.Session) -> Response:
    """The state of a code as server-sent events, until it is final."""
    office, code_id = office_of(request), _code_id(request)

    async def stream() -> AsyncIterator[str]:
        last = request.headers.get("last-event-id", "")
        for _ in range(int(STREAM_SECONDS / STREAM_TURN_SECONDS)):
            made = await codes.code(office, session.merchant_id, code_id)
            if made.state.value != last:
                last = made.state.value
                yield f"id: {last}\nevent: state\ndata: {json.dumps({'state': last})}\n\n"
            if made.state in (CodeState.ISSUED, CodeState.REVOKED) or await request.is_disconnected():
                return
            await asyncio.sleep(STREAM_TURN_SECONDS)

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})


async def code_state(request: Request, session: accounts.Session) -> Response:
    made = await codes.code(office_of(request), session.merchant_id, _code_id(request))
    return JSONResponse({"state": made.state.value})


async def list_codes(request: Request, session: accounts.Session) -> Response:
    """二维码: all of them, newest first."""
    found = await codes.list_codes(office_of(request), session.merchant_id, request.query_params.get("cursor", ""))
    return _show(request, session, "codes.html", found=found)


# ── records ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def list_invoices(request: Request, session: accounts.Session) -> Response:
    """发票记录: search by number, buyer, amount and date."""
    asked = request.query_params
    try:
        wanted = records.InvoiceFilter(
            text=asked.get("q", ""),
            since=_date(asked.get("since", ""), "since"),
            until=_date(asked.get("until", ""), "until"),
            total_min=parse_amount(asked["min"], "min") if asked.get("min") else None,
            total_max=parse_amount(asked["max"], "max") if asked.get("max") else None,
        )
        found = await records.search_invoices(office_of(request), session.merchant_id, wanted, asked.get("cursor", ""))
    except Refused as refused:
        errors = explained(request, refused.refusals)
        found = await records.search_invoices(office_of(request), session.merchant_id, records.InvoiceFilter())
        return _show(request, session, "invoices.html", 422, found=found, asked=asked, errors=errors, onward="")
    onward = "&".join(f"{key}={value}" for key, value in asked.items() if key != "cursor")
    return _show(request, session, "invoices.html", found=found, asked=asked, errors=[], onward=onward)


def _date(text: str, field: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise refuse("REQUEST-MALFORMED", field, have=text[:20]) from None


async def show_invoice(request: Request, session: accounts.Session) -> Response:
    """One invoice: its ticket, files, deliveries."""
    return await _invoice_page(request, session)


async def _invoice_page(request: Request, session: accounts.Session, refusals: tuple[Refusal, ...] = ()) -> Response:
    office, number = office_of(request), request.path_params["number"]
    found = await records.invoice(office, session.merchant_id, number)
    original = await records.original(office, session.merchant_id, number)
    return _show(
        request, session, "invoice.html", status_of(refusals) if refusals else 200, invoice=found,
        ticket=ticket_of(read(original)), deliveries=await deliver.deliveries(office, session.merchant_id, number),
        errors=explained(request, refusals),
    )  # fmt: skip


async def invoice_file(request: Request, session: accounts.Session) -> Response:
    number = request.path_params["number"]
    original = await records.original(office_of(request), session.merchant_id, number)
    return await file_response(request, original, number, request.path_params["kind"])


async def deliver_invoice(request: Request, session: accounts.Session) -> Response:
    """Send again, or let a dead delivery be tried again."""
    form = await _form(request)
    office, number = office_of(request), request.path_params["number"]
    try:
        if "retry" in form:
            await deliver.retry(office, session.merchant_id, form["retry"][:60])
        else:
            await deliver.send(office, session.merchant_id, number, form.get("email", ""))
    except Refused as refused:
        return await _invoice_page(request, session, refused.refusals)
    return RedirectResponse(f"/console/invoices/{number}#delivery", 303)


# ── settings ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def profile(request: Request, session: accounts.Session) -> Response:
    """开票资料."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    if request.method == "GET":
        form = {field: getattr(shop, field) for field in merchant.PROFILE_FIELDS}
        saved = "saved" in request.query_params
        return _show(request, session, "profile.html", shop=shop, form=form, errors=[], saved=saved)
    form = await _form(request)
    wanted = merchant.Profile(**{field: form.get(field, "") for field in merchant.PROFILE_FIELDS})
    try:
        await merchant.change_profile(office, session.merchant_id, wanted)
    except Refused as refused:
        errors = explained(request, refused.refusals)
        status = status_of(refused.refusals)
        return _show(request, session, "profile.html", status, shop=shop, form=form, errors=errors, saved=False)
    return RedirectResponse("/console/settings/profile?saved=1", 303)


async def stock(request: Request, session: accounts.Session) -> Response:
    """商品库: add, change, remove."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    refusals: tuple[Refusal, ...] = ()
    form: dict[str, str] = {}
    if request.method == "POST":
        form = await _form(request)
        wanted_id = form.get("goods_id", "")
        goods_id = int(wanted_id) if wanted_id.isascii() and wanted_id.isdigit() and len(wanted_id) < 15 else None
        try:
            if "remove" in form and goods_id is not None:
                await goods.remove_goods(office, session.merchant_id, goods_id)
            else:
                await goods.save_goods(office, shop, _goods_form(form), goods_id)
            return RedirectResponse("/console/settings/goods", 303)
        except Refused as refused:
            refusals = refused.refusals
    wanted = request.query_params.get("find", "")
    today = office.now().date()
    return _show(
        request, session, "goods.html", status_of(refusals) if refusals else 200,
        stock=await goods.list_goods(office, session.merchant_id), form=form, errors=explained(request, refusals),
        rates=_rates_for(shop, today), wanted=wanted,
        entries=office.catalogue.search(wanted, today) if wanted else office.catalogue.entries(today),
    )  # fmt: skip


def _goods_form(form: dict[str, str]) -> goods.GoodsForm:
    rate = _rate(form.get("rate", ""), "rate")
    price = form.get("price", "").strip()
    return goods.GoodsForm(
        name=form.get("name", "").strip(),
        code=form.get("code", "").strip(),
        rate=rate,
        price=parse_amount(price, "price") if price else None,
        unit=form.get("unit", "").strip(),
        spec=form.get("spec", "").strip(),
        zero=ZeroKind.ORDINARY if rate == 0 else ZeroKind.NOT_ZERO,
    )


routes = [
    Route("/console/register", register, methods=["GET", "POST"]),
    Route("/console/login", log_in, methods=["GET", "POST"]),
    Route("/console/logout", page(log_out), methods=["POST"]),
    Route("/console", page(today)),
    Route("/console/codes", page(list_codes)),
    Route("/console/codes/new", page(new_code), methods=["GET", "POST"]),
    Route("/console/codes/{code_id}", page(show_code)),
    Route("/console/codes/{code_id}", page(change_code), methods=["POST"]),
    Route("/console/codes/{code_id}/symbol.{kind}", page(symbol)),
    Route("/console/codes/{code_id}/print", page(print_code)),
    Route("/console/codes/{code_id}/events", page(code_events)),
    Route("/console/codes/{code_id}/state.json", page(code_state)),
    Route("/console/invoices", page(list_invoices)),
    Route("/console/invoices/{number}", page(show_invoice)),
    Route("/console/invoices/{number}", page(deliver_invoice), methods=["POST"]),
    Route("/console/invoices/{number}/file/{kind}", page(invoice_file)),
    Route("/console/settings/profile", page(profile), methods=["GET", "POST"]),
    Route("/console/settings/goods", page(stock), methods=["GET", "POST"]),
]
