"""The Model Context Protocol: an assistant looks up and drafts freely, and issues nothing that nobody confirmed."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from piaoma.cli.mcp import mcp
from piaoma.client.assistant import LINE_BYTES_MAX, Assistant
from piaoma.client.piaoma import Piaoma
from piaoma.client.tools import TOOLS
from piaoma.desk.api_keys import Scope
from tests.conftest import Shop
from tests.web.browsing import browse
from tests.web.programs import ORDER, key_for

START = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
ABLE = {**START, "capabilities": {"elicitation": {}}}


class Bridge(httpx.BaseTransport):
    """The application in this process, for a client without ``await``: each request goes to the loop of the test."""

    def __init__(self, client: httpx.AsyncClient, loop: asyncio.AbstractEventLoop) -> None:
        self._client, self._loop = client, loop

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def send() -> httpx.Response:
            return await self._client._transport.handle_async_request(
                httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
            )

        answer = asyncio.run_coroutine_threadsafe(send(), self._loop).result(20)
        body = asyncio.run_coroutine_threadsafe(_read(answer), self._loop).result(20)
        return httpx.Response(answer.status_code, headers=answer.headers, content=body)


async def _read(answer: httpx.Response) -> bytes:
    return await answer.aread()


def talk(client: httpx.AsyncClient, key: str, *messages: Any) -> Any:
    """A whole conversation; what the server says, message by message."""
    loop = asyncio.get_running_loop()
    lines = b"".join(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in messages)

    def converse() -> list[dict[str, Any]]:
        out = io.BytesIO()
        with Piaoma("http://shop.test", key, transport=Bridge(client, loop)) as piaoma:
            Assistant(piaoma, "0", io.BytesIO(lines), out).run()
        return [json.loads(line) for line in out.getvalue().splitlines()]

    return asyncio.to_thread(converse)


def ask(number: int, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def use(at: int, name: str, **arguments: Any) -> dict[str, Any]:
    return ask(at, "tools/call", name=name, arguments=arguments)


def _draft(answers: list[dict[str, Any]]) -> str:
    return next(str(one["result"]["structuredContent"]["draft_id"]) for one in answers
                if "draft_id" in one.get("result", {}).get("structuredContent", {}))  # fmt: skip


def test_an_assistant_issues_only_what_a_person_confirmed(tmp_path: Path) -> None:
    """Draft, then: no confirmation, a wrong total, a person who declines, who closes: nothing. Confirmed: one invoice,
    and confirmed twice it is the same. A draft of another conversation is none. Negative control: the same call with
    the asking taken out issues."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        key = (await key_for(shop, [scope.value for scope in Scope])).secret
        drafting = use(1, "draft_invoice", **ORDER)
        draft_id = _draft(await talk(client, key, ask(0, "initialize", **START), drafting))

        async def count() -> int:
            return len(await shop.office.database.read("SELECT 1 FROM invoices"))

        issuing = use(2, "issue_invoice", draft_id=draft_id)
        for begin, *then in (
            (START, drafting, issuing),
            (START, drafting, use(2, "issue_invoice", draft_id=draft_id, total="57.00")),
            (START, issuing),
            (ABLE, drafting, issuing, {"jsonrpc": "2.0", "id": "ask-1", "result": {"action": "decline"}}),
            (ABLE, drafting, issuing, {"jsonrpc": "2.0", "id": "ask-1", "result": {"action": "accept", "content": {}}}),
            (ABLE, drafting, issuing),
            (ABLE, drafting, use(2, "issue_invoice", draft_id=draft_id, total="58.00")),
        ):
            answers = await talk(client, key, ask(0, "initialize", **begin), *then)
            assert answers[-1]["result"]["isError"], answers[-1]
            assert await count() == 0
        yes = {"jsonrpc": "2.0", "id": "ask-1", "result": {"action": "accept", "content": {"confirm": True}}}
        answers = await talk(client, key, ask(0, "initialize", **ABLE), drafting, issuing, ask(7, "ping"), yes)
        question = next(one for one in answers if one.get("method") == "elicitation/create")
        assert "¥58.00" in question["params"]["message"] and "91110108690017781B" in question["params"]["message"]
        issued = next(one["result"]["structuredContent"] for one in answers if one.get("id") == 2)
        assert issued["state"] == "issued" and await count() == 1
        assert answers[-1] == {"jsonrpc": "2.0", "id": 7, "result": {}}, "what came meanwhile is answered afterwards"
        typed = use(2, "issue_invoice", draft_id=draft_id, total="¥58.00")
        again = await talk(client, key, ask(0, "initialize", **START), drafting, typed)
        assert again[-1]["result"]["structuredContent"]["number"] == issued["number"] and await count() == 1
        monkey = pytest.MonkeyPatch()
        monkey.setattr(Assistant, "_ask", lambda self, question: True)
        other = use(1, "draft_invoice", **{**ORDER, "remark": "another"})
        other_id = _draft(await talk(client, key, ask(0, "initialize", **START), other))
        await talk(client, key, ask(0, "initialize", **START), other, use(2, "issue_invoice", draft_id=other_id))
        monkey.undo()
        assert await count() == 2

    browse(tmp_path, story)


