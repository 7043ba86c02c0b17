"""The red form (红字发票信息确认单): its states, who must confirm it until when, and what it may come to next.

Source: tax-rules.md, Correction [L]; which state may follow which is our reading of their names [U]: read tolerantly,
write strictly.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

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

_STOPPED_BY_AUTHORITY = frozenset({RedFormState.ABNORMAL_VOUCHER, RedFormState.TAXPAYER_ABNORMAL})
_NEXT: dict[RedFormState, frozenset[RedFormState]] = {
    RedFormState.NO_CONFIRMATION: _STOPPED_BY_AUTHORITY | {RedFormState.WITHDRAWN, RedFormState.REFUND_CLAIMED},
    RedFormState.AWAITING_BUYER: _STOPPED_BY_AUTHORITY
    | {
        RedFormState.CONFIRMED,
        RedFormState.BUYER_DENIED,
        RedFormState.TIMED_OUT,
        RedFormState.WITHDRAWN,
        RedFormState.PERSON_REFUSED,
    },
    RedFormState.AWAITING_SELLER: _STOPPED_BY_AUTHORITY
    | {RedFormState.CONFIRMED, RedFormState.SELLER_DENIED, RedFormState.TIMED_OUT, RedFormState.WITHDRAWN},
    RedFormState.CONFIRMED: _STOPPED_BY_AUTHORITY | {RedFormState.WITHDRAWN_AFTERWARDS, RedFormState.REFUND_CLAIMED},
}


def first_state(*, raised_by_seller: bool, used: bool) -> RedFormState:
    """The state of a new form. ``used`` is whether the buyer confirmed its use (用途确认) or booked it: before that the
    seller corrects alone; a buyer raises a form only for what he has used."""
    if raised_by_seller:
        return RedFormState.AWAITING_BUYER if used else RedFormState.NO_CONFIRMATION
    return RedFormState.AWAITING_SELLER


def may_follow(state: RedFormState, following: RedFormState) -> bool:
    """Whether a form in one state may come to another."""
    return following in _NEXT.get(state, frozenset())


def confirm_until(raised_at: datetime) -> datetime:
    """When a pending form is void (aware, in the zone of ``raised_at``)."""
    return raised_at + timedelta(hours=CONFIRM_HOURS)
