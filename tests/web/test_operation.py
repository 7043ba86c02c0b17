"""The platform at work: health and dead letters, retention, announcements, audits, limits, and the trail of it all."""

from __future__ import annotations

import asyncio
import re
from datetime import date, timedelta
from pathlib import Path

import httpx

from piaoma.desk import announcements, audits, deliver, retention
from piaoma.desk.config import Config
from piaoma.desk.events import list_events
from piaoma.desk.retention import Fate
from piaoma.invoice import rates
from tests.conftest import Shop, new_shop
from tests.web.browsing import browse, hidden, issue_by_pages
from tests.web.people import another_browser, csrf_of, owner
from tests.web.test_matrix import OTHER_ID
from tests.web.test_tickets import _operator

SOURCE = Path(__file__).parents[2] / "src" / "piaoma"


def test_dead_letters_are_seen_and_go_again(config: Config) -> None:
    """Whose, why and how often, masked; one or all; the merchant reads that it was tried again."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issue_by_pages(another_browser(client), (await shop.code()).token)
        number = (await shop.office.database.read("SELECT number FROM invoices"))[0][0]
        await deliver.send(shop.office, shop.id, number, "somebody@example.cn")
        kill = "UPDATE jobs SET state = 'dead', last_error = 'ConnectionError: the server is away', attempts = 12"
        platform = await _operator(client, shop)
        page = await platform.get("/operator/health")
        assert "没有死信" in page.text and "发票邮件" in page.text and 'data-check="channel"' in page.text
        csrf = hidden(page, "csrf")
        for form in ({"letter": f"jobs {shop.id} {number}:mail:0"}, {"all": "1"}):
            async with shop.office.database.write() as transaction:
                await transaction.execute(kill + " WHERE kind = 'mail'")
            page = await platform.get("/operator/health")
            assert "the server is away" in page.text and "somebody@example.cn" not in page.text
            assert (await platform.post("/operator/health", data={"csrf": csrf, **form})).status_code == 303
            rows = await shop.office.database.read("SELECT state, attempts FROM jobs WHERE kind = 'mail'")
            assert [(row[0], row[1]) for row in rows] == [("waiting", 0)]
        for wrong in ("jobs 1 x", "people 1 x", "jobs x y", ""):
            answer = await platform.post("/operator/health", data={"csrf": csrf, "letter": wrong})
            assert answer.status_code == 404, wrong
        kinds = [one.kind for one in (await list_events(shop.office, shop.id, kind="delivery.")).items]
        assert kinds == ["delivery.retry"]
        assert (await platform.get("/operator/trail")).text.count("重试死信") == 2

    browse(config, story)


def test_what_is_due_is_erased_and_what_must_be_kept_cannot_be(tmp_path: Path) -> None:
    """S105, S126: addresses of thirty days ago go; invoices, numbers and trails have no statement that removes them."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issue_by_pages(another_browser(client), (await shop.code()).token)
        number = (await shop.office.database.read("SELECT number FROM invoices"))[0][0]
        await deliver.send(shop.office, shop.id, number, "somebody@example.cn")
        platform = await _operator(client, shop)
        csrf = hidden(await platform.get("/operator/retention"), "csrf")

        async def purge() -> str:
            answer = await platform.post("/operator/retention", data={"csrf": csrf}, follow_redirects=True)
            found = re.search(r"清除了 (\d+) 个地址", answer.text)
            assert found is not None
            return found[1]

        assert await purge() == "0", "one that waits is not due"
        async with shop.office.database.write() as transaction:
            await transaction.execute(
                "UPDATE jobs SET state = 'done', done_at_ms = 1, created_at_ms = created_at_ms - 2700000000"
                " WHERE kind = 'mail'"
            )
        assert {one.name: one.due for one in await retention.kept(shop.office)}["contacts"] == 1
        assert await purge() == "1"
        kept = {one.name: one for one in await retention.kept(shop.office)}
        assert kept["contacts"].count == 0 and kept["invoices"].count == 1 and kept["invoices"].days >= 30 * 365
        assert "清除到期地址" in (await platform.get("/operator/trail")).text

    browse(tmp_path, story)
    removed = set()
    for file in SOURCE.rglob("*.py"):
        removed |= set(re.findall(r"(?:DELETE FROM|DROP TABLE) (\w+)", file.read_text(encoding="utf-8")))
    # A restore ends the log and begins another with the same invoices (docs/log.md); nothing else removes leaves.
    never = (set(retention._KEPT.values()) | set(retention._TRAIL.values())) - {"log_leaves"}
    assert {one.value for one in Fate} == {"kept", "trail", "erased"} and not removed & never, removed & never


