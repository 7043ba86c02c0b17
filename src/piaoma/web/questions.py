"""联系商家: a short form about one invoice, for its holder; what was asked and answered stands on the same page."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk.questions import LINE_MAX, Reason, ask, questions_of
from piaoma.invoice.refusal import Refusal, Refused

from . import cookies, forms
from .errors import explained, status_of
from .looking import carried, held_invoice
from .page import office_of, render
from .throttle import Throttle

_asks = Throttle(burst=5, per_minute=0.5)  # of one device


async def show(request: Request) -> Response:
    """The form, and what was asked before."""
    return await _page(request)


async def _page(request: Request, errors: tuple[Refusal, ...] = (), form: dict[str, str] | None = None) -> Response:
    found, issued = await held_invoice(request)
    view = {
        "scan": found,
        "number": issued.number,
        "token": found.code.token,
        "carried": carried(request),
        "asked": await questions_of(office_of(request), issued.merchant_id, issued.number),
        "reasons": [reason.value for reason in Reason],
        "form": form or {"email": cookies.wallet_of(request).email},
        "line_max": LINE_MAX,
        "errors": explained(request, errors),
        "sent": "sent" in request.query_params,
    }
    return render(request, "scan/ask.html", status_of(errors) if errors else 200, **view)


async def send(request: Request) -> Response:
    """Put a question on the shop's list."""
    form = await forms.read_form(request)
    found, issued = await held_invoice(request)
    try:
        _asks.spend(request)
        await ask(
            office_of(request), issued.merchant_id, issued.number, form.get("reason", ""), form.get("line", ""),
            form.get("email", ""),
        )  # fmt: skip
    except Refused as refused:
        return await _page(request, refused.refusals, form)
    onward = carried(request)
    return RedirectResponse(f"/s/{found.code.token}/ask{onward}{'&' if onward else '?'}sent=1", 303)


routes = [
    Route("/s/{token}/ask", show),
    Route("/s/{token}/ask", send, methods=["POST"]),
]
