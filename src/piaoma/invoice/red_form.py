"""The red form (红字发票信息确认单): its states, who must confirm it until when, and what it may come to next.

Source: tax-rules.md, Correction [L]; which state may follow which is our reading of their names [U]: read tolerantly,
write strictly.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from .refusal import Refusal

CONFIRM_HOURS = 72  # for the other side, from the raising of the form


class RedReason(StrEnum):
    """Why an invoice is corrected (冲红原因)."""

    WRONG = "01"  # 开票有误
    RETURNED = "02"  # 销货退回
    STOPPED = "03"  # 服务中止
    REBATE = "04"  # 销售折让


class RedFormState(StrEnum):
    """确认单状态, as the platform numbers them."""

    NO_CONFIRMATION = "01"  # 无需确认
    AWAITING_BUYER = "02"  # 销方录入待购方确认
    AWAITING_SELLER = "03"  # 购方录入待销方确认
    CONFIRMED = "04"  # 购销双方已确认
    BUYER_DENIED = "05"  # 作废（购方否认）
    SELLER_DENIED = "06"  # 作废（销方否认）
    TIMED_OUT = "07"  # 作废（超 72 小时未确认）
    WITHDRAWN = "08"  # 作废（发起方撤销）
    WITHDRAWN_AFTERWARDS = "09"  # 作废（确认后撤销）
    ABNORMAL_VOUCHER = "10"  # 作废（异常凭证）
    TAXPAYER_ABNORMAL = "11"  # 纳税人状态异常
    PERSON_REFUSED = "12"  # 自然人拒收
    REFUND_CLAIMED = "13"  # 已开具退税申请单


ISSUABLE = frozenset({RedFormState.NO_CONFIRMATION, RedFormState.CONFIRMED})
PENDING = frozenset({RedFormState.AWAITING_BUYER, RedFormState.AWAITING_SELLER})
FINAL = frozenset(RedFormState) - ISSUABLE - PENDING


class Side(StrEnum):
    """A side of the invoice. Either may raise a form; the other confirms it."""

    SELLER = "seller"  # 销方
    BUYER = "buyer"  # 购方

    @property
    def other(self) -> Side:
        return Side.BUYER if self is Side.SELLER else Side.SELLER


class RedFormEvent(StrEnum):
    """What can happen to a form. The first three are done by a side, the rest is told by the authority."""

    CONFIRM = "confirm"  # 同意, by the other side
    DENY = "deny"  # 否认, by the other side
    WITHDRAW = "withdraw"  # 撤销, by whoever raised it
    TIME_OUT = "time_out"
    ABNORMAL_VOUCHER = "abnormal_voucher"
    TAXPAYER_ABNORMAL = "taxpayer_abnormal"
    PERSON_REFUSES = "person_refuses"
    CLAIM_REFUND = "claim_refund"


class Standing(msgspec.Struct, frozen=True):
    """All that decides what may happen to a form now. ``confirm_until`` and the moment it is compared with are aware;
    ``used_up`` is that its red invoice is issued, or being issued: then it is done with."""

    state: RedFormState
    raised_by: Side
    confirm_until: datetime
    used_up: bool = False

    @property
    def confirmed_by(self) -> Side | None:
        """Whose answer a pending form waits for."""
        return {RedFormState.AWAITING_BUYER: Side.BUYER, RedFormState.AWAITING_SELLER: Side.SELLER}.get(self.state)


_TO_ABNORMAL = {
    RedFormEvent.ABNORMAL_VOUCHER: RedFormState.ABNORMAL_VOUCHER,
    RedFormEvent.TAXPAYER_ABNORMAL: RedFormState.TAXPAYER_ABNORMAL,
}
_LEADS_TO: dict[RedFormState, dict[RedFormEvent, RedFormState]] = {
    RedFormState.NO_CONFIRMATION: {
        **_TO_ABNORMAL,
        RedFormEvent.WITHDRAW: RedFormState.WITHDRAWN,
        RedFormEvent.CLAIM_REFUND: RedFormState.REFUND_CLAIMED,
    },
    RedFormState.AWAITING_BUYER: {
        **_TO_ABNORMAL,
        RedFormEvent.CONFIRM: RedFormState.CONFIRMED,
        RedFormEvent.DENY: RedFormState.BUYER_DENIED,
        RedFormEvent.TIME_OUT: RedFormState.TIMED_OUT,
        RedFormEvent.WITHDRAW: RedFormState.WITHDRAWN,
        RedFormEvent.PERSON_REFUSES: RedFormState.PERSON_REFUSED,
    },
    RedFormState.AWAITING_SELLER: {
        **_TO_ABNORMAL,
        RedFormEvent.CONFIRM: RedFormState.CONFIRMED,
        RedFormEvent.DENY: RedFormState.SELLER_DENIED,
        RedFormEvent.TIME_OUT: RedFormState.TIMED_OUT,
        RedFormEvent.WITHDRAW: RedFormState.WITHDRAWN,
    },
    RedFormState.CONFIRMED: {
        **_TO_ABNORMAL,
        RedFormEvent.WITHDRAW: RedFormState.WITHDRAWN_AFTERWARDS,
        RedFormEvent.CLAIM_REFUND: RedFormState.REFUND_CLAIMED,
    },
}


def after(form: Standing, event: RedFormEvent, at: datetime, by: Side | None = None) -> RedFormState | Refusal:
    """The state that an event brings a form to, or why it cannot happen. ``by`` is who acts; None for what the
    authority tells. Every change of a form's state, here and in the sandbox authority, is decided by this function.

    A refusal is RED-FORM-STATE, RED-FORM-SIDE (it is for the other side to say), RED-FORM-LATE (the 72 hours are over)
    or RED-FORM-EARLY (they are not).
    """
    following = _LEADS_TO.get(form.state, {}).get(event)
    if following is None or form.used_up:
        return Refusal("RED-FORM-STATE", "form", {"state": form.state.value})
    if by is not _actor(form, event):
        return Refusal("RED-FORM-SIDE", "form")
    if event is RedFormEvent.TIME_OUT and at < form.confirm_until:
        return Refusal("RED-FORM-EARLY", "form")
    if event in (RedFormEvent.CONFIRM, RedFormEvent.DENY) and at >= form.confirm_until:
        return Refusal("RED-FORM-LATE", "form")
    return following


def _actor(form: Standing, event: RedFormEvent) -> Side | None:
    """Whose event it is; None for the authority's."""
    if event is RedFormEvent.WITHDRAW:
        return form.raised_by
    if event in (RedFormEvent.CONFIRM, RedFormEvent.DENY):
        return form.confirmed_by
    return None


def first_state(raised_by: Side, *, used: bool) -> RedFormState:
    """The state of a new form. ``used`` is whether the buyer confirmed its use (用途确认) or booked it: before that the
    seller corrects alone; a buyer raises a form only for what he has used."""
    if raised_by is Side.SELLER:
        return RedFormState.AWAITING_BUYER if used else RedFormState.NO_CONFIRMATION
    return RedFormState.AWAITING_SELLER


def may_follow(state: RedFormState, following: RedFormState) -> bool:
    """Whether a form in one state may come to another."""
    return following in _LEADS_TO.get(state, {}).values()


def confirm_until(raised_at: datetime) -> datetime:
    """When a pending form is void (aware, in the zone of ``raised_at``)."""
    return raised_at + timedelta(hours=CONFIRM_HOURS)
