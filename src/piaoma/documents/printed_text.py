"""What the text of a page says of its invoice, read by labels as real invoices print them (einvoice.md §7 [C]).

Producers differ in spaces, in the width of signs and in what stands in one text run, so rows are read, not runs. What
is not found is left out: nothing is guessed from a figure without its label, but for a number that stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from .facts import Facts, bare

ROW_CHARACTERS_MAX = 1_000  # of a row that are looked at

_NUMBER = re.compile(r"发\s*票\s*号\s*码\s*[:：]?\s*(\d{20}|\d{8})(?!\d)")
_ALONE = re.compile(r"(?<![\d.])\d{20}(?![\d.])")
_CODE = re.compile(r"发\s*票\s*代\s*码\s*[:：]?\s*(\d{10}|\d{12})(?!\d)")
_DATE = re.compile(r"开\s*票\s*日\s*期\s*[:：]?\s*(\d{4})\s*[年-]\s*(\d{1,2})\s*[月-]\s*(\d{1,2})")
_TOTAL = re.compile(r"[（(]\s*小\s*写\s*[）)]\s*[:：]?\s*[¥￥]?\s*(-?[\d,]{1,20}\.\d{2})(?!\d)")
_WORDS = re.compile(
    r"(?:[（(]负数[）)]|负)?[零〇壹贰貳叁肆伍陆陸柒捌玖拾佰仟万萬亿億]{1,30}[圆圓元][零壹贰叁肆伍陆柒捌玖角分整正]{0,8}"
)
_SUMS = re.compile(r"(?<!税)合\s*计\s*[¥￥]?\s*(-?[\d,]{1,20}\.\d{2})(?:\s*[¥￥]?\s*(-?[\d,]{1,20}\.\d{2}))?(?![\d.])")
_NAME = re.compile(r"名\s*称\s*[:：]\s*(\S.{0,120}?)\s*(?=(?:[购销买售方信息]\s*)?名\s*称\s*[:：]|$)")
_ID = re.compile(r"(?:纳税人识别号|信用代码)\s*[:：]\s*([0-9A-Z*]{15,20})(?![0-9A-Z])")
_CHECK = re.compile(r"校\s*验\s*码\s*[:：]?\s*(\d{5}\s*\d{5}\s*\d{5}\s*\d{5})")


class Row(msgspec.Struct, frozen=True):
    """A row of a page: what stands left of its middle, where the buyer is, and right of it, where the seller is."""

    left: str
    right: str = ""

    @property
    def text(self) -> str:
        return f"{self.left} {self.right}".strip()


def printed_facts(rows: Sequence[Row]) -> Facts:
    """What the rows of all pages say, from the top."""
    rows = [Row(row.left[:ROW_CHARACTERS_MAX], row.right[:ROW_CHARACTERS_MAX]) for row in rows]
    buyer_name, seller_name = _sides(_NAME, rows)
    buyer_id, seller_id = _sides(_ID, rows)
    total, sums = _first(_TOTAL, rows), _first(_SUMS, rows)
    words, numbers = next(_words(rows), ""), numbers_in(rows)
    code, check = _first(_CODE, rows), _first(_CHECK, rows)
    return Facts(
        number=numbers[0] if numbers else "",
        issued_on=_date(rows),
        total=_money(total[1]) if total else None,
        amount=_money(sums[1]) if sums else None,
        tax=_money(sums[2]) if sums and sums[2] else None,
        words=words,
        buyer_name=buyer_name,
        buyer_id=buyer_id,
        seller_name=seller_name,
        seller_id=seller_id,
        code=code[1] if code else "",
        check=bare(check[1]) if check else "",
    )


def numbers_in(rows: Iterable[Row]) -> list[str]:
    """The numbers of invoices, each once: those with their label, or else those of twenty digits that stand alone."""
    texts = [row.text for row in rows]
    for pattern, group in ((_NUMBER, 1), (_ALONE, 0)):
        found = [match[group] for text in texts for match in pattern.finditer(text)]
        if found:
            return list(dict.fromkeys(found))
    return []


def _first(pattern: re.Pattern[str], rows: Iterable[Row]) -> re.Match[str] | None:
    return next((match for row in rows if (match := pattern.search(row.text))), None)


def _sides(pattern: re.Pattern[str], rows: Iterable[Row]) -> tuple[str, str]:
    """(buyer's, seller's): by the side of the page, or by order where a row was not told apart."""
    buyer = seller = ""
    for row in rows:
        left, right = pattern.findall(row.left), pattern.findall(row.right)
        buyer = buyer or (left[0].strip() if left else "")
        seller = seller or (right[0].strip() if right else left[1].strip() if len(left) > 1 else "")
    return buyer, seller


def _words(rows: Iterable[Row]) -> Iterator[str]:
    return (match[0] for row in rows if "大写" in bare(row.text) and (match := _WORDS.search(bare(row.text))))


def _date(rows: Iterable[Row]) -> date | None:
    match = _first(_DATE, rows)
    try:
        return None if match is None else date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def _money(text: str) -> Decimal:
    return Decimal(text.replace(",", "") or "0")
