"""What travels (接口类型) between a program and REST v1: one set of types, for the server, the client and OpenAPI.

Nothing of ours comes in, so that a client needs no part of the server.
"""

from .sent import (
    Buyer,
    Days,
    Kind,
    Line,
    NewCode,
    NewDelivery,
    NewGoods,
    NewInvoice,
    NewRedForm,
    NewReissue,
    NewWebhook,
    Nothing,
    RedFormAct,
    RedItem,
    ReissueAct,
    Sent,
)
from .told import (
    Code,
    Codes,
    Deliveries,
    Delivery,
    Event,
    Events,
    Fault,
    Goods,
    GoodsList,
    Invoice,
    Invoices,
    Issue,
    Merchant,
    Preview,
    Problem,
    Quota,
    RedForm,
    RedForms,
    Refusal,
    Reissue,
    Reissues,
    Told,
    Webhook,
    Webhooks,
)

__all__ = [
    "Buyer", "Code", "Codes", "Days", "Deliveries", "Delivery", "Event", "Events", "Fault", "Goods", "GoodsList",
    "Invoice", "Invoices", "Issue", "Kind", "Line", "Merchant", "NewCode", "NewDelivery", "NewGoods", "NewInvoice",
    "NewRedForm", "NewReissue", "NewWebhook", "Nothing", "Preview", "Problem", "Quota", "RedForm", "RedFormAct",
    "RedForms", "RedItem", "Refusal", "Reissue", "ReissueAct", "Reissues", "Sent", "Told", "Webhook", "Webhooks",
]  # fmt: skip
