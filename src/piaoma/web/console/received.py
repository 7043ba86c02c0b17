"""收到的发票: bringing files in, finding, booking one or many, taking them away; one invoice with its judgement."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from piaoma.desk import booking, mailbox, received, received_files
from piaoma.desk.booking import Act, Decision
from piaoma.desk.events import list_events, note
from piaoma.desk.receive import Taken, receive
from piaoma.desk.received import Received, State, Wanted, Way
from piaoma.desk.sessions import Session
from piaoma.desk.verify import File, verify_files
from piaoma.documents.receiving import Result, result_of
from piaoma.documents.report import Item, Light, Report
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.web import forms
from piaoma.web.errors import explained, status_of
from piaoma.web.files import TYPES
from piaoma.web.middleware import same_origin
from piaoma.web.page import language_of, office_of, words
from piaoma.web.throttle import Throttle
from piaoma.web.uploads import FIELDS_MAX, read_files
from piaoma.web.verify import FILES_MAX

from .access import page, read_form, session_secret, show
from .search import read_filter

TICK = "n:"  # before the number in the name of a tick
ASKED = ("q", "since", "until", "min", "max", "state", "way")
HEAD = (
    "number", "date", "seller", "seller_id", "items", "amount", "tax", "total", "state", "voucher", "claimant",
    "decided_by", "decided_at", "way", "brought_by", "received_at", "verdict", "doubt",
)  # fmt: skip

_uploads = Throttle(burst=40, per_minute=20)


async def list_received(request: Request, session: Session) -> Response:
    """The list as the address asks for it."""
    return await _list(request, session)


async def _list(
    request: Request, session: Session, refusals: tuple[Refusal, ...] = (), taken: list[Taken] | None = None,
    left: list[tuple[str, Refusal]] | None = None, form: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    office, asked = office_of(request), request.query_params
    try:
        found = await received.search(office, session.merchant_id, _wanted(request), asked.get("cursor", ""))
    except Refused as refused:
        refusals = (*refusals, *refused.refusals)
        found = await received.search(office, session.merchant_id, Wanted())
    told = [(one, explained(request, one.refusals)) for one in taken or ()]
    booked = asked.get("booked", "")
    return show(
        request, session, "received.html", status_of(refusals) if refusals else 200, found=found, asked=asked,
        errors=explained(request, refusals), search=_search(request), taken=told, form=form or {},
        left=[(number, explained(request, (refusal,))[0]) for number, refusal in left or ()],
        booked=booked if booked.isascii() and booked.isdigit() and len(booked) < 4 else "",
        attention=await received.attention_count(office, session.merchant_id), states=received.STATES[1:],
        ways=[way.value for way in Way], files_max=FILES_MAX, page_path="/console/received",
        mail_in=bool(office.config.mail_in), address=await mailbox.address_of(office, session.merchant_id),
    )  # fmt: skip


def _wanted(request: Request) -> Wanted:
    asked = request.query_params
    state = asked.get("state", "")
    return Wanted(read_filter(asked), state if state in received.STATES else "", asked.get("way", ""))


def _search(request: Request) -> str:
    """The search alone, in one order."""
    return urlencode([(key, request.query_params[key]) for key in ASKED if request.query_params.get(key)])


async def bring(request: Request, session: Session) -> Response:
    """Files that somebody brings: what became of each stands above the list. Sent again, they are known."""
    try:
        files = await _read_upload(request)
        for _ in files:
            _uploads.spend(request)
        taken = await receive(office_of(request), session.actor, files, Way.UPLOAD)
    except Refused as refused:
        return await _list(request, session, refused.refusals)
    return await _list(request, session, taken=taken)


async def _read_upload(request: Request) -> list[File]:
    """Raises ``Refused`` REQUEST-STALE without the form's token, FILE-TOO-MANY."""
    if not same_origin(request.scope):
        raise refuse("REQUEST-STALE")
    async with request.form(max_files=FIELDS_MAX, max_fields=FIELDS_MAX) as form:
        token = form.get("csrf")
        forms.check_csrf(request, session_secret(request), token if isinstance(token, str) else "")
        return await read_files(form, FILES_MAX, "files")


async def show_one(request: Request, session: Session) -> Response:
    """One invoice: what was found about it, its files, what may be decided, what was."""
    return await _page(request, session)


async def _page(
    request: Request, session: Session, refusals: tuple[Refusal, ...] = (), form: dict[str, str] | None = None
) -> Response:
    office = office_of(request)
    one = await received.received(office, session.merchant_id, request.path_params["entry"])
    result = await _result(request, one)
    trail = await list_events(office, session.merchant_id, kind="received.", text=one.number)
    return show(
        request, session, "received_one.html", status_of(refusals) if refusals else 200, invoice=one, one=result,
        doubt=explained(request, one.doubt), related=await received.related(office, one),
        kept=await received.files(office, one), views=received_files.VIEWS if one.issuer_id is not None else (),
        forms=received_files.FORMS if await received_files.original(office, one) is not None else (),
        possible=[act.value for act in booking.possible(one)], form=form or {}, errors=explained(request, refusals),
        trail=[event for event in trail.items if event.subject == one.number],
    )  # fmt: skip


