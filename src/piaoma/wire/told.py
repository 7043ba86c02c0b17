"""What an answer of REST v1 holds (回答). It may gain fields, so readers skip what is new."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from .sent import Kind, Yuan, Zero


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer holds."""


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
    own_number: str
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
