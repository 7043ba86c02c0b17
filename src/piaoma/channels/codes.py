"""What a channel's codes mean (错误码对照): a table a channel, beside its adapter, and one reading for all of them.

A row is ``code = "meaning"`` or ``code = "refused CAUSE"``. A code that no table has means nothing: it is kept as it
came, and the outcome counts as unknown.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from functools import cache
from importlib import resources

import msgspec

from piaoma.invoice.refusal import Refusal

SAID_CHARS_MAX = 120  # of a channel's own words, as people are shown them


class Meaning(StrEnum):
    """What an answer says of the request."""

    DONE = "done"
    WORKING = "working"  # taken, the result comes later
    MISSING = "missing"  # what was asked after is not there
    DUPLICATE = "duplicate"  # it was sent before: ask for the result
    REFUSED = "refused"  # nothing was done, and the same again would be refused again
    AGAIN = "again"  # nothing was done, the same may be tried later
    LOGIN = "login"  # nothing was done: our keys or tokens are not accepted
    VERIFY = "verify"  # nothing was done: somebody must prove who they are (face, code) on the platform
    NO_NUMBERS = "no_numbers"
    UNKNOWN = "unknown"


class Told(msgspec.Struct, frozen=True):
    """A code with its meaning. ``cause`` is there exactly when something is refused."""

    code: str
    text: str
    meaning: Meaning
    cause: str = ""

    @property
    def said(self) -> str:
        """As the channel said it, for logs and people."""
        return f"{self.code} {self.text}".strip()[:SAID_CHARS_MAX]

    def refusal(self) -> Refusal:
        """As people are told. A cause that has no place for the channel's own words is told without them."""
        assert self.cause, "only what is refused has a cause"
        return Refusal(self.cause, "", {"have": self.said})


class Table:
    """The codes of one channel, by what they are said of: ``issue``, ``form``, ``call`` …; ``all`` holds everywhere."""

    def __init__(self, sections: dict[str, dict[str, str]]) -> None:
        self._sections = {name: {code: _row(row) for code, row in rows.items()} for name, rows in sections.items()}

    def told(self, section: str, code: object, text: object = "") -> Told:
        """What a code says; ``Meaning.UNKNOWN`` when no table has it."""
        known = {**self._sections.get("all", {}), **self._sections.get(section, {})}
        meaning, cause = known.get(str(code), (Meaning.UNKNOWN, ""))
        return Told(str(code)[:40], "" if text is None else str(text), meaning, cause)


def _row(row: str) -> tuple[Meaning, str]:
    word, _, cause = row.partition(" ")
    meaning = Meaning(word)
    assert (meaning is Meaning.REFUSED) == bool(cause), f"a refusal, and nothing else, has a cause: {row}"
    return meaning, cause


@cache
def table_of(package: str, name: str) -> Table:
    """The table in a file of a package."""
    text = (resources.files(package) / name).read_text(encoding="utf-8")
    return Table(tomllib.loads(text))
