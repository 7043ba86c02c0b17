"""What customers need from the shop (顾客): questions about invoices, and mails that were not opened or failed."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import questions, receipts
from piaoma.desk.board import MAIL_DAYS
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of
from piaoma.web.throttle import Throttle

from .access import page, read_form, show

_bulk = Throttle(burst=2, per_minute=0.5)
JOB_ID_MAX = 60


async def list_questions(request: Request, session: Session) -> Response:
    """Questions that wait, or those that were answered."""
    return await _questions(request, session)


async def _questions(request: Request, session: Session, errors: tuple[Refusal, ...] = ()) -> Response:
    state = "answered" if request.query_params.get("state") == "answered" else "open"
    cursor = request.query_params.get("cursor", "")
    found = await questions.list_questions(office_of(request), session.merchant_id, state, cursor)
    return show(
        request, session, "questions.html", status_of(errors) if errors else 200, found=found, state=state,
        answer_max=questions.ANSWER_MAX, errors=explained(request, errors),
    )  # fmt: skip


async def answer(request: Request, session: Session) -> Response:
    """Answer one."""
    form = await read_form(request)
    wanted = form.get("question", "")
    try:
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 18):
            raise refuse("QUESTION-NOT-FOUND")
        await questions.answer(office_of(request), session.actor, int(wanted), form.get("answer", ""))
    except Refused as refused:
        return await _questions(request, session, refused.refusals)
    return RedirectResponse("/console/questions", 303)


async def list_mails(request: Request, session: Session) -> Response:
    """Every mail and how far it came; narrowed to what nobody opened, say."""
    asked = request.query_params
    narrowing = asked.get("only", "") if asked.get("only", "") in receipts.NARROWINGS else ""
    # From the board: the days that it counts.
    since = office_of(request).now() - timedelta(days=MAIL_DAYS) if asked.get("days") == str(MAIL_DAYS) else None
    found = await receipts.list_mails(
        office_of(request), session.merchant_id, narrowing, asked.get("cursor", ""), since
    )
    again = asked.get("again", "")
    return show(
        request, session, "mails.html", 200, found=found, days=MAIL_DAYS if since else 0, narrowing=narrowing,
        narrowings=receipts.NARROWINGS, again=again if again.isascii() and again.isdigit() and len(again) < 4 else "",
    )  # fmt: skip


async def send_again(request: Request, session: Session) -> Response:
    """Send the chosen ones again, spaced, each under its own id."""
    form = await read_form(request)
    _bulk.spend_for_all(request, str(session.merchant_id))
    chosen = [name.removeprefix("mail:")[:JOB_ID_MAX] for name in form if name.startswith("mail:")]
    again = await receipts.send_again(office_of(request), session.actor, chosen)
    return RedirectResponse(f"/console/mails?again={again}", 303)


routes = [
    Route("/console/questions", page(list_questions)),
    Route("/console/questions", page(answer), methods=["POST"]),
    Route("/console/mails", page(list_mails)),
    Route("/console/mails", page(send_again), methods=["POST"]),
]
