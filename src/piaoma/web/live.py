"""Live state (实时状态): a state as server-sent events until it is final, for the till and for the customer."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from piaoma.invoice.refusal import refuse

STREAM_SECONDS = 300  # then the browser asks again, with the last state that it knows
TURN_SECONDS = 0.7
STREAMS_MAX = 500  # open at once in a process; who comes later polls
STREAMS_OF_ADDRESS_MAX = 30

_open: Counter[str] = Counter()


def stream_state(request: Request, read: Callable[[], Awaitable[tuple[str, bool]]]) -> Response:
    """Send what ``read`` gives, a state and whether it is final, whenever it changes. ``Last-Event-ID`` is honoured.

    Raises ``Refused`` REQUEST-TOO-MANY while too many are open; the page then polls instead.
    """
    address = request.client.host if request.client else ""
    if _open.total() >= STREAMS_MAX or _open[address] >= STREAMS_OF_ADDRESS_MAX:
        raise refuse("REQUEST-TOO-MANY", seconds=STREAM_SECONDS)
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")

    async def events() -> AsyncIterator[str]:
        _open[address] += 1
        try:
            last = request.headers.get("last-event-id", "")
            for _ in range(int(STREAM_SECONDS / TURN_SECONDS)):
                state, final = await read()
                if state != last:
                    last = state
                    yield f"id: {last}\nevent: state\ndata: {json.dumps({'state': last})}\n\n"
                if final or await request.is_disconnected():
                    return
                await asyncio.sleep(TURN_SECONDS)
        finally:
            _open[address] -= 1
            if not _open[address]:
                del _open[address]

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-store"})
