"""The client against a real server: as the README shows it, sync and async, through failures, a kill and a restart."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from piaoma import client as ours
from piaoma import wire
from piaoma.client import calls, requests
from piaoma.client.piaoma import AsyncPiaoma, Piaoma
from piaoma.delivery.webhook import sign
from piaoma.desk.config import Config
from piaoma.desk.office import open_office
from piaoma.web.api.table import OPERATIONS
from tests.conftest import new_shop
from tests.journeys.served import Served, serve
from tests.web.programs import COMPANY, MEAL, key_for

ROOT = Path(__file__).parents[2]
OTHER = wire.Buyer("武汉另一家科技有限公司", "91110000600037341L")
ORDER = wire.NewInvoice(buyer=wire.Buyer(**COMPANY), lines=[wire.Line(**MEAL)])


class Installation:
    """A server with a shop and a key, on SQLite."""

    def __init__(self, served: Served, key: str) -> None:
        self.served = served
        self.url = served.base_url
        self.key = key

    def run(self, *words: str, folder: Path) -> str:
        """A program that uses it; what it prints."""
        environment = {**os.environ, "PIAOMA_URL": self.url, "PIAOMA_KEY": self.key}
        done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with serve() as served:
        served.kill()

        async def prepare() -> str:
            async with open_office(Config(data=served.environment["PIAOMA_DATA"]), work=False) as office:
                return (await key_for(await new_shop(office))).secret

        key = asyncio.run(prepare())
        served.start()
        yield Installation(served, key)


def test_the_example_of_the_readme_works_as_printed(installation: Installation) -> None:
    """In both languages, with the address and the key put in; twice gives the same invoice; the PDF is one."""
    numbers = set()
    for name in ("README.md", "README.zh-CN.md"):
        (block,) = re.findall(
            r"^```python\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
        program = block.replace("http://127.0.0.1:8000", installation.url).replace("pm_test_…", installation.key)
        assert program != block
        names: dict[str, Any] = {}
        exec(compile(program, name, "exec"), names)
        assert names["pdf"].startswith(b"%PDF")
        numbers.add(names["issued"].number)
    assert len(numbers) == 1


def test_the_examples_in_other_languages_do_what_they_say(installation: Installation, tmp_path: Path) -> None:
    """Python without a library, shell, JavaScript: the first two name the same sale, so they give the same invoice."""
    python = installation.run(sys.executable, str(ROOT / "examples" / "api.py"), folder=tmp_path).strip()
    assert re.fullmatch(r"\d{20}", python)
    if shutil.which("curl"):
        assert installation.run("sh", str(ROOT / "examples" / "api.sh"), folder=tmp_path).strip() == python
        assert (tmp_path / "invoice.pdf").read_bytes().startswith(b"%PDF")
    if shutil.which("node"):
        url = installation.run("node", str(ROOT / "examples" / "api.mjs"), folder=tmp_path).strip()
        assert re.fullmatch(r"http://[\d.:]+/S/\w{20}", url)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_javascript_example_verifies_a_webhook(tmp_path: Path) -> None:
    """What we sign is taken; with a letter changed it is not."""
    import base64
    import time

    now, body, secret = int(time.time()), '{"type":"webhook.test"}', b"s" * 32
    headers = {
        "webhook-id": "evt_1", "webhook-timestamp": str(now),
        "webhook-signature": sign([b"x" * 32, secret], "evt_1", now, body.encode()),
    }  # fmt: skip
    shown = "whsec_" + base64.b64encode(secret).decode()
    script = (
        f"import {{fromPiaoma}} from '{ROOT}/examples/api.mjs';"
        f"console.log(fromPiaoma({msgspec.json.encode(headers).decode()}, '{body}', '{shown}'),"
        f"fromPiaoma({msgspec.json.encode(headers).decode()}, '{body} ', '{shown}'))"
    )
    done = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "true false", done.stderr


def test_both_clients_do_the_same(installation: Installation) -> None:
    """Method by method the same names and arguments; each request is one of the table; a sale from code to file."""
    methods = [
        {name: str(inspect.signature(one).parameters) for name, one in vars(kind).items() if name[0] != "_"}
        for kind in (Piaoma, AsyncPiaoma)
    ]
    assert methods[0] == methods[1]
    known = {one.name for one in OPERATIONS}
    functions = {name: one for name, one in vars(requests).items() if inspect.isfunction(one)}
    made = {name for name, one in functions.items() if one.__module__ == requests.__name__}
    assert made - {"_part"} <= known, made - known

    with Piaoma(installation.url, installation.key) as piaoma:
        code = piaoma.make_code(wire.NewCode(lines=[wire.Line(**MEAL)]))
        assert piaoma.revoke_code(code.id).state == "revoked" == piaoma.code(code.id).state
        assert piaoma.preview(ORDER).total == "58.00"
        first = piaoma.issue(ORDER, key="both-0001")
        assert first.number and piaoma.issue_state(first.id) == first
        assert piaoma.file(first.number, "xml").startswith(b"<?xml")
        assert piaoma.send(first.number, "a@example.cn").number == first.number
        assert first.number in [one.number for one in piaoma.invoices(first.number)]
        with pytest.raises(ours.Refused, match="INVOICE-NOT-FOUND") as refused:
            piaoma.invoice("1" * 20)
        assert refused.value.problem.status == 404 and refused.value.problem.request_id
        assert piaoma.merchant().sandbox and piaoma.quota().limit and piaoma.goods() == []

    async def story() -> None:
        async with AsyncPiaoma(installation.url, installation.key, language="en") as piaoma:
            again = await piaoma.issue(ORDER, key="both-0001")
            assert again == first
            other = await piaoma.issue(ORDER, key="both-0002")
            assert other.number
            anew = await piaoma.reissue(other.number, OTHER, key="both-0003")
            assert anew.state == "done" and anew.new_number
            form = await piaoma.take_back(anew.new_number, wire.NewRedForm(reason="returned"), key="both-0004")
            assert form.red_number
            assert [one async for one in piaoma.invoices("武汉另一家")]
            with pytest.raises(ours.Refused, match="The amount"):
                await piaoma.issue(wire.NewInvoice(buyer=ORDER.buyer, lines=[wire.Line(name="餐费")]), key="both-0005")
            await asyncio.sleep(2.2)
            events = await piaoma.events()
            assert "invoice.red_issued" in [one.type for one in events.items]

    asyncio.run(story())


def test_a_ledger_follows_through_public_interfaces_alone(installation: Installation) -> None:
    """A sample ledger: from the cursor of last time it books every invoice once, blue and red, by what the
    invoice itself states, and nothing afterwards."""
    with Piaoma(installation.url, installation.key) as till:
        start = ""
        while (page := till.events(start)).items:
            start = page.next_cursor
        numbers = [till.issue(ORDER, key=f"ledger-{place:04}").number for place in range(3)]
        form = till.take_back(str(numbers[-1]), wire.NewRedForm(reason="returned"), key="ledger-red")
        booked: dict[str, Decimal] = {}
        deadline = time.monotonic() + 30
        while not booked.keys() >= {*numbers, form.red_number} and time.monotonic() < deadline:
            page = till.events(start)
            for event in page.items:
                number = str(event.data["number"])
                stated = msgspec.json.decode(till.file(number, "json"))
                assert number not in booked and stated["number"] == number
                booked[number] = Decimal(str(event.data["total"]))
            start = page.next_cursor
            time.sleep(0.3)
        sums = [booked[str(number)] for number in (*numbers, form.red_number)]
        assert sums == [*[Decimal("58.00")] * 3, Decimal("-58.00")]
        assert till.events(start).items == []


def test_a_server_that_is_killed_under_load_loses_nothing(installation: Installation) -> None:
    """Thirty sales on their way when the process dies by SIGKILL: the client tries on, the server starts again, and
    there are thirty invoices, one for each key, none twice."""

    async def story() -> list[str]:
        async with AsyncPiaoma(installation.url, installation.key) as piaoma:

            async def issue(place: int) -> str:
                await asyncio.sleep(place * 0.01)
                made = await piaoma.issue(ORDER, key=f"killed-{place:04}")
                assert made.number
                return made.number

            sales = [asyncio.create_task(issue(place)) for place in range(30)]
            await asyncio.sleep(0.12)
            installation.served.kill()
            await asyncio.to_thread(installation.served.start)
            return list(await asyncio.gather(*sales))

    numbers = asyncio.run(story())
    assert len(set(numbers)) == 30
    with Piaoma(installation.url, installation.key) as piaoma:
        again = [piaoma.issue(ORDER, key=f"killed-{place:04}").number for place in range(30)]
    assert again == numbers
    done = installation.served.run("audit")
    assert "killed" not in done.stdout


def test_what_is_tried_again_and_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Away, overloaded, running elsewhere: again, with the same idempotency key, no sooner than asked. Refused: not.
    After the last try the fault is told."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    seen: list[str] = []
    problem = {"type": "", "title": "", "status": 409, "detail": "", "errors": [], "request_id": ""}
    script: list[httpx.Response | Exception] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["idempotency-key"])
        step = script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    at = datetime(2026, 11, 25, 8, tzinfo=UTC)
    told = wire.Code(
        id="1", url="", state="open", kind="general", total="1.00", summary="", own_number="", buyer_name=None,
        number=None,
        created_at=at, created_by="", expires_at=at, refusals=[],
    )  # fmt: skip
    good = httpx.Response(201, content=msgspec.json.encode(told))
    running = httpx.Response(409, json={**problem, "cause": "API-IDEMPOTENCY-RUNNING"}, headers={"retry-after": "5"})
    script += [httpx.ConnectError("away"), httpx.ReadTimeout("slow"), httpx.Response(503, text="<html>"), running, good]
    with Piaoma("http://x", "pm_test_x", transport=httpx.MockTransport(answer)) as piaoma:
        assert piaoma.make_code(wire.NewCode(lines=[])).id == "1"
        assert len(seen) == 5 and len(set(seen)) == 1 and len(waits) == 4 and waits[3] >= 5
        script += [httpx.Response(409, json={**problem, "cause": "API-IDEMPOTENCY-REUSED"})]
        with pytest.raises(ours.Refused, match="API-IDEMPOTENCY-REUSED"):
            piaoma.make_code(wire.NewCode(lines=[]))
        script += [httpx.ConnectError("away")] * calls.TRIES_MAX
        with pytest.raises(ours.Unreachable, match="away"):
            piaoma.make_code(wire.NewCode(lines=[]), key="order-1")
        assert script == [] and seen[-1] == "order-1"
        script += [httpx.Response(502, text="<html>bad gateway")] * calls.TRIES_MAX
        with pytest.raises(ours.Refused, match="HTTP 502"):
            piaoma.make_code(wire.NewCode(lines=[]))
