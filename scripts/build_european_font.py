"""Make src/piaoma/documents/fonts/european.otf: letters of European names, and signs that the Chinese fonts lack.

Usage: python scripts/build_european_font.py [LibertinusSerif-Regular.otf]   (release 7.051; OFL-1.1)

Without a file, the font is taken out of the typesetter's library, which has this very release built in. Its licence
lets a derived font be given away under the same licence and another name: OFL.txt beside it. Which letters: the
printable ones that are European, and those that no Chinese font has.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import typst
from fontTools import subset
from fontTools.ttLib import TTFont

from piaoma.documents.faces import EUROPEAN, EUROPEAN_RANGES, font_files
from piaoma.invoice import printable

NAME = "Piaoma European"
RELEASE = "Version 7.051"


def main(given: str | None) -> None:
    """Subset, name and write it; the same bytes each time."""
    font = TTFont(given, recalcTimestamp=False) if given else _built_in()
    if not str(font["name"].getDebugName(5)).startswith(RELEASE):
        raise SystemExit(f"another release than {RELEASE}")
    copyrights = str(font["name"].getDebugName(0))
    options = subset.Options(layout_features=[], hinting=True, name_IDs=[], notdef_outline=True)
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "BASE", "MATH", "DSIG", "FFTM", "kern"]
    letters = _letters(set(font.getBestCmap()))
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=map(ord, letters))
    subsetter.subset(font)
    names = {0: copyrights, 1: NAME, 2: "Regular", 3: f"{NAME} 1.0", 4: NAME,
             5: "Version 1.0; from Libertinus Serif 7.051", 6: NAME.replace(" ", ""),
             13: "SIL Open Font License, Version 1.1", 14: "https://openfontlicense.org"}  # fmt: skip
    for identifier, text in names.items():
        font["name"].setName(text, identifier, 3, 1, 0x409)
    font["CFF "].cff.fontNames = [names[6]]
    top = font["CFF "].cff.topDictIndex[0]
    top.FullName, top.FamilyName = NAME, NAME
    font.save(EUROPEAN)
    print(f"{EUROPEAN}: {EUROPEAN.stat().st_size} bytes, {len(letters)} letters")


def _letters(has: set[int]) -> list[str]:
    """What is taken from a font that has these characters."""
    chinese = {code for path, face in font_files() for code in TTFont(path, fontNumber=face, lazy=True).getBestCmap()}
    printed = set(map(ord, printable.letters()))
    european = {code for first, last in EUROPEAN_RANGES for code in range(first, last + 1)}
    missing = printed - chinese - has
    if missing:
        raise SystemExit(f"the font lacks {''.join(map(chr, sorted(missing)))}")
    return [chr(code) for code in sorted(printed & has & (european | (printed - chinese)))]


def _built_in() -> TTFont:
    """The font out of the typesetter's library."""
    (library,) = Path(typst.__file__).parent.glob("*.so")
    data, at = library.read_bytes(), 0
    while (at := data.find(b"OTTO\0", at + 1)) >= 0:
        tables = int.from_bytes(data[at + 4 : at + 6], "big")
        records = [data[at + 12 + 16 * place :][:16] for place in range(tables)]
        ends = [int.from_bytes(one[8:12], "big") + int.from_bytes(one[12:16], "big") for one in records]
        if any(record[:4] == b"name" for record in records):  # else other bytes that begin like a font
            font = TTFont(io.BytesIO(data[at : at + max(ends)]), recalcTimestamp=False)
            if font["name"].getDebugName(4) == "Libertinus Serif Regular":
                return font
    raise SystemExit("the typesetter has no such font; name a file")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
