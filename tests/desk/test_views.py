"""A file of an invoice is the same each time it is asked for, on both engines, whoever asks at the same moment."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from piaoma.desk import scan, views
from piaoma.desk.config import Config
from piaoma.documents.check import Trusted, check
from piaoma.documents.ofd import SIGNATURE, to_be_sealed
from piaoma.documents.report import Light
from piaoma.invoice.refusal import Refused
from piaoma.trust import Verdict, sign_value
from tests.conftest import COMPANY, Shop, with_shop


async def issue_one(shop: Shop) -> str:
    code = await shop.code()
    outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key=code.token)
    assert outcome.number is not None
    return outcome.number


def test_the_sealed_ofd_is_the_same_for_ever(config: Config) -> None:
    """Asked for by many at once, and again with an empty cache: one signed value, the same bytes."""

    async def story(shop: Shop) -> None:
        number = await issue_one(shop)
        found = await asyncio.gather(*(views.view(shop.office, shop.id, number, "ofd") for _ in range(6)))
        for file in (shop.office.config.data_folder / "cache").iterdir():
            file.unlink()
        again = await views.view(shop.office, shop.id, number, "ofd")
        assert {*found, again} == {again}
        rows = await shop.office.database.read("SELECT merchant_id, number FROM seals")
        assert [(row[0], row[1]) for row in rows] == [(shop.id, number)]
        report = check(again, Trusted(shop.office.roots))
        assert report.verdict is Verdict.VALID and report.light("view") is Light.OK

    with_shop(config, story)


def test_a_seal_that_is_made_again_has_other_bytes(config: Config) -> None:
    """The control: without the kept value the file would change."""

    async def story(shop: Shop) -> None:
        number = await issue_one(shop)
        original = await views.view(shop.office, shop.id, number, "xml")
        listed = to_be_sealed(original, shop.office.now())
        assert listed is not None
        made = {sign_value(listed, f"/{SIGNATURE}", shop.office.seal_signer, shop.office.now()) for _ in range(2)}
        assert len(made) == 2

    with_shop(config, story)


def test_fonts_in_an_ofd_are_a_matter_of_configuration(config: Config) -> None:
    """With them it has a seal of its own, kept beside that of the other; nobody asks for it by its inner name."""

    async def story(shop: Shop) -> None:
        number = await issue_one(shop)
        named = await views.view(shop.office, shop.id, number, "ofd")
        shop.office.config = msgspec.structs.replace(shop.office.config, ofd_fonts="embedded")
        embedded = await views.view(shop.office, shop.id, number, "ofd")
        assert b"font_1.ttf" in embedded and b"font_1.ttf" not in named
        rows = await shop.office.database.read("SELECT view_version FROM seals ORDER BY view_version")
        assert [row[0] for row in rows] == ["o3", "o3e"]
        for file in (named, embedded):
            report = check(file, Trusted(shop.office.roots))
            assert report.verdict is Verdict.VALID and report.light("view") is Light.OK
        with pytest.raises(Refused):
            await views.view(shop.office, shop.id, number, "ofd-embedded")

    with_shop(config, story)
