"""How ``piaoma verify`` tells: item by item for a few files, a line each for many, a sheet for accounting."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import xlsxwriter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from piaoma.documents.receiving import Result
from piaoma.documents.report import DECISIVE, ITEMS, Light, words
from piaoma.invoice.refusal import Language
from piaoma.trust import Verdict

DETAILS_MAX = 20  # files that are told item by item
PLAIN_WIDTH = 160  # columns where there is no terminal
CELL_CHARACTERS_MAX = 1_000

# A shape and a word, so that colour is never the only sign.
LIGHTS: Mapping[Light, tuple[str, str, str, str]] = {
    Light.OK: ("✓", "正常", "fine", "green"),
    Light.WARN: ("△", "注意", "look", "yellow"),
    Light.BAD: ("▲", "不符", "wrong", "red"),
    Light.UNKNOWN: ("◇", "未知", "unknown", "bright_black"),
}
VERDICTS: Mapping[Verdict, tuple[str, str, str, str]] = {
    Verdict.VALID: ("✓", "通过", "valid", "green"),
    Verdict.INVALID: ("▲", "不通过", "invalid", "red"),
    Verdict.UNKNOWN: ("◇", "此处无法判断", "unknown", "yellow"),
}


def console() -> Console:
    """A file or a pipe has no width; a number cut short is no number."""
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def _word(row: tuple[str, str, str, str], language: Language) -> str:
    return f"{row[0]} {row[1] if language == 'zh' else row[2]}"


def show_details(result: Result, language: Language) -> None:
    """A file as a table of its items. As plain text: what a file says must not be taken for an instruction."""
    verdict = VERDICTS[result.verdict]
    title = Text.assemble((_word(verdict, language), f"bold {verdict[3]}"), f"  {result.file}")
    facts = "  ".join(part for part in (result.number, result.total, result.facts.buyer_name) if part)
    table = Table(title=title, title_justify="left", caption=Text(facts), caption_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for item in result.items:
        light = LIGHTS[item.light]
        said = " ".join(part for part in (item.said, item.remedy, " ".join(item.causes)) if part)
        table.add_row(Text(_word(light, language), light[3]), Text(item.label), Text(said))
    for key, text in result.platform.items():
        table.add_row(Text("→"), Text(_field(key, language)), Text(text))
    console().print(table)


def show_row(result: Result, language: Language) -> None:
    """A file in a line."""
    verdict = VERDICTS[result.verdict]
    doubts = [item for item in result.items if item.light is Light.UNKNOWN and item.name in DECISIVE]
    told = [item for item in result.items if item.light is Light.BAD] or doubts
    told += [item for item in result.items if item.light is Light.WARN]
    why = "；".join(f"{item.label} {item.said}" for item in told)
    head = (_word(verdict, language), verdict[3])
    console().print(Text.assemble(head, f"  {result.file}  {result.number}  {result.total}  {why}"), soft_wrap=True)


def show_summary(counts: Mapping[Verdict, int], language: Language) -> None:
    """How many of each verdict."""
    told = [f"{_word(VERDICTS[verdict], language)} {count}" for verdict, count in counts.items() if count]
    print(" · ".join(told))


FIELDS = {
    "code": ("发票代码", "Code"),
    "number": ("发票号码", "Number"),
    "date": ("开票日期", "Date"),
    "total": ("价税合计", "Total"),
    "amount": ("不含税金额", "Amount without tax"),
    "check": ("校验码后六位", "Last six of the check code"),
}


def _field(key: str, language: Language) -> str:
    where = "查验平台 " if language == "zh" else "platform: "
    return where + FIELDS[key][0 if language == "zh" else 1]


class Sheet:
    """An xlsx with a row for each file, written row by row in little memory; closed at the end of a ``with``.

    Every text is written as a text: one that begins with ``=`` is no formula, one that looks like an address no link.
    """

    def __init__(self, path: Path, language: Language) -> None:
        self._language: Language = language
        safe = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
        self._book = xlsxwriter.Workbook(str(path), {"constant_memory": True, **safe})
        self._sheet = self._book.add_worksheet("查验" if language == "zh" else "verify")
        self._money = self._book.add_format({"num_format": "#,##0.00"})
        self._row = 0
        self._head()

    def __enter__(self) -> Sheet:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._sheet.autofilter(0, 0, self._row, 9 + len(ITEMS))
        self._book.close()

    def _head(self) -> None:
        zh = ("文件", "结论", "发票号码", "开票日期", "价税合计", "购买方", "购买方税号", "销售方", "签名人", "说明")
        en = ("File", "Verdict", "Number", "Date", "Total", "Buyer", "Buyer's id", "Seller", "Signed by", "Remarks")
        names = [*(zh if self._language == "zh" else en), *(words()[name][self._language] for name in ITEMS)]
        bold = self._book.add_format({"bold": True, "bg_color": "#E7F1EF", "border": 1})
        for column, name in enumerate(names):
            self._sheet.write_string(0, column, name, bold)
        self._sheet.freeze_panes(1, 1)
        widths = (32, 14, 22, 12, 12, 28, 22, 28, 28, 60, *(10 for _ in ITEMS))
        for column, width in enumerate(widths):
            self._sheet.set_column(column, column, width)

    def add(self, result: Result) -> None:
        """The row of a file."""
        self._row += 1
        facts, lights = result.facts, {item.name: item.light for item in result.items}
        texts = {
            0: result.file,
            1: _word(VERDICTS[result.verdict], self._language),
            2: result.number,
            3: facts.issued_on.isoformat() if facts.issued_on else "",
            5: facts.buyer_name,
            6: facts.buyer_id,
            7: facts.seller_name,
            8: result.signer,
            9: "；".join(f"{item.label}：{item.said}" for item in result.items if item.causes),
        }
        for column, name in enumerate(ITEMS, 10):
            if name in lights:
                texts[column] = _word(LIGHTS[lights[name]], self._language)
        if facts.total is not None:
            self._sheet.write_number(self._row, 4, float(facts.total), self._money)
        for column, text in sorted(texts.items()):
            self._sheet.write_string(self._row, column, text[:CELL_CHARACTERS_MAX])
