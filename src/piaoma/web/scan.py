"""The customer's pages (消费者页面): scan, title, confirm, result. Opening a page never issues; only a confirm does.

One address serves the whole life of a code: what it shows follows the state of the code and who is looking.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from piaoma.codes.pickup import pickup_code
from piaoma.codes.title_qr import read_title
from piaoma.codes.token import canonical, unseal
from piaoma.delivery import likely_address, masked
from piaoma.desk import code_requests, deliver, opens, receipts, records, relations, shelf
from piaoma.desk.codes import CodeState
from piaoma.desk.mint import draft_of
from piaoma.desk.reissue import customers_refusal
from piaoma.desk.reissue_book import latest_reissue
from piaoma.desk.scan import Scan, confirm, scan, title_faults, unlock, viewed
from piaoma.documents.ticket import ticket_of, ticket_of_draft
from piaoma.invoice import taxpayer_id
from piaoma.invoice.original_reader import read
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.invoice.title_text import parse_title_text
from piaoma.store import IssueState

from . import cookies, forms, wrong
from .errors import explained, status_of
from .files import TYPES as FILE_KINDS
from .files import file_response
from .hand_on import hand_on_view
from .live import stream_state
from .looking import carried, carried_parts, note_opened, pickups, scanned
from .page import office_of, render
from .throttle import Throttle
from .titles import typed_title

OPEN_STATES = (CodeState.OPEN, CodeState.VIEWED)
WAITING_STATES = (CodeState.SUBMITTED, CodeState.UNKNOWN)
REFRESH_SECONDS = (1, 2, 4, 8, 15)

_confirms = Throttle(burst=20, per_minute=30)  # for one code from one address
_mails = Throttle(burst=5, per_minute=2)


async def show(request: Request) -> Response:
    """The code's page, whatever its state."""
    found, holder = await scanned(request)
    response = await _page(request, found, holder)
    if found.mine and found.invoice is not None:
        await note_opened(request, found)
        if cookies.holder_of(request):
            issued = found.invoice
            shelf.note(office_of(request), holder, issued.merchant_id, issued.number, issued.issued_at)
    if not cookies.holder_of(request):
        cookies.keep_holder(request, response, holder)
    return response


async def _page(
    request: Request, found: Scan, holder: str, errors: tuple[Refusal, ...] = (), typed: Buyer | None = None
) -> Response:
    if found.state in OPEN_STATES and found.code.offer.applied:
        # Agreed to and not issued yet: its own page tells how it stands.
        return RedirectResponse(f"/a/{found.code.token}{carried(request)}", 303)
    if found.state in OPEN_STATES and found.merchant.state == "active":
        return await _offer_page(request, found, holder, errors, typed)
    if found.mine and found.invoice is not None:
        return await _result_page(request, found, errors)
    if found.mine and found.state in WAITING_STATES:
        return _waiting_page(request, found)
    status = status_of(errors) if errors else (410 if found.state in (CodeState.REVOKED, CodeState.EXPIRED) else 200)
    view: dict[str, Any] = {"scan": found, "errors": explained(request, errors), "token": found.code.token}
    return render(request, "scan/closed.html", status, **view)


