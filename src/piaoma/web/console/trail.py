"""操作记录: the audit trail as owner and accountant read it, searched by kind, person and day."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import events, exports
from piaoma.desk.sessions import Session
from piaoma.documents.sheets import Cell
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.web.errors import explained
from piaoma.web.page import language_of, office_of, words

from .access import page, read_form, show
from .search import onward, read_filter, searched

GROUPS = ("code.", "static.", "application.", "invoice.", "delivery.", "question.", "red.", "reissue.", "export.",
          "received.", "search.", "goods.", "profile.", "staff.", "shop.", "till.", "policy.", "account.", "session.",
          "merchant.", "ticket.", "announcement.", "training.", "finding.", "watch.", "month.", "quota.", "payment.",
          "audit.")  # fmt: skip


def shown(request: Request, name: str, value: str) -> str:
    """A value of the trail in the words of the page: roles, yes and no, points of the policy; others as they are."""
    if not value:
        return words()["empty"][language_of(request)]
    known = {
        "role": "role_{}",
        "active": "active_{}",
        "listed": "active_{}",
        "factor_policy": "policy_{}",
        "by": "by_{}",
        "state": "received_{}",
    }.get(name)
    if known is None:
        return value
    texts = [words().get(known.format(part.lower())) for part in value.split()]
    return "、".join(text[language_of(request)] for text in texts if text is not None) or value


async def trail(request: Request, session: Session) -> Response:
    """Who did what, newest first."""
    office, asked = office_of(request), request.query_params
    errors: tuple[Refusal, ...] = ()
    kind = asked.get("kind", "")
    try:
        wanted = read_filter(asked)
        found = await events.list_events(
            office, session.merchant_id, kind=kind, text=wanted.text, since=wanted.since, until=wanted.until,
            cursor=asked.get("cursor", ""),
        )  # fmt: skip
    except Refused as refused:
        errors = refused.refusals
        found = await events.list_events(office, session.merchant_id)
    return show(
        request, session, "trail.html", 422 if errors else 200, found=found, asked=asked, groups=GROUPS,
        errors=explained(request, errors), onward="" if errors else onward(asked), search=onward(asked),
        shown=lambda name, value: shown(request, name, value),
    )  # fmt: skip


async def export(request: Request, session: Session) -> Response:
    """All that the search of the address finds, as a table in the background. Raises ``Refused`` EXPORT-KIND,
    EXPORT-RUNNING."""
    form = await read_form(request)
    kind = form.get("do", "")
    if kind not in ("xlsx", "csv"):
        raise refuse("EXPORT-KIND", have=kind[:10])
    office, asked, language = office_of(request), request.query_params, language_of(request)
    wanted, group = read_filter(asked), asked.get("kind", "")
    head = tuple(words()[name][language] for name in ("time", "who", "trail_where", "what", "about", "before_after"))

    async def parts() -> AsyncIterator[exports.Part]:
        cursor = ""
        while True:
            found = await events.list_events(
                office, session.merchant_id, kind=group, text=wanted.text, since=wanted.since, until=wanted.until,
                cursor=cursor,
            )  # fmt: skip
            yield exports.Part([_row(request, one) for one in found.items], len(found.items), 0)
            if not (cursor := found.next_cursor):
                return

    count = await events.count_events(office, session.merchant_id, group, wanted.text, wanted.since, wanted.until)
    label = words()["sum_label"][language]
    order = exports.Order(kind, exports.TRAIL, searched(asked), count, head, label, parts(), priced=False)
    export_id = await exports.start(office, session.actor, order)
    return RedirectResponse(f"/console/exports/{export_id}", 303)


def _row(request: Request, one: events.Event) -> list[Cell]:
    language = language_of(request)
    told = []
    for name in dict.fromkeys((*one.before, *one.after)):
        label = words()[f"trail_field_{name}"][language]
        sides = [shown(request, name, side[name]) for side in (one.before, one.after) if name in side]
        told.append(f"{label}：{' → '.join(sides)}")
    what = words()[f"event_{one.kind.replace('.', '_')}"][language]
    return [f"{one.at:%Y-%m-%d %H:%M:%S}", one.person_name, one.address, what, one.subject, "；".join(told)]


routes = [Route("/console/events", page(trail)), Route("/console/events/export", page(export), methods=["POST"])]
