"""The HTTP of the simulator: three dialects on one port, and the faults of a rehearsal laid over all of them alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..ledger import Ledger
from ..sandbox import SandboxAuthority
from .access import Access
from .baiwang import BaiwangDesk
from .leqi import LeqiDesk
from .nuonuo import NuonuoDesk
from .orders import OrderDesk

BODY_BYTES_MAX = 8 * 1024 * 1024
GARBAGE = b"<html><body>\xe7\xb3\xbb\xe7\xbb\x9f\xe7\xbb\xb4\xe6\x8a\xa4</body></html>"


class Cut(Response):
    """Half an answer, and then the line is dead."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        raise ConnectionAbortedError("rehearsal: cut")


def app_of(authority: SandboxAuthority, ledger: Ledger, access: Access) -> Starlette:
    """The ASGI application over an authority and its books."""
    orders = OrderDesk(authority, ledger)
    leqi = LeqiDesk(authority, ledger, access.leqi)
    nuonuo = NuonuoDesk(orders, access.nuonuo)
    baiwang = BaiwangDesk(orders, access.baiwang)

    def faulty(handle: Callable[[Request, bytes], Awaitable[bytes]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            switches = await authority.switches()
            body = await request.body()
            if switches.down == "before" or len(body) > BODY_BYTES_MAX:
                return Response(b"rehearsal: down", 503)
            done = await handle(request, body)
            await asyncio.sleep(switches.slow_ms / 1000)
            if switches.down == "after" or switches.cut:
                return Cut(done)
            if switches.broken:
                return Response(b"rehearsal: broken", 500)
            return Response(GARBAGE if switches.garbage else done, media_type="application/json")

        return answer

    async def file(request: Request) -> Response:
        original = await orders.original(request.path_params["number"])
        return Response(status_code=404) if original is None else Response(original, media_type="application/xml")

    return Starlette(routes=[
        Route("/access/v2/invoke/{capability}/{service}", faulty(leqi.answer), methods=["POST"]),
        Route("/open/v1/services", faulty(nuonuo.answer), methods=["POST"]),
        Route("/router/rest", faulty(baiwang.answer), methods=["POST"]),
        Route("/files/{number}.xml", file),
    ])  # fmt: skip
