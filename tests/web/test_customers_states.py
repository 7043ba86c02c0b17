"""What a customer is told in every state, and that every way back leads to the one invoice."""

from __future__ import annotations

import re
from typing import Any

import httpx

from piaoma.channels import SandboxAuthority
from piaoma.desk.config import Config
from tests.conftest import COMPANY, Shop
from tests.web.browsing import browse, hidden, issue_by_pages


async def rehearse(shop: Shop, **changes: Any) -> None:
    """Tell the authority to fail; at once, without the office's short memory of how it numbers."""
    assert isinstance(shop.office.channel, SandboxAuthority)
    await shop.office.channel.rehearse(**changes)
    shop.office._numbering = (-1e9, shop.office._numbering[1])


async def confirm_button(client: httpx.AsyncClient, token: str) -> dict[str, str]:
    page = await client.post(f"/s/{token}/title", data={"person": "1"}, follow_redirects=True)
    return {"confirmation": hidden(page, "confirmation")}


def test_a_browser_without_cookies_gets_the_invoice_and_its_files(config: Config) -> None:
    """Every answer is thrown away but the page itself: title, confirm, result, download, send."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()

        async def post(path: str, **form: str) -> httpx.Response:
            client.cookies.clear()
            return await client.post(path, data=form)

        async def get(path: str) -> httpx.Response:
            client.cookies.clear()
            return await client.get(path)

        page = await post(f"/s/{code.token}/title", name=COMPANY.name, taxpayer_id=COMPANY.taxpayer_id)
        assert f"确认开票 ¥58.00<small>{COMPANY.name}" in page.text
        done = await post(f"/s/{code.token}/confirm", confirmation=hidden(page, "confirmation"))
        for _ in range(12):
            result = await get(done.headers["location"])
            assert "发票已开具" in result.text, "coming back is not slowed down"
        links = re.findall(r'href="(/s/[^"]+/file/\w+[^"]*)"', result.text)
        kinds = [re.sub(r".*/file/(\w+).*", r"\1", link) for link in links]
        assert sorted(kinds) == ["json", "ofd", "pdf", "png", "ubl", "xbrl", "xml", "zip"]
        for link in links:
            assert (await get(link)).status_code == 200
        action = re.search(r'action="(/s/[^"]+/send[^"]*)"', result.text)
        assert action is not None
        sent = await post(action[1], email="someone@example.cn")
        assert "s***@example.cn" in (await get(sent.headers["location"])).text

    browse(config, story)


def test_a_browser_without_cookies_can_wait(config: Config) -> None:
    """The page that waits for the authority reloads to an address that still opens it."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop, down="before")
        form = await confirm_button(client, code.token)
        client.cookies.clear()
        done = await client.post(f"/s/{code.token}/confirm", data=form)
        client.cookies.clear()
        page = await client.get(done.headers["location"])
        refresh = re.search(r'content="\d+;url=([^"]+)"', page.text)
        assert "开票中" in page.text and refresh is not None
        client.cookies.clear()
        assert "开票中" in (await client.get(refresh[1].replace("&amp;", "&"))).text

    browse(config, story)


def test_a_stranger_is_not_told_issued_while_nothing_is(config: Config) -> None:
    """Somebody else's issue that is under way is called so."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop, down="after")
        await client.post(f"/s/{code.token}/confirm", data=await confirm_button(client, code.token))
        assert "结果未知" in (await client.get(f"/s/{code.token}")).text
        client.cookies.clear()
        page = (await client.get(f"/s/{code.token}")).text
        assert "有人正在用这个码开票" in page and "已开过票" not in page and "取票码" not in page

    browse(config, story)


def test_the_same_button_works_when_the_authority_has_recovered(config: Config) -> None:
    """Refused, nothing issued; back, tapped again: issued. The refusal was of that try only."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop, refuse=True)
        form = await confirm_button(client, code.token)
        refused = await client.post(f"/s/{code.token}/confirm", data=form)
        assert refused.status_code == 422 and "开票失败" in refused.text and "没有开出发票" in refused.text
        await rehearse(shop, refuse=False)
        done = await client.post(f"/s/{code.token}/confirm", data=form, follow_redirects=True)
        assert "发票已开具" in done.text

    browse(config, story)


