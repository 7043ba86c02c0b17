"""One page of a long list, and the cursor to the next."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from piaoma.invoice.refusal import refuse

Item = TypeVar("Item")
NUMBER_DIGITS = 20  # of an invoice, the longest key of a list
_NEWEST = (1 << 62, 1 << 62)


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """Items, newest first; ``next_cursor`` is empty on the last page."""

    items: tuple[Item, ...]
    next_cursor: str = ""


def cut(found: list[Item], length: int, key: Callable[[Item], tuple[int, int]]) -> Page[Item]:
    """A page from one row more than it holds."""
    if len(found) <= length:
        return Page(tuple(found))
    return Page(tuple(found[:length]), base64.urlsafe_b64encode(json.dumps(key(found[length - 1])).encode()).decode())


def resume(cursor: str) -> tuple[int, int]:
    """Where a page begins: before these two numbers. Raises ``Refused`` REQUEST-MALFORMED for a bad cursor."""
    if not cursor:
        return _NEWEST
    try:
        first, second = json.loads(base64.urlsafe_b64decode(cursor[:200]))
        if type(first) is int and type(second) is int and 0 <= first < 1 << 63 and 0 <= second < 10**NUMBER_DIGITS:
            return first, second
    except (ValueError, TypeError, binascii.Error):
        pass
    raise refuse("REQUEST-MALFORMED", have="cursor")
