"""The contract of an issuing channel (开票渠道), and its two kinds of error, never confused.

``Unavailable`` means that surely nothing was submitted; ``OutcomeUnknown`` that something may have been. In the
second case the serial is kept and the result is asked for; it is never sent again as a new one (channels.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from piaoma.invoice.draft import Draft
from piaoma.invoice.issued import Bureau, PricedLine, Totals
from piaoma.invoice.refusal import Refusal


class Unavailable(Exception):
    """The channel could not be reached; nothing was submitted. The text is for the log."""


class OutcomeUnknown(Exception):
    """The channel may have taken the request. Ask for the result of the serial; do not send it as a new one."""

    def __init__(self, serial: str) -> None:
        self.serial = serial
        super().__init__(serial)


class Numbering(StrEnum):
    """When an invoice gets its number."""

    POOL = "pool"  # from a block (号段) that was given beforehand
    REMOTE = "remote"  # by the call that issues it


class SessionState(StrEnum):
    """Whether the channel can be used now."""

    OK = "ok"
    LOGIN = "login"
    VERIFY = "verify"
    DOWN = "down"


class Block(msgspec.Struct, frozen=True):
    """A block of numbers: ``prefix`` and 15 digits from ``first`` to ``last``."""

    prefix: str
    first: int
    last: int


class RemoteRequest(msgspec.Struct, frozen=True):
    """What a remote channel needs to issue. ``serial`` (流水号) names the request for ever."""

    serial: str
    draft: Draft
    lines: tuple[PricedLine, ...]
    totals: Totals
    requested_at: datetime


class RemoteAnswer(msgspec.Struct, frozen=True):
    """A final answer: issued with number and original, or refused with reasons."""

    serial: str
    number: str = ""
    original: bytes = b""
    refusals: tuple[Refusal, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """An invoice that was numbered here and is now reported (上报)."""

    taxpayer_id: str
    number: str
    digest: str


class Channel(Protocol):
    """Every channel keeps this. Methods raise ``Unavailable`` unless they say otherwise."""

    name: str
    sandbox: bool
    bureau: Bureau

    async def numbering(self) -> Numbering: ...

    async def session_state(self) -> SessionState: ...

    async def get_quota(self, taxpayer_id: str, month: str) -> int:
        """The limit of the month in fen, tax-exclusive."""
        ...

    async def allocate_numbers(self, taxpayer_id: str, year: str, count: int) -> Block:
        """A block for the two-digit year. Raises ``Refused`` ISSUE-NO-NUMBERS when there are none."""
        ...

    async def issue_blue(self, request: RemoteRequest) -> RemoteAnswer:
        """Issue. The same serial twice is the same invoice. Raises ``Unavailable`` or ``OutcomeUnknown``."""
        ...

    async def query_result(self, serial: str) -> RemoteAnswer | None:
        """The final answer to a serial; None when the channel never got it. Raises ``OutcomeUnknown`` while it is
        still being worked on."""
        ...

    async def arrived(self) -> Sequence[RemoteAnswer]:
        """Answers that came by themselves since the last call, possibly not for the first time."""
        ...

    async def report(self, reports: Sequence[Report]) -> None:
        """Report invoices; reporting again changes nothing."""
        ...
