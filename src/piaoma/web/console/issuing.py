"""开票: the page on which a sale is typed in, looked at, kept as a draft, and becomes a code or an invoice at once.

Everything works by sending the form: 计算, 识别, 查找, 加一行 and a barcode come back as the same page with more in it.
The script (``issue.js``) only saves the waiting.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from piaoma.codes.title_qr import PHOTO_BYTES_MAX, read_title
from piaoma.desk import buyers, codes, drafts, factors, goods, merchant, mint, records
from piaoma.desk.change_code import change_code, issue_now
from piaoma.desk.sessions import Session, short_agent
from piaoma.documents.ticket import Ticket, ticket_of_draft
from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.invoice.title_text import parse_title_text
from piaoma.store import IssueState
from piaoma.web import forms
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of

from .access import page, read_form, session_secret, show
from .code_fill import add_item, form_of_buyer, form_of_invoice, form_of_offer
from .code_form import (
    PROFILE_FOR_SPECIAL,
    ROWS_MAX,
    Typed,
    levy_choices,
    rate_choices,
    read_buyer,
    read_days,
    read_offer,
    refund_marks,
    rows_of,
)

if TYPE_CHECKING:
    from piaoma.desk.office import Office

TYPED_MAX = 50  # characters of what is looked for
BUSINESSES = (
    "建筑服务",
    "货物运输服务",
    "旅客运输服务",
    "不动产销售",
    "不动产租赁",
    "农产品收购",
    "稀土",
    "成品油",
    "机动车",
    "二手车",
)
# What is no part of a draft: who sends it, and which button was pressed.
_NOT_KEPT = frozenset(
    [
        "csrf",
        "draft_version",
        "keep",
        "preview",
        "more",
        "understand",
        "find_buyer",
        "take_buyer",
        "scan",
        "issue",
    ]  # names of fields
)


async def new_code(request: Request, session: Session) -> Response:
    """Amount first; Enter makes the code. Every other button of the form comes back to the form."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    empty = {"mint_key": secrets.token_urlsafe(12), "days": str(mint.DAYS_DEFAULT), "draft_version": "0"}
    if request.method != "POST":
        try:
            return await _form_page(request, session, shop, empty | await _begun(request, session))
        except Refused as refused:
            return await _form_page(request, session, shop, empty, refused.refusals)
    form = empty | await read_form(request)
    form["mint_key"] = form["mint_key"][:60] or empty["mint_key"]
    again = await _helped(request, session, shop, form)
    if again is not None:
        return again
    typed: Typed | None = None
    try:
        _demand(office, session, form)
        typed = await read_offer(office, shop, form, asking=True)
        if "preview" in form:
            ticket = ticket_of_draft(*mint.preview(office, shop, typed.offer))
            return await _form_page(request, session, shop, form, ticket=ticket)
        return await _make(request, session, shop, form, typed)
    except Refused as refused:
        told = refused.refusals if typed is None else typed.at_rows(refused.refusals)
        return await _form_page(request, session, shop, form, told)


async def _make(
    request: Request, session: Session, shop: merchant.Merchant, form: Mapping[str, str], typed: Typed
) -> Response:
    """Make the code, and issue it at once when that was asked for. The draft has done its work then."""
    office = office_of(request)
    if "issue" in form and typed.offer.buyer is None:
        raise refuse("ISSUE-NEEDS-TITLE", "buyer.name")
    made = await mint.mint(
        office, shop, typed.offer, mint_key=form["mint_key"], by=session.actor, days=read_days(form), told=meant(typed)
    )
    await drafts.remove_draft(office, session, form["mint_key"], used=True)
    if "issue" in form:
        outcome = await issue_now(office, made, form.get("email", "").strip())
        if outcome.state is IssueState.ISSUED:
            return RedirectResponse(f"/console/invoices/{outcome.number}", 303)
    return RedirectResponse(f"/console/codes/{made.code_id}", 303)


def _demand(office: Office, session: Session, form: Mapping[str, str]) -> None:
    """A 专票 asks for the second factor where the owner says so; looking at one does not. Raises FACTOR-NEEDED."""
    if form.get("kind") == InvoiceKind.SPECIAL.value and "preview" not in form:
        factors.demand(office, session, "special")


