"""红冲与换开: taking an invoice back, its red form on either side, a new title, what customers ask, the rules."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import merchant, records, red, reissue, reissue_book, relations
from piaoma.desk.office import Office
from piaoma.desk.reissue_book import Reissue
from piaoma.desk.reissue_rules import Mode, Rules, change_rules, rules_of
from piaoma.desk.sessions import Session
from piaoma.invoice.money import parse_amount
from piaoma.invoice.parties import Buyer
from piaoma.invoice.red import RedLine
from piaoma.invoice.red_form import ISSUABLE, PENDING, RedFormEvent, RedReason, Side
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.store import RedForm
from piaoma.web import forms
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of
from piaoma.web.titles import read_title

from .access import page, read_form, show

LISTED_MAX = 50
REFRESH_SECONDS = 5  # of a page that waits for something
_KEY = re.compile(r"[0-9A-Za-z_-]{12,60}")


def _key(form: dict[str, str]) -> str:
    """The idempotency key behind a button of ours. Raises ``Refused`` REQUEST-MALFORMED."""
    key = form.get("key", "")
    if not _KEY.fullmatch(key):
        raise refuse("REQUEST-MALFORMED", have="key")
    return key


async def _shop(request: Request, session: Session) -> merchant.Merchant:
    return await merchant.merchant(office_of(request), session.merchant_id)


async def overview(request: Request, session: Session) -> Response:
    """What waits for this merchant first: requests of customers, forms to confirm, what is red and not issued anew."""
    return await _overview(request, session)


async def _overview(request: Request, session: Session, refusals: tuple[Refusal, ...] = ()) -> Response:
    office, shop = office_of(request), await _shop(request, session)
    now = office.now()
    sides = await relations.forms_for(office, shop, LISTED_MAX)
    return show(
        request, session, "corrections.html", status_of(refusals) if refusals else 200,
        forms=[_form_row(form, side, now) for form, side in sides],
        reissues=await reissue_book.list_reissues(office, session.merchant_id, LISTED_MAX),
        errors=explained(request, refusals),
    )  # fmt: skip


def _form_row(form: RedForm, side: Side, now: datetime) -> dict[str, object]:
    """A form as this side sees it, with what it may do."""
    seconds = red.seconds_left(form, now)
    return {
        "form": form,
        "mine": side is Side.SELLER,
        "hours": -(-seconds // 3600),
        "to_confirm": form.standing is not None and form.standing.confirmed_by is side and seconds > 0,
        "may_withdraw": form.raised_by is side and form.issue_key is None and form.state in ISSUABLE | PENDING,
        "may_issue": side is Side.SELLER and form.issuable,
    }  # fmt: skip


async def take_back(request: Request, session: Session) -> Response:
    """红冲 from an invoice's own page: the whole, or parts of one that the buyer has used."""
    number = request.path_params["number"]
    return await _take_back(request, session, session.merchant_id, number, Side.SELLER)


async def take_back_received(request: Request, session: Session) -> Response:
    """The buyer raises a form for an invoice that he got from a merchant here and has used."""
    office, number = office_of(request), request.query_params.get("number", "").strip()
    try:
        found = await relations.received(office, await _shop(request, session), number)
    except Refused as refused:
        return await _overview(request, session, refused.refusals)
    return await _take_back(request, session, found.merchant_id, number, Side.BUYER)


