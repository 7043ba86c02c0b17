"""操作记录: the audit trail as owner and accountant read it, searched by kind, person and day."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from piaoma.desk import events
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained
from piaoma.web.page import language_of, office_of, words

from .access import page, show
from .search import onward, read_filter

GROUPS = ("code.", "static.", "application.", "invoice.", "delivery.", "question.", "red.", "reissue.", "export.",
          "search.", "goods.", "profile.", "staff.", "shop.", "till.", "policy.", "api.", "webhook.", "account.",
          "session.", "merchant.")  # fmt: skip


def shown(request: Request, name: str, value: str) -> str:
    """A value of the trail in the words of the page: roles, yes and no, points of the policy; others as they are."""
    if not value:
        return words()["empty"][language_of(request)]
    known = {"role": "role_{}", "active": "active_{}", "factor_policy": "policy_{}", "by": "by_{}"}.get(name)
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
        errors=explained(request, errors), onward="" if errors else onward(asked),
        shown=lambda name, value: shown(request, name, value),
    )  # fmt: skip


routes = [Route("/console/events", page(trail))]
