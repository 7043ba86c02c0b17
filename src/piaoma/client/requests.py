"""Every request by name, the same for both clients: what it is called is what the OpenAPI document calls it."""

from __future__ import annotations

from urllib.parse import quote

from piaoma import wire

from .calls import Call, call

NOTHING = wire.Nothing()


def merchant() -> Call[wire.Merchant]:
    return call("GET", "/merchant", wire.Merchant)


def quota() -> Call[wire.Quota]:
    return call("GET", "/quota", wire.Quota)


def make_code(new: wire.NewCode, key: str = "") -> Call[wire.Code]:
    return call("POST", "/codes", wire.Code, new, key=key)


def code(code_id: str) -> Call[wire.Code]:
    return call("GET", f"/codes/{_part(code_id)}", wire.Code)


def codes(q: str = "", state: str = "", cursor: str = "") -> Call[wire.Codes]:
    return call("GET", "/codes", wire.Codes, query={"q": q, "state": state, "cursor": cursor})


def revoke_code(code_id: str) -> Call[wire.Code]:
    return call("POST", f"/codes/{_part(code_id)}/revoke", wire.Code, NOTHING)


def preview(new: wire.NewInvoice) -> Call[wire.Preview]:
    return call("POST", "/invoices/preview", wire.Preview, new)


def issue(new: wire.NewInvoice, key: str) -> Call[wire.Issue]:
    return call("POST", "/invoices", wire.Issue, new, key=key)


def issue_state(issue_id: str) -> Call[wire.Issue]:
    return call("GET", f"/issues/{_part(issue_id)}", wire.Issue)


def invoices(q: str = "", since: str = "", until: str = "", cursor: str = "") -> Call[wire.Invoices]:
    query = {"q": q, "since": since, "until": until, "cursor": cursor}
    return call("GET", "/invoices", wire.Invoices, query=query)


def invoice(number: str) -> Call[wire.Invoice]:
    return call("GET", f"/invoices/{_part(number)}", wire.Invoice)


def invoice_file(number: str, kind: str) -> Call[bytes]:
    return Call("GET", f"/invoices/{_part(number)}/files/{_part(kind)}", None)


def send_invoice(number: str, email: str, key: str = "") -> Call[wire.Delivery]:
    return call("POST", f"/invoices/{_part(number)}/deliveries", wire.Delivery, wire.NewDelivery(email), key=key)


def raise_red_form(number: str, new: wire.NewRedForm, key: str) -> Call[wire.RedForm]:
    return call("POST", f"/invoices/{_part(number)}/red-forms", wire.RedForm, new, key=key)


def red_form(form_id: str) -> Call[wire.RedForm]:
    return call("GET", f"/red-forms/{_part(form_id)}", wire.RedForm)


def start_reissue(number: str, buyer: wire.Buyer, key: str) -> Call[wire.Reissue]:
    return call("POST", f"/invoices/{_part(number)}/reissues", wire.Reissue, wire.NewReissue(buyer), key=key)


def reissue(reissue_id: str) -> Call[wire.Reissue]:
    return call("GET", f"/reissues/{_part(reissue_id)}", wire.Reissue)


def goods() -> Call[wire.GoodsList]:
    return call("GET", "/goods", wire.GoodsList)


def add_goods(new: wire.NewGoods, key: str = "") -> Call[wire.Goods]:
    return call("POST", "/goods", wire.Goods, new, key=key)


def events(cursor: str = "", kind: str = "") -> Call[wire.Events]:
    return call("GET", "/events", wire.Events, query={"cursor": cursor, "type": kind})


def _part(text: str) -> str:
    """One part of a path, whatever is in it."""
    return quote(text, safe=":")
