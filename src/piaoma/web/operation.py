"""The platform at work (平台运营): tickets, health and dead letters, retention, announcements, audits, the trail.

Operators reach no invoice from here, but that of a ticket whose merchant lets them look.
"""

from __future__ import annotations

from decimal import Decimal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from piaoma.desk import (
    announcements,
    audits,
    dead_letters,
    diagnose,
    helped,
    limits,
    operators,
    platform_trail,
    retention,
    tickets,
)
from piaoma.desk.events import list_events
from piaoma.desk.sessions import Session
from piaoma.desk.tickets import Ticket
from piaoma.invoice.money import parse_amount
from piaoma.invoice.refusal import Refusal, Refused, refuse

from .console.access import read_form
from .console.account import number_of
from .errors import explained, status_of
from .lights import shown as shown_check
from .page import office_of, render

REFRESH_SECONDS = 5  # of the page of audits while one runs
# What support may lead a merchant to (S117), by the name of the button.
WAYS = {
    "reissue": "/console/invoices/{number}/reissue",
    "red": "/console/invoices/{number}/red",
    "codes": "/console/codes",
    "profile": "/console/settings/profile",
}


def _show(
    request: Request, operator: Session, template: str, refusals: tuple[Refusal, ...] = (), **view: object
) -> Response:
    return render(
        request, f"operator/{template}", status_of(refusals) if refusals else 200, csrf=request.state.csrf,
        operator=operator.name, errors=explained(request, refusals), **view,
    )  # fmt: skip


# ── tickets ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def ticket_list(request: Request, operator: Session) -> Response:
    """What waits for support, and what came in a month."""
    office, state = office_of(request), request.query_params.get("state", "open")
    found = await tickets.all_tickets(office, state, request.query_params.get("cursor", ""))
    return _show(
        request, operator, "tickets.html", found=found, state=state, month=await tickets.month_by_topic(office),
        votes=await helped.votes(office),
    )  # fmt: skip


async def _ticket(request: Request) -> Ticket:
    merchant_id = number_of(request.path_params["merchant_id"])
    return await tickets.ticket(office_of(request), merchant_id, number_of(request.path_params["ticket_id"]))


async def ticket(request: Request, operator: Session) -> Response:
    """One ticket with what came along: answer it, lead the merchant, look at the invoice it allows."""
    office, found = office_of(request), await _ticket(request)
    refusals: tuple[Refusal, ...] = ()
    if request.method == "POST":
        form = await read_form(request)
        try:
            if "look" in form:
                pdf = await tickets.look(office, operator, found)
                return Response(pdf, media_type="application/pdf")
            way = WAYS.get(form.get("way", ""), "") if found.merchant_id >= 0 else ""
            # Without an invoice named there is none to lead to.
            link = "" if "{number}" in way and not found.number else way.format(number=found.number)
            await tickets.answer(office, operator, found, form.get("text", ""), link=link)
            return RedirectResponse(request.url.path, 303)
        except Refused as refused:
            refusals = refused.refusals
    ways = [name for name, way in WAYS.items() if found.number or "{number}" not in way]
    return _show(
        request, operator, "ticket.html", refusals, ticket=found, ways=ways if found.merchant_id >= 0 else [],
        line_max=tickets.LINE_MAX, looking=found.look_until is not None and found.look_until > office.now(),
    )  # fmt: skip


# ── health, dead letters ──────────────────────────────────────────────────────────────────────────────────────────


async def health(request: Request, operator: Session) -> Response:
    """How the parts are, how long the queues, and what nobody tries any more."""
    office = office_of(request)
    if request.method == "POST":
        form = await read_form(request)
        if "all" in form:
            await dead_letters.revive_all(office, operator)
        else:
            table, _, rest = form.get("letter", "").partition(" ")
            merchant_id, _, job_id = rest.partition(" ")
            try:
                await dead_letters.revive(office, operator, table, int(merchant_id), job_id)
            except ValueError:
                raise refuse("JOB-NOT-FOUND") from None
        return RedirectResponse("/operator/health", 303)
    checks = [shown_check(request, one) for one in await diagnose.diagnose(office, "platform", diagnose.Asked())]
    return _show(
        request, operator, "health.html", checks=checks, queues=await dead_letters.queues(office),
        dead=await dead_letters.dead_letters(office), now=office.now(),
    )  # fmt: skip


