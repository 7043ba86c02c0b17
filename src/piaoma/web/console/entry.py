"""Registering, logging in and out (注册, 登录, 退出), the second step, and changing the cashier at a till."""

from __future__ import annotations

import secrets

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import accounts, factors, passkeys, recovery, sessions, tills
from piaoma.desk.sessions import Session
from piaoma.invoice.parties import TaxpayerKind
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.store import milliseconds
from piaoma.web import cookies, forms
from piaoma.web.delay import Delay, network_of
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of, render
from piaoma.web.signed import pack, unpack
from piaoma.web.throttle import Throttle

from .access import client_of, enter, page, read_form, session_secret
from .challenge import ask_browser, asked_of

SECOND_SECONDS = 600  # between the password and the second factor
TYPED_MAX = 100  # characters of a form that come back to who left it half filled
KEPT_SECONDS = 86_400

_logins_from = Throttle(burst=20, per_minute=20, cause="ACCOUNT-TOO-MANY")
_registrations = Throttle(burst=10, per_minute=6)
_logins = Delay()
_seconds = Delay()
_pins = Delay()

_KEPT = ("name", "taxpayer_id", "shop_name", "taxpayer_kind", "contact", "email", "login")


def device_of(request: Request) -> str:
    """This browser's secret, or a new one."""
    return request.cookies.get(cookies.DEVICE, "") or secrets.token_urlsafe(24)


async def register(request: Request) -> Response:
    """注册: one calm page; what was sent and refused comes back, also after the browser was closed."""
    office = office_of(request)
    if request.method != "POST":
        kept = unpack(office.cookie_key, "register", request.cookies.get("pm_r", ""), dict[str, str]) or {}
        return render(request, "console/register.html", form=kept, errors=[])
    form = await forms.read_form(request)
    _registrations.spend(request)
    kind = TaxpayerKind.SMALL_SCALE if form.get("taxpayer_kind") == "2" else TaxpayerKind.GENERAL
    wanted = accounts.Registration(
        name=form.get("name", "").strip(),
        taxpayer_id=form.get("taxpayer_id", ""),
        shop_name=form.get("shop_name", "").strip() or form.get("name", "").strip(),
        login=form.get("login", ""),
        password=form.get("password", ""),
        taxpayer_kind=kind,
        contact=form.get("contact", ""),
        email=form.get("email", ""),
    )
    device = device_of(request)
    try:
        session = await accounts.register(office, wanted, client_of(request, device))
    except Refused as refused:
        errors = explained(request, refused.refusals)
        page_ = render(request, "console/register.html", status_of(refused.refusals), form=form, errors=errors)
        kept = {name: form.get(name, "")[:TYPED_MAX] for name in _KEPT}
        page_.set_cookie(
            "pm_r", pack(office.cookie_key, "register", kept), max_age=KEPT_SECONDS, httponly=True, samesite="lax",
            secure=office.config.secure, path="/console/register",
        )  # fmt: skip
        return page_
    onward = "/console"
    person = await recovery.address_of(office, session.person_id)
    if person.email:
        await recovery.send_email_code(office, session, person.email)
        onward = "/console/account/email"
    response = enter(request, session, onward, device)
    response.delete_cookie("pm_r", path="/console/register")
    return response


async def log_in(request: Request) -> Response:
    """登录: password first. Wrong tries are slowed for this account from here; nobody elsewhere is kept out by them."""
    office = office_of(request)
    if request.method != "POST":
        onward = safe_next(request.query_params.get("next"))
        return render(request, "console/login.html", form={}, errors=[], next=onward)
    form = await forms.read_form(request)
    onward = safe_next(form.get("next"))
    device = device_of(request)
    client = client_of(request, device)
    login = sessions.normal_login(form.get("login", ""))[: accounts.LOGIN_MAX]
    known = await accounts.knows_device(office, login, client.device_hash)
    key = f"{login} {client.device_hash if known else network_of(request)}"
    try:
        if not known:
            _logins_from.spend(request)
        _logins.attempt(request, key)
        person = await accounts.check_password(office, login, form.get("password", ""))
        _logins.passed(request, key)
        if await factors.factors_of(office, person.person_id):
            return _ask_second(request, person, onward)
        session = await sessions.open_session(office, person.person_id, person.merchant_id, client)
    except Refused as refused:
        errors = explained(request, refused.refusals)
        status = status_of(refused.refusals)
        return render(request, "console/login.html", status, form=form, errors=errors, next=onward)
    return enter(request, session, _first_page(session, onward), device)


def login_wait(request: Request, login: str) -> int:
    """Seconds that this log-in must wait from here before its next try; 0 when it need not."""
    return _logins.wait(request, f"{sessions.normal_login(login)[: accounts.LOGIN_MAX]} {network_of(request)}")


def _first_page(session: Session, onward: str) -> str:
    return "/operator" if session.merchant_id == sessions.NO_MERCHANT else onward


def safe_next(wanted: str | None) -> str:
    """Only a page of our own console, or an invitation, may follow."""
    plain = wanted or ""
    ours = plain == "/console" or plain.startswith(("/console/", "/console?", "/join/"))
    return plain if ours and not any(mark in plain for mark in "\\:\r\n") else "/console"


# ── the second step ───────────────────────────────────────────────────────────────────────────────────────────────


