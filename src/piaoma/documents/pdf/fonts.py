"""The two fonts of an invoice: the words of its form, and what it says.

The words never change: their font goes in whole, compressed once in a process. What an invoice says is drawn in a font
of its own (``Subset``), put together from the glyphs of several files: Chinese ones, European letters, digits of one
width for the ids. A reader is given one font, and never looks for a character in another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec

from piaoma.documents.faces import EUROPEAN, EUROPEAN_RANGES, FORM, MONO, font_files
from piaoma.invoice import printable
from piaoma.invoice.refusal import refuse

from .charstrings import SQUARE
from .cid_font import BOX, cid_font
from .objects import stream
from .outlines import Face, Glyph
from .sfnt import Sfnt

OBJECTS = 5  # of a font in a file: itself, its descendant, its descriptor, its characters, its outlines
_CHARACTERS_TOGETHER = 100  # of a table of characters, by its definition
_PRIVATE_FIRST, _MONO_FIRST, _PRIVATE_LAST = 0xE000, 0xF800, 0xF8FF  # Unicode's area for private use
_NO_CODE = re.compile("[\ue000-\uf8ff\U00010000-\U0010ffff]")
_MONO = {code: _MONO_FIRST + code for code in range(0x21, 0x7F)}
_TRUETYPE, _CFF = "/Subtype/CIDFontType2/CIDToGIDMap/Identity", "/Subtype/CIDFontType0"
_MAP_HEAD = (
    "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
    "/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def\n/CMapName/Adobe-Identity-UCS def\n"
    "/CMapType 2 def\n1 begincodespacerange\n<0000><FFFF>\nendcodespacerange\n"
)
_MAP_END = "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend"


class FormFont:
    """The Kai face of the form's words. A code is the number of a glyph."""

    def __init__(self) -> None:
        self._file = Sfnt(FORM)
        self._objects: dict[int, list[bytes]] = {}

    def set(self, text: str) -> tuple[str, float]:
        """A text as codes, in hexadecimal digits, and its width in em."""
        numbers = [self._file.number(letter) for letter in text]
        if 0 in numbers:
            raise ValueError(f"the font of the form lacks a character of {text}")
        return "".join(f"{number:04X}" for number in numbers), sum(map(self._file.width, numbers)) / 1000

    def objects(self, first: int) -> list[bytes]:
        """Its objects, the first of which has that number."""
        if first not in self._objects:
            letters = {self._file.number(chr(code)): chr(code) for code in self._file.codes()}
            widths = "".join([f" {number}[{self._file.width(number)}]" for number in sorted(letters)])
            characters = [_row(number, letters[number]) for number in sorted(letters)]
            outlines = stream(f"/Length1 {len(self._file.data)}", self._file.data[:])
            self._objects[first] = _font_objects(first, "PIAOMA+PiaomaForm", _TRUETYPE, widths, characters, outlines)
        return self._objects[first]


@cache
def form_font() -> FormFont:
    """One for a process."""
    return FormFont()


class Subset:
    """What an invoice says, as a font with just those characters.

    A code is the character itself in UTF-16, so that every file has the same ones. Characters that do not fit two bytes
    and those of one width have codes in the private area (``_stand_ins``), which no invoice says.
    """

    def __init__(self) -> None:
        self._coded: set[str] = set()

    def set(self, text: str, *, mono: bool = False) -> str:
        """A text as codes, in hexadecimal digits. ``mono`` has digits and Latin letters of one width.

        Raises ``Refused`` DOCUMENT-GLYPH-MISSING, if not now, then when the objects are made.
        """
        if _NO_CODE.search(text):
            text = _with_stand_ins(text)
        if mono:
            text = text.translate(_MONO)
        self._coded.update(text)
        return utf16(text)

    def objects(self, first: int, tag: str) -> list[bytes]:
        """Its objects, the first of which has that number. ``tag`` of six letters tells it from other subsets."""
        drawn = [_drawn(one) for one in sorted(self._coded)]
        outlines = stream("/Subtype/CIDFontType0C", cid_font("PiaomaText", [(one.code, one.glyph) for one in drawn]))
        widths = "".join([one.width for one in drawn])
        characters = [one.character for one in drawn]
        return _font_objects(first, f"{tag}+PiaomaText", _CFF, widths, characters, outlines)


class Drawn(msgspec.Struct, frozen=True):
    """A character as a ``Subset`` has it, with its rows of two tables: widths other than a square, and characters."""

    code: int
    glyph: Glyph
    width: str
    character: str


