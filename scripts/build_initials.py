"""Write ``src/piaoma/invoice/data/initials.txt``: the first letter of the pinyin of every Chinese character.

    python scripts/build_initials.py

Needs pypinyin (a development dependency). The first line has a letter for each code point from U+4E00 on, ``.`` where
none is known. Each further line is a character that names, goods and places use with several sounds, and its letters.
"""

from __future__ import annotations

from pathlib import Path

from pypinyin import Style, pinyin

TARGET = Path(__file__).parents[1] / "src" / "piaoma" / "invoice" / "data" / "initials.txt"
FIRST, LAST = 0x4E00, 0x9FFF
# Read by eye: only sounds that are common in names of firms, places, people and goods.
SEVERAL = (
    "行hx 长cz 重cz 乐ly 厦xs 朝cz 会hk 曾zc 单ds 解jx 藏cz 传cz 调td 降jx 率ls 校xj 石sd 查cz 盛sc 车cj 还hh 佛fb 卡kq 系xj "
    "参cs 翟zd 覃qt 奇qj 给gj 便bp 弹td 折zs 省sx 载z 粘nz 咖kg 茄qj 区qo 仇cq 朴pp 尉wy 种zc 召zs 蕃fp 番fp 堡bp 泊bp 柏bp "
    "宿sx 核hh 隆ln 万wm 宁nn 辟bp 识sz 扁bp 埔bp 圩wx 歙sx 蔚wy 泌mb 莘xs 亳b 郯t 驮dt 膀bp 炮pb 缩sx"
)


def letter(character: str) -> str:
    sound = pinyin(character, style=Style.NORMAL, errors=lambda _: ["."])[0][0]
    first = sound[:1].lower()
    return {"ü": "y", "ê": "e", "ḿ": "m", "ń": "n", "ň": "n", "ǹ": "n"}.get(first, first if first.isascii() else ".")


def main() -> None:
    """Write the file and say how large it is."""
    letters = "".join(letter(chr(point)) for point in range(FIRST, LAST + 1))
    several = [pair[0] + "".join(dict.fromkeys(pair[1:])) for pair in SEVERAL.split() if len(set(pair[1:])) > 1]
    TARGET.write_text("\n".join([letters, *several]) + "\n", encoding="utf-8")
    print(f"{TARGET}: {TARGET.stat().st_size} bytes, {letters.count('.')} unknown")


if __name__ == "__main__":
    main()
