"""Red forms at 乐企: raised, confirmed, and found again by what they say, for the platform knows no serial of ours.

A form whose answer was lost is looked for among the forms of its blue invoice: the same side, the same sums, not void,
not used. One such is it; several leave the outcome unknown, for nothing is guessed. One that is not listed may still be
worked on: it is not sent again before a time has gone in which it would have come up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.red_form import FINAL, RedFormEvent, RedFormState, Side, confirm_until
from piaoma.invoice.refusal import Refusal

from ..codes import Meaning
from ..contract import OutcomeUnknown, RedFormAnswer, RedFormRequest, Unavailable
from .fields import SIDES, applied, sums_of
from .line import Line, field, rows_of

FORMS_SETTLE_SECONDS = (
    600.0  # how long the platform may take to list a form [U]: long, for two forms are worse than one late
)
_WORDS = {RedFormEvent.CONFIRM: "Y", RedFormEvent.DENY: "N", RedFormEvent.WITHDRAW: "C"}  # qrlx


class Form(msgspec.Struct, frozen=True):
    """A form as the platform lists it."""

    number: str
    uuid: str
    state: RedFormState
    raised_at: datetime


class Forms:
    """``now`` is aware, Asia/Shanghai."""

    def __init__(self, line: Line, now: Callable[[], datetime]) -> None:
        self._line = line
        self._now = now

    async def apply(self, request: RedFormRequest) -> RedFormAnswer:
        """QDHZQRDSQ, once: whoever calls has asked before whether it is there. Raises ``Unavailable``,
        ``OutcomeUnknown``."""
        told, fields = await self._line.submit("QDHZQRDSQ", "form", applied(request), request.serial)
        if told.meaning is Meaning.REFUSED:
            return RedFormAnswer(request.serial, refusals=(told.refusal(),))
        try:
            return self._answer(request, self._form(fields))
        except Unavailable as fault:
            raise OutcomeUnknown(request.serial, str(fault)) from None

    async def act(self, request: RedFormRequest, event: RedFormEvent, by: Side) -> RedFormAnswer:
        """QDHZQRDQR. Raises ``Unavailable``, ``OutcomeUnknown``."""
        form = await self._found(request)
        if form is None:
            return RedFormAnswer(request.serial, refusals=(Refusal("RED-FORM-NOT-FOUND"),))
        said = {
            "xsfnsrsbh": request.blue.seller.taxpayer_id, "yhjslx": SIDES[by], "uuid": form.uuid,
            "hzqrdbh": form.number, "qrlx": _WORDS[event],
        }  # fmt: skip
        told, _ = await self._line.submit("QDHZQRDQR", "form", said, request.serial)
        try:
            after = await self._found(request)
        except Unavailable as fault:
            raise OutcomeUnknown(request.serial, str(fault)) from None
        # Where it stands counts: a word that was said before is refused there, and is no error here.
        if after is not None and (told.meaning is Meaning.DONE or after.state is not form.state):
            return self._answer(request, after)
        if told.meaning is Meaning.REFUSED:
            return RedFormAnswer(request.serial, refusals=(told.refusal(),))
        raise OutcomeUnknown(request.serial, told.said)

    async def query(self, request: RedFormRequest) -> RedFormAnswer | None:
        """Where it stands. Raises ``Unavailable``, ``OutcomeUnknown``."""
        form = await self._found(request)
        return None if form is None else self._answer(request, form)

    async def of_red_invoice(self, invoice: IssuedInvoice) -> tuple[str, list[str]]:
        """(uuid of its form, for each of its lines the number of the blue line). Raises ``Unavailable``."""
        assert invoice.red is not None, "a red invoice has a form"
        seller = invoice.seller.taxpayer_id
        listed = await self._listed(seller, invoice.red.blue_number)
        form = next((self._form(row) for row in listed if _number(row) == invoice.red.form_number), None)
        if form is None:
            raise Unavailable("the form of a red invoice is not listed")
        told, fields = await self._line.ask("CXQDHZQRDMX", "form", {"xsfnsrsbh": seller, "uuid": form.uuid})
        rows = sorted(rows_of(fields), key=lambda row: int(field(row, int, "xh")))
        if told.meaning is not Meaning.DONE or len(rows) != len(invoice.lines):
            raise Unavailable("the lines of a form are not those of its invoice")
        return form.uuid, [str(field(row, int, "lzmxxh")) for row in rows]

    async def _listed(self, seller_id: str, blue_number: str) -> list[Mapping[str, Any]]:
        wanted = {"yhjslx": "0", "xsfnsrsbh": seller_id, "lzfphm": blue_number, "pageNumber": "1", "pageSize": "100"}
        told, fields = await self._line.ask("CXQDHZQRDLB", "form", wanted)
        if told.meaning is Meaning.MISSING:
            return []
        if told.meaning is not Meaning.DONE:
            raise Unavailable(told.said)
        return [row for row in rows_of(fields) if str(row.get("lzfphm", blue_number)) == blue_number]

    async def _found(self, request: RedFormRequest) -> Form | None:
        rows = await self._listed(request.blue.seller.taxpayer_id, request.blue.number)
        if request.form_number:
            rows = [row for row in rows if _number(row) == request.form_number]
        else:
            rows = [row for row in rows if _is_it(row, request)]
        if len(rows) > 1:
            raise OutcomeUnknown(request.serial, f"{len(rows)} forms of {request.blue.number} look alike")
        return self._form(rows[0]) if rows else None

    def _form(self, row: Mapping[str, Any]) -> Form:
        raised_at = self._now()
        if row.get("lrrq"):
            try:
                raised_at = datetime.fromisoformat(str(row["lrrq"])).replace(tzinfo=raised_at.tzinfo)
            except ValueError:
                raise Unavailable("lrrq is no time") from None
        return Form(_number(row), field(row, str, "uuid"), field(row, RedFormState, "hzqrxxztDm"), raised_at)

    def _answer(self, request: RedFormRequest, form: Form) -> RedFormAnswer:
        return RedFormAnswer(request.serial, form.number, form.state, confirm_until(form.raised_at))


def _number(row: Mapping[str, Any]) -> str:
    return str(field(row, str, "hzfpxxqrdbh", "hzqrxxdbh", "hzqrdbh"))


def _is_it(row: Mapping[str, Any], request: RedFormRequest) -> bool:
    """Whether a listed form can be the one that was raised: by its sums and its side, while it can still be used."""
    try:
        same = all(Decimal(str(row.get(name))) == value for name, value in sums_of(request).items())
    except InvalidOperation:
        return False
    void = str(row.get("hzqrxxztDm")) in FINAL
    used = str(row.get("ykjhzfpbz", "N")).upper() == "Y"
    return (
        same and not void and not used and str(row.get("lrfsf", SIDES[request.raised_by])) == SIDES[request.raised_by]
    )