@cache
def _drawn(coded: str) -> Drawn:
    code = ord(coded)
    if code >= _MONO_FIRST and code <= _PRIVATE_LAST:
        letter, glyph = chr(code - _MONO_FIRST), glyph_of(chr(code - _MONO_FIRST), True)
    else:
        letter = _rare()[code - _PRIVATE_FIRST] if _PRIVATE_FIRST <= code <= _PRIVATE_LAST else coded
        glyph = glyph_of(letter)
    width = "" if glyph.width == SQUARE else f" {code}[{glyph.width}]"
    return Drawn(code, glyph, width, _row(code, letter))


@cache
def _rare() -> list[str]:
    """The printable characters that do not fit two bytes; the place of each in the private area is its code."""
    rare = sorted(letter for letter in printable.letters() if letter > "\uffff")
    assert _PRIVATE_FIRST + len(rare) <= _MONO_FIRST
    return rare


@cache
def _stand_ins() -> dict[int, int]:
    return {ord(letter): code for code, letter in enumerate(_rare(), _PRIVATE_FIRST)}


def _with_stand_ins(text: str) -> str:
    missing = [letter for letter in _NO_CODE.findall(text) if ord(letter) not in _stand_ins()]
    if missing:
        raise refuse("DOCUMENT-GLYPH-MISSING", have=missing[0])
    return text.translate(_stand_ins())


@cache  # of 45,000 printable characters at most, some hundred bytes each
def glyph_of(letter: str, mono: bool = False) -> Glyph:
    """A character from the first face that has it. Raises ``Refused`` DOCUMENT-GLYPH-MISSING."""
    face, number = found(letter, mono)
    return face.glyph(number)


def found(letter: str, mono: bool = False) -> tuple[Face, int]:
    """The first face that has a character, and the number of its glyph. Raises ``Refused`` DOCUMENT-GLYPH-MISSING."""
    for face in _faces(letter, mono):
        number = face.number(letter)
        if number:
            return face, number
    raise refuse("DOCUMENT-GLYPH-MISSING", have=letter)


def width_of(text: str) -> float:
    """Of a text as a ``Subset`` sets it, in em."""
    return sum([glyph_of(letter).width for letter in text]) / 1000


def _faces(letter: str, mono: bool) -> Iterable[Face]:
    if mono and letter.isascii():
        yield _face(*MONO)
    if any(first <= ord(letter) <= last for first, last in EUROPEAN_RANGES):
        yield _face(str(EUROPEAN), 0)
    for path, face in font_files():
        yield _face(path, face)
    yield _face(str(EUROPEAN), 0)


@cache
def _face(path: str, face: int) -> Face:
    return Face(Path(path), face)


def _font_objects(
    first: int, name: str, kind: str, widths: str, characters: list[str], outlines: bytes
) -> list[bytes]:  # fmt: skip
    """A font of two-byte codes that are the numbers of its glyphs, or their CIDs."""
    box = " ".join(map(str, BOX))
    return [
        f"<</Type/Font/Subtype/Type0/BaseFont/{name}/Encoding/Identity-H/DescendantFonts[{first + 1} 0 R]"
        f"/ToUnicode {first + 3} 0 R>>".encode(),
        f"<</Type/Font{kind}/BaseFont/{name}/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
        f"/FontDescriptor {first + 2} 0 R/W[{widths}]>>".encode(),
        f"<</Type/FontDescriptor/FontName/{name}/Flags 4/FontBBox[{box}]/ItalicAngle 0/Ascent 880/Descent -120"
        f"/CapHeight 730/StemV 80/FontFile{2 if kind == _TRUETYPE else 3} {first + 4} 0 R>>".encode(),
        stream("", _unicode_map(characters)),
        outlines,
    ]


def utf16(text: str) -> str:
    """A text in UTF-16, in hexadecimal digits."""
    return text.encode("utf-16-be").hex()


def _row(code: int, letter: str) -> str:
    """Of the table of characters."""
    return f"<{code:04x}><{utf16(letter)}>\n"


def _unicode_map(characters: list[str]) -> bytes:
    """Which character each code is, for readers that extract text (ISO 32000-1 §9.10.3)."""
    starts = range(0, len(characters), _CHARACTERS_TOGETHER)
    parts = [characters[start : start + _CHARACTERS_TOGETHER] for start in starts]
    table = "".join([f"{len(part)} beginbfchar\n{''.join(part)}endbfchar\n" for part in parts])
    return f"{_MAP_HEAD}{table}{_MAP_END}".encode()
