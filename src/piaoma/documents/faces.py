"""The font files of the views, in the order in which they are asked for a character."""

from __future__ import annotations

from pathlib import Path

import noto_cjk_sans_otc
import pylopdf_fonts_zh_cn

FONTS = Path(__file__).parent / "fonts"
FORM = FONTS / "form.ttf"  # the words of the form in a Kai face: scripts/build_form_font.py
EUROPEAN = FONTS / "european.otf"  # scripts/build_european_font.py
# Letters of European names come from that font first: the Chinese ones have a few of them, in another style.
EUROPEAN_RANGES = ((0x0100, 0x024F), (0x0370, 0x052F), (0x1E00, 0x1FFF))
MONO = (str(noto_cjk_sans_otc.FONT_PATH), 7)  # the collection's Noto Sans Mono CJK SC


def font_files() -> list[tuple[str, int]]:
    """Chinese font files and faces in the order in which a view asks them for a character."""
    return [
        (str(pylopdf_fonts_zh_cn.serif_path()), 0),
        (str(pylopdf_fonts_zh_cn.sans_path()), 0),
        (str(noto_cjk_sans_otc.FONT_PATH), 2),  # the collection's Noto Sans CJK SC: rare and Korean characters
    ]
