"""What the form of the issuing page says (开票界面): kind, buyer, rows of goods, the rest; read into an ``Offer``.

Every fault is told at once, at the field it stands in. Rules speak of the lines of a draft; a row of the form may be
empty, or make two lines when it has a discount, so what they say is carried back to the rows (``Typed.at_rows``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date

import msgspec

from piaoma.desk import goods, mint
from piaoma.desk.codes import OWN_NUMBER_MAX, Offer
from piaoma.desk.merchant import Merchant
from piaoma.desk.office import Office
from piaoma.desk.typed_lines import lines_of, title_of
from piaoma.invoice import rates
from piaoma.invoice.draft import InvoiceKind, Line, LineKind, Pricing
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.invoice.rules import text
from piaoma.invoice.title_text import parse_title_text
from piaoma.invoice.vague import is_vague

ROWS_MIN, ROWS_MAX = 3, 30  # of the form; a longer invoice is issued from a sheet
ROW_FIELDS = (
    "name", "code", "rate", "unit", "spec", "preference", "amount", "quantity", "price", "discount",
)  # fmt: skip
PROPOSALS_MAX = 3  # better names for a vague one
PROFILE_FOR_SPECIAL = ("address", "phone", "bank", "account")

Form = Mapping[str, str]
_PLACE = re.compile(r"lines\[(\d+)\](.*)")


class Typed(msgspec.Struct, frozen=True):
    """The offer that a form makes. ``places`` has the form's row of each line, and whether the line is its discount."""

    offer: Offer
    places: tuple[tuple[int, bool], ...]
    vague: tuple[str, ...] = ()  # names that were sent all the same

    def at_rows(self, refusals: tuple[Refusal, ...]) -> tuple[Refusal, ...]:
        """What the rules said of lines, at the rows of the form."""
        return tuple(in_order(self._at_row(refusal) for refusal in refusals))

    def _at_row(self, refusal: Refusal) -> Refusal:
        found = _PLACE.fullmatch(refusal.field)
        if found is None or int(found[1]) >= len(self.places):
            return refusal
        row, discount = self.places[int(found[1])]
        return Refusal(refusal.cause, f"lines[{row - 1}]{'.discount' if discount else found[2]}", refusal.values)


async def read_offer(office: Office, shop: Merchant, form: Form, *, asking: bool = False) -> Typed:
    """What the form offers. Raises ``Refused`` with every fault of its figures, at the field it stands in.

    ``asking`` also stops once at what is legal and rarely meant: a vague name, a 专票 without the seller's bank.
    """
    faults: list[Refusal] = []
    lines: list[Line] = []
    places: list[tuple[int, bool]] = []
    vague: list[str] = []
    chosen = await _last_used(office, shop, form)
    for row in range(1, rows_of(form) + 1):
        try:
            made, typed_name = await _row(office, shop, form, row, chosen)
        except Refused as refused:
            faults += refused.refusals
            continue
        lines += made
        places += [(row, line.kind is LineKind.DISCOUNT) for line in made]
        if typed_name and is_vague(typed_name):
            vague.append(typed_name)
            if asking and "vague_ok" not in form:
                faults.append(_vague(office, made[0], row))
    kind = InvoiceKind.SPECIAL if form.get("kind") == InvoiceKind.SPECIAL.value else InvoiceKind.GENERAL
    faults += _whole(shop, form, kind, asking=asking)
    offer = Offer(
        kind, tuple(lines), _pricing(form), form.get("remark", "").strip(), read_buyer(form),
        own_number=form.get("own_number", "").strip(), drawer=form.get("drawer", "").strip(),
        seller_bank={"yes": True, "no": False}.get(form.get("seller_bank", "")), buyer_bank="buyer_bank_print" in form,
    )  # fmt: skip
    typed = Typed(offer, tuple(places), tuple(vague))
    if faults:
        raise Refused(*in_order([*faults, *_of_the_rest(office, shop, typed)]))
    return typed


def _of_the_rest(office: Office, shop: Merchant, typed: Typed) -> list[Refusal]:
    """What the rules say of the rows that can be read, of title and remark, when others cannot: all at once."""
    try:
        mint.preview(office, shop, typed.offer)
    except Refused as refused:
        return [one for one in typed.at_rows(refused.refusals) if one.field not in ("", "lines")]
    return []


def in_order(refusals: Iterable[Refusal]) -> list[Refusal]:
    """Each once, in the order of the form: kind, title, rows, the rest."""

    def place(refusal: Refusal) -> tuple[int, int]:
        row = _PLACE.fullmatch(refusal.field)
        if row is not None:
            return 2, int(row[1])
        return (0 if refusal.field in ("kind", "pricing") else 1 if refusal.field.startswith("buyer") else 3), 0

    once = {(refusal.cause, refusal.field): refusal for refusal in refusals}
    return sorted(once.values(), key=place)


