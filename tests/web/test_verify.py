"""查验: whoever holds a file can ask what is known of it; a page without scripts, and JSON for programs."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from piaoma.desk import log
from piaoma.desk.config import Config
from piaoma.desk.verify import REQUESTS_MAX
from piaoma.web import verify
from piaoma.web.verify import FILES_MAX
from tests.conftest import COMPANY, Shop, new_shop
from tests.documents.foreign import FACTS, foreign_pdf, qr_text
from tests.documents.hostile import HOSTILE
from tests.documents.test_check import picture_of
from tests.web.browsing import browse, issue_by_pages, log_in

Files = dict[str, bytes]


async def issued(client: httpx.AsyncClient, shop: Shop) -> Files:
    code = await shop.code()
    await issue_by_pages(client, code.token)
    await log.sequence_once(shop.office)
    client.cookies.clear()
    rows = await shop.office.database.read("SELECT number FROM invoices ORDER BY number DESC LIMIT 1")
    return {kind: await shop.office.view(shop.id, rows[0][0], kind) for kind in ("xml", "pdf", "ofd", "png")}


async def asked(client: httpx.AsyncClient, *files: tuple[str, bytes], status: int = 200, **fields: str) -> str:
    sent = [("files", file) for file in files] or [("files", ("", b""))]
    answer = await client.post("/verify", files=sent, data=fields)
    assert answer.status_code == status, answer.text
    return answer.text


async def told(client: httpx.AsyncClient, *files: tuple[str, bytes]) -> list[dict[str, Any]]:
    answer = await client.post("/api/v1/verify", files=[("f", file) for file in files])
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["files"]
    return found


def lights(result: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["light"] for item in result["items"]}


def test_a_genuine_file_passes_and_every_item_is_told(config: Config) -> None:
    """XML, PDF and OFD: whole, signed, in the log, the very original of the records, not reversed here; a sample."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for kind, data in (await issued(client, shop)).items():
            page = await asked(client, (f"a.{kind}", data))
            result = (await told(client, (f"a.{kind}", data)))[0]
            assert "测试样票" in page and "¥58.00" in page
            if kind == "png":
                assert result["verdict"] == "unknown" and "此处无法判断" in page
                assert lights(result)["record"] == "ok" and lights(result)["signature"] == "unknown"
                assert "武****公司" in page and COMPANY.name not in page  # a picture shows no more of the parties
                continue
            assert 'class="state good"' in page and result["verdict"] == "valid"
            wanted = {"file", "signature", "figures", "ids", "log", "record", "red"}
            assert {name for name, light in lights(result).items() if light == "ok"} >= wanted
            assert "逐字节相同" in page and "个叶子" in page and COMPANY.name in page

    browse(config, story)


@pytest.mark.parametrize("kind", ["xml", "pdf", "ofd"])
def test_an_altered_file_does_not(config: Config, kind: str) -> None:
    """A changed amount in the XML; a PDF that shows something else around the genuine original."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        data = (await issued(client, shop))[kind]
        altered = data.replace(b"58.00", b"98.00") if kind == "xml" else data + b"%"
        assert altered != data
        page = await asked(client, ("a", altered))
        if kind != "pdf":
            assert "不通过" in page and ("SIGNATURE-" if kind == "xml" else "OFD-UNREADABLE") in page
        else:
            assert "此处无法判断" in page and "VIEW-DIFFERS" in page
        assert 'class="state good"' not in page

    browse(config, story)


def test_another_amount_under_a_number_of_ours_is_refused(config: Config) -> None:
    """By photo and by typing: that it differs is told, what the record says is not."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issued(client, shop)
        rows = await shop.office.database.read("SELECT number, issued_on FROM invoices")
        number, day = str(rows[0][0]), str(rows[0][1])
        photo = picture_of(qr_text(number, "98.00", day.replace("-", "")))
        page = await asked(client, ("a.png", photo))
        assert "不通过" in page and "RECORD-DIFFERS" in page and "58.00" not in page
        for amount, word in (("58.00", "通过"), ("¥58", "通过"), ("98.00", "不通过")):
            page = await asked(client, number=number, date=day, amount=amount)
            assert re.search(rf'class="state \w+" role="status">. {word}<', page), amount
        assert "武****公司" not in page
        page = await asked(client, number=number, date=day, amount="58")
        assert "武****公司" in page and "与本站" in page
        unknown = await asked(client, number="26990000000000099999", date=day, amount="58")
        assert "此处无法判断" in unknown and "RECORD-NONE" in unknown

    browse(config, story)