def meant(typed: Typed) -> dict[str, str]:
    """What the trail keeps of warnings that were passed over."""
    told = {"vague": "、".join(typed.vague)} if typed.vague else {}
    if typed.offer.kind is InvoiceKind.SPECIAL and typed.offer.seller_bank is False:
        told["seller_bank"] = "no"
    return told


async def _begun(request: Request, session: Session) -> dict[str, str]:
    """What the form begins with: a draft, an earlier invoice (再开一张), a buyer of the book, or a kind."""
    office, asked = office_of(request), request.query_params
    form: dict[str, str] = {}
    if asked.get("draft"):
        kept = await drafts.draft_of_person(office, session, asked["draft"])
        return {**kept.form, "mint_key": kept.draft_id, "draft_version": str(kept.version)}
    if asked.get("again"):
        form = await _again(office, session.merchant_id, asked["again"])
    if asked.get("buyer", "").isdigit() and len(asked["buyer"]) < 15:
        form |= form_of_buyer((await buyers.buyer_of(office, session.merchant_id, int(asked["buyer"]))).buyer)
    if asked.get("full"):
        form["full"] = "1"
    if asked.get("kind") in ("01", "02"):
        form["kind"] = asked["kind"]
    return form


async def _again(office: Office, merchant_id: int, number: str) -> dict[str, str]:
    """The form of an earlier invoice; as it was typed, when its code is known. A new sale has an order number of its
    own."""
    found = await records.invoice(office, merchant_id, number)
    if found.code_id is not None:
        made = await codes.code(office, merchant_id, found.code_id)
        form = form_of_offer(made.offer)
        if made.offer.buyer is None:
            form |= form_of_buyer(read(await records.original(office, merchant_id, number)).buyer)
    else:
        form = form_of_invoice(read(await records.original(office, merchant_id, number)))
    form.pop("own_number", None)
    return form


async def _helped(request: Request, session: Session, shop: merchant.Merchant, form: dict[str, str]) -> Response | None:
    """The same page again when a button only asked for help with filling it in; None when it was none of those."""
    office = office_of(request)
    focus, found = "", None
    refusals: tuple[Refusal, ...] = ()
    if form.get("scan", "").strip():
        focus, refusals = await _scanned(office, session.merchant_id, form)
    elif "more" in form:
        form["rows"] = str(min(rows_of(form) + 1, ROWS_MAX))
        focus = f"lines[{int(form['rows']) - 1}].name"
    elif "understand" in form:
        title = parse_title_text(form.get("buyer_block", ""))
        if title.name or title.taxpayer_id:
            form |= {"buyer_block": "", **form_of_buyer(title)}
            focus = "lines[0].name"
        else:
            refusals = (Refusal("TITLE-NOT-UNDERSTOOD", "buyer_block"),)
    elif "find_buyer" in form:
        found = await buyers.find_buyers(office, session.merchant_id, form.get("buyer_name", "")[:TYPED_MAX])
        focus = "taxpayer_id"
    elif form.get("take_buyer", "").isdigit() and len(form["take_buyer"]) < 15:
        try:
            form |= form_of_buyer((await buyers.buyer_of(office, session.merchant_id, int(form["take_buyer"]))).buyer)
        except Refused as refused:
            refusals = refused.refusals
        focus = "lines[0].name"
    elif "keep" in form:
        return await _keep(request, session, shop, form)
    else:
        return None
    return await _form_page(request, session, shop, form, refusals, focus=focus, found=found)


async def _scanned(office: Office, merchant_id: int, form: dict[str, str]) -> tuple[str, tuple[Refusal, ...]]:
    """A barcode becomes a row; the focus stays for the next one."""
    item = await goods.by_own_code(office, merchant_id, form["scan"][:TYPED_MAX])
    if item is None:
        return "scan", (Refusal("GOODS-CODE-UNKNOWN", "scan", {"have": form["scan"][:40]}),)
    row = add_item(form, item)
    form["scan"] = ""
    return "scan", () if row else (Refusal("LINES-TOO-MANY", "scan", {"have": str(ROWS_MAX), "max": str(ROWS_MAX)}),)


# ── drafts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _kept(form: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in form.items() if value and name not in _NOT_KEPT}


