"""Deciding a batch: a pure function from the requests and the rows they touch to what will be written.

All rules of claiming a code, spending quota and taking a number are here, in one place, for both engines and every
way to an invoice. Nothing here does I/O, so it can be tested by the million.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from piaoma.invoice.money import format_yuan, from_fen, to_fen
from piaoma.invoice.red import RedLine
from piaoma.invoice.red_form import ISSUABLE
from piaoma.invoice.refusal import Refusal

from .submission import IssueRequest, IssueState, Missing, Outcome

SHANGHAI = ZoneInfo("Asia/Shanghai")
PREFIX_DIGITS = 5  # year, province, channel (einvoice.md §3)
SEQUENCE_DIGITS = 15
_NOTHING = Decimal(0)


class CodeRow(msgspec.Struct):
    """What the plan needs of a code."""

    state: str
    holder: str | None
    issue_key: str | None
    expires_at_ms: int
    version: int = 1


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


class BlueRow(msgspec.Struct):
    """What the plan needs of an invoice that a red one corrects or a new one replaces. ``left`` is (amount, tax) of
    each of its items that nothing has taken back, not even an issue whose outcome is open."""

    red: bool  # it is a red one itself
    month: str
    left: dict[int, tuple[Decimal, Decimal]]
    wholly_red: bool  # red invoices that are issued took all of it back
    replaced: bool


class FormRow(msgspec.Struct):
    """What the plan needs of a red form."""

    blue_number: str
    state: str
    issue_key: str | None
    lines: tuple[RedLine, ...]


class State(msgspec.Struct):
    """The rows that a batch touches. ``decide`` changes them as it goes, so later requests see earlier ones.

    A merchant is ``active``, ``unverified`` (待核验: samples only) or ``suspended``.
    """

    merchants: dict[int, str]
    issues: dict[tuple[int, str], IssueRow]
    codes: dict[tuple[int, int], CodeRow]
    quotas: dict[tuple[int, str], QuotaRow]
    blocks: dict[int, list[BlockRow]]
    blues: dict[tuple[int, str], BlueRow] = {}
    forms: dict[tuple[int, str], FormRow] = {}


class Taken(msgspec.Struct, frozen=True):
    """A request that will be written: with its number when issued now, without when it becomes an intent.
    ``quota_fen`` is what it takes of the month's quota; below zero when it gives some back."""

    request: IssueRequest
    month: str
    quota_fen: int
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
    refusal = (
        _merchant_refusal(request, state)
        or _code_refusal(request, state)
        or _red_refusal(request, state)
        or _replacing_refusal(request, state)
    )
    if refusal is not None:
        return _refused(refusal)

    month = month_of(request.issued_at)
    quota = state.quotas.get((request.merchant_id, month))
    if quota is None:
        return Missing("quota")
    quota_fen = _quota_fen(request, state, month)
    if quota_fen > quota.left_fen:
        return _refused(Refusal("QUOTA-EXCEEDED", "", {"left": format_yuan(from_fen(quota.left_fen)), "month": month}))

    number = None
    if not request.remote:
        number = _next_number(request, month[2:4], state)
        if number is None:
            return Missing("numbers")
    _take(request, state, quota, quota_fen, number)
    return Taken(request, month, quota_fen, number)


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
    if request.code_version not in (None, code.version):
        return Refusal("CODE-CHANGED")
    return None


def _red_refusal(request: IssueRequest, state: State) -> Refusal | None:
    """Why a red invoice may not be issued, or None: the sums taken back, and the form, as they stand now. What a race
    cannot change was asked of the rules before (``rules.red``)."""
    if request.red is None:
        return None
    red = request.red
    blue = state.blues.get((request.merchant_id, red.blue_number))
    form = state.forms.get((request.merchant_id, red.form_id))
    if blue is None:
        return Refusal("INVOICE-NOT-FOUND")
    if blue.red:
        return Refusal("RED-OF-RED", "blue")
    if form is None or (form.blue_number, form.lines) != (red.blue_number, red.lines):
        return Refusal("RED-FORM-NOT-FOUND")
    if form.state not in ISSUABLE or form.issue_key is not None:
        return Refusal("RED-FORM-STATE", "form", {"state": form.state})
    rest = dict(blue.left)
    for line in red.lines:
        amount, tax = rest.get(line.place, (_NOTHING, _NOTHING))
        for have, left in ((-line.amount, amount), (-line.tax, tax)):
            if have > left:
                return Refusal("RED-EXCEEDS", "lines", {"have": format_yuan(have), "left": format_yuan(left)})
        rest[line.place] = (amount + line.amount, tax + line.tax)
    return None


def _replacing_refusal(request: IssueRequest, state: State) -> Refusal | None:
    """Why an invoice may not replace another, or None: never before all of the old one is taken back, and once."""
    if not request.replaces:
        return None
    old = state.blues.get((request.merchant_id, request.replaces))
    if old is None or not old.wholly_red:
        return Refusal("REISSUE-OLD-NOT-RED")
    return Refusal("REISSUE-REPLACED") if old.replaced else None


def _quota_fen(request: IssueRequest, state: State, month: str) -> int:
    """What a request takes of the month's quota (tax-exclusive). Whether a red invoice gives any back is not known [U],
    so it does not unless the installation says so, and then only in the month of the blue one."""
    if request.red is None:
        return to_fen(request.totals.amount)
    same_month = state.blues[(request.merchant_id, request.red.blue_number)].month == month
    return to_fen(request.totals.amount) if request.red.returns_quota and same_month else 0


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


def reserved_fen(quota_fen: int) -> int:
    """What is reserved while an outcome is open: what may come back is not counted on before it does."""
    return max(0, quota_fen)


def _take(request: IssueRequest, state: State, quota: QuotaRow, quota_fen: int, number: str | None) -> None:
    """Let the rest of the batch see what this request took."""
    standing = IssueState.SUBMITTED if number is None else IssueState.ISSUED
    if number is None:
        quota.reserved_fen += reserved_fen(quota_fen)
    else:
        quota.issued_fen += quota_fen
    assert quota.issued_fen + quota.reserved_fen <= quota.limit_fen, "quota overspent"
    state.issues[(request.merchant_id, request.issue_key)] = IssueRow(request.request_digest, standing, number, ())
    if request.code_id is not None:
        code = state.codes[(request.merchant_id, request.code_id)]
        assert code.issue_key is None, "a code was claimed twice"
        code.issue_key, code.holder, code.state = request.issue_key, request.holder, standing.value
    if request.red is not None:
        blue = state.blues[(request.merchant_id, request.red.blue_number)]
        for line in request.red.lines:
            amount, tax = blue.left[line.place]
            blue.left[line.place] = (amount + line.amount, tax + line.tax)
            assert min(blue.left[line.place]) >= 0, "more was taken back than there was"
        state.forms[(request.merchant_id, request.red.form_id)].issue_key = request.issue_key
    if request.replaces:
        state.blues[(request.merchant_id, request.replaces)].replaced = True
