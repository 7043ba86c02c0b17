"""Fonts that go with an OFD: TrueType, just what the invoice draws, drawn as the originals are, sealed as the rest."""

from __future__ import annotations

import io
import re

import msgspec
import ofdkit
import pytest
from fontTools.ttLib import TTFont
from PIL import Image, ImageChops, ImageDraw, ImageFont

from piaoma.documents.faces import font_files
from piaoma.documents.ofd import EMBEDDED, SIGNATURE, VERSIONS, read_ofd, to_be_sealed, write
from piaoma.documents.ticket import ticket_of
from piaoma.invoice.original_reader import read
from piaoma.trust import Verdict, sign_value
from tests.documents.goldens import original_of
from tests.documents.test_ofd import checked, pack, parts_of, ring
from tests.documents.test_ofd import original_of as signed_original
from tests.documents.test_pdf import bare
from tests.invoice.test_original import AT, example

SONG, KAI, MONO = (f"Doc_0/Res/font_{number}.ttf" for number in (1, 2, 3))


def sealed() -> bytes:
    """An OFD with fonts and a seal."""
    original = signed_original(example())
    listed = to_be_sealed(original, AT, EMBEDDED)
    assert listed is not None
    return write(original, sign_value(listed, f"/{SIGNATURE}", ring()[1], AT), EMBEDDED)


def test_it_is_sealed_drawn_again_and_every_change_of_a_font_is_seen() -> None:
    """Valid as it is; with another byte in a font, not; the same bytes each time."""
    data = sealed()
    assert checked(data).verdict is Verdict.VALID
    parts = parts_of(data)
    font = parts[SONG]
    assert checked(pack(parts | {SONG: font[:-9] + bytes((font[-9] ^ 1,)) + font[-8:]})).verdict is Verdict.INVALID
    original = original_of("one-line")
    assert write(original, b"", EMBEDDED) == write(original, b"", EMBEDDED) != write(original)


@pytest.mark.parametrize("name", ["one-line", "rare", "special", "two-pages"])
def test_the_fonts_hold_just_what_is_drawn(name: str) -> None:
    """Every character of the pages has a glyph in the font that it names, and no font has others."""
    parts = parts_of(write(original_of(name), b"", EMBEDDED))
    drawn: dict[str, set[str]] = {SONG: set(), KAI: set(), MONO: set()}
    for part, data in parts.items():
        if part.endswith(("Content.xml", "Annotation.xml")):
            for font, text in re.findall(r'Font="(\d)".*?</ofd:TextObject>', data.decode()) and re.findall(
                r'<ofd:TextObject [^>]*Font="(\d)"[^>]*>(.*?)</ofd:TextObject>', data.decode()
            ):
                drawn[f"Doc_0/Res/font_{font}.ttf"].update("".join(re.findall(r"<ofd:TextCode[^>]*>([^<]*)<", text)))
    for font, letters in drawn.items():
        has = {chr(code) for code in TTFont(io.BytesIO(parts[font])).getBestCmap()}
        assert letters <= has
        assert font == KAI or has == letters


def test_a_subset_is_drawn_as_its_source() -> None:
    """By FreeType, large: turned curves differ from the original ones by nothing that can be seen."""
    letters = "武汉测试𠮷㼆한09¥"
    font = parts_of(write(original_of("rare"), b"", EMBEDDED))[SONG]
    has = TTFont(io.BytesIO(font)).getBestCmap()
    for letter in filter(lambda letter: ord(letter) in has, letters):
        path, face = next(
            file for file in font_files() if ord(letter) in TTFont(file[0], fontNumber=file[1]).getBestCmap()
        )
        one, other = (
            _drawn(letter, ImageFont.truetype(source, 200, index=number))
            for source, number in ((io.BytesIO(font), 0), (path, face))
        )
        apart = ImageChops.difference(one, other).point(lambda value: 255 * (value > 96)).histogram()[255]
        # FreeType moves stems of the one to whole pixels and not those of the other.
        assert apart < 0.15 * sum(one.histogram()[128:]), letter


def _drawn(letter: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    picture = Image.new("L", (260, 320))
    ImageDraw.Draw(picture).text((20, 240), letter, fill=255, font=font, anchor="ls")
    return picture


def test_a_character_beyond_the_bmp_names_its_glyph() -> None:
    """It counts as two characters: a CGTransform says that they are one glyph, and which."""
    parts = parts_of(write(original_of("rare"), b"", EMBEDDED))
    font = TTFont(io.BytesIO(parts[SONG]))
    page = parts["Doc_0/Pages/Page_0/Content.xml"].decode()
    found = re.findall(
        r'<ofd:CGTransform CodePosition="0" CodeCount="2" GlyphCount="1"><ofd:Glyphs>(\d+)</ofd:Glyphs>'
        r"</ofd:CGTransform><ofd:TextCode[^>]*>(.)</ofd:TextCode></ofd:TextObject>",
        page,
    )
    assert {letter for _, letter in found} == {letter for letter in page if letter > "\uffff"} != set()
    assert all(font.getGlyphID(font.getBestCmap()[ord(letter)]) == int(number) for number, letter in found)


def test_a_character_without_a_glyph_leaves_the_font_to_the_reader() -> None:
    """Ł is in none of the files: an empty box would be worse than the reader's own font."""
    parts = parts_of(write(original_of("discount"), b"", EMBEDDED))
    assert SONG not in parts and KAI in parts
    assert '<ofd:Font ID="1" FontName="宋体" FamilyName="SimSun"/>' in parts["Doc_0/PublicRes.xml"].decode()


@pytest.mark.parametrize("name", ["one-line", "rare", "discount"])
def test_readers_still_find_every_value(name: str) -> None:
    """Ours and another: what the tags name is what the ticket says."""
    data = original_of(name)
    ticket = ticket_of(read(data))
    ofd = write(data, b"", EMBEDDED)
    document = read_ofd(ofd)
    assert document.creator_version == VERSIONS[EMBEDDED]
    assert document.values["BuyerName"] == (ticket.buyer.name,) and document.values["InvoiceNo"] == (ticket.number,)
    assert [bare(one) for one in document.values["Item"]] == [bare(line.name) for line in ticket.lines]
    assert bare(ticket.buyer.name) in bare(ofdkit.extract_text(io.BytesIO(ofd)))


def test_names_of_fonts_stay_the_default() -> None:
    """The option is not taken unasked."""
    assert not [part for part in parts_of(write(original_of("one-line"))) if part.endswith(".ttf")]
    assert msgspec.json.encode(VERSIONS) == b'{"ofd":"o3","ofd-embedded":"o3e"}'