async def _save(request: Request, session: Session, form: Mapping[str, str]) -> drafts.StoredDraft:
    names = [form.get("buyer_name", ""), *(form.get(f"name{row}", "") for row in range(1, 4)), form.get("amount1", "")]
    version = form.get("draft_version", "0")
    return await drafts.save_draft(
        office_of(request), session, form.get("mint_key", "")[:60],
        int(version) if version.isascii() and version.isdigit() and len(version) < 9 else 0, _kept(form),
        " · ".join(name for name in names if name), short_agent(request.headers.get("user-agent", "")),
    )  # fmt: skip


async def _keep(request: Request, session: Session, shop: merchant.Merchant, form: dict[str, str]) -> Response:
    """存草稿 without scripts."""
    try:
        kept = await _save(request, session, form)
    except Refused as refused:
        return await _form_page(request, session, shop, form, refused.refusals)
    return RedirectResponse(f"/console/codes/new?draft={kept.draft_id}&kept=1", 303)


async def save_draft(request: Request, session: Session) -> Response:
    """Keep what is typed, for the script; or throw a draft away."""
    form = await read_form(request)
    if "remove" in form:
        await drafts.remove_draft(office_of(request), session, form["remove"])
        return RedirectResponse("/console/codes/drafts", 303)
    kept = await _save(request, session, form)
    return JSONResponse({"version": kept.version, "at": f"{kept.changed_at:%H:%M:%S}"})


async def list_drafts(request: Request, session: Session) -> Response:
    """草稿: one's own, on whatever device they were begun."""
    return show(request, session, "drafts.html", drafts=await drafts.drafts_of(office_of(request), session))


# ── what the script asks for ──────────────────────────────────────────────────────────────────────────────────────