def test_a_second_tap_with_an_address_sends_the_same_invoice(config: Config) -> None:
    """The answer was lost; back, an address ticked, tapped again: no conflict, one invoice, one mail."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        form = await confirm_button(client, code.token)
        await client.post(f"/s/{code.token}/confirm", data=form)
        for _ in range(2):
            form["email"] = "someone@example.cn"
            done = await client.post(f"/s/{code.token}/confirm", data=form, follow_redirects=True)
            assert "发票已开具" in done.text and "s***@example.cn" in done.text
        count = await shop.office.database.read("SELECT count(*) FROM jobs WHERE kind = 'mail'")
        assert count[0][0] == 1

    browse(config, story)


def test_two_tabs_with_two_titles(config: Config) -> None:
    """The second is shown the first's invoice and told that its own title was not used."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        person = await confirm_button(client, code.token)
        company = await client.post(
            f"/s/{code.token}/title",
            data={"name": COMPANY.name, "taxpayer_id": COMPANY.taxpayer_id},
            follow_redirects=True,
        )
        await client.post(f"/s/{code.token}/confirm", data=person)
        second = await client.post(
            f"/s/{code.token}/confirm", data={"confirmation": hidden(company, "confirmation")}, follow_redirects=True
        )
        assert "这一次填的抬头没有使用" in second.text and "「个人」" in second.text

    browse(config, story)


def test_a_suspended_shop_says_so_before_anything_is_typed(config: Config) -> None:
    """No title form, no confirm button; what was issued before stays open to its holder."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        issued, code = await shop.code(), await shop.code()
        await issue_by_pages(client, issued.token)
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE merchants SET state = 'suspended'")
        page = (await client.get(f"/s/{code.token}")).text
        assert "商家暂停开票" in page and "确认开票" not in page
        assert "发票已开具" in (await client.get(f"/s/{issued.token}")).text

    browse(config, story)


def test_a_letter_that_looks_like_a_digit_is_mended_and_said(config: Config) -> None:
    """O for 0: the page that asks for the confirmation shows the mended id and says what was done."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        await client.get(f"/s/{code.token}")
        form = {"name": COMPANY.name, "taxpayer_id": COMPANY.taxpayer_id.replace("0", "O")}
        page = await client.post(f"/s/{code.token}/title", data=form, follow_redirects=True)
        assert "9111 0108 6900 1778 1B" in page.text and "已改成数字" in page.text
        form["taxpayer_id"] = COMPANY.taxpayer_id.lower()
        page = await client.post(f"/s/{code.token}/title", data=form, follow_redirects=True)
        assert "9111 0108 6900 1778 1B" in page.text and "已改成数字" not in page.text

    browse(config, story)


def test_a_person_may_give_a_name(config: Config) -> None:
    """个人 by default; a name when the invoice must show one."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for typed, shown in (("", "个人"), ("测试人", "测试人")):
            code = await shop.code()
            form = {"person": "1", "person_name": typed}
            page = await client.post(f"/s/{code.token}/title", data=form, follow_redirects=True)
            assert f"确认开票 ¥58.00<small>{shown}</small>" in page.text

    browse(config, story)


def test_an_id_card_makes_the_buyer_a_person(config: Config) -> None:
    """Its number may end in X; a company's id stays a company's."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for number in ("110105194912310003", "11010519491231002x"):
            code = await shop.code()
            form = {"name": "测试人", "taxpayer_id": number}
            page = await client.post(f"/s/{code.token}/title", data=form, follow_redirects=True)
            result = await client.post(
                f"/s/{code.token}/confirm", data={"confirmation": hidden(page, "confirmation")}, follow_redirects=True
            )
            assert "发票已开具" in result.text

    browse(config, story)


def test_another_language_keeps_the_rest_of_the_address(config: Config) -> None:
    """A search, or a pick-up code that a browser without cookies needs, survives the switch."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        page = await client.get("/help?q=QUOTA&lang=zh")
        assert 'href="/help?q=QUOTA&amp;lang=en"' in page.text
        assert "QUOTA-EXCEEDED" in (await client.get("/help?q=QUOTA&lang=en")).text

    browse(config, story)
