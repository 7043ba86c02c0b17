"""Booking (入账) of received invoices, and what else is decided about one: returned, looked at, taken up again.

Which act is possible from which state stands in one table. Whoever acts second finds the state changed and is refused,
so that of two people who book the same invoice one books it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.refusal import Refusal, Refused, refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Transaction, milliseconds, write_block

from .events import Actor, record
from .received import COLUMNS, NUMBER_MAX, Received, State, received, received_of

if TYPE_CHECKING:
    from .office import Office

VOUCHER_MAX = 40  # characters of a voucher's number
CLAIMANT_MAX = 40  # of whoever is reimbursed
REASON_MAX = 200
BOOK_MAX = 200  # invoices that are booked at once


class Act(StrEnum):
    """What may be decided."""

    BOOK = "book"  # 入账
    UNBOOK = "unbook"  # 撤销入账
    RETURN = "return"  # 退回
    REOPEN = "reopen"  # 重新收下
    CLEAR = "clear"  # 核对无误
    SETTLE = "settle"  # 已冲账: what was taken back after it was booked is seen to


# act → (states from which, state to which; None: the state stays)
_ACTS: dict[Act, tuple[frozenset[State], State | None]] = {
    Act.BOOK: (frozenset({State.WAITING}), State.BOOKED),
    Act.UNBOOK: (frozenset({State.BOOKED}), State.WAITING),
    Act.RETURN: (frozenset({State.WAITING, State.DOUBTFUL}), State.RETURNED),
    Act.REOPEN: (frozenset({State.RETURNED}), State.WAITING),
    Act.CLEAR: (frozenset({State.DOUBTFUL}), State.WAITING),
    Act.SETTLE: (frozenset({State.BOOKED}), None),
}
REASONED = frozenset({Act.UNBOOK, Act.RETURN, Act.CLEAR, Act.SETTLE})


class Decision(msgspec.Struct, frozen=True):
    """An act with what it needs: booking a voucher's number (凭证号) and perhaps who is reimbursed (报销人), the others
    of ``REASONED`` a reason."""

    act: Act
    voucher: str = ""
    claimant: str = ""
    reason: str = ""


def possible(one: Received) -> tuple[Act, ...]:
    """What may be decided about an invoice as it stands."""
    return tuple(act for act in Act if _refusal(one, act) is None)


def _refusal(one: Received, act: Act) -> Refusal | None:
    if one.state not in _ACTS[act][0] or (act is Act.SETTLE and not one.alarm):
        return Refusal("RECEIVED-STATE")
    if act is Act.CLEAR and one.beyond_doubt:
        return Refusal("RECEIVED-NOT-GENUINE")
    return None


async def decide(office: Office, by: Actor, number: str, decision: Decision) -> Received:
    """Decide about an invoice of the actor's merchant; it stands in the trail.

    Raises ``Refused`` RECEIVED-NOT-FOUND, RECEIVED-STATE, RECEIVED-DOUBTFUL, RECEIVED-NOT-GENUINE, TEXT-….
    """
    await received(office, by.merchant_id, number)
    _check(decision)

    async def work(transaction: Transaction) -> None:
        await _decide(transaction, office, by, number, decision)

    await write_block(office.database, work)
    return await received(office, by.merchant_id, number)


async def book_many(
    office: Office, by: Actor, numbers: Sequence[str], voucher: str, claimant: str
) -> tuple[list[str], list[tuple[str, Refusal]]]:
    """Book invoices under one voucher: those that were, and why others were not.

    Each for itself: one that cannot be booked does not hold up the others. Raises ``Refused`` RECEIVED-NONE-CHOSEN,
    RECEIVE-TOO-MANY, TEXT-….
    """
    chosen = sorted(set(numbers))
    if not chosen:
        raise refuse("RECEIVED-NONE-CHOSEN")
    if len(chosen) > BOOK_MAX:
        raise refuse("RECEIVE-TOO-MANY", have=len(chosen), max=BOOK_MAX)
    decision = Decision(Act.BOOK, voucher, claimant)
    _check(decision)
    booked, left = [], []
    for number in chosen:
        try:
            await decide(office, by, number, decision)
        except Refused as refused:
            left.append((number, refused.refusals[0]))
        else:
            booked.append(number)
    return booked, left


def _check(decision: Decision) -> None:
    booking = decision.act is Act.BOOK
    refuse_all([
        *text.check(decision.voucher, "voucher", VOUCHER_MAX, required=booking),
        *text.check(decision.claimant, "claimant", CLAIMANT_MAX),
        *text.check(decision.reason, "reason", REASON_MAX, required=decision.act in REASONED),
    ])  # fmt: skip


_LOCK = f"SELECT {COLUMNS} FROM received_invoices t WHERE merchant_id = $1 AND number = $2 {{for_update}}"  # noqa: S608
_DECIDE = """
UPDATE received_invoices SET state = $3, voucher = $4, claimant = $5, reason = $6, doubt = $7, alarm = 0,
    decided_by = $8, decided_at_ms = $9
WHERE merchant_id = $1 AND number = $2
"""


async def _decide(transaction: Transaction, office: Office, by: Actor, number: str, decision: Decision) -> None:
    lock, key = _LOCK.format(for_update=office.database.dialect.for_update), number[:NUMBER_MAX]
    now = office.now()
    one = received_of((await transaction.fetch(lock, by.merchant_id, key))[0], now.tzinfo)
    act = decision.act
    if (refusal := _refusal(one, act)) is not None:
        raise Refused(_why_not_booked(one) if act is Act.BOOK else refusal)
    state = _ACTS[act][1] or one.state
    seen_to = act in (Act.CLEAR, Act.SETTLE)
    if state is State.WAITING and one.doubt and not seen_to:
        state = State.DOUBTFUL
    booking = act is Act.BOOK
    kept = act is Act.SETTLE  # the booking stands, and so does who booked
    voucher = decision.voucher.strip() if booking else one.voucher if kept else ""
    claimant = decision.claimant.strip() if booking else one.claimant if kept else ""
    # What spoke against it is told no more once somebody looked; what it was stands in the trail.
    doubt = "" if seen_to or not one.doubt else msgspec.json.encode(one.doubt).decode()
    reason = decision.reason.strip()
    await transaction.execute(
        _DECIDE, by.merchant_id, key, state.value, voucher, claimant, reason, doubt,
        one.decided_by if kept else by.name,
        milliseconds(one.decided_at if kept and one.decided_at else now),
    )  # fmt: skip
    before = {"state": one.state.value, "voucher": one.voucher, "doubt": "、".join(each.cause for each in one.doubt)}
    after = {"state": state.value, "voucher": voucher, "claimant": claimant, "reason": reason}
    if not seen_to:
        del before["doubt"]
    await record(transaction, by, now, f"received.{act.value}", key, before, after)


def _why_not_booked(one: Received) -> Refusal:
    if one.state is State.BOOKED:
        at = f"{one.decided_at:%Y-%m-%d %H:%M}"
        return Refusal("RECEIVED-BOOKED", "", {"when": at, "who": one.decided_by, "voucher": one.voucher})
    return Refusal("RECEIVED-DOUBTFUL" if one.state is State.DOUBTFUL else "RECEIVED-STATE")
