"""What a request of REST v1 may hold (请求). The OpenAPI document is made from these types.

Money is yuan as text with at most two decimals, never a float; ids are text; times are RFC 3339 with their zone.
A request with a field that does not stand here is refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

LINES_MAX = 2_000  # of one invoice
NAME_MAX = 300  # characters of a text at the border; the rules know narrower limits

Yuan = Annotated[str, Meta(pattern=r"^-?[0-9]{1,12}(\.[0-9]{1,2})?$", description="Yuan.", examples=["58.00"])]
Figure = Annotated[
    str, Meta(pattern=r"^[0-9]{1,12}(\.[0-9]{1,13})?$", description="A quantity or a unit price.", examples=["2"])
]
Rate = Annotated[str, Meta(pattern=r"^0(\.[0-9]{1,4})?$", description="A rate of tax.", examples=["0.06"])]
Text = Annotated[str, Meta(max_length=NAME_MAX)]
Id = Annotated[str, Meta(pattern=r"^[0-9]{1,17}$", examples=["604462909807"])]
Number = Annotated[str, Meta(pattern=r"^[0-9]{20}$", description="发票号码.", examples=["26990000000000000001"])]
Kind = Literal["general", "special"]
Pricing = Literal["inclusive", "exclusive"]
Zero = Literal["", "export", "exempt", "untaxed", "ordinary"]


class Sent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a request holds."""


class Buyer(Sent, frozen=True):
    """购买方. A company needs its taxpayer id, a natural person none."""

    name: Text
    taxpayer_id: Text = ""
    address: Text = ""
    phone: Text = ""
    bank: Text = ""
    account: Text = ""
    natural_person: bool = False


class Line(Sent, frozen=True, kw_only=True):
    """项目行. Two of amount, quantity and unit price give the third. With ``goods_id`` what is not said is the item's;
    without a rate it is the usual one of the code."""

    name: Text = ""
    code: Annotated[str, Meta(pattern=r"^[0-9]{19}$", examples=["3070401000000000000"])] | None = None
    goods_id: Id | None = None
    rate: Rate | None = None
    amount: Yuan | None = None
    quantity: Figure | None = None
    unit_price: Figure | None = None
    unit: Text = ""
    spec: Text = ""
    kind: Literal["plain", "discount", "discounted"] = "plain"
    zero: Zero | None = None
    preference: Text = ""


Lines = Annotated[list[Line], Meta(min_length=1, max_length=LINES_MAX)]


class NewCode(Sent, frozen=True, kw_only=True):
    """A code (二维码) for one sale. With ``buyer`` the title is fixed; without, the customer fills it in."""

    lines: Lines
    kind: Kind = "general"
    pricing: Pricing = "inclusive"
    remark: Text = ""
    buyer: Buyer | None = None
    days: Annotated[int, Meta(ge=1, le=365)] = 30
    own_number: Text = ""
    till_id: Id | None = None


class NewInvoice(Sent, frozen=True, kw_only=True):
    """An invoice that is issued straight, without a code. ``total``, when given, is compared and never used."""

    buyer: Buyer
    lines: Lines
    kind: Kind = "general"
    pricing: Pricing = "inclusive"
    remark: Text = ""
    print_seller_bank: bool = False
    print_buyer_bank: bool = False
    total: Yuan | None = None
    email: Text = ""
    own_number: Text = ""
    till_id: Id | None = None


class Days(Sent, frozen=True):
    """How long a code is to be valid from now."""

    days: Annotated[int, Meta(ge=1, le=365)]


class Nothing(Sent, frozen=True):
    """An empty object."""


class NewDelivery(Sent, frozen=True):
    """Where an invoice is to be sent."""

    email: Text


class RedItem(Sent, frozen=True):
    """What is given back of a line, tax-inclusive. Lines are counted from 1."""

    line: Annotated[int, Meta(ge=1, le=LINES_MAX)]
    amount: Yuan


class NewRedForm(Sent, frozen=True, kw_only=True):
    """A red form (红字信息确认单); without ``items`` all that is left is taken back. ``issue`` lets the red invoice
    follow by itself as soon as the form allows it."""

    reason: Literal["wrong", "returned", "stopped", "rebate"]
    items: Annotated[list[RedItem], Meta(min_length=1, max_length=LINES_MAX)] | None = None
    issue: bool = True


class RedFormAct(Sent, frozen=True):
    """同意, 否认, 撤销, or issue the red invoice of a form that allows it."""

    act: Literal["confirm", "deny", "withdraw", "issue"]


class NewReissue(Sent, frozen=True):
    """换开: the right title."""

    buyer: Buyer


class ReissueAct(Sent, frozen=True):
    """Agree to what a customer asked, decline it, or try again now."""

    act: Literal["approve", "decline", "retry"]


class NewGoods(Sent, frozen=True, kw_only=True):
    """An item of the merchant's list (商品库). ``price`` is tax-inclusive, when it is always the same."""

    name: Text
    code: Text
    rate: Rate
    price: Figure | None = None
    unit: Text = ""
    spec: Text = ""
    zero: Zero = ""
    preference: Text = ""


class NewWebhook(Sent, frozen=True, kw_only=True):
    """An endpoint (推送地址); without ``types`` it gets everything."""

    url: Annotated[str, Meta(max_length=500, examples=["https://erp.example.cn/piaoma"])]
    types: Annotated[list[Text], Meta(max_length=20)] = []
