"""批量开票: a sheet is uploaded, every row looked at, the good ones issued and the bad ones handed back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import batches, codes, factors
from piaoma.desk.sessions import Session
from piaoma.desk.sheet_of_sales import COLUMNS
from piaoma.documents.sales_sheet import sheet_file
from piaoma.documents.sheet_reading import SHEET_BYTES_MAX
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.web import forms
from piaoma.web.errors import explained, status_of
from piaoma.web.page import language_of, office_of, text_of

from .access import page, read_form, session_secret, show

REFRESH_SECONDS = 2  # of the page of a sheet that is under way, without scripts
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FAULTY, MADE = ("bad", "twice", "refused"), ("done", "open")


async def sheets(request: Request, session: Session) -> Response:
    """The form to upload a sheet, and the newest ones."""
    refusals: tuple[Refusal, ...] = ()
    office = office_of(request)
    if request.method == "POST":
        try:
            fields, name, data = await forms.read_upload(request, "sheet", SHEET_BYTES_MAX, "SHEET-TOO-LARGE")
            forms.check_csrf(request, session_secret(request), fields.get("csrf", ""))
            if not data:
                raise refuse("SHEET-EMPTY", "sheet")
            mode = "code" if fields.get("mode") == "code" else "issue"
            batch_id = await batches.check_sheet(office, session.actor, name, data, mode)
            return RedirectResponse(f"/console/batches/{batch_id}", 303)
        except Refused as refused:
            if refused.refusals[0].cause == "REQUEST-STALE":
                raise
            refusals = refused.refusals
    return show(
        request, session, "batches.html", status_of(refusals) if refusals else 200,
        batches=await batches.list_batches(office, session.merchant_id), errors=explained(request, refusals),
    )  # fmt: skip


async def one_sheet(request: Request, session: Session, refusals: tuple[Refusal, ...] = ()) -> Response:
    """What stands in a sheet, how far it is, and what became of each row."""
    office, merchant_id = office_of(request), session.merchant_id
    found = await batches.batch(office, merchant_id, request.path_params["batch_id"])
    faulty = await batches.rows_of(office, merchant_id, found.batch_id, FAULTY, batches.BATCH_ROWS_SHOWN)
    running = found.state == "running"
    return show(
        request, session, "batch.html", status_of(refusals) if refusals else 200, batch=found,
        faulty=[(row, explained(request, row.refusals)) for row in faulty],
        made=await batches.rows_of(office, merchant_id, found.batch_id, MADE, batches.BATCH_ROWS_SHOWN),
        waiting=await batches.rows_of(office, merchant_id, found.batch_id, ("waiting",), batches.BATCH_ROWS_SHOWN),
        covered=running or await batches.covers(office, merchant_id, found),
        refresh=REFRESH_SECONDS if running else 0, errors=explained(request, refusals),
    )  # fmt: skip


async def act(request: Request, session: Session) -> Response:
    """Begin, go on, or stop."""
    form = await read_form(request)
    office, batch_id = office_of(request), request.path_params["batch_id"][:40]
    try:
        if "stop" in form:
            await batches.stop(office, session.actor, batch_id)
        else:
            if await batches.holds_special(office, session.merchant_id, batch_id):
                factors.demand(office, session, "special")
            await batches.start(office, session.actor, batch_id)
    except Refused as refused:
        if refused.refusals[0].cause == "BATCH-NOT-FOUND":
            raise
        return await one_sheet(request, session, refused.refusals)
    return RedirectResponse(f"/console/batches/{batch_id}", 303)


async def state(request: Request, session: Session) -> Response:
    """How far it is, for the script of the page."""
    found = await batches.batch(office_of(request), session.merchant_id, request.path_params["batch_id"])
    return JSONResponse({"state": found.state, "done": found.handled, "count": found.rows})


async def template(request: Request, session: Session) -> Response:
    """An empty sheet with every column, and what each means on its second page."""
    t, place = text_of(request), 1 if language_of(request) == "zh" else 2
    notes = [(str(column[place]), t(f"sheet_{column[0]}")) for column in COLUMNS]
    data = await asyncio.to_thread(sheet_file, [note[0] for note in notes], (), notes)
    return _download(data, t("sheet_template_name"))


async def file(request: Request, session: Session) -> Response:
    """``faults``: the rows with faults as they came, with what is wrong; ``results``: what became of every row."""
    what, t = request.path_params["what"], text_of(request)
    office, merchant_id = office_of(request), session.merchant_id
    found = await batches.batch(office, merchant_id, request.path_params["batch_id"])
    if what not in ("faults", "results"):
        raise refuse("PAGE-NOT-FOUND")
    head = await batches.head_of(office, merchant_id, found.batch_id)
    states = FAULTY if what == "faults" else (*MADE, *FAULTY, "waiting")
    rows = await batches.rows_of(office, merchant_id, found.batch_id, states)
    if what == "faults":
        # A mended copy is uploaded again: its head is found where it was, and the last column means nothing there.
        table = _with_told(request, rows, len(head))
        data = await asyncio.to_thread(sheet_file, [*head, t("sheet_faults")], table)
    else:
        titles = [
            t(word) for word in ("sheet_row", "name", "total_inclusive", "state", "number", "nav_codes", "sheet_faults")
        ]
        told = [await _result(request, session, row) for row in rows]
        data = await asyncio.to_thread(sheet_file, titles, told)
    return _download(
        data, f"{t('sheet_faults' if what == 'faults' else 'sheet_results')}-{found.created_at:%Y%m%d-%H%M}"
    )


def _with_told(request: Request, rows: Sequence[batches.BatchRow], width: int) -> list[list[str]]:
    """Rows as they came, each with what is wrong with its sale in the first of them."""
    table = []
    for row in rows:
        for at, cells in enumerate(row.cells):
            told = _told(request, row) if at == 0 else ""
            table.append([*cells, *[""] * (width - len(cells)), told])
    return table


def _told(request: Request, row: batches.BatchRow) -> str:
    faults = explained(request, row.refusals)
    return "；".join(
        f"{fault['field']} {fault['what']}{fault['remedy']} [{fault['cause']}]".strip() for fault in faults
    )


async def _result(request: Request, session: Session, row: batches.BatchRow) -> list[str]:
    office, t = office_of(request), text_of(request)
    url = (await codes.code(office, session.merchant_id, row.code_id)).url if row.code_id is not None else ""
    return [
        str(row.place), row.buyer_name, f"{row.total:.2f}", t(f"row_{row.state}"), row.number or "", url,
        _told(request, row),
    ]  # fmt: skip


def _download(data: bytes, name: str) -> Response:
    disposition = f"attachment; filename=\"sheet.xlsx\"; filename*=UTF-8''{quote(name)}.xlsx"
    return Response(data, media_type=XLSX, headers={"content-disposition": disposition})


routes = [
    Route("/console/batches", page(sheets), methods=["GET", "POST"]),
    Route("/console/batches/template.xlsx", page(template)),
    Route("/console/batches/{batch_id}", page(one_sheet)),
    Route("/console/batches/{batch_id}", page(act), methods=["POST"]),
    Route("/console/batches/{batch_id}/state.json", page(state)),
    Route("/console/batches/{batch_id}/{what}.xlsx", page(file)),
]
