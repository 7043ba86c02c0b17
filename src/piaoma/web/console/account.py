"""我的账号: name, password, PIN, address, sessions, second factors. Everybody sees his own and nobody else's."""

from __future__ import annotations

import segno
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import accounts, factors, passkeys, recovery, sessions, staff
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of
from piaoma.web.signed import pack, unpack

from .access import ask_password, page, read_form, session_secret, show
from .challenge import ask_browser, asked_of
from .entry import judge_factor, safe_next

ID_DIGITS_MAX = 17  # of a session or a factor in a form


def number_of(text: str) -> int:
    """An id as a form sends it; one that cannot be, is nobody's."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= ID_DIGITS_MAX else -1


async def account(request: Request, session: Session) -> Response:
    """One's own account."""
    return await _account_page(request, session)


async def _account_page(request: Request, session: Session, refusals: tuple[Refusal, ...] = ()) -> Response:
    office = office_of(request)
    return show(
        request, session, "account.html", status_of(refusals) if refusals else 200,
        errors=explained(request, refusals), address=await recovery.address_of(office, session.person_id),
        open_sessions=await sessions.sessions_of(office, session.person_id),
        factors=await factors.factors_of(office, session.person_id),
        merchants=await sessions.memberships_of(office, session.person_id),
        saved="saved" in request.query_params and not refusals,
    )  # fmt: skip


async def change_name(request: Request, session: Session) -> Response:
    """The name that others see."""
    form = await read_form(request)
    try:
        await accounts.change_name(office_of(request), session, form.get("person_name", ""))
    except Refused as refused:
        return await _account_page(request, session, refused.refusals)
    return RedirectResponse("/console/account?saved=1", 303)


async def change_password(request: Request, session: Session) -> Response:
    """A new password; every other session ends."""
    form = await read_form(request)
    try:
        await ask_password(request, session, form)
        await accounts.change_password(office_of(request), session, form.get("password", ""), session_secret(request))
    except Refused as refused:
        return await _account_page(request, session, refused.refusals)
    return RedirectResponse("/console/account?saved=1", 303)


async def change_pin(request: Request, session: Session) -> Response:
    """The PIN for tills."""
    form = await read_form(request)
    try:
        await ask_password(request, session, form)
        await staff.set_pin(office_of(request), session, form.get("pin", ""))
    except Refused as refused:
        return await _account_page(request, session, refused.refusals)
    return RedirectResponse("/console/account?saved=1", 303)


async def end_sessions(request: Request, session: Session) -> Response:
    """End one session, or all but this one."""
    form = await read_form(request)
    if "others" in form:
        await sessions.end_others(office_of(request), session)
    else:
        await sessions.end_session(office_of(request), session, number_of(form.get("session", "")))
    return RedirectResponse("/console/account?saved=1#sessions", 303)


# ── the address ───────────────────────────────────────────────────────────────────────────────────────────────────


async def email(request: Request, session: Session) -> Response:
    """Where the code is asked for that came by mail."""
    return await _email_page(request, session)


async def _email_page(request: Request, session: Session, refusals: tuple[Refusal, ...] = ()) -> Response:
    return show(
        request, session, "email.html", status_of(refusals) if refusals else 200, errors=explained(request, refusals),
        address=await recovery.address_of(office_of(request), session.person_id),
        sent=await recovery.code_sent_to(office_of(request), session.person_id),
    )  # fmt: skip


async def send_code(request: Request, session: Session) -> Response:
    """Mail a code to an address. Another address than the present one asks for the password."""
    form = await read_form(request)
    office = office_of(request)
    known = await recovery.address_of(office, session.person_id)
    try:
        if known.proved:
            await ask_password(request, session, form)
        await recovery.send_email_code(office, session, form.get("email", ""))
    except Refused as refused:
        return await _email_page(request, session, refused.refusals)
    return RedirectResponse("/console/account/email", 303)


async def prove(request: Request, session: Session) -> Response:
    """Take the code."""
    form = await read_form(request)
    try:
        await recovery.prove_email(office_of(request), session, form.get("code", "")[:20])
    except Refused as refused:
        return await _email_page(request, session, refused.refusals)
    return RedirectResponse("/console?saved=1", 303)


# ── second factors ────────────────────────────────────────────────────────────────────────────────────────────────


async def second_factors(request: Request, session: Session) -> Response:
    """第二验证: what one has, and adding an app or a passkey."""
    return await _factors_page(request, session)


