"""The red form's state machine, whole: every state with every event, by everyone, before and after the 72 hours.

What is allowed stands here once more, as sentences of the source (tax-rules.md, Correction), not as the code's table.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from piaoma.invoice.red_form import (
    FINAL,
    RedFormEvent,
    RedFormState,
    Side,
    Standing,
    after,
    may_follow,
)
from piaoma.invoice.refusal import Refusal

UNTIL = datetime(2026, 11, 27, 12, 0, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
MOMENTS = (UNTIL - timedelta(hours=72), UNTIL - timedelta(seconds=1), UNTIL, UNTIL + timedelta(days=1))

ALLOWED = {
    "01 withdraw → 08", "01 abnormal_voucher → 10", "01 taxpayer_abnormal → 11", "01 claim_refund → 13",
    "02 confirm → 04", "02 deny → 05", "02 time_out → 07", "02 withdraw → 08", "02 abnormal_voucher → 10",
    "02 taxpayer_abnormal → 11", "02 person_refuses → 12",
    "03 confirm → 04", "03 deny → 06", "03 time_out → 07", "03 withdraw → 08", "03 abnormal_voucher → 10",
    "03 taxpayer_abnormal → 11",
    "04 withdraw → 09", "04 abnormal_voucher → 10", "04 taxpayer_abnormal → 11", "04 claim_refund → 13",
}  # fmt: skip


def speaker(state: RedFormState, event: RedFormEvent, raised_by: Side) -> Side | None:
    """Who may say it: the buyer answers 02, the seller 03, whoever raised it withdraws, the authority all else."""
    if event in (RedFormEvent.CONFIRM, RedFormEvent.DENY):
        return {"02": Side.BUYER, "03": Side.SELLER}.get(state.value)
    return raised_by if event is RedFormEvent.WITHDRAW else None


@pytest.mark.parametrize("event", RedFormEvent)
@pytest.mark.parametrize("state", RedFormState)
def test_every_state_with_every_event(state: RedFormState, event: RedFormEvent) -> None:
    """Each of 13 × 8, by nobody, seller and buyer, raised by either, used up or not, at four moments."""
    for raised_by, by, used_up, at in product(Side, (None, *Side), (False, True), MOMENTS):
        form = Standing(state, raised_by, UNTIL, used_up)
        found = after(form, event, at, by)
        leads = [one.partition("→ ")[2] for one in ALLOWED if one.startswith(f"{state.value} {event.value} ")]
        if not leads or used_up:
            assert found == Refusal("RED-FORM-STATE", "form", {"state": state.value})
        elif by is not speaker(state, event, raised_by):
            assert isinstance(found, Refusal) and found.cause == "RED-FORM-SIDE"
        elif event is RedFormEvent.TIME_OUT and at < UNTIL:
            assert isinstance(found, Refusal) and found.cause == "RED-FORM-EARLY"
        elif event in (RedFormEvent.CONFIRM, RedFormEvent.DENY) and at >= UNTIL:
            assert isinstance(found, Refusal) and found.cause == "RED-FORM-LATE"
        else:
            assert found == leads[0] and may_follow(state, RedFormState(leads[0]))
        if isinstance(found, Refusal):
            assert found.what("zh") and found.what("en") and found.remedy("zh") and found.remedy("en")


def test_nothing_else_may_follow() -> None:
    """What the authority may tell is what some event leads to: no more, no less; final states end it."""
    edges = {(one[:2], one[-2:]) for one in ALLOWED}
    assert {(a.value, b.value) for a, b in product(RedFormState, RedFormState) if may_follow(a, b)} == edges
    assert not {a for a, _ in edges} & {state.value for state in FINAL}
    assert {b for _, b in edges} | {"01", "02", "03"} == {state.value for state in RedFormState}, "all are reached"


def test_without_the_clock_a_late_word_would_count() -> None:
    """Negative control: at 72 hours to the second the other side is too late, one second before it is not."""
    form = Standing(RedFormState.AWAITING_BUYER, Side.SELLER, UNTIL)
    assert after(form, RedFormEvent.CONFIRM, MOMENTS[1], Side.BUYER) is RedFormState.CONFIRMED
    assert isinstance(after(form, RedFormEvent.CONFIRM, UNTIL, Side.BUYER), Refusal)
    assert after(form, RedFormEvent.TIME_OUT, UNTIL) is RedFormState.TIMED_OUT