class _Half(msgspec.Struct, frozen=True):
    """Whose password was right. Signed, in a cookie, for ten minutes."""

    person_id: int
    merchant_id: int | None
    onward: str
    until_ms: int


def _ask_second(request: Request, person: accounts.Person, onward: str) -> Response:
    office = office_of(request)
    half = _Half(person.person_id, person.merchant_id, onward, milliseconds(office.now()) + SECOND_SECONDS * 1000)
    response = RedirectResponse("/console/login/second", 303)
    response.set_cookie(
        cookies.SECOND, pack(office.cookie_key, cookies.SECOND, half), max_age=SECOND_SECONDS, httponly=True,
        samesite="strict", secure=office.config.secure,
    )  # fmt: skip
    return response


def _half_of(request: Request) -> _Half | None:
    office = office_of(request)
    half = unpack(office.cookie_key, cookies.SECOND, request.cookies.get(cookies.SECOND, ""), _Half)
    return half if half is not None and half.until_ms > milliseconds(office.now()) else None


async def second(request: Request) -> Response:
    """第二验证: the code of an app, a recovery code, or a passkey."""
    office, half = office_of(request), _half_of(request)
    if half is None:
        return RedirectResponse("/console/login", 303)
    kinds = {one.kind for one in await factors.factors_of(office, half.person_id)}
    if request.method != "POST":
        return render(request, "console/second.html", errors=[], kinds=kinds)
    form = await forms.read_form(request)
    device = device_of(request)
    try:
        await judge_factor(request, half.person_id, form)
        session = await sessions.open_session(
            office, half.person_id, half.merchant_id, client_of(request, device), factor=True
        )
    except Refused as refused:
        errors = explained(request, refused.refusals)
        return render(request, "console/second.html", status_of(refused.refusals), errors=errors, kinds=kinds)
    response = enter(request, session, _first_page(session, safe_next(half.onward)), device)
    response.delete_cookie(cookies.SECOND)
    response.delete_cookie(cookies.CHALLENGE)
    return response


async def judge_factor(request: Request, person_id: int, form: dict[str, str]) -> None:
    """What a form of the second step says. Raises ``Refused`` FACTOR-WRONG, FACTOR-PASSKEY, ACCOUNT-TOO-MANY."""
    office, key = office_of(request), str(person_id)
    _seconds.attempt(request, key)
    if form.get("answer"):
        await passkeys.check_passkey(office, person_id, asked_of(request, person_id), form["answer"])
    else:
        await factors.check_code(office, person_id, form.get("code", "")[:TYPED_MAX])
    _seconds.passed(request, key)


async def second_passkey(request: Request) -> Response:
    """What this browser's passkey is asked to sign."""
    half = _half_of(request)
    if half is None:
        raise refuse("ACCOUNT-SESSION-NONE")
    challenge = passkeys.new_challenge()
    options = await passkeys.authentication_options(office_of(request), half.person_id, challenge)
    return ask_browser(request, half.person_id, challenge, options)


# ── the till ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def till(request: Request) -> Response:
    """换人: on a shared device, a name and a PIN make the next cashier."""
    office, client = office_of(request), client_of(request)
    place = await tills.place_of(office, client.device_hash)
    refusals: tuple[Refusal, ...] = ()
    form: dict[str, str] = {}
    if request.method == "POST":
        form = await forms.read_form(request)
        chosen = form.get("person", "")
        try:
            if not (chosen.isascii() and chosen.isdigit() and len(chosen) < 18):
                raise refuse("STAFF-PIN-WRONG", "pin")
            key = f"{place.till_id} {chosen}"
            _pins.attempt(request, key)
            session = await tills.take_over(office, place, int(chosen), form.get("pin", ""), client)
        except Refused as refused:
            refusals = refused.refusals
        else:
            _pins.passed(request, key)
            await sessions.forget(office, session_secret(request))
            return enter(request, session, "/console/codes/new", device_of(request))
    return render(
        request, "console/till.html", status_of(refusals) if refusals else 200, place=place, form=form,
        errors=explained(request, refusals),
    )  # fmt: skip


# ── out, and over to another merchant ─────────────────────────────────────────────────────────────────────────────


async def log_out(request: Request, session: Session) -> Response:
    """退出: the session ends on the server, not only in this browser."""
    await read_form(request)
    await sessions.log_out(office_of(request), session, session_secret(request))
    response = RedirectResponse("/console/till" if session.till_id else "/", 303)
    response.delete_cookie(cookies.SESSION)
    return response


async def switch(request: Request, session: Session) -> Response:
    """切换商户: the same person, the next merchant."""
    form = await read_form(request)
    wanted = form.get("merchant", "")
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 12):
        raise refuse("MERCHANT-NOT-FOUND")
    await sessions.switch_merchant(office_of(request), session, session_secret(request), int(wanted))
    return RedirectResponse("/console", 303)


routes = [
    Route("/console/register", register, methods=["GET", "POST"]),
    Route("/console/login", log_in, methods=["GET", "POST"]),
    Route("/console/login/second", second, methods=["GET", "POST"]),
    Route("/console/login/second/passkey", second_passkey),
    Route("/console/till", till, methods=["GET", "POST"]),
    Route("/console/logout", page(log_out), methods=["POST"]),
    Route("/console/switch", page(switch), methods=["POST"]),
]
