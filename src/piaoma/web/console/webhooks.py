"""推送地址: where events are sent, what was sent and what came back, sending again, new secrets."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import happenings, webhooks
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of

from .access import page, read_form, show
from .account import number_of

JOB_ID_MAX = 60  # characters of the id of a message
STATES = ("waiting", "done", "dead")
_CHANGES: tuple[Literal["pause"], Literal["resume"], Literal["remove"]] = ("pause", "resume", "remove")


async def list_webhooks(request: Request, session: Session) -> Response:
    """Every endpoint, and the form for a new one."""
    return await _list_page(request, session)


async def _list_page(
    request: Request, session: Session, refusals: tuple[Refusal, ...] = (), form: dict[str, str] | None = None
) -> Response:
    office = office_of(request)
    return show(
        request, session, "webhooks.html", status_of(refusals) if refusals else 200,
        errors=explained(request, refusals), form=form or {}, types=happenings.TYPES[:-1],
        found=await webhooks.list_webhooks(office, session.merchant_id),
    )  # fmt: skip


async def add_webhook(request: Request, session: Session) -> Response:
    """A new endpoint; its page shows the secret, once."""
    form, office = await read_form(request), office_of(request)
    types = [one for one in happenings.TYPES if f"type:{one}" in form]
    try:
        made = await webhooks.make(office, session.actor, form.get("url", ""), types)
    except Refused as refused:
        return await _list_page(request, session, refused.refusals, form)
    return await _webhook_page(request, session, made.webhook_id, secret=made.secret)


async def show_webhook(request: Request, session: Session) -> Response:
    """One endpoint with its messages; one of them opened when the address says which."""
    return await _webhook_page(request, session, number_of(request.path_params["webhook_id"]))


async def _webhook_page(request: Request, session: Session, webhook_id: int, secret: str = "") -> Response:
    office, asked = office_of(request), request.query_params
    state = asked.get("state", "") if asked.get("state", "") in STATES else ""
    found = await webhooks.webhook(office, session.merchant_id, webhook_id)
    opened = None
    if asked.get("message"):
        opened = await webhooks.sending(office, session.merchant_id, asked["message"][:JOB_ID_MAX])
    return show(
        request, session, "webhook.html", one=found, secret=secret, state=state, states=STATES, opened=opened,
        messages=await webhooks.sendings(office, session.merchant_id, webhook_id, state, asked.get("cursor", "")),
        done=asked.get("done", ""), hours=webhooks.OVERLAP_HOURS,
        page_path=f"/console/settings/api/webhooks/{webhook_id}",
    )  # fmt: skip


async def change_webhook(request: Request, session: Session) -> Response:
    """Test, pause, resume, remove, a new secret, send again."""
    form, office = await read_form(request), office_of(request)
    webhook_id = number_of(request.path_params["webhook_id"])
    for act in _CHANGES:
        if act in form:
            await webhooks.change(office, session.actor, webhook_id, act)
            target = "" if act == "remove" else f"/{webhook_id}"
            return RedirectResponse(f"/console/settings/api/webhooks{target}", 303)
    if "rotate" in form:
        made = await webhooks.rotate(office, session.actor, webhook_id)
        return await _webhook_page(request, session, webhook_id, secret=made.secret)
    if "replay" in form:
        await webhooks.replay(office, session.actor, webhook_id, form["replay"][:JOB_ID_MAX])
        return RedirectResponse(f"/console/settings/api/webhooks/{webhook_id}?done=replay#messages", 303)
    await webhooks.send_test(office, session.actor, webhook_id)
    return RedirectResponse(f"/console/settings/api/webhooks/{webhook_id}?done=test#messages", 303)


routes = [
    Route("/console/settings/api/webhooks", page(list_webhooks)),
    Route("/console/settings/api/webhooks", page(add_webhook), methods=["POST"]),
    Route("/console/settings/api/webhooks/{webhook_id}", page(show_webhook)),
    Route("/console/settings/api/webhooks/{webhook_id}", page(change_webhook), methods=["POST"]),
]
