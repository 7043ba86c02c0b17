"""From the rows of the official sheet to entries, and from an older table to a newer one.

Real files vary: the header stands in one of the first rows, columns are named and ordered differently, rates are
written as ``13%``, ``0.13`` or ``9%;13%``, codes come as text, as numbers or in ten columns. All of that is read; what
cannot be read is refused with its row, all rows at once. docs/classification.md lists the forms.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation

import msgspec

from .classification import CODE_DIGITS, Entry, closed, codes_with_more_below
from .refusal import Refusal, Refused, refuse, refuse_all

ROWS_MAX = 20_000  # rows with something in them; the official table has about 4,300
HEADER_ROWS_MAX = 10
NAME_CHARS_MAX = 300
SHORT_NAME_CHARS_MAX = 120
KEYWORDS_MAX = 40
KEYWORD_CHARS_MAX = 20
SOURCE = "own"

LEVELS = ("篇", "类", "章", "节", "条", "款", "项", "目", "子目", "细目")
TITLES = {
    "code": (
        "合并编码", "商品和服务税收分类合并编码", "商品和服务税收分类编码", "税收分类编码", "分类编码", "商品编码",
        "编码",
    ),
    "name": (
        "货物和劳务名称", "商品和服务名称", "商品名称", "分类名称", "货物或应税劳务名称", "货物和服务名称", "名称",
        "旧名称",
    ),
    "short_name": ("商品和服务分类简称", "商品和服务税收分类简称", "税收分类简称", "商品分类简称", "分类简称", "简称"),
    "rates": ("增值税税率", "税率"),
    "keywords": ("关键字", "关键词"),
    "summary": ("是否汇总项", "是否为汇总项", "汇总项"),
    "usable": ("可用状态", "有效标志", "状态"),
}  # fmt: skip

# What rates of an older edition became: 2018-05-01 (财税〔2018〕32号) and 2019-04-01 (公告2019年第39号).
CUTS = (
    (date(2018, 5, 1), {Decimal(17): Decimal(16), Decimal(11): Decimal(10)}),
    (date(2019, 4, 1), {Decimal(16): Decimal(13), Decimal(10): Decimal(9)}),
)
GENERAL = tuple(map(Decimal, (17, 16, 13, 11, 10, 9, 6, 0)))
OTHERS = tuple(map(Decimal, ("5", "4", "3", "2", "1.5", "1")))  # levy rates, which some files list too
WITHOUT_RATE = ("", "-", "—", "/", "无", "免税", "不征税")


class Sheet(msgspec.Struct, frozen=True):
    """What a sheet says. ``stated_rates`` is false when it has no column of rates at all."""

    entries: tuple[Entry, ...]
    stated_rates: bool
    unusable: int  # rows that the file marks as out of use, or that have no short name to print


class Renewal(msgspec.Struct, frozen=True):
    """A renewed table and what was done to it, counted in codes."""

    entries: tuple[Entry, ...]
    added: int
    changed: int
    closed: int
    unchanged: int
    missing: int  # in force before, not in the sheet, and left as they are


def read_sheet(
    rows: Iterable[Sequence[object]], valid_from: date, initials: Callable[[str], str] | None = None
) -> Sheet:
    """The entries of a sheet, in force from a day on. Raises ``Refused`` with every row that is wrong."""
    held = list(_bounded(rows))
    header, columns, levels = _header(held)
    refusals: list[Refusal] = []
    first_row: dict[str, int] = {}
    found: list[tuple[Entry, str]] = []
    unusable = 0
    for number, row in enumerate(held[header + 1 :], header + 2):
        cells = {title: _text(row[place]) if place < len(row) else "" for title, place in columns.items()}
        written = row[columns["code"]] if "code" in columns and columns["code"] < len(row) else ""
        parts = [row[place] if place < len(row) else "" for place in levels]
        if not cells["name"] and (not _text(written) or _text(parts[0] if parts else "") == LEVELS[0]):
            continue  # an empty row, or the second line of the header
        if not cells["short_name"] or cells.get("usable", "").upper() in ("N", "0", "否", "停用", "不可用"):
            unusable += 1  # published tables hold abolished codes without a short name
            continue
        faults, entry = _entry(written, parts, cells, valid_from, initials)
        place = f"row {number}"
        refusals += [Refusal(cause, place, {"row": str(number), "have": have[:60]}) for cause, have in faults]
        if entry is None:
            continue
        if entry.code in first_row:
            values = {"row": str(number), "code": entry.code, "first": str(first_row[entry.code])}
            refusals.append(Refusal("CLASSIFICATION-ROW-TWICE", place, values))
            continue
        first_row[entry.code] = number
        found.append((entry, cells.get("summary", "").upper()))
    refuse_all(refusals)
    if not found:
        raise refuse("CLASSIFICATION-EMPTY")
    above = codes_with_more_below(first_row)
    entries = tuple(
        msgspec.structs.replace(entry, leaf=_is_leaf(entry.code, summary, above)) for entry, summary in found
    )
    return Sheet(entries, "rates" in columns, unusable)


def _bounded(rows: Iterable[Sequence[object]]) -> Iterable[Sequence[object]]:
    filled = 0
    for row in rows:
        filled += any(cell != "" and cell is not None for cell in row)
        if filled > ROWS_MAX:
            raise refuse("CLASSIFICATION-LARGE", have=f"> {ROWS_MAX} rows", max=f"{ROWS_MAX} rows")
        yield row


def _header(rows: list[Sequence[object]]) -> tuple[int, dict[str, int], list[int]]:
    """Which row is the header, where each column is, and where the ten levels are (empty unless all are there)."""
    for number, row in enumerate(rows[:HEADER_ROWS_MAX]):
        titles = [re.sub(r"[\s　]|[（(].*", "", _text(cell)) for cell in row]
        columns = {}
        for wanted, names in TITLES.items():
            place = next((titles.index(name) for name in names if name in titles), None)
            if place is not None:
                columns[wanted] = place
        below = [_text(cell) for cell in rows[number + 1]] if number + 1 < len(rows) else []
        levels = next(
            ([line.index(level) for level in LEVELS] for line in (titles, below) if set(LEVELS) <= set(line)), []
        )
        if levels and columns.get("code") == levels[0]:
            del columns["code"]  # 编码 over the ten columns is their common title, not a column
        if "name" in columns and "short_name" in columns and ("code" in columns or levels):
            return number, columns, levels
    raise refuse("CLASSIFICATION-HEADER", max=HEADER_ROWS_MAX)


def _entry(
    written: object,
    parts: list[object],
    cells: dict[str, str],
    valid_from: date,
    initials: Callable[[str], str] | None,
) -> tuple[list[tuple[str, str]], Entry | None]:
    faults: list[tuple[str, str]] = []
    code = _code(written, parts)
    if code is None:
        faults.append(("CLASSIFICATION-ROW-CODE", _text(written) or "".join(map(_text, parts))))
    name, short_name = cells["name"], cells["short_name"]
    if not _is_name(name, NAME_CHARS_MAX):
        faults.append(("CLASSIFICATION-ROW-NAME", name))
    if not _is_name(short_name, SHORT_NAME_CHARS_MAX):
        faults.append(("CLASSIFICATION-ROW-SHORT", short_name))
    rates = _rates(cells.get("rates", ""), valid_from)
    if rates is None:
        faults.append(("CLASSIFICATION-ROW-RATE", cells.get("rates", "")))
    if faults or code is None or rates is None:
        return faults, None
    words = [word for word in re.split(r"[\s、，,;；。]+", cells.get("keywords", "")) if word]
    return [], Entry(
        code=code,
        name=name,
        short_name=short_name,
        rates=rates,
        keywords=tuple(dict.fromkeys(word for word in words if len(word) <= KEYWORD_CHARS_MAX))[:KEYWORDS_MAX],
        initials=initials(name) if initials else "",
        valid_from=valid_from,
        source=SOURCE,
    )


def _text(cell: object) -> str:
    """A cell as text. A whole number has no ``.0``, and a long one no exponent."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "Y" if cell else "N"
    if isinstance(cell, float):
        exact = Decimal(repr(cell))
        return f"{exact.to_integral_value():f}" if exact == exact.to_integral_value() else f"{exact:f}"
    return unicodedata.normalize("NFC", str(cell)).strip().strip("　﻿")


