"""Who may do what (权限): one table of every console route, and nothing is allowed that does not stand in it.

A route without an entry ends the start of the program; docs/access.md and the tests of the matrix are made from here.
"""

from __future__ import annotations

import msgspec

from piaoma.desk.roles import EVERYBODY, OWNER, Role

MAKERS = frozenset({Role.OWNER, Role.CLERK, Role.CASHIER})
KEEPERS = frozenset({Role.OWNER, Role.CLERK})
SENDERS = EVERYBODY - {Role.READER, Role.AUDITOR}
BOOKS = frozenset({Role.OWNER, Role.ACCOUNTANT})
BOOKS_READ = BOOKS | {Role.AUDITOR}
CORRECTORS = frozenset({Role.OWNER, Role.CLERK, Role.ACCOUNTANT})


class Right(msgspec.Struct, frozen=True):
    """What a route asks of who comes.

    ``changes`` is the kind of event that a request leaves in the trail, empty when it changes nothing. ``pin`` allows
    a session that was opened by PIN at a till. ``factor`` is the point of the owner's policy that may demand a fresh
    second factor.
    """

    who: frozenset[Role]
    changes: str = ""
    pin: bool = False
    factor: str = ""


RIGHTS: dict[tuple[str, str], Right] = {
    ("POST", "/console/logout"): Right(EVERYBODY, "session.close", pin=True),
    ("POST", "/console/switch"): Right(EVERYBODY, "session.switch"),
    # Today and codes
    ("GET", "/console"): Right(EVERYBODY, pin=True),
    ("GET", "/console/menu"): Right(EVERYBODY, pin=True),
    ("GET", "/console/board"): Right(EVERYBODY, pin=True),
    ("GET", "/console/board/events"): Right(EVERYBODY, pin=True),
    ("GET", "/console/board/state.json"): Right(EVERYBODY, pin=True),
    ("GET", "/console/codes"): Right(EVERYBODY, pin=True),
    ("GET", "/console/codes/new"): Right(MAKERS, pin=True),
    # A 专票 asks for the second factor inside: only the form says which kind it is.
    ("POST", "/console/codes/new"): Right(MAKERS, "code.make", pin=True),
    ("POST", "/console/codes/preview"): Right(MAKERS, pin=True),
    ("POST", "/console/codes/photo"): Right(MAKERS, pin=True),
    ("GET", "/console/codes/drafts"): Right(MAKERS, pin=True),
    ("POST", "/console/codes/drafts"): Right(MAKERS, "draft.save", pin=True),
    ("GET", "/console/codes/{code_id}/change"): Right(MAKERS, pin=True),
    ("POST", "/console/codes/{code_id}/change"): Right(MAKERS, "code.change", pin=True),
    ("GET", "/console/goods.json"): Right(MAKERS, pin=True),
    ("GET", "/console/buyers.json"): Right(MAKERS, pin=True),
    ("GET", "/console/codes/{code_id}"): Right(EVERYBODY, pin=True),
    ("POST", "/console/codes/{code_id}"): Right(MAKERS, "code.revoke", pin=True),
    ("GET", "/console/codes/{code_id}/symbol.{kind}"): Right(EVERYBODY, pin=True),
    ("GET", "/console/codes/{code_id}/large"): Right(EVERYBODY, pin=True),
    ("GET", "/console/codes/{code_id}/picture.png"): Right(EVERYBODY, pin=True),
    ("GET", "/console/sheets"): Right(EVERYBODY, pin=True),
    ("GET", "/console/sheets.pdf"): Right(EVERYBODY, pin=True),
    ("GET", "/console/codes/{code_id}/events"): Right(EVERYBODY, pin=True),
    ("GET", "/console/codes/{code_id}/state.json"): Right(EVERYBODY, pin=True),
    # Static codes and what their customers apply for
    ("GET", "/console/static"): Right(EVERYBODY, pin=True),
    ("GET", "/console/static/new"): Right(MAKERS),
    ("POST", "/console/static/new"): Right(MAKERS, "static.make"),
    ("GET", "/console/static/{static_id}"): Right(EVERYBODY, pin=True),
    ("GET", "/console/static/{static_id}/symbol.svg"): Right(EVERYBODY, pin=True),
    ("GET", "/console/static/{static_id}/change"): Right(MAKERS),
    ("POST", "/console/static/{static_id}/change"): Right(MAKERS, "static.change"),
    ("POST", "/console/static/{static_id}"): Right(MAKERS, "static.revoke"),
    ("GET", "/console/inbox"): Right(EVERYBODY, pin=True),
    ("GET", "/console/inbox/count.json"): Right(EVERYBODY, pin=True),
    ("GET", "/console/inbox/state.json"): Right(EVERYBODY, pin=True),
    ("GET", "/console/inbox/events"): Right(EVERYBODY, pin=True),
    ("POST", "/console/inbox/{application_id}"): Right(MAKERS, "application.refuse", pin=True),
    ("POST", "/console/inbox"): Right(MAKERS, "application.approve", pin=True),
    # Sheets of sales: lists of customers, and much at once, are not for the till.
    ("GET", "/console/batches"): Right(CORRECTORS),
    ("POST", "/console/batches"): Right(CORRECTORS, "batch.make"),
    ("GET", "/console/batches/template.xlsx"): Right(CORRECTORS),
    ("GET", "/console/batches/{batch_id}"): Right(CORRECTORS),
    # Where the sheet holds 专票 the second factor is asked for inside.
    ("POST", "/console/batches/{batch_id}"): Right(CORRECTORS, "batch.start"),
    ("GET", "/console/batches/{batch_id}/state.json"): Right(CORRECTORS),
    ("GET", "/console/batches/{batch_id}/{what}.xlsx"): Right(CORRECTORS),
    # Invoices
    ("GET", "/console/invoices"): Right(EVERYBODY, pin=True),
    ("GET", "/console/invoices/{number}"): Right(EVERYBODY, pin=True),
    ("POST", "/console/invoices/{number}"): Right(SENDERS, "invoice.send", pin=True),
    ("GET", "/console/invoices/{number}/file/{kind}"): Right(EVERYBODY, pin=True),
    ("POST", "/console/deliveries/retry"): Right(SENDERS - {Role.CASHIER}, "delivery.retry"),
    ("POST", "/console/invoices/searches"): Right(CORRECTORS, "search.save"),
    # What customers ask, and what became of their mails
    ("GET", "/console/questions"): Right(EVERYBODY, pin=True),
    ("POST", "/console/questions"): Right(SENDERS, "question.answer", pin=True),
    ("GET", "/console/mails"): Right(EVERYBODY, pin=True),
    ("POST", "/console/mails"): Right(SENDERS, "delivery.again"),
    # Exports and reports: whole lists of customers and of what was earned are not for the till.
    ("POST", "/console/invoices/batch"): Right(EVERYBODY - {Role.CASHIER}, "export.make"),
    ("GET", "/console/exports"): Right(EVERYBODY - {Role.CASHIER}),
    ("GET", "/console/exports/{export_id}"): Right(EVERYBODY - {Role.CASHIER}),
    ("GET", "/console/exports/{export_id}/state.json"): Right(EVERYBODY - {Role.CASHIER}),
    ("POST", "/console/exports/{export_id}/cancel"): Right(EVERYBODY - {Role.CASHIER}, "export.cancel"),
    ("GET", "/console/exports/{export_id}/file"): Right(EVERYBODY - {Role.CASHIER}),
    ("GET", "/console/reports/issued"): Right(EVERYBODY - {Role.CASHIER}),
    ("GET", "/console/reports/taxes"): Right(EVERYBODY - {Role.CASHIER}),
    # Received invoices: whoever spends for the merchant brings them, its books decide.
    ("GET", "/console/received"): Right(EVERYBODY - {Role.CASHIER}),
    ("POST", "/console/received"): Right(CORRECTORS, "received.add"),
    ("POST", "/console/received/book"): Right(BOOKS, "received.book"),
    ("POST", "/console/received/export"): Right(EVERYBODY - {Role.CASHIER}, "export.make"),
    ("POST", "/console/received/address"): Right(BOOKS, "received.address"),
    ("GET", "/console/received/{entry}"): Right(EVERYBODY - {Role.CASHIER}),
    ("POST", "/console/received/{entry}"): Right(BOOKS, "received.book"),
    ("GET", "/console/received/{entry}/file/{kind}"): Right(EVERYBODY - {Role.CASHIER}),
    ("GET", "/console/reports/failures"): Right(EVERYBODY - {Role.CASHIER}),
    ("GET", "/console/reports/waits"): Right(EVERYBODY, pin=True),
    ("GET", "/console/reports/savings"): Right(EVERYBODY - {Role.CASHIER}),
    # Findings, for whoever may look at the whole of the trade
    ("GET", "/console/anomalies"): Right(EVERYBODY - {Role.CASHIER}),
    ("GET", "/console/anomalies/{finding_id}"): Right(EVERYBODY - {Role.CASHIER}),
    ("POST", "/console/anomalies/{finding_id}"): Right(CORRECTORS, "finding.mark"),
    ("GET", "/console/settings/anomalies"): Right(BOOKS),
    ("POST", "/console/settings/anomalies"): Right(OWNER, "watch.change", factor="settings"),
    # Month's end and quota
    ("GET", "/console/tax"): Right(BOOKS_READ),
    ("POST", "/console/tax"): Right(BOOKS, "month.confirm"),
    ("GET", "/console/quota"): Right(EVERYBODY - {Role.CASHIER}),
    ("POST", "/console/quota"): Right(BOOKS, "quota.apply"),
    # Payments against invoices
    ("GET", "/console/payments"): Right(BOOKS_READ),
    ("POST", "/console/payments"): Right(BOOKS, "payment.upload"),
    ("GET", "/console/payments/{file_id}"): Right(BOOKS_READ),
    ("POST", "/console/payments/{file_id}"): Right(BOOKS, "payment.match"),
    # Corrections: 红冲 and 换开
    ("GET", "/console/corrections"): Right(EVERYBODY - {Role.CASHIER}),
    ("GET", "/console/corrections/received"): Right(CORRECTORS),
    ("POST", "/console/corrections/received"): Right(CORRECTORS, "red.raise", factor="red"),
    ("GET", "/console/corrections/forms/{form_id}"): Right(EVERYBODY - {Role.CASHIER}),
    ("POST", "/console/corrections/forms/{form_id}"): Right(CORRECTORS, "red.act", factor="red"),
    ("GET", "/console/corrections/reissues/{reissue_id}"): Right(EVERYBODY - {Role.CASHIER}),
    ("POST", "/console/corrections/reissues/{reissue_id}"): Right(CORRECTORS, "reissue.act", factor="red"),
    ("GET", "/console/invoices/{number}/red"): Right(CORRECTORS),
    ("POST", "/console/invoices/{number}/red"): Right(CORRECTORS, "red.raise", factor="red"),
    ("GET", "/console/invoices/{number}/reissue"): Right(CORRECTORS),
    ("POST", "/console/invoices/{number}/reissue"): Right(CORRECTORS, "reissue.start", factor="red"),
    ("GET", "/console/settings/corrections"): Right(EVERYBODY - {Role.CASHIER}),
    ("POST", "/console/settings/corrections"): Right(OWNER, "policy.reissue", factor="settings"),
    # Settings
    ("GET", "/console/settings/profile"): Right(EVERYBODY - {Role.CASHIER}),
    ("POST", "/console/settings/profile"): Right(OWNER, "profile.change", factor="settings"),
    ("GET", "/console/settings/goods"): Right(EVERYBODY, pin=True),
    ("POST", "/console/settings/goods"): Right(KEEPERS, "goods.save"),
    ("GET", "/console/settings/buyers"): Right(CORRECTORS),
    ("POST", "/console/settings/buyers"): Right(CORRECTORS, "buyer.save"),
    ("GET", "/console/settings/check"): Right(CORRECTORS),
    ("GET", "/console/classification.json"): Right(EVERYBODY, pin=True),
    ("GET", "/console/settings/people"): Right(OWNER),
    ("POST", "/console/settings/people/invite"): Right(OWNER, "staff.invite", factor="settings"),
    ("POST", "/console/settings/people/withdraw"): Right(OWNER, "staff.withdraw", factor="settings"),
    ("POST", "/console/settings/people/{person_id}"): Right(OWNER, "staff.change", factor="settings"),
    ("GET", "/console/settings/shops"): Right(OWNER),
    ("POST", "/console/settings/shops"): Right(OWNER, "shop.save", factor="settings"),
    ("POST", "/console/settings/tills"): Right(OWNER, "till.save", factor="settings"),
    ("POST", "/console/settings/tills/{till_id}/enrol"): Right(OWNER, "till.enrol", factor="settings"),
    ("GET", "/console/settings/security"): Right(OWNER),
    ("POST", "/console/settings/security"): Right(OWNER, "policy.change", factor="settings"),
    ("GET", "/console/events"): Right(BOOKS_READ),
    ("POST", "/console/events/export"): Right(BOOKS_READ, "export.make"),
    # Support, announcements, the channel, training
    ("GET", "/console/support"): Right(EVERYBODY - {Role.AUDITOR}),
    ("GET", "/console/support/{ticket_id}"): Right(EVERYBODY - {Role.AUDITOR}),
    ("POST", "/console/support/{ticket_id}"): Right(EVERYBODY - {Role.AUDITOR}, "ticket.reply"),
    ("POST", "/console/announcements/dismiss"): Right(EVERYBODY, "announcement.dismiss"),
    ("GET", "/console/settings/channel"): Right(EVERYBODY - {Role.CASHIER}),
    ("GET", "/console/training"): Right(EVERYBODY - {Role.AUDITOR}),
    ("POST", "/console/training"): Right(EVERYBODY - {Role.AUDITOR}, "training.enter"),
    # One's own account
    ("GET", "/console/account"): Right(EVERYBODY),
    ("POST", "/console/account/name"): Right(EVERYBODY, "account.name"),
    ("POST", "/console/account/password"): Right(EVERYBODY, "account.password"),
    ("POST", "/console/account/pin"): Right(EVERYBODY, "account.pin"),
    ("POST", "/console/account/sessions"): Right(EVERYBODY, "session.end"),
    ("GET", "/console/account/email"): Right(EVERYBODY),
    ("POST", "/console/account/email"): Right(EVERYBODY, "account.email_code"),
    ("POST", "/console/account/email/proof"): Right(EVERYBODY, "account.email"),
    ("GET", "/console/account/factors"): Right(EVERYBODY),
    ("POST", "/console/account/factors"): Right(EVERYBODY, "account.factor_add"),
    ("GET", "/console/account/factors/passkey"): Right(EVERYBODY),
    ("POST", "/console/account/factors/passkey"): Right(EVERYBODY, "account.factor_add"),
    ("POST", "/console/account/factors/remove"): Right(EVERYBODY, "account.factor_remove"),
    ("POST", "/console/account/recovery-codes"): Right(EVERYBODY, "account.recovery_codes"),
    ("GET", "/console/account/confirm"): Right(EVERYBODY),
    ("POST", "/console/account/confirm"): Right(EVERYBODY, "session.factor"),
    ("GET", "/console/account/confirm/passkey"): Right(EVERYBODY),
}

