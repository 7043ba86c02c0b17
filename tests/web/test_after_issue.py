"""After an invoice: proof of delivery, handing on, asking the shop; each as its customer and its shop see it."""

from __future__ import annotations

import itertools
import re
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from piaoma.desk import hand_on as sharing
from piaoma.desk import questions, receipts, red
from piaoma.desk.config import Config
from piaoma.desk.receipts import Proof
from piaoma.invoice.red_form import RedReason
from tests.conftest import Shop, new_shop
from tests.web.browsing import browse, hidden, log_in
from tests.web.test_my_invoices import ADDRESS, OTHER_ID, issued, mails, stranger, text_of

WECHAT = "Mozilla/5.0 (Linux; Android 6.0) AppleWebKit/537.36 Mobile MicroMessenger/8.0"


async def number_of(shop: Shop) -> str:
    return str((await shop.office.database.read("SELECT number FROM invoices"))[0][0])


async def proof_of(shop: Shop) -> Proof:
    return (await receipts.mails_of(shop.office, shop.id, await number_of(shop)))[0].proof


def test_a_mail_goes_through_its_states(config: Config) -> None:
    """待发送, 已发送, 已打开, 已下载, by the link in the mail alone, and both sides see it."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        await client.post(f"/s/{token}/send", data={"email": ADDRESS})
        page = await client.get(f"/s/{token}/result")
        assert "待发送" in page.text and await proof_of(shop) is Proof.WAITING
        message = (await mails(shop))[0]
        assert await proof_of(shop) is Proof.SENT and "已发送" in (await client.get(f"/s/{token}/result")).text
        assert "<img" not in message.as_string(), "no tracking pixel"
        link = re.search(r"http://shop\.test(/s/\S+)", text_of(message))
        assert link is not None
        # The holder's own look is no proof that the mail arrived, nor is one ahead of time or a guess.
        other = stranger(client)
        await client.get(f"/s/{token}/file/pdf")
        await other.get(link[1], headers={"sec-purpose": "prefetch"})
        await other.head(link[1])
        await other.get(re.sub(r"c=\w+", "c=00000000", link[1]))
        await other.get(link[1].replace("m=0", "m=1"))
        assert await proof_of(shop) is Proof.SENT
        opened = await other.get(link[1])
        assert await proof_of(shop) is Proof.OPENED
        pdf = re.search(r'href="(/s/\w+/file/pdf\?[^"]+)"', opened.text)
        assert pdf is not None
        await other.get(pdf[1].replace("&amp;", "&"))
        assert await proof_of(shop) is Proof.DOWNLOADED
        assert "已下载" in (await client.get(f"/s/{token}/result")).text
        await log_in(client, shop)
        assert "已下载" in (await client.get("/console/mails")).text

    browse(config, story)


def test_a_shop_finds_what_nobody_opened_and_sends_it_again(config: Config) -> None:
    """The filter 未打开; in bulk, spaced, each under its own id; another shop's ids do nothing."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for place in range(3):
            token = await issued(client, shop)
            await client.post(f"/s/{token}/send", data={"email": f"li{place}@example.cn"})
        await mails(shop)
        csrf = await log_in(client, shop)
        page = await client.get("/console/mails?only=unopened")
        jobs = re.findall(r'name="(mail:[^"]+)"', page.text)
        assert len(jobs) == 3 and "未打开" in page.text
        assert "没有这样的邮件" in (await client.get("/console/mails?only=opened")).text
        answer = await client.post("/console/mails", data={"csrf": csrf, **dict.fromkeys(jobs, "1")})
        assert answer.headers["location"] == "/console/mails?again=3"
        rows = await shop.office.database.read("SELECT next_at_ms FROM jobs WHERE kind = 'mail' ORDER BY next_at_ms")
        gaps = [after[0] - before[0] for before, after in itertools.pairwise(rows)]
        assert gaps == [receipts.BULK_GAP_MS] * 2
        other = await new_shop(shop.office, OTHER_ID)
        assert await receipts.send_again(shop.office, other.actor, [job.removeprefix("mail:") for job in jobs]) == 0

    browse(config, story)


