"""Corrections by pages alone, without scripts: the customer's 换开, the shop's, both sides of a form, hostile ones."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from piaoma.desk import reissue_rules
from piaoma.desk.reissue_rules import Mode, Rules
from tests.conftest import COMPANY, Shop, new_shop
from tests.desk.test_red import use
from tests.store.test_writing import broken_invariants
from tests.web.browsing import browse, hidden, issue_by_pages, log_in

NAME, NUMBER = "武汉另一家贸易有限公司", "92330781MA2EDMFU50"


async def rules(shop: Shop, mode: Mode, times: int = 1) -> None:
    await reissue_rules.change_rules(shop.office, shop.actor, Rules(mode, times=times))


async def invoice_numbers(shop: Shop) -> list[str]:
    rows = await shop.office.database.read("SELECT number FROM invoices ORDER BY issued_at_ms, number")
    return [row[0] for row in rows]


async def ask(client: httpx.AsyncClient, token: str, name: str = NAME, number: str = NUMBER) -> httpx.Response:
    """The holder's three taps: the link, the title, the button."""
    page = await client.get(f"/s/{token}/reissue")
    assert page.status_code == 200, page.text
    page = await client.post(f"/s/{token}/reissue/title", data={"name": name, "taxpayer_id": number})
    return await client.post(f"/s/{token}/reissue", data={"asked": hidden(page, "asked")}, follow_redirects=True)


def test_a_customer_corrects_his_title_at_once(tmp_path: Path) -> None:
    """With the rule 自动: the result page then shows the new invoice, the old one is linked as taken back, and its
    files stay his. A reload and a second press of the same button give one."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await rules(shop, Mode.AUTO)
        token = (await shop.code()).token
        result = await issue_by_pages(client, token)
        assert f"/s/{token}/reissue" in result.text
        form = await client.post(f"/s/{token}/reissue/title", data={"name": NAME, "taxpayer_id": NUMBER})
        assert f"确认换开 ¥58.00<small>{NAME}" in form.text
        pressed = {"asked": hidden(form, "asked")}
        for _ in range(3):
            done = await client.post(f"/s/{token}/reissue", data=pressed, follow_redirects=True)
            assert "发票已开具" in done.text and NAME in done.text
        old, red, new = await invoice_numbers(shop)
        assert f"/s/{token}/file/pdf?n={old}" in done.text and f"?n={red}" in done.text
        assert new[-4:] in done.text and f'href="/s/{token}/reissue' not in done.text
        xml = await client.get(f"/s/{token}/file/xml")
        assert NAME in xml.text
        assert COMPANY.name in (await client.get(f"/s/{token}/file/xml?n={old}")).text
        assert "RedEInvoice" in (await client.get(f"/s/{token}/file/xml?n={red}")).text
        again = await client.get(f"/s/{token}/reissue")
        assert "REISSUE-TIMES" in again.text and 'name="asked"' not in again.text
        client.cookies.clear()
        stranger = await client.get(f"/s/{token}")
        assert "这个码已开过票" in stranger.text and NAME not in stranger.text
        assert await broken_invariants(shop) == []

    browse(tmp_path, story)


def test_the_shop_agrees_or_not(tmp_path: Path) -> None:
    """The default: the customer is told that it waits; the shop sees it first in its list, and agrees with one tap."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        for verdict, told in (("approve", "发票已开具"), ("decline", "商家没有同意")):
            token = (await shop.code()).token
            await issue_by_pages(client, token)
            asked = await ask(client, token)
            assert "等商家同意" in asked.text and f'href="/s/{token}/reissue' not in asked.text
            listed = await client.get("/console/corrections")
            link = re.search(r'href="(/console/corrections/reissues/[^"]+)"', listed.text)
            assert link is not None and "待同意" in listed.text
            page = await client.get(link[1])
            assert NAME in page.text and COMPANY.name in page.text
            done = await client.post(link[1], data={"csrf": csrf, verdict: "1"}, follow_redirects=True)
            assert done.status_code == 200
            assert told in (await client.get(f"/s/{token}/result")).text
        assert len(await invoice_numbers(shop)) == 4

    browse(tmp_path, story)


