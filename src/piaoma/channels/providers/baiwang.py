"""百望 (百望云开放平台): path, methods and signature as channels.md has them [C]; names of fields that it does not name
are those that public clients use [L], states of an order are read by the table [U].
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from piaoma.invoice.draft import InvoiceKind, LineKind, ZeroKind
from piaoma.invoice.red_form import RedFormEvent, Side
from piaoma.invoice.totals import remark_of

from ..codes import Meaning, Told, table_of
from ..contract import RedFormRequest, RemoteRequest
from ..settings import load
from ..wire import Lost
from .orders import OrderLine, form_lines, lines_of, read_moment, written
from .provider import FormResult, Provider, ProviderSettings, Result

SERVICE = "/router/rest"
ISSUE = "baiwang.output.invoice.issue"
QUERY = "baiwang.output.invoice.query"
FILES = "baiwang.output.format.query"
RAISE_FORM = "baiwang.output.redinvoice.add"
LIST_FORMS = "baiwang.output.redinvoice.formlist"
SAY_TO_FORM = "baiwang.output.redinvoice.operate"
VERSIONS = {RAISE_FORM: "7.0", LIST_FORMS: "7.0", SAY_TO_FORM: "7.0"}  # the others 6.0, with ``data``

KINDS = {InvoiceKind.SPECIAL: "01", InvoiceKind.GENERAL: "02"}  # invoiceTypeCode
NATURES = {LineKind.PLAIN: "0", LineKind.DISCOUNT: "1", LineKind.DISCOUNTED: "2"}  # invoiceLineNature
ZEROS = {ZeroKind.EXPORT: "0", ZeroKind.EXEMPT: "1", ZeroKind.UNTAXED: "2", ZeroKind.ORDINARY: "3"}  # freeTaxMark
ENTRIES = {Side.SELLER: "01", Side.BUYER: "02"}  # entryIdentity
WORDS = {RedFormEvent.CONFIRM: "01", RedFormEvent.DENY: "02", RedFormEvent.WITHDRAW: "03"}  # confirmType


class BaiwangSettings(ProviderSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file of ``channel = "baiwang"``: ``app_key``, ``app_secret`` and ``token``."""


def sign(secret: str, query: Mapping[str, str], body: str) -> str:
    """MD5 over the secret, the parameters by name, the compact body, and the secret again; upper case."""
    pairs = "".join(f"{name}{query[name]}" for name in sorted(query) if query[name].strip())
    text = f"{secret}{pairs}{body}{secret}"
    return hashlib.md5(text.encode()).hexdigest().upper()  # noqa: S324 - the provider chose it


def is_sign(given: str, secret: str, query: Mapping[str, str], body: str) -> bool:
    """Whether a signature is over this request."""
    return hmac.compare_digest(given, sign(secret, query, body))


