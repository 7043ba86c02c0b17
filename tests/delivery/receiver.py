"""A merchant's own system that gets webhooks: real HTTP on loopback, which answers, fails, hangs or sends elsewhere."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import h11

ANSWERS = {
    "ok": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "created": b"HTTP/1.1 204 No Content\r\n\r\n",
    "fail": b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops",
    "gone": b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n",
    "redirect": b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/elsewhere\r\ncontent-length: 0\r\n\r\n",
    "garbage": b"\x00\xffSSH-2.0-nothing\r\n\r\n",
    "close": b"",
    "long": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"2000\r\n" + b"x" * 8192 + b"\r\n",
    "heads": b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 100_000 + b"\r\n\r\n",
}


class Receiver:
    """``way`` is how it answers from now on; ``got`` is what came, in order."""

    def __init__(self) -> None:
        self.way = "ok"
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.port = 0
        self.connections = 0
        self.hanging = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?from=piaoma"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection, body, headers = h11.Connection(h11.SERVER), b"", {}
        with suppress(ConnectionError, h11.RemoteProtocolError):
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(await reader.read(65536))
                elif isinstance(event, h11.Request):
                    headers = {name.decode(): value.decode() for name, value in event.headers}
                    headers[":target"] = event.target.decode()
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                else:
                    break
            way = self.way
            if way == "hang":
                await self.hanging.wait()
            else:
                self.got.append((headers, body))
                writer.write(ANSWERS[way])
                await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver that listens while the block lasts."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.hanging.set()
        server.close()
        await asyncio.sleep(0)