def test_a_used_invoice_is_refused_with_the_reason(tmp_path: Path) -> None:
    """S74."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = (await shop.code()).token
        await issue_by_pages(client, token)
        await use(shop, (await invoice_numbers(shop))[0])
        refused = await ask(client, token)
        assert refused.status_code == 422 and "REISSUE-USED" in refused.text
        assert len(await invoice_numbers(shop)) == 1

    browse(tmp_path, story)


def test_the_shop_corrects_from_the_record(tmp_path: Path) -> None:
    """换开 and 红冲 from an invoice's page; the relations are shown from every end, the lists have the chips, the
    customer of an invoice that was only taken back is told so."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        token = (await shop.code()).token
        await issue_by_pages(client, token)
        old = (await invoice_numbers(shop))[0]
        page = await client.get(f"/console/invoices/{old}")
        assert f"/console/invoices/{old}/reissue" in page.text and f"/console/invoices/{old}/red" in page.text
        form = await client.get(f"/console/invoices/{old}/reissue")
        data = {"csrf": csrf, "key": hidden(form, "key"), "name": NAME, "taxpayer_id": NUMBER}
        done = await client.post(f"/console/invoices/{old}/reissue", data=data, follow_redirects=True)
        assert "已换开" in done.text
        _, red, new = await invoice_numbers(shop)
        for number, chip, others in ((old, "已红冲", (red, new)), (red, "红字", (old,)), (new, "已开具", (old,))):
            text = (await client.get(f"/console/invoices/{number}")).text
            assert chip in text and all(f"/console/invoices/{other}" in text for other in others)
        form = await client.get(f"/console/invoices/{new}/red")
        assert "¥58.00" in form.text and 'name="extent"' not in form.text
        data = {"csrf": csrf, "key": hidden(form, "key"), "reason": "03", "then_issue": "1"}
        for _ in range(2):
            done = await client.post(f"/console/invoices/{new}/red", data=data, follow_redirects=True)
            assert "已开红字发票" in done.text
        assert len(await invoice_numbers(shop)) == 4
        listed = (await client.get("/console/invoices")).text
        assert "⊘ 已红冲" in listed and "− 红字" in listed
        assert "RED-WHOLLY" in (await client.post(
            f"/console/invoices/{new}/red", data={**data, "key": "another_key_12"})).text  # fmt: skip
        assert "这张发票已红冲" in (await client.get(f"/s/{token}/result")).text
        for kind in ("xml", "pdf", "ofd", "png"):
            assert (await client.get(f"/console/invoices/{red}/file/{kind}")).status_code == 200

    browse(tmp_path, story)


def test_both_sides_by_pages(tmp_path: Path) -> None:
    """Seller takes back a part of a used invoice; the buyer, who issues here too, finds the form, sees the hours left
    and agrees; the red invoice comes by itself. A third merchant sees nothing of it."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = (await shop.code("106.00")).token
        await issue_by_pages(client, token)
        blue = (await invoice_numbers(shop))[0]
        await use(shop, blue)
        csrf = await log_in(client, shop)
        form = await client.get(f"/console/invoices/{blue}/red")
        data = {"csrf": csrf, "key": hidden(form, "key"), "reason": "04", "extent": "part", "then_issue": "1"}
        too_much = await client.post(f"/console/invoices/{blue}/red", data={**data, "back0": "106.01"})
        assert too_much.status_code == 422 and "RED-EXCEEDS" in too_much.text
        nothing = await client.post(f"/console/invoices/{blue}/red", data=data)
        assert nothing.status_code == 422 and "LINES-NONE" in nothing.text
        done = await client.post(f"/console/invoices/{blue}/red", data={**data, "back0": "53"}, follow_redirects=True)
        address = done.url.path
        assert "待购买方确认" in done.text and "还剩 72 小时" in done.text and 'name="confirm"' not in done.text
        forged = await client.post(address, data={"csrf": csrf, "confirm": "1"})
        assert forged.status_code == 422 and "RED-FORM-SIDE" in forged.text
        client.cookies.clear()
        buyer, stranger = await new_shop(shop.office, COMPANY.taxpayer_id), await new_shop(shop.office, NUMBER)
        logins = await shop.office.database.read(
            "SELECT m.merchant_id, u.login FROM people u JOIN memberships m ON m.person_id = u.person_id"
        )
        login = {row[0]: row[1] for row in logins}

        async def enter(who: Shop) -> str:
            client.cookies.clear()
            await client.post("/console/login", data={"login": login[who.id], "password": "a long password"})
            return hidden(await client.get("/console/codes/new"), "csrf")

        csrf = await enter(stranger)
        assert (await client.get(address)).status_code == 404
        assert (await client.post(address, data={"csrf": csrf, "confirm": "1"})).status_code == 404
        assert (await client.get(f"/console/corrections/received?number={blue}")).status_code == 404
        assert blue not in (await client.get("/console/corrections")).text
        csrf = await enter(buyer)
        assert "待我确认" in (await client.get("/console/corrections")).text
        page = await client.get(address)
        assert "同意红冲 ¥-53.00" in page.text
        page = await client.post(address, data={"csrf": csrf, "confirm": "1"}, follow_redirects=True)
        assert "已开红字发票" in page.text
        raised = await client.get(f"/console/corrections/received?number={blue}")
        data = {"csrf": csrf, "key": hidden(raised, "key"), "reason": "02", "extent": "whole", "then_issue": "1"}
        page = await client.post(f"/console/corrections/received?number={blue}", data=data, follow_redirects=True)
        assert "待销售方确认" in page.text
        csrf = await enter(shop)
        page = await client.post(page.url.path, data={"csrf": csrf, "confirm": "1"}, follow_redirects=True)
        assert "已开红字发票" in page.text
        assert len(await invoice_numbers(shop)) == 3 and await broken_invariants(shop) == []

    browse(tmp_path, story)


def test_a_stranger_starts_nothing(tmp_path: Path) -> None:
    """Without the holder's cookie or pick-up code: not found, whatever is sent. A button of another code, a forged one
    and one without its token do nothing; nor does another purpose's signature."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await rules(shop, Mode.AUTO, times=9)
        mine, other = (await shop.code()).token, (await shop.code()).token
        await issue_by_pages(client, mine)
        offer = await client.get(f"/s/{other}")
        confirmation = hidden(offer, "confirmation")
        await issue_by_pages(client, other)
        form = await client.post(f"/s/{mine}/reissue/title", data={"name": NAME, "taxpayer_id": NUMBER})
        asked = hidden(form, "asked")
        for token, value in ((other, asked), (mine, asked[:-2] + "xx"), (mine, ""), (mine, confirmation)):
            answer = await client.post(f"/s/{token}/reissue", data={"asked": value})
            assert answer.status_code == 403, value
        client.cookies.clear()
        for path in (f"/s/{mine}/reissue", f"/s/{mine}/reissue?use=0", f"/s/{mine}/file/xml?n=" + "9" * 20):
            assert (await client.get(path)).status_code == 404
        for path, data in ((f"/s/{mine}/reissue", {"asked": asked}), (f"/s/{mine}/reissue/title", {"name": NAME})):
            assert (await client.post(path, data=data)).status_code == 404
        assert len(await invoice_numbers(shop)) == 2

    browse(tmp_path, story)


