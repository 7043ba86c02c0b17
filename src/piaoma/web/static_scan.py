"""The customer's pages of a static code (静态码): apply, or type a sale number; then the application.

``/t/TOKEN`` is what hangs on the wall. ``/a/TOKEN`` is one application, at one address for its whole life; when its
invoice is there the address leads on to it.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from piaoma.codes.pickup import pickup_code
from piaoma.codes.token import canonical
from piaoma.delivery import masked
from piaoma.desk import applications, deliver, static_codes
from piaoma.desk.applications import Application, ApplicationState, Wanted
from piaoma.desk.codes import CodeState, code_state
from piaoma.desk.merchant import Merchant, merchant
from piaoma.desk.sales import find_sale
from piaoma.desk.scan import unlock
from piaoma.desk.static_codes import StaticCode
from piaoma.invoice import taxpayer_id
from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.money import parse_amount
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.invoice.title_text import parse_title_text

from . import cookies, forms
from .errors import explained, status_of
from .live import stream_state
from .looking import carried, carried_parts
from .page import office_of, render
from .scan import REFRESH_SECONDS
from .signed import pack, unpack
from .throttle import Throttle

FINAL_STATES = (ApplicationState.REFUSED, ApplicationState.WITHDRAWN, ApplicationState.EXPIRED)
TYPED_FIELDS = ("total", "paid_on", "name", "taxpayer_id", "person_name", "block", "email", "title", "special")

_strangers = Throttle(burst=60, per_minute=60)  # tokens that are not ours, from one address
_applications = Throttle(burst=20, per_minute=10)  # of one code from one address; guests may share one
_numbers = Throttle(burst=10, per_minute=0.5)  # wrong sale numbers, for one code from one address
_all_numbers = Throttle(burst=120, per_minute=10)  # wrong sale numbers, for one code from everywhere
_scans = Throttle(burst=10, per_minute=20)  # counted as scans, of one code from one address


class Button(msgspec.Struct, frozen=True, array_like=True):
    """What an apply button stands for: signed, so that a double tap is one application."""

    token: str
    holder: str
    apply_key: str


async def _scan(request: Request) -> tuple[StaticCode, Merchant, str]:
    """The code, its shop, and this browser's secret (new when it had none)."""
    try:
        found, shop = await static_codes.scan_static(office_of(request), canonical(request.path_params["token"]))
    except Refused:
        _strangers.spend(request)
        raise
    return found, shop, cookies.holder_of(request) or cookies.new_holder()


async def show(request: Request) -> Response:
    """What hangs on the wall: the form, or why it takes nothing."""
    code, shop, holder = await _scan(request)
    response = await _form_page(request, code, shop, holder, {})
    if not cookies.holder_of(request):
        cookies.keep_holder(request, response, holder)
    return response


async def _form_page(
    request: Request, code: StaticCode, shop: Merchant, holder: str, typed: dict[str, str],
    errors: tuple[Refusal, ...] = (),
) -> Response:  # fmt: skip
    office = office_of(request)
    closed = applications.closed(code, shop)
    button = Button(code.token, holder, secrets.token_urlsafe(12))
    wallet = cookies.wallet_of(request)
    today = office.now().date()
    view: dict[str, Any] = {
        "code": code,
        "shop": shop,
        "button": pack(office.cookie_key, "apply", button),
        "typed": {"paid_on": today.isoformat(), "email": wallet.email, **typed},
        "titles": [(_name_of(title), title) for title in wallet.titles],
        "today": today,
        "mine": await applications.mine(office, code, holder),
        "closed": explained(request, tuple(closed))[0] if closed else None,
        "errors": explained(request, errors),
    }
    status = status_of(errors or tuple(closed)) if errors or closed else 200
    return render(request, "static/form.html", status, **view)


