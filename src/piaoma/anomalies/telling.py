"""What a finding says (说明): its name, why it is there, what to do, who looks after it and where that is done."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from urllib.parse import quote

import msgspec

from piaoma.invoice.refusal import Language


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    zh: str
    en: str
    why_zh: str
    why_en: str
    do_zh: str
    do_en: str
    who: str
    link: str


class Telling(msgspec.Struct, frozen=True):
    """A finding in the words of a language. ``who`` is a role, ``link`` the page where it is handled, or empty."""

    name: str
    why: str
    do: str
    who: str
    link: str


@cache
def _entries() -> Mapping[str, _Entry]:
    text = (resources.files(__package__) / "told.toml").read_text(encoding="utf-8")
    return {rule: msgspec.convert(entry, _Entry) for rule, entry in tomllib.loads(text).items()}


def name_of(rule: str, language: Language) -> str:
    """What a rule is called."""
    entry = _entries()[rule]
    return entry.zh if language == "zh" else entry.en


def telling(finding_id: str, rule: str, figures: Mapping[str, str], language: Language) -> Telling:
    """What a finding says. Its id tells the day."""
    entry, zh = _entries()[rule], language == "zh"
    period = re.sub(r"^[a-z]+-|-[0-9a-f]+$", "", finding_id)
    links = {"period": period, **{name: quote(value) for name, value in figures.items()}}
    return Telling(
        name=entry.zh if zh else entry.en,
        why=(entry.why_zh if zh else entry.why_en).format_map(figures),
        do=entry.do_zh if zh else entry.do_en,
        who=entry.who,
        link=entry.link.format_map(links),
    )
