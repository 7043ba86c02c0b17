"""The merchant's console (商户后台): log in, 扫码开票, codes, records, settings. Only people of the merchant see it."""

from . import codes, corrections, entry, inbox, invoices, settings, sheets, static_codes, today

routes = [
    *entry.routes, *today.routes, *codes.routes, *sheets.routes, *static_codes.routes, *inbox.routes,
    *invoices.routes, *corrections.routes, *settings.routes,
]  # fmt: skip
