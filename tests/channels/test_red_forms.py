"""Red forms with the sandbox authority in trouble: the truth is told, nothing is guessed, nothing is raised twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import count
from typing import Any

import msgspec
import pytest

from piaoma.channels import RedFormAnswer, RedFormRequest, sandbox
from piaoma.desk import red
from piaoma.desk.config import Config
from piaoma.invoice.red_form import RedFormEvent, RedFormState, Side
from piaoma.invoice.refusal import Refused
from piaoma.store import RedForm
from tests.channels.test_rehearsals import rehearse
from tests.conftest import Shop
from tests.desk.test_red import issued, take_back, tell, use


@pytest.fixture(autouse=True)
def no_usage_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The question about use is asked before the form; here only the form's own calls meet the trouble."""

    async def known(office: Any, merchant_id: int, number: str) -> bool:
        return bool(await office.channel.forms.is_used(number))

    monkeypatch.setattr(red, "is_used", known)


async def forms_there(shop: Shop) -> int:
    """How many forms the authority holds."""
    rows = await shop.office.channel._ledger.read("SELECT count(*) FROM authority_red_forms")  # type: ignore[attr-defined]
    return int(rows[0][0])


async def later(shop: Shop, hours: float = 2) -> RedForm:
    real = shop.office.now
    shop.office.now = lambda: real() + timedelta(hours=hours)
    try:
        await red.pursue_forms(shop.office)
    finally:
        shop.office.now = real
    return await red._form(shop.office, shop.id, "f")


def test_down_before_the_call_nothing_was_submitted(config: Config) -> None:
    """提交中; nothing is there; when the line is back it is sent, once, and its red invoice follows by itself."""

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        await rehearse(shop.office, down="before")
        form = await take_back(shop, number)
        assert (form.open_state, form.number, await forms_there(shop)) == ("submitted", None, 0)
        assert (await take_back(shop, number)) == form, "asked again it is the same one"
        with pytest.raises(Refused, match="RED-FORM-UNKNOWN"):
            await red.act(shop.office, form, RedFormEvent.WITHDRAW, Side.SELLER)
        form = await later(shop)
        assert form.open_state == "submitted"
        await rehearse(shop.office, down="")
        form = await later(shop, 4)
        assert form.number is not None and await forms_there(shop) == 1

    tell(config, story)


@pytest.mark.parametrize("switches", [{"down": "after"}, {"late_ms": 200}], ids=["down", "late"])
def test_a_lost_answer_is_unknown_and_asked_after(
    config: Config, switches: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """结果未知: the authority has it. It is never raised as a new one; another request is told that one is open."""
    monkeypatch.setattr(sandbox, "PATIENCE_MS", 10)

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        await rehearse(shop.office, **switches)
        form = await take_back(shop, number)
        assert (form.open_state, await forms_there(shop)) == ("unknown", 1)
        with pytest.raises(Refused, match="RED-FORM-OPEN"):
            await take_back(shop, number, form_id="another")
        await rehearse(shop.office, down="", late_ms=0)
        for turn in range(20):
            form = await later(shop, 2 + turn)
            if form.number is not None:
                break
            await asyncio.sleep(0.1)
        assert form.number is not None and await forms_there(shop) == 1

    tell(config, story)


def test_a_crash_between_call_and_record_is_asked_after_first(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies when the authority has the form and nobody wrote that down: the serial is asked for first."""

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        real = red._record

        async def crash(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(red, "_record", crash)
        with pytest.raises(KeyboardInterrupt):
            await take_back(shop, number)
        monkeypatch.setattr(red, "_record", real)
        form = await later(shop)
        assert form.number is not None and await forms_there(shop) == 1

    tell(config, story)


def test_a_refused_form_changes_nothing(config: Config) -> None:
    """税务平台未受理, with the reason; a new one may be raised."""

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        await rehearse(shop.office, refuse=True)
        form = await take_back(shop, number)
        assert form.open_state == "refused" and form.refusals[0].cause == "RED-FORM-REFUSED"
        assert (await red.issue_of(shop.office, form)).refusals == form.refusals
        await rehearse(shop.office, refuse=False)
        assert (await take_back(shop, number, form_id="anew")).number is not None

    tell(config, story)


def test_what_the_other_side_did_is_seen_when_asked(config: Config) -> None:
    """A buyer who is not here confirms at the authority: the form waits, is asked after, and goes on by itself."""

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        await use(shop, number)
        form = await take_back(shop, number)
        assert form.state is RedFormState.AWAITING_BUYER
        request = await red._request(shop.office, form)
        await shop.office.channel.act_on_red_form(request, RedFormEvent.CONFIRM, Side.BUYER)
        form = await later(shop)
        assert form.state is RedFormState.CONFIRMED and form.number is not None

    tell(config, story)


def test_a_lost_answer_to_a_word_is_unknown_too(config: Config) -> None:
    """The buyer's word arrives, its answer does not: he is told so, and asking tells. Said once more it counts once."""

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        await use(shop, number)
        form = await take_back(shop, number)
        await rehearse(shop.office, down="before")
        with pytest.raises(Refused, match="ISSUE-CHANNEL-DOWN"):
            await red.act(shop.office, form, RedFormEvent.CONFIRM, Side.BUYER)
        await rehearse(shop.office, down="after")
        with pytest.raises(Refused, match="RED-FORM-UNKNOWN"):
            await red.act(shop.office, form, RedFormEvent.CONFIRM, Side.BUYER)
        assert (await red._form(shop.office, shop.id, "f")).state is RedFormState.AWAITING_BUYER, "nothing is guessed"
        await rehearse(shop.office, down="")
        form = await red.act(shop.office, form, RedFormEvent.CONFIRM, Side.BUYER)
        assert form.state is RedFormState.CONFIRMED and form.number is not None

    tell(config, story)


@pytest.mark.parametrize(
    "changes",
    [{"serial": "another"}, {"form_number": ""}, {"state": None}, {"confirm_until": None},
     {"state": RedFormState.NO_CONFIRMATION}, {"form_number": "26997000000000009999"}],
    ids=["serial", "no number", "no state", "no deadline", "impossible state", "another form"],
)  # fmt: skip
def test_an_answer_to_something_else_is_no_answer(tmp_path: Any, changes: dict[str, Any]) -> None:
    """Asked after a pending form, the channel says what cannot be: the form stays, and is asked after again."""

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        await use(shop, number)
        form = await take_back(shop, number)
        real = shop.office.channel.query_red_form

        async def garbled(request: RedFormRequest) -> RedFormAnswer | None:
            answer = await real(request)
            assert answer is not None
            return msgspec.structs.replace(answer, **changes)

        shop.office.channel.query_red_form = garbled  # type: ignore[method-assign]
        assert (await later(shop)).state is RedFormState.AWAITING_BUYER
        shop.office.channel.query_red_form = real  # type: ignore[method-assign]
        again = await later(shop, 9)
        assert (again.state, again.form_number) == (RedFormState.AWAITING_BUYER, form.form_number)

    tell(Config(data=str(tmp_path)), story)


def test_raising_an_unknown_one_as_new_would_raise_two(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with a serial that is drawn anew at each try, the authority has two forms."""
    drawn = count()
    real = red.serial_of

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        await rehearse(shop.office, down="after")
        monkeypatch.setattr(red, "serial_of", lambda merchant, form: real(merchant, f"{form}{next(drawn)}"))
        await take_back(shop, number)
        await rehearse(shop.office, down="")
        await later(shop)
        assert await forms_there(shop) == 2
        monkeypatch.setattr(red, "serial_of", real)

    tell(config, story)
