"""P9 for programs, made from the table: every route × scope × own or another's merchant × no key at all."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import msgspec
import pytest
from starlette.routing import Route

from piaoma.desk.api_keys import Scope
from piaoma.web.api import serve
from piaoma.web.api.examples import EXAMPLES
from piaoma.web.api.operation import Operation
from piaoma.web.api.table import OPERATIONS
from piaoma.web.app import ROUTES
from tests.conftest import Shop, new_shop
from tests.web.browsing import browse
from tests.web.programs import BASE, MEAL, Program, cause, key_for, program

OTHER_ID = "91110000600037341L"
OPEN = {"/api/v1/verify", "/api/v1/openapi.json", "/api/v1/reference"}
EVENT = "evt_0"


def test_every_route_of_the_api_is_a_row_of_the_table() -> None:
    """Nothing under /api/ but the table and what needs no key; every row has a scope, a name and an example."""
    routed = {(method, route.path) for route in ROUTES if isinstance(route, Route) and route.path.startswith("/api/")
              for method in (route.methods or set()) - {"HEAD"}}  # fmt: skip
    told = {(one.method, BASE + one.path) for one in OPERATIONS}
    assert {each for each in routed if each[1] not in OPEN} == told
    assert all(one.scope is not None for one in OPERATIONS)
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)
    assert {one.name for one in OPERATIONS if one.body is not None} == EXAMPLES.keys()


def scope_table() -> str:
    """The table as docs/api.md shows it."""
    rows = [["request", "scope", "what it does", "answers"], ["---"] * 4]
    for one in OPERATIONS:
        answer = one.answer.__name__ if one.answer else "a file"
        status = f"{one.status}, {one.other}" if one.other else str(one.status)
        rows.append([f"`{one.method} {one.path}`", f"`{one.scope}`", one.en, f"{status} {answer}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_the_document_shows_the_table_as_it_is() -> None:
    """docs/api.md; run this file as a script to write it anew."""
    assert scope_table() in (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


async def _places(app: Program) -> dict[str, str]:
    """Rows of a merchant that exist, for the places in paths."""
    issue = await app.issued()
    code = (await app.post("/codes", {"lines": [MEAL]})).json()["id"]
    goods = (await app.post("/goods", msgspec.to_builtins(EXAMPLES["add_goods"]))).json()["id"]
    assert issue.number
    return {"number": issue.number, "kind": "xml", "issue": issue.id, "code": code, "goods": goods}


def _path(row: Operation, values: dict[str, str]) -> str:
    kind = row.path.split("/")[1]
    named = {"issues": "issue", "codes": "code", "goods": "goods"}.get(kind, "code")
    return re.sub(r"{(\w+)}", lambda found: values.get(found[1], values[named]), row.path)


async def _ask(app: Program, row: Operation, path: str) -> httpx.Response:
    body = msgspec.to_builtins(EXAMPLES[row.name]) if row.body is not None else None
    return await app.send(row.method, path, body)


def test_every_cell_of_scope_and_route_is_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with one scope: routes of that scope answer, all others are 403 and change nothing. Without a key: 401.
    Negative control: with the scope looked over, a reading key issues."""
    from piaoma.web.throttle import Throttle

    monkeypatch.setattr(serve, "_requests", Throttle(burst=10_000, per_minute=10_000, cause="API-RATE"))

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        values = await _places(await program(client, shop))
        passed = 0
        for scope in Scope:
            app = await program(client, shop, [scope.value])
            for row in OPERATIONS:
                answer = await _ask(app, row, _path(row, values))
                refused = answer.status_code == 403 and cause(answer) == "API-SCOPE"
                assert refused == (row.scope is not scope), (scope, row.name, answer.text)
                assert answer.status_code < 500, (row.name, answer.text)
                assert answer.headers["ratelimit-limit"]
                passed += not refused
        assert passed == len(OPERATIONS)
        nobody = Program(client, "")
        for row in OPERATIONS:
            nobody.http.headers.pop("authorization", None)
            answer = await _ask(nobody, row, _path(row, values))
            assert (answer.status_code, cause(answer)) == (401, "API-KEY-NONE"), row.name
        reader = await key_for(shop, ["invoices:read"])
        reading = Program(client, reader.secret)
        row = next(one for one in OPERATIONS if one.name == "issue")
        assert (await _ask(reading, row, row.path)).status_code == 403
        everything = frozenset(one.value for one in Scope)
        real = serve.authenticate

        async def lax(request: object) -> object:
            return msgspec.structs.replace(await real(request), scopes=everything)  # type: ignore[arg-type]

        monkeypatch.setattr(serve, "authenticate", lax)
        assert (await _ask(reading, row, row.path)).status_code == 201

    browse(tmp_path, story)


def test_what_is_another_merchants_is_as_what_does_not_exist(tmp_path: Path) -> None:
    """Every route with an id, with a key that may do everything: 404 with the same words for another's id and for one
    that never was; lists show nothing of his; a session's cookie opens nothing."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        theirs = await new_shop(shop.office, OTHER_ID)
        values = await _places(Program(client, (await key_for(theirs)).secret))
        missing = {"number": "1" * 20, "kind": "xml", "issue": "api-0", "code": "1", "goods": "1"}
        app = await program(client, shop)
        tables = ("codes", "invoices", "jobs", "goods", "webhooks", "red_forms", "reissues")
        before = [await shop.office.database.read(f"SELECT count(*) FROM {table}") for table in tables]
        tried = 0
        for row in OPERATIONS:
            if not row.places:
                if row.method == "GET":
                    text = (await app.get(row.path)).text
                    assert values["number"] not in text and values["code"] not in text, row.name
                continue
            answers = [await _ask(app, row, _path(row, each)) for each in (values, missing)]
            assert [each.status_code for each in answers] == [404, 404], (row.name, [each.text for each in answers])
            bodies = [each.json() for each in answers]
            assert [each.pop("request_id") != "" for each in bodies] == [True, True]
            assert bodies[0] == bodies[1], row.name
            tried += 1
        assert tried > 20
        after = [await shop.office.database.read(f"SELECT count(*) FROM {table}") for table in tables]
        assert [each[0][0] for each in before] == [each[0][0] for each in after]
        from tests.web.people import another_browser, owner

        browser = another_browser(client, await owner(shop))
        assert (await browser.get(BASE + "/merchant")).status_code == 401

    browse(tmp_path, story)


if __name__ == "__main__":
    print(scope_table())