def _code(written: object, parts: list[object]) -> str | None:
    """The 19 digits of a code that is written whole, in its short form, or in ten columns; None when it is none."""
    text = _text(written).removeprefix("'")
    levels = [_text(part) for part in parts]
    if not text and levels and all(re.fullmatch(r"\d{1,2}", level) for level in levels):
        text = levels[0] + "".join(level.zfill(2) for level in levels[1:])
    if not re.fullmatch(r"[1-9](\d\d){0,9}", text, re.ASCII):
        return None
    return text.ljust(CODE_DIGITS, "0")


def _is_name(text: str, chars_max: int) -> bool:
    return 0 < len(text) <= chars_max and text.isprintable()


def _rates(text: str, valid_from: date) -> tuple[Decimal, ...] | None:
    """The general rates of a cell, highest first, as they are on a day; None when it cannot be read."""
    rates = []
    for part in re.split(r"[、，,;；/\s]+", text.replace("％", "%")):
        if part in WITHOUT_RATE:
            continue
        try:
            number = Decimal(part.removesuffix("%"))
            percent = number if part.endswith("%") or number >= 1 else number * 100
        except InvalidOperation:
            return None
        if not percent.is_finite() or percent not in GENERAL + OTHERS:
            return None
        for day, cut in CUTS:
            percent = cut.get(percent, percent) if valid_from >= day else percent
        if percent in GENERAL:
            rates.append(percent / 100)
    return tuple(sorted(set(rates), reverse=True))


