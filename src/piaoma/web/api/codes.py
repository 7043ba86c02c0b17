"""Codes, goods, the merchant and its quota, by program."""

from __future__ import annotations

from piaoma import wire
from piaoma.codes.symbol import draw
from piaoma.desk import codes, goods, merchant, mint, told
from piaoma.invoice.refusal import refuse
from piaoma.web.console.search import read_filter

from .operation import Bytes, Call
from .reading import goods_form_of, offer_of


async def show_merchant(call: Call) -> wire.Merchant:
    """Whom the key belongs to."""
    return told.merchant_of(call.office, await merchant.merchant(call.office, call.merchant_id))


async def show_quota(call: Call) -> wire.Quota:
    """This month's quota."""
    found = await merchant.quota(call.office, await merchant.merchant(call.office, call.merchant_id))
    if found is None:
        raise refuse("ISSUE-CHANNEL-DOWN")
    return told.quota_of(found)


async def make_code(call: Call) -> wire.Code:
    """A code for one sale."""
    sent: wire.NewCode = call.body
    shop = await merchant.merchant(call.office, call.merchant_id)
    by = await call.at_till(sent.till_id)
    offer = await offer_of(call, shop)
    made = await mint.mint(call.office, shop, offer, mint_key=call.made_from, by=by, days=sent.days)
    return told.code_of(made, call.language)


async def list_codes(call: Call) -> wire.Codes:
    """Codes, newest first."""
    wanted = read_filter(call.request.query_params)
    found = await codes.list_codes(call.office, call.merchant_id, wanted, call.query("state"), call.query("cursor"))
    return wire.Codes(items=[told.code_of(one, call.language) for one in found.items], next_cursor=found.next_cursor)


def _code_id(call: Call) -> int:
    return call.path_number("id", "CODE-NOT-FOUND")


async def show_code(call: Call) -> wire.Code:
    """One code."""
    return told.code_of(await codes.code(call.office, call.merchant_id, _code_id(call)), call.language)


async def revoke_code(call: Call) -> wire.Code:
    """作废."""
    return told.code_of(await codes.revoke(call.office, call.actor, _code_id(call)), call.language)


async def extend_code(call: Call) -> wire.Code:
    """延期."""
    found = await codes.code(call.office, call.merchant_id, _code_id(call))
    return told.code_of(await codes.extend(call.office, call.actor, found.code_id, call.body.days), call.language)


async def code_symbol(call: Call) -> Bytes:
    """Its symbol as a drawing."""
    found = await codes.code(call.office, call.merchant_id, _code_id(call))
    return Bytes(draw(found.url).svg.encode(), "image/svg+xml")


async def list_goods(call: Call) -> wire.GoodsList:
    """商品库."""
    items = await goods.list_goods(call.office, call.merchant_id)
    return wire.GoodsList(items=[told.goods_of(one) for one in items], next_cursor="")


async def _item(call: Call) -> goods.Goods:
    goods_id = call.path_number("id", "GOODS-NOT-FOUND")
    return await goods.goods_of(call.office, call.merchant_id, goods_id)


async def show_goods(call: Call) -> wire.Goods:
    """One item."""
    return told.goods_of(await _item(call))


async def add_goods(call: Call) -> wire.Goods:
    """A new item; sent again it is the same one."""
    shop = await merchant.merchant(call.office, call.merchant_id)
    form = goods_form_of(call.body)
    return told.goods_of(await goods.save_goods(call.office, shop, form, call.actor, new_id=call.made_number))


async def change_goods(call: Call) -> wire.Goods:
    """Another content of an item. With ``If-Match`` nobody's change is lost."""
    shop = await merchant.merchant(call.office, call.merchant_id)
    before = await _item(call)
    expected = before if "if-match" in call.request.headers else None
    form = goods_form_of(call.body)
    saved = await goods.save_goods(call.office, shop, form, call.actor, before.goods_id, expected=expected)
    return told.goods_of(saved)


async def remove_goods(call: Call) -> wire.Nothing:
    """Off the list."""
    await goods.remove_goods(call.office, call.actor, (await _item(call)).goods_id)
    return wire.Nothing()
