"""The packaged table, searching it, reading the official sheet, and renewing one table by another."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal as D
from itertools import pairwise
from pathlib import Path

import pytest

from piaoma.invoice.classification import (
    PERIODS_KEPT_MAX,
    Classification,
    Entry,
    codes_with_more_below,
    load,
    merged,
    read_csv,
    stem,
    write_csv,
)
from piaoma.invoice.classification_import import ROWS_MAX, Renewal, Sheet, initials_of, read_sheet, renew
from piaoma.invoice.refusal import Refused

TODAY = date(2026, 11, 24)
DINING = "3070401000000000000"
# Names in which pypinyin misreads a character of several sounds; scripts/build_classification.py corrects them.
INITIALS_BY_EYE = {"番茄等茄果类蔬菜": "fqdqglsc"}

EVERYDAY = {
    "餐费": "3070401", "住宿费": "3070402", "打车": "30101010202", "停车费": "30405020202", "药品": "10703",
    "手机维修": "202", "软件开发": "304020101", "培训费": "307020102", "房租": "3040502", "快递": "30404",
    "理发": "3070599", "文具": "1060401", "矿泉水": "103030704", "水果": "1010115", "服装": "1040201",
    "会议费": "304030401", "广告费": "3040303", "物业费": "304080101", "律师费": "3040802", "装修": "30504",
    "汽油": "1070101", "电费": "1100101", "牛奶": "103020401", "图书": "1060201", "体检": "3070202",
    "健身": "3070102", "KTV": "3070302", "代理记账": "304080208", "蛋糕": "1030201", "手机": "1090505",
    "家具": "1050201", "大米": "1030102", "运费": "3010102", "话费": "30301", "黄金": "1060509",
}  # fmt: skip

TRADES = {
    "dining and lodging": ("30704", 2), "food": ("103", 60), "farm produce": ("101", 40), "clothing": ("1040", 35),
    "stationery, books, toys": ("1060", 40), "pharmacy": ("10703", 15), "household, electronics": ("1090", 40),
    "transport": ("301", 10), "education and medical": ("30702", 4), "software": ("30402", 8), "rent": ("30405", 6),
    "consulting": ("30406", 6), "agency, property, staff": ("30408", 12), "logistics": ("30404", 8),
    "construction": ("305", 5), "beauty and household services": ("30705", 4), "advertising, events": ("30403", 10),
}  # fmt: skip


def test_every_packaged_row_is_well_formed() -> None:
    """19 digits, names, rates that exist, one version at a time, initials as pypinyin reads them or listed by eye."""
    versions = load().versions
    below = codes_with_more_below(entry.code for entry in versions)
    for entry in versions:
        assert len(entry.code) == 19 and entry.code.isdigit() and entry.code[0] in "123456"
        assert entry.name and entry.short_name and "*" not in entry.short_name and entry.source
        assert set(entry.rates) <= {D("0.13"), D("0.09"), D("0.06"), D(0)}
        assert entry.leaf == (entry.code not in below), entry
        assert bool(entry.rates) == bool(entry.keywords) == entry.leaf
        assert entry.valid_to is None or entry.valid_from <= entry.valid_to
        assert entry.initials == INITIALS_BY_EYE.get(entry.name, initials_of(entry.name))
    for first, second in pairwise(versions):
        if first.code == second.code:
            assert first.valid_to is not None and (second.valid_from - first.valid_to).days == 1
    assert sum(entry.valid_to is None for entry in versions) == len(load()), "every code has a version without an end"


def test_the_packaged_table_serves_every_trade() -> None:
    """More than 220 leaves, and enough of them for each trade."""
    leaves = load().entries(TODAY)
    assert len(leaves) >= 220
    for trade, (prefix, least) in TRADES.items():
        assert sum(entry.code.startswith(prefix) for entry in leaves) >= least, trade


@pytest.mark.parametrize("word", EVERYDAY)
def test_a_shops_word_finds_its_code_among_the_first_three(word: str) -> None:
    """What people type at the counter; the control is a word that no trade has."""
    found = load().search(word, TODAY)[:3]
    assert any(entry.code.startswith(EVERYDAY[word]) for entry in found), found
    assert load().search("量子纠缠", TODAY) == []


def test_searching_by_name_initials_code_and_several_words() -> None:
    """All four ways, whatever the width and case of the letters; summary rows are never offered."""
    table = load()
    assert table.search("餐饮服务", TODAY)[0].code == DINING
    assert table.search("cyfw", TODAY)[0].code == DINING
    assert table.search("ＣＹＦＷ ", TODAY)[0].code == DINING
    assert table.search("3070401", TODAY) == [table.lookup(DINING, TODAY)]
    assert {stem(entry.code)[:5] for entry in table.search("30704", TODAY)} == {"30704"}
    assert [entry.code[:9] for entry in table.search("软件 维护", TODAY)] == ["304020103"]
    assert table.search("", TODAY) == table.search("  ", TODAY) == []
    assert all(entry.leaf for entry in table.search("服务", TODAY, 1000))
    assert len(table.search("服务", TODAY, 5)) == 5


def test_goods_names_get_suggestions() -> None:
    """A typed name of goods, with the prefix of an invoice or without; at most three; the head of the name wins."""
    table = load()
    assert table.suggest("*餐饮服务*餐费", TODAY)[0].code == DINING
    assert table.suggest("苹果手机壳", TODAY)[0].code.startswith("1090505")
    assert table.suggest("手机屏幕维修费", TODAY)[0].code.startswith("202")
    assert table.search("手机屏幕维修费", TODAY)[0].code.startswith("202"), "searching falls back to suggesting"
    assert table.suggest("生日蛋糕8寸", TODAY)[0].code.startswith("1030201")
    assert len(table.suggest("鲜花水果蛋糕牛奶面包", TODAY)) == 3
    assert table.suggest("", TODAY) == table.suggest("***", TODAY) == []
    assert isinstance(table.suggest("费" * 100_000, TODAY), list)


def test_short_names_follow_the_day() -> None:
    """Software services were renamed on 2025-07-14, all services in 2026; what was printed before stays true."""
    table = load()

    def short(code: str, on: date) -> str:
        entry = table.lookup(code.ljust(19, "0"), on)
        assert entry is not None
        return entry.short_name

    assert short("304020199", date(2025, 7, 13)) == "信息技术服务"
    assert short("304020199", date(2025, 7, 14)) == "其他软件服务"
    assert short("304020199", TODAY) == short(DINING, TODAY) == "生产生活服务"
    assert short(DINING, date(2026, 5, 31)) == "餐饮服务"
    assert short("1030201", TODAY) == "焙烤食品"
    assert table.lookup(DINING, date(2019, 3, 31)) is None


def test_summary_rows_are_known_but_not_offered() -> None:
    """So that a user who types one gets the right refusal."""
    table = load()
    above = [table.lookup(code.ljust(19, "0"), TODAY) for code in ("3", "307", "30704", "1", "103", "10302", "1030201")]
    assert all(entry is not None and not entry.leaf for entry in above)
    offered = table.entries(TODAY)
    assert not {entry.code for entry in above if entry} & {entry.code for entry in offered}
    assert len(table.entries(TODAY, summaries=True)) - len(offered) >= 20


def test_prepared_periods_are_bounded() -> None:
    """A table with many days of change keeps only a few prepared stretches, and answers right all the same."""
    days = [date(2020, 1, day) for day in range(1, 32)]
    table = Classification(Entry(DINING, f"名{day.day}", "简", (), valid_from=day, valid_to=day) for day in days)
    for day in (*days, *reversed(days)):
        assert [entry.name for entry in table.entries(day)] == [f"名{day.day}"]
        assert len(table._periods) <= PERIODS_KEPT_MAX


def test_csv_there_and_back() -> None:
    """What is written is read back, every version of it."""
    versions = load().versions
    assert read_csv(write_csv(versions)) == versions


@pytest.mark.parametrize(
    ("damage", "have"),
    [
        (lambda text: text.replace("short_name", "short"), "header"),
        (lambda text: text.replace(",2019-04-01,", ",2019-04-31,", 1), "line"),
        (lambda text: text.replace(",1,2", ",x,2", 1), "line"),
        (lambda text: text + "307,餐饮,餐饮,6,,,1,2019-04-01,,x\n", "line"),
        (lambda text: text + "3070401000000000000,餐饮\n", "line"),
        (lambda text: "", "header"),
    ],
)
def test_a_damaged_csv_is_refused_with_its_line(damage: object, have: str) -> None:
    """Never half a table."""
    assert callable(damage)
    with pytest.raises(Refused) as caught:
        read_csv(damage(write_csv(load().versions)))
    [refusal] = caught.value.refusals
    assert refusal.cause == "CLASSIFICATION-FILE" and refusal.values["have"].startswith(have)


def test_an_own_table_wins_and_packaged_words_stay(tmp_path: Path) -> None:
    """From its first day on; earlier days are read from the packaged table; further codes are added."""
    begin = date(2026, 9, 1)
    own = [
        Entry(DINING, "餐饮服务", "新简称", (D("0.06"),), ("本店词",), valid_from=begin),
        Entry("1999999999999999999", "新货物", "新", (), valid_from=begin),
    ]
    path = tmp_path / "classification.csv"
    path.write_text(write_csv(own), encoding="utf-8")
    table = load(path)
    now = table.lookup(DINING, TODAY)
    assert now is not None and now.short_name == "新简称" and now.initials == "cyfw"
    assert {"餐费", "本店词"} <= set(now.keywords)
    before = table.lookup(DINING, date(2026, 8, 31))
    assert before is not None and before.short_name == "生产生活服务" and before.valid_to == date(2026, 8, 31)
    assert len(table) == len(load()) + 1
    assert load(tmp_path / "absent.csv") is load()
    assert merged(load().versions, []) == load().versions


Rows = Sequence[Sequence[object]]

HEADER: Sequence[object] = [*"篇类章节条款项目", "子目", "细目", "合并编码", "货物和劳务名称",
          "商品和服务分类简称", "说明", "增值税税率", "关键字", "是否汇总项"]  # fmt: skip


def official(
    code: str, name: str, short_name: str, rate: object = "", words: str = "", summary: str = ""
) -> list[object]:
    """A row as the official file has it."""
    levels = [code[:1], *(code[place : place + 2] for place in range(1, 19, 2))]
    return [*levels, code, name, short_name, "说明一句", rate, words, summary]


ROWS = [
    official("3070000000000000000", "生活服务", "生活服务"),
    official("3070400000000000000", "餐饮住宿服务", "生活服务"),
    official(DINING, "餐饮服务", "餐饮服务", "6%", "餐饮、堂食"),
    official("3070402000000000000", "住宿服务", "住宿服务", "0.06"),
    official("1030201010000000000", "糕点", "焙烤食品", "13%、9%"),
]


def read(rows: Rows, valid_from: date = TODAY) -> Sheet:
    return read_sheet(rows, valid_from)


def refusals(rows: Rows) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as caught:
        read(rows)
    for refusal in caught.value.refusals:
        assert refusal.what("zh") and refusal.what("en") and refusal.remedy("zh") and refusal.remedy("en")
    return [(refusal.cause, refusal.field) for refusal in caught.value.refusals]


def test_the_official_sheet_is_read() -> None:
    """Codes, names, rates; leaves from the tree; the explanations are not taken over."""
    sheet = read([HEADER, *ROWS])
    assert sheet.stated_rates and len(sheet.entries) == 5
    assert [entry.leaf for entry in sheet.entries] == [False, False, True, True, True]
    dining = sheet.entries[2]
    assert dining == Entry(
        DINING, "餐饮服务", "餐饮服务", (D("0.06"),), ("餐饮", "堂食"), valid_from=TODAY, source="own"
    )
    assert sheet.entries[4].rates == (D("0.13"), D("0.09"))


VARIANTS: dict[str, Rows] = {
    "notes above": [["商品和服务税收分类编码表"], ["", "2026年版"], HEADER, *ROWS],
    "header in two lines": [
        ["序号", "编码", *[""] * 9, "合并编码", "货物和劳务名称", "商品和服务分类简称", "说明"],
        ["", *HEADER[:10], "", "", "", ""],
        *[[number, *row[:14]] for number, row in enumerate(ROWS, 1)],
    ],
    "other titles": [["编码", "商品名称", "简称", "税率"], *[[row[10], row[11], row[12], row[14]] for row in ROWS]],
    "titles with spaces": [
        ["合并编码 ", "货物和劳务\n名称", " 商品和服务分类简称（票面）"],
        *[[row[10], row[11], row[12]] for row in ROWS],
    ],
    "codes as numbers": [["编码", "名称", "简称"], *[[float(str(row[10])), row[11], row[12]] for row in ROWS]],
    "short codes": [["分类编码", "分类名称", "简称"], *[[stem(str(row[10])), row[11], row[12]] for row in ROWS]],
    "ten columns only": [[*HEADER[:10], *HEADER[11:13]], *[[*row[:10], *row[11:13]] for row in ROWS]],
    "levels as numbers": [
        [*HEADER[:10], *HEADER[11:13]], *[[*map(float, map(str, row[:10])), *row[11:13]] for row in ROWS],
    ],
    "empty rows": [HEADER, *ROWS[:2], [], [""] * 17, [None] * 17, *ROWS[2:], [""]],
    "short rows": [HEADER[10:13], *[row[10:13] for row in ROWS]],
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_real_files_vary_and_say_the_same(variant: str) -> None:
    """Each form gives the same codes, names and leaves as the plain one."""

    def said(rows: Rows) -> list[tuple[object, ...]]:
        return [(entry.code, entry.name, entry.short_name, entry.leaf) for entry in read(rows).entries]

    assert said(VARIANTS[variant]) == said([HEADER, *ROWS])


@pytest.mark.parametrize(
    ("cell", "percents"),
    [
        ("13%", "13"), ("0.13", "13"), (0.13, "13"), (13, "13"), ("13", "13"), ("13％", "13"), ("", ""), (None, ""),
        ("9%;13%", "13 9"), ("13%、9%", "13 9"), ("13%,9%", "13 9"), ("13% 9%", "13 9"), ("16%、10%", "13 9"),
        ("17%", "13"), ("17%、11%、6%", "13 9 6"), ("0%", "0"), (0.0, "0"), ("免税", ""), ("不征税", ""),
        ("13%、3%", "13"), ("5%", ""),
    ],
)  # fmt: skip
def test_rates_are_read_in_every_form(cell: object, percents: str) -> None:
    """As they are today: older editions are carried over the cuts of 2018 and 2019; levy rates are not usual rates."""
    [entry] = read([HEADER, official(DINING, "餐饮服务", "餐饮服务", cell)]).entries
    assert entry.rates == tuple(D(percent) / 100 for percent in percents.split())


def test_old_rates_stay_before_the_cuts() -> None:
    """A table imported for an old day keeps the rates of that day."""
    row = official(DINING, "餐饮服务", "餐饮服务", "17%;11%")
    assert read([HEADER, row], date(2018, 4, 30)).entries[0].rates == (D("0.17"), D("0.11"))
    assert read([HEADER, row], date(2018, 5, 1)).entries[0].rates == (D("0.16"), D("0.1"))


def test_the_file_says_what_is_a_summary_and_what_is_out_of_use() -> None:
    """Its word counts before the tree; abolished rows are left out and counted."""
    header = ["分类编码", "分类名称", "是否为汇总项", "可用状态", "简称"]
    rows: Rows = [
        header,
        ["3040201000000000000", "软件服务", "N", "Y", "信息技术服务"],
        ["3040201010000000000", "软件开发服务", "N", "Y", "信息技术服务"],
        ["3040300000000000000", "文化创意服务", "Y", "Y", "文化创意服务"],
        ["3010501000000000000", "无船承运", "N", "N", ""],
        ["3040102000000000000", "技术咨询服务", "N", "Y", ""],
    ]
    sheet = read(rows)
    assert [entry.leaf for entry in sheet.entries] == [True, True, False] and sheet.unusable == 2
    assert not sheet.stated_rates


def test_every_bad_row_is_named_at_once() -> None:
    """One import, all causes, each with its row; nothing comes out."""
    bad = [
        official("307040100000000000X", "餐饮服务", "餐饮服务"),
        official(DINING, "", "餐饮服务"),
        official("3070402000000000000", "住宿服务", "住\x00宿"),
        official("1030201010000000000", "糕点", "焙烤食品", "十三"),
        official("1030201020000000000", "面包", "焙烤食品", "99%"),
        official("1030201030000000000", "饼干", "焙烤食品", "1e999%"),
        official("1030201020000000000", "面包", "焙烤食品"),
        official("0030201020000000000", "面", "焙"),
    ]
    good = official("1030201040000000000", "膨化食品", "焙烤食品", "13%")
    assert refusals([HEADER, good, *bad, good]) == [
        ("CLASSIFICATION-ROW-CODE", "row 3"),
        ("CLASSIFICATION-ROW-NAME", "row 4"),
        ("CLASSIFICATION-ROW-SHORT", "row 5"),
        ("CLASSIFICATION-ROW-RATE", "row 6"),
        ("CLASSIFICATION-ROW-RATE", "row 7"),
        ("CLASSIFICATION-ROW-RATE", "row 8"),
        ("CLASSIFICATION-ROW-CODE", "row 10"),
        ("CLASSIFICATION-ROW-TWICE", "row 11"),
    ]


def test_what_is_no_table_is_refused() -> None:
    """No header, no rows, too many rows."""
    assert refusals([]) == refusals([["a", "b"], ["c"]]) == [("CLASSIFICATION-HEADER", "")]
    assert refusals([HEADER]) == refusals([HEADER, [""]]) == [("CLASSIFICATION-EMPTY", "")]
    assert refusals([[""]] * 10 + [HEADER, *ROWS]) == [("CLASSIFICATION-HEADER", "")]
    assert refusals([HEADER, *[ROWS[2]] * ROWS_MAX]) == [("CLASSIFICATION-LARGE", "")]
    assert len(read([HEADER, *ROWS, *[[""]] * ROWS_MAX]).entries) == 5, "empty rows below do not count"


def renewed(known: list[Entry], rows: Rows, day: date = TODAY, *, close_missing: bool = False) -> Renewal:
    return renew(known, read([HEADER, *rows], day), day, close_missing=close_missing)


def test_a_new_short_name_makes_a_version_and_keeps_the_old_one() -> None:
    """Lookups before the day give the old row, from the day on the new one; words and initials stay."""
    first = renewed([], ROWS, date(2026, 1, 1))
    assert (first.added, first.changed, first.closed, first.unchanged) == (5, 0, 0, 0)
    again = renewed(list(first.entries), ROWS)
    assert (again.added, again.changed, again.closed, again.unchanged) == (0, 0, 0, 5)
    assert set(again.entries) == set(first.entries)
    change = [*ROWS[:2], official(DINING, "餐饮服务", "生产生活服务", "6%"), *ROWS[3:4]]
    second = renewed(list(again.entries), change)
    assert (second.changed, second.closed, second.unchanged, second.missing) == (1, 1, 3, 1)
    table = Classification(second.entries)
    before, after = table.lookup(DINING, date(2026, 11, 23)), table.lookup(DINING, TODAY)
    assert before is not None and after is not None
    assert (before.short_name, before.valid_to) == ("餐饮服务", date(2026, 11, 23))
    assert (after.short_name, after.valid_from, after.keywords) == ("生产生活服务", TODAY, ("餐饮", "堂食"))


def test_a_new_rate_makes_a_version_and_a_blank_one_does_not() -> None:
    """A sheet without rates says nothing about them."""
    known = list(renewed([], ROWS, date(2026, 1, 1)).entries)
    other = renewed(known, [official(DINING, "餐饮服务", "餐饮服务", "9%")])
    assert (other.changed, other.closed) == (1, 1)
    blank = renewed(known, [official(DINING, "餐饮服务", "餐饮服务", "")])
    assert (blank.changed, blank.unchanged) == (0, 1)


def test_importing_twice_on_one_day_replaces() -> None:
    """A correction on the same day leaves no version that was never in force."""
    known = list(renewed([], ROWS).entries)
    corrected = renewed(known, [official(DINING, "餐饮服务", "更正", "6%")])
    assert (corrected.changed, corrected.closed) == (1, 0)
    assert [entry.short_name for entry in corrected.entries if entry.code == DINING] == ["更正"]


def test_missing_codes_end_only_when_asked() -> None:
    """A partial file must not empty the table."""
    known = list(renewed([], ROWS, date(2026, 1, 1)).entries)
    part = ROWS[:3]
    assert renewed(known, part).missing == 2
    ended = renewed(known, part, close_missing=True)
    assert (ended.closed, ended.missing) == (2, 0)
    table = Classification(ended.entries)
    assert table.lookup("3070402000000000000", TODAY) is None
    assert table.lookup("3070402000000000000", date(2026, 11, 23)) is not None
    revived = renewed(list(ended.entries), ROWS, date(2027, 1, 1))
    assert (revived.added, revived.unchanged) == (2, 3)


def test_an_older_table_over_a_newer_one_is_refused() -> None:
    """Versions are only ever appended."""
    known = list(renewed([], ROWS).entries)
    with pytest.raises(Refused) as caught:
        renewed(known, ROWS, date(2026, 1, 1))
    assert [refusal.cause for refusal in caught.value.refusals] == ["CLASSIFICATION-DATE"]


def test_the_tree_of_codes() -> None:
    """Stems end at whole levels, also where a level ends in zero."""
    assert stem(DINING) == "3070401" and stem("1100000000000000000") == "110" and stem("1" + "0" * 18) == "1"
    assert stem("1030110000000000000") == "1030110"
    assert codes_with_more_below(["3" + "0" * 18, DINING, "3070000000000000000"]) == {
        "3" + "0" * 18,
        "3070000000000000000",
    }
