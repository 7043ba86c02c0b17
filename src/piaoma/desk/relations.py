"""Relations (关联): what became of an invoice, and which others belong to it, from either end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.red import BlueState
from piaoma.invoice.red_form import Side
from piaoma.invoice.refusal import refuse
from piaoma.store import Database, RedForm, find_form, form_of
from piaoma.store.plan import PREFIX_DIGITS, SHANGHAI
from piaoma.store.red_forms import SELECT_FORMS

from . import records
from .merchant import Merchant

if TYPE_CHECKING:
    from .office import Office

CHAIN_MAX = 50  # replacements of one invoice that are followed


class NumberState(msgspec.Struct, frozen=True):
    """What this store knows of a number: ``state`` of a blue invoice; ``is_red`` when it is a red one itself.

    ``red_numbers`` are the red invoices that took something back, ``changed_at`` (aware) when the last of them was
    issued, ``replaced`` whether a new invoice took its place (换开). Nothing here names a party or an amount, so it
    may be told to whoever holds the file.
    """

    number: str
    state: BlueState
    is_red: bool = False
    corrects: str = ""
    red_numbers: tuple[str, ...] = ()
    changed_at: datetime | None = None
    replaced: bool = False


class Relations(msgspec.Struct, frozen=True):
    """The invoices and forms that belong to one. Of a red invoice: ``corrects``. Of a blue one: ``reds``, what it
    ``replaces`` and what it is ``replaced_by``, and all its forms, newest first."""

    corrects: records.Invoice | None = None
    reds: tuple[records.Invoice, ...] = ()
    replaces: records.Invoice | None = None
    replaced_by: records.Invoice | None = None
    forms: tuple[RedForm, ...] = ()

    @property
    def none(self) -> bool:
        return not (self.corrects or self.reds or self.replaces or self.replaced_by or self.forms)


async def state_of(office: Office, number: str) -> NumberState | None:
    """What became of the invoice with a number, or None when it is not of this store."""
    owner = await owner_of(office, number)
    return None if owner is None else await standing(office.database, owner, number)


async def standing(database: Database, merchant_id: int, number: str) -> NumberState | None:
    """The same for a number of a merchant that is known."""
    row = await database.read_by_key(_STATE, merchant_id, number)
    if row is None:
        return None
    if row["corrects"] is not None:
        return NumberState(number, BlueState.NORMAL, is_red=True, corrects=row["corrects"])
    reds = await database.read(_REDS, merchant_id, number)
    state = BlueState.NORMAL
    if row["taken_fen"]:
        state = BlueState.RED if row["taken_fen"] == row["total_fen"] else BlueState.PARTLY_RED
    changed_at = datetime.fromtimestamp(reds[-1][1] / 1000, SHANGHAI) if reds else None
    replaced = await database.read_by_key(_REPLACING, merchant_id, number) is not None
    return NumberState(number, state, False, "", tuple(one[0] for one in reds), changed_at, replaced)


# Every number of ours lies in a block, and blocks do not overlap.
_OWNER = """
SELECT merchant_id FROM number_blocks WHERE prefix = $1 AND first_sequence <= $2 AND next_sequence > $2
ORDER BY first_sequence DESC LIMIT 1
"""
_STATE = "SELECT corrects, taken_fen, total_fen FROM invoices WHERE merchant_id = $1 AND number = $2"
_REDS = """
SELECT number, issued_at_ms FROM invoices WHERE merchant_id = $1 AND corrects = $2 ORDER BY issued_at_ms, number
"""
_REPLACING = "SELECT number FROM invoices WHERE merchant_id = $1 AND replaces = $2"


async def owner_of(office: Office, number: str) -> int | None:
    """The merchant that issued a number here, or None."""
    if len(number) != 20 or not (number.isascii() and number.isdigit()):
        return None
    row = await office.database.read_by_key(_OWNER, number[:PREFIX_DIGITS], int(number[PREFIX_DIGITS:]))
    return None if row is None else int(row[0])


async def replacing(office: Office, merchant_id: int, number: str) -> str | None:
    """The invoice that took the place of another, if any."""
    row = await office.database.read_by_key(_REPLACING, merchant_id, number)
    return None if row is None else str(row[0])


async def current(office: Office, merchant_id: int, number: str) -> str:
    """The invoice that stands where this one stood, after every 换开; itself when there was none."""
    for _ in range(CHAIN_MAX):
        following = await replacing(office, merchant_id, number)
        if following is None:
            break
        number = following
    return number


async def relations(office: Office, merchant_id: int, number: str) -> Relations:
    """Everything that belongs to an invoice of this merchant. Raises ``Refused`` INVOICE-NOT-FOUND."""
    own = await records.invoice(office, merchant_id, number)

    async def one(other: str | None) -> records.Invoice | None:
        return await records.invoice(office, merchant_id, other) if other else None

    if own.corrects:
        return Relations(corrects=await one(own.corrects))
    reds = [await records.invoice(office, merchant_id, row[0]) for row in await office.database.read(
        _REDS, merchant_id, number)]  # fmt: skip
    forms = await office.database.read(
        SELECT_FORMS + "WHERE f.merchant_id = $1 AND f.blue_number = $2 ORDER BY f.created_at_ms DESC, f.form_id",
        merchant_id, number,
    )  # fmt: skip
    return Relations(
        reds=tuple(reds),
        replaces=await one(own.replaces),
        replaced_by=await one(await replacing(office, merchant_id, number)),
        forms=tuple(form_of(row) for row in forms),
    )


async def form_for(office: Office, who: Merchant, form_id: str) -> tuple[RedForm, Side]:
    """A red form, and on which side of it a merchant stands. Raises ``Refused`` RED-FORM-NOT-FOUND when on neither."""
    form = await find_form(office.database, who.merchant_id, form_id)
    if form is not None:
        return form, Side.SELLER
    rows = await office.database.read(
        SELECT_FORMS + "WHERE f.buyer_id = $1 AND f.buyer_id <> '' AND f.form_id = $2", who.taxpayer_id, form_id
    )
    if rows:
        return form_of(rows[0]), Side.BUYER
    raise refuse("RED-FORM-NOT-FOUND")


async def received(office: Office, who: Merchant, number: str) -> records.Invoice:
    """An invoice that a merchant of this store got from another one. Raises ``Refused`` INVOICE-NOT-FOUND."""
    owner = await owner_of(office, number.strip())
    if owner is not None:
        found = await records.invoice(office, owner, number.strip())
        if found.buyer_id == who.taxpayer_id:
            return found
    raise refuse("INVOICE-NOT-FOUND")


async def forms_for(office: Office, who: Merchant, count: int) -> list[tuple[RedForm, Side]]:
    """The red forms of a merchant on either side: those that wait for its word first, then the newest."""
    rows = [
        *await office.database.read(_OWN_FORMS, who.merchant_id, count),
        *await office.database.read(_OTHERS_FORMS, who.taxpayer_id, who.merchant_id, count),
    ]
    found = [(form, Side.SELLER if form.merchant_id == who.merchant_id else Side.BUYER) for form in map(form_of, rows)]

    def waits(form: RedForm, side: Side) -> bool:
        return form.standing is not None and form.standing.confirmed_by is side

    return sorted(found, key=lambda one: (not waits(*one), -one[0].created_at.timestamp()))[:count]


_OWN_FORMS = SELECT_FORMS + "WHERE f.merchant_id = $1 ORDER BY f.created_at_ms DESC, f.form_id LIMIT $2"
_OTHERS_FORMS = (
    SELECT_FORMS + "WHERE f.buyer_id = $1 AND f.buyer_id <> '' AND f.merchant_id <> $2"
    " ORDER BY f.created_at_ms DESC, f.form_id LIMIT $3"
)


async def family(office: Office, merchant_id: int, number: str) -> tuple[records.Invoice, ...]:
    """The invoices that the one of a code went through until now, newest first: what was replaced, and the red
    invoices. The one that stands now is not among them."""
    older: list[records.Invoice] = []
    place: str | None = number
    for _ in range(CHAIN_MAX):
        assert place is not None
        own = await records.invoice(office, merchant_id, place)
        if place != number:
            older.append(own)
        for row in reversed(await office.database.read(_REDS, merchant_id, place)):
            older.append(await records.invoice(office, merchant_id, row[0]))
        place = own.replaces
        if place is None:
            break
    return tuple(older)
