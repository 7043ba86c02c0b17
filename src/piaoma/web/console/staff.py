"""员工, 门店与收银台, 安全: whom the owner lets in, where they work, what he demands a second factor for."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import factors, sessions, staff, tills
from piaoma.desk.roles import Role
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.web import cookies
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of

from .access import page, read_form, show
from .account import number_of
from .entry import device_of


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise refuse("REQUEST-MALFORMED", "role", have=text[:20]) from None


def _days(text: str) -> int:
    """What is no number is none of the days that there are."""
    text = text.strip() or str(staff.ACCESS_DAYS_DEFAULT)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0


async def people(request: Request, session: Session) -> Response:
    """员工."""
    return await _people_page(request, session)


async def _people_page(
    request: Request, session: Session, refusals: tuple[Refusal, ...] = (), form: dict[str, str] | None = None,
    link: str = "",
) -> Response:  # fmt: skip
    office = office_of(request)
    return show(
        request, session, "people.html", status_of(refusals) if refusals else 200, errors=explained(request, refusals),
        form=form or {}, link=link, people=await staff.members(office, session.merchant_id), roles=list(Role),
        waiting=await staff.open_invitations(office, session.merchant_id), days=staff.INVITE_DAYS,
        access_max=staff.ACCESS_DAYS_MAX, access_usual=staff.ACCESS_DAYS_DEFAULT, now=office.now(),
        shops=await tills.shops(office, session.merchant_id),
    )  # fmt: skip


async def invite(request: Request, session: Session) -> Response:
    """Make an invitation; its link is shown once."""
    form = await read_form(request)
    office = office_of(request)
    shop_id = number_of(form["shop_id"]) if form.get("shop_id") else None
    try:
        role = _role(form.get("role", ""))
        secret = await staff.invite(
            office, session.actor, form.get("person_name", ""), role, form.get("email", ""), shop_id,
            _days(form.get("access_days", "")),
        )  # fmt: skip
    except Refused as refused:
        return await _people_page(request, session, refused.refusals, form)
    return await _people_page(request, session, link=f"{office.config.base_url}/join/{secret}")


async def withdraw(request: Request, session: Session) -> Response:
    """Let no open invitation be good any more."""
    await read_form(request)
    await staff.withdraw_invitations(office_of(request), session.actor)
    return RedirectResponse("/console/settings/people", 303)


async def change_person(request: Request, session: Session) -> Response:
    """Another role, or off, or on again."""
    form = await read_form(request)
    try:
        await staff.change_member(
            office_of(request), session.actor, number_of(request.path_params["person_id"]),
            role=_role(form.get("role", "")), active="off" not in form,
        )  # fmt: skip
    except Refused as refused:
        if refused.refusals[0].cause == "STAFF-NOT-FOUND":
            raise
        return await _people_page(request, session, refused.refusals)
    return RedirectResponse("/console/settings/people", 303)


async def shops(request: Request, session: Session) -> Response:
    """门店与收银台."""
    return await _shops_page(request, session)


async def _shops_page(
    request: Request, session: Session, refusals: tuple[Refusal, ...] = (), form: dict[str, str] | None = None
) -> Response:
    return show(
        request, session, "shops.html", status_of(refusals) if refusals else 200, errors=explained(request, refusals),
        form=form or {}, shops=await tills.shops(office_of(request), session.merchant_id),
    )  # fmt: skip


async def save_shop(request: Request, session: Session) -> Response:
    """Add a shop, or change one."""
    form = await read_form(request)
    shop_id = number_of(form["shop_id"]) if form.get("shop_id") else None
    try:
        await tills.save_shop(
            office_of(request), session.actor, form.get("name", ""), form.get("address", ""), shop_id,
            active="off" not in form,
        )  # fmt: skip
    except Refused as refused:
        if refused.refusals[0].cause == "SHOP-NOT-FOUND":
            raise
        return await _shops_page(request, session, refused.refusals, form)
    return RedirectResponse("/console/settings/shops", 303)


async def save_till(request: Request, session: Session) -> Response:
    """Add a till, rename it, or switch it off."""
    form = await read_form(request)
    till_id = number_of(form["till_id"]) if form.get("till_id") else None
    try:
        await tills.save_till(
            office_of(request), session.actor, form.get("till_name", ""), number_of(form.get("shop_id", "")), till_id,
            active="off" not in form,
        )  # fmt: skip
    except Refused as refused:
        if refused.refusals[0].cause in ("SHOP-NOT-FOUND", "TILL-NOT-FOUND"):
            raise
        return await _shops_page(request, session, refused.refusals, form)
    return RedirectResponse("/console/settings/shops", 303)


async def enrol(request: Request, session: Session) -> Response:
    """Make this browser the device of a till."""
    await read_form(request)
    office, device = office_of(request), device_of(request)
    await tills.enrol(office, session.actor, number_of(request.path_params["till_id"]), sessions.digest(device))
    response = RedirectResponse("/console/till", 303)
    response.set_cookie(
        cookies.DEVICE, device, max_age=cookies.YEAR_SECONDS, httponly=True, samesite="lax",
        secure=office.config.secure,
    )  # fmt: skip
    return response


async def security(request: Request, session: Session) -> Response:
    """安全: for what a second factor is demanded."""
    office = office_of(request)
    own = await factors.factors_of(office, session.person_id)
    refusals: tuple[Refusal, ...] = ()
    if request.method == "POST":
        form = await read_form(request)
        wanted = [action for action in factors.POLICIES if action in form]
        if wanted and not own:
            # Whoever has none himself would lock himself out of these settings with one tap.
            refusals = (Refusal("FACTOR-NONE"),)
        else:
            await factors.set_policy(office, session.actor, wanted)
            return RedirectResponse("/console/settings/security?saved=1", 303)
    return show(
        request, session, "security.html", status_of(refusals) if refusals else 200, policies=factors.POLICIES,
        chosen=session.factor_policy.split(), own=own, errors=explained(request, refusals),
        saved="saved" in request.query_params, minutes=factors.FACTOR_MINUTES_MAX,
    )  # fmt: skip


routes = [
    Route("/console/settings/people", page(people)),
    Route("/console/settings/people/invite", page(invite), methods=["POST"]),
    Route("/console/settings/people/withdraw", page(withdraw), methods=["POST"]),
    Route("/console/settings/people/{person_id}", page(change_person), methods=["POST"]),
    Route("/console/settings/shops", page(shops)),
    Route("/console/settings/shops", page(save_shop), methods=["POST"]),
    Route("/console/settings/tills", page(save_till), methods=["POST"]),
    Route("/console/settings/tills/{till_id}/enrol", page(enrol), methods=["POST"]),
    Route("/console/settings/security", page(security), methods=["GET", "POST"]),
]
