"""Titles (抬头) as forms carry them: typed into fields, or as a block of text."""

from __future__ import annotations

from piaoma.invoice import taxpayer_id
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import refuse
from piaoma.invoice.title_text import parse_title_text


def read_title(form: dict[str, str]) -> Buyer:
    """The title of a form: the button 个人, a pasted block, or the fields. Raises ``Refused`` TITLE-NOT-UNDERSTOOD."""
    if "person" in form:
        return Buyer(form.get("person_name", "").strip() or "个人", natural_person=True)
    if form.get("block", "").strip() and not form.get("name", "").strip():
        title = parse_title_text(form["block"])
        if not title.name and not title.taxpayer_id:
            raise refuse("TITLE-NOT-UNDERSTOOD", "block")
        return title
    return typed_title(form)


def typed_title(form: dict[str, str]) -> Buyer:
    """The title in the fields."""
    number = taxpayer_id.normalise(form.get("taxpayer_id", ""))
    # Letters that only look like digits are mended; the page says so, and shows the result before it is used.
    number = taxpayer_id.repair(number) or number
    name, address, phone, bank, account = (
        form.get(field, "").strip() for field in ("name", "address", "phone", "bank", "account")
    )
    # An id card's number is a person's, whatever is in the other fields.
    return Buyer(name, number, address, phone, bank, account, natural_person=taxpayer_id.is_id_card(number))