def _whole(shop: Merchant, form: Form, kind: InvoiceKind, *, asking: bool) -> list[Refusal]:
    """What is wrong with the form outside its rows."""
    own_number = form.get("own_number", "").strip()
    faults = text.check(own_number, "own_number", OWN_NUMBER_MAX) if own_number else []
    if form.get("business"):
        faults.append(Refusal("BUSINESS-NOT-CARRIED", "business", {"have": form["business"][:20]}))
    missing = [field for field in PROFILE_FOR_SPECIAL if not getattr(shop, field)]
    if asking and kind is InvoiceKind.SPECIAL and missing and not form.get("seller_bank"):
        faults.append(Refusal("SPECIAL-SELLER-DATA", "seller_bank", {"missing": str(len(missing))}))
    return faults


def rows_of(form: Form) -> int:
    """How many rows the form has: those that were asked for, and no fewer than are filled."""
    asked = form.get("rows", "")
    filled = (row for row in range(1, ROWS_MAX + 1) if form.get(f"name{row}") or form.get(f"amount{row}"))
    return max(ROWS_MIN, min(int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 3 else 0, ROWS_MAX),
               max(filled, default=0))  # fmt: skip


def read_days(form: Form) -> int:
    """How long the code is valid; 0, which ``mint`` refuses, when it is no number."""
    days = form.get("days", "").strip() or str(mint.DAYS_DEFAULT)
    return int(days) if days.isascii() and days.isdigit() and len(days) < 6 else 0


def read_buyer(form: Form) -> Buyer | None:
    """The title that the merchant fills in, or None to leave it to the customer."""
    person = "buyer_person" in form
    title = title_of(form, person=person)
    if person and not title.name:
        return msgspec.structs.replace(title, name="个人")
    if person or any((title.name, title.taxpayer_id, title.address, title.phone, title.bank, title.account)):
        return title
    if form.get("buyer_block", "").strip():
        return parse_title_text(form["buyer_block"])
    return None


def _pricing(form: Form) -> Pricing:
    return Pricing.EXCLUSIVE if form.get("pricing") == Pricing.EXCLUSIVE.value else Pricing.INCLUSIVE


async def _last_used(office: Office, shop: Merchant, form: Form) -> goods.Goods | None:
    """The item that an amount alone means: the one used last."""
    if form.get("name1", "").strip() or form.get("goods1"):
        return None
    stock = await goods.list_goods(office, shop.merchant_id, 1)
    return stock[0] if stock else None


async def _row(
    office: Office, shop: Merchant, form: Form, row: int, last: goods.Goods | None
) -> tuple[list[Line], str]:
    """The lines of a row, none when it is empty; and their name when it is no item's of the list."""
    field = f"lines[{row - 1}]"
    typed = {key: form.get(f"{key}{row}", "").strip() for key in ROW_FIELDS}
    if row > 1 and not any(typed[key] for key in ("name", "amount", "quantity", "price")):
        return [], ""
    item = await _item(office, shop, form.get(f"goods{row}", ""), typed["name"]) or (last if row == 1 else None)
    lines = lines_of(office, shop, typed, item, _pricing(form), field)
    return lines, "" if item is not None and item.name == lines[0].name else lines[0].name


async def _item(office: Office, shop: Merchant, chosen: str, name: str) -> goods.Goods | None:
    """The item chosen by its number, or the one of exactly the name that was typed."""
    if chosen.isascii() and chosen.isdigit() and len(chosen) < 15:
        try:
            found = await goods.goods_of(office, shop.merchant_id, int(chosen))
        except Refused:
            return None  # taken off the list meanwhile
        return found if name in ("", found.name) else None
    return await goods.by_name(office, shop.merchant_id, name) if name else None


def rate_choices(shop: Merchant, on: date) -> list[tuple[str, str]]:
    """The rates that the seller may choose from on a day, as (value, printed)."""
    if rates.is_small_scale(shop.taxpayer_kind):
        choices = [rates.small_scale_levy(on)]
    else:
        choices = [rate for rate in rates.GENERAL_RATES if rate]
    return [(str(rate), rates.printed(rate)) for rate in choices] + [
        ("0|exempt|03", "免税"), ("0|untaxed|04", "不征税"), ("0|export|", "出口 0%"), ("0|ordinary|", "0%"),
    ]  # fmt: skip


def levy_choices(shop: Merchant) -> list[tuple[str, str]]:
    """Levy rates with the mark that allows them, as (value, printed)."""
    marks = ("09", "10") if rates.is_small_scale(shop.taxpayer_kind) else ("08", "09", "10")
    return [(f"{rates.PREFERENCES[mark][1][0]}||{mark}", rates.PREFERENCES[mark][0]) for mark in marks]


def refund_marks() -> list[tuple[str, str]]:
    """Marks that leave the rate free (即征即退 and the like), as (value, printed)."""
    return [(mark, name) for mark, (name, bound) in rates.PREFERENCES.items() if not bound]


def _vague(office: Office, line: Line, row: int) -> Refusal:
    """A name that says too little, with better ones: words that shops use for the same code."""
    entry = office.catalogue.lookup(line.code, office.now().date())
    better = [word for word in (entry.keywords if entry else ()) if not is_vague(word)][:PROPOSALS_MAX]
    values = {"have": line.name[:40], "better": "、".join(better) or (entry.name[:20] if entry else "餐费、打印纸")}
    return Refusal("LINE-NAME-VAGUE", f"lines[{row - 1}].name", values)