def test_a_dead_address_says_why_and_offers_another(config: Config) -> None:
    """The reason in words to the customer, no raw error, and the field for a new address."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        await client.post(f"/s/{token}/send", data={"email": ADDRESS})
        async with shop.office.database.write() as transaction:
            await transaction.execute(
                "UPDATE jobs SET state = 'dead', last_error = $1 WHERE kind = 'mail'",
                "Undeliverable: the receiver's server refused the address (550)",
            )
        page = await client.get(f"/s/{token}/result")
        assert "没有这个地址" in page.text and "填新地址" in page.text and "Undeliverable" not in page.text
        await log_in(client, shop)
        assert "没有这个地址" in (await client.get("/console/mails?only=failed")).text

    browse(config, story)


def test_addresses_are_purged_after_thirty_days(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock: kept for thirty days and then gone; what waits is kept; the list by mail works on."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        await client.post(f"/s/{token}/send", data={"email": ADDRESS})
        await mails(shop)
        await client.post(f"/s/{token}/ask", data={"reason": "title", "email": ADDRESS})
        await client.post(f"/s/{token}/send", data={"email": "waits@example.cn"})
        now = shop.office.now
        monkeypatch.setattr(shop.office, "now", lambda: now() + timedelta(days=29))
        assert await receipts.purge_contacts(shop.office) == 0
        monkeypatch.setattr(shop.office, "now", lambda: now() + timedelta(days=31))
        assert await receipts.purge_contacts(shop.office) == 2
        rows = await shop.office.database.read("SELECT target FROM jobs WHERE kind = 'mail' ORDER BY target")
        assert [row[0] for row in rows] == ["", "waits@example.cn"]
        assert (await shop.office.database.read("SELECT contact FROM questions"))[0][0] == ""
        assert "地址已按规定删除" in (await client.get(f"/s/{token}/result")).text
        from piaoma.desk import mailed

        assert await mailed.make_link(shop.office, ADDRESS)

    browse(config, story)


def test_a_shared_link_shows_downloads_expires_and_is_taken_back(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its receiver needs no login and gets no more than the invoice; its maker sees that it was opened."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        made = await client.post(f"/s/{token}/share", data={"days": "7"}, follow_redirects=True)
        url = re.search(r"http://shop\.test(/h/\w{20})", made.text)
        assert url is not None and "未打开" in made.text
        other = stranger(client)
        page = await other.get(url[1])
        assert "转发给您的发票" in page.text and "58.00" in page.text and token not in page.text
        assert "取票码" not in page.text and "pm_h" not in other.cookies
        assert "已打开" in (await client.get(f"/s/{token}/result")).text
        for kind, begin in (("pdf", b"%PDF"), ("xml", b"<?xml"), ("ofd", b"PK"), ("zip", b"PK")):
            assert (await other.get(f"{url[1]}/file/{kind}")).content.startswith(begin)
        assert "已下载" in (await client.get(f"/s/{token}/result")).text
        number = await number_of(shop)
        await red.raise_form(shop.office, shop.id, number, RedReason.WRONG, form_id="f")
        for page in (await other.get(url[1]), await client.get(f"/s/{token}/picture"), await client.get("/my")):
            assert "已红冲" in page.text, "the file never changes, so whoever gets it is told beside it"
        share = (await sharing.shares_of(shop.office, shop.id, number))[0]
        assert (await other.post(f"/s/{token}/share", data={"revoke": str(share.share_id)})).status_code == 404
        now = shop.office.now
        monkeypatch.setattr(shop.office, "now", lambda: now() + timedelta(days=7, seconds=1))
        assert (await other.get(url[1])).status_code == 410
        monkeypatch.setattr(shop.office, "now", now)
        assert (await other.get(url[1])).status_code == 200
        await client.post(f"/s/{token}/share", data={"revoke": str(share.share_id)})
        for path in (url[1], f"{url[1]}/file/pdf"):
            gone = await other.get(path)
            assert gone.status_code == 410 and "SHARE-GONE" in gone.text

    browse(config, story)


def test_a_shared_link_cannot_be_guessed_nor_another_token_used(config: Config) -> None:
    """A code's token is no link and a link no code; guesses die before the store; many are slowed."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        share = await sharing.make_share(shop.office, shop.id, await number_of(shop), 1)
        other = stranger(client)
        for guess in (token, "0" * 20, share.token[:-1] + ("0" if share.token[-1] != "0" else "1"), "x"):
            assert (await other.get(f"/h/{guess}")).status_code == 404, guess
        assert (await other.get(f"/s/{share.token}")).status_code == 404
        answers = [(await other.get("/h/" + "1" * 20)).status_code for _ in range(60)]
        assert answers[-1] == 429
        for days in ("0", "31", "x", "-1", "1.5"):
            assert (await client.post(f"/s/{token}/share", data={"days": days})).status_code in (422, 429)

    browse(config, story)


