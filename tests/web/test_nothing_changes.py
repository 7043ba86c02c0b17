"""S84: nothing that is issued can be changed by anyone: every route with every method, and every statement."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from starlette.routing import Route

from piaoma.web.app import ROUTES
from tests.conftest import Shop
from tests.store.test_writing import broken_invariants
from tests.web.browsing import browse, issue_by_pages, log_in

SOURCE = Path(__file__).parents[2] / "src" / "piaoma"
# The only column of an invoice that is ever written again: what red invoices took back of it.
CHANGES = re.compile(
    r"(UPDATE invoices SET (?!taken_fen = taken_fen \+ \$3 WHERE)|DELETE FROM invoices|REPLACE INTO invoices)"
)


def changing(folder: Path) -> list[str]:
    """Statements that change or remove an invoice."""
    return [
        f"{file.name}: {found[0]}"
        for file in sorted(folder.rglob("*.py"))
        for found in CHANGES.finditer(file.read_text(encoding="utf-8"))
    ]


def test_no_statement_changes_an_invoice(tmp_path: Path) -> None:
    """In the whole program; and one that would is found."""
    assert changing(SOURCE) == []
    (tmp_path / "planted.py").write_text('"UPDATE invoices SET buyer_name = $3"')
    assert changing(tmp_path) == ["planted.py: UPDATE invoices SET "]


FIELDS = {
    "name": "武汉另一家贸易有限公司", "taxpayer_id": "92330781MA2EDMFU50", "buyer_name": "别人", "amount1": "1",
    "total": "1", "number": "26990000000000000001", "remark": "改", "reason": "01", "extent": "whole", "revoke": "1",
    "extend": "1",
    "approve": "1", "confirm": "1", "withdraw": "1", "issue": "1", "email": "a@example.cn", "mode": "auto", "days": "9",
    "times": "9", "shop_name": "改名", "drawer": "改人", "key": "a_key_of_a_button", "then_issue": "1",
}  # fmt: skip


def test_no_route_changes_an_invoice(tmp_path: Path) -> None:
    """The owner, who may do most, sends every form to every address with every method: corrections may come, each with
    a number of its own; of what was issued before, not a byte is another one."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        code = await shop.code()
        await issue_by_pages(client, code.token)
        statement = (
            "SELECT number, kind, buyer_name, buyer_id, amount_fen, tax_fen, total_fen, remark, issued_on, digest,"
            " original FROM invoices"
        )
        before = [tuple(row[place] for place in range(11)) for row in await shop.office.database.read(statement)]
        values = {
            "token": code.token, "number": before[0][0], "code_id": str(code.code_id), "kind": "xml",
            "cause": "CODE-TAKEN", "form_id": "a_key_of_a_button", "reissue_id": "a_key_of_a_button",
            "name": "base.css", "hash": "x",
        }  # fmt: skip
        tried, csrf = 0, ""
        for route in ROUTES:
            if not isinstance(route, Route) or "/events" in route.path:
                continue
            path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: values.get(found[1], "0"), route.path)
            if (await client.get("/console")).status_code != 200:
                csrf = await log_in(client, shop)
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                answer = await client.request(method, path, data={"csrf": csrf, **FIELDS})
                assert answer.status_code < 500, (method, path, answer.text[:500])
                tried += 1
        after = {row[0]: tuple(row[place] for place in range(11)) for row in await shop.office.database.read(statement)}
        assert tried > 200 and len(after) > 1, "corrections were among what was tried"
        assert [after[row[0]] for row in before] == before
        assert await broken_invariants(shop) == []

    browse(tmp_path, story)
