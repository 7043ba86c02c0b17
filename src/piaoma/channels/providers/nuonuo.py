"""诺诺 (诺诺开放平台): path, headers, signature, methods and states as channels.md has them [C].

Names of fields that it does not name are those that public clients use [L], and are read tolerantly.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from piaoma.invoice.draft import InvoiceKind, LineKind, ZeroKind
from piaoma.invoice.red_form import RedReason, Side
from piaoma.invoice.totals import remark_of

from ..codes import Meaning, Told, table_of
from ..contract import RedFormRequest, RemoteRequest
from ..settings import load
from ..wire import Lost
from .orders import OrderLine, form_lines, lines_of, read_moment, written
from .provider import FormResult, Provider, ProviderSettings, Result

SERVICE = "/open/v1/services"
ISSUE = "nuonuo.OpeMplatform.requestBillingNew"
QUERY = "nuonuo.OpeMplatform.queryInvoiceResult"
RAISE_FORM = "nuonuo.OpeMplatform.saveInvoiceRedConfirm"
QUERY_FORM = "nuonuo.OpeMplatform.queryInvoiceRedConfirm"
ISSUE_RED = "nuonuo.OpeMplatform.fastInvoiceRed"
NONCE_DIGITS = 8

KINDS = {InvoiceKind.SPECIAL: "bs", InvoiceKind.GENERAL: "pc"}  # invoiceLine
NATURES = {LineKind.PLAIN: "0", LineKind.DISCOUNT: "1", LineKind.DISCOUNTED: "2"}  # invoiceLineProperty
ZEROS = {ZeroKind.EXPORT: "0", ZeroKind.EXEMPT: "1", ZeroKind.UNTAXED: "2", ZeroKind.ORDINARY: "3"}  # zeroRateFlag
REASONS = {RedReason.WRONG: "1", RedReason.RETURNED: "2", RedReason.STOPPED: "3", RedReason.REBATE: "4"}
APPLICANTS = {Side.SELLER: "0", Side.BUYER: "1"}  # applySource


class NuonuoSettings(ProviderSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file of ``channel = "nuonuo"``: ``app_key``, ``app_secret`` and ``token`` (accessToken)."""


def sign(secret: str, app_key: str, senid: str, nonce: str, timestamp: str, body: str) -> str:
    """X-Nuonuo-Sign over the body as it is sent, byte for byte."""
    text = f"a=services&l=v1&p=open&k={app_key}&i={senid}&n={nonce}&t={timestamp}&f={body}"
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


