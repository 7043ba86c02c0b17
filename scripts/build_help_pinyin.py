"""Write ``src/piaoma/web/guides/pinyin.txt``: the sound of every character by which help can be found.

Needs pypinyin, which a production install does not have. Run it after a guide or a cause got new words; a test compares.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from piaoma.invoice.refusal import causes
from piaoma.web.help.guides import guides

FILE = Path(__file__).parents[1] / "src" / "piaoma" / "web" / "guides" / "pinyin.txt"


def table() -> str:
    """One line for each sound: ``zhong 中种重``."""
    from pypinyin import Style, lazy_pinyin

    texts = [f"{one.title} {one.find}" for one in guides("zh").values()] + [one.zh for one in causes().values()]
    sounds: dict[str, str] = {}
    for word in re.findall(r"[\u4e00-\u9fff]+", " ".join(texts)):
        for character, sound in zip(word, lazy_pinyin(word, style=Style.NORMAL, v_to_u=False), strict=True):
            sounds.setdefault(character, sound)
    rows = defaultdict(list)
    for character, sound in sounds.items():
        rows[sound].append(character)
    return "".join(f"{sound} {''.join(sorted(rows[sound]))}\n" for sound in sorted(rows))


if __name__ == "__main__":
    FILE.write_text(table(), encoding="utf-8")
