"""P10 for programs: requests drawn from the OpenAPI document itself, right ones and spoilt ones.

Never a 5xx, never an answer that does not fit the document, and the audit holds afterwards. PIAOMA_SEED=… replays;
PIAOMA_REQUESTS=… for more.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest

from piaoma.store import audit
from piaoma.web.api import openapi, serve
from piaoma.web.throttle import Throttle
from tests.conftest import Shop
from tests.web.browsing import browse
from tests.web.programs import BASE, MEAL, ORDER, Program, program

REQUESTS = int(os.environ.get("PIAOMA_REQUESTS", "250"))
WORDS = ("", "a", "餐费", "武汉某某科技有限公司", "91110108690017781B", "<b>&\"'", "\u202e", "💥" * 40, "x" * 299, "0",
         "-1", "1e9", "NaN", "58.00", "3070401000000000000", "a@example.cn", "../../etc", "%00",
         "DROP TABLE codes")  # fmt: skip
BY_PATTERN = {
    "yuan": ("58.00", "0.01", "-3", "999999999999.99", "0"),
    "rate": ("0.06", "0.13", "0", "0.01", "0.9999"),
    "figure": ("2", "0.0000000000001", "999999999999", "0"),
    "digits": ("3070401000000000000", "1" * 20, "1", "9" * 13),
}


class Generator:
    """Values for a schema, by chance; now and then one that does not fit it."""

    def __init__(self, schemas: dict[str, Any], seed: int, known: dict[str, str]) -> None:
        self.schemas, self.known = schemas, known
        self.random = random.Random(seed)

    def value(self, schema: dict[str, Any], wrong: float = 0.03) -> Any:
        if self.random.random() < wrong:
            return self.random.choice([None, 7, -1.5, "", [], {}, True, "x" * 400, [[]], {"a": {"b": []}}, 10**30])
        if "$ref" in schema:
            return self.value(self.schemas[schema["$ref"].rpartition("/")[2]], wrong)
        if "anyOf" in schema:
            return self.value(self.random.choice(schema["anyOf"]), wrong)
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, wrong)
        if kind == "array":
            count = self.random.choice([schema.get("minItems", 0), 1, 2, 3])
            return [self.value(schema.get("items", {}), wrong) for _ in range(count)]
        if kind == "integer":
            return self.random.choice([schema.get("minimum", 0), schema.get("maximum", 9), 3])
        if kind == "boolean":
            return self.random.random() < 0.5
        return None if kind == "null" else self.text(schema)

    def _object(self, schema: dict[str, Any], wrong: float) -> dict[str, Any]:
        needed = schema.get("required", ())
        made = {
            name: self.value(one, wrong) for name, one in schema.get("properties", {}).items()
            if name in needed or self.random.random() < 0.4
        }  # fmt: skip
        if self.random.random() < wrong:
            made[self.random.choice(["nonsense", "", "id"])] = 1
        return made

    def text(self, schema: dict[str, Any]) -> str:
        pattern = schema.get("pattern", "")
        if not pattern:
            return self.random.choice(WORDS)
        kind = ("rate" if pattern.startswith("^0") else "yuan" if pattern.startswith("^-?") else
                "figure" if "13" in pattern and "." in pattern else "digits")  # fmt: skip
        return self.random.choice(BY_PATTERN[kind])

    def path(self, template: str) -> str:
        """Mostly an id that exists, else something that cannot be one."""
        path = template
        for name in ("id", "number", "kind"):
            kind = template.split("/")[1] if name == "id" else name
            known = self.known.get(kind, "1")
            odd = self.random.choice(["0", "x", "9" * 40, "%2e%2e", "餐", "-1", "1'--"])
            path = path.replace("{" + name + "}", known if self.random.random() < 0.8 else odd)
        return path


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


class Judge:
    """Whether an answer is one that the document allows."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.validators: dict[str, Any] = {}

    def look(self, answer: httpx.Response, operation: dict[str, Any]) -> None:
        assert answer.status_code < 500, answer.text
        kind = answer.headers.get("content-type", "").partition(";")[0]
        told = operation["responses"].get(str(answer.status_code), operation["responses"]["default"])
        if "$ref" in told:
            told = self.document["components"]["responses"]["Problem"]
        if answer.status_code == 304:
            return
        if kind not in told["content"]:
            assert "application/octet-stream" in told["content"], (kind, answer.text)
            return
        body = answer.json()
        self.validator(told["content"][kind]["schema"]["$ref"].rpartition("/")[2]).validate(body)
        if answer.status_code >= 400:
            assert body["status"] == answer.status_code and body["errors"] and body["request_id"]

    def validator(self, name: str) -> Any:
        if name not in self.validators:
            schema = {"$ref": f"#/components/schemas/{name}", "components": self.document["components"]}
            self.validators[name] = jsonschema.Draft202012Validator(schema)
        return self.validators[name]


