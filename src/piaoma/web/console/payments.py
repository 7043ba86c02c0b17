"""对账: a statement is uploaded, its columns are named once, and each payment is held against the invoices."""

from __future__ import annotations

import csv
import io

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import payment_lists, payments
from piaoma.desk.sessions import Session
from piaoma.documents.sheets import defused
from piaoma.documents.statement import STATEMENT_BYTES_MAX, STATEMENT_ROWS_MAX, WORDS, Statement
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.web import forms
from piaoma.web.errors import explained, status_of
from piaoma.web.middleware import BodyTooLarge, same_origin
from piaoma.web.page import language_of, office_of, words
from piaoma.web.throttle import Throttle

from .access import page, read_form, session_secret, show

ROWS_SHOWN = 5  # of a file whose columns are to be named
SKIP_DIGITS_MAX = 7  # of a cursor
MIB = 1024 * 1024

_uploads = Throttle(burst=10, per_minute=6)


async def list_files(request: Request, session: Session) -> Response:
    """Files that were taken in, and taking in another."""
    return await _files_page(request, session)


async def _files_page(request: Request, session: Session, refusals: tuple[Refusal, ...] = ()) -> Response:
    return show(
        request, session, "payments.html", status_of(refusals) if refusals else 200,
        files=await payment_lists.files(office_of(request), session.merchant_id),
        errors=explained(request, refusals), size_mib=STATEMENT_BYTES_MAX // MIB, rows_max=STATEMENT_ROWS_MAX,
    )  # fmt: skip


async def upload(request: Request, session: Session) -> Response:
    """Take a file in."""
    try:
        name, data = await _uploaded(request)
        _uploads.spend_for_all(request, str(session.merchant_id))
        file_id = await payments.take_in(office_of(request), session.actor, name, data)
    except Refused as refused:
        if refused.refusals[0].cause == "REQUEST-STALE":
            raise
        return await _files_page(request, session, refused.refusals)
    except BodyTooLarge:
        most = f"{STATEMENT_BYTES_MAX // MIB} MiB"
        return await _files_page(request, session, (Refusal("PAYMENT-FILE-LARGE", "file", {"have": "?", "max": most}),))
    return RedirectResponse(f"/console/payments/{file_id}", 303)


async def _uploaded(request: Request) -> tuple[str, bytes]:
    """The file of a form of ours. Raises ``Refused`` REQUEST-STALE, PAYMENT-FILE-NONE."""
    if not same_origin(request.scope):
        raise refuse("REQUEST-STALE")
    async with request.form(max_files=1, max_fields=5) as form:
        sent = form.get("csrf")
        forms.check_csrf(request, session_secret(request), sent if isinstance(sent, str) else "")
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise refuse("PAYMENT-FILE-NONE", "file")
        return file.filename, await file.read(STATEMENT_BYTES_MAX + 1)


async def one_file(request: Request, session: Session) -> Response:
    """One file: naming its columns, or its counts and the list of a state, or all of it as a table."""
    office, file_id, asked = office_of(request), request.path_params["file_id"], request.query_params
    found = await payment_lists.file(office, session.merchant_id, file_id)
    if not found.mapped:
        statement = await payments.waiting_columns(office, session.merchant_id, file_id)
        if statement is not None:
            return _columns_page(request, session, found, statement)
    if asked.get("as") == "csv":
        return await _as_csv(request, session, found)
    counts = await payment_lists.counts(office, session.merchant_id, file_id)
    state = asked.get("state", "")
    if state not in payment_lists.STATES:
        state = next((one for one in ("missing", "double", "differing", "unpaid") if counts[one][0]), "matched")
    skip = asked.get("cursor", "")
    start = int(skip) if skip.isascii() and skip.isdigit() and len(skip) <= SKIP_DIGITS_MAX else 0
    return show(
        request, session, "payment_file.html", file=found, counts=counts, states=payment_lists.STATES, state=state,
        rows=await payment_lists.listed(office, session.merchant_id, file_id, state, start),
    )  # fmt: skip


def _columns_page(
    request: Request, session: Session, found: payment_lists.File, statement: Statement,
    refusals: tuple[Refusal, ...] = (), chosen: dict[str, int] | None = None,
) -> Response:  # fmt: skip
    return show(
        request, session, "payment_columns.html", status_of(refusals) if refusals else 200, file=found,
        statement=statement, rows=statement.rows[:ROWS_SHOWN], whats=list(WORDS), errors=explained(request, refusals),
        chosen=statement.guessed if chosen is None else chosen,
    )  # fmt: skip


async def _as_csv(request: Request, session: Session, found: payment_lists.File) -> Response:
    """Everything about a file; texts that a spreadsheet would take for a formula are defused."""
    language, table = language_of(request), words()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([table[f"payment_head_{name}"][language] for name in ("state", "order", "time", "amount", "invoice",
                                                                          "others")])  # fmt: skip
    async for row in payment_lists.everything(office_of(request), session.merchant_id, found.file_id):
        state = table[f"payment_{row.state}"][language]
        others = " ".join(row.others)
        writer.writerow(
            [state, defused(row.order_number), f"{row.at:%Y-%m-%d %H:%M:%S}", row.amount, row.number, others]
        )
    headers = {"content-disposition": f'attachment; filename="payments-{found.created_at:%Y%m%d-%H%M%S}.csv"'}
    data = b"\xef\xbb\xbf" + text.getvalue().encode()
    return Response(data, media_type="text/csv; charset=utf-8", headers=headers)


async def change_file(request: Request, session: Session) -> Response:
    """Name the columns, match again, or let the file go."""
    form = await read_form(request)
    office, file_id = office_of(request), request.path_params["file_id"]
    if "remove" in form:
        await payments.remove(office, session.actor, file_id)
        return RedirectResponse("/console/payments", 303)
    if "again" in form:
        await payments.match_again(office, session.actor, file_id)
        return RedirectResponse(f"/console/payments/{file_id}", 303)
    chosen = {what: int(form[what]) for what in WORDS if _is_place(form.get(what, ""))}
    try:
        await payments.choose_columns(office, session.actor, file_id, chosen)
    except Refused as refused:
        statement = await payments.waiting_columns(office, session.merchant_id, file_id)
        if refused.refusals[0].cause != "PAYMENT-COLUMNS" or statement is None:
            raise
        found = await payment_lists.file(office, session.merchant_id, file_id)
        return _columns_page(request, session, found, statement, refused.refusals, chosen)
    return RedirectResponse(f"/console/payments/{file_id}", 303)


def _is_place(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3


routes = [
    Route("/console/payments", page(list_files)),
    Route("/console/payments", page(upload), methods=["POST"]),
    Route("/console/payments/{file_id}", page(one_file)),
    Route("/console/payments/{file_id}", page(change_file), methods=["POST"]),
]
