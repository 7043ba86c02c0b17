"""What both providers' simulators do with an order, in words that neither has: looked at, issued once for a serial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from piaoma.invoice.classification import load
from piaoma.invoice.draft import Draft, InvoiceKind, Line, LineKind, Pricing, ZeroKind
from piaoma.invoice.issued import PricedLine, RedReference
from piaoma.invoice.parties import Buyer, Seller
from piaoma.invoice.red_form import RedFormEvent, Side
from piaoma.invoice.totals import printed_name, totals_of

from ..contract import OutcomeUnknown, RedFormAnswer, RemoteRequest
from ..ledger import Ledger
from ..sandbox import SandboxAuthority
from ..sandbox_forms import NewForm


class Verdict(StrEnum):
    """What becomes of an order or a form."""

    TAKEN = "taken"
    DUPLICATE = "duplicate"
    NO_NUMBERS = "no_numbers"
    QUOTA_GONE = "quota_gone"
    NO_TAXPAYER = "no_taxpayer"
    BAD_FORM = "bad_form"
    NO_BLUE = "no_blue"
    REFUSED = "refused"


class Order(msgspec.Struct, frozen=True):
    """An order as both dialects come to: ``lines`` of a blue one, the form of a red one."""

    serial: str
    seller_id: str
    kind: InvoiceKind
    buyer: Buyer
    lines: tuple[Mapping[str, Any], ...] = ()
    remark: str = ""
    drawer: str = ""
    red: RedReference | None = None


class State(msgspec.Struct, frozen=True):
    """Where an order stands: ``number`` is empty while it is worked on."""

    number: str = ""


class OrderDesk:
    """Over an authority and its books."""

    def __init__(self, authority: SandboxAuthority, ledger: Ledger) -> None:
        self._authority = authority
        self._ledger = ledger
        self._catalogue = load(None)

    @property
    def authority(self) -> SandboxAuthority:
        return self._authority

    async def issue(self, order: Order) -> Verdict:
        """Take an order: issued at once, told after ``late_ms``."""
        switches = await self._authority.switches()
        if await self._ledger.read("SELECT 1 FROM authority_issued WHERE serial = $1", order.serial):
            return Verdict.DUPLICATE
        seller = await self._seller(order.seller_id)
        if seller is None:
            return Verdict.NO_TAXPAYER
        if switches.no_numbers:
            return Verdict.NO_NUMBERS
        if switches.quota_fen <= 0:
            return Verdict.QUOTA_GONE
        if switches.refuse:
            return Verdict.REFUSED
        if order.red is not None and not await self._authority.forms.is_issuable(order.red):
            return Verdict.BAD_FORM
        lines = tuple(self._priced(line, self._authority.now()) for line in order.lines)
        draft = Draft(
            order.kind, seller, order.buyer, tuple(_plain(line) for line in lines), Pricing.EXCLUSIVE, order.drawer,
            order.remark,
        )  # fmt: skip
        request = RemoteRequest(order.serial, draft, lines, totals_of(lines), self._authority.now(), order.red)
        await self._authority.issue_once(request, switches.late_ms)
        if order.red is not None:
            await self._authority.forms.use_up(order.red)
        return Verdict.TAKEN

    async def state(self, serial: str) -> State | None:
        """None when there is no such order."""
        try:
            answer = await self._authority.result(serial)
        except OutcomeUnknown:
            return State()
        return None if answer is None else State(answer.number)

    async def original(self, number: str) -> bytes | None:
        """The original under a number."""
        rows = await self._ledger.read("SELECT original FROM authority_issued WHERE number = $1", number)
        return bytes(rows[0][0]) if rows else None

    async def raise_form(
        self, serial: str, seller_id: str, blue_number: str, by: Side, total: Decimal, details: Mapping[str, Any]
    ) -> tuple[Verdict, RedFormAnswer | None]:
        """Raise a form, once for a serial."""
        switches = await self._authority.switches()
        if switches.refuse:
            return Verdict.REFUSED, None
        rows = await self._ledger.read(
            "SELECT 1 FROM authority_issued WHERE number = $1 AND taxpayer_id = $2", blue_number, seller_id
        )
        if not rows:
            return Verdict.NO_BLUE, None
        buyer, kept = str(details.get("buyerTaxNo", "")), json.dumps(details, ensure_ascii=False, default=str)
        form = NewForm(serial, blue_number, seller_id, buyer, by, total, kept)
        answer = await self._authority.forms.apply(form, switches.late_ms)
        return Verdict.TAKEN, None if switches.late_ms else answer

    async def act_on_form(self, form_number: str, event: RedFormEvent, by: Side) -> tuple[Verdict, str]:
        """Say something to a form by its number; its state then."""
        rows = await self._ledger.read("SELECT serial FROM authority_red_forms WHERE form_number = $1", form_number)
        if not rows:
            return Verdict.BAD_FORM, ""
        before = await self._authority.forms.query(rows[0][0])
        after = await self._authority.forms.act(rows[0][0], event, by)
        changed = before is not None and before.state is not after.state
        return (Verdict.TAKEN if changed else Verdict.BAD_FORM), str(after.state)

    async def form_details(self, form_number: str) -> Mapping[str, Any] | None:
        """What a form said when it was raised."""
        rows = await self._ledger.read("SELECT details FROM authority_red_forms WHERE form_number = $1", form_number)
        return json.loads(rows[0][0]) if rows else None

    async def _seller(self, taxpayer_id: str) -> Seller | None:
        rows = await self._ledger.read("SELECT name FROM authority_taxpayers WHERE taxpayer_id = $1", taxpayer_id)
        return Seller(rows[0][0], taxpayer_id) if rows else None

    def _priced(self, line: Mapping[str, Any], at: datetime) -> PricedLine:
        entry = self._catalogue.lookup(str(line["code"]), at.date())
        short = entry.short_name if entry is not None else ""
        amount, tax = Decimal(line["amount"]), Decimal(line["tax"])
        return PricedLine(
            printed_name(line["name"], short), line["code"], Decimal(line["rate"]), amount, tax, amount + tax,
            _decimal(line.get("quantity")), _decimal(line.get("unit_price")), line["unit"], line["spec"],
            LineKind(line["kind"]), line.get("preference", ""), ZeroKind(line["zero"]),
        )  # fmt: skip


def _decimal(value: Any) -> Decimal | None:
    return None if value in (None, "") else Decimal(value)


def _plain(line: PricedLine) -> Line:
    return Line(line.name.rpartition("*")[2], line.code, line.rate, line.amount)
