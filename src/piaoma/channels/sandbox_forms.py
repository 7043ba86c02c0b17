"""The sandbox authority's book of red forms (红字信息确认单) and of what buyers use: the same thirteen states, the same
72 hours, decided by the same function as everywhere (``red_form.after``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from piaoma.invoice.issued import SANDBOX_PROVINCE, RedReference
from piaoma.invoice.money import to_fen
from piaoma.invoice.red_form import (
    ISSUABLE,
    PENDING,
    RedFormEvent,
    RedFormState,
    Side,
    Standing,
    after,
    confirm_until,
    first_state,
)
from piaoma.invoice.refusal import Refusal

from .contract import OutcomeUnknown, RedFormAnswer
from .ledger import Ledger, LedgerTransaction

FORM_DIGIT = "7"  # fifth digit of a form's number, so that none looks like an invoice's

_TAKE = """
INSERT INTO authority_sequence (prefix, next_sequence) VALUES ($1, 2)
ON CONFLICT (prefix) DO UPDATE SET next_sequence = authority_sequence.next_sequence + 1 RETURNING next_sequence
"""
_FORM = """
SELECT form_number, blue_number, raised_by, state, confirm_until_ms, ready_at_ms, used_up FROM authority_red_forms
WHERE serial = $1
"""
_ADD = """
INSERT INTO authority_red_forms (serial, form_number, blue_number, seller_id, buyer_id, raised_by, state, total_fen,
                                 confirm_until_ms, ready_at_ms, details)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
_OF_BLUE = """
SELECT serial, raised_by, used_up, details FROM authority_red_forms
WHERE seller_id = $1 AND blue_number = $2 AND ready_at_ms <= $3 ORDER BY form_number
"""
_USE = "INSERT INTO authority_usage (number, used_at_ms) VALUES ($1, $2) ON CONFLICT (number) DO NOTHING"


class NewForm(msgspec.Struct, frozen=True):
    """A form to be taken in. ``details`` is kept as it came, for whoever lists it."""

    serial: str
    blue_number: str
    seller_id: str
    buyer_id: str
    raised_by: Side
    total: Decimal
    details: str = ""


class Listed(msgspec.Struct, frozen=True):
    """A form as it stands in a list."""

    answer: RedFormAnswer
    raised_by: Side
    used_up: bool
    details: str


class FormBook:
    """Forms and usage, in the authority's own ledger. ``now`` is aware, Asia/Shanghai."""

    def __init__(self, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self.now = now

    async def use(self, number: str) -> None:
        """The buyer confirms the use of an invoice."""
        async with self._ledger.write() as transaction:
            await transaction.execute(_USE, number, _ms(self.now()))

    async def is_used(self, number: str) -> bool:
        """Whether he did."""
        return bool(await self._ledger.read("SELECT 1 FROM authority_usage WHERE number = $1", number))

    async def apply(self, form: NewForm, late_ms: int) -> RedFormAnswer:
        """Take a form in, once for a serial."""
        now = self.now()
        used = await self.is_used(form.blue_number)
        async with self._ledger.write() as transaction:
            found = await transaction.fetch(_FORM, form.serial)
            if not found:
                prefix = f"{now:%y}{SANDBOX_PROVINCE}{FORM_DIGIT}"
                sequence = int((await transaction.fetch(_TAKE, prefix))[0][0]) - 1
                await transaction.execute(
                    _ADD, form.serial, f"{prefix}{sequence:015d}", form.blue_number, form.seller_id, form.buyer_id,
                    form.raised_by.value, first_state(form.raised_by, used=used).value, to_fen(form.total),
                    _ms(confirm_until(now)), _ms(now) + late_ms, form.details,
                )  # fmt: skip
                found = await transaction.fetch(_FORM, form.serial)
        return self._answer(form.serial, found[0])

    async def listed(self, seller_id: str, blue_number: str) -> list[Listed]:
        """The forms of a blue invoice that can be seen by now, oldest first."""
        serials = await self._ledger.read(_OF_BLUE, seller_id, blue_number, _ms(self.now()))
        found = []
        for row in serials:
            answer = await self.query(row[0])
            assert answer is not None, "a listed form is there"
            found.append(Listed(answer, Side(row[1]), bool(row[2]), row[3]))
        return found

    async def act(self, serial: str, event: RedFormEvent, by: Side) -> RedFormAnswer:
        """Confirm, deny, withdraw. What was done before is answered with where the form stands."""
        async with self._ledger.write() as transaction:
            rows = await self._timed(transaction, serial)
            if not rows:
                return RedFormAnswer(serial, refusals=(Refusal("RED-FORM-NOT-FOUND"),))
            following = after(self._standing(rows[0]), event, self.now(), by)
            if isinstance(following, RedFormState):
                await _set_state(transaction, serial, following)
                rows = await transaction.fetch(_FORM, serial)
        return self._answer(serial, rows[0])

    async def query(self, serial: str) -> RedFormAnswer | None:
        """Where a form stands; the 72 hours are looked at now. Raises ``OutcomeUnknown`` while it is kept back."""
        async with self._ledger.write() as transaction:
            rows = await self._timed(transaction, serial)
        if not rows:
            return None
        if rows[0][5] > _ms(self.now()):
            raise OutcomeUnknown(serial)
        return self._answer(serial, rows[0])

    async def is_issuable(self, red: RedReference) -> bool:
        """Whether a red invoice may be issued by a form."""
        rows = await self._ledger.read(
            "SELECT state, used_up FROM authority_red_forms WHERE form_number = $1 AND blue_number = $2",
            red.form_number, red.blue_number,
        )  # fmt: skip
        return bool(rows) and RedFormState(rows[0][0]) in ISSUABLE and not rows[0][1]

    async def use_up(self, red: RedReference) -> None:
        """The red invoice of a form is issued."""
        async with self._ledger.write() as transaction:
            await transaction.execute(
                "UPDATE authority_red_forms SET used_up = 1 WHERE form_number = $1", red.form_number
            )

    async def _timed(self, transaction: LedgerTransaction, serial: str) -> Sequence[Any]:
        """The form's row, after its 72 hours were looked at."""
        rows = await transaction.fetch(_FORM, serial)
        if rows and RedFormState(rows[0][3]) in PENDING:
            following = after(self._standing(rows[0]), RedFormEvent.TIME_OUT, self.now())
            if isinstance(following, RedFormState):
                await _set_state(transaction, serial, following)
                rows = await transaction.fetch(_FORM, serial)
        return rows

    def _standing(self, row: Any) -> Standing:
        until = datetime.fromtimestamp(row[4] / 1000, self.now().tzinfo)
        return Standing(RedFormState(row[3]), Side(row[2]), until, bool(row[6]))

    def _answer(self, serial: str, row: Any) -> RedFormAnswer:
        standing = self._standing(row)
        return RedFormAnswer(serial, row[0], standing.state, standing.confirm_until)


async def _set_state(transaction: LedgerTransaction, serial: str, state: RedFormState) -> None:
    await transaction.execute("UPDATE authority_red_forms SET state = $2 WHERE serial = $1", serial, state.value)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