# ── retention, announcements, audits, trail ───────────────────────────────────────────────────────────────────────


async def keeping(request: Request, operator: Session) -> Response:
    """What is kept for how long; erase now what is due."""
    office = office_of(request)
    if request.method == "POST":
        await read_form(request)
        count = await retention.purge(office, operator)
        return RedirectResponse(f"/operator/retention?erased={count}", 303)
    erased = request.query_params.get("erased", "")
    return _show(
        request, operator, "retention.html", rows=await retention.kept(office),
        erased=erased if erased.isdecimal() and len(erased) < 12 else "",
    )  # fmt: skip


async def announcing(request: Request, operator: Session) -> Response:
    """Announce something to all or some, in both languages; take it back."""
    office = office_of(request)
    refusals: tuple[Refusal, ...] = ()
    form: dict[str, str] = {}
    if request.method == "POST":
        form = await read_form(request)
        try:
            if "withdraw" in form:
                await announcements.withdraw(office, operator, number_of(form["withdraw"]))
            else:
                fields = announcements.Wanted.__struct_fields__
                wanted = announcements.Wanted(**{name: form.get(name, "") for name in fields})
                await announcements.announce(office, operator, wanted)
            return RedirectResponse("/operator/announcements", 303)
        except Refused as refused:
            refusals = refused.refusals
    today = office.now().date()
    return _show(
        request, operator, "announcements.html", refusals, form=form, today=today,
        all_=await announcements.list_announcements(office), title_max=announcements.TITLE_MAX,
        text_max=announcements.TEXT_MAX,
    )  # fmt: skip


async def auditing(request: Request, operator: Session) -> Response:
    """Run an audit behind the page; what the last ones found."""
    office = office_of(request)
    refusals: tuple[Refusal, ...] = ()
    if request.method == "POST":
        await read_form(request)
        try:
            await audits.start(office, operator)
            return RedirectResponse("/operator/audits", 303)
        except Refused as refused:
            refusals = refused.refusals
    runs = await audits.history(office)
    running = any(run.state == "running" for run in runs)
    return _show(
        request, operator, "audits.html", refusals, runs=runs, running=running,
        turn_seconds=REFRESH_SECONDS,
    )  # fmt: skip


async def trail(request: Request, operator: Session) -> Response:
    """What operators did."""
    found = await platform_trail.list_acts(office_of(request), request.query_params.get("cursor", ""))
    return _show(request, operator, "trail.html", found=found)


async def merchant(request: Request, operator: Session) -> Response:
    """One merchant: its limits, and what operators did to it."""
    office, merchant_id = office_of(request), number_of(request.path_params["merchant_id"])
    found = await operators.registered(office, merchant_id)
    now = await limits.limits_of(office, merchant_id)
    refusals: tuple[Refusal, ...] = ()
    form = {"codes_day": str(now.codes_day), "total": f"{now.total:.2f}"}
    if request.method == "POST":
        form = await read_form(request)
        try:
            await limits.set_limits(office, operator, merchant_id, _limits(form))
            return RedirectResponse(request.url.path, 303)
        except Refused as refused:
            refusals = refused.refusals
    events = await list_events(office, merchant_id, kind="merchant.")
    return _show(request, operator, "merchant.html", refusals, one=found, form=form, events=events.items)


def _limits(form: dict[str, str]) -> limits.Limits:
    codes = form.get("codes_day", "").strip() or "0"
    if not (codes.isascii() and codes.isdigit() and len(codes) < 8):
        raise refuse("MERCHANT-LIMIT-FORM", "codes_day")
    total = form.get("total", "").strip()
    nothing = not total.strip("0.")
    return limits.Limits(int(codes), Decimal("0.00") if nothing else parse_amount(total, "total"))
