"""The search form above a list, read from the address: so a search can be bookmarked and sent to a colleague."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from urllib.parse import urlencode

from piaoma.desk.filters import TEXT_MAX, Filter
from piaoma.index import STATES, Wanted
from piaoma.invoice.money import parse_amount, to_fen
from piaoma.invoice.refusal import refuse

CHOICE_MAX = 200  # characters of a clerk, a shop, an item that is chosen
CHOICES = ("kind", "colour", "state", "clerk", "shop", "rate", "item")
FIELDS = ("q", "since", "until", "min", "max", *CHOICES)


def read_filter(asked: Mapping[str, str]) -> Filter:
    """What is looked for among codes. Raises ``Refused`` at the field: REQUEST-MALFORMED, AMOUNT-…."""
    return Filter(
        text=asked.get("q", ""),
        since=_date(asked.get("since", ""), "since"),
        until=_date(asked.get("until", ""), "until"),
        total_min=parse_amount(asked["min"], "min") if asked.get("min") else None,
        total_max=parse_amount(asked["max"], "max") if asked.get("max") else None,
    )


def read_days(asked: Mapping[str, str]) -> tuple[date | None, date | None]:
    """From one day to another. Raises ``Refused`` as ``read_filter``."""
    return _date(asked.get("since", ""), "since"), _date(asked.get("until", ""), "until")


def read_wanted(asked: Mapping[str, str]) -> Wanted:
    """What is looked for among invoices. Raises ``Refused`` as ``read_filter``."""
    wanted = read_filter(asked)
    chosen = {name: asked.get(name, "")[:CHOICE_MAX] for name in CHOICES}
    return Wanted(
        text=wanted.text[:TEXT_MAX],
        since=wanted.since,
        until=wanted.until,
        total_min=None if wanted.total_min is None else to_fen(wanted.total_min),
        total_max=None if wanted.total_max is None else to_fen(wanted.total_max),
        kind=chosen["kind"],
        colour=chosen["colour"],
        clerk=chosen["clerk"] or None,
        shop=chosen["shop"] or None,
        rate=chosen["rate"],
        item=chosen["item"],
        state=chosen["state"] if chosen["state"] in STATES else "",
    )


def onward(asked: Mapping[str, str]) -> str:
    """The same search as part of an address, without the place in the list."""
    return urlencode([(key, value) for key, value in asked.items() if key != "cursor" and value])


def searched(asked: Mapping[str, str]) -> str:
    """The search alone, in one order, as it is kept under a name."""
    return urlencode([(key, asked[key]) for key in FIELDS if asked.get(key)])


def _date(text: str, field: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise refuse("REQUEST-MALFORMED", field, have=text[:20]) from None