async def do_apply(request: Request) -> Response:
    """提交申请: nothing is issued; the shop is asked."""
    form = await forms.read_form(request)
    code, shop, _ = await _scan(request)
    button = unpack(office_of(request).cookie_key, "apply", form.get("button", ""), Button)
    if button is None or button.token != code.token:
        raise refuse("REQUEST-STALE")
    kept = cookies.holder_of(request)
    holder = kept or button.holder
    typed = {field: form.get(field, "") for field in TYPED_FIELDS}
    try:
        _applications.spend(request, code.token)
        wanted = _wanted(request, form)
        made = await applications.apply(office_of(request), code.token, holder, wanted, apply_key=button.apply_key)
    except Refused as refused:
        return await _form_page(request, code, shop, holder, typed, refused.refusals)
    onward = ""
    if not kept:
        pickup = pickup_code(office_of(request).cookie_key, made.merchant_id, made.application_id)
        onward = f"?{urlencode({'c': pickup})}"
    response = RedirectResponse(f"/a/{made.token}{onward}", 303)
    if not kept:
        cookies.keep_holder(request, response, holder)
    wallet = cookies.wallet_of(request)
    used = cookies.used(wallet, wanted.buyer, wanted.email)
    if used != wallet and (wallet.titles or not wanted.buyer.natural_person):
        cookies.keep_wallet(request, response, used)
    return response


def _wanted(request: Request, form: dict[str, str]) -> Wanted:
    """What was filled in. Raises ``Refused`` with every fault of its figures."""
    faults: list[Refusal] = []
    total, paid_on, email = Decimal(0), date.min, form.get("email", "").strip()
    try:
        total = parse_amount(form.get("total", ""), "total")
    except Refused as refused:
        faults += refused.refusals
    try:
        paid_on = date.fromisoformat(form.get("paid_on", "").strip() or f"{office_of(request).now():%Y-%m-%d}")
    except ValueError:
        faults.append(Refusal("REQUEST-MALFORMED", "paid_on", {"have": form["paid_on"][:20]}))
    if email:
        try:
            email = deliver.check_address(email)
        except Refused as refused:
            faults += refused.refusals
    title = Buyer("")
    try:
        title = _title(request, form)
    except Refused as refused:
        faults += refused.refusals
    if faults:
        raise Refused(*faults)
    kind = InvoiceKind.SPECIAL if "special" in form else InvoiceKind.GENERAL
    return Wanted(total, paid_on, title, email, kind)


def _name_of(title: Buyer) -> str:
    """What a kept title is called in the form: its place in the list may have changed when the form comes back."""
    return hashlib.sha256(f"{title.name}|{title.taxpayer_id}".encode()).hexdigest()[:12]


def _title(request: Request, form: dict[str, str]) -> Buyer:
    """The title that was chosen: one of this browser's, a person, a pasted block, or what was typed.

    Raises ``Refused`` TITLE-TWO when a company was typed and something else chosen: nobody should have to guess.
    """
    choice = form.get("title", "")
    number = taxpayer_id.normalise(form.get("taxpayer_id", ""))
    name, block = form.get("name", "").strip(), form.get("block", "").strip()
    if choice != "company" and (name or number or block):
        raise refuse("TITLE-TWO", "title")
    if choice == "person":
        return Buyer(form.get("person_name", "").strip() or "个人", natural_person=True)
    for title in cookies.wallet_of(request).titles:
        if choice == _name_of(title):
            return title
    if choice != "company":
        raise refuse("TITLE-TWO", "title")
    if block and not name:
        return parse_title_text(block)
    number = taxpayer_id.repair(number) or number
    return Buyer(name, number, natural_person=taxpayer_id.is_id_card(number))


async def do_number(request: Request) -> Response:
    """取消费: the sale whose number was typed."""
    form = await forms.read_form(request)
    code, shop, holder = await _scan(request)
    office, typed = office_of(request), form.get("sale_number", "")[:20]
    try:
        closed = applications.closed(code, shop)
        if closed:
            raise Refused(*closed)
        # Whoever has guessed too often is not told whether this guess is right.
        _numbers.ask(request, code.token)
        _all_numbers.ask_for_all(request, code.token)
        token = await find_sale(office, code, typed)
    except Refused as refused:
        if refused.refusals[0].cause == "SALE-NOT-FOUND":
            _numbers.spend(request, code.token)
            _all_numbers.spend_for_all(request, code.token)
        return await _form_page(request, code, shop, holder, {"sale_number": typed}, refused.refusals)
    return RedirectResponse(f"/s/{token}", 303)


