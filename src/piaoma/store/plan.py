"""Deciding a batch: a pure function from the requests and the rows they touch to what will be written.

All rules of claiming a code, spending quota and taking a number are here, in one place, for both engines and every
way to an invoice. Nothing here does I/O, so it can be tested by the million.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from piaoma.invoice.money import format_yuan, from_fen, to_fen
from piaoma.invoice.refusal import Refusal

from .submission import IssueRequest, IssueState, Missing, Outcome

SHANGHAI = ZoneInfo("Asia/Shanghai")
PREFIX_DIGITS = 5  # year, province, channel (einvoice.md §3)
SEQUENCE_DIGITS = 15


class CodeRow(msgspec.Struct):
    """What the plan needs of a code."""

    state: str
    holder: str | None
    issue_key: str | None
    expires_at_ms: int


class IssueRow(msgspec.Struct):
    """What the plan needs of an earlier request with the same key."""

    request_digest: str
    state: IssueState
    number: str | None
    refusal: tuple[Refusal, ...]


class QuotaRow(msgspec.Struct):
    """One month's quota in fen, tax-exclusive."""

    limit_fen: int
    issued_fen: int
    reserved_fen: int

    @property
    def left_fen(self) -> int:
        return self.limit_fen - self.issued_fen - self.reserved_fen


class BlockRow(msgspec.Struct):
    """A block of numbers that is not used up."""

    prefix: str
    first_sequence: int
    last_sequence: int
    next_sequence: int


class State(msgspec.Struct):
    """The rows that a batch touches. ``decide`` changes them as it goes, so later requests see earlier ones.

    A merchant is ``active``, ``unverified`` (待核验: samples only) or ``suspended``.
    """

    merchants: dict[int, str]
    issues: dict[tuple[int, str], IssueRow]
    codes: dict[tuple[int, int], CodeRow]
    quotas: dict[tuple[int, str], QuotaRow]
    blocks: dict[int, list[BlockRow]]


class Taken(msgspec.Struct, frozen=True):
    """A request that will be written: with its number when issued now, without when it becomes an intent."""

    request: IssueRequest
    month: str
    amount_fen: int
    number: str | None


Decision = Taken | Outcome | Missing


def month_of(moment: datetime) -> str:
    """The calendar month of a moment in Asia/Shanghai, as ``2026-11``."""
    local = moment.astimezone(SHANGHAI)
    return f"{local.year:04d}-{local.month:02d}"


def milliseconds(moment: datetime) -> int:
    """A moment as the store keeps it."""
    assert moment.tzinfo is not None, "times are aware"
    return int(moment.timestamp() * 1000)


def decide(requests: list[IssueRequest], state: State) -> list[Decision]:
    """Decide each request in order. A refusal of one never spoils the others."""
    return [_decide_one(request, state) for request in requests]


def _decide_one(request: IssueRequest, state: State) -> Decision:
    held = _already_held(request, state)
    if held is not None:
        return held
    earlier = state.issues.get((request.merchant_id, request.issue_key))
    if earlier is not None:
        return _repeat(request, earlier)
    refusal = _merchant_refusal(request, state) or _code_refusal(request, state)
    if refusal is not None:
        return _refused(refusal)

    month = month_of(request.issued_at)
    quota = state.quotas.get((request.merchant_id, month))
    if quota is None:
        return Missing("quota")
    amount_fen = to_fen(request.totals.amount)
    if amount_fen > quota.left_fen:
        return _refused(Refusal("QUOTA-EXCEEDED", "", {"left": format_yuan(from_fen(quota.left_fen)), "month": month}))

    number = None
    if not request.remote:
        number = _next_number(request, month[2:4], state)
        if number is None:
            return Missing("numbers")
    _take(request, state, quota, amount_fen, number)
    return Taken(request, month, amount_fen, number)


def _refused(refusal: Refusal) -> Outcome:
    return Outcome(IssueState.REFUSED, refusals=(refusal,))


def _repeat(request: IssueRequest, earlier: IssueRow) -> Outcome:
    """The stored answer to the same request; a conflict when the key now stands for something else."""
    if earlier.request_digest != request.request_digest:
        return _refused(Refusal("ISSUE-KEY-REUSED", "issue_key"))
    return Outcome(earlier.state, earlier.number, earlier.refusal, repeated=True)


def _merchant_refusal(request: IssueRequest, state: State) -> Refusal | None:
    standing = state.merchants.get(request.merchant_id)
    if standing is None:
        return Refusal("MERCHANT-NOT-FOUND")
    if standing == "suspended":
        return Refusal("MERCHANT-SUSPENDED")
    if standing != "active" and request.real:
        return Refusal("MERCHANT-UNVERIFIED")
    return None


def _code_refusal(request: IssueRequest, state: State) -> Refusal | None:
    """Why this holder cannot have this code, or None."""
    if request.code_id is None:
        return None
    code = state.codes.get((request.merchant_id, request.code_id))
    if code is None:
        return Refusal("CODE-NOT-FOUND")
    if code.state == "revoked":
        return Refusal("CODE-REVOKED")
    if code.issue_key is not None:
        return Refusal("CODE-TAKEN")
    if code.expires_at_ms <= milliseconds(request.issued_at):
        return Refusal("CODE-EXPIRED")
    return None


def _already_held(request: IssueRequest, state: State) -> Outcome | None:
    """The result that this holder's earlier request for the same code has, whatever key and title this one carries:
    a code gives one invoice, and its holder is always shown which."""
    code = None if request.code_id is None else state.codes.get((request.merchant_id, request.code_id))
    if code is None or code.issue_key is None or code.holder != request.holder:
        return None
    issue = state.issues[(request.merchant_id, code.issue_key)]
    return Outcome(issue.state, issue.number, issue.refusal, repeated=True)


def _next_number(request: IssueRequest, year: str, state: State) -> str | None:
    """The next number of a block of the year of issue, or None when the merchant needs a new block."""
    for block in state.blocks.get(request.merchant_id, ()):
        if block.prefix.startswith(year) and block.next_sequence <= block.last_sequence:
            sequence = block.next_sequence
            block.next_sequence += 1
            return f"{block.prefix}{sequence:0{SEQUENCE_DIGITS}d}"
    return None


def _take(request: IssueRequest, state: State, quota: QuotaRow, amount_fen: int, number: str | None) -> None:
    """Let the rest of the batch see what this request took."""
    standing = IssueState.SUBMITTED if number is None else IssueState.ISSUED
    if number is None:
        quota.reserved_fen += amount_fen
    else:
        quota.issued_fen += amount_fen
    assert quota.issued_fen + quota.reserved_fen <= quota.limit_fen, "quota overspent"
    state.issues[(request.merchant_id, request.issue_key)] = IssueRow(request.request_digest, standing, number, ())
    if request.code_id is not None:
        code = state.codes[(request.merchant_id, request.code_id)]
        assert code.issue_key is None, "a code was claimed twice"
        code.issue_key, code.holder, code.state = request.issue_key, request.holder, standing.value
