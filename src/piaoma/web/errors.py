"""Errors in one place: a refusal becomes a page for a person and ``problem+json`` (RFC 9457) for a program."""

from __future__ import annotations

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from piaoma.invoice.refusal import Refusal, Refused

from .middleware import BodyTooLarge
from .page import language_of, render, wants_html

# By the longest fitting beginning of the cause; everything else is a mistake in what was sent.
_STATUSES = {
    "CODE-NOT-FOUND": 404,
    "CODE-FORGED": 404,
    "CODE-MALFORMED": 404,
    "CODE-EXPIRED": 410,
    "CODE-REVOKED": 410,
    "CODE-REPLACED": 410,
    "APPLICATION-DECIDED": 409,
    "APPLICATION-WAITING": 409,
    "APPLICATION-TOO-MANY": 429,
    "APPLICATION-RUSH": 429,
    "SALE-NOT-FOUND": 404,
    "CODE-TAKEN": 409,
    "CODE-ISSUED": 409,
    "CODE-PICKUP-WRONG": 403,
    "INVOICE-NOT-FOUND": 404,
    "RED-FORM-NOT-FOUND": 404,
    "RED-FORM-OPEN": 409,
    "REISSUE-NOT-FOUND": 404,
    "REISSUE-UNDER-WAY": 409,
    "REISSUE-STATE": 409,
    "GOODS-NOT-FOUND": 404,
    "BUYER-NOT-FOUND": 404,
    "BATCH-NOT-FOUND": 404,
    "SHEET-TOO-LARGE": 413,
    "DRAFT-NOT-FOUND": 404,
    "DRAFT-ELSEWHERE": 409,
    "DRAFT-USED": 409,
    "CODE-CHANGED": 409,
    "JOB-NOT-FOUND": 404,
    "EXPORT-NOT-FOUND": 404,
    "EXPORT-GONE": 410,
    "EXPORT-RUNNING": 409,
    "MERCHANT-NOT-FOUND": 404,
    "MERCHANT-SUSPENDED": 403,
    "MERCHANT-UNVERIFIED": 403,
    "STAFF-NOT-FOUND": 404,
    "SHOP-NOT-FOUND": 404,
    "TILL-NOT-FOUND": 404,
    "TILL-NO-DEVICE": 403,
    "SESSION-NOT-FOUND": 404,
    "LINK-DEAD": 404,
    "STAFF-PIN-WRONG": 403,
    "FACTOR-WRONG": 403,
    "FACTOR-PASSKEY": 403,
    "FACTOR-NEEDED": 403,
    "FACTOR-NOT-FOUND": 404,
    "ACCOUNT-ROLE": 403,
    "ACCOUNT-PIN-SESSION": 403,
    "ACCOUNT-PASSWORD-WRONG": 403,
    "ACCOUNT-LOGIN-WRONG": 403,
    "ACCOUNT-SESSION-NONE": 401,
    "ACCOUNT-TOO-MANY": 429,
    "REQUEST-TOO-LARGE": 413,
    "REQUEST-TOO-MANY": 429,
    "REQUEST-STALE": 403,
    "ISSUE-KEY-REUSED": 409,
    "ISSUE-BUSY": 503,
    "VERIFY-BUSY": 503,
    "ISSUE-CHANNEL-DOWN": 503,
    "ISSUE-NO-NUMBERS": 503,
    "ISSUE-SIGNER-DOWN": 503,
    "ISSUE-SIGNER-NOT-FITTING": 503,
    "ISSUE-SIGNER-NOT-VALID": 503,
    "DOCUMENT-RENDER-FAILED": 503,
    "DOCUMENT-SEAL-DOWN": 503,
    "DOCUMENT-SEAL-NOT-VALID": 503,
    "PAGE-NOT-FOUND": 404,
    "PAGE-METHOD": 405,
    "INTERNAL-ERROR": 500,
    "PHOTO-TOO-LARGE": 413,
    "API-KEY-NONE": 401,
    "API-KEY-WRONG": 401,
    "API-KEY-ENDED": 401,
    "API-KEY-MODE": 403,
    "API-KEY-NOT-FOUND": 404,
    "API-SCOPE": 403,
    "API-BODY-TYPE": 415,
    "API-IDEMPOTENCY-MISSING": 400,
    "API-IDEMPOTENCY-FORM": 400,
    "API-IDEMPOTENCY-REUSED": 409,
    "API-IDEMPOTENCY-RUNNING": 409,
    "API-PRECONDITION": 412,
    "API-RATE": 429,
    "ISSUE-NOT-FOUND": 404,
    "EVENT-NOT-FOUND": 404,
    "WEBHOOK-NOT-FOUND": 404,
    "LIST-LINK-GONE": 410,
    "SHARE-GONE": 410,
    "QUESTION-NOT-FOUND": 404,
    "RECEIVED-NOT-FOUND": 404,
    "RECEIVED-NO-ORIGINAL": 404,
    "RECEIVED-STATE": 409,
    "RECEIVED-BOOKED": 409,
    "RECEIVED-DOUBTFUL": 409,
    "RECEIVE-FILE-LARGE": 413,
    "TICKET-NOT-FOUND": 404,
    "TICKET-NO-CONSENT": 403,
    "TRAINING-OUTSIDE": 409,
    "TRAINING-ONLY-SANDBOX": 409,
    "AUDIT-RUNNING": 409,
    "ANNOUNCEMENT-NOT-FOUND": 404,
    "FINDING-NOT-FOUND": 404,
    "PAYMENT-FILE-NOT-FOUND": 404,
    "PAYMENT-FILE-LARGE": 413,
    "PAYMENT-FILE-TWICE": 409,
    "TAX-SUMS-DIFFER": 409,
    "TAX-AUTHORITY-AWAY": 503,
    "TAX-OUTCOME-UNKNOWN": 503,
    "QUOTA-REQUEST-OPEN": 409,
}
_log = structlog.get_logger("piaoma.web")


