"""A file of an invoice as a download, under the name that accounting programs expect."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from piaoma.documents.formats import file_name

from .page import office_of

TYPES = {
    "pdf": "application/pdf",
    "ofd": "application/ofd",
    "xml": "application/xml",
    "png": "image/png",
    "json": "application/json",
    "ubl": "application/xml",
    "xbrl": "application/xml",
}


async def file_response(request: Request, merchant_id: int, number: str, kind: str) -> Response:
    """The original (``xml``), or it in another form, under its ``file_name``. Raises ``Refused`` as ``views.view``."""
    data = await office_of(request).view(merchant_id, number, kind)
    name = file_name(number, kind)
    plain = name.replace("-电子发票", "")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
    return Response(data, media_type=TYPES[kind], headers={"content-disposition": disposition})
