"""Thresholds (阈值): when a rule speaks. Every merchant has his own; what he left alone stands at these values.

The values are chosen so that a restaurant with 50 to 500 invoices a day hears nothing on an ordinary day; no official
source gives any. A merchant for whom that does not fit changes them, or switches the rule off.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names begin with their rule. Money in yuan, shares in percent, hours in Asia/Shanghai."""

    off: tuple[str, ...] = ()  # rules that do not speak

    unknown_minutes: int = 10  # an outcome is open for so long
    quota_percent: int = 10  # of the quota is left
    quota_days: int = 3  # or the outlook ends within so many days
    refusals_count: int = 5  # of one cause, a day
    spike_percent: int = 250  # of the average of the same weekday
    spike_least: int = 2_000  # a day that comes to less is none
    unusual_times: int = 15  # the average invoice
    unusual_least: int = 5_000
    devices_titles: int = 4  # of one device, a day
    splits_limit: int = 1_000  # what somebody may want to stay below
    splits_percent: int = 10  # just below: within so much of the limit
    splits_count: int = 3  # of one buyer, a day
    twice_minutes: int = 10  # the same buyer and amount
    twice_least: int = 200
    round_percent: int = 60  # of the day's invoices
    round_count: int = 15
    round_unit: int = 100  # a multiple of it is round
    reds_percent: int = 20  # of the day's invoices
    reds_count: int = 5
    hours_from: int = 6  # the shop opens
    hours_until: int = 24  # and closes; below hours_from it is the next morning
    hours_count: int = 3


class Bound(msgspec.Struct, frozen=True):
    """The least and greatest that a threshold may be."""

    least: int
    most: int


BOUNDS: Mapping[str, Bound] = {
    "unknown_minutes": Bound(1, 1_440),
    "quota_percent": Bound(0, 90),
    "quota_days": Bound(0, 31),
    "refusals_count": Bound(1, 10_000),
    "spike_percent": Bound(110, 10_000),
    "spike_least": Bound(0, 100_000_000),
    "unusual_times": Bound(2, 1_000),
    "unusual_least": Bound(0, 100_000_000),
    "devices_titles": Bound(2, 1_000),
    "splits_limit": Bound(10, 100_000_000),
    "splits_percent": Bound(1, 50),
    "splits_count": Bound(2, 1_000),
    "twice_minutes": Bound(1, 1_440),
    "twice_least": Bound(0, 100_000_000),
    "round_percent": Bound(1, 100),
    "round_count": Bound(2, 100_000),
    "round_unit": Bound(10, 1_000_000),
    "reds_percent": Bound(1, 100),
    "reds_count": Bound(1, 100_000),
    "hours_from": Bound(0, 23),
    "hours_until": Bound(0, 24),
    "hours_count": Bound(1, 10_000),
}
