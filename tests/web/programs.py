"""A program with a key: what tests of the API share."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

import httpx
import msgspec

from piaoma import wire
from piaoma.desk import api_keys
from piaoma.desk.api_keys import ApiKey, Scope
from tests.conftest import Shop

BASE = "/api/v1"
ALL = tuple(scope.value for scope in Scope)
MEAL: dict[str, Any] = {"name": "餐费", "code": "3070401000000000000", "rate": "0.06", "amount": "58.00"}
COMPANY: dict[str, Any] = {"name": "武汉某某科技有限公司", "taxpayer_id": "91110108690017781B"}
ORDER: dict[str, Any] = {"buyer": COMPANY, "lines": [MEAL]}


async def key_for(shop: Shop, scopes: Iterable[str] = ALL, name: str = "测试程序") -> ApiKey:
    return await api_keys.make(shop.office, shop.actor, name, scopes, None)


class Program:
    """Sends requests as a program would; a POST has a key of its own when none is named."""

    def __init__(self, client: httpx.AsyncClient, secret: str) -> None:
        self.secret = secret
        headers = {"authorization": f"Bearer {secret}", "accept-language": "en"}
        self.http = httpx.AsyncClient(transport=client._transport, base_url=client.base_url, headers=headers)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.http.get(BASE + path, **options)

    async def post(self, path: str, body: Any = None, key: str = "", **headers: str) -> httpx.Response:
        return await self.send("POST", path, body, key, **headers)

    async def send(self, method: str, path: str, body: Any = None, key: str = "", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else msgspec.json.encode({} if body is None else body)
        sent = {"content-type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        if method == "POST":
            sent.setdefault("idempotency-key", key or f"test-{secrets.token_hex(8)}")
        return await self.http.request(method, BASE + path, content=content, headers=sent)

    async def issued(self, key: str = "") -> wire.Issue:
        answer = await self.post("/invoices", ORDER, key)
        assert answer.status_code == 201, answer.text
        return msgspec.json.decode(answer.content, type=wire.Issue)


async def program(client: httpx.AsyncClient, shop: Shop, scopes: Iterable[str] = ALL) -> Program:
    return Program(client, (await key_for(shop, scopes)).secret)


def cause(answer: httpx.Response) -> str:
    return str(answer.json()["cause"])
