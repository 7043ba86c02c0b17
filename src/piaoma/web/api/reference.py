"""The reference (接口文档): the OpenAPI document, and a page of the same table on which a test key can be tried."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from piaoma.desk.api_keys import mode_of
from piaoma.invoice.refusal import causes
from piaoma.web.page import compressed, language_of, office_of, render

from .examples import example_of
from .openapi import BASE, causes_of, described, document
from .operation import Operation
from .table import OPERATIONS

KEPT_SECONDS = 3_600
PARTS = (
    "Line",
    "Buyer",
    "RedItem",
    "Code",
    "Invoice",
    "Delivery",
    "RedForm",
    "Refusal",
    "Problem",
    "Fault",
)  # of others


async def openapi(request: Request) -> Response:
    """The document."""
    response = compressed(request, document(), "application/json")
    response.headers["cache-control"] = f"public, max-age={KEPT_SECONDS}"
    response.headers["access-control-allow-origin"] = "*"
    return response


async def reference(request: Request) -> Response:
    """The page: every operation with its fields, its causes, and a form to try it."""
    language = language_of(request)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in OPERATIONS:
        groups.setdefault(row.tag, []).append(_shown(row, language))
    return render(
        request, "reference.html", groups=groups, base=BASE, host=office_of(request).config.base_url,
        sample=msgspec.json.encode(example_of("make_code")).decode(), mode=mode_of(office_of(request)),
        types={name: _fields(name) for name in PARTS},
    )  # fmt: skip


def _shown(row: Operation, language: str) -> dict[str, Any]:
    return {
        "name": row.name, "method": row.method, "path": row.path, "places": row.places,
        "scope": row.scope.value if row.scope else "", "title": row.zh if language == "zh" else row.en,
        "query": [(one.name, one.zh if language == "zh" else one.en, one.choices) for one in row.query],
        "body": _fields(row.body.__name__) if row.body else [], "answer": row.answer.__name__ if row.answer else "",
        "fields": _fields(row.answer.__name__) if row.answer else [], "status": row.status,
        "example": msgspec.json.format(msgspec.json.encode(example_of(row.name)), indent=2).decode()
        if row.body is not None else "",
        "causes": [(cause, causes()[cause].zh if language == "zh" else causes()[cause].en) for cause in row.causes],
        "all_causes": len(causes_of(row)),
    }  # fmt: skip


@cache
def _fields(kind: str) -> list[tuple[str, str, bool]]:
    """(name, form, needed) of the fields of a type."""
    schema = described()["components"]["schemas"][kind]
    needed = schema.get("required", ())
    return [(name, _form(one), name in needed) for name, one in schema["properties"].items()]


def _form(schema: dict[str, Any]) -> str:
    """A schema in a few signs."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(_form(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(repr(one).replace("'", '"') for one in schema["enum"])
    if schema.get("type") == "array":
        return f"[{_form(schema.get('items', {}))}]"
    return str(schema.get("pattern") or schema.get("format") or schema.get("type") or "any")


routes = [Route(f"{BASE}/openapi.json", openapi), Route(f"{BASE}/reference", reference)]