HOSTILE = ["..", "%00", "x" * 300, "' OR 1=1 --", "99999999999999999999", "９" * 20, "<script>"]


@pytest.mark.parametrize("place", [
    "/console/invoices/{}/red", "/console/invoices/{}/reissue", "/console/corrections/forms/{}",
    "/console/corrections/reissues/{}", "/console/corrections/received?number={}",
])  # fmt: skip
def test_hostile_requests_get_a_clear_answer(tmp_path: Path, place: str) -> None:
    """Nonsense in the address and in every field: a refusal with its cause, never a 500; without a session, the log-in;
    without the token of the form, nothing."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        assert (await client.get(place.format("x"))).status_code == 303
        csrf = await log_in(client, shop)
        token = (await shop.code()).token
        await issue_by_pages(client, token)
        number = (await invoice_numbers(shop))[0]
        junk = {
            "key": "' --", "reason": "99", "extent": "part", "back0": "1e9", "back99999": "1", "name": "\x01",
            "taxpayer_id": "<", "block": "x" * 5000, "confirm": "1", "approve": "1", "mode": "x", "days": "-1",
        }  # fmt: skip
        for value in [*HOSTILE, number]:
            address = place.format(quote(value, safe="%"))
            assert (await client.get(address)).status_code in (200, 400, 404, 422), address
            for data in ({}, {"csrf": "x"}, {"csrf": csrf}, {"csrf": csrf, **junk}):
                answer = await client.post(address, data=data)
                assert answer.status_code < 500, (address, answer.text)
        assert len(await invoice_numbers(shop)) == 1
        assert await broken_invariants(shop) == []

    browse(tmp_path, story)


def test_the_rules_are_the_owners_to_choose(tmp_path: Path) -> None:
    """Off hides the button and refuses the page; nonsense is refused and changes nothing."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        address = "/console/settings/corrections"
        for mode, days, times in (("x", "30", "1"), ("auto", "0", "1"), ("auto", "1e3", "1"), ("auto", "30", "99")):
            bad = {"csrf": csrf, "mode": mode, "days": days, "times": times}
            assert (await client.post(address, data=bad)).status_code == 422
        assert await reissue_rules.rules_of(shop.office, shop.id) == Rules()
        saved = await client.post(
            address, data={"csrf": csrf, "mode": "off", "days": "7", "times": "2"}, follow_redirects=True
        )
        assert "已保存" in saved.text
        token = (await shop.code()).token
        result = await issue_by_pages(client, token)
        assert f"/s/{token}/reissue" not in result.text
        assert "REISSUE-OFF" in (await client.get(f"/s/{token}/reissue")).text

    browse(tmp_path, story)
