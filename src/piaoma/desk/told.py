"""What programs are told (接口对象): values of the desk as the types of REST v1, for its answers and for webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from piaoma import wire
from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.parties import TaxpayerKind
from piaoma.invoice.red_form import RedReason
from piaoma.invoice.refusal import Language
from piaoma.invoice.refusal import Refusal as Reason
from piaoma.store import RedForm as StoredForm

from . import codes, goods, merchant, receipts, records
from .reissue_book import Reissue as Book

if TYPE_CHECKING:
    from .direct import Standing
    from .office import Office

KINDS: dict[InvoiceKind, wire.Kind] = {InvoiceKind.GENERAL: "general", InvoiceKind.SPECIAL: "special"}
TAXPAYERS: dict[TaxpayerKind, Literal["general", "small_scale", "registered_small_scale"]] = {
    TaxpayerKind.GENERAL: "general",
    TaxpayerKind.SMALL_SCALE: "small_scale",
    TaxpayerKind.REGISTERED_SMALL_SCALE: "registered_small_scale",
}
REASONS: dict[RedReason, Literal["wrong", "returned", "stopped", "rebate"]] = {
    RedReason.WRONG: "wrong", RedReason.RETURNED: "returned", RedReason.STOPPED: "stopped", RedReason.REBATE: "rebate",
}  # fmt: skip


def yuan(value: Decimal) -> str:
    """Money as REST v1 writes it: ``58.00``, without separators."""
    return f"{value:.2f}"


def refusals_of(refusals: Sequence[Reason], language: Language) -> list[wire.Refusal]:
    """Reasons in a language."""
    return [
        wire.Refusal(cause=one.cause, field=one.field, what=one.what(language), remedy=one.remedy(language))
        for one in refusals
    ]


def merchant_of(office: Office, one: merchant.Merchant) -> wire.Merchant:
    """Whom a key belongs to."""
    return wire.Merchant(
        name=one.name, taxpayer_id=one.taxpayer_id, taxpayer_kind=TAXPAYERS[one.taxpayer_kind],
        shop_name=one.shop_name, drawer=one.drawer, state=one.state, verified=one.verified,
        sandbox=office.config.sandbox, missing=list(one.missing),
    )  # fmt: skip


def quota_of(one: merchant.Quota) -> wire.Quota:
    """The quota of a month."""
    return wire.Quota(
        month=one.month, limit=yuan(one.limit), issued=yuan(one.issued), reserved=yuan(one.reserved),
        left=yuan(one.left),
    )  # fmt: skip


def code_of(one: codes.Code, language: Language) -> wire.Code:
    """A code."""
    return wire.Code(
        id=str(one.code_id), url=one.url, state=one.state.value, kind=KINDS[one.kind], total=yuan(one.total),
        summary=one.summary, own_number=one.offer.own_number, buyer_name=one.buyer_name, number=one.number,
        created_at=one.created_at, created_by=one.created_by, expires_at=one.expires_at,
        refusals=refusals_of(one.refusals, language),
    )  # fmt: skip


def invoice_of(one: records.Invoice) -> wire.Invoice:
    """An invoice."""
    state: Literal["normal", "red", "partly_red", "wholly_red"] = "normal"
    if one.corrects is not None:
        state = "red"
    elif one.taken:
        state = "wholly_red" if one.taken == one.total else "partly_red"
    return wire.Invoice(
        number=one.number, kind=KINDS[one.kind], state=state, buyer_name=one.buyer_name, buyer_id=one.buyer_id,
        amount=yuan(one.amount), tax=yuan(one.tax), total=yuan(one.total), taken_back=yuan(one.taken),
        summary=one.summary, remark=one.remark, issued_at=one.issued_at,
        code_id=None if one.code_id is None else str(one.code_id), corrects=one.corrects, replaces=one.replaces,
    )  # fmt: skip


async def issue_of(office: Office, merchant_id: int, one: Standing, language: Language) -> wire.Issue:
    """What became of a request to issue, with its invoice."""
    made = await records.invoice(office, merchant_id, one.number) if one.number else None
    return wire.Issue(
        id=one.issue_id, state=one.state.value, number=one.number,
        invoice=None if made is None else invoice_of(made), refusals=refusals_of(one.refusals, language),
    )  # fmt: skip


def delivery_of(one: receipts.Mail) -> wire.Delivery:
    """A mail with an invoice."""
    return wire.Delivery(
        id=one.job_id, number=one.number, target=one.target, state=one.proof.value, attempts=one.attempts,
        created_at=one.created_at, changed_at=one.changed_at,
    )  # fmt: skip


def red_form_of(one: StoredForm, language: Language) -> wire.RedForm:
    """A red form."""
    state = one.state.value if one.state is not None else (one.open_state or "submitted")
    return wire.RedForm(
        id=one.form_id, number=one.blue_number, form_number=one.form_number, state=state, reason=REASONS[one.reason],
        total=yuan(one.total), raised_by=one.raised_by.value, red_number=one.number,
        refusals=refusals_of(one.refusals, language), created_at=one.created_at, confirm_until=one.confirm_until,
    )  # fmt: skip


def reissue_of(one: Book, language: Language) -> wire.Reissue:
    """A 换开."""
    return wire.Reissue(
        id=one.reissue_id, number=one.blue_number, state=one.state.value, buyer_name=one.buyer.name,
        red_number=one.red_number, new_number=one.new_number, refusals=refusals_of(one.refusals, language),
        created_at=one.created_at, changed_at=one.changed_at,
    )  # fmt: skip


def goods_of(one: goods.Goods) -> wire.Goods:
    """An item of the list."""
    return wire.Goods(
        id=str(one.goods_id), name=one.name, code=one.code, rate=str(one.rate),
        price=None if one.price is None else str(one.price), unit=one.unit, spec=one.spec, zero=one.zero.value,
        preference=one.preference,
    )  # fmt: skip