async def _offer_page(
    request: Request, found: Scan, holder: str, errors: tuple[Refusal, ...], typed: Buyer | None,
    taken: Buyer | None = None,
) -> Response:  # fmt: skip
    """Shop, amount and lines; the title; the one button. ``taken`` is a title that no cookie will bring back."""
    wallet = cookies.wallet_of(request)
    locked = found.code.offer.buyer
    code = found.code
    asked = await code_requests.latest(office_of(request), code.merchant_id, code.code_id, holder)
    # A 专票 never goes to a natural person, so such titles are not offered for one.
    titles = [kept for kept in wallet.titles if not title_faults(found, kept)] if taken is None else [taken]
    editing = locked is None and (typed is not None or "title" in request.query_params or not titles)
    title = locked or (titles[_chosen(request, len(titles))] if titles else None)
    confirmation = ""
    if title is not None and not editing:
        confirmation = forms.sign_confirmation(
            request,
            forms.Confirmation(
                code.token, holder, forms.new_issue_key(), title, title in wallet.titles[:1], code.version
            ),
        )
    shown = errors or found.code.refusals
    view = {
        "scan": found,
        "token": found.code.token,
        "title_": title,
        "titles": list(enumerate(titles)),
        "locked": locked is not None,
        "editing": editing,
        "typed": typed or Buyer(""),
        "confirmation": confirmation,
        "email": wallet.email,
        "masked_email": masked(wallet.email) if wallet.email else "",
        "errors": explained(request, shown),
        # A fault of the title names its field; what names none is why nothing was issued.
        "failed": any(not refusal.field for refusal in shown),
        "special": found.code.kind.name == "SPECIAL",
        "mended": "mended" in request.query_params,
        "asked": asked,
        "may_ask": code_requests.may_ask(found.merchant, code),
        "changes": wrong.changes(office_of(request), found)
        if any(one.cause == "CODE-CHANGED" for one in errors) or (asked and asked.state == "accepted")
        else [],
        "live": wrong.shown_state(found, asked) if asked and asked.state == "waiting" else "",
        "refresh": REFRESH_SECONDS[2] if asked and asked.state == "waiting" else 0,
    }
    return render(request, "scan/offer.html", status_of(errors) if errors else 200, **view)


def _chosen(request: Request, count: int) -> int:
    """Which of the kept titles: the last used unless the address says another."""
    wanted = request.query_params.get("use", "")
    return int(wanted) if wanted in map(str, range(count)) else 0


def _waiting_page(request: Request, found: Scan) -> Response:
    """开票中 or 结果未知: the truth, the time, the next step; reloads by itself, more and more slowly."""
    turn = request.query_params.get("n", "0")
    turn_number = int(turn) if turn.isascii() and turn.isdigit() and len(turn) < 4 else 0
    refresh = REFRESH_SECONDS[min(turn_number, len(REFRESH_SECONDS) - 1)]
    waited = int((office_of(request).now() - found.code.state_since).total_seconds())
    onward = urlencode({"n": turn_number + 1, **carried_parts(request)})
    view: dict[str, Any] = {"scan": found, "token": found.code.token, "waited": waited, "carried": carried(request)}
    return render(request, "scan/waiting.html", refresh=refresh, onward=f"?{onward}", **view)