def _is_leaf(code: str, summary: str, above: set[str]) -> bool:
    """As the file says, and otherwise by whether another code lies below."""
    if summary in ("Y", "1", "是"):
        return False
    return summary in ("N", "0", "否") or code not in above


def renew(known: Iterable[Entry], sheet: Sheet, valid_from: date, *, close_missing: bool = False) -> Renewal:
    """The known table with a sheet over it: new codes are added, changed ones get a version, nothing is forgotten.

    Rates that a sheet does not state stay as they are. Raises ``Refused`` when a version begins later than the sheet.
    """
    versions: dict[str, list[Entry]] = {}
    for entry in known:
        versions.setdefault(entry.code, []).append(entry)
    added = changed = shut = unchanged = 0
    for fresh in sheet.entries:
        rows = versions.setdefault(fresh.code, [])
        _refuse_later(rows, fresh.code, valid_from)
        now = next((row for row in rows if row.in_force(valid_from)), None)
        if now is None:
            rows.append(fresh)
            added += 1
            continue
        renewed = msgspec.structs.replace(
            fresh,
            rates=fresh.rates or now.rates,
            keywords=now.keywords + tuple(word for word in fresh.keywords if word not in now.keywords),
            initials=fresh.initials if fresh.name != now.name else now.initials or fresh.initials,
        )
        if _says(renewed) == _says(now):
            unchanged += 1
            continue
        changed += 1
        shut += _close(rows, now, valid_from)
        rows.append(renewed)
    missing = 0
    for code in sorted(versions.keys() - {fresh.code for fresh in sheet.entries}):
        now = next((row for row in versions[code] if row.in_force(valid_from)), None)
        if now is None:
            continue
        missing += not close_missing
        if close_missing:
            _refuse_later(versions[code], code, valid_from)
            _close(versions[code], now, valid_from)
            shut += 1
    entries = tuple(entry for rows in versions.values() for entry in rows)
    return Renewal(entries, added, changed, shut, unchanged, missing)


def _says(entry: Entry) -> tuple[object, ...]:
    return entry.name, entry.short_name, frozenset(entry.rates), entry.leaf


def _close(rows: list[Entry], now: Entry, new_from: date) -> int:
    """End a version the day before; one that began on the same day is replaced and leaves no trace. 1 when ended."""
    rows.remove(now)
    if now.valid_from >= new_from:
        return 0
    rows.append(closed(now, new_from))
    return 1


def _refuse_later(rows: list[Entry], code: str, valid_from: date) -> None:
    later = [row.valid_from for row in rows if row.valid_from > valid_from]
    if later:
        have, day = min(later).isoformat(), valid_from.isoformat()
        raise Refused(Refusal("CLASSIFICATION-DATE", "", {"code": code, "have": have, "day": day}))


def initials_of(name: str) -> str:
    """Pinyin initials of a name, lower case. Needs pypinyin, which a production install does not have."""
    from pypinyin import Style, lazy_pinyin

    syllables = lazy_pinyin(name, style=Style.NORMAL, errors=list)  # type: ignore[arg-type]
    letters = (unicodedata.normalize("NFKC", syllable)[:1].lower() for syllable in syllables)
    return "".join(letter for letter in letters if letter.isascii() and letter.isalnum())
