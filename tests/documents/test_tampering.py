"""Tampered copies are refused, each with the right cause; every byte of a signed file counts."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from piaoma.documents import check as module
from piaoma.documents.check import Trusted, check
from piaoma.trust import Verdict
from tests.documents.tampering import TAMPERED, genuine, shown_like_ours
from tests.documents.test_ofd import ring


def trusted() -> Trusted:
    return Trusted((ring()[0].root,))


@pytest.mark.parametrize(("make", "cause", "refused"), [row[1:] for row in TAMPERED], ids=[row[0] for row in TAMPERED])
def test_a_tampered_copy_is_not_valid(make: Callable[[], bytes], cause: str, refused: bool) -> None:
    """Refused where it is wrong for certain, not known where a stranger may have made it; the cause is told."""
    report = check(make(), trusted())
    assert report.verdict is (Verdict.INVALID if refused else Verdict.UNKNOWN)
    assert cause in [reason.cause for reason in report.reasons], report.reasons


@pytest.mark.parametrize("kind", ["xml", "pdf", "ofd"])
def test_the_untampered_is_valid(kind: str) -> None:
    """The control of all of these."""
    assert check(genuine()[kind], trusted()).verdict is Verdict.VALID


def test_without_the_comparison_a_swapped_original_would_only_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: what a page shows is compared field by field, and that is what refuses it."""
    data = shown_like_ours(words="玖拾捌圆整")
    assert check(data, trusted()).verdict is Verdict.INVALID
    monkeypatch.setattr(module, "disagreements", lambda one, other: iter(()))
    assert check(data, trusted()).verdict is Verdict.UNKNOWN


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]


def test_every_flipped_byte_of_an_original_is_noticed() -> None:
    """All of them, one after the other. Every byte of an OFD: test_ofd."""
    data = genuine()["xml"]
    unnoticed = [place for place in range(len(data)) if check(flipped(data, place), trusted()).verdict is Verdict.VALID]
    assert unnoticed == []


def test_a_flipped_byte_of_a_pdf_is_noticed() -> None:
    """Thirty of them by chance, the first, the last: such a file is never just what we draw."""
    data, chance = genuine()["pdf"], random.Random(88)
    for place in [0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(30))]:
        assert check(flipped(data, place), trusted()).verdict is not Verdict.VALID, place
