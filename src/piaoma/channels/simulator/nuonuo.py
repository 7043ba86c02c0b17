"""诺诺 as the simulator speaks it: the signature checked over the body as it came, answers from the order desk."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from starlette.requests import Request

from piaoma.invoice.issued import RedReference
from piaoma.invoice.parties import Buyer

from ..contract import OutcomeUnknown
from ..providers import nuonuo
from ..providers.nuonuo import NuonuoSettings
from .orders import Order, OrderDesk, Verdict

TIMESTAMP_SECONDS_MAX = 600  # that a request may be old
_CODES = {
    Verdict.TAKEN: "E0000", Verdict.DUPLICATE: "E9106", Verdict.NO_NUMBERS: "E9901", Verdict.QUOTA_GONE: "E9902",
    Verdict.NO_TAXPAYER: "E9903", Verdict.BAD_FORM: "E9904", Verdict.NO_BLUE: "E9905", Verdict.REFUSED: "E9909",
}  # fmt: skip
_TEXTS = {
    Verdict.TAKEN: "成功", Verdict.DUPLICATE: "订单编号不能重复", Verdict.NO_NUMBERS: "没有可用号码",
    Verdict.QUOTA_GONE: "授信额度不足", Verdict.NO_TAXPAYER: "税号未登记", Verdict.BAD_FORM: "确认单不能开票",
    Verdict.NO_BLUE: "没有这张蓝票", Verdict.REFUSED: "演练：拒绝",
}  # fmt: skip
_KINDS = {name: kind for kind, name in nuonuo.KINDS.items()}
_NATURES = {name: kind for kind, name in nuonuo.NATURES.items()}
_ZEROS = {name: zero for zero, name in nuonuo.ZEROS.items()}
_SIDES = {name: side for side, name in nuonuo.APPLICANTS.items()}


class NuonuoDesk:
    """See ``OrderDesk``."""

    def __init__(self, orders: OrderDesk, settings: NuonuoSettings) -> None:
        self._orders = orders
        self._settings = settings
        self._methods = {
            nuonuo.ISSUE: self._issue,
            nuonuo.ISSUE_RED: self._issue_red,
            nuonuo.QUERY: self._query,
            nuonuo.RAISE_FORM: self._raise_form,
            nuonuo.QUERY_FORM: self._query_form,
        }

    async def answer(self, request: Request, body: bytes) -> bytes:
        """The answer to a call."""
        query, headers, settings = request.query_params, request.headers, self._settings
        wanted = nuonuo.sign(
            settings.app_secret, settings.app_key, query.get("senid", ""), query.get("nonce", ""),
            query.get("timestamp", ""), body.decode(errors="replace"),
        )  # fmt: skip
        if query.get("appkey") != settings.app_key:
            return _said("070101", "appkey无效")
        if not hmac.compare_digest(headers.get("x-nuonuo-sign", ""), wanted):
            return _said("070304", "签名不符")
        age = self._orders.authority.now().timestamp() - int(query["timestamp"])
        if headers.get("accesstoken") != settings.token or abs(age) > TIMESTAMP_SECONDS_MAX:
            return _said("070305", "授权已失效")
        method = self._methods.get(headers.get("method", ""))
        if method is None:
            return _said("070999", "没有这个接口")
        try:
            return await method(json.loads(body), headers.get("usertax", ""), request)
        except (KeyError, TypeError, ValueError, ArithmeticError) as fault:
            return _said("E9999", f"报文不符：{type(fault).__name__} {fault}")

    async def _issue(self, content: Mapping[str, Any], tax: str, request: Request) -> bytes:
        order = content["order"]
        if order["salerTaxNum"] != tax:
            return _told(Verdict.NO_TAXPAYER)
        buyer = Buyer(
            order["buyerName"], order["buyerTaxNum"], order["buyerAddress"], order["buyerTel"],
            natural_person=order["naturalPersonFlag"] == "1",
        )  # fmt: skip
        verdict = await self._orders.issue(Order(
            order["orderNo"], tax, _KINDS[order["invoiceLine"]], buyer, tuple(map(_line, order["invoiceDetail"])),
            order["remark"], order["clerk"],
        ))  # fmt: skip
        return _told(verdict, {"invoiceSerialNum": f"S{order['orderNo'][:19]}"})

    async def _issue_red(self, content: Mapping[str, Any], tax: str, request: Request) -> bytes:
        form = await self._orders.form_details(content["billNo"])
        if form is None or form["blueInvoiceNumber"] != content["invoiceNumber"]:
            return _told(Verdict.BAD_FORM)
        buyer = Buyer(form["buyerName"], form["buyerTaxNo"])
        verdict = await self._orders.issue(Order(
            content["orderNo"], tax, _KINDS[form["blueInvoiceLine"]], buyer, tuple(map(_line, form["detail"])),
            red=RedReference(content["invoiceNumber"], content["billNo"]),
        ))  # fmt: skip
        return _told(verdict, {"invoiceSerialNum": f"S{content['orderNo'][:19]}"})

    async def _query(self, content: Mapping[str, Any], tax: str, request: Request) -> bytes:
        rows = []
        for serial in content["orderNos"]:
            state = await self._orders.state(serial)
            if state is not None:
                rows.append(_row(serial, state.number, str(request.base_url)))
        if not rows:
            return _said("E9500", "查询不到该订单")
        twice = (await self._orders.authority.switches()).twice
        return _said("E0000", "获取成功", rows * (2 if twice else 1))

    async def _raise_form(self, content: Mapping[str, Any], tax: str, request: Request) -> bytes:
        total = sum((Decimal(line["taxIncludedAmount"]) for line in content["detail"]), Decimal(0))
        verdict, _ = await self._orders.raise_form(
            content["billId"], tax, content["blueInvoiceNumber"], _SIDES[content["applySource"]], total, content
        )
        return _told(verdict, content["billId"])

    async def _query_form(self, content: Mapping[str, Any], tax: str, request: Request) -> bytes:
        try:
            answer = await self._orders.authority.forms.query(content["billId"])
        except OutcomeUnknown:
            return _said("E9910", "处理中")
        if answer is None:
            return _said("E9500", "查询不到确认单")
        row = {"billId": content["billId"], "billNo": answer.form_number, "billStatus": answer.state}
        return _said("E0000", "获取成功", {"total": 1, "list": [row]})


def _row(serial: str, number: str, base_url: str) -> dict[str, Any]:
    if not number:
        return {"orderNo": serial, "status": "20", "statusMsg": "开票中"}
    return {
        "orderNo": serial, "status": "2", "statusMsg": "开票完成", "allElectronicInvoiceNumber": number,
        "xmlUrl": f"{base_url}files/{number}.xml",
    }  # fmt: skip


def _line(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": detail["goodsName"], "code": detail["goodsCode"], "rate": detail["taxRate"],
        "amount": detail["taxExcludedAmount"], "tax": detail["tax"], "quantity": detail.get("num"),
        "unit_price": detail.get("price"), "unit": detail["unit"], "spec": detail["specType"],
        "kind": _NATURES[detail["invoiceLineProperty"]], "preference": detail["favouredPolicyFlag"],
        "zero": _ZEROS.get(detail["zeroRateFlag"], ""),
    }  # fmt: skip


def _told(verdict: Verdict, result: object = None) -> bytes:
    return _said(_CODES[verdict], _TEXTS[verdict], result if verdict is Verdict.TAKEN else None)


def _said(code: str, text: str, result: object = None) -> bytes:
    return json.dumps({"code": code, "describe": text, "result": result}, ensure_ascii=False).encode()
