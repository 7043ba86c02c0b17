"""The sandbox authority (沙盒税务机关): everything a real one does, in numbers that can never be real.

It keeps a store of its own, gives blocks of numbers and quotas, takes reports, and, when a rehearsal asks for it,
issues remotely: late, down before the call, down after it, twice, out of numbers, out of quota.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from piaoma.invoice.issued import SANDBOX_PROVINCE
from piaoma.invoice.original import SANDBOX_BUREAU
from piaoma.invoice.red_form import RedFormEvent, Side
from piaoma.invoice.refusal import Refusal, refuse
from piaoma.invoice.totals import invoice_of
from piaoma.trust import Signer, SignerFault, sign_original

from .contract import (
    Block,
    LedgerEntry,
    MonthSum,
    NotTaken,
    Numbering,
    OutcomeUnknown,
    QuotaAnswer,
    QuotaRequest,
    RedFormAnswer,
    RedFormRequest,
    RemoteAnswer,
    RemoteRequest,
    Report,
    SessionState,
    Unavailable,
)
from .ledger import Ledger, LedgerTransaction
from .sandbox_forms import FormBook, NewForm
from .sandbox_months import MonthBook, report_of
from .sandbox_quota import QuotaBook

QUOTA_FEN = 1_000_000_00  # a month, tax-exclusive, unless a switch says otherwise
DIGITS = ("0", "8")  # fifth digit of a number: given beforehand, given by the call
DIGITS_OF_THE_PROCESS = ("1", "9")  # of ``piaoma authority serve``, whose books are others
PATIENCE_MS = 3_000  # how long a caller waits for an answer before it counts as unknown
FIRST_SEQUENCE = 1
ROOM = 1_000_000_000  # numbers left out after a restore; a year has a million times as many


class Switches(msgspec.Struct, frozen=True):
    """A rehearsal (演练). All off is normal work.

    ``remote`` issues by call though nothing is wrong; ``late_ms`` answers after that many milliseconds; ``down`` is
    ``before`` (the call never arrives) or ``after`` (it arrives, the answer is lost); ``twice`` answers twice;
    ``no_numbers`` and ``quota_fen`` at 0 are out of them; ``single`` gives one number at a time. The last four are of
    ``piaoma authority serve`` alone, which does what it was asked and then answers: after ``slow_ms``, with
    ``garbage``, with status 500 (``broken``), or with half an answer (``cut``).
    """

    remote: bool = False
    late_ms: int = 0
    down: Literal["", "before", "after"] = ""
    twice: bool = False
    no_numbers: bool = False
    refuse: bool = False
    quota_fen: int = QUOTA_FEN
    single: bool = False
    slow_ms: int = 0
    garbage: bool = False
    broken: bool = False
    cut: bool = False


_TAKE_SEQUENCE = """
INSERT INTO authority_sequence (prefix, next_sequence) VALUES ($1, CAST($2 AS BIGINT) + CAST($3 AS BIGINT))
ON CONFLICT (prefix) DO UPDATE SET next_sequence = authority_sequence.next_sequence + CAST($3 AS BIGINT)
RETURNING next_sequence
"""
_ADD_BLOCK = """
INSERT INTO authority_blocks (prefix, first_sequence, last_sequence, taxpayer_id, serial) VALUES ($1, $2, $3, $4, $5)
"""
_BLOCK = "SELECT prefix, first_sequence, last_sequence FROM authority_blocks WHERE serial = $1"
_ISSUED = "SELECT number, original, ready_at_ms FROM authority_issued WHERE serial = $1"
_ADD_ISSUED = """
INSERT INTO authority_issued (serial, taxpayer_id, number, original, ready_at_ms) VALUES ($1, $2, $3, $4, $5)
"""
_ENROL = """
INSERT INTO authority_taxpayers (taxpayer_id, name) VALUES ($1, $2)
ON CONFLICT (taxpayer_id) DO UPDATE SET name = excluded.name
"""
_SET_SWITCH = """
INSERT INTO authority_switches (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


class SandboxAuthority:
    """The sandbox channel. ``signer`` says who signs at present, ``now`` is the clock, aware, Asia/Shanghai."""

    name = "sandbox"
    sandbox = True
    bureau = SANDBOX_BUREAU
    roots: tuple[bytes, ...] = ()
    forms_settle_seconds = 0.0

    def __init__(
        self,
        ledger: Ledger,
        signer: Callable[[], Signer],
        now: Callable[[], datetime],
        digits: tuple[str, str] = DIGITS,
    ) -> None:
        self._pool_digit, self._remote_digit = digits
        self._ledger = ledger
        self._signer = signer
        self.now = now
        self._answers_to_repeat: list[RemoteAnswer] = []
        self.forms = FormBook(ledger, now)
        self._months = MonthBook(ledger, now)
        self._quotas = QuotaBook(ledger, now)

    async def switches(self, taxpayer_id: str = "") -> Switches:
        """The rehearsal in force, for everybody or for a taxpayer, whose own switches come before."""
        rows = await self._ledger.read("SELECT name, value FROM authority_switches")
        found: dict[str, object] = {}
        for whose in ("", taxpayer_id):
            for row in rows:
                owner, _, name = row[0].rpartition(":")
                if owner == whose:
                    found[name] = msgspec.json.decode(row[1])
        return msgspec.convert(found, Switches)

    async def rehearse(self, taxpayer_id: str = "", /, **changes: bool | int | str) -> Switches:
        """Change switches by name; ``rehearse()`` with the defaults of ``Switches`` ends a rehearsal. With a taxpayer
        only what names him feels it: his quota and his numbers."""
        wanted = msgspec.convert({**msgspec.structs.asdict(await self.switches(taxpayer_id)), **changes}, Switches)
        changed = changes if taxpayer_id else msgspec.structs.asdict(wanted)
        owner = f"{taxpayer_id}:" if taxpayer_id else ""
        async with self._ledger.write() as transaction:
            for name, value in changed.items():
                await transaction.execute(_SET_SWITCH, f"{owner}{name}", msgspec.json.encode(value).decode())
        return wanted

    async def numbering(self) -> Numbering:
        """By block in normal work; by call while the rehearsal is about calls."""
        switches = await self.switches()
        calls = switches.remote or switches.late_ms or switches.down or switches.twice or switches.refuse
        return Numbering.REMOTE if calls else Numbering.POOL

    async def session_state(self) -> SessionState:
        """DOWN during a rehearsed outage."""
        return SessionState.DOWN if (await self.switches()).down else SessionState.OK

    async def get_quota(self, taxpayer_id: str, month: str, needed_fen: int = 0) -> int:
        """See ``Channel.get_quota``: every taxpayer has the same limit here, but for who rehearses, and what he was
        granted beside it."""
        switches = await self.switches(taxpayer_id)
        if switches.down:
            raise Unavailable("rehearsal: down")
        return switches.quota_fen + await self._quotas.granted_fen(taxpayer_id, month)

    async def allocate_numbers(self, taxpayer_id: str, year: str, count: int, serial: str) -> Block:
        """See ``Channel.allocate_numbers``."""
        switches = await self.switches(taxpayer_id)
        count = 1 if switches.single else count
        if switches.down:
            raise Unavailable("rehearsal: down")
        if switches.no_numbers:
            raise refuse("ISSUE-NO-NUMBERS")
        return await self.give_block(taxpayer_id, year, count, serial)

    async def give_block(self, taxpayer_id: str, year: str, count: int, serial: str) -> Block:
        """A block, once for a serial, whatever is rehearsed."""
        prefix = f"{year}{SANDBOX_PROVINCE}{self._pool_digit}"
        async with self._ledger.write() as transaction:
            found = await transaction.fetch(_BLOCK, serial)
            if found:
                return Block(found[0][0], found[0][1], found[0][2])
            first = await self._take(transaction, prefix, count)
            block = Block(prefix, first, first + count - 1)
            await transaction.execute(_ADD_BLOCK, prefix, block.first, block.last, taxpayer_id, serial)
        return block

    async def issue_blue(self, request: RemoteRequest) -> RemoteAnswer:
        """See ``Channel.issue_blue``, as the rehearsal has it."""
        return await self._issue_by_call(request)

    async def issue_red(self, request: RemoteRequest) -> RemoteAnswer:
        """See ``Channel.issue_red``: refused when its form cannot be used."""
        assert request.red is not None, "a red invoice names what it corrects"
        if not await self.forms.is_issuable(request.red) and not await self._ledger.read(_ISSUED, request.serial):
            if (await self.switches()).down == "before":
                raise Unavailable("rehearsal: down before the call")
            return RemoteAnswer(request.serial, refusals=(_refusal("红字信息确认单不能开票"),))
        answer = await self._issue_by_call(request)
        if answer.number:
            await self.forms.use_up(request.red)
        return answer

    async def query_usage(self, taxpayer_id: str, number: str) -> bool:
        """See ``Channel.query_usage``."""
        if (await self.switches()).down:
            raise Unavailable("rehearsal: down")
        return await self.forms.is_used(number)

    async def enrol(self, taxpayer_id: str, name: str) -> None:
        """A seller that the providers of ``piaoma authority serve`` issue for, with the name that they print."""
        async with self._ledger.write() as transaction:
            await transaction.execute(_ENROL, taxpayer_id, name)

    async def use(self, number: str) -> None:
        """What no seller can do: the buyer confirms the use of an invoice (用途确认)."""
        await self.forms.use(number)

    async def apply_red_form(self, request: RedFormRequest) -> RedFormAnswer:
        """See ``Channel.apply_red_form``, as the rehearsal has it."""
        switches = await self.switches()
        if switches.down == "before":
            raise Unavailable("rehearsal: down before the call")
        if switches.refuse:
            return RedFormAnswer(request.serial, refusals=(_form_refusal("演练 rehearsal"),))
        blue = request.blue
        form = NewForm(
            request.serial,
            blue.number,
            blue.seller.taxpayer_id,
            blue.buyer.taxpayer_id,
            request.raised_by,
            request.total,
        )
        answer = await self.forms.apply(form, switches.late_ms)
        await self._lose(switches, request.serial)
        return answer

    async def act_on_red_form(self, request: RedFormRequest, event: RedFormEvent, by: Side) -> RedFormAnswer:
        """See ``Channel.act_on_red_form``, as the rehearsal has it."""
        switches = await self.switches()
        if switches.down == "before":
            raise Unavailable("rehearsal: down before the call")
        if switches.refuse:
            return RedFormAnswer(request.serial, refusals=(_form_refusal("演练 rehearsal"),))
        answer = await self.forms.act(request.serial, event, by)
        await self._lose(switches, request.serial)
        return answer

    async def query_red_form(self, request: RedFormRequest) -> RedFormAnswer | None:
        """See ``Channel.query_red_form``."""
        if (await self.switches()).down:
            raise Unavailable("rehearsal: down")
        return await self.forms.query(request.serial)

    async def _lose(self, switches: Switches, serial: str) -> None:
        """Keep an answer back, as the rehearsal has it."""
        if switches.down == "after":
            raise OutcomeUnknown(serial)
        if switches.late_ms:
            await asyncio.sleep(min(switches.late_ms, PATIENCE_MS) / 1000)
            if switches.late_ms > PATIENCE_MS:
                raise OutcomeUnknown(serial)

    async def _issue_by_call(self, request: RemoteRequest) -> RemoteAnswer:
        switches = await self.switches()
        if switches.down == "before":
            raise Unavailable("rehearsal: down before the call")
        if switches.refuse or switches.no_numbers:
            cause = Refusal("ISSUE-NO-NUMBERS") if switches.no_numbers else _refusal("演练 rehearsal")
            return RemoteAnswer(request.serial, refusals=(cause,))
        answer = await self.issue_once(request, switches.late_ms)
        await self._lose(switches, request.serial)
        if switches.twice:
            self._answers_to_repeat.append(answer)
        return answer

    async def query_result(self, serial: str, taxpayer_id: str) -> RemoteAnswer | None:
        """See ``Channel.query_result``."""
        if (await self.switches()).down:
            raise Unavailable("rehearsal: down")
        return await self.result(serial)

    async def result(self, serial: str) -> RemoteAnswer | None:
        """What was issued for a serial, whatever is rehearsed. Raises ``OutcomeUnknown`` while it is kept back."""
        rows = await self._ledger.read(_ISSUED, serial)
        if not rows:
            return None
        if rows[0][2] > self.now().timestamp() * 1000:
            raise OutcomeUnknown(serial)
        return RemoteAnswer(serial, rows[0][0], bytes(rows[0][1]))

    async def arrived(self) -> Sequence[RemoteAnswer]:
        """See ``Channel.arrived``: the second answers of a rehearsal."""
        answers, self._answers_to_repeat = self._answers_to_repeat, []
        return answers

    async def report(self, reports: Sequence[Report]) -> Sequence[NotTaken]:
        """See ``Channel.report``."""
        if (await self.switches()).down:
            raise Unavailable("rehearsal: down")
        await self._months.add(reports)
        return ()

    async def close(self) -> None:
        """See ``Channel.close``: the ledger is closed by whoever opened it."""

    async def month_sums(self, taxpayer_id: str, month: str) -> Sequence[MonthSum]:
        """See ``Channel.month_sums``."""
        await self._reached()
        return await self._months.sums(taxpayer_id, month)

    async def month_entries(self, taxpayer_id: str, month: str, after: str, count: int) -> Sequence[LedgerEntry]:
        """See ``Channel.month_entries``."""
        await self._reached()
        return await self._months.entries(taxpayer_id, month, after, count)

    async def confirm_month(self, taxpayer_id: str, month: str, sums: Sequence[MonthSum]) -> Sequence[Refusal]:
        """See ``Channel.confirm_month``, as the rehearsal has it."""
        switches = await self.switches()
        if switches.down == "before":
            raise Unavailable("rehearsal: down before the call")
        if switches.refuse:
            return (_refusal("演练 rehearsal"),)
        refusals = await self._months.confirm(taxpayer_id, month, sums)
        await self._lose(switches, f"{taxpayer_id}:{month}")
        return refusals

    async def confirmed_month(self, taxpayer_id: str, month: str) -> Sequence[MonthSum] | None:
        """See ``Channel.confirmed_month``."""
        await self._reached()
        return await self._months.confirmed(taxpayer_id, month)

    async def apply_quota(self, request: QuotaRequest) -> QuotaAnswer:
        """See ``Channel.apply_quota``, as the rehearsal has it."""
        switches = await self.switches()
        if switches.down == "before":
            raise Unavailable("rehearsal: down before the call")
        answer = await self._quotas.apply(request)
        await self._lose(switches, request.serial)
        return answer

    async def query_quota_request(self, serial: str) -> QuotaAnswer | None:
        """See ``Channel.query_quota_request``."""
        await self._reached()
        return await self._quotas.query(serial)

    async def _reached(self) -> None:
        if (await self.switches()).down:
            raise Unavailable("rehearsal: down")

    async def leave_room(self) -> None:
        """After a restore: the books do not know what was given since, so they go on far beyond it (P3). A real
        authority's books are not ours to put back."""
        async with self._ledger.write() as transaction:
            await transaction.execute(
                "UPDATE authority_sequence SET next_sequence = next_sequence + CAST($1 AS BIGINT)", ROOM
            )

    async def issue_once(self, request: RemoteRequest, late_ms: int) -> RemoteAnswer:
        """Issue once for a serial, in one transaction, whatever is rehearsed; the same serial again finds what was
        issued. Asked for, it is not there before so many milliseconds have gone."""
        async with self._ledger.write() as transaction:
            found = await transaction.fetch(_ISSUED, request.serial)
            if found:
                return RemoteAnswer(request.serial, found[0][0], bytes(found[0][1]))
            prefix = f"{request.requested_at:%y}{SANDBOX_PROVINCE}{self._remote_digit}"
            number = f"{prefix}{await self._take(transaction, prefix, 1):015d}"
            invoice = invoice_of(
                request.draft, request.lines, request.totals, number, request.requested_at, self.bureau, request.red
            )
            try:
                # In a thread: an outside signer may take its time.
                original = await asyncio.to_thread(sign_original, invoice, self._signer())
            except SignerFault as fault:
                raise Unavailable(str(fault)) from None
            ready_at_ms = int(self.now().timestamp() * 1000) + late_ms
            await transaction.execute(
                _ADD_ISSUED, request.serial, request.draft.seller.taxpayer_id, number, original, ready_at_ms
            )
            await self._months.add_within(transaction, [report_of(invoice, original)])
        return RemoteAnswer(request.serial, number, original)

    @staticmethod
    async def _take(transaction: LedgerTransaction, prefix: str, count: int) -> int:
        """The first of ``count`` numbers that nobody else gets."""
        rows = await transaction.fetch(_TAKE_SEQUENCE, prefix, FIRST_SEQUENCE, count)
        return int(rows[0][0]) - count


def _refusal(reason: str) -> Refusal:
    return Refusal("ISSUE-REFUSED-BY-AUTHORITY", "", {"have": reason})


def _form_refusal(reason: str) -> Refusal:
    return Refusal("RED-FORM-REFUSED", "", {"have": reason})