def status_of(refusals: tuple[Refusal, ...]) -> int:
    """The HTTP status of the first refusal; 422 when it is a matter of content."""
    return status_of_cause(refusals[0].cause)


def status_of_cause(cause: str) -> int:
    """The HTTP status of a cause."""
    return _STATUSES.get(cause, 422)


def explained(request: Request, refusals: tuple[Refusal, ...]) -> list[dict[str, str]]:
    """Refusals in the words of the page's language."""
    language = language_of(request)
    return [
        {"cause": one.cause, "field": one.field, "what": one.what(language), "remedy": one.remedy(language)}
        for one in refusals
    ]


def refusal_response(request: Request, refusals: tuple[Refusal, ...]) -> Response:
    """The answer to a request that was refused as a whole."""
    status = status_of(refusals)
    errors = explained(request, refusals)
    headers = {"retry-after": refusals[0].values["seconds"]} if "seconds" in refusals[0].values else {}
    if wants_html(request):
        response = render(request, "error.html", status, errors=errors, title=errors[0]["what"], failed=status >= 500)
    else:
        body = {
            "type": f"/help/{refusals[0].cause}",
            "title": errors[0]["what"],
            "status": status,
            "detail": errors[0]["remedy"],
            "cause": refusals[0].cause,
            "errors": errors,
            "request_id": request.scope["state"]["request_id"],
        }
        response = JSONResponse(body, status, media_type="application/problem+json")
    response.headers.update(headers)
    return response


async def on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal_response(request, error.refusals)


async def on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    cause = {404: "PAGE-NOT-FOUND", 405: "PAGE-METHOD"}.get(error.status_code, "REQUEST-MALFORMED")
    values = {"have": str(error.detail)[:80]} if cause == "REQUEST-MALFORMED" else {}
    response = refusal_response(request, (Refusal(cause, "", values),))
    if error.headers:
        response.headers.update(error.headers)
    return response


async def on_too_large(request: Request, error: Exception) -> Response:
    return refusal_response(request, (Refusal("REQUEST-TOO-LARGE"),))


async def on_bug(request: Request, error: Exception) -> Response:
    """Anything else is our fault: a page with an id, and the trace in the log."""
    _log.error("bug", id=request.scope["state"]["request_id"], exc_info=error)
    return refusal_response(request, (Refusal("INTERNAL-ERROR"),))


HANDLERS = {Refused: on_refused, HTTPException: on_http, BodyTooLarge: on_too_large}
