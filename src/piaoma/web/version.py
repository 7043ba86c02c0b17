"""Which version runs (版本): an open page knows its own, asks now and then, and says when there is a newer one.

What is new in it stands on ``/news``.
"""

from __future__ import annotations

import time
import tomllib
from datetime import date
from functools import cache
from importlib import resources

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from piaoma.store import milliseconds

from .page import language_of, office_of, render, version


async def tell(request: Request) -> Response:
    """Version, the server's clock, and how long the store took: what a device compares itself with."""
    began = time.perf_counter()
    office = office_of(request)
    await office.database.read("SELECT 1")
    took_ms = round((time.perf_counter() - began) * 1000)
    return JSONResponse({"version": version(), "now_ms": milliseconds(office.now()), "took_ms": took_ms})


class _Entry(msgspec.Struct, frozen=True):
    day: date
    zh: tuple[str, ...]
    en: tuple[str, ...]


@cache
def news() -> tuple[_Entry, ...]:
    """What is new, the newest first."""
    text = (resources.files(__package__) / "news.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text)["entries"], tuple[_Entry, ...])


async def whats_new(request: Request) -> Response:
    """新功能."""
    language = language_of(request)
    told = [(one.day, one.zh if language == "zh" else one.en) for one in news()]
    return render(request, "news.html", entries=told)


routes = [Route("/version.json", tell), Route("/news", whats_new)]
