"""收到的发票 in the console, by pages without scripts: bring, find, book, take away; nothing that a file holds acts."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import zipfile
from pathlib import Path

import httpx
from python_calamine import CalamineWorkbook

from piaoma.desk.config import Config
from piaoma.desk.events import list_events
from piaoma.desk.roles import Role
from tests.conftest import Shop
from tests.desk.receiving import handed_over, issue_for, photographed, supplier
from tests.desk.test_received import take_back
from tests.documents.foreign import foreign_pdf, qr_text
from tests.documents.test_check import picture_of
from tests.web.browsing import browse, hidden
from tests.web.people import another_browser, hire, owner

LIST = "/console/received"
ELSEWHERE = "24312000000136634917"
MARK = "=cmd|'/c calc'!A1"
Sent = list[tuple[str, tuple[str, bytes]]]


async def bring(browser: httpx.AsyncClient, *files: tuple[str, bytes], csrf: str | None = None) -> httpx.Response:
    token = hidden(await browser.get(LIST), "csrf") if csrf is None else csrf
    sent: Sent = [("files", file) for file in files] or [("files", ("", b""))]
    return await browser.post(LIST, data={"csrf": token}, files=sent)


def test_files_are_brought_and_each_is_told_what_became_of_it(tmp_path: Path) -> None:
    """Kept with a doubt, known, refused; nothing chosen, a form of elsewhere; the event; bad names do nothing."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        browser = another_browser(client, await hire(shop, Role.CLERK))
        empty = await browser.get(LIST)
        assert "还没有收到发票" in empty.text and 'name="files"' in empty.text and 'name="voucher"' not in empty.text
        pdf = foreign_pdf()
        page = await bring(browser, ("<b>发票.pdf", pdf), ("坏.xml", b"<nothing/>"))
        assert page.status_code == 200 and "已收下" in page.text and "没有收下" in page.text
        assert "&lt;b&gt;发票.pdf" in page.text and "BUYER-OTHER" in page.text and f"{LIST}/{ELSEWHERE}" in page.text
        again = await bring(browser, ("另一个.pdf", pdf))
        assert "重复" in again.text and "RECEIVED-TWICE" in again.text
        assert "FILE-NONE" in (await bring(browser)).text
        stale = await bring(browser, ("a.pdf", b"%PDF"), csrf="x")
        assert "REQUEST-STALE" in stale.text
        foreign = await browser.post(LIST, headers={"origin": "http://evil.example"}, data={"csrf": "x"},
                                     files=[("files", ("a.pdf", b"x"))])  # fmt: skip
        assert "REQUEST-STALE" in foreign.text
        newest = (await list_events(shop.office, shop.id)).items[0]
        assert (newest.kind, newest.subject, newest.after["file"]) == ("received.add", ELSEWHERE, "<b>发票.pdf")

    browse(tmp_path, story)


