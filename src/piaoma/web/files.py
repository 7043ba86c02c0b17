"""A file of an invoice as a download, under the name that accounting programs expect."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from piaoma.desk.log import bundle_of
from piaoma.documents import html_view
from piaoma.documents.formats import file_name

from .page import office_of

TYPES = {
    "pdf": "application/pdf", "ofd": "application/ofd", "xml": "application/xml", "png": "image/png",
    "json": "application/json", "ubl": "application/xml", "xbrl": "application/xml", "zip": "application/zip",
    "html": "text/html; charset=utf-8",
}  # fmt: skip


async def file_response(request: Request, merchant_id: int, number: str, kind: str) -> Response:
    """The original (``xml``), it in another form, or the bundle (``zip``), under its ``file_name``.

    Raises ``Refused`` as ``views.view``.
    """
    office = office_of(request)
    made = bundle_of(office, merchant_id, number) if kind == "zip" else office.view(merchant_id, number, kind)
    data = await made
    name = file_name(number, kind)
    plain = name.replace("-电子发票", "")
    # A page is shown, in a sandbox of its own; everything else is saved.
    shown = "inline" if kind == "html" else "attachment"
    headers = {"content-disposition": f"{shown}; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"}
    if kind == "html":
        headers["content-security-policy"] = html_view.policy()
    return Response(data, media_type=TYPES[kind], headers=headers)
