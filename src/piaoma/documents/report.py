"""The report (查验结果) on a file from outside: item by item, each with a light and a reason, and one verdict.

A light is never better than what is known: what cannot be known here is grey, with what to do about it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from importlib import resources

import msgspec

from piaoma.invoice.refusal import Language, Refusal
from piaoma.trust import Verdict

from .facts import LEGACY_DIGITS, Facts


class Light(StrEnum):
    """What is said of an item. Shown with a word and a shape, never by colour alone."""

    OK = "ok"
    WARN = "warn"  # holds, but somebody should look
    BAD = "bad"
    UNKNOWN = "unknown"  # cannot be known here


class Source(StrEnum):
    """What a file is."""

    XML = "xml"
    PDF = "pdf"
    OFD = "ofd"
    PICTURE = "picture"
    BUNDLE = "bundle"
    TYPED = "typed"  # no file: number, date and amount as somebody typed them
    NONE = "none"  # nothing that can be checked


# In the order in which they are told; without any of the second group a file cannot be called valid.
ITEMS = ("file", "signature", "seal", "view", "qr", "number", "figures", "ids", "log", "record", "red", "seen", "title")
DECISIVE = ("file", "signature", "seal", "view")
_GRAVITY = (Light.OK, Light.WARN, Light.UNKNOWN, Light.BAD)


class Item(msgspec.Struct, frozen=True):
    """One thing that was looked at. Every light but OK has a reason; ``values`` are the figures of OK's sentence."""

    name: str
    light: Light
    reasons: tuple[Refusal, ...] = ()
    values: Mapping[str, str] = {}

    @property
    def gravity(self) -> int:
        """Larger is graver."""
        return _GRAVITY.index(self.light)

    def label(self, language: Language = "zh") -> str:
        """What was looked at, in a word or two."""
        return words()[self.name][language]

    def said(self, language: Language = "zh") -> str:
        """What was found, in a sentence or more."""
        if self.reasons:
            return " ".join(reason.what(language) for reason in self.reasons)
        row = words()[self.name]
        plain = f"ok_{language}"
        return row[f"{plain}_{self.values['form']}" if "form" in self.values else plain].format_map(self.values)

    def remedy(self, language: Language = "zh") -> str:
        """What to do about it; empty when there is nothing to do."""
        return " ".join(dict.fromkeys(reason.remedy(language) for reason in self.reasons))


class Report(msgspec.Struct, frozen=True):
    """All that is known of one file. ``facts`` are what it says, as far as it can be read; ``lines`` its goods."""

    source: Source
    items: tuple[Item, ...]
    facts: Facts = Facts()
    signer: str = ""
    digest: str = ""  # SHA-256 of the original inside, hex
    pickup: str = ""  # the path of a code of this site that a photo shows

    @property
    def verdict(self) -> Verdict:
        """Never better than the worst item that decides."""
        if any(item.light is Light.BAD for item in self.items):
            return Verdict.INVALID
        lights = {item.name: item.light for item in self.items}
        if self.source is Source.TYPED:
            # Asked is whether there is such an invoice, and only a record can say so.
            return Verdict.VALID if lights.get("record") is Light.OK else Verdict.UNKNOWN
        decisive = (*DECISIVE, "log") if self.source is Source.BUNDLE else DECISIVE
        if any(item.light is Light.UNKNOWN and item.name in decisive for item in self.items):
            return Verdict.UNKNOWN
        return Verdict.VALID if "signature" in lights or "seal" in lights else Verdict.UNKNOWN

    @property
    def reasons(self) -> tuple[Refusal, ...]:
        """Everything that is not as it should be or not known, the gravest first."""
        found = sorted(self.items, key=lambda item: -item.gravity)
        return tuple(reason for item in found if item.light in (Light.BAD, Light.UNKNOWN) for reason in item.reasons)

    def light(self, name: str) -> Light | None:
        """The light of an item; None when it was not looked at."""
        return next((item.light for item in self.items if item.name == name), None)

    def with_items(self, more: Iterable[Item]) -> Report:
        """The same with further items, or with other ones of the same names, in their order."""
        items = {item.name: item for item in self.items} | {item.name: item for item in more}
        return msgspec.structs.replace(self, items=tuple(items[name] for name in ITEMS if name in items))


def item(name: str, reasons: Iterable[Refusal] = (), light: Light = Light.BAD, **values: str) -> Item:
    """An item: OK without reasons, of that light with any."""
    assert name in ITEMS
    found = tuple(reasons)
    return Item(name, light if found else Light.OK, found, {} if found else values)


def platform_fields(facts: Facts) -> list[tuple[str, str]]:
    """(key, text) of what the national platform asks for, ready to be typed there; what the file lacks is left out."""
    legacy = len(facts.number) == LEGACY_DIGITS
    amount = facts.amount if legacy else facts.total
    fields = [
        ("code", facts.code),
        ("number", facts.number),
        ("date", f"{facts.issued_on:%Y%m%d}" if facts.issued_on else ""),
        ("amount" if legacy else "total", "" if amount is None else f"{amount:.2f}"),
        ("check", facts.check[-6:]),
    ]
    return [(key, text) for key, text in fields if text]


@cache
def words() -> Mapping[str, Mapping[str, str]]:
    """The labels of items and the sentences of those that are in order."""
    return tomllib.loads((resources.files(__package__) / "report.toml").read_text(encoding="utf-8"))
