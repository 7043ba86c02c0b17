"""Which version runs (版本): an open page knows its own, asks now and then, and says when there is a newer one."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from piaoma.store import milliseconds

from .page import office_of, version


async def tell(request: Request) -> Response:
    """Version, the server's clock, and how long the store took: what a device compares itself with."""
    began = time.perf_counter()
    office = office_of(request)
    await office.database.read("SELECT 1")
    took_ms = round((time.perf_counter() - began) * 1000)
    return JSONResponse({"version": version(), "now_ms": milliseconds(office.now()), "took_ms": took_ms})


routes = [Route("/version.json", tell)]
