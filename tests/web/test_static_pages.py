"""Static codes over the real application, without scripts: apply, approve, look again; hostile requests on the way."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from piaoma.desk import applications, goods, merchant, static_codes, tills
from piaoma.desk.config import Config
from piaoma.desk.static_codes import Item, Mode, StaticCode, Terms
from tests.conftest import MEAL, Shop, new_shop
from tests.web.browsing import browse, hidden, log_in

ITEM = Item(MEAL.name, MEAL.code, MEAL.rate)
COMPANY_FORM = {"title": "company", "name": "武汉某某科技有限公司", "taxpayer_id": "91110108690017781B"}


async def hang_up(shop: Shop, place: str = "桌 8", **terms: Any) -> StaticCode:
    made = await static_codes.make(
        shop.office, shop.merchant, [place], Terms(ITEM, **terms), make_key=place, by=shop.actor
    )
    return made[0]


async def apply(client: httpx.AsyncClient, code: StaticCode, **fields: str) -> httpx.Response:
    """Fill in the form as a customer does; where it leads."""
    page = await client.get(f"/T/{code.token}")
    data = {"button": hidden(page, "button"), "total": "58", **COMPANY_FORM, **fields}
    return await client.post(f"/t/{code.token}/apply", data=data, follow_redirects=True)


async def approve_first(client: httpx.AsyncClient, csrf: str, **fields: str) -> httpx.Response:
    page = await client.get("/console/inbox")
    found = re.search(r'action="/console/inbox/(\d+)"', page.text)
    assert found is not None, page.text
    return await client.post(f"/console/inbox/{found[1]}", data={"csrf": csrf, **fields}, follow_redirects=True)


async def count(shop: Shop, table: str) -> int:
    return int((await shop.office.database.read(f"SELECT count(*) FROM {table}"))[0][0])


def test_from_the_wall_to_the_invoice_without_scripts(config: Config) -> None:
    """The customer applies and waits; the clerk sees it in his list and agrees; the same address shows the invoice, and
    its files; scanning the wall again leads there too. The title is kept for the next time."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await hang_up(shop)
        page = await client.get(f"/T/{code.token.lower()}")
        assert "测试小馆" in page.text and "桌 8" in page.text and "¥1.00 – ¥2,000.00" in page.text
        waiting = await apply(client, code)
        address = waiting.url.path
        assert address.startswith("/a/") and "已提交，等店家确认" in waiting.text and "还没有开票" in waiting.text
        assert re.search(r'<meta http-equiv="refresh" content="1;url=/a/\w+\?n=1">', waiting.text)
        assert await count(shop, "issues") == 0
        csrf = await log_in(client, shop)
        console = await client.get("/console")
        assert re.search(r'class="badge">1<', console.text)
        told = await approve_first(client, csrf, total="58.00")
        assert "已同意 1 笔" in told.text and "都处理完了" in told.text
        result = await client.get(address, follow_redirects=True)
        assert "发票已开具" in result.text and result.url.path == address.replace("/a/", "/s/") + "/result"
        assert (await client.get(address.replace("/a/", "/s/") + "/file/pdf")).content.startswith(b"%PDF")
        again = await client.get(f"/T/{code.token}")
        assert f'href="{address}">¥58.00 · 已开具' in again.text
        assert re.search(r'value="\w{12}" checked>武汉某某科技有限公司', again.text)

    browse(config, story)


def test_a_refusal_tells_its_reason_to_its_customer_alone(config: Config) -> None:
    """店家已拒绝 with the clerk's words; another browser on the same address sees neither reason nor title."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        waiting = await apply(client, await hang_up(shop))
        csrf = await log_in(client, shop)
        empty = await approve_first(client, csrf, refuse="1", reason=" ")
        assert empty.status_code == 422 and "TEXT-EMPTY" in empty.text
        await approve_first(client, csrf, refuse="1", usual="没有查到这笔消费", reason="")
        mine = await client.get(waiting.url.path)
        assert "店家已拒绝" in mine.text and "没有查到这笔消费" in mine.text and "http-equiv" not in mine.text
        client.cookies.clear()
        other = await client.get(waiting.url.path)
        assert "店家已拒绝" in other.text and "没有查到" not in other.text and "某某科技" not in other.text
        assert await count(shop, "invoices") == 0

    browse(config, story)


def test_a_browser_that_keeps_no_cookies_gets_its_invoice(tmp_path: Path) -> None:
    """The address carries what the cookie would say."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await hang_up(shop)
        page = await client.get(f"/T/{code.token}")
        client.cookies.clear()
        data = {"button": hidden(page, "button"), "total": "58", **COMPANY_FORM}
        waiting = await client.post(f"/t/{code.token}/apply", data=data, follow_redirects=True)
        client.cookies.clear()
        address = str(waiting.url)
        assert "?c=" in address and "某某科技" in (await client.get(address)).text
        csrf = await log_in(client, shop)
        await approve_first(client, csrf)
        client.cookies.clear()
        assert "发票已开具" in (await client.get(address, follow_redirects=True)).text

    browse(tmp_path, story)


