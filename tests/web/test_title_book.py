"""The title book: what a browser keeps is managed by forms alone, and is in no table of the server."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import msgspec

from piaoma.invoice.parties import Buyer
from piaoma.web import cookies
from tests.conftest import Shop
from tests.web.browsing import browse, issue_by_pages

FIRST = {"save": "new", "name": "武汉某某科技有限公司", "taxpayer_id": "91110108690017781B"}
SECOND = {"save": "new", "name": "武汉测试餐饮有限公司", "taxpayer_id": "91420100MA4K00000Q"}


def names(page: httpx.Response) -> list[str]:
    """The titles in their order."""
    return re.findall(r'<section class="card" aria-label="([^"]+)">', page.text)


def test_titles_are_added_changed_chosen_and_deleted(tmp_path: Path) -> None:
    """Each by one form; the default stays in front when another is used; nothing of it reaches the store."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for form in (FIRST, SECOND):
            page = await client.post("/titles", data=form, follow_redirects=True)
        assert names(page) == [SECOND["name"], FIRST["name"]]
        page = await client.post("/titles", data={"default": "1"}, follow_redirects=True)
        assert names(page) == [FIRST["name"], SECOND["name"]] and "● 默认" in page.text
        edited = await client.get("/titles?edit=1")
        assert f'value="{SECOND["name"]}"' in edited.text and 'name="save" value="1"' in edited.text
        page = await client.post(
            "/titles", data={**SECOND, "save": "1", "phone": "027-00000000"}, follow_redirects=True
        )
        assert names(page) == [FIRST["name"], SECOND["name"]] and "027-00000000" in page.text
        code = await shop.code()
        offer = await client.get(f"/S/{code.token}")
        assert re.search(r"确认开票 ¥58.00<small>武汉某某科技", offer.text), "the default stands on the one button"
        page = await client.post("/titles", data={"delete": "0"}, follow_redirects=True)
        assert names(page) == [SECOND["name"]] and "● 上次用的" in page.text
        page = await client.post("/titles", data={"forget": "1"}, follow_redirects=True)
        assert names(page) == [] and cookies.TITLES not in client.cookies
        for wrong in ({"delete": "7"}, {"default": "-1"}, {"delete": "x"}, {}):
            assert (await client.post("/titles", data=wrong)).status_code == 303

    browse(tmp_path, story)


def test_a_pinned_default_stays_in_front_of_what_was_used() -> None:
    """And without one, the last used is in front."""
    one, two, three = (Buyer(name, "91110108690017781B") for name in "甲乙丙")
    kept = cookies.used(cookies.Wallet([one, two], pinned=True), three)
    assert [title.name for title in kept.titles] == ["甲", "丙", "乙"] and kept.pinned
    assert [title.name for title in cookies.used(cookies.Wallet([one, two]), three).titles] == ["丙", "甲", "乙"]
    assert cookies.used(cookies.Wallet([one, two], pinned=True), one).titles[0] == one


def test_a_full_book_says_so_and_loses_nothing(tmp_path: Path) -> None:
    """By number and by bytes; the one-tap flow still takes a new title and drops the oldest."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for place in range(cookies.TITLES_MAX):
            page = await client.post("/titles", data={**FIRST, "name": f"公司{place}"}, follow_redirects=True)
        assert len(names(page)) == cookies.TITLES_MAX
        full = await client.post("/titles", data=SECOND)
        assert full.status_code == 422 and "TITLE-BOOK-FULL" in full.text and len(names(full)) == cookies.TITLES_MAX
        await client.post("/titles", data={"forget": "1"})
        long = {**FIRST, "address": "武汉市" * 60, "bank": "银行" * 40}
        answers = [await client.post("/titles", data={**long, "name": f"长公司{place}"}) for place in range(12)]
        assert 422 in {answer.status_code for answer in answers}
        assert len(client.cookies[cookies.TITLES]) <= cookies.COOKIE_BYTES_MAX + 2
        code = await shop.code()
        assert "发票已开具" in (await issue_by_pages(client, code.token)).text

    browse(tmp_path, story)


def test_faults_stand_at_their_fields_and_what_was_typed_stays(tmp_path: Path) -> None:
    """A wrong check digit, a pasted block, a mended id."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        wrong = await client.post("/titles", data={**FIRST, "taxpayer_id": "91110108690017781A"})
        assert wrong.status_code == 422 and 'aria-invalid="true"' in wrong.text and FIRST["name"] in wrong.text
        pasted = await client.post(
            "/titles", data={"paste": "1", "block": f"名称：{FIRST['name']} 税号：91110108690017781B"}
        )
        assert f'value="{FIRST["name"]}"' in pasted.text and names(pasted) == []
        assert (await client.post("/titles", data={"paste": "1", "block": "??"})).status_code == 422
        mended = await client.post(
            "/titles", data={**FIRST, "taxpayer_id": "9111O108690017781B"}, follow_redirects=True
        )
        assert "91110108690017781B" in mended.text.replace(" ", "") and "已改成数字" in mended.text

    browse(tmp_path, story)


def test_the_way_back_is_a_code_and_never_an_address(tmp_path: Path) -> None:
    """Open redirects: whatever is not a token is dropped."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        page = await client.get(f"/titles?back={code.token}")
        assert f'href="/s/{code.token}"' in page.text
        for evil in ("//evil.test", "https://evil.test", "/\\evil.test", "javascript:alert(1)", "../console"):
            page = await client.get("/titles", params={"back": evil})
            assert "evil" not in page.text.replace("lang=", "") or f'href="{evil}' not in page.text
            answer = await client.post("/titles", params={"back": evil}, data=FIRST)
            assert answer.headers["location"] == "/titles"

    browse(tmp_path, story)


def test_an_old_cookie_is_still_read(tmp_path: Path) -> None:
    """Browsers carry the cookie of an earlier version, without the mark of a default."""
    from piaoma.web.signed import pack

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        signed = pack(shop.office.cookie_key, cookies.TITLES, [[Buyer("旧公司", "91110108690017781B")], ""])
        client.cookies.set(cookies.TITLES, signed)
        assert names(await client.get("/titles")) == ["旧公司"]

    browse(tmp_path, story)


def test_the_cookie_has_its_marks(tmp_path: Path) -> None:
    """Not for scripts, not for other sites, and only by HTTPS where there is HTTPS."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for secure in (False, True):
            config = shop.office.config
            address = "https://shop.test" if secure else "http://shop.test"
            shop.office.config = msgspec.structs.replace(config, base_url=address)
            answer = await client.post("/titles", data=FIRST)
            marks = answer.headers["set-cookie"].lower()
            assert "httponly" in marks and "samesite=lax" in marks and ("secure" in marks) is secure

    browse(tmp_path, story)
