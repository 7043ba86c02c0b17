"""The JSON of an invoice as types: what ``write`` fills, ``read`` accepts, and the published schema is made of.

Version 1. Fields may be added to it, never removed or given another meaning; that would be version 2. Amounts and
figures are decimal strings, because a JSON number is a binary float in most readers and 0.1 yuan would not survive.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from piaoma.invoice.draft import ZeroKind

SCHEMA_ID = "urn:piaoma:schema:invoice:1"
SCHEMA_PATH = "/schema/invoice-v1.json"

KindName = Literal["special", "general"]
TaxpayerName = Literal["general", "small_scale", "registered_small_scale"]
LineName = Literal["plain", "discounted", "discount"]
Figure = Annotated[
    str,
    Meta(
        pattern=r"^-?[0-9]+(\.[0-9]+)?$",
        max_length=100,
        description="十进制数字字符串。A decimal figure as a string.",
        examples=["54.72", "-500.00"],
    ),
]
Moment = Annotated[datetime, Meta(tz=True)]
Digest = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{64}$", description="SHA-256 摘要，小写十六进制。A SHA-256 digest, lower-case hex.")
]


def said(chinese: str, english: str) -> Meta:
    """What a field holds, in both languages."""
    return Meta(description=f"{chinese}。{english}.")


class PartyJson(msgspec.Struct, frozen=True, kw_only=True):
    """购销双方之一。One side of the invoice; what is not stated is an empty string."""

    name: Annotated[str, said("名称", "Name")]
    taxpayer_id: Annotated[str, said("统一社会信用代码或纳税人识别号", "Unified social credit code or taxpayer id")]
    address: Annotated[str, said("地址", "Address")]
    phone: Annotated[str, said("电话", "Telephone")]
    bank: Annotated[str, said("开户银行", "Bank")]
    account: Annotated[str, said("银行账号", "Bank account")]


class SellerJson(PartyJson, frozen=True, kw_only=True):
    """销售方。The seller."""

    taxpayer_kind: Annotated[
        TaxpayerName,
        said(
            "纳税人类型：一般纳税人、小规模纳税人、转登记小规模纳税人",
            "General taxpayer, small-scale taxpayer, or one moved to small scale",
        ),
    ]


class BuyerJson(PartyJson, frozen=True, kw_only=True):
    """购买方。The buyer."""

    natural_person: Annotated[bool, said("购买方是自然人", "Whether the buyer is a natural person")]


class LineJson(msgspec.Struct, frozen=True, kw_only=True):
    """项目行，顺序与原件相同。One row, in the order of the original; money in yuan."""

    name: Annotated[str, said("项目名称，如 *餐饮服务*餐费", "Item as printed, with the short name of its class")]
    classification_code: Annotated[str, said("19 位商品和服务税收分类编码", "Tax classification code, 19 digits")]
    spec: Annotated[str, said("规格型号", "Specification")]
    unit: Annotated[str, said("单位", "Unit")]
    quantity: Annotated[Figure | None, said("数量，没有则为 null", "Quantity, null when there is none")]
    unit_price: Annotated[Figure | None, said("不含税单价，没有则为 null", "Price of a unit without tax, or null")]
    amount: Annotated[Figure, said("不含税金额", "Amount without tax")]
    rate: Annotated[Figure, said("税率或征收率，0.06 即 6%", "Tax or levy rate as a fraction: 0.06 is 6 %")]
    zero: Annotated[
        ZeroKind,
        said(
            "零税率的种类：普通零税率、出口零税率、免税、不征税；税率不为零时为空",
            "Which kind of zero: ordinary, export, exempt, outside VAT; empty when the rate is not zero",
        ),
    ]
    tax: Annotated[Figure, said("税额", "Tax")]
    inclusive: Annotated[Figure, said("价税合计", "Amount with tax")]
    kind: Annotated[
        LineName,
        said(
            "行性质：正常行、被折扣行、折扣行（紧跟被折扣行）",
            "Plain row, row with a discount, or the discount that follows it",
        ),
    ]
    preference: Annotated[str, said("优惠政策标识，两位，没有则为空", "Preference mark, two digits, or empty")]


class TotalsJson(msgspec.Struct, frozen=True, kw_only=True):
    """合计，单位元。Totals in yuan."""

    amount: Annotated[Figure, said("合计金额，不含税", "Total without tax")]
    tax: Annotated[Figure, said("合计税额", "Total tax")]
    inclusive: Annotated[Figure, said("价税合计（小写）", "Total with tax")]
    words: Annotated[str, said("价税合计（大写）", "Total with tax in words")]


class RedJson(msgspec.Struct, frozen=True, kw_only=True):
    """红字发票所冲的蓝字发票。What a red invoice corrects."""

    blue_number: Annotated[str, said("被红冲蓝字数电票号码", "Number of the blue invoice")]
    form_number: Annotated[str, said("红字发票信息确认单编号", "Number of the red form")]


class PairJson(msgspec.Struct, frozen=True, kw_only=True):
    """附加信息。A name and a value of the additional information."""

    name: Annotated[str, said("名称", "Name")]
    value: Annotated[str, said("内容", "Value")]


class BureauJson(msgspec.Struct, frozen=True, kw_only=True):
    """税务机关。The tax bureau that answers for the number."""

    code: Annotated[str, said("税务机关代码", "Its code")]
    name: Annotated[str, said("税务机关名称", "Its name")]
    tag: Annotated[str, said("EInvoiceTag，SWEI 加四位", "EInvoiceTag, SWEI and four digits")]


class OriginalJson(msgspec.Struct, frozen=True, kw_only=True):
    """所依据的 XML 原件。The original that this file was made from; only that one is signed."""

    sha256: Annotated[Digest, said("原件全部字节的 SHA-256", "SHA-256 of all its bytes")]
    bytes: Annotated[int, said("原件字节数", "Its size in bytes")]
    version: Annotated[str, said("原件的版本号", "Its version")]


class SignatureJson(msgspec.Struct, frozen=True, kw_only=True):
    """原件上的签名，本文件不含、也未验证。The signature of the original: neither repeated nor judged here."""

    algorithm: Annotated[str, said("签名算法 OID", "OID of the algorithm")]
    certificate_sha256: Annotated[
        Digest | None, said("签名证书（DER）的 SHA-256 指纹", "SHA-256 fingerprint of the signer's certificate, DER")
    ]


class InvoiceJson(msgspec.Struct, frozen=True, kw_only=True):
    """数电票的 JSON。A Chinese e-invoice as JSON, made from its XML original."""

    schema: Annotated[Literal["urn:piaoma:schema:invoice:1"], said("所用结构", "The schema of this file")]
    sandbox: Annotated[bool, said("是否沙盒测试样票；样票无效", "Whether this is a test sample, which is not valid")]
    mark: Annotated[str, said("测试样票的文字标记，真票为空", "What a test sample is marked with; empty otherwise")]
    number: Annotated[str, said("发票号码，20 位", "Invoice number, 20 digits")]
    title: Annotated[str, said("发票名称", "What the invoice is called")]
    kind: Annotated[KindName, said("增值税专用发票或普通发票", "Special or general VAT invoice")]
    colour: Annotated[Literal["blue", "red"], said("蓝字或红字", "Blue, or red when it corrects another")]
    currency: Annotated[Literal["CNY"], said("币种", "Currency")]
    issued_on: Annotated[date, said("开票日期", "Day of issue")]
    requested_at: Annotated[Moment, said("申请开票时间", "When it was asked for")]
    signed_at: Annotated[Moment | None, said("签名时间，未签名则为 null", "When it was signed, or null")]
    seller: Annotated[SellerJson, said("销售方", "Seller")]
    buyer: Annotated[BuyerJson, said("购买方", "Buyer")]
    lines: Annotated[tuple[LineJson, ...], said("项目行", "Rows")]
    totals: Annotated[TotalsJson, said("合计", "Totals")]
    drawer: Annotated[str, said("开票人", "Who issued it")]
    remark: Annotated[str, said("备注", "Remark")]
    red: Annotated[RedJson | None, said("红字发票对应的蓝字发票，蓝字为 null", "What it corrects; null when blue")]
    additional: Annotated[tuple[PairJson, ...], said("附加信息", "Additional information")]
    bureau: Annotated[BureauJson, said("税务机关", "Tax bureau")]
    original: Annotated[OriginalJson, said("XML 原件", "The XML original")]
    signature: Annotated[SignatureJson | None, said("原件上的签名", "Signature of the original")]


def json_schema() -> bytes:
    """The published schema, JSON Schema draft 2020-12, made from the types above."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **msgspec.json.schema(InvoiceJson),
    }
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"
