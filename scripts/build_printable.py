"""Build ``src/piaoma/invoice/data/printable.txt``: every character that the fonts of the PDF can draw, and how wide.

    python scripts/build_printable.py

Read are the character maps of the very font files that PDF and PNG are drawn with. For the typesetter's own built-in
font, of which ``documents/fonts/european.otf`` is a subset, the typesetter is asked. Needs fonttools, which only
developers install.
"""

from __future__ import annotations

import json
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import typst
from fontTools.ttLib import TTCollection, TTFont

from piaoma.documents.faces import font_files
from piaoma.documents.picture import BUILT_IN_FONT

TARGET = Path(__file__).parents[1] / "src" / "piaoma" / "invoice" / "data" / "printable.txt"
HEAD = """\
# What the fonts can draw: made by scripts/build_printable.py, not by hand. tests/invoice/test_text.py compares.
# A width in thousandths of an em, then the characters that have it: hexadecimal, ranges with both ends included.
"""
WIDTH_MAX = 1500  # the dashes of two and three em would stand out of every column

# What a font may have a glyph for, and no invoice prints: marks that pile up, emoji (these blocks, and two balls).
LEFT_OUT = re.compile("[\U0001f000-\U0001faff\U000e0000-\U000effff\ue000-\uf8ff⚽⚾]")
# Letters that look like nothing: Hangul fillers, the blank of Braille, the blank half of a Chinese character.
BLANK = set("\u115f\u1160\u3164\uffa0\u2800\u00ad\u303e\U0001d159")
SPACES = set(" \u00a0\u2002\u2003\u3000")

# What the built-in font draws, as invoice.typ has it: all letters of European names, and a few signs the others lack.
LETTERS = ((0x0100, 0x024F), (0x0370, 0x052F), (0x1E00, 0x1FFF))
SIGNS = ((0x00A0, 0x00FF), (0x2010, 0x205E), (0x2070, 0x218F))


def table() -> str:
    """The whole file."""
    widths: dict[int, int] = {}
    for path, face in font_files():
        for code, width in _widths(path, face):
            widths.setdefault(code, width)
    letters = [code for first, last in LETTERS for code in range(first, last + 1)]
    signs = [code for first, last in SIGNS for code in range(first, last + 1) if code not in widths]
    # One that stands for another, as the sign of kelvin does for K, would be drawn as that, and wider.
    own = [code for code in letters + signs if _is_text(chr(code)) and _is_itself(chr(code))]
    drawn = list(_drawn_by_built_in(own))
    widths.update(zip(drawn, _measured(drawn), strict=True))
    kept = {code: width for code, width in widths.items() if _is_text(chr(code)) and width <= WIDTH_MAX}
    return HEAD + "".join(_lines(kept))


def _widths(path: str, face: int) -> Iterator[tuple[int, int]]:
    font = TTCollection(path).fonts[face] if path.endswith(".ttc") else TTFont(path)
    advances, em = font["hmtx"], font["head"].unitsPerEm
    for code, glyph in font.getBestCmap().items():
        yield code, -(-advances[glyph][0] * 1000 // em)


def _is_text(letter: str) -> bool:
    category = unicodedata.category(letter)
    if letter in BLANK or LEFT_OUT.match(letter):
        return False
    return letter in SPACES or category[0] in "LNPS"


def _is_itself(letter: str) -> bool:
    return unicodedata.normalize("NFC", letter) == letter


def _compile(letters: Iterable[int], body: str, *, query: str = "") -> object:
    text = json.dumps("".join(map(chr, letters)), ensure_ascii=False)
    source = (
        f'#set text(font: "{BUILT_IN_FONT}", fallback: false, size: 1000pt, kerning: false)\n#let t = {text}\n{body}'
    )
    with tempfile.NamedTemporaryFile("w", suffix=".typ") as file:
        file.write(source)
        file.flush()
        compiler = typst.Compiler(input=file.name, ignore_system_fonts=True)
        if query:
            return json.loads(compiler.query(query, field="value", one=True))
        try:
            compiler.compile(format="pdf", pdf_standards=["a-3b"])
        except typst.TypstError:
            return False
        return True


def _drawn_by_built_in(letters: list[int]) -> Iterator[int]:
    """Halve until a part is drawn whole or is one character that cannot be drawn."""
    if not letters:
        return
    if _compile(letters, "#text(t)"):
        yield from letters
    elif len(letters) > 1:
        middle = len(letters) // 2
        yield from _drawn_by_built_in(letters[:middle])
        yield from _drawn_by_built_in(letters[middle:])


def _measured(letters: list[int]) -> list[int]:
    body = "#context [#metadata(t.codepoints().map(c => measure(text(c)).width / 1pt)) <widths>]"
    found = _compile(letters, body, query="<widths>")
    assert isinstance(found, list)
    return [-(-int(width * 100) // 100) for width in found]


def _lines(widths: dict[int, int]) -> Iterator[str]:
    for width in sorted(set(widths.values())):
        line = str(width)
        for first, last in _ranges(sorted(code for code, one in widths.items() if one == width)):
            item = f" {first:x}" if first == last else f" {first:x}-{last:x}"
            if len(line) + len(item) > 119:
                yield line + "\n"
                line = str(width)
            line += item
        yield line + "\n"


def _ranges(codes: Iterable[int]) -> Iterator[tuple[int, int]]:
    begun = last = -2
    for code in codes:
        if code != last + 1:
            if begun >= 0:
                yield begun, last
            begun = code
        last = code
    yield begun, last


if __name__ == "__main__":
    TARGET.write_text(table(), encoding="ascii")
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")
