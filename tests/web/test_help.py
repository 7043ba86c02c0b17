"""S11, S108–S113, S119, S121: the help names what is there, finds what is asked, and every page leads to it."""

from __future__ import annotations

import gzip
import re
import runpy
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from piaoma.desk import operators
from piaoma.invoice.refusal import Language, causes
from piaoma.web.app import ROUTES
from piaoma.web.console.rights import RIGHTS
from piaoma.web.help import finding, guides
from piaoma.web.page import static_files
from tests.conftest import Shop
from tests.journeys.guide_pictures import BYTES_MAX, NAMES
from tests.web.browsing import browse, issue_by_pages
from tests.web.people import PASSWORD, another_browser, owner
from tests.web.test_matrix import _addresses, _filled

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_help_pinyin.py"
FAQ = ("cannot-log-in", "code-fails", "wrong-data", "cannot-scan", "slow", "old-version", "complex")
LANGUAGES: tuple[Language, Language] = ("zh", "en")


def test_guides_name_what_is_there() -> None:
    """Labels, links, causes and pictures of every guide exist, in both languages; each picture is a light file."""
    pages = {route.path for route in ROUTES if isinstance(route, Route)}
    assert guides.named_pictures() == NAMES
    for language in LANGUAGES:
        for one in guides.guides(language).values():
            assert set(one.causes) <= set(causes()), one.name
            for part in one.parts:
                assert part.paragraphs or part.points, (one.name, part.title)
                assert not part.link or part.link in pages or part.link[6:] in guides.guides(language), part.link
            assert (one.kind == "policy") == bool(one.since and one.certainty and one.source), one.name
        for name in NAMES:
            shown = guides.picture(name, language)
            assert shown is not None and shown.width == 360, name
            assert len(static_files()[f"guide-{name}.{language}.png"][1]) <= BYTES_MAX, name
    assert tuple(name for name, one in guides.guides("zh").items() if one.kind == "faq") == FAQ
    assert len(guides.guides("zh")["tutorial"].parts) == 8


def test_a_label_that_is_no_label_is_found() -> None:
    """Negative control: a guide that names a button which does not exist cannot even be read."""
    with pytest.raises(KeyError):
        guides._Text("点「{no_such_button}」", "Tap “{no_such_button}”").in_("zh")


SYMPTOMS = [
    ("登不上", "cannot-log-in"), ("密码忘了", "cannot-log-in"), ("出不了码", "code-fails"), ("额度用完", "code-fails"),
    ("扫不出来", "cannot-scan"), ("抬头写错了", "wrong-data"), ("退货", "correction"), ("怎么打印小票", "printing"),
    ("一直转圈", "slow"), ("没收到邮件", "find-again"), ("假发票", "verification"), ("月底报税", "month-end"),
    ("小规模", "policy-levy"), ("反光", "scanning"), ("换手机取票", "find-again"), ("保存多久", "policy-keeping"),
    ("denglu", "cannot-log-in"), ("dayin", "printing"), ("hongchong", "correction"),
    ("QUOTA-EXCEEDED", "QUOTA-EXCEEDED"),
    ("qouta-exceded", "QUOTA-EXCEEDED"), ("cannot scan", "cannot-scan"), ("wrong title", "wrong-data"),
    ("forgot password", "cannot-log-in"), ("printer paper", "printing"), ("大写", "filling"),
]  # fmt: skip


def test_a_code_or_a_symptom_finds_its_entry_in_the_first_three() -> None:
    """S121: in either language, by Chinese, pinyin, English or a code with a slip; every code finds itself."""
    for language in LANGUAGES:
        for typed, wanted in SYMPTOMS:
            found = [one.name for one in finding.search(typed, language)[:3]]
            assert wanted in found, (language, typed, found)
        for code in list(causes())[::12]:
            assert finding.search(code.lower(), language)[0].name == code
        assert finding.search("", language) == [] == finding.search("zxqvw", language)