class Baiwang(Provider):
    """See ``Provider``."""

    name = "baiwang"
    table = table_of(__package__, "baiwang.toml")
    settings_type = BaiwangSettings

    def __init__(self, file: Path, now: Callable[[], datetime], *, live: bool) -> None:
        """Raises ``SettingsFault``."""
        self._settings = settings = load(file, BaiwangSettings)
        super().__init__(file, settings, now, live=live)

    async def order(self, request: RemoteRequest) -> Told:
        """Under ``serialNo``, which is our serial."""
        draft, buyer, red = request.draft, request.draft.buyer, request.red
        data: dict[str, Any] = {
            "serialNo": request.serial,
            "invoiceType": "0" if red is None else "1",
            "invoiceTypeCode": KINDS[draft.kind],
            "priceTaxMark": "0",
            "buyerName": buyer.name,
            "buyerTaxNo": buyer.taxpayer_id,
            "buyerAddress": buyer.address,
            "buyerTelphone": buyer.phone,
            "buyerBankName": buyer.bank,
            "buyerBankNumber": buyer.account,
            "naturalMark": "1" if buyer.natural_person else "0",
            "invoiceTotalPrice": request.totals.amount,
            "invoiceTotalTax": request.totals.tax,
            "invoiceTotalPriceTax": request.totals.inclusive,
            "drawer": draft.drawer,
            "remarks": remark_of(draft),
            "invoiceDetailsList": [_detail(line) for line in lines_of(request)],
        }
        if red is not None:
            data |= {"originalInvoiceNo": red.blue_number, "redInfoNo": red.form_number}
        return (await self._call(ISSUE, draft.seller.taxpayer_id, {"data": data}, "issue"))[0]

    async def results(self, serial: str, taxpayer_id: str) -> tuple[Told, Sequence[Result]]:
        """By ``serialNo``; where the original lies is asked when there is one."""
        told, rows = await self._call(QUERY, taxpayer_id, {"data": {"serialNo": serial}}, "query")
        results = []
        for row in _rows(rows):
            state = self.table.told("status", row.get("status", ""), row.get("statusMessage", ""))
            number = str(row.get("digitInvoiceNo") or row.get("invoiceNo") or "")
            file = await self._file(serial, taxpayer_id) if state.meaning is Meaning.DONE else ""
            results.append(Result(str(row.get("serialNo", "")), state, number, file))
        return told, results

    async def _file(self, serial: str, taxpayer_id: str) -> str:
        told, rows = await self._call(FILES, taxpayer_id, {"data": {"serialNo": serial}}, "query")
        found = [str(row["xmlUrl"]) for row in _rows(rows) if row.get("xmlUrl")]
        return found[0] if told.meaning is Meaning.DONE and found else ""

    async def raise_form(self, request: RedFormRequest) -> FormResult:
        """Under ``redConfirmSerialNo``, which is our serial."""
        blue = request.blue
        content = {
            "redConfirmSerialNo": request.serial,
            "entryIdentity": ENTRIES[request.raised_by],
            "sellerTaxNo": blue.seller.taxpayer_id,
            "sellerTaxName": blue.seller.name,
            "buyerTaxNo": blue.buyer.taxpayer_id,
            "buyerTaxName": blue.buyer.name,
            "originInvoiceIsPaper": "N",
            "originalInvoiceNo": blue.number,
            "originInvoiceDate": f"{blue.requested_at:%Y-%m-%d %H:%M:%S}",
            "originInvoiceTotalPrice": blue.totals.amount,
            "originInvoiceTotalTax": blue.totals.tax,
            "originInvoiceType": KINDS[blue.kind],
            "invoiceTotalPrice": sum(line.amount for line in request.lines),
            "invoiceTotalTax": sum(line.tax for line in request.lines),
            "redInvoiceLabel": request.reason.value,
            "invoiceSource": "2",
            "priceTaxMark": "0",
            "autoIssueSwitch": "N",  # the red invoice goes out by our own order, under its own serial
            "redConfirmDetailReqEntityList": [
                _detail(line) | {"originalInvoiceDetailNo": line.place} for line in form_lines(request)
            ],
        }
        told, rows = await self._call(RAISE_FORM, blue.seller.taxpayer_id, content, "form")
        return self._form_of(told, _rows(rows), request)

    async def find_form(self, request: RedFormRequest) -> FormResult:
        """By ``redConfirmSerialNo``."""
        content = {
            "sellerTaxNo": request.blue.seller.taxpayer_id, "buySelSelector": "0", "pageNo": 1, "pageSize": 10,
            "redConfirmSerialNo": request.serial,
        }  # fmt: skip
        told, rows = await self._call(LIST_FORMS, request.blue.seller.taxpayer_id, content, "form")
        return self._form_of(told, _rows(rows), request)

    async def say(self, request: RedFormRequest, event: RedFormEvent, by: Side) -> Told:
        """``confirmType``."""
        content = {
            "sellerTaxNo": request.blue.seller.taxpayer_id, "redConfirmNo": request.form_number,
            "confirmType": WORDS[event], "buySelSelector": "0" if by is Side.SELLER else "1",
        }  # fmt: skip
        return (await self._call(SAY_TO_FORM, request.blue.seller.taxpayer_id, content, "form"))[0]

    def _form_of(self, told: Told, rows: Sequence[Mapping[str, Any]], request: RedFormRequest) -> FormResult:
        ours = [row for row in rows if str(row.get("redConfirmSerialNo", request.serial)) == request.serial]
        if told.meaning is not Meaning.DONE or not ours:
            return FormResult(told if told.meaning is not Meaning.DONE else Told("", "empty", Meaning.MISSING))
        row = ours[0]
        number, state = str(row.get("redConfirmNo") or ""), str(row.get("confirmState") or "")
        return FormResult(told, number, state, read_moment(row.get("entryDate"), self.now()))

    async def _call(self, method: str, taxpayer_id: str, content: Mapping[str, Any], section: str) -> tuple[Told, Any]:
        settings = self._settings
        body = json.dumps({"taxNo": taxpayer_id, **content}, ensure_ascii=False, separators=(",", ":"), default=written)
        query = {
            "method": method,
            "version": VERSIONS.get(method, "6.0"),
            "appKey": settings.app_key,
            "format": "json",
            "timestamp": str(int(self.now().timestamp() * 1000)),
            "token": settings.token,
            "type": "sync",
            "requestId": secrets.token_hex(16),
        }
        query["sign"] = sign(settings.app_secret, query, body)
        answer = await self.wire.post(SERVICE, body.encode(), {"content-type": "application/json"}, query)
        try:
            whole = json.loads(answer)
            if whole["success"]:
                return self.table.told(section, "0", ""), whole.get("response")
            error = whole["errorResponse"]
            code = error.get("subCode") or error["code"]
            return self.table.told(section, code, error.get("subMessage") or error.get("message", "")), None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Lost("no answer of this service") from None


CHANNEL = Baiwang


def _rows(response: Any) -> list[Mapping[str, Any]]:
    """The rows of an answer: a list, or one row alone."""
    rows = response if isinstance(response, list) else [response]
    return [row for row in rows if isinstance(row, Mapping)]


def _detail(line: OrderLine) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "goodsLineNo": line.place,
        "invoiceLineNature": NATURES[line.kind],
        "goodsCode": line.code,
        "goodsName": line.name,
        "goodsTaxRate": line.rate,
        "goodsTotalPrice": line.amount,
        "goodsTotalTax": line.tax,
        "goodsSpecification": line.spec,
        "goodsUnit": line.unit,
        "preferentialMarkFlag": "1" if line.preference else "0",
        "vatSpecialManagement": line.preference,
        "freeTaxMark": ZEROS.get(line.zero, ""),
    }
    if line.quantity is not None:
        detail["goodsQuantity"] = line.quantity
    if line.unit_price is not None:
        detail["goodsPrice"] = line.unit_price
    return detail
