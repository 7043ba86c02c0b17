"""The merchant's console (商户后台): log in, 扫码开票, codes, records, settings. Only people of the merchant see it."""

from . import (
    account,
    channel,
    codes,
    corrections,
    customers,
    entry,
    exports,
    inbox,
    invoices,
    links,
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
    *entry.routes, *links.routes, *today.routes, *codes.routes, *sheets.routes, *static_codes.routes, *inbox.routes,
    *exports.routes, *invoices.routes, *corrections.routes, *customers.routes, *reports.routes, *channel.routes,
    *settings.routes, *account.routes, *staff.routes, *trail.routes,
])  # fmt: skip