def test_pinyin_is_what_finds_pinyin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the table nothing is found by sound. The table is that of a dictionary."""
    monkeypatch.setattr(finding, "_pinyin", dict)
    finding.entries.cache_clear()
    assert [one.name for one in finding.search("hongchong", "zh")] == []
    finding.entries.cache_clear()
    script = runpy.run_path(str(SCRIPT))
    assert script["FILE"].read_text(encoding="utf-8") == script["table"](), "run python scripts/build_help_pinyin.py"


def test_every_page_leads_to_support_with_what_belongs_to_it(tmp_path: Path) -> None:
    """S11: pages of customers, merchants and operators, before logging in and errors too, hold the link with the page
    and the request; where something was refused, with the cause; and with no token of a code."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        values = await _addresses(client, shop)
        token = (await shop.code()).token
        await operators.add_operator(shop.office.database, shop.office.now(), "platform", PASSWORD)
        boss, customer, platform = (
            another_browser(client, await owner(shop)),
            another_browser(client),
            another_browser(client),
        )
        assert (
            await platform.post("/console/login", data={"login": "platform", "password": PASSWORD})
        ).status_code == 303
        await issue_by_pages(customer, token)
        seen = 0
        for path in [path for method, path in RIGHTS if method == "GET"] + [
            f"/s/{token}", f"/s/{token}/result", f"/s/{token}/title", "/t/" + "A" * 20, "/", "/my", "/titles",
            "/privacy", "/verify", "/help", "/help/slow", "/help/all", "/help/device?cookies=1", "/help/QUOTA-EXCEEDED",
            "/news",
            "/support", "/feedback", "/offline", "/console/login", "/console/register", "/recover", "/nothing",
            "/operator", "/operator/tickets", "/operator/health", "/operator/retention", "/operator/announcements",
            "/operator/audits", "/operator/trail", f"/operator/merchants/{shop.id}", "/console/invoices?since=never",
        ]:  # fmt: skip
            if path.endswith("/events") and path != "/console/events":
                continue  # the stream does not end
            browser = platform if path.startswith("/operator") else boss if path.startswith("/console/") else customer
            browser = boss if path in ("/console", "/console/board") else browser
            answer = await browser.get(_filled(path, values), params=None)
            if not answer.headers.get("content-type", "").startswith("text/html") or answer.status_code in (302, 303):
                continue
            if path in ("/console/board", "/console/codes/{code_id}/large") or "<html" not in answer.text:
                continue  # a part of a page; the code alone, for the counter
            if path.endswith(("/file/{kind}", "/preview")):
                continue
            links = re.findall(r'href="/support\?([^"]*request=[^"]*)"', answer.text)
            assert links, path
            assert f"request={answer.headers['x-request-id']}" in links[-1], path
            assert token not in "".join(links)
            assert 'class="sample"' in answer.text, f"S82: {path} does not say that these are samples"
            causes_ = re.findall(r'class="code" href="/help/([A-Z-]+)"', answer.text)
            if answer.status_code >= 400:
                assert f"cause={causes_[0]}" in links[-1], path
            seen += 1
        assert seen > 50

    browse(tmp_path, story)


def test_the_help_is_light_and_pictures_wait(tmp_path: Path) -> None:
    """Each page with its style and scripts is below 30 kB; pictures come when they are scrolled to."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        named = [f"/help/{name}" for name in guides.guides("zh")]
        others = ["/help", "/help?q=额度", "/help/codes", "/help/all", "/help/device?cookies=1", "/support", "/news"]
        for path in named + others:
            for language in LANGUAGES:
                page = await client.get(path, params={"lang": language} if "?" not in path else None)
                assert page.status_code == 200, path
                weight = len(gzip.compress(page.content))
                for address in re.findall(r'(?:src|href)="(/static/[^"]+\.(?:css|js))"', page.text):
                    weight += len(gzip.compress((await client.get(address)).content))
                assert weight < (45_000 if path == "/help/all" else 30_000), (path, weight)
                for picture in re.findall(r"<img [^>]+>", page.text):
                    assert 'loading="lazy"' in picture and re.search(r'width="\d+" height="\d+"', picture), path

    browse(tmp_path, story)


def test_the_seven_pages_check_and_count(tmp_path: Path) -> None:
    """S110: each page's button looks at the live state; whether it helped is counted, and a No leads to support."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for name in FAQ:
            page = await client.get(f"/help/{name}?check=1")
            assert page.status_code == 200 and 'role="status"' in page.text and 'data-check="' in page.text, name
            voted = await client.post(f"/help/{name}/vote", data={"no": "1"}, follow_redirects=True)
            assert f"topic={name}" in voted.text
        rows = await shop.office.database.read("SELECT sum(no), sum(yes) FROM help_votes")
        assert (rows[0][0], rows[0][1]) == (7, 0)
        assert (await client.post("/help/nothing/vote", data={"yes": "1"})).status_code == 404

    browse(tmp_path, story)


