"""The OpenAPI 3.1 document: made from the table and the types, so that it says what is done."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

import piaoma
from piaoma import wire
from piaoma.desk.api_keys import Scope
from piaoma.invoice.refusal import causes
from piaoma.web.errors import status_of_cause

from .operation import Operation, Parameter
from .table import OPERATIONS

BASE = "/api/v1"
# What every operation can answer, whatever it does.
COMMON = ("API-KEY-NONE", "API-KEY-WRONG", "API-KEY-ENDED", "API-KEY-MODE", "API-SCOPE", "API-RATE", "INTERNAL-ERROR")
SENT = ("API-BODY", "API-BODY-TYPE", "REQUEST-TOO-LARGE")
ONCE = ("API-IDEMPOTENCY-MISSING", "API-IDEMPOTENCY-FORM", "API-IDEMPOTENCY-REUSED", "API-IDEMPOTENCY-RUNNING")
_ABOUT = """\
Amounts are yuan as text, ids are text, times carry their zone. Every POST needs an `Idempotency-Key`: the same key and
body give the same answer for a week. Errors are `application/problem+json` with a `cause`; `/help/CAUSE` explains it.
"""


def causes_of(operation: Operation) -> list[str]:
    """Everything that an operation can refuse with by name, its own first. The rules of invoices come on top."""
    found = [*operation.causes, *COMMON]
    found += SENT if operation.body is not None else ()
    found += ONCE if operation.method == "POST" else ()
    found += ("API-QUERY",)
    found += ("API-PRECONDITION",) if operation.read is not None else ()
    return list(dict.fromkeys(found))


@cache
def document() -> bytes:
    """The document as it is served."""
    return msgspec.json.encode(described())


def described() -> dict[str, Any]:
    """The document as a value."""
    types = {one for row in OPERATIONS for one in (row.body, row.answer) if one is not None} | {wire.Problem}
    _, schemas = msgspec.json.schema_components(
        sorted(types, key=lambda one: one.__name__), ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for row in OPERATIONS:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Piaoma 票码", "version": piaoma.__version__, "description": _ABOUT,
                 "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": BASE}],
        "tags": [{"name": tag} for tag in dict.fromkeys(row.tag for row in OPERATIONS)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "pm_test_… or pm_live_…"}},
            "headers": _HEADERS,
            "responses": {"Problem": _problem("Refused; `cause` says why.")},
        },
        "security": [{"key": []}],
        "x-scopes": [scope.value for scope in Scope],
    }  # fmt: skip


def _operation(row: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": row.name, "summary": row.en, "description": row.zh, "tags": [row.tag],
        "x-scope": row.scope.value if row.scope else "", "x-causes": causes_of(row),
        "parameters": [*(_in_path(name) for name in row.places), *(_in_query(one) for one in row.query),
                       *_in_headers(row)],
        "responses": _responses(row),
    }  # fmt: skip
    if row.body is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(row.body)}}}
    return described


def _ref(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _in_path(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 80}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(one: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "maxLength": 200}
    if one.choices:
        schema = {"type": "string", "enum": list(one.choices)}
    elif one.pattern:
        schema |= {"pattern": one.pattern}
    return {"name": one.name, "in": "query", "description": f"{one.en} · {one.zh}", "schema": schema}


def _in_headers(row: Operation) -> list[dict[str, Any]]:
    found = []
    if row.method == "POST":
        schema = {"type": "string", "pattern": "^[\\x21-\\x7e]{8,80}$"}
        found.append({"name": "Idempotency-Key", "in": "header", "required": True, "schema": schema})
    if row.read is not None:
        found.append({"name": "If-Match", "in": "header", "schema": {"type": "string"}})
    if row.method == "GET":
        found.append({"name": "If-None-Match", "in": "header", "schema": {"type": "string"}})
    return found


_HEADERS = {
    "ETag": {"schema": {"type": "string"}, "description": "Names exactly this content."},
    "RateLimit-Limit": {"schema": {"type": "integer"}, "description": "Requests that a key may send at once."},
    "RateLimit-Remaining": {"schema": {"type": "integer"}, "description": "Of these, how many are left."},
    "RateLimit-Reset": {"schema": {"type": "integer"}, "description": "Seconds until all are back."},
    "X-Request-Id": {"schema": {"type": "string"}, "description": "What the server's log knows the request by."},
}


def _responses(row: Operation) -> dict[str, Any]:
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}
    content: dict[str, Any] = {"application/octet-stream": {}}
    if row.answer is not None:
        content = {"application/json": {"schema": _ref(row.answer)}}
    told: dict[str, Any] = {}
    for status in filter(None, (row.status, row.other)):
        told[str(status)] = {"description": row.en, "headers": headers, "content": content}
    if row.method == "GET":
        told["304"] = {"description": "It is what you have."}
    by_status: dict[int, list[str]] = {}
    for cause in causes_of(row):
        by_status.setdefault(status_of_cause(cause), []).append(cause)
    for status, named in sorted(by_status.items()):
        lines = [f"* `{cause}` {causes()[cause].en}" for cause in named]
        told[str(status)] = _problem("\n".join(lines))
    told.setdefault("422", {"$ref": "#/components/responses/Problem"})
    told["default"] = {"$ref": "#/components/responses/Problem"}
    return told


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}