def test_a_double_tap_is_one_application(config: Config) -> None:
    """The same form sent twice leads to the same address; the back button with another amount is another."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await hang_up(shop)
        page = await client.get(f"/T/{code.token}")
        data = {"button": hidden(page, "button"), "total": "58", **COMPANY_FORM}
        places = [(await client.post(f"/t/{code.token}/apply", data=data)).headers["location"] for _ in range(3)]
        assert len(set(places)) == 1 and await count(shop, "applications") == 1
        await client.post(f"/t/{code.token}/apply", data={**data, "total": "60"})
        assert await count(shop, "applications") == 2
        await log_in(client, shop)
        assert "同一台手机还有一笔相同金额" not in (await client.get("/console/inbox")).text
        await apply(client, code)
        assert "同一台手机还有一笔相同金额" in (await client.get("/console/inbox")).text

    browse(config, story)


def test_every_fault_stands_at_its_field_and_nothing_typed_is_lost(tmp_path: Path) -> None:
    """Amount, date, id and address at once; then two titles; what was typed stands in the form again."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await hang_up(shop)
        tomorrow = f"{shop.office.now() + timedelta(days=1):%Y-%m-%d}"
        bad = await apply(client, code, total="abc", paid_on="2026-13-99", email="nobody")
        for field in ("total", "paid_on", "email"):
            assert f'id="{field}-fault"' in bad.text, field
        bad = await apply(client, code, total="2000.01", paid_on=tomorrow, taxpayer_id="91110108690017781A")
        for field in ("total", "paid_on", "buyer.taxpayer_id"):
            assert f'id="{field}-fault"' in bad.text, field
        assert 'value="2000.01"' in bad.text and 'value="91110108690017781A"' in bad.text
        two = await apply(client, code, title="person")
        assert 'id="title-fault"' in two.text and "TITLE-TWO" in two.text and 'value="58"' in two.text
        assert await count(shop, "applications") == 0

    browse(tmp_path, story)


