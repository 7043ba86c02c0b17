"""The fonts in a PDF of ours: just what is drawn, the outlines of the font files, no wider than the table says."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fontTools.cffLib import CFFFontSet
from fontTools.misc.psCharStrings import T2CharString
from fontTools.pens.recordingPen import RecordingPen
from fontTools.ttLib import TTFont
from pypdf import PdfReader

from piaoma.documents.faces import EUROPEAN, FORM, MONO, font_files
from piaoma.documents.pdf.charstrings import OutlineFault, standing_alone
from piaoma.documents.pdf.fonts import found, glyph_of
from piaoma.documents.pdf.outlines import Face
from piaoma.documents.pdf.sfnt import Sfnt
from piaoma.documents.render import render
from piaoma.documents.ticket import WIDEST, ticket_of
from piaoma.invoice import printable
from piaoma.invoice.original_reader import read
from tests.documents.goldens import names, original_of

STEP = 97  # of the characters of a face that are compared


def test_every_printable_character_has_a_glyph_as_wide_as_the_table_says() -> None:
    """All 45,000, by the tables of the files; European letters may be narrower. One that is not printable has none."""
    advances, narrower = printable.advances(), []
    assert max(advances.values()) <= WIDEST
    for letter in printable.letters():
        face, number = found(letter)
        if face.width(number) != advances.get(letter, 1000):
            narrower.append(letter)
            assert face.width(number) < advances.get(letter, 1000)
    assert len(narrower) < 20, narrower
    with pytest.raises(Exception, match="DOCUMENT-GLYPH-MISSING"):
        found("𪚥")


@pytest.mark.parametrize(
    ("path", "face"),
    [*font_files(), MONO, (str(EUROPEAN), 0)],
    ids=["serif", "sans", "rare", "mono", "european"],
)
def test_an_outline_made_to_stand_alone_is_the_same_outline(path: str, face: int) -> None:
    """Against fonttools, which follows the calls: some of every font, point by point, and the width."""
    ours = Face(Path(path), face)
    with TTFont(path, fontNumber=face, lazy=True) as theirs:
        glyphs, named, widths = theirs.getGlyphSet(), theirs.getBestCmap(), theirs["hmtx"]
        for code in sorted(named)[:: STEP if len(named) > 10_000 else 11]:
            glyph = ours.glyph(ours.number(chr(code)))
            wanted = RecordingPen()
            glyphs[named[code]].draw(wanted)
            assert (_drawn(glyph.code).value, glyph.width) == (wanted.value, widths[named[code]][0]), hex(code)


def _drawn(code: bytes) -> RecordingPen:
    pen = RecordingPen()
    private = SimpleNamespace(nominalWidthX=0, defaultWidthX=1000, Subrs=[])
    T2CharString(bytecode=code, private=private, globalSubrs=[]).draw(pen)
    return pen


def test_calls_masks_and_widths_by_hand() -> None:
    """A width that is dropped; stems that a mask counts though no operator names them; calls in calls; 22 0 rmoveto."""
    move = bytes((161, 139, 21))
    assert standing_alone(bytes((149,)) + move + b"\x0e", 1000, [], []) == move + b"\x0e"
    assert standing_alone(b"\x8c" + bytes((149, 150, 1, 151, 152, 19, 0xC0)) + move + b"\x0e", 600, [], []) == (
        b"\x1c\x02\x58" + bytes((149, 150, 1, 151, 152, 19, 0xC0)) + move + b"\x0e"
    )
    # Of fewer than 1240 subroutines the first is called by -107.
    assert standing_alone(bytes((32, 10, 14)), 1000, [bytes((32, 29, 11))], [move + b"\x0b"]) == move + b"\x0e"


@pytest.mark.parametrize(
    "code", [bytes((32, 10)), bytes((33, 10)), b"\x0a", bytes((140, 141, 12, 10)), b"\xff\0\0\0\0\x0a"]
)
def test_what_no_font_of_ours_has_is_a_fault(code: bytes) -> None:
    """Calls without end, of what is not there, of nothing; arithmetic; a fraction as a number."""
    with pytest.raises(OutlineFault):
        standing_alone(code, 1000, [bytes((32, 10, 11))], [])


@pytest.mark.parametrize("name", names())
def test_the_font_holds_just_what_the_invoice_says(name: str) -> None:
    """Read by fonttools out of the file: one glyph for each character and style, with the outline of its face; the
    widths of the page are those of the font."""
    data = original_of(name)
    ticket = ticket_of(read(data))
    reader = PdfReader(io.BytesIO(render(data, "pdf")))
    resources: Any = reader.pages[0]["/Resources"]
    font = resources["/Font"]["/F2"]
    descendant = font["/DescendantFonts"][0].get_object()
    file = CFFFontSet()
    file.decompile(io.BytesIO(descendant["/FontDescriptor"]["/FontFile3"].get_data()), None)
    (top,) = file.topDictIndex
    letters = {
        int(code, 16): bytes.fromhex(letter).decode("utf-16-be")
        for code, letter in re.findall(r"<(\w{4})><(\w+)>", font["/ToUnicode"].get_data().decode())
        if code != "0000"
    }
    said = "".join((ticket.number, ticket.buyer.name, ticket.seller.name, ticket.remark, ticket.words, ticket.drawer))
    assert set(said.replace(" ", "")) <= set(letters.values())
    assert len(top.CharStrings) == len(letters) + 1
    listed = descendant["/W"]
    widths = {int(first): int(width[0]) for first, width in zip(listed[::2], listed[1::2], strict=True)}
    for number, letter in letters.items():
        charstring = top.CharStrings[f"cid{number:05}"]
        pen = RecordingPen()
        charstring.draw(pen)
        styles = [glyph_of(letter), *([glyph_of(letter, True)] if letter.isascii() else [])]
        assert pen.value in [_drawn(glyph.code).value for glyph in styles], letter
        assert charstring.width == widths.get(number, 1000), letter


def test_the_words_of_the_form_have_the_glyphs_that_fonttools_finds() -> None:
    """Its table of characters is of the other format."""
    ours = Sfnt(FORM)
    with TTFont(FORM) as theirs:
        numbers = {code: theirs.getGlyphID(name) for code, name in theirs.getBestCmap().items()}
        assert numbers == {code: ours.number(chr(code)) for code in ours.codes()}
        widths = theirs["hmtx"]
        assert all(ours.width(theirs.getGlyphID(name)) == widths[name][0] for name in theirs.getGlyphOrder())
