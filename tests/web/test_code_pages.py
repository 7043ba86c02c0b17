"""A code's page at the till: large, printed, kept, shared, extended; and when making one fails."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
import zxingcpp
from PIL import Image

from piaoma.delivery import Undeliverable
from piaoma.delivery.outbox import Job
from piaoma.desk import codes, merchant, share
from piaoma.desk.config import Config
from piaoma.invoice.refusal import Refused
from tests.conftest import Shop
from tests.web.browsing import browse, issue_by_pages, log_in


def test_the_saved_picture_says_whose_how_much_until_when(tmp_path: Path) -> None:
    """A PNG named after shop and amount; its symbol is read; an `img` that a long press can save shows it, too."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        made = await shop.code("1280.50")
        await log_in(client, shop)
        assert f"/console/codes/{made.code_id}/picture.png" in (await client.get(f"/console/codes/{made.code_id}")).text
        picture = await client.get(f"/console/codes/{made.code_id}/picture.png")
        assert "测试小馆-1280.50.png" in unquote(picture.headers["content-disposition"])
        image = Image.open(io.BytesIO(picture.content)).convert("L")
        found = zxingcpp.read_barcodes(image)
        assert [one.text for one in found] == [made.url]
        # Below and above the symbol there is writing: more than the symbol alone is black.
        bottom = max(found[0].position.bottom_left.y, found[0].position.bottom_right.y)
        assert sum(image.crop((0, bottom + 20, image.width, image.height)).histogram()[:60]) > 100
        again = await client.get(f"/console/codes/{made.code_id}/picture.png")
        assert again.content == picture.content

    browse(tmp_path, story)


def test_sheets_are_previewed_and_downloaded(tmp_path: Path) -> None:
    """Each size of a code: shop, amount, steps, sandbox mark, characters to type; the PDF holds the same symbol."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        made = await shop.code()
        await log_in(client, shop)
        for size in ("58", "80", "a6", "tent", "a4", "x"):
            page = await client.get(f"/console/sheets?kind=code&id={made.code_id}&size={size}")
            assert page.status_code == 200
            for word in ("测试小馆", "¥58.00", "扫码 → 核对抬头 → 确认", "测试样票", "有效期至", "<svg"):
                assert word in page.text, (size, word)
        sheet = await client.get(f"/console/sheets.pdf?kind=code&id={made.code_id}&size=a6")
        assert sheet.content.startswith(b"%PDF") and sheet.headers["content-type"] == "application/pdf"
        for wrong in ("kind=code&id=1", "kind=code", "kind=static&id=1", "kind=static", "kind=code&id=%D9%A3"):
            assert (await client.get(f"/console/sheets?{wrong}")).status_code == 404, wrong

    browse(tmp_path, story)


def test_the_large_page_is_the_symbol_and_what_belongs_beside_it(tmp_path: Path) -> None:
    """One link away, without scripts: shop, amount, kind, state; white whatever the theme; gone when issued."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        made = await shop.code()
        await log_in(client, shop)
        small = await client.get(f"/console/codes/{made.code_id}")
        assert f'href="/console/codes/{made.code_id}/large"' in small.text
        large = await client.get(f"/console/codes/{made.code_id}/large")
        for word in ("测试小馆", "¥58.00", "电子发票（普通发票）", "待扫码", "symbol.svg"):
            assert word in large.text, word
        assert 'http-equiv="refresh" content="5' in large.text and "<nav" not in large.text
        await client.post(f"/s/{made.token}/seen")
        assert "已扫码" in (await client.get(f"/console/codes/{made.code_id}/large")).text
        await issue_by_pages(client, made.token)
        done = await client.get(f"/console/codes/{made.code_id}/large")
        assert "顾客已经拿到发票" in done.text and "symbol.svg" not in done.text and "http-equiv" not in done.text

    browse(tmp_path, story)