def test_what_serves_no_more_has_a_page_of_its_own(config: Config) -> None:
    """Revoked, replaced, suspended, forged, cut, a dynamic token: each tells what is the matter; nothing is stored."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        office = shop.office
        old, gone, live = await hang_up(shop), await hang_up(shop, "桌 9"), await hang_up(shop, "桌 10")
        forms = {one.token: hidden(await client.get(f"/T/{one.token}"), "button") for one in (old, gone, live)}
        new = await static_codes.renew(office, shop.actor, old.static_id)
        await static_codes.revoke(office, shop.actor, gone.static_id)
        for token, status, words in (
            (old.token, 410, "这张码已经更换"),
            (gone.token, 410, "商家已作废这个码"),
            ((await shop.code()).token, 404, "不是本系统发出的"),
            (live.token[:-1], 404, "不是完整的开票码"),
            (live.token[:-1] + ("0" if live.token[-1] != "0" else "1"), 404, "不是本系统发出的"),
        ):
            page = await client.get(f"/T/{token}")
            assert (page.status_code, words in page.text) == (status, True), token
        assert new.token not in (await client.get(f"/T/{old.token}")).text, "the new one hangs in the shop only"
        for token in (old.token, gone.token):
            data = {"button": forms[token], "total": "58", **COMPANY_FORM}
            assert (await client.post(f"/t/{token}/apply", data=data)).status_code == 410
        async with office.database.write() as transaction:
            await transaction.execute("UPDATE merchants SET state = 'suspended'")
        data = {"button": forms[live.token], "total": "58", **COMPANY_FORM}
        assert (await client.post(f"/t/{live.token}/apply", data=data)).status_code == 403
        assert await count(shop, "applications") == 0

    browse(config, story)


def test_forged_forms_and_amounts_do_nothing(config: Config) -> None:
    """A button of another code, none, a foreign origin; amounts that no receipt shows; markup is only text."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code, other = await hang_up(shop), await hang_up(shop, "桌 9")
        button = hidden(await client.get(f"/T/{code.token}"), "button")
        data = {"button": button, "total": "58", **COMPANY_FORM}
        assert (await client.post(f"/t/{other.token}/apply", data=data)).status_code == 403
        assert (await client.post(f"/t/{code.token}/apply", data={**data, "button": ""})).status_code == 403
        foreign = {"origin": "http://evil.test"}
        assert (await client.post(f"/t/{code.token}/apply", data=data, headers=foreign)).status_code == 403
        for total in ("0", "-58", "0.001", "1e3", "NaN", "9" * 30, "2000.01", "<b>1</b>", "58;DROP TABLE codes"):
            answer = await client.post(f"/t/{code.token}/apply", data={**data, "total": total})
            assert answer.status_code == 422 and "<b>1</b>" not in answer.text, total
        for name in ("<script>alert(1)</script>", "x" * 101, "\u202e反", "📄公司"):
            answer = await client.post(f"/t/{code.token}/apply", data={**data, "name": name})
            assert answer.status_code == 422 and "<script>alert" not in answer.text
        assert await count(shop, "applications") == 0

    browse(config, story)


def test_a_place_is_only_text(tmp_path: Path) -> None:
    """Angle brackets are refused; what is stored all the same, by whatever way, is shown as text on every page."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        await goods.save_goods(shop.office, shop.merchant, goods.GoodsForm(MEAL.name, MEAL.code, MEAL.rate), shop.actor)
        form = {"csrf": csrf, "make_key": "k", "amount_min": "1", "amount_max": "9", "days_back": "1",
                "device_max": "5", "hour_max": "5", "goods": "0"}  # fmt: skip
        refused = await client.post("/console/static/new", data={**form, "places": "<script>x</script>"})
        assert refused.status_code == 422 and "TEXT-ANGLE-BRACKET" in refused.text
        code = await hang_up(shop)
        evil = "<script>x</script>\"'"
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE static_codes SET place = $1", evil)
            await transaction.execute("UPDATE merchants SET shop_name = $1", evil)
        await apply(client, code)
        for path in (
            f"/t/{code.token}", "/console/static", f"/console/static/{code.static_id}", "/console/inbox",
            f"/console/static/{code.static_id}/change", f"/console/sheets?kind=static&id={code.static_id}&size=a6",
        ):  # fmt: skip
            page = await client.get(path)
            assert page.status_code == 200 and "<script>x" not in page.text and "&lt;script&gt;x" in page.text, path

    browse(tmp_path, story)


def test_a_flood_from_one_place_is_slowed(config: Config) -> None:
    """Fifty forms at once from one address, with a new browser each: some go through, the rest are told to wait."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await hang_up(shop, hour_max=8)
        answers = []
        for _ in range(30):
            client.cookies.clear()
            answers.append((await apply(client, code)).status_code)
        assert answers.count(200) == 8 and set(answers) == {200, 429}
        assert await count(shop, "applications") == 8
        client.cookies.clear()
        one = await hang_up(shop, "桌 9", device_max=2)
        answers = [(await apply(client, one, total=str(number))).status_code for number in range(10, 14)]
        assert answers[2:] == [429, 429]

    browse(config, story)


