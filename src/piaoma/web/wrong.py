"""信息有误 and 要专票: the customer tells the shop what a code should say instead; nothing is issued meanwhile."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import code_requests
from piaoma.desk.mint import NOBODY_YET, draft_of
from piaoma.desk.office import Office
from piaoma.desk.scan import Scan
from piaoma.invoice import totals
from piaoma.invoice.refusal import Refused

from . import cookies, forms
from .errors import explained, status_of
from .looking import scanned
from .page import office_of, render
from .throttle import Throttle
from .titles import typed_title

_requests = Throttle(burst=5, per_minute=3)  # about one code from one address


async def show_form(request: Request) -> Response:
    """The title as it stands, to be mended; a line to the shop; the wish for a 专票 where the shop takes it."""
    found, holder = await scanned(request)
    if not code_requests.may_ask(found.merchant, found.code):
        return RedirectResponse(f"/s/{found.code.token}", 303)
    response = _page(request, found, {}, ())
    if not cookies.holder_of(request):
        cookies.keep_holder(request, response, holder)
    return response


def _page(request: Request, found: Scan, typed: dict[str, str], errors: tuple[Any, ...]) -> Response:
    wallet = cookies.wallet_of(request)
    title = found.code.offer.buyer or (wallet.titles[0] if wallet.titles else NOBODY_YET)
    known = {part: getattr(title, part) for part in ("taxpayer_id", "address", "phone", "bank", "account")}
    known["name"] = "" if title is NOBODY_YET else title.name
    return render(
        request, "scan/wrong.html", status_of(errors) if errors else 200, scan=found, token=found.code.token,
        typed=known | typed, errors=explained(request, errors),
        special=code_requests.special_allowed(found.merchant, found.code),
    )  # fmt: skip


async def send(request: Request) -> Response:
    """Send it to the shop."""
    form = await forms.read_form(request)
    found, holder = await scanned(request)
    _requests.spend(request, found.code.token)
    try:
        await code_requests.ask(
            office_of(request), found.code, holder, typed_title(form), form.get("line", ""), special="special" in form
        )
    except Refused as refused:
        return _page(request, found, form, refused.refusals)
    response = RedirectResponse(f"/s/{found.code.token}", 303)
    if not cookies.holder_of(request):
        cookies.keep_holder(request, response, holder)
    return response


def changes(office: Office, found: Scan) -> list[tuple[str, str, str]]:
    """What the shop's last change made of a code: (what, before, after), only what differs."""
    old, new = found.code.former, found.code.offer
    if old is None:
        return []
    draft = draft_of(old, found.merchant, old.buyer or NOBODY_YET)
    _, sums = totals.price(draft, found.code.created_at.date(), office.catalogue)
    told = [
        ("amount", _yuan(sums.inclusive), _yuan(found.totals.inclusive)),
        ("item", "、".join(line.name for line in old.lines), "、".join(line.name for line in new.lines)),
        ("title", *(f"{one.buyer.name} {one.buyer.taxpayer_id}".strip() if one.buyer else "—" for one in (old, new))),
        ("kind", f"kind_{old.kind.name.lower()}", f"kind_{new.kind.name.lower()}"),
        ("remark", old.remark, new.remark),
    ]
    return [one for one in told if one[1] != one[2]]  # type: ignore[misc]


def _yuan(value: Decimal) -> str:
    return f"¥{value:,.2f}"


def shown_state(found: Scan, asked: code_requests.CodeRequest | None) -> str:
    """The state that a page waits to see changed: it also changes with the offer, and with the shop's answer."""
    if found.code.version == 1 and asked is None:
        return found.state.value
    return f"{found.state.value}.{found.code.version}{'.' + asked.state if asked else ''}"


routes = [Route("/s/{token}/wrong", show_form), Route("/s/{token}/wrong", send, methods=["POST"])]