def test_links_of_an_invoice_are_few(tmp_path: Path) -> None:
    """Taken back, there is room for another."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issued(client, shop)
        number = await number_of(shop)
        made = [await sharing.make_share(shop.office, shop.id, number, 1) for _ in range(sharing.SHARES_MAX)]
        with pytest.raises(Exception, match="SHARE-TOO-MANY"):
            await sharing.make_share(shop.office, shop.id, number, 1)
        await sharing.revoke_share(shop.office, shop.id, number, made[0].share_id)
        await sharing.make_share(shop.office, shop.id, number, 1)

    browse(tmp_path, story)


def test_a_browser_inside_an_app_is_told_what_works_there(tmp_path: Path) -> None:
    """WeChat: picture by long press, the link to copy, the way to a browser proper; others are not told."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        inside = await client.get(f"/s/{token}/result", headers={"user-agent": WECHAT})
        assert "用浏览器打开" in inside.text and f"/s/{token}/picture" in inside.text
        plain = await client.get(f"/s/{token}/result")
        assert "用浏览器打开" not in plain.text
        picture = await client.get(f"/s/{token}/picture", headers={"user-agent": WECHAT})
        assert f'src="/s/{token}/file/png"' in picture.text and "长按" in picture.text and "data-copy" in picture.text
        assert (await client.get(f"/s/{token}/file/png")).content.startswith(b"\x89PNG")
        assert (await stranger(client).get(f"/s/{token}/picture")).status_code == 404

    browse(tmp_path, story)


def test_a_customer_asks_and_the_shop_answers(config: Config) -> None:
    """Reason and line on the shop's list; the answer on the page and by mail; as text, to the two of them only."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        line = '少写了"科技"两个字<script>alert(1)</script>'
        asked = {"reason": "title", "line": line, "email": ADDRESS}
        page = await client.post(f"/s/{token}/ask", data=asked, follow_redirects=True)
        assert "已发给商家" in page.text and "等商家回复" in page.text and "<script>alert" not in page.text
        await client.post(f"/s/{token}/ask", data=asked)
        assert (await shop.office.database.read("SELECT count(*) FROM questions"))[0][0] == 1
        assert (await stranger(client).get(f"/s/{token}/ask")).status_code == 404
        assert (await stranger(client).post(f"/s/{token}/ask", data=asked)).status_code == 404
        await log_in(client, shop)
        listed = await client.get("/console/questions")
        assert "抬头或税号不对" in listed.text and "<script>alert" not in listed.text and ADDRESS not in listed.text
        csrf, question = hidden(listed, "csrf"), hidden(listed, "question")
        empty = await client.post("/console/questions", data={"csrf": csrf, "question": question, "answer": " "})
        assert empty.status_code == 422 and "QUESTION-EMPTY" in empty.text
        other = await new_shop(shop.office, OTHER_ID)
        with pytest.raises(Exception, match="QUESTION-NOT-FOUND"):
            await questions.answer(shop.office, other.actor, int(question), "不是我的")
        await client.post("/console/questions", data={"csrf": csrf, "question": question, "answer": "今天给您换开。"})
        assert "没有待回复的问题" in (await client.get("/console/questions")).text
        assert "今天给您换开。" in (await client.get("/console/questions?state=answered")).text
        assert "今天给您换开。" in (await client.get(f"/s/{token}/ask")).text
        assert any("今天给您换开。" in text_of(message) for message in await mails(shop))

    browse(config, story)


def test_questions_are_bounded(tmp_path: Path) -> None:
    """Nothing said is refused; three wait at a time; a device that goes on is slowed."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        token = await issued(client, shop)
        empty = await client.post(f"/s/{token}/ask", data={"reason": "other", "line": " "})
        assert empty.status_code == 422 and "QUESTION-EMPTY" in empty.text
        for place in range(questions.OPEN_MAX):
            await questions.ask(shop.office, shop.id, await number_of(shop), "other", f"第{place}句", "")
        many = await client.post(f"/s/{token}/ask", data={"reason": "amount", "line": "再问"})
        assert many.status_code == 422 and "QUESTION-TOO-MANY" in many.text and "再问" in many.text
        codes = [(await client.post(f"/s/{token}/ask", data={"reason": "mail"})).status_code for _ in range(5)]
        assert codes[-1] == 429

    browse(tmp_path, story)
