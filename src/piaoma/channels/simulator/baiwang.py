"""百望 as the simulator speaks it: the signature checked over parameters and body, answers from the order desk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from starlette.requests import Request

from piaoma.invoice.issued import RedReference
from piaoma.invoice.parties import Buyer

from ..contract import OutcomeUnknown
from ..providers import baiwang
from ..providers.baiwang import BaiwangSettings
from .orders import Order, OrderDesk, Verdict

_CODES = {
    Verdict.DUPLICATE: "BW9106", Verdict.NO_NUMBERS: "BW9901", Verdict.QUOTA_GONE: "BW9902",
    Verdict.NO_TAXPAYER: "BW9903", Verdict.BAD_FORM: "BW9904", Verdict.NO_BLUE: "BW9905", Verdict.REFUSED: "BW9909",
}  # fmt: skip
_KINDS = {name: kind for kind, name in baiwang.KINDS.items()}
_NATURES = {name: kind for kind, name in baiwang.NATURES.items()}
_ZEROS = {name: zero for zero, name in baiwang.ZEROS.items()}
_SIDES = {name: side for side, name in baiwang.ENTRIES.items()}
_EVENTS = {name: event for event, name in baiwang.WORDS.items()}


class BaiwangDesk:
    """See ``OrderDesk``."""

    def __init__(self, orders: OrderDesk, settings: BaiwangSettings) -> None:
        self._orders = orders
        self._settings = settings
        self._methods = {
            baiwang.ISSUE: self._issue,
            baiwang.QUERY: self._query,
            baiwang.FILES: self._files,
            baiwang.RAISE_FORM: self._raise_form,
            baiwang.LIST_FORMS: self._list_forms,
            baiwang.SAY_TO_FORM: self._say,
        }

    async def answer(self, request: Request, body: bytes) -> bytes:
        """The answer to a call."""
        query, settings = dict(request.query_params), self._settings
        given = query.pop("sign", "")
        if query.get("appKey") != settings.app_key or query.get("token") != settings.token:
            return _no("100002", "token无效")
        if not baiwang.is_sign(given, settings.app_secret, query, body.decode(errors="replace")):
            return _no("100003", "签名不符")
        method = self._methods.get(query.get("method", ""))
        if method is None:
            return _no("200001", "没有这个接口")
        try:
            return await method(json.loads(body), request)
        except (KeyError, TypeError, ValueError, ArithmeticError) as fault:
            return _no("BW9999", f"报文不符：{type(fault).__name__} {fault}")

    async def _issue(self, content: Mapping[str, Any], request: Request) -> bytes:
        data = content["data"]
        buyer = Buyer(
            data["buyerName"], data["buyerTaxNo"], data["buyerAddress"], data["buyerTelphone"], data["buyerBankName"],
            data["buyerBankNumber"], natural_person=data["naturalMark"] == "1",
        )  # fmt: skip
        red = RedReference(data["originalInvoiceNo"], data["redInfoNo"]) if data["invoiceType"] == "1" else None
        verdict = await self._orders.issue(Order(
            data["serialNo"], content["taxNo"], _KINDS[data["invoiceTypeCode"]], buyer,
            tuple(map(_line, data["invoiceDetailsList"])), data["remarks"], data["drawer"], red,
        ))  # fmt: skip
        return _yes([{"serialNo": data["serialNo"]}]) if verdict is Verdict.TAKEN else _told(verdict)

    async def _query(self, content: Mapping[str, Any], request: Request) -> bytes:
        serial = content["data"]["serialNo"]
        state = await self._orders.state(serial)
        if state is None:
            return _no("BW9500", "查询不到该流水号")
        row: dict[str, Any] = {"serialNo": serial, "status": "01" if state.number else "02"}
        if state.number:
            row["digitInvoiceNo"] = state.number
        twice = (await self._orders.authority.switches()).twice
        return _yes([row] * (2 if twice else 1))

    async def _files(self, content: Mapping[str, Any], request: Request) -> bytes:
        state = await self._orders.state(content["data"]["serialNo"])
        if state is None or not state.number:
            return _no("BW9500", "版式文件还没有生成")
        return _yes([{"xmlUrl": f"{request.base_url}files/{state.number}.xml"}])

    async def _raise_form(self, content: Mapping[str, Any], request: Request) -> bytes:
        total = Decimal(content["invoiceTotalPrice"]) + Decimal(content["invoiceTotalTax"])
        verdict, answer = await self._orders.raise_form(
            content["redConfirmSerialNo"], content["taxNo"], content["originalInvoiceNo"],
            _SIDES[content["entryIdentity"]], total, content,
        )  # fmt: skip
        if verdict is not Verdict.TAKEN:
            return _no("BW9909" if verdict is Verdict.REFUSED else _CODES[verdict], "确认单没有受理")
        if answer is None:
            return _no("BW9910", "处理中")
        return _yes([{
            "redConfirmSerialNo": answer.serial, "redConfirmNo": answer.form_number, "confirmState": answer.state,
        }])  # fmt: skip

    async def _list_forms(self, content: Mapping[str, Any], request: Request) -> bytes:
        serial = content["redConfirmSerialNo"]
        try:
            answer = await self._orders.authority.forms.query(serial)
        except OutcomeUnknown:
            return _no("BW9910", "处理中")
        if answer is None:
            return _no("BW9500", "查询不到确认单")
        row = {"redConfirmSerialNo": serial, "redConfirmNo": answer.form_number, "confirmState": answer.state}
        return _yes([row])

    async def _say(self, content: Mapping[str, Any], request: Request) -> bytes:
        if (await self._orders.authority.switches()).refuse:
            return _no("BW9909", "演练：操作未通过")
        by = _SIDES["01" if content["buySelSelector"] == "0" else "02"]
        verdict, state = await self._orders.act_on_form(content["redConfirmNo"], _EVENTS[content["confirmType"]], by)
        return _yes([{"confirmState": state}]) if verdict is Verdict.TAKEN else _told(verdict)


def _line(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": detail["goodsName"], "code": detail["goodsCode"], "rate": detail["goodsTaxRate"],
        "amount": detail["goodsTotalPrice"], "tax": detail["goodsTotalTax"], "quantity": detail.get("goodsQuantity"),
        "unit_price": detail.get("goodsPrice"), "unit": detail["goodsUnit"], "spec": detail["goodsSpecification"],
        "kind": _NATURES[detail["invoiceLineNature"]], "preference": detail["vatSpecialManagement"],
        "zero": _ZEROS.get(detail["freeTaxMark"], ""),
    }  # fmt: skip


def _told(verdict: Verdict) -> bytes:
    return _no(_CODES[verdict], f"没有受理 {verdict}")


def _yes(response: object) -> bytes:
    return json.dumps({"success": True, "response": response}, ensure_ascii=False).encode()


def _no(code: str, text: str) -> bytes:
    return json.dumps({"success": False, "errorResponse": {"code": code, "message": text}}, ensure_ascii=False).encode()
