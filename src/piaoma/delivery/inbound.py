"""Mail that comes in (收信): a small SMTP receiver for addresses of ours, and for nothing else.

It relays nothing and sends nothing. Size, recipients, connections and time are bounded before anything is read; what a
mail holds is the business of whoever takes it. Answers are permanent or to be tried again, so that the sender's server
keeps a mail that could not be taken just now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import structlog

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

MAIL_BYTES_MAX = 20 * 1024 * 1024
RECIPIENTS_MAX = 5  # of one mail
CONNECTIONS_MAX = 8  # at a time; each may hold a mail in memory
CONNECTION_IDLE_SECONDS = 120
COMMANDS_MAX = 20  # of one kind in a connection

_log = structlog.get_logger("piaoma.inbound")


class Mailbox(Protocol):
    """Who takes the mail. Answers are lines of SMTP: a code, an enhanced code, words."""

    async def welcome(self, address: str) -> str:
        """Whether mail for an address is taken: 250 … or why not."""
        ...

    async def take(self, addresses: list[str], sender: str, message: bytes) -> str:
        """Take a mail; what it came to."""
        ...


@asynccontextmanager
async def listening(where: str, name: str, mailbox: Mailbox) -> AsyncIterator[int]:
    """Listen at ``host:port`` under a host's name; the port. Raises ``OSError`` when somebody else does already."""
    from aiosmtpd.smtp import SMTP  # needed by those who receive mail only

    host, _, port = where.rpartition(":")
    handler, open_now = _Handler(mailbox), set[Any]()

    class Bounded(SMTP):
        """One connection; beyond so many, the next is told to come again."""

        def connection_made(self, transport: Any) -> None:
            if len(open_now) >= CONNECTIONS_MAX:
                transport.write(b"421 4.3.2 too many connections, try again later\r\n")
                transport.close()
                return
            open_now.add(self)
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            if self in open_now:
                open_now.discard(self)
                super().connection_lost(error)

    def connection() -> SMTP:
        return Bounded(
            handler, data_size_limit=MAIL_BYTES_MAX, enable_SMTPUTF8=True, hostname=name, ident="piaoma",
            timeout=CONNECTION_IDLE_SECONDS, command_call_limit=COMMANDS_MAX,
        )  # fmt: skip

    server = await asyncio.get_running_loop().create_server(connection, host.strip("[]") or None, int(port))
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for one in list(open_now):
            if one.transport is not None:
                one.transport.close()
        await server.wait_closed()


class _Handler:
    """The two moments at which something is decided."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return "452 4.5.3 too many recipients"
        answer = await self._mailbox.welcome(address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content or b""
        message = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        try:
            return await self._mailbox.take(list(envelope.rcpt_tos), envelope.mail_from or "", message)
        except Exception:
            _log.exception("a mail that came in")
            return "451 4.3.0 not taken just now, try again later"
