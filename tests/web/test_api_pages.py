"""The owner's pages for programs, with forms alone, and the reference for whoever writes the program."""

from __future__ import annotations

import asyncio
import gzip
import html
import re
from pathlib import Path

import httpx
import msgspec

from piaoma.desk import api_keys, factors, webhooks
from piaoma.desk.config import Config
from piaoma.desk.events import list_events
from piaoma.desk.roles import Role
from piaoma.web.api.table import OPERATIONS
from tests.conftest import Shop
from tests.delivery.receiver import receiving
from tests.web.browsing import browse
from tests.web.people import another_browser, csrf_of, hire, owner
from tests.web.programs import ORDER, Program

KEYS, HOOKS = "/console/settings/api", "/console/settings/api/webhooks"
CONSOLE_BYTES_MAX, PAGE_BYTES_MAX = 80_000, 30_000


def _secret(page: httpx.Response, begins: str) -> str:
    found = re.search(rf'readonly class="id" value="({begins}[^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def test_an_owner_makes_rotates_and_revokes_a_key_with_forms_alone(tmp_path: Path) -> None:
    """Shown in the answer and never again; a set of scopes or one's own choice; faults at their field; the old one of a
    rotation is good beside the new one. The trail names the key by its hint."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        browser = another_browser(client, await owner(shop))
        empty = await browser.get(KEYS)
        assert "还没有密钥" in empty.text and "pm_test_" in empty.text
        csrf = await csrf_of(browser)

        async def post(path: str, **form: str) -> httpx.Response:
            return await browser.post(path, data={"csrf": csrf, **form})

        for form, cause in (
            ({"name": "", "set": "till"}, "TEXT-EMPTY"), ({"name": "x"}, "API-KEY-SCOPES"),
            ({"name": "x", "set": "till", "days": "x"}, "API-KEY-EXPIRY"),
            ({"name": "x", "set": "till", "days": "9999"}, "API-KEY-EXPIRY"),
        ):  # fmt: skip
            assert cause in (await post(KEYS, **form)).text
        made = await post(KEYS, name="网店", set="shop", days="90")
        first = _secret(made, "pm_test_")
        assert first not in (await browser.get(KEYS)).text
        assert (await Program(client, first).post("/invoices", ORDER)).status_code == 201
        own = _secret(await post(KEYS, name="读", **{"scope:codes:read": "1"}), "pm_test_")
        assert (await Program(client, own).get("/codes")).status_code == 200
        assert (await Program(client, own).get("/invoices")).status_code == 403
        key = next(one for one in await api_keys.list_keys(shop.office, shop.id) if one.name == "网店")
        second = _secret(await post(f"{KEYS}/{key.key_id}", rotate="1", overlap="24"), "pm_test_")
        for secret in (first, second):
            assert (await Program(client, secret).get("/merchant")).status_code == 200
        assert (await post(f"{KEYS}/{key.key_id}", rotate="1", overlap="24")).status_code == 404
        assert (await post(f"{KEYS}/{key.key_id}", revoke="1")).status_code == 303
        assert (await Program(client, first).get("/merchant")).status_code == 401
        trail = (await list_events(shop.office, shop.id, kind="api.")).items
        assert [one.kind for one in trail[:2]] == ["api.key_revoke", "api.key_rotate"]
        assert first not in str(trail) and first[-4:] in str(trail)
        page = (await browser.get("/console/events?kind=api.")).text
        assert "吊销接口密钥" in page and first[8:] not in page
        clerk = another_browser(client, await hire(shop, Role.CLERK))
        assert (await clerk.get(KEYS)).status_code == 403 and KEYS not in (await clerk.get("/console")).text

    browse(tmp_path, story)


def test_a_key_that_may_issue_asks_for_the_factor_that_issuing_would(tmp_path: Path) -> None:
    """Where the policy wants a second factor for 专票 or 红冲, no key gets around it; one that reads is made."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        browser = another_browser(client, await owner(shop))
        csrf = await csrf_of(browser)
        await factors.set_policy(shop.office, shop.actor, ["special", "red"])
        for scope in ("invoices:issue", "codes:write", "corrections:write"):
            form = {"csrf": csrf, "name": "x", f"scope:{scope}": "1"}
            assert "FACTOR-NEEDED" in (await browser.post(KEYS, data=form)).text
        assert await api_keys.list_keys(shop.office, shop.id) == []
        assert (await browser.post(KEYS, data={"csrf": csrf, "name": "x", "set": "books"})).status_code == 200
        assert len(await api_keys.list_keys(shop.office, shop.id)) == 1

    browse(tmp_path, story)


def test_an_owner_follows_what_was_sent_and_sends_it_again(tmp_path: Path) -> None:
    """Add, see the secret once, test, see the failing try with its reason, pause, resume, send again, new secret,
    remove; every page within its weight."""
    config = Config(data=str(tmp_path), webhook_networks="127.0.0.0/8")

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        browser = another_browser(client, await owner(shop))
        csrf = await csrf_of(browser)
        assert "还没有推送地址" in (await browser.get(HOOKS)).text
        async with receiving() as receiver:

            async def post(path: str, **form: str) -> httpx.Response:
                return await browser.post(path, data={"csrf": csrf, **form})

            refused = await post(HOOKS, url="https://10.0.0.1/")
            assert refused.status_code == 422 and "WEBHOOK-PRIVATE" in refused.text and "10.0.0.1" in refused.text
            secret = _secret(await post(HOOKS, url=receiver.url, **{"type:invoice.issued": "1"}), "whsec_")
            (one,) = await webhooks.list_webhooks(shop.office, shop.id)
            path = f"{HOOKS}/{one.webhook_id}"
            assert one.types == ("invoice.issued",) and secret not in (await browser.get(path)).text
            receiver.way = "fail"
            assert (await post(path, test="1")).status_code == 303
            await shop.office.happenings.work_once()
            await shop.office.webhooks.work_once()
            page = await browser.get(path)
            assert "HTTP 500" in page.text and "一直失败" in page.text
            link = re.search(r'href="([^"]+message=[^"]+)"', page.text)
            assert link is not None
            opened = await browser.get(link[1].replace("&amp;", "&"))
            assert "oops" in opened.text and "webhook.test" in opened.text
            receiver.way = "ok"
            job = (await webhooks.sendings(shop.office, shop.id, one.webhook_id)).items[0].job_id
            assert (await post(path, replay=job)).status_code == 303
            for act in ("pause", "resume"):
                assert (await post(path, **{act: "1"})).status_code == 303
            await shop.office.webhooks.work_once()
            assert len(receiver.got) == 2 and "已送达" in (await browser.get(path)).text
            assert _secret(await post(path, rotate="1"), "whsec_") != secret
            assert "一直失败" not in (await browser.get(HOOKS)).text
            for address in (KEYS, HOOKS, path):
                answer = await browser.get(address, headers={"accept-encoding": "gzip"})
                assert len(gzip.compress(answer.content)) < CONSOLE_BYTES_MAX
            assert (await post(path, remove="1")).status_code == 303
            assert (await browser.get(path)).status_code == 404

    browse(config, story)


def test_the_reference_shows_every_operation_in_both_languages(tmp_path: Path) -> None:
    """Each with fields, causes and a form; no script in the page itself, so that it works under its own policy; light
    enough for a phone. What the pages show of causes is what the document says."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        document = (await client.get("/api/v1/openapi.json")).json()
        for language in ("zh", "en"):
            page = await client.get("/api/v1/reference", params={"lang": language})
            for row in OPERATIONS:
                assert f'id="{row.name}"' in page.text and (row.zh if language == "zh" else row.en) in html.unescape(
                    page.text
                )
                assert set(row.causes) <= set(document["paths"][row.path][row.method.lower()]["x-causes"])
            for row in OPERATIONS:
                assert all(f"/help/{cause}" in page.text for cause in row.causes)
            assert "<script>" not in page.text and not re.search(r"\son\w+=|style=", page.text)
            assert "script-src 'self'" in page.headers["content-security-policy"]
            scripts = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
            weight = len(gzip.compress(page.content))
            for address in scripts:
                weight += len(gzip.compress((await client.get(address)).content))
            assert weight < PAGE_BYTES_MAX, weight
            assert not re.search(r'(?:src|href)="https?://', page.text), "nothing from elsewhere"

    browse(tmp_path, story)


def test_what_is_logged_names_the_key_and_never_shows_it(tmp_path: Path) -> None:
    """A line for each change with the request's id, the merchant and the key's number; no secret, no body, no name."""
    import structlog.testing

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        key = await api_keys.make(shop.office, shop.actor, "till", ["invoices:issue"], None)
        with structlog.testing.capture_logs() as lines:
            answer = await Program(client, key.secret).post("/invoices", ORDER)
            await Program(client, key.secret).get("/invoices")
            await asyncio.sleep(0)
        (line,) = [one for one in lines if one["event"] == "api"]
        assert (line["id"], line["key"], line["operation"], line["status"]) == (
            answer.headers["x-request-id"], key.key_id, "issue", 201,
        )  # fmt: skip
        text = msgspec.json.encode(lines).decode()
        assert key.secret not in text and key.secret[30:] not in text and "武汉" not in text

    browse(tmp_path, story)