def test_an_assistant_looks_up_and_is_told_what_is_wrong(tmp_path: Path) -> None:
    """Every reading tool; a refusal comes as text with causes and remedies; a key without a scope is told so."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        key = (await key_for(shop)).secret
        wrong = {**ORDER, "lines": [{**ORDER["lines"][0], "rate": "0.99"}]}
        answers = await talk(
            client, key, ask(0, "initialize", **START), {"jsonrpc": "2.0", "method": "notifications/initialized"},
            ask(1, "tools/list"), use(2, "find_invoices", q="餐费"), use(3, "get_quota"), use(4, "list_goods"),
            use(5, "find_codes"), use(6, "get_invoice", number="1" * 20), use(7, "draft_invoice", **wrong),
            use(8, "find_invoices", nonsense=1), use(9, "burn_everything"), ask(10, "resources/list"), b"nonsense\n",
            b'{"id": 11}\n', b"[" * 5000 + b"\n",
        )  # fmt: skip
        by_id = {one["id"]: one for one in answers}
        assert by_id[0]["result"]["protocolVersion"] == "2025-06-18"
        listed = by_id[1]["result"]["tools"]
        assert [one["name"] for one in listed] == [tool.name for tool in TOOLS]
        assert all(one["inputSchema"]["type"] == "object" for one in listed)
        assert [one["name"] for one in listed if not one["annotations"]["readOnlyHint"]] == ["issue_invoice"]
        assert by_id[2]["result"]["structuredContent"]["count"] == 0
        assert by_id[3]["result"]["structuredContent"]["left"] == "1000000.00"
        assert not by_id[4]["result"]["isError"] and not by_id[5]["result"]["isError"]
        for number, said in ((6, "INVOICE-NOT-FOUND"), (7, "RATE-"), (8, "ValidationError")):
            assert by_id[number]["result"]["isError"] and said in by_id[number]["result"]["content"][0]["text"]
        assert (by_id[9]["error"]["code"], by_id[10]["error"]["code"]) == (-32602, -32601)
        assert [one["error"]["code"] for one in answers if one["id"] is None] == [-32700, -32600, -32700]
        reader = (await key_for(shop, ["codes:read"])).secret
        told = await talk(client, reader, ask(0, "initialize", **START), use(1, "get_quota"))
        assert "API-SCOPE" in told[-1]["result"]["content"][0]["text"]

    browse(tmp_path, story)


def test_a_line_without_end_is_no_message(tmp_path: Path) -> None:
    """More bytes than a line may have: told, and the next message is answered."""
    out = io.BytesIO()
    lines = b"x" * (LINE_BYTES_MAX + 10) + b"\n" + json.dumps(ask(1, "ping")).encode() + b"\n"
    with Piaoma("http://x", "k") as piaoma:
        Assistant(piaoma, "0", io.BytesIO(lines), out).run()
    answers = [msgspec.json.decode(line) for line in out.getvalue().splitlines()]
    assert answers[-1] == {"jsonrpc": "2.0", "id": 1, "result": {}} and answers[0]["error"]["code"] == -32700


def test_the_command_speaks_the_protocol_and_asks_for_a_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an assistant starts it: nothing but messages on its output; without a key it says what to do."""
    command = [sys.executable, "-m", "piaoma.cli", "mcp", "--url", "http://127.0.0.1:1"]
    hello = json.dumps(ask(0, "initialize", **START)) + "\n"
    environment = {**os.environ, "PIAOMA_KEY": "pm_test_x"}
    done = subprocess.run(command, input=hello, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout)["result"]["serverInfo"]["name"] == "piaoma"
    monkeypatch.delenv("PIAOMA_KEY", raising=False)
    assert mcp("http://127.0.0.1:1") == 2
    told = capsys.readouterr()
    assert told.out == "" and "PIAOMA_KEY" in told.err