class Nuonuo(Provider):
    """See ``Provider``."""

    name = "nuonuo"
    table = table_of(__package__, "nuonuo.toml")
    settings_type = NuonuoSettings

    def __init__(self, file: Path, now: Callable[[], datetime], *, live: bool) -> None:
        """Raises ``SettingsFault``."""
        self._settings = settings = load(file, NuonuoSettings)
        super().__init__(file, settings, now, live=live)

    async def order(self, request: RemoteRequest) -> Told:
        """Under ``orderNo``, which is our serial. A red one names its form; its lines are the form's."""
        seller = request.draft.seller
        if request.red is not None:
            content: dict[str, Any] = {
                "orderNo": request.serial, "taxNum": seller.taxpayer_id, "invoiceNumber": request.red.blue_number,
                "billNo": request.red.form_number,
            }  # fmt: skip
            return (await self._call(ISSUE_RED, seller.taxpayer_id, content, "issue"))[0]
        draft, buyer = request.draft, request.draft.buyer
        order = {
            "orderNo": request.serial,
            "invoiceDate": f"{request.requested_at:%Y-%m-%d %H:%M:%S}",
            "invoiceType": "1",
            "invoiceLine": KINDS[draft.kind],
            "buyerName": buyer.name,
            "buyerTaxNum": buyer.taxpayer_id,
            "buyerAddress": buyer.address,
            "buyerTel": buyer.phone,
            "buyerAccount": f"{buyer.bank}{buyer.account}",
            "naturalPersonFlag": "1" if buyer.natural_person else "0",
            "salerTaxNum": seller.taxpayer_id,
            "salerAddress": seller.address,
            "salerTel": seller.phone,
            "salerAccount": f"{seller.bank}{seller.account}",
            "clerk": draft.drawer,
            "remark": remark_of(request.draft),
            "pushMode": "-1",
            "invoiceDetail": [_detail(line) for line in lines_of(request)],
        }
        return (await self._call(ISSUE, seller.taxpayer_id, {"order": order}, "issue"))[0]

    async def results(self, serial: str, taxpayer_id: str) -> tuple[Told, Sequence[Result]]:
        """By ``orderNos``."""
        content = {"orderNos": [serial], "isOfferInvoiceDetail": "0"}
        told, result = await self._call(QUERY, taxpayer_id, content, "query")
        rows = result if isinstance(result, list) else []
        return told, [self._result(row) for row in rows if isinstance(row, Mapping)]

    async def raise_form(self, request: RedFormRequest) -> FormResult:
        """Under ``billId``, which is our serial."""
        blue = request.blue
        content = {
            "billId": request.serial,
            "blueInvoiceLine": KINDS[blue.kind],
            "applySource": APPLICANTS[request.raised_by],
            "blueInvoiceNumber": blue.number,
            "sellerTaxNo": blue.seller.taxpayer_id,
            "sellerName": blue.seller.name,
            "buyerTaxNo": blue.buyer.taxpayer_id,
            "buyerName": blue.buyer.name,
            "redReason": REASONS[request.reason],
            "autoInvoice": "0",  # the red invoice goes out by our own order, under its own serial
            "detail": [_detail(line) | {"blueDetailIndex": str(line.place)} for line in form_lines(request)],
        }
        told, _ = await self._call(RAISE_FORM, blue.seller.taxpayer_id, content, "form")
        return FormResult(Told(told.code, told.text, Meaning.WORKING) if told.meaning is Meaning.DONE else told)

    async def find_form(self, request: RedFormRequest) -> FormResult:
        """By ``billId``."""
        content = {"identity": "0", "billId": request.serial, "pageNo": "1", "pageSize": "10"}
        told, result = await self._call(QUERY_FORM, request.blue.seller.taxpayer_id, content, "form")
        rows = result.get("list", []) if isinstance(result, Mapping) else result
        rows = [row for row in rows or [] if str(row.get("billId", request.serial)) == request.serial]
        if told.meaning is not Meaning.DONE or not rows:
            return FormResult(told if told.meaning is not Meaning.DONE else Told("", "empty", Meaning.MISSING))
        row = rows[0]
        number, state = str(row.get("billNo") or ""), str(row.get("billStatus") or "")
        return FormResult(told, number, state, read_moment(row.get("applyTime"), self.now()))

    async def _call(self, method: str, taxpayer_id: str, content: object, section: str) -> tuple[Told, Any]:
        settings = self._settings
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=written)
        senid, nonce = secrets.token_hex(16), str(10 ** (NONCE_DIGITS - 1) + secrets.randbelow(9 * 10**7))
        timestamp = str(int(self.now().timestamp()))
        headers = {
            "content-type": "application/json;charset=UTF-8",
            "X-Nuonuo-Sign": sign(settings.app_secret, settings.app_key, senid, nonce, timestamp, body),
            "accessToken": settings.token,
            "userTax": taxpayer_id,
            "method": method,
        }
        query = {"senid": senid, "nonce": nonce, "timestamp": timestamp, "appkey": settings.app_key}
        answer = await self.wire.post(SERVICE, body.encode(), headers, query)
        try:
            whole = json.loads(answer)
            told = self.table.told(section, whole["code"], whole.get("describe", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Lost("no answer of this service") from None
        return told, whole.get("result")

    def _result(self, row: Mapping[str, Any]) -> Result:
        number = str(row.get("allElectronicInvoiceNumber") or row.get("invoiceNum") or row.get("invoiceNo") or "")
        text = row.get("failCause") or row.get("statusMsg") or ""
        told = self.table.told("status", row.get("status", ""), text)
        return Result(
            str(row.get("orderNo", "")), told, number, str(row.get("xmlUrl") or row.get("invoiceXmlUrl") or "")
        )


CHANNEL = Nuonuo


def _detail(line: OrderLine) -> dict[str, Any]:
    detail = {
        "goodsName": line.name,
        "goodsCode": line.code,
        "withTaxFlag": "0",
        "taxRate": line.rate,
        "taxExcludedAmount": line.amount,
        "tax": line.tax,
        "taxIncludedAmount": line.amount + line.tax,
        "specType": line.spec,
        "unit": line.unit,
        "invoiceLineProperty": NATURES[line.kind],
        "favouredPolicyFlag": line.preference,
        "zeroRateFlag": ZEROS.get(line.zero, ""),
    }
    if line.quantity is not None:
        detail["num"] = line.quantity
    if line.unit_price is not None:
        detail["price"] = line.unit_price
    return detail
