"""The contract of an issuing channel (开票渠道), and its two kinds of error, never confused.

``Unavailable`` means that surely nothing was submitted; ``OutcomeUnknown`` that something may have been. In the
second case the serial is kept and the result is asked for; it is never sent again as a new one (channels.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from piaoma.invoice.draft import Draft
from piaoma.invoice.issued import Bureau, IssuedInvoice, PricedLine, RedReference, Totals
from piaoma.invoice.red import RedLine
from piaoma.invoice.red_form import RedFormEvent, RedFormState, RedReason, Side
from piaoma.invoice.refusal import Refusal


class Unavailable(Exception):
    """The channel could not be reached; nothing was submitted. The text is for the log."""


class OutcomeUnknown(Exception):
    """The channel may have taken the request. Ask for the result of the serial; do not send it as a new one.

    ``said`` is what the channel said, in its own words and codes, when it said something: for the log.
    """

    def __init__(self, serial: str, said: str = "") -> None:
        self.serial = serial
        self.said = said
        super().__init__(f"{serial} {said}".strip())


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
    """What a remote channel needs to issue. ``serial`` (流水号) names the request for ever; ``red`` is there exactly
    when the invoice is a red one."""

    serial: str
    draft: Draft
    lines: tuple[PricedLine, ...]
    totals: Totals
    requested_at: datetime
    red: RedReference | None = None


class RemoteAnswer(msgspec.Struct, frozen=True):
    """A final answer: issued with number and original, or refused with reasons."""

    serial: str
    number: str = ""
    original: bytes = b""
    refusals: tuple[Refusal, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """An invoice that was numbered here and is now reported (上报): ``month`` it belongs to, kind (01, 02), fen;
    ``digest`` is SHA-256 of its original, in hex."""

    taxpayer_id: str
    number: str
    digest: str
    month: str
    kind: str
    amount_fen: int
    tax_fen: int
    original: bytes = b""


class NotTaken(msgspec.Struct, frozen=True):
    """A report that the channel will never take as it is."""

    number: str
    refusal: Refusal


class MonthSum(msgspec.Struct, frozen=True):
    """What invoices of one kind (01, 02) and colour (blue, red) of a month come to, in fen. The platform's summary
    (汇总) has no rates."""

    kind: str
    colour: str
    invoices: int
    amount_fen: int
    tax_fen: int


class LedgerEntry(msgspec.Struct, frozen=True):
    """An invoice as the authority has it; fen."""

    number: str
    kind: str
    amount_fen: int
    tax_fen: int


class QuotaState(StrEnum):
    """Where a request for more quota stands."""

    PENDING = "pending"
    GRANTED = "granted"
    REFUSED = "refused"


class QuotaRequest(msgspec.Struct, frozen=True):
    """A request for more quota (额度调整申请) in a month. ``serial`` names it for ever; ``extra_fen`` comes on top."""

    serial: str
    taxpayer_id: str
    month: str
    extra_fen: int
    reason: str


APPLY_ELSEWHERE = "这个渠道不能代办，请在电子税务局申请"  # what a channel says that takes no requests for quota


class QuotaAnswer(msgspec.Struct, frozen=True):
    """Where the request stands; what was granted, in fen, and what the authority says to it."""

    serial: str
    state: QuotaState
    granted_fen: int = 0
    said: str = ""


class RedFormRequest(msgspec.Struct, frozen=True):
    """A red form (红字信息确认单). ``serial`` names it for ever; ``total`` is negative yuan, with tax.

    ``form_number`` is known once the channel has answered. Every call about a form carries all of it: some channels
    know no serial of ours, and find a form by what it says.
    """

    serial: str
    raised_by: Side
    blue: IssuedInvoice
    reason: RedReason
    lines: tuple[RedLine, ...]
    total: Decimal
    form_number: str = ""


class RedFormAnswer(msgspec.Struct, frozen=True):
    """Where a form stands, or why it was not taken. ``confirm_until`` is aware."""

    serial: str
    form_number: str = ""
    state: RedFormState | None = None
    confirm_until: datetime | None = None
    refusals: tuple[Refusal, ...] = ()


class Channel(Protocol):
    """Every channel keeps this. Methods raise ``Unavailable`` unless they say otherwise."""

    name: str
    sandbox: bool
    bureau: Bureau
    forms_settle_seconds: float  # how long a red form that was sent may not be found, and is there; 0 with serials
    roots: tuple[bytes, ...]  # DER: whose signatures on what it issues are believed, beside our own

    async def numbering(self) -> Numbering: ...

    async def session_state(self) -> SessionState: ...

    async def get_quota(self, taxpayer_id: str, month: str, needed_fen: int = 0) -> int:
        """The limit of the month in fen, tax-exclusive. A channel that gives quota in blocks takes another one when the
        month needs ``needed_fen`` in all; what comes back may still be less."""
        ...

    async def allocate_numbers(self, taxpayer_id: str, year: str, count: int, serial: str) -> Block:
        """A block for the two-digit year. The same serial twice is the same block, so that none is lost with an answer.
        Raises ``Refused`` ISSUE-NO-NUMBERS when there are none."""
        ...

    async def issue_blue(self, request: RemoteRequest) -> RemoteAnswer:
        """Issue. The same serial twice is the same invoice. Raises ``Unavailable`` or ``OutcomeUnknown``."""
        ...

    async def issue_red(self, request: RemoteRequest) -> RemoteAnswer:
        """Issue a red invoice by its form; otherwise as ``issue_blue``."""
        ...

    async def query_usage(self, taxpayer_id: str, number: str) -> bool:
        """Whether the buyer confirmed the use of an invoice (用途确认) or booked it (入账)."""
        ...

    async def apply_red_form(self, request: RedFormRequest) -> RedFormAnswer:
        """Raise a form. The same serial twice is the same form. Raises ``Unavailable`` or ``OutcomeUnknown``."""
        ...

    async def act_on_red_form(self, request: RedFormRequest, event: RedFormEvent, by: Side) -> RedFormAnswer:
        """Confirm, deny or withdraw a form. What was done already is no error: the answer is where it stands.
        Raises ``Unavailable`` or ``OutcomeUnknown``; then ``query_red_form`` tells."""
        ...

    async def query_red_form(self, request: RedFormRequest) -> RedFormAnswer | None:
        """Where a form stands, with what the other side did and the 72 hours; None when the channel never got it.
        Raises ``OutcomeUnknown`` while it is still being worked on."""
        ...

    async def query_result(self, serial: str, taxpayer_id: str) -> RemoteAnswer | None:
        """The final answer to a serial of a seller; None when the channel never got it. Raises ``OutcomeUnknown`` while
        it is still being worked on."""
        ...

    async def arrived(self) -> Sequence[RemoteAnswer]:
        """Answers that came by themselves since the last call, possibly not for the first time."""
        ...

    async def report(self, reports: Sequence[Report]) -> Sequence[NotTaken]:
        """Report invoices; reporting again changes nothing. What is not in the answer stands in the channel's books.
        Raises ``Unavailable`` also while the channel has not told yet what became of them."""
        ...

    async def close(self) -> None:
        """Nobody asks any more."""
        ...

    async def month_sums(self, taxpayer_id: str, month: str) -> Sequence[MonthSum] | None:
        """What the authority has of a month, by kind and colour in that order; only what is there at all. None where
        it does not tell, and judges when it is asked to confirm."""
        ...

    async def month_entries(self, taxpayer_id: str, month: str, after: str, count: int) -> Sequence[LedgerEntry]:
        """The authority's invoices of a month with numbers above ``after``, in their order, ``count`` at most."""
        ...

    async def confirm_month(self, taxpayer_id: str, month: str, sums: Sequence[MonthSum]) -> Sequence[Refusal]:
        """Confirm a month's sums (汇总确认); none when they are confirmed, also a second time. Raises ``Unavailable``
        or ``OutcomeUnknown``; then ``confirmed_month`` tells."""
        ...

    async def confirmed_month(self, taxpayer_id: str, month: str) -> Sequence[MonthSum] | None:
        """The sums as they were confirmed; None when the month was not."""
        ...

    async def apply_quota(self, request: QuotaRequest) -> QuotaAnswer:
        """Ask for more quota. The same serial twice is the same request. Raises ``Unavailable`` or
        ``OutcomeUnknown``; then ``query_quota_request`` tells."""
        ...

    async def query_quota_request(self, serial: str) -> QuotaAnswer | None:
        """Where a request stands; None when it never came."""
        ...
