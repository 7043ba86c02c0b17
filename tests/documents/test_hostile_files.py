"""Hostile files of every kind: refused or not known, within the time and memory of a worker; the next file is checked.

That the bounds are the worker's, and what happens without them, is shown in test_workers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from piaoma.documents.check import CHECK_MEMORY_BYTES_MAX, Trusted, check
from piaoma.documents.receiving import settled
from piaoma.documents.workers import Workers
from piaoma.trust import Verdict
from tests.documents.hostile import HOSTILE
from tests.documents.test_ofd import original_of, ring
from tests.invoice.test_original import example

SECONDS = 2  # of the processor: less than on a server, so that the tests are quick
CLOCK_SECONDS_MAX = 60


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    pool = Workers(1, CHECK_MEMORY_BYTES_MAX)
    yield pool
    pool.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_bounded_and_never_valid(workers: Workers, name: str) -> None:
    """Each with a cause of ours, never a bug; and a genuine file after it is valid."""
    data = HOSTILE[name]()
    begun = time.monotonic()
    report = settled(workers.submit(SECONDS, check, data, Trusted()).result)
    assert time.monotonic() - begun < CLOCK_SECONDS_MAX
    assert report.verdict is not Verdict.VALID and report.reasons and not report.facts.number
    assert "FILE-FAILED" not in [reason.cause for reason in report.reasons]
    trusted = Trusted((ring()[0].root,))
    assert workers.submit(10, check, original_of(example()), trusted).result().verdict is Verdict.VALID