async def preview(request: Request, session: Session) -> Response:
    """The ticket of what is typed so far, for the script that keeps it up to date while the form is filled in."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    form = await read_form(request)
    typed: Typed | None = None
    try:
        typed = await read_offer(office, shop, form)
        ticket = ticket_of_draft(*mint.preview(office, shop, typed.offer))
    except Refused as refused:
        told = refused.refusals if typed is None else typed.at_rows(refused.refusals)
        return show(request, session, "preview.html", ticket=None, errors=explained(request, told))
    return show(request, session, "preview.html", ticket=ticket, errors=[])


async def find_goods(request: Request, session: Session) -> Response:
    """Items of the list for what is typed, with all that a row takes from them."""
    typed = request.query_params.get("q", "")[:TYPED_MAX]
    found = await goods.find_goods(office_of(request), session.merchant_id, typed, buyers.SUGGESTED_MAX)
    rows = []
    for item in found:
        filled: dict[str, str] = {}
        add_item(filled, item)
        row = {name.removesuffix("1"): value for name, value in filled.items() if name.endswith("1")}
        rows.append({**row, "id": item.goods_id, "own": item.own_code})
    return JSONResponse(rows, headers={"cache-control": "no-store"})


async def find_buyers(request: Request, session: Session) -> Response:
    """Companies of the book for what is typed; the ones invoiced last when nothing is."""
    typed = request.query_params.get("q", "")[:TYPED_MAX]
    found = await buyers.find_buyers(office_of(request), session.merchant_id, typed)
    rows = [form_of_buyer(one.buyer) | {"email": one.email} for one in found]
    return JSONResponse(rows, headers={"cache-control": "no-store"})


async def photo(request: Request, session: Session) -> Response:
    """The title of a photographed title QR: as data for the script, or in a page of the form."""
    fields, _, data = await forms.read_upload(request, "photo", PHOTO_BYTES_MAX, "PHOTO-TOO-LARGE")
    forms.check_csrf(request, session_secret(request), fields.get("csrf", ""))
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    form = {"mint_key": secrets.token_urlsafe(12), "days": str(mint.DAYS_DEFAULT), "draft_version": "0"}
    try:
        title = await asyncio.to_thread(read_title, data)
    except Refused as refused:
        if "application/json" in request.headers.get("accept", ""):
            raise
        return await _form_page(request, session, shop, form, refused.refusals)
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(form_of_buyer(title))
    return await _form_page(request, session, shop, form | form_of_buyer(title), focus="lines[0].name")


# ── changing a code that nobody has claimed ───────────────────────────────────────────────────────────────────────


async def change(request: Request, session: Session) -> Response:
    """Change what is behind a code; the symbol stays."""
    office = office_of(request)
    shop = await merchant.merchant(office, session.merchant_id)
    made = await codes.code(office, session.merchant_id, code_id_of(request))
    if request.method != "POST":
        form = form_of_offer(made.offer) | {"version": str(made.version), "mint_key": "", "draft_version": "0"}
        return await _form_page(request, session, shop, form, made=made)
    form = await read_form(request)
    form.setdefault("mint_key", "")
    form.setdefault("draft_version", "0")
    typed: Typed | None = None
    try:
        _demand(office, session, form)
        typed = await read_offer(office, shop, form, asking=True)
        if "preview" in form:
            ticket = ticket_of_draft(*mint.preview(office, shop, typed.offer))
            return await _form_page(request, session, shop, form, ticket=ticket, made=made)
        version = form.get("version", "")
        await change_code(
            office, shop, made.code_id, typed.offer, by=session.actor, told=meant(typed),
            version=int(version) if version.isascii() and version.isdigit() and len(version) < 9 else 0,
        )  # fmt: skip
    except Refused as refused:
        told = refused.refusals if typed is None else typed.at_rows(refused.refusals)
        form["version"] = str(made.version)  # who was told of another's change may overwrite it
        return await _form_page(request, session, shop, form, told, made=made)
    return RedirectResponse(f"/console/codes/{made.code_id}", 303)


def code_id_of(request: Request) -> int:
    """The code of the address. Raises ``Refused`` CODE-NOT-FOUND."""
    text = request.path_params["code_id"]
    if not (text.isascii() and text.isdigit() and len(text) <= 13):
        raise refuse("CODE-NOT-FOUND")
    return int(text)


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def _form_page(
    request: Request, session: Session, shop: merchant.Merchant, form: Mapping[str, str],
    refusals: tuple[Refusal, ...] = (), *, ticket: Ticket | None = None, focus: str = "",
    found: list[buyers.BookedBuyer] | None = None, made: codes.Code | None = None,
) -> Response:  # fmt: skip
    office = office_of(request)
    errors = explained(request, refusals)
    merchant_id = session.merchant_id
    full = bool(made or errors or form.get("full") or form.get("kind") == "01" or form.get("rows") or read_buyer(form))
    return show(
        request, session, "new_code.html", status_of(refusals) if refusals else 200, shop=shop, form=form, made=made,
        stock=await goods.list_goods(office, merchant_id, goods.CHIPS_MAX), quota=await merchant.quota(office, shop),
        rates=rate_choices(shop, office.now().date()), levies=levy_choices(shop), marks_=refund_marks(),
        errors=errors, ticket=ticket, full=full, rows=rows_of(form), rows_max=ROWS_MAX, found=found,
        businesses=BUSINESSES, focus=_focus(errors, focus or ("name" if full and not made else "")),
        last_buyers=await buyers.list_buyers(office, merchant_id, 3), special=_special_refusal(session, shop),
        drafts=[] if made else (await drafts.drafts_of(office, session))[:3],
        has_buyer=read_buyer(form) is not None, missing=set(PROFILE_FOR_SPECIAL) & set(shop.missing),
    )  # fmt: skip


def _focus(errors: list[dict[str, str]], wanted: str) -> str:
    """Where one goes on typing: the first field that is wrong, else what the button was about, else the amount."""
    wrong = next((error["field"].removeprefix("buyer.") for error in errors if error["field"]), "")
    return {"name": "name", "amount": "lines[0].amount"}.get(wrong, wrong) or wanted or "lines[0].amount"


def _special_refusal(session: Session, shop: merchant.Merchant) -> str:
    """Why this person cannot make a 专票 here: the name of a sentence, empty when he can."""
    if shop.no_special:
        return "special_not_open"
    return "special_by_pin" if session.by_pin and "special" in session.factor_policy.split() else ""


routes = [
    Route("/console/codes/new", page(new_code), methods=["GET", "POST"]),
    Route("/console/codes/preview", page(preview), methods=["POST"]),
    Route("/console/codes/drafts", page(list_drafts)),
    Route("/console/codes/drafts", page(save_draft), methods=["POST"]),
    Route("/console/codes/photo", page(photo), methods=["POST"]),
    Route("/console/codes/{code_id}/change", page(change), methods=["GET", "POST"]),
    Route("/console/goods.json", page(find_goods)),
    Route("/console/buyers.json", page(find_buyers)),
]