def test_an_invoice_shows_its_judgement_and_is_booked_or_returned(config: Config) -> None:
    """From this site, judged when looked at: its files and forms; booked with a voucher; a doubt cleared with a reason;
    a reader sees all and decides nothing; the till nothing."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        other = await supplier(shop)
        number = await issue_for(other, shop)
        await handed_over(shop)
        browser = another_browser(client, await hire(shop, Role.ACCOUNTANT))
        page = await browser.get(f"{LIST}/{number}")
        assert "本站直达" in page.text and "通过" in page.text and "测试餐饮" in page.text
        for kind, begin in (("xml", b"<"), ("pdf", b"%PDF"), ("json", b"{"), ("xbrl", b"<")):
            got = await browser.get(f"{LIST}/{number}/file/{kind}")
            assert got.status_code == 200 and got.content.lstrip().startswith(begin), kind
            assert got.headers["content-disposition"].startswith("attachment")
        csrf = hidden(page, "csrf")
        empty = await browser.post(f"{LIST}/{number}", data={"csrf": csrf, "do": "book", "claimant": "李某"})
        assert empty.status_code == 422 and "TEXT-EMPTY" in empty.text and 'value="李某"' in empty.text
        done = await browser.post(f"{LIST}/{number}", data={"csrf": csrf, "do": "book", "voucher": "记-7"})
        assert done.status_code == 303
        page = await browser.get(f"{LIST}/{number}")
        assert "已入账" in page.text and "记-7" in page.text and 'value="unbook"' in page.text
        verified = await browser.post("/verify", files=[("files", ("a.xml", await other.office.view(
            other.id, number, "xml")))])  # fmt: skip
        assert "RECEIVED-BOOKED" in verified.text and "记-7" in verified.text, "a second claim is told there too"
        await take_back(other, number)
        await handed_over(shop)
        page = await browser.get(f"{LIST}/{number}")
        assert "入账后被红冲" in page.text and "RED-TAKEN-BACK" in page.text and "红字发票" in page.text
        assert "需要处理" in (await browser.get(LIST)).text
        reader = another_browser(client, await hire(shop, Role.READER))
        assert 'value="unbook"' not in (await reader.get(f"{LIST}/{number}")).text
        till = another_browser(client, await hire(shop, Role.CASHIER))
        assert (await till.get(f"{LIST}/{number}/file/xml")).status_code == 403
        assert (await browser.get(f"{LIST}/{number}/file/docx")).status_code == 422
        assert (await browser.get(f"{LIST}/{number}/file/{'0' * 64}")).status_code == 404

    browse(config, story)


def test_many_are_found_booked_and_taken_away_together(config: Config) -> None:
    """Filters in the address; one voucher for those ticked, the rest told; the table has count and sum of the list, the
    zip every file with its digest, and what was typed is no formula."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        numbers = [(await photographed(shop, place, f"{place + 1}.00")).number for place in range(4)]
        browser = another_browser(client, await owner(shop))
        queries = {"": 4, "?min=2&max=3": 2, f"?q={numbers[3][-4:]}": 1, "?state=booked": 0, "?way=mail": 0,
                   "?since=2024-05-14&until=2024-05-14": 4, "?state=nonsense": 4}  # fmt: skip
        for query, count in queries.items():
            assert f"共 {count} 张" in (await browser.get(LIST + query)).text, query
        assert (await browser.get(f"{LIST}?cursor=x")).status_code == 422
        csrf = hidden(await browser.get(LIST), "csrf")
        none = await browser.post(f"{LIST}/book", data={"csrf": csrf, "voucher": "记-1"})
        assert "RECEIVED-NONE-CHOSEN" in none.text and 'value="记-1"' in none.text
        ticks = {f"n:{number}": "1" for number in numbers[:3]}
        done = await browser.post(f"{LIST}/book", data={"csrf": csrf, "voucher": MARK, **ticks})
        assert done.status_code == 303 and "booked=3" in done.headers["location"]
        ticks[f"n:{numbers[3]}"] = "1"
        left = await browser.post(f"{LIST}/book", data={"csrf": csrf, "voucher": "记-2", **ticks})
        del ticks[f"n:{numbers[3]}"]
        assert left.text.count("RECEIVED-BOOKED") >= 3 and "这几张没有入账" in left.text
        assert "共 4 张" in (await browser.get(f"{LIST}?state=booked")).text
        started = await browser.post(f"{LIST}/export?max=3", data={"csrf": csrf, "do": "xlsx"})
        await asyncio.gather(*shop.office.exports.values())
        table = await browser.get(started.headers["location"] + "/file")
        rows = CalamineWorkbook.from_filelike(io.BytesIO(table.content)).get_sheet_by_index(0).to_python()
        assert len(rows) == 5 and rows[-1][1] == "3" and rows[-1][7] == 6.0
        assert sorted(str(row[0]) for row in rows[1:4]) == numbers[:3] and rows[1][9] == MARK
        packed = await browser.post(f"{LIST}/export", data={"csrf": csrf, "do": "zip:files", **ticks})
        with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
            names = archive.namelist()
            listed = list(csv.reader(io.StringIO(archive.read(names[-1]).decode("utf-8-sig"))))
        assert len(names) == 4 and names[0] == f"{numbers[0]}-1.png" and len(listed) == 4
        assert listed[1][4] == f"'{MARK}" and re.fullmatch(r"[0-9a-f]{64}", listed[1][6])
        xbrl = await browser.post(f"{LIST}/export", data={"csrf": csrf, "do": "zip:xbrl", **ticks})
        with zipfile.ZipFile(io.BytesIO(xbrl.content)) as archive:
            assert archive.namelist() == ["清单-manifest.csv"]
            assert archive.read("清单-manifest.csv").count(b"RECEIVED-NO-ORIGINAL") == 3
        kinds = [event.after["layout"] for event in (await list_events(shop.office, shop.id, kind="export.")).items]
        assert kinds == ["xbrl", "files", "received"]
        assert "EXPORT-KIND" in (await browser.post(f"{LIST}/export", data={"csrf": csrf, "do": "zip:exe"})).text

    browse(config, story)


def test_what_others_made_is_only_ever_saved(tmp_path: Path) -> None:
    """A picture with a name that is a page: sent as bytes to be saved, under a name of ours for old browsers."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        browser = another_browser(client, await owner(shop))
        photo = picture_of(qr_text(ELSEWHERE, "58.00", "20240514"))
        await bring(browser, ('x".html', photo))
        page = await browser.get(f"{LIST}/{ELSEWHERE}")
        digest = re.search(r"/file/([0-9a-f]{64})", page.text)
        assert digest is not None and "到全国增值税发票查验平台" in page.text
        got = await browser.get(f"{LIST}/{ELSEWHERE}/file/{digest[1]}")
        assert got.content == photo and got.headers["content-type"] == "application/octet-stream"
        assert got.headers["content-disposition"].startswith(f'attachment; filename="{ELSEWHERE}.picture"')
        assert got.headers["x-content-type-options"] == "nosniff"

    browse(tmp_path, story)


def test_the_next_page_goes_on_without_a_gap(tmp_path: Path) -> None:
    """A hundred and three: each once."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for place in range(103):
            await photographed(shop, place)
        browser = another_browser(client, await owner(shop))
        seen: list[str] = []
        address = LIST
        while address:
            page = (await browser.get(address)).text
            seen += re.findall(rf'class="open id" href="{LIST}/(\d+)"', page)
            onward = re.search(r'href="(\?[^"]*cursor=[^"]+)"', page)
            address = LIST + onward[1].replace("&amp;", "&") if onward else ""
        assert len(seen) == len(set(seen)) == 103

    browse(tmp_path, story)
