"""Registering, logging in and out (注册, 登录, 退出)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import accounts
from piaoma.invoice.parties import TaxpayerKind
from piaoma.invoice.refusal import Refused
from piaoma.web import cookies, forms
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of, render
from piaoma.web.throttle import Throttle

from .access import page, read_form, session_secret

_logins_from = Throttle(burst=20, per_minute=20, cause="ACCOUNT-TOO-MANY")
_logins_to = Throttle(burst=10, per_minute=6, cause="ACCOUNT-TOO-MANY")
_registrations = Throttle(burst=10, per_minute=6)


async def register(request: Request) -> Response:
    """注册: one calm page."""
    if request.method != "POST":
        return render(request, "console/register.html", form={}, errors=[])
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
    )
    try:
        session = await accounts.register(office_of(request), wanted)
    except Refused as refused:
        errors = explained(request, refused.refusals)
        return render(request, "console/register.html", status_of(refused.refusals), form=form, errors=errors)
    return _enter(request, session, "/console")


async def log_in(request: Request) -> Response:
    """登录."""
    if request.method != "POST":
        onward = _safe_next(request.query_params.get("next"))
        return render(request, "console/login.html", form={}, errors=[], next=onward)
    form = await forms.read_form(request)
    onward = _safe_next(form.get("next"))
    try:
        _logins_from.spend(request)
        _logins_to.spend_for_all(request, form.get("login", "").strip().lower()[:100])
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
    """退出: the session ends on the server, not only in this browser."""
    await read_form(request)
    await accounts.log_out(office_of(request), session_secret(request))
    response = RedirectResponse("/", 303)
    response.delete_cookie(cookies.SESSION)
    return response


routes = [
    Route("/console/register", register, methods=["GET", "POST"]),
    Route("/console/login", log_in, methods=["GET", "POST"]),
    Route("/console/logout", page(log_out), methods=["POST"]),
]
