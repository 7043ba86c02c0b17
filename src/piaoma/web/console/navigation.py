"""Where one can go from every console page: few places always in sight, the others in groups that open with a tap.

A new page is added to a group here; nothing else lists them. Whoever may not open a place does not see it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Place(msgspec.Struct, frozen=True):
    """A page by its address and the word for it."""

    address: str
    word: str


class Group(msgspec.Struct, frozen=True):
    """Places under one heading; ``current`` when the page that is shown belongs to one of them."""

    word: str
    places: tuple[Place, ...]
    current: bool = False


# On a phone these are the whole bar, before 「全部」.
ALWAYS = (
    Place("/console", "nav_today"),
    Place("/console/invoices", "nav_manage"),
    Place("/console/codes/new", "nav_scan"),
    Place("/console/inbox", "nav_inbox"),
)
GROUPS = (
    Group("nav_group_codes", (
        Place("/console/codes", "nav_codes"),
        Place("/console/batches", "nav_batches"),
        Place("/console/codes/drafts", "drafts"),
        Place("/console/static", "nav_static"),
    )),
    Group("nav_group_books", (
        Place("/console/received", "nav_received"),
        Place("/console/corrections", "nav_corrections"),
        Place("/console/reports/issued", "nav_issued"),
        Place("/console/reports/taxes", "nav_taxes"),
        Place("/console/reports/failures", "tab_failures"),
        Place("/console/reports/savings", "tab_savings"),
        Place("/console/exports", "exports"),
    )),
    Group("nav_group_month", (
        Place("/console/anomalies", "nav_anomalies"),
        Place("/console/tax", "tab_month"),
        Place("/console/quota", "tab_quota"),
        Place("/console/payments", "tab_payments"),
    )),
    Group("nav_group_customers", (
        Place("/console/questions", "nav_questions"),
        Place("/console/mails", "nav_mails"),
    )),
    Group("nav_group_settings", (
        Place("/console/settings/goods", "nav_goods"),
        Place("/console/settings/buyers", "nav_buyers"),
        Place("/console/settings/check", "checkup_master"),
        Place("/console/settings/profile", "nav_profile"),
        Place("/console/settings/people", "nav_people"),
        Place("/console/settings/shops", "nav_shops"),
        Place("/console/settings/channel", "nav_channel"),
        Place("/console/settings/security", "nav_security"),
        Place("/console/settings/corrections", "rules_title"),
        Place("/console/settings/anomalies", "watching_title"),
        Place("/console/events", "nav_trail"),
    )),
    Group("nav_group_learn", (
        Place("/console/training", "training"),
        Place("/console/support", "my_tickets"),
    )),
)  # fmt: skip


def always(allowed: Callable[[str], bool]) -> list[Place]:
    """The places of the bar that somebody may open."""
    return [place for place in ALWAYS if allowed(place.address)]


def groups(allowed: Callable[[str], bool], path: str) -> list[Group]:
    """The groups with something in them that somebody may open, and which of them holds the page at ``path``."""
    shown = []
    for group in GROUPS:
        places = tuple(place for place in group.places if allowed(place.address))
        if places:
            shown.append(Group(group.word, places, any(_holds(place, path) for place in places)))
    return shown


def _holds(place: Place, path: str) -> bool:
    return path not in {one.address for one in ALWAYS} and (path + "/").startswith(place.address + "/")