def test_what_was_typed_wrong_is_told_at_its_field_and_kept(config: Config) -> None:
    """All faults at once, in both languages; nothing sent is told too."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        page = await asked(client, status=422, number="123", date="昨天", amount="很多")
        for field, cause in (("number", "TYPED-NUMBER"), ("date", "TYPED-DATE"), ("amount", "TYPED-AMOUNT")):
            assert f'href="#{field}"' in page and cause in page
        assert 'value="123"' in page and '<details class="card" open>' in page
        assert "FILE-NONE" in await asked(client, status=422)
        client.headers["accept-language"] = "en"
        assert "Write it as 2026-11-24" in await asked(client, status=422, number="1", date="x", amount="1")

    browse(config, story)


def test_what_cannot_be_known_is_not_guessed_and_what_to_type_is_told(config: Config) -> None:
    """A foreign PDF: its fields for the national platform, to be copied; anything at all: no bug."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        page = await asked(client, ("a.pdf", foreign_pdf()))
        assert "此处无法判断" in page and "全国增值税发票查验平台" in page
        for text in (FACTS["number"], "20240514", "58.00"):
            assert f'<dd class="key">{text}</dd>' in page
        assert "不通过" in await asked(client, ("a", b"<a/>"))
        assert "FILE-KIND" in await asked(client, ("a.docx", b"PKhello"))

    browse(config, story)


def test_a_batch_is_told_file_by_file_and_one_bad_file_stops_nothing(config: Config) -> None:
    """A summary on top; the same number a second time; a hostile one between; names are text."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        files = await issued(client, shop)
        page = await asked(
            client,
            ("<b>a</b>.xml", files["xml"]),
            ("bomb.ofd", HOSTILE["zip: a way out"]()),
            ("loop.pdf", HOSTILE["pdf: pages in a circle"]()),
            ("a.pdf", files["pdf"]),
        )
        assert "共 4 个文件" in page and page.count('class="card report"') == 4
        assert "&lt;b&gt;a&lt;/b&gt;.xml" in page and "<b>a</b>.xml" not in page
        assert page.count('role="status">✓ 通过') == 2 and "SEEN-IN-BATCH" in page

    browse(config, story)


def test_a_receiver_is_told_of_what_was_seen_before_and_of_other_titles(config: Config) -> None:
    """已查验过, and when; somebody else's title; and another merchant's books say nothing of it."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        files = await issued(client, shop)
        assert "已查验过" not in await asked(client, ("a.xml", files["xml"]))
        await log_in(client, shop)
        first = await asked(client, ("a.xml", files["xml"]))
        assert "没有查验过同一号码" in first and "BUYER-OTHER" in first and "已查验过" not in first
        second = await asked(client, ("a.pdf", files["pdf"]))
        when = f"{shop.office.now():%Y-%m-%d}"
        assert "SEEN-BEFORE" in second and f"已查验过：同一号码第一次在 {when}" in second
        assert await asked(client, ("a.xml", files["xml"].replace(b"58.00", b"98.00")))  # a forgery is not noted
        rows = await shop.office.database.read("SELECT merchant_id, times FROM received")
        assert [(row[0], row[1]) for row in rows] == [(shop.id, 2)]
        other = await new_shop(shop.office, COMPANY.taxpayer_id)
        client.cookies.clear()
        rows = await shop.office.database.read(
            "SELECT p.login FROM people p JOIN memberships m ON m.person_id = p.person_id WHERE m.merchant_id = $1",
            other.id,
        )
        await client.post("/console/login", data={"login": rows[0][0], "password": "a long password"})
        third = await asked(client, ("a.xml", files["xml"]))
        assert "SEEN-BEFORE" not in third and "是本公司的抬头和税号" in third

    browse(config, story)