async def _factors_page(
    request: Request, session: Session, refusals: tuple[Refusal, ...] = (), codes: list[str] | None = None
) -> Response:
    office = office_of(request)
    secret = factors.new_totp_secret()
    url = factors.provisioning_url(office, session.login, secret)
    return show(
        request, session, "factors.html", status_of(refusals) if refusals else 200, errors=explained(request, refusals),
        factors=await factors.factors_of(office, session.person_id), codes=codes, secret=secret,
        shown_secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        signed_secret=pack(office.cookie_key, f"totp.{session.person_id}", secret),
        symbol=segno.make(url, error="m").svg_data_uri(scale=4),
    )  # fmt: skip


async def add_app(request: Request, session: Session) -> Response:
    """Take an app once it shows the right code."""
    form = await read_form(request)
    office = office_of(request)
    secret = unpack(office.cookie_key, f"totp.{session.person_id}", form.get("secret", ""), str)
    try:
        await ask_password(request, session, form)
        codes = await factors.add_totp(
            office, session, secret or factors.new_totp_secret(), form.get("code", "")[:20], form.get("name", "")
        )
    except Refused as refused:
        return await _factors_page(request, session, refused.refusals)
    return await _factors_page(request, session, codes=codes)


async def passkey_options(request: Request, session: Session) -> Response:
    """What the browser is asked when a passkey is made."""
    challenge = passkeys.new_challenge()
    options = await passkeys.registration_options(office_of(request), session, challenge)
    return ask_browser(request, session.person_id, challenge, options)


async def add_passkey(request: Request, session: Session) -> Response:
    """Take a passkey."""
    form = await read_form(request)
    try:
        await ask_password(request, session, form)
        challenge = asked_of(request, session.person_id)
        codes = await passkeys.add_passkey(
            office_of(request), session, challenge, form.get("answer", ""), form.get("name", "")
        )
    except Refused as refused:
        return await _factors_page(request, session, refused.refusals)
    return await _factors_page(request, session, codes=codes)


async def remove_factor(request: Request, session: Session) -> Response:
    """Take one away."""
    form = await read_form(request)
    try:
        await ask_password(request, session, form)
        await factors.remove_factor(office_of(request), session, number_of(form.get("factor", "")))
    except Refused as refused:
        return await _factors_page(request, session, refused.refusals)
    return RedirectResponse("/console/account/factors", 303)


async def new_recovery_codes(request: Request, session: Session) -> Response:
    """Ten new ones."""
    form = await read_form(request)
    try:
        await ask_password(request, session, form)
        codes = await factors.renew_recovery_codes(office_of(request), session)
    except Refused as refused:
        return await _factors_page(request, session, refused.refusals)
    return await _factors_page(request, session, codes=codes)


async def confirm(request: Request, session: Session) -> Response:
    """A fresh second factor for what the owner demands one for; then back to where it was asked."""
    office = office_of(request)
    kinds = {one.kind for one in await factors.factors_of(office, session.person_id)}
    refusals: tuple[Refusal, ...] = ()
    onward = safe_next(request.query_params.get("next"))
    if request.method == "POST":
        form = await read_form(request)
        onward = safe_next(form.get("next"))
        try:
            await judge_factor(request, session.person_id, form)
            await factors.refresh(office, session)
            return RedirectResponse(onward, 303)
        except Refused as refused:
            refusals = refused.refusals
    return show(
        request, session, "confirm.html", status_of(refusals) if refusals else 200, kinds=kinds, next=onward,
        errors=explained(request, refusals),
    )  # fmt: skip


async def confirm_passkey(request: Request, session: Session) -> Response:
    """What this browser's passkey is asked to sign."""
    challenge = passkeys.new_challenge()
    options = await passkeys.authentication_options(office_of(request), session.person_id, challenge)
    return ask_browser(request, session.person_id, challenge, options)


routes = [
    Route("/console/account", page(account)),
    Route("/console/account/name", page(change_name), methods=["POST"]),
    Route("/console/account/password", page(change_password), methods=["POST"]),
    Route("/console/account/pin", page(change_pin), methods=["POST"]),
    Route("/console/account/sessions", page(end_sessions), methods=["POST"]),
    Route("/console/account/email", page(email)),
    Route("/console/account/email", page(send_code), methods=["POST"]),
    Route("/console/account/email/proof", page(prove), methods=["POST"]),
    Route("/console/account/factors", page(second_factors)),
    Route("/console/account/factors", page(add_app), methods=["POST"]),
    Route("/console/account/factors/passkey", page(passkey_options)),
    Route("/console/account/factors/passkey", page(add_passkey), methods=["POST"]),
    Route("/console/account/factors/remove", page(remove_factor), methods=["POST"]),
    Route("/console/account/recovery-codes", page(new_recovery_codes), methods=["POST"]),
    Route("/console/account/confirm", page(confirm), methods=["GET", "POST"]),
    Route("/console/account/confirm/passkey", page(confirm_passkey)),
]
