"""The types of REST v1: what a request may hold and what an answer holds. The OpenAPI document is made from them.

Money is yuan as text with at most two decimals, never a float; ids are text; times are RFC 3339 with their zone.
A request with a field that does not stand here is refused; an answer may gain fields, so readers skip what is new.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

LINES_MAX = 2_000  # of one invoice
NAME_MAX = 300  # characters of a text at the border; the rules know narrower limits

Yuan = Annotated[str, Meta(pattern=r"^-?[0-9]{1,12}(\.[0-9]{1,2})?$", description="Yuan.", examples=["58.00"])]
Figure = Annotated[
    str, Meta(pattern=r"^[0-9]{1,12}(\.[0-9]{1,13})?$", description="A quantity or a unit price.", examples=["2"])
]
Rate = Annotated[str, Meta(pattern=r"^0(\.[0-9]{1,4})?$", description="A rate of tax.", examples=["0.06"])]
Text = Annotated[str, Meta(max_length=NAME_MAX)]
Id = Annotated[str, Meta(pattern=r"^[0-9]{1,17}$", examples=["604462909807"])]
Number = Annotated[str, Meta(pattern=r"^[0-9]{20}$", description="发票号码.", examples=["26990000000000000001"])]
Kind = Literal["general", "special"]
Pricing = Literal["inclusive", "exclusive"]
Zero = Literal["", "export", "exempt", "untaxed", "ordinary"]


class Sent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a request holds."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer holds."""


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Buyer(Sent, frozen=True):
    """购买方. A company needs its taxpayer id, a natural person none."""

    name: Text
    taxpayer_id: Text = ""
    address: Text = ""
    phone: Text = ""
    bank: Text = ""
    account: Text = ""
    natural_person: bool = False


class Line(Sent, frozen=True, kw_only=True):
    """项目行. Two of amount, quantity and unit price give the third. With ``goods_id`` what is not said is the item's;
    without a rate it is the usual one of the code."""

    name: Text = ""
    code: Annotated[str, Meta(pattern=r"^[0-9]{19}$", examples=["3070401000000000000"])] | None = None
    goods_id: Id | None = None
    rate: Rate | None = None
    amount: Yuan | None = None
    quantity: Figure | None = None
    unit_price: Figure | None = None
    unit: Text = ""
    spec: Text = ""
    kind: Literal["plain", "discount", "discounted"] = "plain"
    zero: Zero | None = None
    preference: Text = ""


Lines = Annotated[list[Line], Meta(min_length=1, max_length=LINES_MAX)]


class NewCode(Sent, frozen=True, kw_only=True):
    """A code (二维码) for one sale. With ``buyer`` the title is fixed; without, the customer fills it in."""

    lines: Lines
    kind: Kind = "general"
    pricing: Pricing = "inclusive"
    remark: Text = ""
    buyer: Buyer | None = None
    days: Annotated[int, Meta(ge=1, le=365)] = 30
    till_id: Id | None = None


class NewInvoice(Sent, frozen=True, kw_only=True):
    """An invoice that is issued straight, without a code. ``total``, when given, is compared and never used."""

    buyer: Buyer
    lines: Lines
    kind: Kind = "general"
    pricing: Pricing = "inclusive"
    remark: Text = ""
    print_seller_bank: bool = False
    print_buyer_bank: bool = False
    total: Yuan | None = None
    email: Text = ""
    till_id: Id | None = None


class Days(Sent, frozen=True):
    """How long a code is to be valid from now."""

    days: Annotated[int, Meta(ge=1, le=365)]


class Nothing(Sent, frozen=True):
    """An empty object."""


class NewDelivery(Sent, frozen=True):
    """Where an invoice is to be sent."""

    email: Text


class RedItem(Sent, frozen=True):
    """What is given back of a line, tax-inclusive. Lines are counted from 1."""

    line: Annotated[int, Meta(ge=1, le=LINES_MAX)]
    amount: Yuan


class NewRedForm(Sent, frozen=True, kw_only=True):
    """A red form (红字信息确认单); without ``items`` all that is left is taken back. ``issue`` lets the red invoice
    follow by itself as soon as the form allows it."""

    reason: Literal["wrong", "returned", "stopped", "rebate"]
    items: Annotated[list[RedItem], Meta(min_length=1, max_length=LINES_MAX)] | None = None
    issue: bool = True


class RedFormAct(Sent, frozen=True):
    """同意, 否认, 撤销, or issue the red invoice of a form that allows it."""

    act: Literal["confirm", "deny", "withdraw", "issue"]


class NewReissue(Sent, frozen=True):
    """换开: the right title."""

    buyer: Buyer


class ReissueAct(Sent, frozen=True):
    """Agree to what a customer asked, decline it, or try again now."""

    act: Literal["approve", "decline", "retry"]


class NewGoods(Sent, frozen=True, kw_only=True):
    """An item of the merchant's list (商品库). ``price`` is tax-inclusive, when it is always the same."""

    name: Text
    code: Text
    rate: Rate
    price: Figure | None = None
    unit: Text = ""
    spec: Text = ""
    zero: Zero = ""
    preference: Text = ""


class NewWebhook(Sent, frozen=True, kw_only=True):
    """An endpoint (推送地址); without ``types`` it gets everything."""

    url: Annotated[str, Meta(max_length=500, examples=["https://erp.example.cn/piaoma"])]
    types: Annotated[list[Text], Meta(max_length=20)] = []


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Fault(Told, frozen=True):
    """One thing that is wrong: where, what happened, what to do."""

    cause: str
    field: str
    what: str
    remedy: str