def test_a_code_of_this_site_is_opened_instead(config: Config) -> None:
    """Somebody photographs the till's code: it is told, with the way to the invoice."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        assert 'href="/verify"' in (await client.get("/")).text
        page = await asked(client, ("a.png", picture_of(f"http://shop.test/S/{code.token}")))
        assert "QR-PICKUP" in page and f'href="/S/{code.token}"' in page

    browse(config, story)


def test_programs_get_json_and_problems(config: Config) -> None:
    """Multipart or one file as the body; errors are problem+json whatever the client accepts; no cookie counts."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        files = await issued(client, shop)
        await log_in(client, shop)
        answer = await client.post("/api/v1/verify?name=a.xml&lang=en", content=files["xml"])
        result = answer.json()["files"][0]
        assert (result["file"], result["verdict"], result["number"][:4]) == ("a.xml", "valid", "2699")
        assert "Signed by" in " ".join(item["said"] for item in result["items"])
        assert "seen" not in lights(result) and "title" not in lights(result)
        assert (await shop.office.database.read("SELECT count(*) FROM received"))[0][0] == 0
        for accept in ("*/*", "text/html"):
            empty = await client.post("/api/v1/verify", headers={"accept": accept})
            assert (empty.status_code, empty.headers["content-type"]) == (422, "application/problem+json")
            assert empty.json()["cause"] == "FILE-NONE"
        assert (await client.get("/api/v1/verify")).status_code == 405

    browse(config, story)


def test_too_many_files_too_large_and_too_often_are_refused(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the page with the form below, for programs as a problem, each with its cause."""
    monkeypatch.setattr("piaoma.web.middleware.VERIFY_BODY_MAX", 100_000)

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        many = [(f"{place}.xml", b"<a/>") for place in range(FILES_MAX + 1)]
        page = await asked(client, *many, status=422)
        assert "FILE-TOO-MANY" in page and 'id="files"' in page
        assert "REQUEST-TOO-LARGE" in await asked(client, ("a.xml", bytes(100_001)), status=413)
        large = await client.post("/api/v1/verify", content=bytes(100_001))
        assert (large.status_code, large.json()["cause"]) == (413, "REQUEST-TOO-LARGE")
        for _ in range(verify._checks._burst):
            await client.post("/verify", data={"number": "1"})
        often = await client.post("/verify", files=[("files", ("a.xml", b"<a/>"))])
        assert often.status_code == 429 and "REQUEST-TOO-MANY" in often.text and int(often.headers["retry-after"]) > 0

    browse(config, story)


def test_a_file_beyond_its_limits_counts_as_many_and_a_crowd_is_sent_away(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both with a cause and the seconds to wait."""
    monkeypatch.setattr("piaoma.desk.verify.CHECK_SECONDS_MAX", 1)

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        assert "FILE-LIMIT" in await asked(client, ("a.pdf", HOSTILE["pdf: a bomb as content"]()))
        buckets = client._transport.app.state.buckets[verify._checks]  # type: ignore[attr-defined]
        assert min(left for left, _ in buckets.values()) < verify._checks._burst - verify.LIMIT_COSTS + 1
        shop.office.checking = REQUESTS_MAX
        busy = await client.post("/api/v1/verify", content=b"<a/>")
        assert (busy.status_code, busy.json()["cause"]) == (503, "VERIFY-BUSY") and busy.headers["retry-after"]

    browse(config, story)


def test_a_form_from_elsewhere_is_refused(config: Config) -> None:
    """A page of somebody else cannot fill a receiver's books."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        answer = await client.post("/verify", data={"number": "1"}, headers={"origin": "http://evil.test"})
        assert answer.status_code == 403 and "REQUEST-STALE" in answer.text

    browse(config, story)
