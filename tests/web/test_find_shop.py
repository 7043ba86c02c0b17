"""S76: whoever kept no code finds the shop by its name, if it wants to be found, and applies there."""

from __future__ import annotations

import re

import httpx

from piaoma.desk import goods, static_codes
from piaoma.desk.config import Config
from tests.conftest import MEAL, Shop, new_shop
from tests.desk.receiving import SUPPLIER_ID, confirmed
from tests.web.browsing import browse, log_in
from tests.web.test_static_pages import apply, approve_first, hang_up


async def found(client: httpx.AsyncClient, name: str) -> list[str]:
    """The tokens that a name leads to."""
    page = await client.get("/find", params={"shop": name})
    assert page.status_code == 200
    return re.findall(r'href="/t/([^"]+)"', page.text)


def test_from_the_name_of_the_shop_to_the_invoice(config: Config) -> None:
    """The shop lists its code on the form; the customer finds it, applies with amount and day, and one tap of the shop
    later the same address is the invoice."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await confirmed(shop)
        item = goods.GoodsForm(MEAL.name, MEAL.code, MEAL.rate)
        goods_id = str((await goods.save_goods(shop.office, shop.merchant, item, shop.actor)).goods_id)
        csrf = await log_in(client, shop)
        form = {"csrf": csrf, "places": "前台", "goods": goods_id, "amount_min": "1", "amount_max": "900",
                "days_back": "7", "device_max": "5", "hour_max": "9"}  # fmt: skip
        assert 'name="listed"' in (await client.get("/console/static/new")).text
        await client.post("/console/static/new", data=form)
        assert await found(client, "测试小馆") == []
        code = (await static_codes.list_static_codes(shop.office, shop.id))[0]
        await client.post(f"/console/static/{code.static_id}/change", data={**form, "listed": "1"})
        assert "按店名" in (await client.get("/")).text
        assert await found(client, "测试小") == [code.token] == await found(client, "测试餐饮")
        waiting = await apply(client, code, paid_on=f"{shop.office.now():%Y-%m-%d}")
        assert "/a/" in str(waiting.url)
        await approve_first(client, csrf)
        assert "发票已开具" in (await client.get(waiting.url, follow_redirects=True)).text

    browse(config, story)


def test_only_who_wants_to_be_found_is_found(config: Config) -> None:
    """Not listed, not confirmed, suspended, revoked: nothing, and nothing says why. Signs of a pattern are letters; a
    name too short is refused; whoever looks through all names is slowed down."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await hang_up(shop, listed=True)
        assert await found(client, "测试小馆") == [], "not confirmed: anybody may claim a name"
        await confirmed(shop)
        other = await new_shop(shop.office, SUPPLIER_ID)
        await confirmed(other)
        await hang_up(other, listed=False)
        assert await found(client, "测试小馆") == [code.token]
        for pattern in ("%%", "__", "测_小", "!!"):
            assert await found(client, pattern) == [], pattern
        short = await client.get("/find?shop=测")
        assert short.status_code == 422 and "SHOP-NAME-SHORT" in short.text and 'value="测"' in short.text
        renewed = await static_codes.renew(shop.office, shop.actor, code.static_id)
        assert await found(client, "测试小馆") == [renewed.token]
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE merchants SET state = 'suspended' WHERE merchant_id = $1", shop.id)
        assert await found(client, "测试小馆") == []
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE merchants SET state = 'active' WHERE merchant_id = $1", shop.id)
        await static_codes.revoke(shop.office, shop.actor, renewed.static_id)
        assert await found(client, "测试小馆") == []
        answers = [(await client.get(f"/find?shop=店{place}号")).status_code for place in range(20)]
        assert answers[0] == 200 and answers[-1] == 429

    browse(config, story)
