"""The log for everybody (公开日志): checkpoint and tiles by the addresses of C2SP tlog-tiles, read-only.

What is served says how many invoices there are and nothing about any of them: leaves are salted commitments.
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from piaoma.invoice.refusal import refuse
from piaoma.store import latest_checkpoint, log_entries, log_tile
from piaoma.trust.merkle import HASH_BYTES, TILE_HASHES_MAX

from .page import office_of

TILE_AGE_SECONDS = 365 * 86400
LEVEL_MAX = 63

_PATH = re.compile(
    r"(?P<level>entries|0|[1-9][0-9]?)/(?P<place>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


def tile_path(level: int | str, place: int) -> str:
    """The end of a tile's address: ``0/x001/x234/067`` for the tile 1234067 of level 0."""
    groups = [f"{place % 1000:03d}"]
    while place := place // 1000:
        groups.insert(0, f"x{place % 1000:03d}")
    return f"{level}/{'/'.join(groups)}"


async def checkpoint(request: Request) -> Response:
    """What the log has signed last."""
    note = await latest_checkpoint(office_of(request).database)
    if note is None:
        raise refuse("PAGE-NOT-FOUND")
    return Response(note, media_type="text/plain", headers={"cache-control": "no-cache"})


async def tile(request: Request) -> Response:
    """Hashes of a tile, or the data of the leaves below one. What was served once never changes."""
    asked = _PATH.fullmatch(request.path_params["path"])
    if asked is None:
        raise refuse("PAGE-NOT-FOUND")
    place = int(asked["place"].replace("x", "").replace("/", ""))
    width = int(asked["width"] or TILE_HASHES_MAX)
    # Each tile has one address, and a full one is never asked for as a part.
    canonical = tile_path(asked["level"], place) + (f".p/{width}" if asked["width"] else "")
    if canonical != asked[0] or width > TILE_HASHES_MAX - (asked["width"] is not None):
        raise refuse("PAGE-NOT-FOUND")
    database = office_of(request).database
    if asked["level"] == "entries":
        entries = (await log_entries(database, place))[:width]
        data = b"".join(len(entry).to_bytes(2) + entry for entry in entries) if len(entries) == width else b""
    else:
        level = int(asked["level"])
        hashes = await log_tile(database, level, place) if level <= LEVEL_MAX else None
        data = (hashes or b"")[: width * HASH_BYTES]
        data = data if len(data) == width * HASH_BYTES else b""
    if not data:
        raise refuse("PAGE-NOT-FOUND")
    kept = f"public, max-age={TILE_AGE_SECONDS}, immutable"
    return Response(data, media_type="application/octet-stream", headers={"cache-control": kept})


routes = [Route("/log/checkpoint", checkpoint), Route("/log/tile/{path:path}", tile)]
