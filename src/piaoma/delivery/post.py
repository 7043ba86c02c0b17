"""One POST to an address that was checked (推送): bounded in time and bytes, nothing followed, nothing kept open.

The protocol is h11's; the connection goes to the address that was looked at, and TLS asks for the name.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from functools import cache

import h11
import msgspec

from .destination import Destination, Network, Resolve, checked, resolve

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0  # from the connection to the end of the answer's head
ANSWER_BYTES_MAX = 2_048  # of an answer's body that are read; what is longer is cut off
HEAD_BYTES_MAX = 16_384
_READ_BYTES = 4_096


class Answer(msgspec.Struct, frozen=True):
    """What a receiver said; ``body`` is the beginning of it."""

    status: int
    body: bytes
    took_ms: int


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


async def post(
    place: Destination, body: bytes, headers: Mapping[str, str], allowed: Sequence[Network], by: Resolve = resolve,
    tls: ssl.SSLContext | None = None,
) -> Answer:  # fmt: skip
    """Send a body and read the answer. Raises ``Refused`` as ``checked``, OSError, TimeoutError, h11's errors."""
    started = time.monotonic()
    address = await checked(place, allowed, by)
    context = (tls or _tls()) if place.secure else None
    opening = asyncio.open_connection(
        address, place.port, ssl=context, server_hostname=place.host if context else None, limit=HEAD_BYTES_MAX
    )
    reader, writer = await asyncio.wait_for(opening, CONNECT_SECONDS)
    try:
        status, answer = await asyncio.wait_for(_talk(reader, writer, place, body, headers), ANSWER_SECONDS)
    finally:
        # Without a farewell: whoever is slow to say goodbye is not waited for.
        writer.transport.abort()
    return Answer(status, answer, round((time.monotonic() - started) * 1000))


async def _talk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Destination, body: bytes,
    headers: Mapping[str, str],
) -> tuple[int, bytes]:  # fmt: skip
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
    fields = {"host": place.authority, "content-length": str(len(body)), "connection": "close", **headers}
    head = h11.Request(method="POST", target=place.path, headers=list(fields.items()))
    for part in (head, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(connection.send(part) or b"")
    await writer.drain()
    status, answer = 0, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            answer += bytes(event.data)
            if len(answer) >= ANSWER_BYTES_MAX:
                return status, answer[:ANSWER_BYTES_MAX]
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            if not status:
                raise ConnectionError("closed without an answer")
            return status, answer