def test_a_device_is_checked_without_scripts(tmp_path: Path) -> None:
    """S109: cookies by one redirect, the browser by its name, the oldest named; one that keeps no cookie is told."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        page = await client.get("/help/device", follow_redirects=True)
        assert "没有运行脚本" in page.text and re.search(r'class="ok" data-check="cookies"', page.text)
        assert "camera=(self)" in page.headers["permissions-policy"]
        assert "camera=()" in (await client.get("/help")).headers["permissions-policy"]
        refusing = await another_browser(client).get("/help/device?cookies=1")
        assert re.search(r'class="bad" data-check="cookies"', refusing.text) and "Cookie" in refusing.text
        for agent, light in (
            ("Mozilla/5.0 (Linux; Android 6.0) Chrome/49.0 Mobile", "bad"),
            ("Mozilla/4.0 (compatible; MSIE 8.0)", "bad"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 11_4 like Mac OS X) Version/11.0 Safari/604.1", "bad"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 12_1 like Mac OS X) Version/12.0 Safari/604.1", "ok"),
            ("Mozilla/5.0 (Windows NT 10.0) Chrome/120.0 Safari/537.36", "ok"), ("curl/8", "unknown"),
        ):  # fmt: skip
            seen = await client.get("/help/device?cookies=1", headers={"user-agent": agent})
            assert re.search(rf'class="{light}" data-check="browser"', seen.text), agent

    browse(tmp_path, story)


def test_the_page_of_a_fault_leads_to_the_state_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S50: a bug's page has its id, the way to support with both, and one button to what is well and what is not."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        async def broken(*_: object) -> None:
            raise RuntimeError("a bug")

        boss = another_browser(client, await owner(shop))
        monkeypatch.setattr("piaoma.desk.announcements.shown_to", broken)
        page = await boss.get("/console")
        assert page.status_code == 500 and "INTERNAL-ERROR" in page.text
        shown = re.findall(r'<span class="code">([0-9a-f]{16})</span>', page.text)[-1]
        assert page.headers["x-request-id"] == shown and "default-src" in page.headers["content-security-policy"]
        assert f"request={shown}&amp;cause=INTERNAL-ERROR" in page.text
        assert 'href="/help/complex?check=1#check"' in page.text
        state = await boss.get("/help/complex?check=1")
        assert 'data-check="channel"' in state.text and 'data-check="quota"' in state.text
        assert "/help/complex?check" not in (await boss.get("/nothing")).text, "what is not there is no fault of ours"

    browse(tmp_path, story)


def test_a_rule_and_its_policy_lead_to_each_other(tmp_path: Path) -> None:
    """S119: the page of a cause has its policy and its live check, the policy its causes; dated, with certainty."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        cause = await client.get("/help/RATE-LEVY-OF-DAY")
        assert 'href="/help/policy-levy"' in cause.text
        policy = await client.get("/help/policy-levy")
        assert 'href="/help/RATE-LEVY-OF-DAY"' in policy.text and "2027-12-31" in policy.text and "把握" in policy.text
        assert 'href="/help/code-fails?check=1"' in (await client.get("/help/QUOTA-EXCEEDED")).text

    browse(tmp_path, story)
