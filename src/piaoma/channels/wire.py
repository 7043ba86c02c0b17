"""The line to a channel outside (线路): one HTTP client for all channels, bounded in time and size.

A call ends with the bytes of an answer, or in one of two faults that are never confused: ``Unreached``, nothing went
out, or ``Lost``, something may have.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx

from .contract import Unavailable
from .settings import CALL_SECONDS_MAX

CONNECT_SECONDS_MAX = 3.0
ANSWER_BYTES_MAX = 8 * 1024 * 1024
CONNECTIONS_MAX = 16
SAID_MAX = 200  # characters of an answer that a log shows


class Unreached(Unavailable):
    """There was no connection: nothing was submitted."""


class Lost(Exception):
    """The request may have arrived, and no answer that could be read came back. The text is for the log."""


class Wire:
    """An HTTP client for one address. No redirects are followed, and no proxy is taken from the environment: what goes
    out is addressed to whoever the settings name, and to nobody else."""

    def __init__(self, url: str, ca: Path | None = None, seconds: float = CALL_SECONDS_MAX) -> None:
        self._url = url
        self._seconds = seconds
        verify = True if ca is None else ssl.create_default_context(cafile=str(ca))
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(seconds, connect=min(CONNECT_SECONDS_MAX, seconds)),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            verify=verify if url.startswith("https://") else False,
            trust_env=False,
            follow_redirects=False,
        )

    async def post(
        self, path: str, content: bytes, headers: Mapping[str, str] = {}, query: Mapping[str, str] | None = None
    ) -> bytes:
        """The body of the answer with status 200. Raises ``Unreached``, ``Lost``."""
        return await self._send("POST", self._url + path, content, headers, query)

    async def get(self, url: str) -> bytes:
        """A file that an answer named, from the same place as everything else. Raises ``Unreached``, ``Lost``."""
        here, there = httpx.URL(self._url), httpx.URL(url)
        if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
            raise Lost(f"a file elsewhere: {there.host}")
        return await self._send("GET", url, b"", {}, None)

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(
        self, method: str, url: str, content: bytes, headers: Mapping[str, str], query: Mapping[str, str] | None
    ) -> bytes:
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream(method, url, content=content, headers=headers, params=query) as response,
            ):
                answer = bytearray()
                async for chunk in response.aiter_bytes():
                    answer += chunk
                    if len(answer) > ANSWER_BYTES_MAX:
                        raise Lost("an answer without end")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as fault:
            raise Unreached(f"{type(fault).__name__}: {fault}") from None
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as fault:
            raise Lost(f"{type(fault).__name__}: {fault}"[:SAID_MAX]) from None
        if response.status_code != 200:
            # Also 4xx: which of them a gateway answers before and which after it handed the request on is not known.
            raise Lost(f"status {response.status_code}: {bytes(answer[:SAID_MAX]).decode(errors='replace')}")
        return bytes(answer)
