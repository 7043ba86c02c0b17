"""异常: what the watch found, why it is listed and what to do; marking it; thresholds and alerts."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.anomalies import BOUNDS, RULES, Thresholds, name_of, telling
from piaoma.desk import findings, records
from piaoma.desk.findings import Alerts, Found, Watching
from piaoma.desk.sessions import Session
from piaoma.desk.watch import look
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained, status_of
from piaoma.web.page import language_of, office_of

from .access import page, read_form, show

STATES = ("open", "seen", "explained")
DIGITS_MAX = 9  # of a threshold


def _told(request: Request, one: Found) -> dict[str, Any]:
    return {"found": one, "told": telling(one.finding_id, one.rule, one.figures, language_of(request))}


async def list_anomalies(request: Request, session: Session) -> Response:
    """Findings that nobody has marked, or those of another state. Opening the page has the day looked at first."""
    office, asked = office_of(request), request.query_params
    await look(office, session.merchant_id)
    state = asked.get("state", "") if asked.get("state", "") in STATES else "open"
    found = await findings.list_findings(office, session.merchant_id, state, asked.get("cursor", ""))
    rows = [_told(request, one) for one in found.items]
    return show(
        request, session, "anomalies.html", rows=rows, next_cursor=found.next_cursor, state=state, states=STATES,
        alerts=(await findings.watching(office, session.merchant_id)).alerts,
    )  # fmt: skip


async def one_anomaly(request: Request, session: Session) -> Response:
    """One finding with its figures and its very invoices; marking it."""
    office, finding_id = office_of(request), request.path_params["finding_id"]
    errors: tuple[Refusal, ...] = ()
    form: dict[str, str] = {}
    if request.method == "POST":
        form = await read_form(request)
        try:
            await findings.mark(office, session.actor, finding_id, form.get("state", ""), form.get("note", ""))
            return RedirectResponse(f"/console/anomalies/{finding_id}", 303)
        except Refused as refused:
            if refused.refusals[0].cause == "FINDING-NOT-FOUND":
                raise
            errors = refused.refusals
    one = await findings.finding(office, session.merchant_id, finding_id)
    shown = await records.invoices_of(office, [(session.merchant_id, number) for number in one.numbers])
    return show(
        request, session, "anomaly.html", status_of(errors) if errors else 200, **_told(request, one),
        invoices=[invoice for invoice, _ in shown], errors=explained(request, errors), form=form,
        note_max=findings.NOTE_MAX,
    )  # fmt: skip


async def settings(request: Request, session: Session) -> Response:
    """When each rule speaks, which ones do, and how to be told."""
    office = office_of(request)
    errors: tuple[Refusal, ...] = ()
    chosen = await findings.watching(office, session.merchant_id)
    form = _form_of(chosen)
    if request.method == "POST":
        form = await read_form(request)
        try:
            await findings.choose(office, session.actor, _read(form))
            return RedirectResponse("/console/settings/anomalies?saved=1", 303)
        except Refused as refused:
            errors = refused.refusals
    usual = Thresholds()
    rules = [
        {
            "name": rule, "title": name_of(rule, language_of(request)), "on": form.get(f"on_{rule}") == "1",
            "limits": [(name, bound, getattr(usual, name)) for name, bound in BOUNDS.items()
                       if name.startswith(f"{rule}_")],
        }
        for rule in RULES
    ]  # fmt: skip
    return show(
        request, session, "watching.html", status_of(errors) if errors else 200, rules=rules, form=form,
        alerts=list(Alerts), errors=explained(request, errors), saved="saved" in request.query_params,
    )  # fmt: skip


def _form_of(chosen: Watching) -> dict[str, str]:
    limits = {name: str(getattr(chosen.thresholds, name)) for name in BOUNDS}
    on = {f"on_{rule}": "1" for rule in RULES if rule not in chosen.thresholds.off}
    return {**limits, **on, "alerts": chosen.alerts.value}


def _read(form: dict[str, str]) -> Watching:
    """What the form says. What is no number lies outside of every bound, so it is refused at its field."""
    limits: dict[str, Any] = {name: _number(form.get(name, "")) for name in BOUNDS}
    off = tuple(rule for rule in RULES if form.get(f"on_{rule}") != "1")
    alerts = next((one for one in Alerts if one.value == form.get("alerts")), Alerts.DAILY)
    return Watching(Thresholds(off=off, **limits), alerts)


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else -1


routes = [
    Route("/console/anomalies", page(list_anomalies)),
    Route("/console/anomalies/{finding_id}", page(one_anomaly), methods=["GET", "POST"]),
    Route("/console/settings/anomalies", page(settings), methods=["GET", "POST"]),
]
