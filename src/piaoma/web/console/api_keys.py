"""接口: the owner's keys for programs: made, rotated, revoked, each shown once."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import api_keys, factors
from piaoma.desk.api_keys import Scope
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of

from .access import page, read_form, show
from .account import number_of

# What a program of a kind needs, so that most owners tick nothing: a till, a bookkeeping program, everything.
SETS = {
    "till": (Scope.CODES_READ, Scope.CODES_WRITE, Scope.MERCHANT_READ, Scope.GOODS_READ),
    "shop": (Scope.INVOICES_ISSUE, Scope.INVOICES_READ, Scope.INVOICES_SEND, Scope.MERCHANT_READ, Scope.GOODS_READ,
             Scope.EVENTS_READ),
    "books": (Scope.INVOICES_READ, Scope.CORRECTIONS_READ, Scope.MERCHANT_READ, Scope.EVENTS_READ),
}  # fmt: skip
# A key may do later what a person may do only with a second factor: so he gives it when he makes the key.
_DEMANDS = {Scope.INVOICES_ISSUE: "special", Scope.CODES_WRITE: "special", Scope.CORRECTIONS_WRITE: "red"}


async def keys(request: Request, session: Session) -> Response:
    """Every key, and the form for a new one."""
    return await _keys_page(request, session)


async def _keys_page(
    request: Request, session: Session, refusals: tuple[Refusal, ...] = (), form: dict[str, str] | None = None,
    made: api_keys.ApiKey | None = None,
) -> Response:  # fmt: skip
    office = office_of(request)
    return show(
        request, session, "api_keys.html", status_of(refusals) if refusals else 200,
        errors=explained(request, refusals), form=form or {}, made=made, scopes=list(Scope), sets=SETS,
        keys=await api_keys.list_keys(office, session.merchant_id), now=office.now(), mode=api_keys.mode_of(office),
        host=office.config.base_url,
        soon=office.now() + timedelta(days=14),
    )  # fmt: skip


def _scopes(form: dict[str, str]) -> list[str]:
    """Those that are ticked, and those of a set that is chosen."""
    chosen = SETS.get(form.get("set", ""), ())
    return sorted({scope.value for scope in Scope if f"scope:{scope.value}" in form} | {one.value for one in chosen})


async def make_key(request: Request, session: Session) -> Response:
    """A new key, shown in the answer and never again."""
    form, office = await read_form(request), office_of(request)
    days = form.get("days", "").strip()
    try:
        scopes = _scopes(form)
        _ask_factor(request, session, scopes)
        if days and not (days.isascii() and days.isdigit() and len(days) <= 4):
            raise refuse("API-KEY-EXPIRY", "days", max=api_keys.EXPIRY_DAYS_MAX)
        expires_at = office.now() + timedelta(days=int(days)) if days else None
        made = await api_keys.make(office, session.actor, form.get("name", ""), scopes, expires_at)
    except Refused as refused:
        return await _keys_page(request, session, refused.refusals, form)
    return await _keys_page(request, session, made=made)


def _ask_factor(request: Request, session: Session, scopes: list[str]) -> None:
    for scope, action in _DEMANDS.items():
        if scope.value in scopes:
            factors.demand(office_of(request), session, action)


async def change_key(request: Request, session: Session) -> Response:
    """Rotate, or revoke."""
    form, office = await read_form(request), office_of(request)
    key_id = number_of(request.path_params["key_id"])
    if "rotate" in form:
        hours = number_of(form.get("overlap", "24"))
        try:
            known = {one.key_id: one for one in await api_keys.list_keys(office, session.merchant_id)}
            _ask_factor(request, session, sorted(known[key_id].scopes) if key_id in known else [])
            made = await api_keys.rotate(office, session.actor, key_id, hours)
        except Refused as refused:
            if refused.refusals[0].cause == "API-KEY-NOT-FOUND":
                raise
            return await _keys_page(request, session, refused.refusals)
        return await _keys_page(request, session, made=made)
    await api_keys.revoke(office, session.actor, key_id)
    return RedirectResponse("/console/settings/api", 303)


routes = [
    Route("/console/settings/api", page(keys)),
    Route("/console/settings/api", page(make_key), methods=["POST"]),
    Route("/console/settings/api/{key_id}", page(change_key), methods=["POST"]),
]
