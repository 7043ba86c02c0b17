"""The merchant's console (商户后台): log in, 扫码开票, codes, records, settings. Only people of the merchant see it."""

from . import codes, corrections, customers, entry, exports, invoices, reports, settings, today

routes = [
    *entry.routes, *today.routes, *codes.routes, *exports.routes, *invoices.routes, *corrections.routes,
    *customers.routes, *reports.routes, *settings.routes,
]  # fmt: skip
