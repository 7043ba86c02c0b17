"""操作记录: the audit trail as owner and accountant read it, searched by kind, person and day."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from piaoma.desk import events
from piaoma.desk.filters import Filter
from piaoma.desk.sessions import Session
from piaoma.documents.sheets import defused
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained
from piaoma.web.page import language_of, office_of, words

from .access import page, show
from .search import onward, read_filter

GROUPS = ("code.", "static.", "application.", "invoice.", "delivery.", "question.", "red.", "reissue.", "export.",
          "search.", "goods.", "profile.", "staff.", "shop.", "till.", "policy.", "account.", "session.",
          "merchant.", "finding.", "watch.", "month.", "quota.", "payment.", "audit.")  # fmt: skip


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
        if asked.get("as") == "csv":
            return _as_csv(request, session, kind, wanted)
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


def _as_csv(request: Request, session: Session, kind: str, wanted: Filter) -> Response:
    """All of it that fits, newest first, sent while it is read; texts that look like formulas are defused."""
    office, language, table = office_of(request), language_of(request), words()
    heads = ("time", "who", "what", "about", "trail_head_before", "trail_head_after", "trail_head_address")

    async def rows() -> AsyncIterator[str]:
        yield "\ufeff" + _line([table[name][language] for name in heads])
        cursor = ""
        while True:
            found = await events.list_events(
                office, session.merchant_id, kind=kind, text=wanted.text, since=wanted.since, until=wanted.until,
                cursor=cursor,
            )  # fmt: skip
            for one in found.items:
                what = table[f"event_{one.kind.replace('.', '_')}"][language]
                sides = [
                    "; ".join(f"{table[f'trail_field_{name}'][language]}: {value}" for name, value in side.items())
                    for side in (one.before, one.after)
                ]
                cells = [f"{one.at:%Y-%m-%d %H:%M:%S}", one.person_name, what, one.subject, *sides, one.address]
                yield _line(cells)
            cursor = found.next_cursor
            if not cursor:
                return

    headers = {"content-disposition": f'attachment; filename="trail-{office.now():%Y%m%d-%H%M%S}.csv"'}
    return StreamingResponse(rows(), media_type="text/csv; charset=utf-8", headers=headers)


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow([defused(cell) for cell in cells])
    return text.getvalue()


routes = [Route("/console/events", page(trail))]