async def _take_back(request: Request, session: Session, seller_id: int, number: str, side: Side) -> Response:
    office = office_of(request)
    found = await records.invoice(office, seller_id, number)
    form: dict[str, str] = {"key": forms.new_issue_key()}
    refusals: tuple[Refusal, ...] = ()
    if request.method == "POST":
        form = await read_form(request)
        try:
            raised = await red.raise_form(
                office, seller_id, number, _reason(form), await _wanted(office, seller_id, number, form),
                form_id=_key(form), by=side, actor=session.actor, then_issue="then_issue" in form,
            )  # fmt: skip
            return RedirectResponse(f"/console/corrections/forms/{raised.form_id}", 303)
        except Refused as refused:
            refusals = refused.refusals
            form.setdefault("key", forms.new_issue_key())
    try:
        used, left = await red.is_used(office, seller_id, number), await red.items_left(office, seller_id, number)
    except Refused as refused:
        refusals, used, left = refusals or refused.refusals, False, []
    return show(
        request, session, "red.html", status_of(refusals) if refusals else 200, invoice=found, form=form, used=used,
        left=left, left_total=sum((one.inclusive for one in left), Decimal(0)), mine=side is Side.SELLER,
        reasons=list(RedReason), errors=explained(request, refusals),
    )  # fmt: skip


def _reason(form: dict[str, str]) -> RedReason:
    try:
        return RedReason(form.get("reason", ""))
    except ValueError:
        raise refuse("REQUEST-MALFORMED", "reason", have="reason") from None


async def _wanted(office: Office, seller_id: int, number: str, form: dict[str, str]) -> tuple[RedLine, ...] | None:
    """What the form takes back; None for all that is left."""
    if form.get("extent") != "part":
        return None
    given = {
        int(field[4:]): parse_amount(value, field)
        for field, value in form.items()
        if field.startswith("back") and field[4:].isdecimal() and len(field) < 9 and value.strip()
    }
    return await red.lines_back(office, seller_id, number, given)


async def show_form(request: Request, session: Session) -> Response:
    """A red form: where it stands, how long it waits, what this side may do."""
    return await _form_page(request, session)


async def _form_page(request: Request, session: Session, refusals: tuple[Refusal, ...] = ()) -> Response:
    office, shop = office_of(request), await _shop(request, session)
    form, side = await relations.form_for(office, shop, request.path_params["form_id"])
    row = _form_row(form, side, office.now())
    seller = shop if side is Side.SELLER else await merchant.merchant(office, form.merchant_id)
    blue = await records.invoice(office, form.merchant_id, form.blue_number)
    waits = form.state is None and form.open_state != "refused"
    return show(
        request, session, "red_form.html", status_of(refusals) if refusals else 200, **row, blue=blue,
        seller_name=seller.name, names={one.place: one.name for one in await _items(office, form)},
        errors=explained(request, refusals or form.refusals), refresh=REFRESH_SECONDS if waits else 0,
    )  # fmt: skip


async def _items(office: Office, form: RedForm) -> list[red.Left]:
    invoice = await red.blue(office, form.merchant_id, form.blue_number)
    return [red.Left(place, line.name, line.amount, line.tax) for place, line in enumerate(invoice.lines)]


_EVENTS = {"confirm": RedFormEvent.CONFIRM, "deny": RedFormEvent.DENY, "withdraw": RedFormEvent.WITHDRAW}


async def change_form(request: Request, session: Session) -> Response:
    """同意, 否认, 撤销, or issue the red invoice."""
    asked = await read_form(request)
    office, shop = office_of(request), await _shop(request, session)
    form, side = await relations.form_for(office, shop, request.path_params["form_id"])
    try:
        for name, event in _EVENTS.items():
            if name in asked:
                form = await red.act(office, form, event, side, session.actor)
                await reissue.follow(office, form)
        if "issue" in asked:
            if side is not Side.SELLER:
                raise refuse("RED-FORM-SIDE", "form")
            outcome = await red.issue_by(office, session.actor, form)
            if outcome.refusals:
                raise Refused(*outcome.refusals)
    except Refused as refused:
        return await _form_page(request, session, refused.refusals)
    return RedirectResponse(f"/console/corrections/forms/{form.form_id}", 303)