def test_an_announcement_reaches_whom_it_is_for_until_he_puts_it_away(tmp_path: Path) -> None:
    """To all or some, from a day to a day, in both languages; each person puts it away for himself; withdrawn it is
    gone; what is wrong is said at its field."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        theirs = await new_shop(shop.office, OTHER_ID)
        platform = await _operator(client, shop)
        csrf = hidden(await platform.get("/operator/announcements"), "csrf")
        today = shop.office.now().date()
        good = {"csrf": csrf, "kind": "notice", "title_zh": "周六维护", "title_en": "Maintenance",
                "text_zh": "两点到三点", "text_en": "two to three", "first_day": str(today),
                "last_day": str(today + timedelta(days=3)), "audience": ""}  # fmt: skip
        for wrong, cause in (
            ({"title_en": ""}, "TEXT-EMPTY"), ({"text_zh": "<b>"}, "TEXT-ANGLE-BRACKET"),
            ({"last_day": ""}, "ANNOUNCEMENT-DAYS"), ({"audience": "123"}, "ANNOUNCEMENT-AUDIENCE"),
            ({"last_day": str(today - timedelta(days=1))}, "ANNOUNCEMENT-DAYS"),
        ):  # fmt: skip
            answer = await platform.post("/operator/announcements", data={**good, **wrong})
            assert answer.status_code == 422 and cause in answer.text, wrong
        boss, other = another_browser(client, await owner(shop)), another_browser(client, await owner(theirs))

        async def sees(browser: httpx.AsyncClient, text: str = "周六维护") -> bool:
            return text in (await browser.get("/console")).text

        assert (await platform.post("/operator/announcements", data=good)).status_code == 303
        assert await sees(boss) and await sees(other)
        assert "Maintenance" in (await boss.get("/console?lang=en")).text
        await boss.get("/console?lang=zh")
        shown = re.search(r'name="announcement" value="(\d+)"', (await boss.get("/console")).text)
        assert shown is not None
        away = {"csrf": await csrf_of(boss), "announcement": shown[1]}
        assert (await boss.post("/console/announcements/dismiss", data=away)).status_code == 303
        assert not await sees(boss) and await sees(other)
        await platform.post("/operator/announcements", data={"csrf": csrf, "withdraw": shown[1]})
        assert not await sees(other)
        again = await platform.post("/operator/announcements", data={"csrf": csrf, "withdraw": shown[1]})
        assert again.status_code == 404
        await platform.post("/operator/announcements", data={**good, "title_zh": "只给您", "audience": OTHER_ID})
        assert await sees(other, "只给您") and not await sees(boss, "只给您")
        later = {**good, "title_zh": "明天的", "first_day": str(today + timedelta(days=1))}
        await platform.post("/operator/announcements", data=later)
        assert not await sees(boss, "明天的")

    browse(tmp_path, story)


def test_the_end_of_a_relief_announces_itself(tmp_path: Path) -> None:
    """S119: sixty days before the 1 % ends, to small-scale taxpayers alone; not a day earlier, not when it is over."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        session = await owner(shop)
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE merchants SET taxpayer_kind = '2' WHERE merchant_id = $1", shop.id)
        from piaoma.desk import merchant

        small = await merchant.merchant(shop.office, shop.id)
        real = shop.office.now
        last = rates.REDUCED_LEVY_TO
        for day, wanted in (
            (last - timedelta(days=61), 0),
            (last - timedelta(days=60), 1),
            (last, 1),
            (last + timedelta(days=1), 0),
        ):
            shop.office.now = lambda day=day: real().replace(year=day.year, month=day.month, day=day.day)  # type: ignore[misc]
            assert len(await announcements.shown_to(shop.office, session, small)) == wanted, day
            assert await announcements.shown_to(shop.office, session, shop.merchant) == []
        shop.office.now = real
        assert isinstance(last, date)

    browse(tmp_path, story)


