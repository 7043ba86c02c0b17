"""The checks of a help page as the reader sees them: those of the desk, and what only the request can tell."""

from __future__ import annotations

import re

from starlette.requests import Request

from piaoma.desk import diagnose, sessions
from piaoma.desk.diagnose import TYPED_MAX, Asked, Check, Light
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refusal
from piaoma.web import cookies
from piaoma.web.console.entry import login_wait
from piaoma.web.lights import Shown, shown
from piaoma.web.page import office_of, version
from piaoma.web.throttle import Throttle

COOKIES_WORK = "pm_k"  # set by the page, looked for by its check
# The oldest whose scripts run; older ones do without.
OLDEST = (
    ("Chrome", 60),
    ("CriOS", 60),
    ("Firefox", 60),
    ("FxiOS", 10),
    ("Edge", 79),
    ("iPhone OS ", 12),
    ("CPU OS ", 12),
)
_ANCIENT = ("MSIE ", "Trident/", "Presto/")

_codes = Throttle(burst=20, per_minute=20)


async def session_or_none(request: Request) -> Session | None:
    """Who is logged in for a merchant, on a page that is for everybody."""
    session = await sessions.session_of(office_of(request), request.cookies.get(cookies.SESSION, ""))
    return None if session is None or session.merchant_id == sessions.NO_MERCHANT else session


async def check(request: Request, topic: str) -> list[Shown]:
    """Every check of a topic. Raises ``Refused`` REQUEST-TOO-MANY: typed codes are not to be guessed here either."""
    session = await session_or_none(request)
    typed = request.query_params.get("typed", "")[:TYPED_MAX]
    if typed:
        _codes.spend(request)
    asked = Asked(session.merchant_id if session else None, session.role if session else None, typed)
    found = await diagnose.diagnose(office_of(request), topic, asked)
    return [shown(request, one) for one in [*_of_request(request, topic, session), *found]]


def device_checks(request: Request) -> list[Shown]:
    """What the server can see of a device."""
    return [shown(request, one) for one in (_cookies(request), _browser(request), _secure(request))]


def _of_request(request: Request, topic: str, session: Session | None) -> list[Check]:
    """What belongs to the topic and stands in the request."""
    if topic == "cannot-log-in":
        return [_cookies(request), _secure(request), _tries(request), _session(session)]
    if topic in ("old-version", "complex"):
        return [_browser(request), Check("version", Light.OK, values={"version": version()})]
    if topic == "wrong-data":
        return [_session(session)]
    if topic == "cannot-scan":
        return [_browser(request)]
    return []


def _cookies(request: Request) -> Check:
    if request.cookies.get(COOKIES_WORK):
        return Check("cookies", Light.OK)
    return Check("cookies", Light.BAD)


def _secure(request: Request) -> Check:
    return Check("secure", Light.OK if office_of(request).config.secure else Light.WARN)


def _tries(request: Request) -> Check:
    """Whether the log-in that was typed has to wait, from here."""
    seconds = login_wait(request, request.query_params.get("typed", "")[:TYPED_MAX])
    if seconds:
        return Check("tries", Light.BAD, Refusal("ACCOUNT-TOO-MANY", "", {"seconds": str(seconds)}))
    return Check("tries", Light.OK)


def _session(session: Session | None) -> Check:
    if session is None:
        return Check("session", Light.WARN)
    return Check("session", Light.OK, values={"name": session.name})


def _browser(request: Request) -> Check:
    """By what the browser calls itself; nothing depends on it but this sentence."""
    agent = request.headers.get("user-agent", "")
    told = {"agent": sessions.short_agent(agent)}
    if any(mark in agent for mark in _ANCIENT):
        return Check("browser", Light.BAD, values=told)
    known = False
    for name, oldest in OLDEST:
        found = re.search(rf"{name}/?(\d+)", agent)
        if found:
            known = True
            if int(found[1]) < oldest:
                return Check("browser", Light.BAD, values=told)
    return Check("browser", Light.OK if known else Light.UNKNOWN, values=told)
