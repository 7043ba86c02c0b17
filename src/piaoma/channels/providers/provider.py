"""What all providers have in common: an order goes out under our serial and is asked after until it is known.

An adapter says how a call is signed and read, and what the codes mean. What follows from a meaning is decided here,
once for all: nothing is guessed, nothing is sent again while an outcome is open, and an original is fetched before
anybody is told that it is there.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import msgspec

from piaoma.invoice.money import to_fen
from piaoma.invoice.original import SANDBOX_BUREAU
from piaoma.invoice.red_form import RedFormEvent, RedFormState, Side, confirm_until
from piaoma.invoice.refusal import Refusal

from ..codes import Meaning, Table, Told
from ..contract import (
    APPLY_ELSEWHERE,
    Block,
    LedgerEntry,
    MonthSum,
    NotTaken,
    Numbering,
    OutcomeUnknown,
    QuotaAnswer,
    QuotaRequest,
    QuotaState,
    RedFormAnswer,
    RedFormRequest,
    RemoteAnswer,
    RemoteRequest,
    Report,
    SessionState,
    Unavailable,
)
from ..settings import Settings, ca_of, roots_of
from ..wire import Lost, Unreached, Wire

RESULT_WAITS_SECONDS = (0.05, 0.15, 0.3, 0.5, 0.8, 1.2)  # before each question in the call itself; then it is pursued
_NOTHING_DONE = frozenset({Meaning.AGAIN, Meaning.LOGIN, Meaning.VERIFY})
_STATES = {Meaning.LOGIN: SessionState.LOGIN, Meaning.VERIFY: SessionState.VERIFY}


class ProviderSettings(Settings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every provider needs. No provider tells the quota that the tax office granted: the owner writes it down."""

    app_key: str
    app_secret: str
    token: str
    month_quota: str = "100000.00"  # yuan, tax-exclusive


class Result(msgspec.Struct, frozen=True):
    """What a provider says of an order. ``told`` is its state; ``file`` where the original lies once it is done."""

    serial: str
    told: Told
    number: str = ""
    file: str = ""


class FormResult(msgspec.Struct, frozen=True):
    """What a provider says of a red form. ``told`` speaks of the call; the rest is there when it is done."""

    told: Told
    number: str = ""
    state: str = ""
    raised_at: datetime | None = None


