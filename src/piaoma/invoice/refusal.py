"""How the program says no: one value for one thing that a user can mend.

Every refusal names a cause code. What happened and what to do stand once, in ``causes/*.toml``, in Chinese and English.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

Language = Literal["zh", "en"]


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the table of causes. Texts may name values in braces: ``{have}``."""

    zh: str
    en: str
    remedy_zh: str
    remedy_en: str


class Refusal(msgspec.Struct, frozen=True):
    """One thing that is wrong (原因), where it is, and the figures its sentence needs.

    ``field`` is a path into the request (``lines[2].rate``, ``buyer.taxpayer_id``), empty when the whole is meant.
    """

    cause: str
    field: str = ""
    values: Mapping[str, str] = {}

    def what(self, language: Language = "zh") -> str:
        """What happened, in one sentence."""
        cause = causes()[self.cause]
        return (cause.zh if language == "zh" else cause.en).format_map(self.values)

    def remedy(self, language: Language = "zh") -> str:
        """What to do about it, in one sentence."""
        cause = causes()[self.cause]
        return (cause.remedy_zh if language == "zh" else cause.remedy_en).format_map(self.values)


class Refused(Exception):
    """Raised at a border when a request is refused. Nothing was stored."""

    def __init__(self, *refusals: Refusal) -> None:
        assert refusals, "a refusal without a cause explains nothing"
        self.refusals: tuple[Refusal, ...] = refusals
        super().__init__(", ".join(f"{refusal.cause} {refusal.field}".strip() for refusal in refusals))

    def __reduce__(self) -> tuple[type[Refused], tuple[Refusal, ...]]:
        """So that it comes back whole from a worker process."""
        return Refused, self.refusals


def refuse(cause: str, field: str = "", **values: object) -> Refused:
    """A ``Refused`` with one cause, to be raised."""
    return Refused(Refusal(cause, field, {name: str(value) for name, value in values.items()}))


def refuse_all(refusals: Sequence[Refusal]) -> None:
    """Raise ``Refused`` with all of them, or return when there is none."""
    if refusals:
        raise Refused(*refusals)


@cache
def causes() -> Mapping[str, Cause]:
    """The table of all causes by code, from every file in ``causes/``. A code that stands twice is a bug."""
    table: dict[str, Cause] = {}
    folder = resources.files(__package__) / "causes"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".toml"):
            continue
        for code, row in tomllib.loads(file.read_text(encoding="utf-8")).items():
            assert code not in table, f"cause {code} stands twice"
            table[code] = msgspec.convert(row, Cause)
    return table
