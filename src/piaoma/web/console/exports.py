"""批量: what is ticked in the list, or everything that was found, as a table, a zip or a print."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from piaoma import index
from piaoma.desk import exports, packing
from piaoma.desk.events import note
from piaoma.desk.sessions import Session
from piaoma.invoice.refusal import Refused, refuse
from piaoma.web.page import language_of, office_of, words

from .access import page, read_form, show
from .invoices import list_page
from .search import read_wanted

if TYPE_CHECKING:
    from piaoma.desk.office import Office

REFRESH_SECONDS = 2  # of the page of an export that is under way, without scripts
TICK = "n:"  # before the number in the name of a tick
HEAD = (
    "number", "date", "buyer", "buyer_id", "items", "amount", "tax", "total", "rates", "kind", "colour", "shop",
    "clerk", "remark",
)  # fmt: skip
LINE_HEAD = ("spec", "unit", "quantity", "price", "code")
TYPES = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
    "print": "application/pdf",
}


async def batch(request: Request, session: Session) -> Response:
    """Do something with the invoices ticked, or with all that were found when none is."""
    form = await read_form(request)
    office = office_of(request)
    what, _, how = form.get("do", "").partition(":")
    try:
        wanted = read_wanted(request.query_params)
        ticked = tuple(name.removeprefix(TICK) for name in form if name.startswith(TICK))
        if ticked:
            wanted = index.Wanted(numbers=ticked)
        if what == "zip":
            return await _zip(office, session, wanted, how)
        texts = _texts(request, how)
        export_id = await exports.begin(office, session.actor, wanted, what, how, texts)
    except Refused as refused:
        return await list_page(request, session, refused.refusals)
    return RedirectResponse(f"/console/exports/{export_id}", 303)


async def _zip(office: Office, session: Session, wanted: index.Wanted, how: str) -> Response:
    kinds = packing.PACK_KINDS if how == "all" else (how,)
    if not set(kinds) <= {*packing.PACK_KINDS, packing.BUNDLE}:
        raise refuse("EXPORT-KIND", have=how[:10])
    found = await packing.choose(office, session.merchant_id, wanted)
    # Told before the first byte leaves: a stream that breaks off has handed out something all the same.
    await note(office, session.actor, "export.make", "zip", after={"layout": how, "invoices": found.count})
    name = f"{office.now():%Y%m%d-%H%M%S}-{found.count}.zip"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(packing.pack(office, found, kinds), media_type="application/zip", headers=headers)


def _texts(request: Request, layout: str) -> exports.Texts:
    language = language_of(request)

    def text(key: str) -> str:
        return words()[key][language]

    names = HEAD + (LINE_HEAD if layout == "line" else ())
    return exports.Texts(
        head=tuple(text(f"head_{name}") for name in names),
        kinds={"01": text("kind_special_short"), "02": text("kind_general_short")},
        colours={index.BLUE: text("colour_blue"), index.RED: text("colour_red")},
        sum=text("sum_label"),
    )


async def list_exports(request: Request, session: Session) -> Response:
    """The newest exports, with their files while they are kept."""
    found = await exports.list_exports(office_of(request), session.merchant_id)
    return show(request, session, "exports.html", exports=found, errors=[])


async def show_export(request: Request, session: Session) -> Response:
    """How far an export is; its file when it is done."""
    found = await exports.export(office_of(request), session.merchant_id, request.path_params["export_id"])
    refresh = REFRESH_SECONDS if found.state == "running" else 0
    return show(request, session, "export.html", export=found, refresh=refresh, errors=[])


async def export_state(request: Request, session: Session) -> Response:
    """How far it is, for the script of the page."""
    found = await exports.export(office_of(request), session.merchant_id, request.path_params["export_id"])
    return JSONResponse({"state": found.state, "done": found.done, "count": found.count})


async def cancel_export(request: Request, session: Session) -> Response:
    """Stop an export."""
    await read_form(request)
    export_id = request.path_params["export_id"]
    await exports.cancel(office_of(request), session.actor, export_id)
    return RedirectResponse(f"/console/exports/{export_id}", 303)


async def export_file(request: Request, session: Session) -> Response:
    """The file of an export."""
    found, pieces = await exports.open_file(office_of(request), session.merchant_id, request.path_params["export_id"])
    name = quote(f"{found.subject}-{found.file_name}")
    headers = {
        "content-disposition": f"attachment; filename=\"{found.file_name}\"; filename*=UTF-8''{name}",
        "content-length": str(found.size_bytes),
    }
    return StreamingResponse(pieces, media_type=TYPES[found.kind], headers=headers)


routes = [
    Route("/console/invoices/batch", page(batch), methods=["POST"]),
    Route("/console/exports", page(list_exports)),
    Route("/console/exports/{export_id}", page(show_export)),
    Route("/console/exports/{export_id}/state.json", page(export_state)),
    Route("/console/exports/{export_id}/cancel", page(cancel_export), methods=["POST"]),
    Route("/console/exports/{export_id}/file", page(export_file)),
]