class Provider(ABC):
    """See ``Channel``. An adapter gives ``settings_type``, ``table``, and the abstract methods; these raise
    ``Unreached`` and ``Lost``.
    """

    name: ClassVar[str]
    table: ClassVar[Table]
    forms_settle_seconds = 0.0

    def __init__(self, file: Path, settings: ProviderSettings, now: Callable[[], datetime], *, live: bool) -> None:
        """Raises ``SettingsFault``."""
        self.wire = Wire(settings.url, ca_of(file, settings), settings.seconds)
        self.now = now
        self.sandbox = not live
        self.roots = roots_of(file, settings)
        self.bureau = SANDBOX_BUREAU  # not stated by us: what is issued elsewhere names its own
        self._quota_fen = to_fen(Decimal(settings.month_quota))
        self._state = SessionState.OK

    # ── what an adapter gives ────────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    async def order(self, request: RemoteRequest) -> Told:
        """Send an order, blue or red, under its serial."""

    @abstractmethod
    async def results(self, serial: str, taxpayer_id: str) -> tuple[Told, Sequence[Result]]:
        """Ask what became of an order: what is said of the question, and the rows."""

    @abstractmethod
    async def raise_form(self, request: RedFormRequest) -> FormResult:
        """Raise a red form under its serial."""

    @abstractmethod
    async def find_form(self, request: RedFormRequest) -> FormResult:
        """Ask after a red form by its serial."""

    async def say(self, request: RedFormRequest, event: RedFormEvent, by: Side) -> Told:
        """Say something to a form. A provider without a call for it refuses: it is said on its own pages."""
        return Told("", f"{event} {by} {request.serial}", Meaning.REFUSED, "CHANNEL-ELSEWHERE")

    # ── the contract ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def numbering(self) -> Numbering:
        """See ``Channel.numbering``."""
        return Numbering.REMOTE

    async def session_state(self) -> SessionState:
        """As it was at the last call."""
        return self._state

    async def get_quota(self, taxpayer_id: str, month: str, needed_fen: int = 0) -> int:
        """What the settings say."""
        return self._quota_fen

    async def allocate_numbers(self, taxpayer_id: str, year: str, count: int, serial: str) -> Block:
        """Numbers come with the call."""
        raise Unavailable(f"{self.name} gives no numbers beforehand")

    async def issue_blue(self, request: RemoteRequest) -> RemoteAnswer:
        """See ``Channel.issue_blue``."""
        serial = request.serial
        told = await self._submitted(self.order(request), serial)
        if told.meaning is Meaning.REFUSED:
            return RemoteAnswer(serial, refusals=(told.refusal(),))
        if told.meaning is Meaning.NO_NUMBERS:
            return RemoteAnswer(serial, refusals=(Refusal("ISSUE-NO-NUMBERS"),))
        # It is there, whether for the first time or since an earlier try.
        for wait in RESULT_WAITS_SECONDS:
            await asyncio.sleep(wait)
            try:
                answer = await self.query_result(serial, request.draft.seller.taxpayer_id)
            except OutcomeUnknown:
                continue
            except Unavailable as fault:
                raise OutcomeUnknown(serial, str(fault)) from None
            if answer is not None:
                return answer
        raise OutcomeUnknown(serial, f"no result yet: {told.said}")

    async def issue_red(self, request: RemoteRequest) -> RemoteAnswer:
        """See ``Channel.issue_red``."""
        return await self.issue_blue(request)

    async def query_result(self, serial: str, taxpayer_id: str) -> RemoteAnswer | None:
        """See ``Channel.query_result``. Rows of several numbers, of an unknown state, or none where some were promised
        are no result."""
        try:
            told, rows = await self.results(serial, taxpayer_id)
        except Lost as lost:
            raise Unavailable(str(lost)) from None
        self._note(told)
        if told.meaning is Meaning.MISSING:
            return None
        if told.meaning is not Meaning.DONE:
            raise Unavailable(told.said)
        ours = [row for row in rows if row.serial == serial]
        if not ours or len({(row.number, row.told.meaning) for row in ours}) > 1:
            raise OutcomeUnknown(serial, f"{len(ours)} different rows for one order")
        result = ours[0]
        if result.told.meaning is Meaning.REFUSED:
            return RemoteAnswer(serial, refusals=(result.told.refusal(),))
        if result.told.meaning is not Meaning.DONE or not result.number or not result.file:
            raise OutcomeUnknown(serial, result.told.said)
        try:
            original = await self.wire.get(result.file)
        except (Lost, Unreached) as fault:
            # It is issued; without its original nothing can be handed out, so it is asked for again.
            raise OutcomeUnknown(serial, f"the original: {fault}") from None
        return RemoteAnswer(serial, result.number, original)

    async def query_usage(self, taxpayer_id: str, number: str) -> bool:
        """No provider's call tells it [U]: the platform looks at it when a form is raised, and the form's first state
        says what it found."""
        return False

    async def apply_red_form(self, request: RedFormRequest) -> RedFormAnswer:
        """See ``Channel.apply_red_form``."""
        result = await self._form_submitted(self.raise_form(request), request.serial)
        if result.told.meaning is Meaning.REFUSED:
            return RedFormAnswer(request.serial, refusals=(result.told.refusal(),))
        if result.told.meaning is Meaning.DONE and result.state:
            return self._form(request, result)
        try:
            answer = await self.query_red_form(request)
        except Unavailable as fault:
            raise OutcomeUnknown(request.serial, str(fault)) from None
        if answer is None:
            raise OutcomeUnknown(request.serial, "a form that was taken is not there")
        return answer

    async def act_on_red_form(self, request: RedFormRequest, event: RedFormEvent, by: Side) -> RedFormAnswer:
        """See ``Channel.act_on_red_form``."""
        before = await self.query_red_form(request)
        told = await self._submitted(self.say(request, event, by), request.serial)
        try:
            after = await self.query_red_form(request)
        except Unavailable as fault:
            raise OutcomeUnknown(request.serial, str(fault)) from None
        if after is None:
            return RedFormAnswer(request.serial, refusals=(Refusal("RED-FORM-NOT-FOUND"),))
        changed = before is not None and before.state is not after.state
        if told.meaning is Meaning.REFUSED and not changed:
            return RedFormAnswer(request.serial, refusals=(told.refusal(),))
        return after

    async def query_red_form(self, request: RedFormRequest) -> RedFormAnswer | None:
        """See ``Channel.query_red_form``."""
        try:
            result = await self.find_form(request)
        except Lost as lost:
            raise Unavailable(str(lost)) from None
        self._note(result.told)
        if result.told.meaning is Meaning.MISSING:
            return None
        if result.told.meaning is Meaning.WORKING:
            raise OutcomeUnknown(request.serial, result.told.said)
        if result.told.meaning is not Meaning.DONE:
            raise Unavailable(result.told.said)
        return self._form(request, result)

    async def arrived(self) -> Sequence[RemoteAnswer]:
        """Nothing comes by itself: every order is asked after."""
        return ()

    async def report(self, reports: Sequence[Report]) -> Sequence[NotTaken]:
        """A provider knows what it issued."""
        return ()

    async def month_sums(self, taxpayer_id: str, month: str) -> Sequence[MonthSum] | None:
        """No provider's call tells them."""
        return None

    async def month_entries(self, taxpayer_id: str, month: str, after: str, count: int) -> Sequence[LedgerEntry]:
        """Nor lists them."""
        return ()

    async def confirm_month(self, taxpayer_id: str, month: str, sums: Sequence[MonthSum]) -> Sequence[Refusal]:
        """It is done on the provider's own pages."""
        return (Refusal("CHANNEL-ELSEWHERE"),)

    async def confirmed_month(self, taxpayer_id: str, month: str) -> Sequence[MonthSum] | None:
        """Not known."""
        return None

    async def apply_quota(self, request: QuotaRequest) -> QuotaAnswer:
        """No call takes it."""
        return QuotaAnswer(request.serial, QuotaState.REFUSED, said=APPLY_ELSEWHERE)

    async def query_quota_request(self, serial: str) -> QuotaAnswer | None:
        """Nothing was ever asked for."""
        return None

    async def close(self) -> None:
        """See ``Channel.close``."""
        await self.wire.close()

    # ── what follows from an answer ──────────────────────────────────────────────────────────────────────────────────

    async def _submitted(self, call: Awaitable[Told], serial: str) -> Told:
        """What is said of something that was to be done. Raises ``Unavailable`` when surely nothing was,
        ``OutcomeUnknown`` when it may have been."""
        try:
            told = await call
        except Unreached:
            self._state = SessionState.DOWN
            raise
        except Lost as lost:
            self._state = SessionState.DOWN
            raise OutcomeUnknown(serial, str(lost)) from None
        self._note(told)
        if told.meaning in _NOTHING_DONE:
            raise Unavailable(told.said)
        if told.meaning in (Meaning.UNKNOWN, Meaning.MISSING):
            raise OutcomeUnknown(serial, told.said)
        return told

    async def _form_submitted(self, call: Awaitable[FormResult], serial: str) -> FormResult:
        result = FormResult(Told("", "", Meaning.UNKNOWN))

        async def told() -> Told:
            nonlocal result
            result = await call
            return result.told

        await self._submitted(told(), serial)
        return result

    def _form(self, request: RedFormRequest, result: FormResult) -> RedFormAnswer:
        try:
            state = RedFormState(result.state)
        except ValueError:
            raise OutcomeUnknown(request.serial, f"a form in state {result.state!r}") from None
        if not result.number:
            raise OutcomeUnknown(request.serial, "a form without its number")
        return RedFormAnswer(request.serial, result.number, state, confirm_until(result.raised_at or self.now()))

    def _note(self, told: Told) -> None:
        self._state = _STATES.get(told.meaning, SessionState.OK)
