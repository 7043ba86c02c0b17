"""The merchant's console (商户后台): log in, 扫码开票, codes, records, settings. Only people of the merchant see it."""

from . import codes, customers, entry, invoices, settings, today

routes = [*entry.routes, *today.routes, *codes.routes, *invoices.routes, *customers.routes, *settings.routes]