async def seen(request: Request) -> Response:
    """A browser has opened the page: counted, within reason."""
    _scans.spend(request, request.path_params["token"])
    await static_codes.scanned(office_of(request), canonical(request.path_params["token"]))
    return Response(status_code=204)


async def _applied(request: Request) -> tuple[Application, bool, CodeState | None]:
    """The application, whether this browser made it, and what its code is doing when it has one."""
    office, token = office_of(request), canonical(request.path_params["token"])
    try:
        found, mine = await applications.applied(office, token, cookies.holder_of(request))
    except Refused:
        _strangers.spend(request)
        raise
    if not mine and request.query_params.get("c"):
        try:
            unlock(office, token, request.query_params["c"])
            mine = True
        except Refused:
            _strangers.spend(request)
    return found, mine, await code_state(office, found.merchant_id, found.application_id)


async def show_application(request: Request) -> Response:
    """已提交, 已同意, 已拒绝 with its reason; or on to the invoice."""
    found, mine, state = await _applied(request)
    if state not in (None, CodeState.OPEN, CodeState.VIEWED):
        return RedirectResponse(f"/s/{found.token}/result{carried(request)}", 303)
    return await _application_page(request, found, mine)


async def _application_page(
    request: Request, found: Application, mine: bool, errors: tuple[Refusal, ...] = ()
) -> Response:
    shop = await merchant(office_of(request), found.merchant_id)
    turn = request.query_params.get("n", "0")
    number = int(turn) if turn.isascii() and turn.isdigit() and len(turn) < 4 else 0
    final = found.state in FINAL_STATES
    view: dict[str, Any] = {
        "one": found,
        "mine": mine,
        "shop": shop,
        "final": final,
        "masked_title": taxpayer_id.mask_name(found.buyer.name),
        "masked_email": masked(found.email) if found.email else "",
        "carried": carried(request),
        "errors": explained(request, errors),
        "refresh": 0 if final else REFRESH_SECONDS[min(number, len(REFRESH_SECONDS) - 1)],
        "onward": f"?{urlencode({'n': number + 1, **carried_parts(request)})}",
        "waited": int((office_of(request).now() - found.created_at).total_seconds()) // 60,
        "again": office_of(request).static_token(found.merchant_id, found.static_id),
    }
    return render(request, "static/application.html", status_of(errors) if errors else 200, **view)


async def do_withdraw(request: Request) -> Response:
    """撤回, by the browser that applied."""
    await forms.read_form(request)
    found, mine, _ = await _applied(request)
    if not mine:
        raise refuse("REQUEST-STALE")
    try:
        await applications.withdraw(office_of(request), found.merchant_id, found.application_id)
    except Refused as refused:
        return await _application_page(request, found, mine, refused.refusals)
    return RedirectResponse(f"/a/{found.token}{carried(request)}", 303)


async def _shown_state(request: Request) -> tuple[str, bool]:
    found, _, state = await _applied(request)
    if state not in (None, CodeState.OPEN, CodeState.VIEWED):
        return state.value, state in (CodeState.ISSUED, CodeState.REVOKED)
    return found.state.value, found.state in FINAL_STATES


async def state_of(request: Request) -> Response:
    """The state, for scripts."""
    return JSONResponse({"state": (await _shown_state(request))[0]})


async def events(request: Request) -> Response:
    """The state as server-sent events until it is final."""
    await _shown_state(request)
    return stream_state(request, lambda: _shown_state(request))


routes = [
    Route("/t/{token}", show),
    Route("/t/{token}/apply", do_apply, methods=["POST"]),
    Route("/t/{token}/number", do_number, methods=["POST"]),
    Route("/t/{token}/seen", seen, methods=["POST"]),
    Route("/a/{token}", show_application),
    Route("/a/{token}/withdraw", do_withdraw, methods=["POST"]),
    Route("/a/{token}/state.json", state_of),
    Route("/a/{token}/events", events),
]
