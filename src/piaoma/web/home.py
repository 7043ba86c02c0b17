"""Pages for everybody: home, static files, health."""

from __future__ import annotations

from importlib import resources

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from piaoma.codes.token import canonical
from piaoma.desk.static_codes import is_static
from piaoma.documents.formats.json_document import SCHEMA_PATH, json_schema
from piaoma.invoice.refusal import Refusal, Refused

from .page import compressed, office_of, render, static_files

YEAR_SECONDS = 365 * 86400
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml",
          "png": "image/png"}  # fmt: skip


async def home(request: Request) -> Response:
    """官网: log in, register, verify, help; a code typed by hand."""
    typed = request.query_params.get("code", "")
    if typed:
        kind = "t" if is_static(office_of(request), typed) else "s"
        return RedirectResponse(f"/{kind}/{canonical(typed)}", 303)
    return render(request, "home.html")


async def static(request: Request) -> Response:
    """A static file under its hashed address: never changes, may be kept for ever."""
    name = request.path_params["name"]
    address, data = static_files().get(name, ("", b""))
    if address != request.url.path:
        raise Refused(Refusal("PAGE-NOT-FOUND"))
    kind = _TYPES[name.rpartition(".")[2]]
    response = compressed(request, data, kind)
    response.headers["cache-control"] = f"public, max-age={YEAR_SECONDS}, immutable"
    return response


async def icon(request: Request) -> Response:
    """The icon that browsers ask for."""
    data = (resources.files(__package__) / "static" / "icon.svg").read_bytes()
    return Response(data, media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})


async def schema(request: Request) -> Response:
    """The JSON Schema of an invoice's JSON: open to any reader, the same for a version for ever."""
    headers = {"cache-control": "public, max-age=86400", "access-control-allow-origin": "*"}
    return Response(json_schema(), media_type="application/schema+json", headers=headers)


async def healthy(request: Request) -> Response:
    """The process answers."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """The store answers."""
    await office_of(request).database.read("SELECT 1")
    return JSONResponse({"status": "ready", "channel": (await office_of(request).channel.session_state()).value})


routes = [
    Route("/", home),
    Route("/static/{hash}/{name}", static),
    Route("/favicon.ico", icon),
    Route(SCHEMA_PATH, schema),
    Route("/healthz", healthy),
    Route("/readyz", ready),
]