class Problem(Told, frozen=True):
    """RFC 9457. ``cause`` is the first of ``errors``; ``request_id`` is what support asks for."""

    type: str
    title: str
    status: int
    detail: str
    cause: str
    errors: list[Fault]
    request_id: str


class Refusal(Told, frozen=True):
    """Why something was not done, in the words of the request's language."""

    cause: str
    field: str
    what: str
    remedy: str


class Merchant(Told, frozen=True):
    """Whom the key belongs to. ``missing`` are fields of the profile that are still empty."""

    name: str
    taxpayer_id: str
    taxpayer_kind: Literal["general", "small_scale", "registered_small_scale"]
    shop_name: str
    drawer: str
    state: str
    verified: bool
    sandbox: bool
    missing: list[str]


class Quota(Told, frozen=True):
    """发票总额度 of a month, tax-exclusive."""

    month: str
    limit: Yuan
    issued: Yuan
    reserved: Yuan
    left: Yuan


class Code(Told, frozen=True):
    """A code. ``url`` is what its symbol holds. ``number`` is there once it is issued."""

    id: str
    url: str
    state: Literal["open", "viewed", "submitted", "unknown", "issued", "revoked", "expired"]
    kind: Kind
    total: Yuan
    summary: str
    buyer_name: str | None
    number: str | None
    created_at: datetime
    created_by: str
    expires_at: datetime
    refusals: list[Refusal]


class Invoice(Told, frozen=True):
    """An invoice. ``state`` is normal, red (a red invoice itself), partly_red or wholly_red (taken back)."""

    number: str
    kind: Kind
    state: Literal["normal", "red", "partly_red", "wholly_red"]
    buyer_name: str
    buyer_id: str
    amount: Yuan
    tax: Yuan
    total: Yuan
    taken_back: Yuan
    summary: str
    remark: str
    issued_at: datetime
    code_id: str | None
    corrects: str | None
    replaces: str | None


class Issue(Told, frozen=True):
    """What became of a request to issue. ``submitted`` (开票中) and ``unknown`` (结果未知) become something else later:
    ask again by ``id``, and never send the same sale under another key."""

    id: str
    state: Literal["issued", "submitted", "unknown", "refused"]
    number: str | None
    invoice: Invoice | None
    refusals: list[Refusal]


class Preview(Told, frozen=True):
    """The figures of an invoice that was not issued."""

    amount: Yuan
    tax: Yuan
    total: Yuan
    total_in_words: str
    lines: int


class Delivery(Told, frozen=True):
    """A mail with an invoice. ``target`` is masked."""

    id: str
    number: str
    target: str
    state: Literal["waiting", "sent", "opened", "downloaded", "failed"]
    attempts: int
    created_at: datetime
    changed_at: datetime


class RedForm(Told, frozen=True):
    """A red form. ``state`` is the platform's number of it, or submitted, unknown, refused before there is one."""

    id: str
    number: str
    form_number: str
    state: str
    reason: Literal["wrong", "returned", "stopped", "rebate"]
    total: Yuan
    raised_by: Literal["seller", "buyer"]
    red_number: str | None
    refusals: list[Refusal]
    created_at: datetime
    confirm_until: datetime | None


class Reissue(Told, frozen=True):
    """A 换开. ``red_number`` is there once the old invoice is red, ``new_number`` once it is done."""

    id: str
    number: str
    state: Literal["asked", "working", "confirming", "red", "done", "declined", "failed"]
    buyer_name: str
    red_number: str | None
    new_number: str | None
    refusals: list[Refusal]
    created_at: datetime
    changed_at: datetime


class Goods(Told, frozen=True):
    """An item of the list."""

    id: str
    name: str
    code: str
    rate: str
    price: str | None
    unit: str
    spec: str
    zero: Zero
    preference: str


class Event(Told, frozen=True):
    """What happened. The same bytes that webhooks get; ``sequence`` grows with the time, ``subject`` is what keeps its
    order: the invoice that started it, or the code."""

    id: str
    type: str
    timestamp: datetime
    sequence: int
    subject: str
    data: dict[str, Any]


class Webhook(Told, frozen=True):
    """An endpoint. ``secret`` is there once, in the answer that made it."""

    id: str
    url: str
    types: list[str]
    state: Literal["active", "paused"]
    created_at: datetime
    failing_since: datetime | None
    secret: str | None = None


class Codes(Told, frozen=True):
    """A page of codes, newest first."""

    items: list[Code]
    next_cursor: str


class Invoices(Told, frozen=True):
    """A page of invoices, newest first, with count and sum over all pages."""

    items: list[Invoice]
    next_cursor: str
    count: int
    total: Yuan


class Deliveries(Told, frozen=True):
    """A page of deliveries, newest first."""

    items: list[Delivery]
    next_cursor: str


class RedForms(Told, frozen=True):
    """The newest red forms, on either side."""

    items: list[RedForm]
    next_cursor: str


class Reissues(Told, frozen=True):
    """The newest requests for a 换开."""

    items: list[Reissue]
    next_cursor: str


class GoodsList(Told, frozen=True):
    """The items, last used first."""

    items: list[Goods]
    next_cursor: str


class Events(Told, frozen=True):
    """A page of events, oldest first. ``next_cursor`` is never empty: ask with it again later for what is new."""

    items: list[Event]
    next_cursor: str


class Webhooks(Told, frozen=True):
    """All endpoints."""

    items: list[Webhook]
    next_cursor: str