def test_a_sale_number_opens_its_sale_and_guessing_is_slowed(config: Config) -> None:
    """The digits of the slip lead to the sale with its fixed amount; after ten wrong ones even the right one waits."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        wall = await hang_up(shop, mode=Mode.SALE)
        sale = await shop.code("77.00")
        await log_in(client, shop)
        number = re.search(
            r'class="salenumber">(\d{3}) (\d{3})<', (await client.get(f"/console/codes/{sale.code_id}")).text
        )
        assert number is not None
        page = await client.get(f"/T/{wall.token}")
        assert "凭消费号开票" in page.text and 'name="total"' not in page.text
        typed = {"sale_number": number[1] + number[2]}
        opened = await client.post(f"/t/{wall.token}/number", data=typed, follow_redirects=True)
        assert opened.url.path == f"/s/{sale.token}" and "77.00" in opened.text
        for guess in range(12):
            wrong = await client.post(f"/t/{wall.token}/number", data={"sale_number": f"00000{guess % 10}"})
        assert wrong.status_code == 429
        slowed = await client.post(f"/t/{wall.token}/number", data=typed)
        assert slowed.status_code == 429, "or a guesser would learn from the answer"

    browse(config, story)


def test_many_are_approved_by_one_tap(config: Config) -> None:
    """Ticked ones are issued, each once, sent twice or not; the unticked stays; none ticked is told."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await hang_up(shop)
        for total in ("10", "20", "30"):
            await apply(client, code, total=total)
        csrf = await log_in(client, shop)
        page = await client.get("/console/inbox")
        boxes = re.findall(r'name="(a\d+)"', page.text)
        assert len(boxes) == 3
        data = {"csrf": csrf, boxes[0]: "1", boxes[1]: "1"}
        for _ in range(2):
            told = await client.post("/console/inbox", data=data, follow_redirects=True)
        assert "已同意 2 笔" in told.text
        assert await count(shop, "invoices") == 2
        assert await applications.waiting_count(shop.office, shop.id) == 1
        none = await client.post("/console/inbox", data={"csrf": csrf})
        assert none.status_code == 422 and "APPLICATION-NONE-CHOSEN" in none.text
        other = await client.post("/console/inbox", data={"csrf": csrf, "a1": "1"}, follow_redirects=True)
        assert "1 笔没有开出" in other.text

    browse(config, story)


def test_the_clerks_amount_is_read_with_care(tmp_path: Path) -> None:
    """What is no amount is refused at the field; without the form's token nothing happens; nor to another's."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await apply(client, await hang_up(shop))
        csrf = await log_in(client, shop)
        for total in ("abc", "0", "-1", "1.234"):
            bad = await approve_first(client, csrf, total=total)
            assert bad.status_code == 422 and 'id="total-fault"' in bad.text
        assert (await approve_first(client, "forged")).status_code == 403
        thief = await new_shop(shop.office, "91420100MA4K00001U")
        theirs = await hang_up(thief, "桌 1")
        asked = await apply(client, theirs)
        rows = await shop.office.database.read(
            "SELECT application_id FROM applications WHERE merchant_id = $1", thief.id
        )
        assert asked.status_code == 200
        for path in (
            f"/console/static/{theirs.static_id}", f"/console/static/{theirs.static_id}/change",
            f"/console/static/{theirs.static_id}/symbol.svg", f"/console/codes/{rows[0][0]}",
            f"/console/sheets?kind=static&id={theirs.static_id}&size=a6", f"/console/static/{'9' * 400}",
            "/console/static/%D9%A3",
        ):  # fmt: skip
            assert (await client.get(path)).status_code == 404, path
        for path in (f"/console/static/{theirs.static_id}", f"/console/inbox/{rows[0][0]}"):
            for form in ({"revoke": "1"}, {"renew": "1"}, {"refuse": "1", "reason": "x"}, {"total": "1"}):
                answer = await client.post(path, data={"csrf": csrf, **form})
                assert answer.status_code in (404, 422), path
        assert await count(shop, "invoices") == 0

    browse(tmp_path, story)


def test_the_shop_makes_changes_and_renews_codes(config: Config) -> None:
    """Twelve tables by one form, sent twice; the list with figures and filters; change; renew; revoke; its stats."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        empty = await client.get("/console/static")
        assert "还没有静态码" in empty.text
        assert "先加一个商品" in (await client.get("/console/static/new")).text
        saved = await goods.save_goods(
            shop.office, shop.merchant, goods.GoodsForm(MEAL.name, MEAL.code, MEAL.rate), shop.actor
        )
        page = await client.get("/console/static/new")
        form = {"csrf": csrf, "make_key": hidden(page, "make_key"), "places": "桌 1-12", "mode": "approval",
                "goods": str(saved.goods_id), "amount_min": "1", "amount_max": "500", "days_back": "30",
                "device_max": "5", "hour_max": "60"}  # fmt: skip
        bare = await client.post("/console/static/new", data={"csrf": csrf})
        assert bare.status_code == 422 and "STATIC-PLACES" in bare.text
        bad = await client.post("/console/static/new", data={**form, "amount_min": "x", "hour_max": "0", "goods": "7"})
        assert bad.status_code == 422 and "桌 1-12" in bad.text
        for _ in range(2):
            await client.post("/console/static/new", data=form)
        assert await count(shop, "static_codes") == 12
        listed = await client.get("/console/static")
        assert [int(n) for n in re.findall(r">桌 (\d+)</a>", listed.text)] == list(range(1, 13))
        assert re.findall(r">桌 (\d+)</a>", (await client.get("/console/static?q=桌 1&mode=approval")).text) == [
            "1", "10", "11", "12",
        ]  # fmt: skip
        one = (await static_codes.list_static_codes(shop.office, shop.id))[0]
        await client.post(f"/t/{one.token}/seen")
        await client.post(f"/console/static/{one.static_id}/change", data={**form, "places": "门口", "goods": "kept"})
        shown = await client.get(f"/console/static/{one.static_id}")
        assert "门口" in shown.text and '<dd class="num">1</dd>' in shown.text
        renewed = await client.post(f"/console/static/{one.static_id}", data={"csrf": csrf, "renew": "1"})
        assert renewed.headers["location"].startswith("/console/static/")
        assert "已更换" in (await client.get(f"/console/static/{one.static_id}")).text
        await client.post(renewed.headers["location"].partition("?")[0], data={"csrf": csrf, "revoke": "1"})
        assert "门口" in (await client.get("/console/static?state=revoked")).text
        assert await count(shop, "static_codes") == 13

    browse(config, story)