async def _known(app: Program) -> dict[str, str]:
    issue = await app.issued()
    code = (await app.post("/codes", {"lines": [MEAL]})).json()["id"]
    goods = (await app.post("/goods", {"name": "餐费", "code": MEAL["code"], "rate": "0.06"})).json()["id"]
    assert issue.number
    return {"issues": issue.id, "codes": code, "goods": goods, "number": issue.number, "kind": "json",
            "deliveries": f"{issue.number}:mail:0"}  # fmt: skip


async def _send(app: Program, draw: Generator, method: str, path: str, operation: dict[str, Any]) -> httpx.Response:
    query = {
        one["name"]: draw.value(one["schema"]) or draw.random.choice(WORDS) for one in operation["parameters"]
        if one["in"] == "query" and draw.random.random() < 0.3
    }  # fmt: skip
    headers = {}
    if draw.random.random() < 0.1:
        headers["if-match"] = draw.random.choice(["*", '"x"', "nonsense", ""])
    if method == "POST":
        headers["idempotency-key"] = draw.random.choice([f"fuzz-{draw.random.getrandbits(60):x}", "fuzz-same", "short"])
    body = None
    if "requestBody" in operation:
        body = json.dumps(draw.value(operation["requestBody"]["content"]["application/json"]["schema"])).encode()
        headers["content-type"] = "application/json"
        if draw.random.random() < 0.05:
            cut = draw.random.randrange(len(body) + 1)
            body = body[:cut] + draw.random.choice([b"", b"\xff", b"\\u0000", b"[" * 3000]) + body[cut:]
    params = {name: str(value) for name, value in query.items()}
    return await app.http.request(method, BASE + draw.path(path), params=params, content=body, headers=headers)


def test_whatever_is_sent_the_answer_is_one_that_the_document_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests over all operations by chance; most kinds of answer were met, and the books are sound."""
    seed = int(os.environ.get("PIAOMA_SEED", random.SystemRandom().getrandbits(32)))
    print(f"PIAOMA_SEED={seed}")
    monkeypatch.setattr(serve, "_requests", Throttle(burst=10_000, per_minute=10_000, cause="API-RATE"))
    document = openapi.described()

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        app = await program(client, shop)
        draw = Generator(document["components"]["schemas"], seed, await _known(app))
        judge, all_of_them = Judge(document), list(operations(document))
        met: set[int] = set()
        # Drawing a PDF is slow and has tests of its own.
        for turn in range(REQUESTS):
            method, path, operation = all_of_them[turn % len(all_of_them)]
            answer = await _send(app, draw, method, path, operation)
            judge.look(answer, operation)
            met.add(answer.status_code)
        assert met >= {200, 400, 404, 409, 422}, met
        findings = await audit(shop.office.database, lambda _: None, lambda _: None)
        assert [one.name for one in findings if one.broken and one.name != "I8"] == []

    browse(tmp_path, story)


def test_the_judge_sees_what_the_document_does_not_allow() -> None:
    """Negative control: a field that is missing, a 500, and a file where an object was told."""
    document = openapi.described()
    judge = Judge(document)
    operation = document["paths"]["/quota"]["get"]
    right = {"month": "2026-11", "limit": "1.00", "issued": "0.00", "reserved": "0.00", "left": "1.00"}
    judge.look(httpx.Response(200, json=right), operation)
    for wrong in (
        httpx.Response(200, json={**right, "limit": 1}), httpx.Response(500, text="x"), httpx.Response(200, text="x"),
        httpx.Response(200, json={"month": "2026-11"}),
    ):  # fmt: skip
        with pytest.raises((AssertionError, jsonschema.ValidationError)):
            judge.look(wrong, operation)


def test_the_document_is_one_of_openapi_3_1(tmp_path: Path) -> None:
    """Every reference leads somewhere, every schema is one, names are there once, and what is served is the same."""
    document = openapi.described()
    text = msgspec.json.encode(document).decode()
    assert document["openapi"] == "3.1.0"
    for name, schema in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert f"#/components/schemas/{name}" in text, f"{name} is of no use"
    names = [one["operationId"] for _, _, one in operations(document)]
    assert len(names) == len(set(names))
    for reference in {part.partition('"')[0] for part in text.split('"$ref":"')[1:]}:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        served = await client.get("/api/v1/openapi.json")
        assert served.json() == document and served.headers["cache-control"].startswith("public")
        assert ORDER  # an order of the examples fits what is told of it
        schema = {"$ref": "#/components/schemas/NewInvoice", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(ORDER)

    browse(tmp_path, story)
