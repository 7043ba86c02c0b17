"""The font files of the views, in the order in which they are asked for a character."""

from __future__ import annotations

import noto_cjk_sans_otc
import pylopdf_fonts_zh_cn


def font_files() -> list[tuple[str, int]]:
    """Files and faces in the order in which ``invoice.typ`` asks them for a character."""
    return [
        (str(pylopdf_fonts_zh_cn.serif_path()), 0),
        (str(pylopdf_fonts_zh_cn.sans_path()), 0),
        (str(noto_cjk_sans_otc.FONT_PATH), 2),  # the collection's Noto Sans CJK SC: rare and Korean characters
    ]
