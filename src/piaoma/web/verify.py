"""查验: files, photos of the QR code, or a number that is typed; a page for people, JSON for programs.

Nothing of a file is kept. Whoever is logged in is told as a receiver: seen before, and whether it is their own title.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from piaoma.desk import sessions
from piaoma.desk.merchant import Merchant, merchant
from piaoma.desk.verify import File, verify_files, verify_typed
from piaoma.documents.facts import Facts
from piaoma.documents.receiving import Result, result_of
from piaoma.invoice.money import parse_amount
from piaoma.invoice.refusal import Refusal, Refused, refuse

from . import cookies
from .errors import explained, status_of
from .middleware import BodyTooLarge, same_origin
from .page import language_of, office_of, render
from .throttle import Throttle
from .uploads import FIELDS_MAX, NAME_MAX, read_files

FILES_MAX = 20
LIMIT_COSTS = 10  # files that one counts for which went beyond a limit
TYPED_MAX = 40  # characters of a typed field

_checks = Throttle(burst=40, per_minute=60)


async def show(request: Request) -> Response:
    """The empty form."""
    return _page(request, [], await _reader(request))


async def check(request: Request) -> Response:
    """The answer to what was sent: a report on each file, or on what was typed. A mistake is told above the form."""
    reader, typed = await _reader(request), dict[str, str]()
    try:
        if not same_origin(request.scope):
            raise refuse("REQUEST-STALE")
        async with request.form(max_files=FIELDS_MAX, max_fields=FIELDS_MAX) as form:
            files = await read_files(form, FILES_MAX)
            typed = {name: _text(form, name) for name in ("number", "date", "amount")}
        if files:
            results = await _results(request, files, reader)
        else:
            _checks.spend(request)
            facts = _typed(typed)
            report = await verify_typed(office_of(request), facts, reader)
            results = [result_of("", report, language_of(request))]
    except Refused as refused:
        return _page(request, [], reader, refused.refusals, typed)
    except BodyTooLarge:
        return _page(request, [], reader, (Refusal("REQUEST-TOO-LARGE"),))
    return _page(request, results, reader)


async def check_by_program(request: Request) -> Response:
    """``POST /api/v1/verify``: files as multipart, or one as the body; no cookie is looked at, nothing is kept."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=FIELDS_MAX, max_fields=FIELDS_MAX) as form:
            files = await read_files(form, FILES_MAX)
    else:
        body = await request.body()
        files = [File(request.query_params.get("name", "")[:NAME_MAX], body)] if body else []
    if not files:
        raise refuse("FILE-NONE")
    results = await _results(request, files, None)
    return Response(msgspec.json.encode({"files": results}), media_type="application/json")


async def _results(request: Request, files: list[File], reader: Merchant | None) -> list[Result]:
    for _ in files:
        _checks.spend(request)
    reports = await verify_files(office_of(request), files, reader)
    for report in reports:
        if any(reason.cause == "FILE-LIMIT" for reason in report.reasons):
            _charge(request)
    language = language_of(request)
    return [result_of(file.name, report, language) for file, report in zip(files, reports, strict=True)]


def _charge(request: Request) -> None:
    """A file that took all the time there is counts as many; who has no more left pays with what follows."""
    with suppress(Refused):
        for _ in range(LIMIT_COSTS):
            _checks.spend(request)


def _page(
    request: Request,
    results: list[Result],
    reader: Merchant | None,
    refusals: tuple[Refusal, ...] = (),
    typed: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """The reports, and the form below them with what was typed when it could not be understood."""
    status = status_of(refusals) if refusals else 200
    view = {"results": results, "reader": reader, "files_max": FILES_MAX}
    kept = typed if any(typed.values()) else {}
    response = render(request, "verify.html", status, errors=explained(request, refusals), typed=kept, **view)
    if refusals and "seconds" in refusals[0].values:
        response.headers["retry-after"] = refusals[0].values["seconds"]
    return response


async def _reader(request: Request) -> Merchant | None:
    """The merchant that is logged in, if any."""
    secret = request.cookies.get(cookies.SESSION, "")
    session = await sessions.session_of(office_of(request), secret) if secret else None
    if session is None or session.merchant_id == sessions.NO_MERCHANT:
        return None
    return await merchant(office_of(request), session.merchant_id)


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip()[:TYPED_MAX] if isinstance(value, str) else ""


def _typed(typed: dict[str, str]) -> Facts:
    """What was typed, as facts.

    Raises ``Refused`` FILE-NONE when nothing was; TYPED-NUMBER, TYPED-DATE, TYPED-AMOUNT, all at once.
    """
    if not any(typed.values()):
        raise refuse("FILE-NONE", "photo")
    refusals = []
    number = "".join(typed["number"].split())
    if not (number.isascii() and number.isdigit() and len(number) == 20):
        refusals.append(Refusal("TYPED-NUMBER", "number", {"have": str(len(number))}))
    issued_on = _date(typed["date"])
    if issued_on is None:
        refusals.append(Refusal("TYPED-DATE", "date"))
    total = _amount(typed["amount"])
    if total is None:
        refusals.append(Refusal("TYPED-AMOUNT", "amount"))
    if refusals:
        raise Refused(*refusals)
    return Facts(number=number, issued_on=issued_on, total=total)


def _date(text: str) -> date | None:
    """A date as the browser sends it, or as people type it."""
    digits = "".join(letter for letter in text if letter.isdigit() and letter.isascii())
    try:
        return datetime.strptime(digits, "%Y%m%d").date() if len(digits) == 8 else None  # noqa: DTZ007 - no zone
    except ValueError:
        return None


def _amount(text: str) -> Decimal | None:
    """Yuan, negative for a red invoice."""
    negative = text.startswith("-")
    try:
        amount = parse_amount(text.removeprefix("-"))
    except Refused:
        return None
    return -amount if negative else amount


routes = [
    Route("/verify", show, methods=["GET"]),
    Route("/verify", check, methods=["POST"]),
    Route("/api/v1/verify", check_by_program, methods=["POST"]),
]