def test_what_is_invoiced_at_a_table_counts_for_its_shop(tmp_path: Path) -> None:
    """The form offers the merchant's shops; another merchant's is refused, and nothing is made."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        stranger = await new_shop(shop.office, "91110000600037341L")
        theirs = await tills.save_shop(stranger.office, stranger.actor, "别家店", "", None, active=True)
        mine = await tills.save_shop(shop.office, shop.actor, "江汉路店", "", None, active=True)
        csrf = await log_in(client, shop)
        form = {"csrf": csrf, "make_key": "k", "places": "桌 8", "goods": "", "amount_min": "1", "amount_max": "500",
                "days_back": "30", "device_max": "5", "hour_max": "60"}  # fmt: skip
        saved = await goods.save_goods(
            shop.office, shop.merchant, goods.GoodsForm(MEAL.name, MEAL.code, MEAL.rate), shop.actor
        )
        form["goods"] = str(saved.goods_id)
        page = await client.get("/console/static/new")
        assert "江汉路店" in page.text and "别家店" not in page.text
        for wrong in (theirs, "x", 5):
            refused = await client.post("/console/static/new", data={**form, "shop_id": str(wrong)})
            assert "SHOP-NOT-FOUND" in refused.text and await count(shop, "static_codes") == 0
        made = await client.post("/console/static/new", data={**form, "shop_id": str(mine)})
        code = await static_codes.static_code(shop.office, shop.id, int(made.headers["location"].rpartition("/")[2]))
        await apply(client, code)
        await approve_first(client, csrf, total="58.00")
        rows = await shop.office.database.read("SELECT shop_id FROM invoices")
        assert [row[0] for row in rows] == [mine]

    browse(tmp_path, story)


def test_a_code_of_an_application_is_confirmed_by_nobody_else(tmp_path: Path) -> None:
    """Between yes and invoice the code is open: its page leads to the application, and no confirm form gets it."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        from piaoma.desk import approve, scan
        from piaoma.invoice.parties import Buyer

        code = await hang_up(shop)
        waiting = await apply(client, code)
        token = waiting.url.path[3:]
        one = (await applications.waiting(shop.office, shop.id))[0]
        await approve._agree(shop.office, one, approve._offer(code, one, Decimal("58.00")), 5800, shop.actor, None)
        page = await client.get(f"/s/{token}", follow_redirects=True)
        assert page.url.path == f"/a/{token}" and "正在开具" in page.text
        outcome = await scan.confirm(shop.office, token, "thief", Buyer("个人", natural_person=True), issue_key="k")
        assert [refusal.cause for refusal in outcome.refusals] == ["APPLICATION-WAITING"]
        assert await count(shop, "invoices") == 0
        # The control: with the mark taken off the offer, the same request gets a stranger's sale.
        other = await apply(client, await hang_up(shop, "桌 9"), total="59")
        one = (await applications.waiting(shop.office, shop.id))[0]
        unmarked = msgspec.structs.replace(approve._offer(code, one, Decimal("59.00")), applied=False)
        await approve._agree(shop.office, one, unmarked, 5900, shop.actor, None)
        stolen = await scan.confirm(
            shop.office, other.url.path[3:], "thief", Buyer("个人", natural_person=True), issue_key="k"
        )
        assert stolen.number and await count(shop, "invoices") == 1
        assert await approve.finish_approved(shop.office, after_ms=-1) == 2
        assert "发票已开具" in (await client.get(f"/a/{token}", follow_redirects=True)).text

    browse(tmp_path, story)


