"""The 乐企 channel: numbers and quota are taken beforehand, invoices are made and signed here and uploaded after."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from piaoma.invoice.issued import SANDBOX_PROVINCE, Bureau
from piaoma.invoice.money import from_fen, to_fen
from piaoma.invoice.original import SANDBOX_BUREAU
from piaoma.invoice.original_reader import read
from piaoma.invoice.red_form import RedFormEvent, Side
from piaoma.invoice.refusal import Refusal, Refused, refuse

from ..codes import Meaning, Told
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
from ..settings import SettingsFault, roots_of
from .fields import same_figures, summed, uploaded
from .forms import FORMS_SETTLE_SECONDS, Forms
from .line import TABLE, LeqiSettings, Line, field, rows_of

UPLOAD_MAX = 100  # invoices of one call of QDFPSC
RESULT_WAITS_SECONDS = (0.1, 0.3, 0.6, 1.0)  # before each question what became of an upload; then the outbox asks later
RECEIPT_SECONDS_MAX = (
    600.0  # that a receipt may be unknown to the platform before its invoices are asked after by number
)
QUOTA_SECONDS = 10.0  # that a limit is taken for granted when it is enough
REMEMBERED_MAX = 20_000  # uploads whose receipt or result is kept in memory
_NUMBER = re.compile(r"\d{20}")
PREFIX_DIGITS = 5  # year, province, channel

Value = TypeVar("Value")


class Leqi:
    """See ``Channel``. ``live`` is whether what is issued is real: samples have numbers of province 99, and neither
    takes the other's."""

    name = "leqi"
    settings_type = LeqiSettings
    forms_settle_seconds = FORMS_SETTLE_SECONDS

    def __init__(self, file: Path, now: Callable[[], datetime], *, live: bool) -> None:
        """Raises ``SettingsFault``."""
        self._line = line = Line(file, live=live)
        self._now = now
        self._forms = Forms(line, now)
        self._quota_block_fen = to_fen(Decimal(line.settings.quota_block or 0))  # 0: all there is
        self._usable_until: dict[tuple[str, str], str] = {}  # (seller, month): YYYYMMDD of its quota, as last told
        self._limits: dict[tuple[str, str], tuple[float, int]] = {}  # (seller, month): when it was told, limit in fen
        self._receipts: OrderedDict[str, str] = OrderedDict()  # number: receipt (受理流水号) of its upload
        self._uploaded: OrderedDict[str, float] = OrderedDict()  # receipt: when it was given
        self._lost: OrderedDict[str, None] = OrderedDict()  # numbers whose upload may have arrived
        self._there: OrderedDict[str, None] = OrderedDict()  # numbers that are known to stand in the platform's books
        self.sandbox = not live
        self.roots = roots_of(file, line.settings)
        self.bureau = SANDBOX_BUREAU
        if live:
            given = line.settings
            self.bureau = Bureau(given.bureau_code, given.bureau_name, given.bureau_tag)
            if not (given.bureau_code and given.bureau_name and given.bureau_tag):
                raise SettingsFault(f"{file}: a live channel names its bureau (bureau_code, bureau_name, bureau_tag)")

    async def numbering(self) -> Numbering:
        """See ``Channel.numbering``."""
        return Numbering.POOL

    async def session_state(self) -> SessionState:
        """As it was at the last call."""
        return self._line.state

    # ── numbers and quota ────────────────────────────────────────────────────────────────────────────────────────────

    async def allocate_numbers(self, taxpayer_id: str, year: str, count: int, serial: str) -> Block:
        """See ``Channel.allocate_numbers``: QDFPPLFM. A number that cannot be one of ours is not taken for one."""
        wanted = {"nsrsbh": taxpayer_id, "lysl": str(count), "ywlsh": serial}
        told, fields = await self._line.ask("QDFPPLFM", "numbers", wanted)
        if told.meaning is Meaning.NO_NUMBERS:
            raise refuse("ISSUE-NO-NUMBERS")
        _demand(told)
        first, last = field(fields, str, "fpqshm"), field(fields, str, "fpzzhm")
        if not (_NUMBER.fullmatch(first) and _NUMBER.fullmatch(last)):
            raise Unavailable("no numbers of 20 digits")
        prefix, low, high = first[:PREFIX_DIGITS], int(first[PREFIX_DIGITS:]), int(last[PREFIX_DIGITS:])
        if last[:PREFIX_DIGITS] != prefix or not low <= high < low + count or prefix[:2] != year:
            raise Unavailable(f"a block that cannot be: {first} to {last}")
        if (prefix[2:4] == SANDBOX_PROVINCE) is not self.sandbox:
            raise Unavailable("samples and real numbers are never mixed: look at live and at url")
        return Block(prefix, low, high)

    async def get_quota(self, taxpayer_id: str, month: str, needed_fen: int = 0) -> int:
        """See ``Channel.get_quota``: what was downloaded of the month (CXSXED), and all the rest, or another block when
        that is too little (XZTHSXED). Asked for under a serial of what is there, so that a lost answer takes none
        twice."""
        told, taken = self._limits.get((taxpayer_id, month), (0.0, -1))
        if needed_fen <= taken and time.monotonic() - told < QUOTA_SECONDS:
            return taken  # pages ask for it at every view
        taken, left = await self._quota(taxpayer_id, month)
        block = self._quota_block_fen or left
        if left > 0 and (needed_fen > taken or not self._quota_block_fen):
            wanted = min(left, max(block, needed_fen - taken))
            serial = hashlib.sha256(f"{taxpayer_id}:{month}:{taken}".encode()).hexdigest()[:32]
            answer, fields = await self._line.ask("XZTHSXED", "quota", self._block(taxpayer_id, "0", wanted, serial))
            _demand(answer)
            if "syqjz" in fields:
                self._usable_until[(taxpayer_id, month)] = str(fields["syqjz"])
            taken, _ = await self._quota(taxpayer_id, month)
        await self._keep_usable(taxpayer_id, month)
        self._limits[(taxpayer_id, month)] = (time.monotonic(), taken)
        return taken

    async def return_quota(self, taxpayer_id: str, month: str, amount_fen: int) -> int:
        """Give downloaded quota back (XZTHSXED, 退回); the month's limit that is left."""
        taken, _ = await self._quota(taxpayer_id, month)
        serial = hashlib.sha256(f"back:{taxpayer_id}:{month}:{taken}".encode()).hexdigest()[:32]
        self._limits.pop((taxpayer_id, month), None)
        told, _ = await self._line.ask("XZTHSXED", "quota", self._block(taxpayer_id, "1", amount_fen, serial))
        _demand(told)
        return (await self._quota(taxpayer_id, month))[0]

    def _block(self, taxpayer_id: str, kind: str, amount_fen: int, serial: str) -> dict[str, object]:
        return {
            "nsrsbh": taxpayer_id, "ptbh": self._line.settings.platform, "sqlx": kind, "sqed": from_fen(amount_fen),
            "ywlsh": serial,
        }  # fmt: skip

    async def _quota(self, taxpayer_id: str, month: str) -> tuple[int, int]:
        """(downloaded, still to be had) of a month, in fen."""
        told, fields = await self._line.ask("CXSXED", "quota", {"nsrsbh": taxpayer_id})
        _demand(told)
        if str(fields.get("ztsxbz", "N")).upper() == "Y":
            raise refuse("CHANNEL-SUSPENDED", have=told.said)
        told_of = str(fields.get("sq", "")).replace("-", "")
        if told_of and told_of != month.replace("-", ""):
            raise Unavailable(f"the quota of {told_of}, not of {month}")
        return to_fen(field(fields, Decimal, "yxzed")), to_fen(field(fields, Decimal, "kysyed"))

    async def _keep_usable(self, taxpayer_id: str, month: str) -> None:
        """Have the validity extended (TZSXEDYXQ) when the downloaded quota is past it."""
        until = self._usable_until.get((taxpayer_id, month))
        if until is None or f"{self._now():%Y%m%d}" <= until:
            return
        told, _ = await self._line.ask("TZSXEDYXQ", "quota", {"xsfnsrsbh": taxpayer_id, "sxedsq": month})
        _demand(told)
        del self._usable_until[(taxpayer_id, month)]

    # ── uploads ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def report(self, reports: Sequence[Report]) -> Sequence[NotTaken]:
        """See ``Channel.report``: QDFPSC, then CXQDFPSCJG until the result is there or patience ends.

        An upload whose answer was lost is asked after by number first. The number makes it the same invoice however
        often it is sent: the platform answers that it has it, which is as good as taken.
        """
        by_number = {one.number: one for one in reports}
        await self._look_for([by_number[number] for number in by_number if number in self._lost])
        fresh = [one for one in reports if one.number not in self._there and one.number not in self._receipts]
        for start in range(0, len(fresh), UPLOAD_MAX):
            await self._upload(fresh[start : start + UPLOAD_MAX])
        refused: dict[str, NotTaken] = {}
        for wait in RESULT_WAITS_SECONDS:
            open_ones = [number for number in by_number if number in self._receipts and number not in refused]
            if not open_ones:
                break
            await asyncio.sleep(wait)
            for receipt in dict.fromkeys(self._receipts[number] for number in open_ones):
                await self._take_results(receipt, by_number, refused)
        if any(number not in self._there and number not in refused for number in by_number):
            raise Unavailable("the result of an upload is not there yet")
        return list(refused.values())

    async def _look_for(self, reports: Sequence[Report]) -> None:
        for one in reports:
            told, _ = await self._line.ask("FPZTXXCX", "usage", {"xsfnsrsbh": one.taxpayer_id, "fphm": one.number})
            if told.meaning is Meaning.DONE:
                _remember(self._there, one.number, None)
            del self._lost[one.number]

    async def _upload(self, reports: Sequence[Report]) -> None:
        invoices = [read(one.original) for one in reports]
        content = []
        for invoice in invoices:
            if invoice.sandbox is not self.sandbox:
                raise Unavailable("samples and real invoices are never mixed")
            uuid, blue_lines = await self._forms.of_red_invoice(invoice) if invoice.red is not None else ("", [])
            content.append(uploaded(invoice, self._line.settings.platform, uuid, blue_lines))
        try:
            told, fields = await self._line.submit("QDFPSC", "upload", content, reports[0].number)
        except OutcomeUnknown as unknown:
            for one in reports:
                _remember(self._lost, one.number, None)
            raise Unavailable(f"upload unknown: {unknown.said}") from None
        if told.meaning is not Meaning.DONE:
            raise Unavailable(f"QDFPSC: {told.said}")
        receipt = field(fields, str, "sllsh")
        _remember(self._uploaded, receipt, time.monotonic())
        for one in reports:
            _remember(self._receipts, one.number, receipt)

    async def _take_results(self, receipt: str, wanted: dict[str, Report], refused: dict[str, NotTaken]) -> None:
        told, fields = await self._line.ask("CXQDFPSCJG", "receipt", {"sllsh": receipt})
        if told.meaning is Meaning.MISSING:
            self._give_up(receipt)
        if told.meaning is not Meaning.DONE:
            return
        for row in rows_of(fields) or [fields]:
            number = str(row.get("fphm", ""))
            if self._receipts.get(number) != receipt or number not in wanted:
                continue
            code = row.get("Code") or row.get("code") or row.get("status", "")
            result = TABLE.told("upload", code, row.get("message", ""))
            if result.meaning in (Meaning.DONE, Meaning.DUPLICATE):
                _remember(self._there, number, None)
            elif result.meaning is Meaning.REFUSED:
                refused[number] = NotTaken(number, result.refusal())
            else:
                continue  # still worked on, or a code that means nothing yet: asked again
            del self._receipts[number]

    def _give_up(self, receipt: str) -> None:
        """A receipt that is not known for so long says nothing: its invoices are asked after by number."""
        if time.monotonic() - self._uploaded.get(receipt, 0.0) < RECEIPT_SECONDS_MAX:
            return
        for number in [number for number, known in self._receipts.items() if known == receipt]:
            del self._receipts[number]
            _remember(self._lost, number, None)

    # ── red forms and usage ──────────────────────────────────────────────────────────────────────────────────────────

    async def query_usage(self, taxpayer_id: str, number: str) -> bool:
        """See ``Channel.query_usage``: FPZTXXCX. How it names the two is not certain [U]."""
        told, fields = await self._line.ask("FPZTXXCX", "usage", {"xsfnsrsbh": taxpayer_id, "fphm": number})
        if told.meaning is Meaning.MISSING:
            return False  # not uploaded yet, so nobody can have used it
        _demand(told)
        marks = [str(fields[name]) for name in ("zzsytDm", "fprzztDm") if name in fields]
        if not marks:
            raise Unavailable("an answer that says nothing of use")
        return any(mark.strip("0 ") for mark in marks)

    async def apply_red_form(self, request: RedFormRequest) -> RedFormAnswer:
        """See ``Channel.apply_red_form``."""
        return await self._forms.apply(request)

    async def act_on_red_form(self, request: RedFormRequest, event: RedFormEvent, by: Side) -> RedFormAnswer:
        """See ``Channel.act_on_red_form``."""
        return await self._forms.act(request, event, by)

    async def query_red_form(self, request: RedFormRequest) -> RedFormAnswer | None:
        """See ``Channel.query_red_form``."""
        return await self._forms.query(request)

    async def month_sums(self, taxpayer_id: str, month: str) -> Sequence[MonthSum] | None:
        """No service tells them before they are confirmed."""
        return None

    async def confirm_month(self, taxpayer_id: str, month: str, sums: Sequence[MonthSum]) -> Sequence[Refusal]:
        """See ``Channel.confirm_month``: CXFPHZQRXX first, SCFPHZQRXX when nothing stands there."""
        wanted = summed(taxpayer_id, month, sums, self._line.settings.platform)
        asked = {name: wanted[name] for name in ("xsfnsrsbh", "ywlx", "ptbh", "yf")}
        told, fields = await self._line.ask("CXFPHZQRXX", "month", asked)
        if told.meaning is Meaning.DONE:
            return () if same_figures(fields, wanted) else (Refusal("CHANNEL-MONTH", "", {"have": told.said}),)
        told, _ = await self._line.submit("SCFPHZQRXX", "month", wanted, month)
        if told.meaning is Meaning.REFUSED:
            return (told.refusal(),)
        if told.meaning is not Meaning.DONE:
            raise OutcomeUnknown(month, told.said)
        return ()

    async def confirmed_month(self, taxpayer_id: str, month: str) -> Sequence[MonthSum] | None:
        """It knows no kinds, so nothing comes back as it was sent: ``confirm_month`` looks for itself."""
        return None

    # ── what this channel does not do ────────────────────────────────────────────────────────────────────────────────

    async def issue_blue(self, request: RemoteRequest) -> RemoteAnswer:
        """Numbers are given beforehand: nothing is issued by a call."""
        raise Unavailable(f"leqi issues nothing by call ({request.serial})")

    async def issue_red(self, request: RemoteRequest) -> RemoteAnswer:
        """As ``issue_blue``."""
        return await self.issue_blue(request)

    async def query_result(self, serial: str, taxpayer_id: str) -> RemoteAnswer | None:
        """Nothing was ever called."""
        return None

    async def arrived(self) -> Sequence[RemoteAnswer]:
        """Nothing comes by itself."""
        return ()

    async def month_entries(self, taxpayer_id: str, month: str, after: str, count: int) -> Sequence[LedgerEntry]:
        """No service lists them."""
        return ()

    async def apply_quota(self, request: QuotaRequest) -> QuotaAnswer:
        """No service takes it: it is asked for in the tax office's own portal."""
        return QuotaAnswer(request.serial, QuotaState.REFUSED, said=APPLY_ELSEWHERE)

    async def query_quota_request(self, serial: str) -> QuotaAnswer | None:
        """Nothing was ever asked for."""
        return None

    async def close(self) -> None:
        """See ``Channel.close``."""
        await self._line.close()


CHANNEL = Leqi


def _demand(told: Told) -> None:
    """Go on only with what was done. Raises ``Refused``, ``Unavailable``."""
    if told.meaning is Meaning.REFUSED:
        raise Refused(Refusal(told.cause, "", {"have": told.said}))
    if told.meaning is not Meaning.DONE:
        raise Unavailable(told.said)


def _remember(kept: OrderedDict[str, Value], number: str, value: Value) -> None:
    kept[number] = value
    kept.move_to_end(number)
    while len(kept) > REMEMBERED_MAX:
        kept.popitem(last=False)
