"""The example that ``piaoma issue --help`` points to is a draft that can be issued as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec

from piaoma.invoice import rules, totals
from piaoma.invoice.classification import load
from piaoma.invoice.draft import Draft
from tests.conftest import SELLER_ID

EXAMPLE = Path(__file__).parents[2] / "examples" / "draft.json"
BUSINESS_DATE = date(2026, 11, 24)


def example() -> Draft:
    return msgspec.json.decode(EXAMPLE.read_bytes(), type=Draft)


def test_the_example_passes_every_rule() -> None:
    """No field is unknown, no rule refuses it, and its own total and words are what the lines add up to."""
    draft = example()
    assert rules.check(draft, BUSINESS_DATE, load()) == []
    _, sums = totals.price(draft, BUSINESS_DATE, load())
    assert (sums.inclusive, sums.words) == (draft.total_inclusive, draft.words)


def test_the_example_names_the_seller_that_the_documents_register() -> None:
    """``--merchant`` in the documents is the seller of the example."""
    assert example().seller.taxpayer_id == SELLER_ID


def test_a_draft_can_come_from_a_pipe(tmp_path: Path) -> None:
    """``-`` is standard input, as the help says: what follows is about the draft, not about an unknown option."""
    command = [sys.executable, "-m", "piaoma.cli", "issue", "-", "--merchant", SELLER_ID, "--key", "1"]
    environment = {**os.environ, "PIAOMA_DATA": str(tmp_path)}
    done = subprocess.run(command, input=b"no draft", capture_output=True, env=environment)
    assert b"REQUEST-MALFORMED" in done.stderr, done.stderr


def test_a_slip_in_the_example_would_be_noticed() -> None:
    """Negative control: one fen more in the stated total is refused."""
    draft = example()
    assert draft.total_inclusive is not None
    wrong = msgspec.structs.replace(draft, total_inclusive=draft.total_inclusive + Decimal("0.01"))
    assert [refusal.cause for refusal in rules.check(wrong, BUSINESS_DATE, load())] == ["TOTAL-DISAGREES"]
