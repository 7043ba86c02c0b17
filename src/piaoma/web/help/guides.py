"""Guides (指南) as they are written: one TOML file each, Chinese and English beside each other.

A label of the interface stands in a guide as the key of its word in braces, ``{make_code}``, so that a guide names
only what is there, in the words that are there. A paragraph that begins with a hyphen is a point of a list.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

from piaoma.invoice.refusal import Language
from piaoma.web.page import static_files, words

Kind = Literal["tutorial", "guide", "tips", "faq", "policy"]


class _Text(msgspec.Struct, frozen=True):
    zh: str
    en: str

    def in_(self, language: Language) -> str:
        return (self.zh if language == "zh" else self.en).format_map(_Labels(language))


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: _Text
    zh: str
    en: str
    link: str = ""
    go: str = ""  # the word on the button that leads there
    picture: str = ""


class _Guide(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Kind
    who: Literal["merchant", "customer", "everybody"]
    order: int
    title: _Text
    line: _Text
    find: str
    parts: tuple[_Part, ...]
    causes: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    certainty: _Text | None = None
    source: _Text | None = None


class Picture(msgspec.Struct, frozen=True):
    """A picture of the program, made by the test suite: its address and its size in pixels."""

    address: str
    width: int
    height: int


class Part(msgspec.Struct, frozen=True):
    """A section of a guide in one language."""

    title: str
    paragraphs: tuple[str, ...]
    points: tuple[str, ...]
    link: str
    go: str
    picture: Picture | None


class Guide(msgspec.Struct, frozen=True):
    """A guide in one language. ``since``, ``until``, ``certainty`` and ``source`` are of policy notes alone."""

    name: str
    kind: Kind
    who: str
    title: str
    line: str
    find: str
    parts: tuple[Part, ...]
    causes: tuple[str, ...]
    since: date | None
    until: date | None
    certainty: str
    source: str

    @property
    def text(self) -> str:
        """All of it, to be searched."""
        return "\n".join(f"{part.title} {' '.join(part.paragraphs)} {' '.join(part.points)}" for part in self.parts)


class _Labels(Mapping[str, str]):
    """The labels of the interface. A name that is none is a fault of the guide."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def __getitem__(self, key: str) -> str:
        return words()[key][self._language]

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(words())

    def __len__(self) -> int:
        return len(words())


@cache
def _written() -> dict[str, _Guide]:
    folder = resources.files("piaoma.web") / "guides"
    files = [file for file in folder.iterdir() if file.name.endswith(".toml")]
    found = {
        file.name.removesuffix(".toml"): msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _Guide)
        for file in files
    }
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))


@cache
def guides(language: Language) -> dict[str, Guide]:
    """Every guide by its name, in their order."""
    return {name: _in_language(name, one, language) for name, one in _written().items()}


def _in_language(name: str, one: _Guide, language: Language) -> Guide:
    return Guide(
        name=name,
        kind=one.kind,
        who=one.who,
        title=one.title.in_(language),
        line=one.line.in_(language),
        find=one.find,
        parts=tuple(_part(part, language) for part in one.parts),
        causes=one.causes,
        since=date.fromisoformat(one.since) if one.since else None,
        until=date.fromisoformat(one.until) if one.until else None,
        certainty=one.certainty.in_(language) if one.certainty else "",
        source=one.source.in_(language) if one.source else "",
    )


def _part(part: _Part, language: Language) -> Part:
    lines = _Text(part.zh, part.en).in_(language).splitlines()
    return Part(
        title=part.title.in_(language),
        paragraphs=tuple(line for line in lines if not line.startswith("- ")),
        points=tuple(line.removeprefix("- ") for line in lines if line.startswith("- ")),
        link=part.link,
        go=words()[part.go][language] if part.go else "",
        picture=picture(part.picture, language) if part.picture else None,
    )


@cache
def picture(name: str, language: Language) -> Picture | None:
    """A picture of the guides, with its size, which stands in the first bytes of the file, so that the page does not
    jump; None while ``make pictures`` has not made it yet."""
    address, data = static_files().get(f"guide-{name}.{language}.png", ("", b""))
    return Picture(address, int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) if data else None


def named_pictures() -> frozenset[str]:
    """Which pictures the guides show."""
    return frozenset(part.picture for one in _written().values() for part in one.parts if part.picture)


@cache
def about(cause: str, language: Language) -> tuple[Guide, ...]:
    """The guides and policy notes that tell more about a cause."""
    return tuple(one for one in guides(language).values() if cause in one.causes)
