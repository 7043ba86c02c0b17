"""The table of the API's routes: method, path, scope, types, causes. Whatever is not in it does not exist."""

from __future__ import annotations

import msgspec

from piaoma import wire
from piaoma.desk.api_keys import Scope
from piaoma.desk.codes import CodeState
from piaoma.desk.happenings import TYPES as EVENT_TYPES
from piaoma.desk.receipts import NARROWINGS
from piaoma.web.files import TYPES as FILES

from . import codes, invoices
from .operation import Operation, Parameter

_CURSOR = Parameter("cursor", "上一页的 next_cursor", "next_cursor of the page before", r"^[\w=.:-]{0,200}$")
_SINCE = Parameter("cursor", "上次的 next_cursor", "next_cursor of last time", r"^[0-9]{1,16}$")
_TYPE = Parameter("type", "事件类型", "Type of event", choices=EVENT_TYPES)
_SEARCH = (
    Parameter("q", "关键字", "Words"),
    Parameter("since", "起始日期", "From this day", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    Parameter("until", "截止日期", "To this day", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    Parameter("min", "最低金额", "Lowest total", r"^[0-9]{1,12}(\.[0-9]{1,2})?$"),
    Parameter("max", "最高金额", "Highest total", r"^[0-9]{1,12}(\.[0-9]{1,2})?$"),
)
_FACETS = (
    Parameter("kind", "种类", "Kind", choices=("01", "02")),
    Parameter("colour", "蓝字或红字", "Blue or red", choices=("blue", "red")),
    Parameter("clerk", "开票操作人", "Who made it"),
    Parameter("shop", "门店", "Shop"),
    Parameter("rate", "税率", "Rate"),
    Parameter("item", "项目名称", "Item"),
)
_PASSING = ("ISSUE-CHANNEL-DOWN", "ISSUE-BUSY", "ISSUE-NO-NUMBERS", "ISSUE-SIGNER-DOWN")
_DRAFT = ("TEXT-EMPTY", "RATE-UNKNOWN", "AMOUNT-EMPTY", "GOODS-NOT-FOUND", "QUOTA-EXCEEDED", "TILL-NOT-FOUND")


def _rows() -> list[Operation]:
    """The table, by subject."""
    return [
        *_tagged("merchant", _merchant()), *_tagged("codes", _codes()), *_tagged("invoices", _invoices()),
        *_tagged("deliveries", _deliveries()), *_tagged("corrections", _corrections()), *_tagged("goods", _goods()),
        *_tagged("events", _events()),
    ]  # fmt: skip


def _tagged(tag: str, rows: list[Operation]) -> list[Operation]:
    return [msgspec.structs.replace(row, tag=tag) for row in rows]


def _merchant() -> list[Operation]:
    scope = Scope.MERCHANT_READ
    return [
        Operation("GET", "/merchant", scope, "merchant", "商户资料", "The merchant", codes.show_merchant,
                  wire.Merchant),
        Operation("GET", "/quota", scope, "quota", "本月额度", "This month's quota", codes.show_quota, wire.Quota,
                  causes=("ISSUE-CHANNEL-DOWN",)),
    ]  # fmt: skip


def _codes() -> list[Operation]:
    read, write, gone = Scope.CODES_READ, Scope.CODES_WRITE, ("CODE-NOT-FOUND",)
    return [
        Operation("POST", "/codes", write, "make_code", "生成二维码", "Make a code", codes.make_code, wire.Code,
                  wire.NewCode, 201, causes=(*_DRAFT, "CODE-VALIDITY", "ISSUE-CHANNEL-DOWN")),
        Operation("GET", "/codes", read, "codes", "二维码列表", "List codes", codes.list_codes, wire.Codes,
                  query=(_CURSOR, *_SEARCH, Parameter("state", "状态", "State", choices=tuple(CodeState)))),
        Operation("GET", "/codes/{id}", read, "code", "查看二维码", "Read a code", codes.show_code, wire.Code,
                  causes=gone),
        Operation("GET", "/codes/{id}/symbol.svg", read, "code_symbol", "二维码图形", "The symbol of a code",
                  codes.code_symbol, None, causes=gone),
        Operation("POST", "/codes/{id}/revoke", write, "revoke_code", "作废二维码", "Revoke a code",
                  codes.revoke_code, wire.Code, wire.Nothing, causes=(*gone, "CODE-ISSUED"), read=codes.show_code),
        Operation("POST", "/codes/{id}/extend", write, "extend_code", "延期", "Let a code live longer",
                  codes.extend_code, wire.Code, wire.Days, causes=(*gone, "CODE-VALIDITY"), read=codes.show_code),
    ]  # fmt: skip


def _invoices() -> list[Operation]:
    read, write, gone = Scope.INVOICES_READ, Scope.INVOICES_ISSUE, ("INVOICE-NOT-FOUND",)
    return [
        Operation("POST", "/invoices", write, "issue", "直接开具发票", "Issue an invoice", invoices.issue, wire.Issue,
                  wire.NewInvoice, 201, 202, causes=(*_DRAFT, *_PASSING, "MAIL-ADDRESS", "ISSUE-KEY-REUSED")),
        Operation("POST", "/invoices/preview", write, "preview", "试算，不开具",
                  "Figures of an invoice; nothing is issued", invoices.preview, wire.Preview, wire.NewInvoice,
                  causes=_DRAFT),
        Operation("GET", "/issues/{id}", read, "issue_state", "查询开具结果", "What became of a request to issue",
                  invoices.show_issue, wire.Issue, causes=("ISSUE-NOT-FOUND",)),
        Operation("GET", "/invoices", read, "invoices", "查找发票", "Find invoices", invoices.list_invoices,
                  wire.Invoices, query=(_CURSOR, *_SEARCH, *_FACETS)),
        Operation("GET", "/invoices/{number}", read, "invoice", "查看发票", "Read an invoice", invoices.show_invoice,
                  wire.Invoice, causes=gone),
        Operation("GET", "/invoices/{number}/files/{kind}", read, "invoice_file",
                  "发票文件：" + " ".join(FILES), "A file of an invoice: " + " ".join(FILES),
                  invoices.invoice_file, None, causes=(*gone, "DOCUMENT-KIND", "DOCUMENT-RENDER-FAILED")),
    ]  # fmt: skip


def _deliveries() -> list[Operation]:
    read, send = Scope.INVOICES_READ, Scope.INVOICES_SEND
    state = Parameter("state", "状态", "State", choices=tuple(one for one in NARROWINGS if one))
    return [
        Operation("POST", "/invoices/{number}/deliveries", send, "send_invoice", "发送到邮箱", "Send by mail",
                  invoices.send_invoice, wire.Delivery, wire.NewDelivery, 201,
                  causes=("INVOICE-NOT-FOUND", "MAIL-ADDRESS", "REQUEST-TOO-MANY")),
        Operation("GET", "/invoices/{number}/deliveries", read, "invoice_deliveries", "发票的交付记录",
                  "Deliveries of an invoice", invoices.invoice_deliveries, wire.Deliveries,
                  causes=("INVOICE-NOT-FOUND",)),
        Operation("GET", "/deliveries", read, "deliveries", "全部交付", "List deliveries", invoices.list_deliveries,
                  wire.Deliveries, query=(_CURSOR, state)),
        Operation("POST", "/deliveries/{id}/retry", send, "retry_delivery", "重试失败的交付",
                  "Try a failed delivery again", invoices.retry_delivery, wire.Deliveries, wire.Nothing,
                  causes=("JOB-NOT-FOUND",)),
    ]  # fmt: skip


def _corrections() -> list[Operation]:
    read, write = Scope.CORRECTIONS_READ, Scope.CORRECTIONS_WRITE
    form, reissue = ("RED-FORM-NOT-FOUND",), ("REISSUE-NOT-FOUND",)
    return [
        Operation("POST", "/invoices/{number}/red-forms", write, "raise_red_form", "红冲", "Take an invoice back",
                  invoices.raise_red_form, wire.RedForm, wire.NewRedForm, 201,
                  causes=("INVOICE-NOT-FOUND", "RED-OF-RED", "RED-WHOLLY", "RED-EXCEEDS", "RED-FORM-OPEN",
                          "ISSUE-CHANNEL-DOWN")),
        Operation("GET", "/red-forms", read, "red_forms", "红字信息确认单列表", "List red forms",
                  invoices.list_red_forms, wire.RedForms),
        Operation("GET", "/red-forms/{id}", read, "red_form", "查看确认单", "Read a red form", invoices.show_red_form,
                  wire.RedForm, causes=form),
        Operation("POST", "/red-forms/{id}/acts", write, "act_on_red_form", "同意、否认、撤销或开具红字发票",
                  "Confirm, deny, withdraw a red form, or issue its invoice", invoices.act_on_red_form, wire.RedForm,
                  wire.RedFormAct, causes=(*form, "RED-FORM-STATE", "RED-FORM-SIDE"), read=invoices.show_red_form),
        Operation("POST", "/invoices/{number}/reissues", write, "start_reissue", "换开（改抬头）",
                  "Issue anew with another title", invoices.start_reissue, wire.Reissue, wire.NewReissue, 201,
                  causes=("INVOICE-NOT-FOUND", "REISSUE-REPLACED", "REISSUE-PARTLY-RED", "REISSUE-UNDER-WAY")),
        Operation("GET", "/reissues", read, "reissues", "换开列表", "List requests for another title",
                  invoices.list_reissues, wire.Reissues),
        Operation("GET", "/reissues/{id}", read, "reissue", "查看换开", "Read a request for another title",
                  invoices.show_reissue, wire.Reissue, causes=reissue),
        Operation("POST", "/reissues/{id}/acts", write, "act_on_reissue", "同意、不同意或重试换开",
                  "Agree to a request, decline it, or try again", invoices.act_on_reissue, wire.Reissue,
                  wire.ReissueAct, causes=(*reissue, "REISSUE-STATE"), read=invoices.show_reissue),
    ]  # fmt: skip


def _goods() -> list[Operation]:
    read, write, gone = Scope.GOODS_READ, Scope.GOODS_WRITE, ("GOODS-NOT-FOUND",)
    return [
        Operation("GET", "/goods", read, "goods", "商品库", "List goods", codes.list_goods, wire.GoodsList),
        Operation("POST", "/goods", write, "add_goods", "添加商品", "Add an item", codes.add_goods, wire.Goods,
                  wire.NewGoods, 201),
        Operation("GET", "/goods/{id}", read, "item", "查看商品", "Read an item", codes.show_goods, wire.Goods,
                  causes=gone),
        Operation("PUT", "/goods/{id}", write, "change_goods", "修改商品", "Change an item", codes.change_goods,
                  wire.Goods, wire.NewGoods, causes=gone, read=codes.show_goods),
        Operation("DELETE", "/goods/{id}", write, "remove_goods", "删除商品", "Remove an item", codes.remove_goods,
                  wire.Nothing, causes=gone, read=codes.show_goods),
    ]  # fmt: skip


def _events() -> list[Operation]:
    read, write = Scope.EVENTS_READ, Scope.WEBHOOKS_WRITE
    place = ("WEBHOOK-URL", "WEBHOOK-HOST", "WEBHOOK-PRIVATE", "WEBHOOK-PLAIN", "WEBHOOK-TYPES", "WEBHOOK-TOO-MANY")
    return [
        Operation("GET", "/events", read, "events", "事件，从旧到新", "What happened, oldest first",
                  invoices.list_events, wire.Events, query=(_SINCE, _TYPE)),
        Operation("GET", "/events/{id}", read, "event", "查看事件", "Read an event", invoices.show_event, wire.Event,
                  causes=("EVENT-NOT-FOUND",)),
        Operation("POST", "/events/{id}/replay", write, "replay_event", "重新推送事件", "Send an event again",
                  invoices.replay_event, wire.Event, wire.Nothing, causes=("EVENT-NOT-FOUND",)),
        Operation("GET", "/webhooks", write, "webhooks", "推送地址", "List endpoints", invoices.list_webhooks,
                  wire.Webhooks),
        Operation("POST", "/webhooks", write, "add_webhook", "添加推送地址", "Add an endpoint", invoices.add_webhook,
                  wire.Webhook, wire.NewWebhook, 201, causes=place),
        Operation("DELETE", "/webhooks/{id}", write, "remove_webhook", "删除推送地址", "Remove an endpoint",
                  invoices.remove_webhook, wire.Nothing, causes=("WEBHOOK-NOT-FOUND",)),
    ]  # fmt: skip


OPERATIONS = _rows()