async def _result(request: Request, one: Received) -> Result:
    """The judgement in words. What came from this site by itself is judged when it is looked at."""
    office, report = office_of(request), one.report
    if report is None:
        assert one.issuer_id is not None, "what came otherwise was judged"
        original = await office.view(one.issuer_id, one.number, "xml")
        report = (await verify_files(office, [File(f"{one.number}.xml", original)]))[0]
    return result_of("", _as_of_now(report, one), language_of(request))


def _as_of_now(report: Report, one: Received) -> Report:
    """The same with what became known since: that it was taken back."""
    since = [each for each in one.doubt if each.cause.startswith("RED-TAKEN-BACK")]
    light = report.light("red")
    if not since or light is None or one.reversed_at is None:
        return report
    return report.with_items([Item("red", Light.BAD if one.reversal == "wholly" else Light.WARN, tuple(since))])


async def decide(request: Request, session: Session) -> Response:
    """Book, return, and whatever else the state allows."""
    form = await read_form(request)
    office, number = office_of(request), request.path_params["entry"]
    await received.received(office, session.merchant_id, number)
    try:
        if form.get("do") not in set(Act):
            raise refuse("REQUEST-MALFORMED", have="do")
        decision = Decision(Act(form["do"]), form.get("voucher", ""), form.get("claimant", ""), form.get("reason", ""))
        await booking.decide(office, session.actor, number, decision)
    except Refused as refused:
        return await _page(request, session, refused.refusals, form)
    return RedirectResponse(f"/console/received/{number}", 303)


def _ticked(form: dict[str, str]) -> tuple[str, ...]:
    return tuple(name.removeprefix(TICK) for name in form if name.startswith(TICK))


async def book(request: Request, session: Session) -> Response:
    """Book those that are ticked under one voucher; what could not be is told one by one."""
    form = await read_form(request)
    try:
        booked, left = await booking.book_many(
            office_of(request), session.actor, _ticked(form), form.get("voucher", ""), form.get("claimant", "")
        )
    except Refused as refused:
        return await _list(request, session, refused.refusals, form=form)
    if left:
        return await _list(request, session, left=left, form=form)
    search = _search(request)
    return RedirectResponse(f"/console/received?{search}{'&' if search else ''}booked={len(booked)}", 303)


async def export(request: Request, session: Session) -> Response:
    """Those that are ticked, or all that were found, as a table or a zip."""
    form = await read_form(request)
    office = office_of(request)
    what, _, how = form.get("do", "").partition(":")
    try:
        numbers = _ticked(form)
        wanted = Wanted(numbers=numbers) if numbers else _wanted(request)
        if what == "zip":
            count, pieces = await received_files.pack(office, session.merchant_id, wanted, how)
            await note(office, session.actor, "export.make", "zip", after={"layout": how, "invoices": count})
            name = f"{office.now():%Y%m%d-%H%M%S}-{count}.zip"
            headers = {"content-disposition": f'attachment; filename="{name}"'}
            return StreamingResponse(pieces, media_type="application/zip", headers=headers)
        export_id = await received_files.tabulate(office, session.actor, wanted, what, _words(request))
    except Refused as refused:
        return await _list(request, session, refused.refusals)
    return RedirectResponse(f"/console/exports/{export_id}", 303)


def _words(request: Request) -> received_files.Words:
    language = language_of(request)

    def text(key: str) -> str:
        return words()[key][language]

    return received_files.Words(
        head=tuple(text(f"received_head_{name}") for name in HEAD),
        states={name: text(f"received_{name}") for name in (*(state.value for state in State), "alarm")},
        ways={way.value: text(f"received_way_{way.value}") for way in Way},
        verdicts={name: text(f"verdict_{name}") for name in ("valid", "invalid", "unknown")},
        sum=text("sum_label"),
        language=language,
    )


async def get_file(request: Request, session: Session) -> Response:
    """A file as it came, by its digest, or the invoice in a form of ours."""
    office, kind = office_of(request), request.path_params["kind"]
    one = await received.received(office, session.merchant_id, request.path_params["entry"])
    if len(kind) == 64:
        stored, data = await received.file(office, one, kind)
        name = next(each.name for each in await received.files(office, one) if each.digest == kind)
        # What others made is never shown as a page of ours, whatever it holds.
        return _download(name, f"{one.number}.{stored}", data, "application/octet-stream")
    name, data = await received_files.form_of(office, one, kind)
    return _download(name, f"{one.number}.{kind}", data, TYPES[kind])


def _download(name: str, plain: str, data: bytes, media: str) -> Response:
    headers = {"content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"}
    return Response(data, media_type=media, headers=headers)


async def set_address(request: Request, session: Session) -> Response:
    """A new address for mailing in, or none."""
    form = await read_form(request)
    try:
        await mailbox.set_address(office_of(request), session.actor, taken="close" not in form)
    except Refused as refused:
        return await _list(request, session, refused.refusals)
    return RedirectResponse("/console/received#mail", 303)


routes = [
    Route("/console/received", page(list_received)),
    Route("/console/received", page(bring), methods=["POST"]),
    Route("/console/received/book", page(book), methods=["POST"]),
    Route("/console/received/export", page(export), methods=["POST"]),
    Route("/console/received/address", page(set_address), methods=["POST"]),
    Route("/console/received/{entry}", page(show_one)),
    Route("/console/received/{entry}", page(decide), methods=["POST"]),
    Route("/console/received/{entry}/file/{kind}", page(get_file)),
]
