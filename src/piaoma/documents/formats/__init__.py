"""Formats (数据格式): an invoice as data for programs. JSON of our own schema, UBL after EN 16931, XBRL for books.

In comes an original, out goes a file: pure functions of the bytes, so the same original gives the same file for ever.
None of them is an original: each names the digest of the one that it was made from, or cannot carry it and says so in
docs/formats.md. Quick enough for a thread; no worker, no cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import json_view, ubl, xbrl

FORMATS: Mapping[str, Callable[[bytes], bytes]] = {
    "json": json_view.write,
    "ubl": ubl.write,
    "xbrl": xbrl.write,
}

_ENDINGS = {"ubl": "-ubl.xml", "xbrl": "-xbrl.xml"}


def file_name(number: str, kind: str) -> str:
    """``NUMBER-电子发票.KIND``, the name that accounting programs expect; of UBL and XBRL it ends in ``-KIND.xml``."""
    return f"{number}-电子发票{_ENDINGS.get(kind, f'.{kind}')}"