def test_a_mailed_link_leads_to_the_page_of_the_symbol(config: Config) -> None:
    """Sent twice it is one mail, with shop, amount, expiry and the symbol's own address; the list masks who got it."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        office = shop.office
        made = await shop.code()
        csrf = await log_in(client, shop)
        path = f"/console/codes/{made.code_id}"
        bad = await client.post(path, data={"csrf": csrf, "email": "nobody"})
        assert bad.status_code == 422 and "MAIL-ADDRESS" in bad.text and 'value="nobody"' in bad.text
        for _ in range(2):
            await client.post(path, data={"csrf": csrf, "email": "guest@example.cn"})
        page = await client.get(path)
        assert "guest@example.cn" not in page.text and "g***" in page.text
        await office.outbox.work_once()
        mails = [message_from_bytes(file.read_bytes(), policy=default)
                 for file in (office.config.data_folder / "mail").glob("*.eml")]  # fmt: skip
        assert len(mails) == 1
        text = mails[0].get_content()
        for word in ("测试小馆", "¥58.00", made.url, f"{made.expires_at:%Y年%m月%d日}", "测试样票"):
            assert word in text, word
        assert "已发送" in (await client.get(path)).text
        # What a messenger's preview does: it looks at the address, and nothing is used up.
        for agent in ("WhatsApp/2", "facebookexternalhit/1.1", "Mozilla/5.0 MicroMessenger"):
            assert (await client.get(f"/S/{made.token}", headers={"user-agent": agent})).status_code == 200
            assert (await client.head(f"/S/{made.token}", headers={"user-agent": agent})).status_code == 200
        assert (await codes.code(office, shop.id, made.code_id)).state is codes.CodeState.OPEN
        await issue_by_pages(client, made.token)
        late = await client.post(path, data={"csrf": csrf, "email": "other@example.cn"})
        assert "CODE-NOT-OPEN" in late.text

    browse(config, story)


def test_mails_of_a_code_end_somewhere(config: Config) -> None:
    """After ten addresses there is no eleventh; a code that is revoked meanwhile is not sent, visibly."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        office = shop.office
        made = await shop.code()
        for number in range(share.SHARES_MAX):
            await share.send_code(office, shop.actor, made.code_id, f"guest{number}@example.cn")
        with pytest.raises(Refused) as caught:
            await share.send_code(office, shop.actor, made.code_id, "eleventh@example.cn")
        assert caught.value.refusals[0].cause == "REQUEST-TOO-MANY"
        await codes.revoke(office, shop.actor, made.code_id)
        await office.outbox.work_once()
        states = {(one.state, one.last_error) for one in await share.sent(office, shop.id, made.code_id)}
        assert ("dead", "Undeliverable: the code is revoked") in states
        with pytest.raises(Undeliverable):
            await share.letter(office, Job(shop.id, "code:x", "mail", "", "a@example.cn", 1))

    browse(config, story)


def test_the_share_text_is_complete(tmp_path: Path) -> None:
    """Shop, amount, expiry, address; in the page for the share sheet, for copying, and to be read without scripts."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        made = await shop.code("1280.50")
        text = share.message(shop.merchant, made, sandbox=True)
        assert text == (
            f"【测试样票】【测试小馆】请领取电子发票：¥1,280.50，{made.expires_at:%Y年%m月%d日}前打开 {made.url}"
        )
        await log_in(client, shop)
        page = await client.get(f"/console/codes/{made.code_id}")
        assert f'data-share="{text}"' in page.text and f'data-copy="{text}"' in page.text
        assert f'data-copy="{made.url}"' in page.text and f'readonly rows="3">{text}</textarea>' in page.text
        assert "mail" in share.carriers()

    browse(tmp_path, story)


def test_an_expired_code_names_the_phone_and_is_extended_by_one_tap(config: Config) -> None:
    """The customer reads whom to call; the shop taps once; the same printed code serves. Issued, it never expires."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        office = shop.office
        await merchant.change_profile(
            office, shop.actor, merchant.Profile("测试小馆", phone="027-12345678", drawer="张三")
        )
        made = await shop.code()
        assert made.expires_at - made.created_at == timedelta(days=30)
        for days in (0, 366):
            with pytest.raises(Refused) as caught:
                await codes.extend(office, shop.actor, made.code_id, days)
            assert caught.value.refusals[0].cause == "CODE-VALIDITY"
        now = office.now
        office.now = lambda: now() + timedelta(days=31)
        csrf = await log_in(client, shop)
        gone = await client.get(f"/S/{made.token}")
        assert gone.status_code == 410 and "tel:027-12345678" in gone.text and "码不用换" in gone.text
        till = await client.get(f"/console/codes/{made.code_id}")
        assert "已过期" in till.text and 'name="extend"' in till.text
        await client.post(f"/console/codes/{made.code_id}", data={"csrf": csrf, "extend": "1"})
        result = await issue_by_pages(client, made.token)
        assert "发票已开具" in result.text
        office.now = lambda: now() + timedelta(days=4000)
        assert "发票已开具" in (await client.get(f"/S/{made.token}")).text

    browse(config, story)


def test_making_a_code_fails_and_nothing_typed_is_lost(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The channel is away, the symbol is spoiled, the quota is gone: what, what next, the figures still there. A crash
    at any step: the same form sent again gives one code."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        csrf = await log_in(client, shop)
        form = {"csrf": csrf, "amount1": "58", "name1": "餐费", "code1": "3070401000000000000", "rate1": "0.06",
                "remark": "靠窗第二桌", "mint_key": "one-form"}  # fmt: skip
        before = await client.post("/console/codes/new", data={**form, "amount1": "9999999999"})
        assert before.status_code == 422 and "QUOTA-EXCEEDED" in before.text and "靠窗第二桌" in before.text
        for step in ("piaoma.desk.mint.preview", "piaoma.desk.mint.prove", "piaoma.desk.mint.write_block",
                     "piaoma.desk.mint.code"):  # fmt: skip
            with monkeypatch.context() as broken:
                broken.setattr(step, lambda *_, **__: (_ for _ in ()).throw(RuntimeError("power cut")))
                fault = await client.post("/console/codes/new", data=form)
                assert fault.status_code == 500 and "INTERNAL-ERROR" in fault.text
                assert re.search(r'class="code">[0-9a-f]{16}<', fault.text) and "客服" in fault.text
        places = {(await client.post("/console/codes/new", data=form)).headers["location"] for _ in range(2)}
        assert len(places) == 1
        rows = await shop.office.database.read("SELECT count(*) FROM codes")
        assert rows[0][0] == 1, "and the crash after the commit made no second one"

    browse(config, story)
