"""Taking back on both engines: full and partial, never more than there is, one red invoice for a form, both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from piaoma.desk import red, reissue, relations
from piaoma.desk.config import Config
from piaoma.desk.events import Actor, list_events
from piaoma.desk.issue import issue
from piaoma.desk.mint import draft_of
from piaoma.desk.red import raise_form
from piaoma.invoice.inspect import inspect
from piaoma.invoice.original_reader import read
from piaoma.invoice.red import BlueState, RedLine
from piaoma.invoice.red_form import RedFormEvent, RedFormState, RedReason, Side
from piaoma.invoice.refusal import Refused
from piaoma.store import RedForm, plan, red_forms
from tests.conftest import COMPANY, MEAL, PERSON, Shop, new_shop, with_shop
from tests.store.test_writing import broken_invariants

D = Decimal
BUYER_ID = COMPANY.taxpayer_id


async def issued(shop: Shop, *amounts: str, key: str = "b", email: str = "") -> str:
    """A blue invoice; its number."""
    draft = draft_of((await shop.code()).offer, shop.merchant, COMPANY)
    lines = tuple(msgspec.structs.replace(MEAL, amount=D(amount)) for amount in amounts or ("106.00",))
    outcome = await issue(shop.office, shop.id, msgspec.structs.replace(draft, lines=lines), issue_key=key, email=email)
    assert outcome.number is not None, outcome
    return outcome.number


async def use(shop: Shop, number: str) -> None:
    """The buyer confirms the use."""
    await shop.office.channel.use(number)  # type: ignore[attr-defined]


async def take_back(shop: Shop, number: str, *lines: RedLine, form_id: str = "f", **how: object) -> RedForm:
    reason = RedReason.RETURNED if lines else RedReason.WRONG
    return await raise_form(
        shop.office,
        shop.id,
        number,
        reason,
        lines or None,
        form_id=form_id,
        made_by="test",
        **how,  # type: ignore[arg-type]
    )


def tell(config: Config, story: Callable[[Shop], Awaitable[None]]) -> None:
    async def whole(shop: Shop) -> None:
        await story(shop)
        assert await broken_invariants(shop) == []

    with_shop(config, whole)


def test_an_unused_invoice_is_taken_back_as_a_whole(config: Config) -> None:
    """One step: form without confirmation, red invoice with negative amounts, relations both ways, mail to the holder;
    asked for again it is the same one."""

    async def story(shop: Shop) -> None:
        number = await issued(shop, "106.00", "53.00", email="guest@example.cn")
        form = await take_back(shop, number)
        assert (form.state, form.total) == (RedFormState.NO_CONFIRMATION, D("-159.00"))
        assert form.number is not None and form.form_number[2:5] == "997"
        assert await take_back(shop, number) == form
        original = read(await shop.office.view(shop.id, form.number, "xml"))
        assert original.red is not None and (original.red.blue_number, original.red.form_number) == (
            number, form.form_number,
        )  # fmt: skip
        assert original.totals.inclusive == D("-159.00") and original.totals.words.startswith("（负数）")
        assert inspect(original) == []
        there = await relations.relations(shop.office, shop.id, number)
        back = await relations.relations(shop.office, shop.id, form.number)
        assert [one.number for one in there.reds] == [form.number] and back.corrects is not None
        assert back.corrects.number == number and back.corrects.mark == "wholly_red"
        known = await relations.state_of(shop.office, number)
        assert known is not None and known.state is BlueState.RED and known.red_numbers == (form.number,)
        own = await relations.state_of(shop.office, form.number)
        assert own is not None and own.is_red and own.corrects == number
        jobs = await shop.office.database.read("SELECT kind, target FROM jobs WHERE number = $1", form.number)
        assert sorted((row[0], row[1]) for row in jobs) == [("mail", "guest@example.cn"), ("report", "")]
        with pytest.raises(Refused, match="RED-WHOLLY"):
            await take_back(shop, number, form_id="again")
        with pytest.raises(Refused, match="RED-OF-RED"):
            await take_back(shop, form.number, form_id="red of red")
        leaves = await shop.office.database.read("SELECT number FROM log_pending")
        assert {row[0] for row in leaves} == {number, form.number}

    tell(config, story)


def test_a_used_invoice_needs_the_other_side(config: Config) -> None:
    """Two parts of it, each confirmed by the buyer: the first leaves 部分红冲; what exceeds the rest is refused."""

    async def story(shop: Shop) -> None:
        number = await issued(shop, "106.00")
        with pytest.raises(Refused, match="RED-ONLY-WHOLE"):
            await take_back(shop, number, RedLine(0, D("-40.00"), D("-2.40")))
        await use(shop, number)
        form = await take_back(shop, number, RedLine(0, D("-40.00"), D("-2.40")))
        assert form.state is RedFormState.AWAITING_BUYER and form.number is None
        assert red.seconds_left(form, shop.office.now()) > 71 * 3600
        with pytest.raises(Refused, match="RED-FORM-SIDE"):
            await red.act(shop.office, form, RedFormEvent.CONFIRM, Side.SELLER)
        with pytest.raises(Refused, match="RED-FORM-OPEN"):
            await take_back(shop, number, RedLine(0, D("-70.00"), D("-4.20")), form_id="too much")
        form = await red.act(shop.office, form, RedFormEvent.CONFIRM, Side.BUYER)
        assert form.state is RedFormState.CONFIRMED and form.number is not None
        assert await red.act(shop.office, form, RedFormEvent.CONFIRM, Side.BUYER) == form
        with pytest.raises(Refused, match="RED-FORM-STATE"):
            await red.act(shop.office, form, RedFormEvent.WITHDRAW, Side.SELLER)
        known = await relations.state_of(shop.office, number)
        assert known is not None and known.state is BlueState.PARTLY_RED
        with pytest.raises(Refused, match="RED-EXCEEDS"):
            await take_back(shop, number, RedLine(0, D("-60.01"), D("-3.60")), form_id="more")
        rest = await take_back(shop, number, form_id="rest")
        assert rest.lines == (RedLine(0, D("-60.00"), D("-3.60")),)
        await red.act(shop.office, rest, RedFormEvent.CONFIRM, Side.BUYER)
        known = await relations.state_of(shop.office, number)
        assert known is not None and known.state is BlueState.RED and len(known.red_numbers) == 2

    tell(config, story)


@pytest.mark.parametrize(
    ("event", "by", "ends"),
    [
        (RedFormEvent.DENY, Side.BUYER, RedFormState.BUYER_DENIED),
        (RedFormEvent.WITHDRAW, Side.SELLER, RedFormState.WITHDRAWN),
    ],
)  # fmt: skip
def test_a_void_form_takes_nothing_back(config: Config, event: RedFormEvent, by: Side, ends: RedFormState) -> None:
    """Denied or withdrawn: nothing is red, and the invoice can be corrected anew."""

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        await use(shop, number)
        form = await take_back(shop, number)
        form = await red.act(shop.office, form, event, by)
        assert form.state is ends and form.number is None
        assert (await red.issue_of(shop.office, form)).refusals[0].cause == "RED-FORM-STATE"
        assert (await take_back(shop, number, form_id="anew")).state is RedFormState.AWAITING_BUYER

    tell(config, story)


def test_after_72_hours_a_form_is_void(config: Config) -> None:
    """One second before it can be confirmed; at 72 hours it cannot, and the worker takes the state in by itself."""

    async def story(shop: Shop) -> None:
        office, real = shop.office, shop.office.now
        number = await issued(shop)
        await use(shop, number)
        form = await take_back(shop, number)
        assert form.confirm_until is not None
        late = form.confirm_until
        for clock in (office, office.channel, office.channel.forms):  # type: ignore[attr-defined]
            clock.now = lambda: late - timedelta(seconds=1)  # type: ignore[union-attr]
        assert await red.pursue_forms(office) == 1
        assert (await red._form(office, shop.id, "f")).state is RedFormState.AWAITING_BUYER
        for clock in (office, office.channel, office.channel.forms):  # type: ignore[attr-defined]
            clock.now = lambda: late + timedelta(seconds=1)  # type: ignore[union-attr]
        assert await red.pursue_forms(office) == 1
        form = await red._form(office, shop.id, "f")
        assert form.state is RedFormState.TIMED_OUT
        with pytest.raises(Refused, match="RED-FORM-STATE"):
            await red.act(office, form, RedFormEvent.CONFIRM, Side.BUYER)
        office.now = real

    tell(config, story)


def test_both_sides_are_merchants_here(config: Config) -> None:
    """The buyer finds the form of the seller by his own id; nobody else does. He may raise one for what he used."""

    async def story(shop: Shop) -> None:
        buyer = await new_shop(shop.office, BUYER_ID)
        number = await issued(shop)
        with pytest.raises(Refused, match="RED-BUYER-UNUSED"):
            await take_back(shop, number, by=Side.BUYER)
        await use(shop, number)
        form = await take_back(shop, number, by=Side.BUYER)
        assert form.state is RedFormState.AWAITING_SELLER
        found = await relations.form_for(shop.office, buyer.merchant, "f")
        assert found == (form, Side.BUYER)
        assert await relations.form_for(shop.office, shop.merchant, "f") == (form, Side.SELLER)
        stranger = await new_shop(shop.office, "92330781MA2EDMFU50")
        with pytest.raises(Refused, match="RED-FORM-NOT-FOUND"):
            await relations.form_for(shop.office, stranger.merchant, "f")
        with pytest.raises(Refused, match="RED-FORM-SIDE"):
            await red.act(shop.office, form, RedFormEvent.CONFIRM, Side.BUYER)
        form = await red.act(shop.office, form, RedFormEvent.CONFIRM, Side.SELLER)
        assert form.number is not None

    tell(config, story)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_race_takes_back_no_more_than_there_is(
    config: Config, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty correct one invoice at once: one form is raised. With the look at other forms taken out all are raised,
    and the plan still lets one of their red invoices pass."""
    if not guarded:

        async def no_look(*_: object) -> None:
            return None

        monkeypatch.setattr(red_forms, "_check_room", no_look)

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        calls = [take_back(shop, number, form_id=f"f{place}") for place in range(20)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        forms = [one for one in outcomes if isinstance(one, RedForm)]
        assert len(forms) == (1 if guarded else len(forms)) and sum(one.number is not None for one in forms) == 1
        assert guarded or len(forms) > 1, "the guard was taken out"
        assert (await shop.office.database.read("SELECT sum(total_fen) FROM invoices"))[0][0] == 0

    tell(config, story)


def test_without_the_plan_more_is_taken_back(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the race: with both guards out the sums exceed the blue, and I6 sees it."""

    async def no_look(*_: object) -> None:
        return None

    monkeypatch.setattr(red_forms, "_check_room", no_look)
    monkeypatch.setattr(plan, "_red_refusal", lambda request, state: None)
    monkeypatch.setattr(red, "check_red", lambda *_, **__: [])
    monkeypatch.setattr("piaoma.desk.issue.check_red", lambda *_, **__: [])
    monkeypatch.setattr(plan, "_take", _take_unasserted(plan._take))

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        await asyncio.gather(*(take_back(shop, number, form_id=f"f{place}") for place in range(5)))
        assert "I6" in await broken_invariants(shop)

    with_shop(config, story)


def _take_unasserted(real: Callable[..., None]) -> Callable[..., None]:
    def take(request: object, *rest: object) -> None:
        try:
            real(request, *rest)
        except AssertionError:
            return

    return take


def test_quota_is_not_given_back_unless_it_is_chosen(config: Config) -> None:
    """Whether a red invoice gives quota back is not known: by default it does not; with the setting it does, to the
    fen, and within the month."""

    async def spent(shop: Shop) -> int:
        await take_back(shop, await issued(shop))
        return int((await shop.office.database.read("SELECT issued_fen FROM quotas"))[0][0])

    async def keeps(shop: Shop) -> None:
        assert await spent(shop) == 100_00

    tell(config, keeps)


def test_quota_is_given_back_when_it_is_chosen(config: Config) -> None:
    """See above; by a channel that numbers when called as well."""
    generous = msgspec.structs.replace(config, red_returns_quota=True)

    async def story(shop: Shop) -> None:
        await take_back(shop, await issued(shop))
        row = (await shop.office.database.read("SELECT issued_fen, reserved_fen FROM quotas"))[0]
        assert (row[0], row[1]) == (0, 0)
        await shop.office.channel.rehearse(remote=True)  # type: ignore[attr-defined]
        shop.office._numbering = (-1e9, shop.office._numbering[1])
        await take_back(shop, await issued(shop, key="b2"), form_id="f2")
        row = (await shop.office.database.read("SELECT issued_fen, reserved_fen FROM quotas"))[0]
        assert (row[0], row[1]) == (0, 0)

    tell(generous, story)


def test_verification_says_what_was_taken_back(tmp_path: Path) -> None:
    """查验 of a file: nothing known, then a part, then the whole; and of the red one itself. Only who has the file and
    its figures is told."""
    from piaoma.desk.verify import File, verify_files
    from piaoma.documents.report import Light
    from piaoma.trust import Verdict

    async def story(shop: Shop) -> None:
        number = await issued(shop)

        async def checked(of: str) -> tuple[Light | None, list[str], Verdict]:
            data = await shop.office.view(shop.id, of, "xml")
            report = (await verify_files(shop.office, [File("a.xml", data)]))[0]
            causes = [reason.cause for one in report.items if one.name == "red" for reason in one.reasons]
            return report.light("red"), causes, report.verdict

        assert await checked(number) == (Light.OK, [], Verdict.VALID)
        await use(shop, number)
        part = await take_back(shop, number, RedLine(0, D("-50.00"), D("-3.00")))
        part = await red.act(shop.office, part, RedFormEvent.CONFIRM, Side.BUYER)
        assert await checked(number) == (Light.WARN, ["RED-TAKEN-BACK-PARTLY"], Verdict.VALID)
        rest = await take_back(shop, number, form_id="rest")
        await red.act(shop.office, rest, RedFormEvent.CONFIRM, Side.BUYER)
        assert await checked(number) == (Light.BAD, ["RED-TAKEN-BACK"], Verdict.INVALID)
        assert await checked(str(part.number)) == (Light.OK, [], Verdict.VALID)

    tell(Config(data=str(tmp_path)), story)


def test_a_form_and_the_event_that_tells_of_it_are_there_together_or_not_at_all(config: Config) -> None:
    """Raising, agreeing, issuing by hand, and a 换开: each event once, in the transaction of its change; where that
    cannot be written (a person without a name), the change is not there either."""

    async def story(shop: Shop) -> None:
        nameless = Actor(shop.id, None, None)  # type: ignore[arg-type]  # the table demands a name
        number = await issued(shop)
        office = shop.office
        with pytest.raises(Exception, match=r"(?i)not.null"):
            await raise_form(office, shop.id, number, RedReason.WRONG, form_id="f", actor=nameless)
        with pytest.raises(Exception, match=r"(?i)not.null"):
            await reissue.start(office, nameless, number, PERSON, reissue_id="r")
        assert not await office.database.read("SELECT 1 FROM red_forms")
        assert not await office.database.read("SELECT 1 FROM reissues")
        await use(shop, number)
        for _ in range(2):
            form = await raise_form(
                office, shop.id, number, RedReason.WRONG, form_id="f", actor=shop.actor, then_issue=False
            )
        with pytest.raises(Exception, match=r"(?i)not.null"):
            await red.act(office, form, RedFormEvent.CONFIRM, Side.BUYER, nameless)
        form = await red.act(office, form, RedFormEvent.CONFIRM, Side.BUYER, shop.actor)
        assert form.number is None and form.issuable
        await red.issue_by(office, shop.actor, form)
        assert form.blue_number == number and (await taken(shop, number)) == D("106.00")
        told = [(event.kind, event.subject, dict(event.after)) for event in (await list_events(office, shop.id)).items]
        assert told[:3] == [
            ("red.act", number, {"act": "issue"}), ("red.act", number, {"act": "confirm"}),
            ("red.raise", number, {"form": "f"}),
        ]  # fmt: skip

    tell(config, story)


async def taken(shop: Shop, number: str) -> Decimal:
    row = (await shop.office.database.read("SELECT taken_fen FROM invoices WHERE number = $1", number))[0]
    return Decimal(row[0]) / 100
