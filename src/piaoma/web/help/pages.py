"""The pages of the help centre. All of them are for everybody, work without scripts, and can be read offline."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import diagnose, helped
from piaoma.invoice.refusal import Refusal, Refused, causes, refuse
from piaoma.web import forms
from piaoma.web.errors import explained
from piaoma.web.lights import Shown
from piaoma.web.page import language_of, office_of, render, text_of
from piaoma.web.throttle import Throttle

from .checking import COOKIES_WORK, check, device_checks, session_or_none
from .finding import QUERY_MAX, search
from .guides import Guide, about, guides

_votes = Throttle(burst=20, per_minute=6)
CAMERA_ALLOWED = "camera=(self), geolocation=(), microphone=()"  # on the page that looks whether there is one


async def index(request: Request) -> Response:
    """The first page: search, the seven common problems, guides by reader."""
    language = language_of(request)
    wanted = request.query_params.get("q", "").strip()[:QUERY_MAX]
    return render(
        request, "help.html", wanted=wanted, found=search(wanted, language), groups=_groups(request),
        logged_in=await session_or_none(request) is not None,
    )  # fmt: skip


def _groups(request: Request) -> list[tuple[str, list[Guide]]]:
    """The guides under their headings, in order."""
    t, all_guides = text_of(request), list(guides(language_of(request)).values())
    grouped = [(t("help_faq"), [one for one in all_guides if one.kind == "faq"]),
               (t("help_tutorial"), [one for one in all_guides if one.kind == "tutorial"])]  # fmt: skip
    for who in ("customer", "merchant", "everybody"):
        those = [one for one in all_guides if one.who == who and one.kind in ("guide", "tips")]
        grouped.append((t(f"help_guides_{who}"), those))
    grouped.append((t("help_policies"), [one for one in all_guides if one.kind == "policy"]))
    return grouped


async def entry(request: Request) -> Response:
    """A guide by its name, or a cause by its code."""
    name = request.path_params["name"]
    found = guides(language_of(request)).get(name)
    if found is not None:
        return await _guide(request, found)
    if name.upper() in causes():
        return await _cause(request, name.upper())
    raise refuse("PAGE-NOT-FOUND")


async def _guide(request: Request, one: Guide) -> Response:
    checks: list[Shown] | None = None
    errors: list[dict[str, str]] = []
    if one.kind == "faq" and "check" in request.query_params:
        try:
            checks = await check(request, one.name)
        except Refused as refused:
            errors = explained(request, refused.refusals)
    today = office_of(request).now().date()
    response = render(
        request, "help_guide.html", guide=one, checks=checks, errors=errors, now=office_of(request).now(),
        typed=request.query_params.get("typed", "")[: diagnose.TYPED_MAX], asks=_ASKS.get(one.name, ""),
        related=[plain(request, code) for code in one.causes], voted="voted" in request.query_params,
        logged_in=await session_or_none(request) is not None,
        in_force=one.until is None or today <= one.until,
    )  # fmt: skip
    return _with_cookie(request, response)


# What a page asks to be typed before it checks.
_ASKS = {"cannot-log-in": "help_type_login", "wrong-data": "help_type_code", "cannot-scan": "type_code"}


async def _cause(request: Request, code: str) -> Response:
    """What a cause means, what to do, and what tells more about it."""
    session = await session_or_none(request)
    count = 0
    if session is not None:
        count = await diagnose.refused_lately(office_of(request), session.merchant_id, code)
    return render(
        request, "help_cause.html", row=plain(request, code), about=about(code, language_of(request)), count=count
    )


def plain(request: Request, code: str) -> dict[str, str]:
    """A cause without the figures of a case."""

    class _Blank(dict[str, str]):
        def __missing__(self, key: str) -> str:
            return "…"

    return explained(request, (Refusal(code, "", _Blank()),))[0]


def _with_cookie(request: Request, response: Response) -> Response:
    """Whether cookies work shows when this one comes back."""
    if not request.cookies.get(COOKIES_WORK):
        response.set_cookie(
            COOKIES_WORK, "1", max_age=86_400, httponly=True, samesite="lax", secure=office_of(request).config.secure
        )
    return response


async def all_codes(request: Request) -> Response:
    """Every cause, to be looked through."""
    return render(request, "help_codes.html", rows=[plain(request, code) for code in sorted(causes())])


async def everything(request: Request) -> Response:
    """All of the help on one page: what the installed app shows without a network, with a search of its own."""
    return render(
        request, "help_all.html", guides=list(guides(language_of(request)).values()),
        rows=[plain(request, code) for code in sorted(causes())],
    )  # fmt: skip


async def device(request: Request) -> Response:
    """检查这台设备: what the server sees; the script adds what only the device knows."""
    if "cookies" not in request.query_params and not request.cookies.get(COOKIES_WORK):
        # Set here, looked for one redirect later: then it is known without a script.
        return _with_cookie(request, RedirectResponse("/help/device?cookies=1", 303))
    response = render(request, "help_device.html", checks=device_checks(request))
    response.headers["permissions-policy"] = CAMERA_ALLOWED
    return response


async def vote(request: Request) -> Response:
    """Did it help? Counted, nothing else is kept; a No leads to support."""
    form = await forms.read_form(request)
    _votes.spend(request)
    name = request.path_params["name"]
    if name not in guides("zh") and name not in causes():
        raise refuse("PAGE-NOT-FOUND")
    await helped.count(office_of(request), name, yes="yes" in form)
    return RedirectResponse(f"/help/{name}?voted={'yes' if 'yes' in form else 'no'}", 303)


routes = [
    Route("/help", index),
    Route("/help/codes", all_codes),
    Route("/help/all", everything),
    Route("/help/device", device),
    Route("/help/{name}", entry),
    Route("/help/{name}/vote", vote, methods=["POST"]),
]