def test_the_answer_comes_by_mail_when_the_page_is_closed(config: Config) -> None:
    """Agreed to: the invoice. Refused: the reason, and where to ask. Nothing goes out before."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await hang_up(shop)
        folder = shop.office.config.data_folder / "mail"
        csrf = await log_in(client, shop)

        async def mails() -> list[str]:
            while await shop.office.outbox.work_once():
                pass
            parsed = [message_from_bytes(file.read_bytes(), policy=default) for file in folder.glob("*.eml")]
            bodies = [mail.get_body() for mail in parsed]
            return [
                f"{mail['subject']} {body.get_content()}" for mail, body in zip(parsed, bodies, strict=True) if body
            ]

        await apply(client, code, email="guest@example.cn")
        assert await mails() == []
        await approve_first(client, csrf, refuse="1", usual="这笔已经开过票")
        told = await mails()
        assert len(told) == 1 and "没有同意" in told[0] and "这笔已经开过票" in told[0] and "/a/" in told[0]
        await apply(client, code, email="guest@example.cn", total="60")
        await approve_first(client, csrf)
        told = await mails()
        assert len(told) == 2 and sum("发票号码" in one for one in told) == 1

    browse(config, story)


def test_one_poster_serves_for_years(config: Config) -> None:
    """Four hundred days later and under another name of the shop, the same symbol takes applications."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await hang_up(shop)
        now = shop.office.now
        shop.office.now = lambda: now() + timedelta(days=400)
        await merchant.change_profile(shop.office, shop.actor, merchant.Profile("改了名的小馆", drawer="张三"))
        page = await client.get(f"/T/{code.token}")
        assert page.status_code == 200 and "改了名的小馆" in page.text
        assert "已提交，等店家确认" in (await apply(client, code)).text

    browse(config, story)


def test_no_request_changes_the_amount_of_a_sale(config: Config) -> None:
    """Figures in the address, in the title's form and in the confirm form: the invoice has the shop's amount."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code("58.00")
        figures = {"amount": "1", "total": "1", "amount1": "1", "lines[0].amount": "1", "total_fen": "1", "price1": "1"}
        address = "?amount=1&total=1"
        page = await client.post(
            f"/s/{code.token}/title{address}", data={"person": "1", **figures}, follow_redirects=True
        )
        data = {"confirmation": hidden(page, "confirmation"), **figures}
        await client.post(f"/s/{code.token}/confirm{address}", data=data, follow_redirects=True)
        rows = await shop.office.database.read("SELECT total_fen FROM invoices")
        assert [row[0] for row in rows] == [5800]

    browse(config, story)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_pages_are_light(tmp_path: Path, language: str) -> None:
    """Customer's pages stay under 30 kB on the wire with style and script; every word is there in both languages."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        from piaoma.web.page import static_files

        assets = 0
        for name in ("base.css", "scan.js"):
            file = await client.get(static_files()[name][0])
            assets += int(file.headers.get("content-length", "0"))
        code = await hang_up(shop)
        for path in (f"/t/{code.token}?lang={language}", (await apply(client, code)).url.path):
            page = await client.get(path)
            assert int(page.headers["content-length"]) + assets < 30_000, path

    browse(tmp_path, story)
