"""待审批: what customers of static codes apply for. Approve with or without another amount, refuse with a reason, many
at once; the list follows by itself."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import applications, code_requests
from piaoma.desk.applications import Application
from piaoma.desk.approve import BATCH_MAX, approve, refuse_application
from piaoma.desk.sessions import Session
from piaoma.invoice.money import parse_amount
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.store import IssueState, Outcome
from piaoma.web.errors import explained, status_of
from piaoma.web.live import stream_state
from piaoma.web.page import office_of

from .access import page, read_form, show

REFRESH_SECONDS = 5  # of the empty list without scripts
WORKING_SECONDS = 60  # of one with applications, in which somebody may be typing
DECIDED_SHOWN_MAX = 15


async def inbox(request: Request, session: Session) -> Response:
    """The list, oldest first, and what was decided lately."""
    return await _page(request, session)


async def _page(
    request: Request, session: Session, refusals: tuple[Refusal, ...] = (), about: int | None = None,
    form: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    office = office_of(request)
    requests = await code_requests.waiting_requests(office, session.merchant_id)
    waiting = await applications.waiting(office, session.merchant_id)
    # The same browser, the same amount: perhaps one sale that was sent twice.
    doubles = Counter((one.device, one.total) for one in waiting)
    asked = request.query_params
    told = {name: int(asked[name]) for name in ("issued", "failed") if asked.get(name, "").isdigit()}
    return show(
        request, session, "inbox.html", status_of(refusals) if refusals else 200, waiting=waiting, doubles=doubles,
        requests=requests,
        decided=await applications.decided(office, session.merchant_id, DECIDED_SHOWN_MAX), told=told,
        failures={one.application_id: explained(request, one.refusals) for one in waiting if one.refusals},
        errors=explained(request, refusals), about=about, form=form or {}, now=office.now(),
        mark=_mark(waiting), refresh=0 if refusals else WORKING_SECONDS if waiting else REFRESH_SECONDS,
    )  # fmt: skip


def _mark(waiting: list[Application]) -> str:
    """What changes when the list does."""
    return "-".join(f"{one.application_id:x}" for one in waiting[-3:]) + f":{len(waiting)}"


async def decide(request: Request, session: Session) -> Response:
    """Approve or refuse one."""
    form = await read_form(request)
    application_id = _number(request.path_params["application_id"])
    office = office_of(request)
    try:
        if "refuse" in form:
            reason = form.get("reason", "").strip() or form.get("usual", "")
            await refuse_application(office, session.actor, application_id, reason)
            return RedirectResponse("/console/inbox", 303)
        total = parse_amount(form["total"], "total") if form.get("total", "").strip() else None
        outcome = await approve(office, session.actor, application_id, total=total)
    except Refused as refused:
        return await _page(request, session, refused.refusals, application_id, form)
    return RedirectResponse(f"/console/inbox?{_told([outcome])}", 303)


async def decide_many(request: Request, session: Session) -> Response:
    """Approve all that are ticked, each for itself, as their customers asked."""
    form = await read_form(request)
    chosen = [_number(field[1:]) for field in form if field.startswith("a") and field[1:].isdigit()]
    if not chosen:
        return await _page(request, session, (Refusal("APPLICATION-NONE-CHOSEN"),))
    outcomes = []
    for application_id in chosen[:BATCH_MAX]:
        try:
            outcomes.append(await approve(office_of(request), session.actor, application_id))
        except Refused as refused:
            outcomes.append(Outcome(IssueState.REFUSED, refusals=refused.refusals))
    return RedirectResponse(f"/console/inbox?{_told(outcomes)}", 303)


def _told(outcomes: list[Outcome]) -> str:
    """How many went through, for the page that follows."""
    failed = sum(outcome.state is IssueState.REFUSED for outcome in outcomes)
    return urlencode({"issued": len(outcomes) - failed, "failed": failed})


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 13):
        raise refuse("CODE-NOT-FOUND")
    return int(text)


async def count(request: Request, session: Session) -> Response:
    """How many wait, for the badge."""
    return JSONResponse({"count": await applications.waiting_count(office_of(request), session.merchant_id)})


async def events(request: Request, session: Session) -> Response:
    """The list's mark, live."""

    async def read() -> tuple[str, bool]:
        return _mark(await applications.waiting(office_of(request), session.merchant_id)), False

    return stream_state(request, read)


async def mark(request: Request, session: Session) -> Response:
    """The list's mark, for scripts that poll."""
    return JSONResponse({"state": _mark(await applications.waiting(office_of(request), session.merchant_id))})


routes = [
    Route("/console/inbox", page(inbox)),
    Route("/console/inbox", page(decide_many), methods=["POST"]),
    Route("/console/inbox/count.json", page(count)),
    Route("/console/inbox/state.json", page(mark)),
    Route("/console/inbox/events", page(events)),
    Route("/console/inbox/{application_id}", page(decide), methods=["POST"]),
]