# Routes for those who are not logged in yet. Each looks after itself: by password, cookie of a device, or secret link.
OPEN = frozenset({
    ("GET", "/console/register"), ("POST", "/console/register"),
    ("GET", "/console/login"), ("POST", "/console/login"),
    ("GET", "/console/login/second"), ("POST", "/console/login/second"), ("GET", "/console/login/second/passkey"),
    ("GET", "/console/till"), ("POST", "/console/till"),
    ("GET", "/recover"), ("POST", "/recover"), ("GET", "/recover/{secret}"), ("POST", "/recover/{secret}"),
    ("GET", "/join/{secret}"), ("POST", "/join/{secret}"),
})  # fmt: skip
# For operators of the platform alone (``web/operator.py``, ``web/operation.py``).
OPERATORS = frozenset({
    ("GET", "/operator"), ("POST", "/operator/logout"), ("POST", "/operator/{merchant_id}"),
    ("GET", "/operator/tickets"),
    ("GET", "/operator/tickets/{merchant_id}/{ticket_id}"), ("POST", "/operator/tickets/{merchant_id}/{ticket_id}"),
    ("GET", "/operator/health"), ("POST", "/operator/health"),
    ("GET", "/operator/retention"), ("POST", "/operator/retention"),
    ("GET", "/operator/announcements"), ("POST", "/operator/announcements"),
    ("GET", "/operator/audits"), ("POST", "/operator/audits"),
    ("GET", "/operator/trail"),
    ("GET", "/operator/merchants/{merchant_id}"), ("POST", "/operator/merchants/{merchant_id}"),
})  # fmt: skip


def may(role: Role, path: str, method: str = "GET", *, by_pin: bool = False) -> bool:
    """Whether a role may open a page or send a form: what navigation and pages show."""
    right = RIGHTS[(method, path)]
    return role in right.who and (right.pin or not by_pin)
