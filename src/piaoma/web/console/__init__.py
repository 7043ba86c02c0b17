"""The merchant's console (商户后台): log in, 扫码开票, codes, records, settings. Only people of the merchant see it."""

from . import (
    account,
    anomalies,
    batches,
    behind,
    buyers,
    checkup,
    codes,
    corrections,
    customers,
    entry,
    exports,
    helpdesk,
    inbox,
    invoices,
    issuing,
    links,
    month,
    payments,
    received,
    reports,
    settings,
    sheets,
    staff,
    static_codes,
    today,
    trail,
)  # fmt: skip
from .access import declared

routes = declared([
    *entry.routes, *links.routes, *today.routes, *issuing.routes, *batches.routes, *codes.routes, *sheets.routes,
    *static_codes.routes, *inbox.routes, *exports.routes, *invoices.routes, *received.routes, *corrections.routes,
    *customers.routes, *reports.routes, *settings.routes, *buyers.routes, *checkup.routes, *anomalies.routes,
    *behind.routes, *month.routes, *payments.routes, *account.routes, *staff.routes, *trail.routes, *helpdesk.routes,
])  # fmt: skip