async def new_title(request: Request, session: Session) -> Response:
    """换开 from an invoice's own page: the right title, and one button."""
    office, number = office_of(request), request.path_params["number"]
    found = await records.invoice(office, session.merchant_id, number)
    form: dict[str, str] = {"key": forms.new_issue_key()}
    refusals: tuple[Refusal, ...] = ()
    typed = Buyer("")
    if request.method == "POST":
        form = await read_form(request)
        try:
            typed = read_title(form)
            if "understand" not in form:
                one = await reissue.start(office, session.actor, number, typed, reissue_id=_key(form))
                return RedirectResponse(f"/console/corrections/reissues/{one.reissue_id}", 303)
        except Refused as refused:
            refusals = refused.refusals
        form.setdefault("key", forms.new_issue_key())
    return show(
        request, session, "reissue_new.html", status_of(refusals) if refusals else 200, invoice=found, form=form,
        typed=typed, errors=explained(request, refusals),
    )  # fmt: skip


async def show_reissue(request: Request, session: Session) -> Response:
    """A 换开: where it stands, what it waits for, its three invoices."""
    return await _reissue_page(request, session)


async def _reissue(request: Request, session: Session) -> Reissue:
    found = await reissue_book.find_reissue(office_of(request), session.merchant_id, request.path_params["reissue_id"])
    if found is None:
        raise refuse("REISSUE-NOT-FOUND")
    return found


async def _reissue_page(request: Request, session: Session, refusals: tuple[Refusal, ...] = ()) -> Response:
    office, one = office_of(request), await _reissue(request, session)
    waits = one.state.value in ("working", "red")
    return show(
        request, session, "reissue.html", status_of(refusals) if refusals else 200, one=one,
        old=await records.invoice(office, session.merchant_id, one.blue_number),
        errors=explained(request, refusals or one.refusals), refresh=REFRESH_SECONDS if waits else 0,
    )  # fmt: skip


async def change_reissue(request: Request, session: Session) -> Response:
    """Agree, decline, or try again now."""
    form = await read_form(request)
    office, one = office_of(request), await _reissue(request, session)
    try:
        if "approve" in form:
            await reissue.approve(office, session.actor, one.reissue_id)
        elif "decline" in form:
            await reissue.decline(office, session.actor, one.reissue_id)
        elif "retry" in form:
            await reissue.retry(office, session.actor, one.reissue_id)
    except Refused as refused:
        return await _reissue_page(request, session, refused.refusals)
    return RedirectResponse(f"/console/corrections/reissues/{one.reissue_id}", 303)


async def rules(request: Request, session: Session) -> Response:
    """换开规则: whether customers may start a 换开, within how many days, how often."""
    office = office_of(request)
    refusals: tuple[Refusal, ...] = ()
    chosen = await rules_of(office, session.merchant_id)
    if request.method == "POST":
        form = await read_form(request)
        try:
            chosen = _rules(form)
            await change_rules(office, session.actor, chosen)
            return RedirectResponse("/console/settings/corrections?saved=1", 303)
        except Refused as refused:
            refusals = refused.refusals
    return show(
        request, session, "reissue_rules.html", status_of(refusals) if refusals else 200, chosen=chosen,
        modes=list(Mode), saved="saved" in request.query_params, errors=explained(request, refusals),
    )  # fmt: skip


def _rules(form: dict[str, str]) -> Rules:
    def figure(name: str) -> int:
        text = form.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0

    if form.get("mode") not in set(Mode):
        raise refuse("REQUEST-MALFORMED", "mode", have="mode")
    return Rules(Mode(form["mode"]), figure("days"), figure("times"))


routes = [
    Route("/console/corrections", page(overview)),
    Route("/console/corrections/received", page(take_back_received), methods=["GET", "POST"]),
    Route("/console/corrections/forms/{form_id}", page(show_form)),
    Route("/console/corrections/forms/{form_id}", page(change_form), methods=["POST"]),
    Route("/console/corrections/reissues/{reissue_id}", page(show_reissue)),
    Route("/console/corrections/reissues/{reissue_id}", page(change_reissue), methods=["POST"]),
    Route("/console/invoices/{number}/red", page(take_back), methods=["GET", "POST"]),
    Route("/console/invoices/{number}/reissue", page(new_title), methods=["GET", "POST"]),
    Route("/console/settings/corrections", page(rules), methods=["GET", "POST"]),
]