def test_an_audit_runs_behind_the_page_and_its_history_stays(config: Config) -> None:
    """All holds; then a byte of an original is changed, and the next run says which invoice. One at a time."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issue_by_pages(another_browser(client), (await shop.code()).token)
        platform = await _operator(client, shop)
        csrf = hidden(await platform.get("/operator/audits"), "csrf")

        async def run() -> audits.Run:
            assert (await platform.post("/operator/audits", data={"csrf": csrf})).status_code == 303
            while shop.office.errands:
                await asyncio.gather(*shop.office.errands)
            return (await audits.history(shop.office))[0]

        first = await run()
        assert first.state == "done" and {one.name for one in first.findings} >= {"I1", "I2", "I8"}
        assert not [one for one in first.findings if one.broken and one.name != "I8"], "nothing sequences the log here"
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE invoices SET total_fen = total_fen + 1, tax_fen = tax_fen + 1")
            await transaction.execute("UPDATE audit_runs SET started_at_ms = started_at_ms - 5000")
        second = await run()
        broken = [one for one in second.findings if one.name == "I7"]
        assert broken[0].broken == 1 and broken[0].examples
        page = await platform.get("/operator/audits")
        assert page.text.count('class="card"') >= 2 and "处不成立" in page.text
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE audit_runs SET state = 'running', ended_at_ms = NULL")
        busy = await platform.post("/operator/audits", data={"csrf": csrf})
        assert busy.status_code == 409 and "AUDIT-RUNNING" in busy.text and "开始审计" in busy.text
        assert '<meta http-equiv="refresh" content="5">' in (await platform.get("/operator/audits")).text, "it follows"

    browse(config, story)


def test_limits_of_a_merchant_hold_before_a_code_is_made(tmp_path: Path) -> None:
    """Amount and number of a day; before and after stand in both trails; 0 lets go on. Nobody else is touched."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        theirs = await new_shop(shop.office, OTHER_ID)
        platform = await _operator(client, shop)
        path = f"/operator/merchants/{shop.id}"
        csrf = hidden(await platform.get(path), "csrf")

        async def set_(codes: str, total: str) -> int:
            return (await platform.post(path, data={"csrf": csrf, "codes_day": codes, "total": total})).status_code

        async def refused() -> str:
            try:
                await shop.code("58.00")
            except Exception as error:
                return str(error)
            return ""

        assert [await set_("x", "0"), await set_("1", "-5"), await set_("1", "1e9")] == [422, 422, 422]
        assert await refused() == ""
        assert await set_("0", "57.99") == 303 and "MERCHANT-LIMIT-AMOUNT" in await refused()
        assert await set_("0", "58") == 303 and await refused() == ""
        assert await set_("2", "0") == 303 and "MERCHANT-LIMIT-CODES" in await refused()
        assert (await theirs.code()).total
        assert await set_("0", "0") == 303 and await refused() == ""
        event = (await list_events(shop.office, shop.id, kind="merchant.limits")).items[0]
        assert (event.before["codes_day"], event.after["codes_day"], event.person_name) == ("2", "0", "platform")
        assert "设商户限额" in (await platform.get("/operator/trail")).text
        assert (await platform.get("/operator/merchants/5")).status_code == 404

    browse(tmp_path, story)


def test_no_statement_changes_the_platforms_trail() -> None:
    """Append-only: the only statement on the table that is no SELECT is the INSERT of ``record_act``."""
    for file in SOURCE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(UPDATE|DELETE FROM|DROP TABLE)\s+platform_events\b", text), file.name
        assert ("INSERT INTO platform_events" in text) == (file.name == "platform_trail.py"), file.name