async def _result_page(request: Request, found: Scan, errors: tuple[Refusal, ...] = (), typed: str = "") -> Response:
    """What is issued, with its files. ``typed`` is an address that looks mistyped and is asked about."""
    assert found.invoice is not None
    office = office_of(request)
    issued = found.invoice
    opens.count(office, issued.merchant_id, issued.number, "open")
    original = await records.original(office, issued.merchant_id, issued.number)
    stated = read(original)
    view = {
        "scan": found,
        "token": found.code.token,
        "ticket": ticket_of(stated),
        "keeps_books": not stated.buyer.natural_person,
        "xml_kb": max(1, len(original) // 1024),
        "pickup": pickup_code(office.cookie_key, found.code.merchant_id, found.code.code_id),
        "mails": await receipts.mails_of(office, issued.merchant_id, issued.number),
        "hand": await hand_on_view(request, found),
        "email": typed,
        "suggestion": likely_address(typed),
        "errors": explained(request, errors),
        "other_title": "kept" in request.query_params,
        "carried": carried(request),
        **await _corrections(request, found),
    }
    return render(request, "scan/result.html", status_of(errors) if errors else 200, **view)


async def _corrections(request: Request, found: Scan) -> dict[str, Any]:
    """What is or was corrected of this invoice, and whether its holder may ask for another title."""
    office, issued = office_of(request), found.invoice
    assert issued is not None
    one = await latest_reissue(office, issued.merchant_id, issued.number)
    under_way = one is not None and one.under_way
    refusal = None if under_way else await customers_refusal(office, issued, found.code.code_id)
    return {
        "reissue": one,
        "under_way": under_way,
        # Without scripts the page looks again by itself.
        "refresh": REFRESH_SECONDS[-1] if under_way else 0,
        "onward": carried(request),
        "reissue_errors": explained(request, one.refusals) if one else [],
        "may_reissue": not under_way and refusal is None,
        "earlier": await relations.family(office, issued.merchant_id, issued.number),
    }


async def keep_title(request: Request) -> Response:
    """Take a title from the form, a pasted block or the button 个人; then show the confirm button."""
    found, holder = await scanned(request)
    form = await forms.read_form(request)
    token = found.code.token
    wallet = cookies.wallet_of(request)
    if "forget" in form:
        response: Response = RedirectResponse(f"/s/{token}?title=1", 303)
        response.delete_cookie(cookies.TITLES)
        return response
    if "person" in form:
        title = Buyer(form.get("person_name", "").strip() or "个人", natural_person=True)
    elif "paste" in form:
        title = parse_title_text(form.get("block", ""))
        if not title.name and not title.taxpayer_id:
            return await _page(request, found, holder, (Refusal("TITLE-NOT-UNDERSTOOD", "block"),), title)
        # What was understood is shown to be checked before it is used.
        return await _page(request, found, holder, (), title)
    else:
        title = typed_title(form)
    faults = tuple(title_faults(found, title))
    if faults:
        return await _page(request, found, holder, faults, title)
    if cookies.holder_of(request):
        mended = title.taxpayer_id != taxpayer_id.normalise(form.get("taxpayer_id", title.taxpayer_id))
        response = RedirectResponse(f"/s/{token}{'?mended=1' if mended else ''}", 303)
    else:
        # Opening the page left no cookie in this browser, so a redirect would lose the title: the button holds it.
        response = await _offer_page(request, found, holder, (), None, taken=title)
        cookies.keep_holder(request, response, holder)
    cookies.keep_wallet(request, response, cookies.used(wallet, title))
    return response


async def photo(request: Request) -> Response:
    """Read a title QR from a photo."""
    found, holder = await scanned(request)
    _confirms.spend(request, "photo")
    try:
        title = await asyncio.to_thread(read_title, await forms.read_photo(request))
    except Refused as refused:
        return await _page(request, found, holder, refused.refusals, Buyer(""))
    return await _page(request, found, holder, (), title)


async def do_confirm(request: Request) -> Response:
    """确认开票: the only request of a customer that issues."""
    form = await forms.read_form(request)
    token = canonical(request.path_params["token"])
    agreed = forms.read_confirmation(request, form.get("confirmation", ""), token)
    _confirms.spend(request, token)
    office = office_of(request)
    # The cookie wins; the form's own secret serves browsers that keep none.
    kept = agreed.holder if cookies.holds(request, agreed.holder) else cookies.holder_of(request)
    holder = kept or agreed.holder
    email = form.get("email", "").strip()
    if email:
        email = deliver.check_address(email)
    try:
        outcome = await confirm(
            office, token, holder, agreed.buyer, issue_key=agreed.issue_key, email=email, version=agreed.version
        )
    except Refused as refused:
        found = await scan(office, token, holder)
        return await _page(request, found, holder, refused.refusals, agreed.buyer)
    if outcome.state is IssueState.REFUSED:
        found = await scan(office, token, holder)
        return await _page(request, found, holder, outcome.refusals)
    onward = {}
    if outcome.repeated or not kept:
        found = await scan(office, token, holder)
        if found.code.buyer_name not in (None, agreed.buyer.name):
            onward["kept"] = "1"
        if not kept:
            onward["c"] = pickup_code(office.cookie_key, found.code.merchant_id, found.code.code_id)
    response = RedirectResponse(f"/s/{token}/result" + (f"?{urlencode(onward)}" if onward else ""), 303)
    if not kept:
        cookies.keep_holder(request, response, holder)
    if outcome.number and not outcome.repeated:
        shelf.note(office, holder, unseal(office.token_keys, token)[0], outcome.number, office.now())
    if not agreed.in_front or email:
        wallet = cookies.wallet_of(request)
        used = cookies.used(wallet, agreed.buyer, email)
        if used != wallet and (wallet.titles or not agreed.buyer.natural_person):
            cookies.keep_wallet(request, response, used)
    return response


async def do_unlock(request: Request) -> Response:
    """取票码: open the invoice of a used code in this browser."""
    form = await forms.read_form(request)
    found, holder = await scanned(request)
    token = found.code.token
    pickups.spend(request, token)
    try:
        unlock(office_of(request), token, form.get("pickup", ""))
    except Refused as refused:
        return await _page(request, found, holder, refused.refusals)
    response = RedirectResponse(f"/s/{token}/result", 303)
    cookies.keep_grant(request, response, token)
    cookies.keep_holder(request, response, holder)
    return response


async def do_send(request: Request) -> Response:
    """Send the invoice to an address; a mistyped domain is asked about first."""
    form = await forms.read_form(request)
    found, holder = await scanned(request)
    token = found.code.token
    if found.invoice is None:
        return await _page(request, found, holder)
    try:
        email = deliver.check_address(form.get("email", ""))
        suggestion = likely_address(email)
        if suggestion and "sure" not in form:
            return await _result_page(request, found, typed=email)
        _mails.spend(request, token)
        await deliver.send(office_of(request), found.invoice.merchant_id, found.invoice.number, email)
    except Refused as refused:
        return await _result_page(request, found, refused.refusals)
    response = RedirectResponse(f"/s/{token}/result{carried(request)}#mail", 303)
    wallet = cookies.wallet_of(request)
    if wallet.titles:
        cookies.keep_wallet(request, response, cookies.Wallet(wallet.titles, email, wallet.pinned))
    return response


async def download(request: Request) -> Response:
    """The original or a view of it, to its holder; ``?n=`` names an earlier invoice of the same code, or a red one."""
    found, _ = await scanned(request)
    kind = request.path_params["kind"]
    if found.invoice is None:
        raise Refused(Refusal("INVOICE-NOT-FOUND"))
    merchant_id, number = found.invoice.merchant_id, request.query_params.get("n", found.invoice.number)
    if number != found.invoice.number:
        earlier = await relations.family(office_of(request), merchant_id, found.invoice.number)
        if number not in {one.number for one in earlier}:
            raise Refused(Refusal("INVOICE-NOT-FOUND"))
    if kind in FILE_KINDS:
        opens.count(office_of(request), merchant_id, number, "download")
    await note_opened(request, found, downloaded=True)
    return await file_response(request, merchant_id, number, kind)


async def show_preview(request: Request) -> Response:
    """What the ticket will look like."""
    found, _ = await scanned(request)
    wallet = cookies.wallet_of(request)
    buyer = found.code.offer.buyer or (wallet.titles[0] if wallet.titles else Buyer("　", natural_person=True))
    draft = draft_of(found.code.offer, found.merchant, buyer)
    ticket = ticket_of_draft(draft, found.lines, found.totals)
    return render(request, "scan/preview.html", ticket=ticket, token=found.code.token)


async def state(request: Request) -> Response:
    """The state, for scripts."""
    found, holder = await scanned(request)
    return JSONResponse(
        {
            "state": await _shown(request, found, holder),
            "mine": found.mine,
            "number": found.code.number if found.mine else None,
        }
    )


async def seen(request: Request) -> Response:
    """The page was opened by somebody's browser: a hint for the till."""
    await viewed(office_of(request), canonical(request.path_params["token"]))
    return Response(status_code=204)


async def _shown(request: Request, found: Scan, holder: str) -> str:
    """The state as pages wait for it to change."""
    if found.state not in OPEN_STATES:
        return found.state.value
    asked = await code_requests.latest(office_of(request), found.code.merchant_id, found.code.code_id, holder)
    return wrong.shown_state(found, asked)


async def events(request: Request) -> Response:
    """The state as server-sent events until it is final."""
    seen, holder = await scanned(request)

    async def read_state() -> tuple[str, bool]:
        found = await scan(office_of(request), seen.code.token, holder, granted=seen.mine)
        return await _shown(request, found, holder), found.state not in (*OPEN_STATES, *WAITING_STATES)

    return stream_state(request, read_state)


routes = [
    Route("/s/{token}/confirm", do_confirm, methods=["POST"]),
    Route("/s/{token}", show),
    Route("/s/{token}/result", show),
    Route("/s/{token}/preview", show_preview),
    Route("/s/{token}/title", keep_title, methods=["POST"]),
    Route("/s/{token}/photo", photo, methods=["POST"]),
    Route("/s/{token}/unlock", do_unlock, methods=["POST"]),
    Route("/s/{token}/send", do_send, methods=["POST"]),
    Route("/s/{token}/seen", seen, methods=["POST"]),
    Route("/s/{token}/state.json", state),
    Route("/s/{token}/events", events),
    Route("/s/{token}/file/{kind}", download),
]
