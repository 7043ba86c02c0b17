"""The installable app (装到桌面): manifest, icons, service worker, its page for no network. Nobody has to.

The worker keeps copies of a few pages in this browser's own storage, for when there is no network: help, title book,
list of invoices, list of codes. The pages themselves say ``no-store``, so no cache on the way ever has them. Whatever
changes or forgets something throws the copies away.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .page import language_of, render, static_files

ICON_PIXELS = (192, 512)


async def manifest(request: Request) -> Response:
    """What a browser needs to install us."""
    chinese = language_of(request) == "zh"
    told = {
        "id": "/",
        "name": "票码 · 扫码开票" if chinese else "Piaoma · scan for your e-invoice",
        "short_name": "票码" if chinese else "Piaoma",
        "lang": "zh-CN" if chinese else "en",
        "start_url": "/?app=1",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f6f7f9",
        "theme_color": "#0b6b5d",
        "icons": [
            {
                "src": static_files()[f"icon-{pixels}.png"][0], "sizes": f"{pixels}x{pixels}", "type": "image/png",
                "purpose": "any maskable",
            }
            for pixels in ICON_PIXELS
        ],
        "shortcuts": [
            {"name": "我的发票" if chinese else "My invoices", "url": "/my"},
            {"name": "开票" if chinese else "Issue", "url": "/console/codes/new"},
        ],
    }  # fmt: skip
    headers = {"cache-control": "public, max-age=3600", "vary": "accept-language, cookie"}
    return Response(msgspec.json.encode(told), media_type="application/manifest+json", headers=headers)


@cache
def _worker() -> bytes:
    """The worker's script, with what it keeps from the start; its name changes with every byte of that."""
    text = (resources.files(__package__) / "worker.js").read_text(encoding="utf-8")
    files = ("base.css", "scan.js", "help.css", "help.js")
    shell = ["/offline", "/help", "/help/all", *(static_files()[name][0] for name in files)]
    version = hashlib.sha256(f"{text}{shell}".encode()).hexdigest()[:12]
    return (
        text.replace("SHELL_ADDRESSES", msgspec.json.encode(shell).decode()).replace("SHELL_VERSION", version).encode()
    )


async def worker(request: Request) -> Response:
    """The service worker, at the root so that it may serve every page it is meant for."""
    headers = {"cache-control": "no-cache", "service-worker-allowed": "/"}
    return Response(_worker(), media_type="text/javascript; charset=utf-8", headers=headers)


async def offline(request: Request) -> Response:
    """What the worker shows when there is no network and no copy."""
    return render(request, "offline.html")


routes = [
    Route("/app.webmanifest", manifest),
    Route("/sw.js", worker),
    Route("/offline", offline),
]
