"""The documents say what the program does: lists are complete, names exist, links lead somewhere."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import msgspec
import pytest
from cyclopts import App
from starlette.routing import Route

from piaoma.cli.commands import app
from piaoma.desk import scan
from piaoma.desk.config import Config
from piaoma.invoice.refusal import causes
from piaoma.web.app import ROUTES
from piaoma.web.throttle import Throttle
from tests.conftest import COMPANY, Shop, with_shop

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "piaoma"
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

TEST_ID = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
CODE = re.compile(r"^```\w*\n(.*?)^```|`([^`\n]+)`", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"(?<![\w/.@=-])piaoma ([a-z]+)((?: [^\s|&;`]+)*)")

# A constant is a limit when a part of its name says so, or when it is one of those that count without a unit.
UNITS = {
    "MAX",
    "MIN",
    "DEFAULT",
    "SECONDS",
    "MS",
    "S",
    "BYTES",
    "BITS",
    "DAYS",
    "YEARS",
    "KIB",
    "MM",
    "FEN",
    "TOLERANCE",
}
COUNTS = {
    "LENGTH", "PICKUP_LENGTH", "CHUNK", "SEALING_THREADS", "LINES_SHOWN", "DAYS_SHOWN", "QUIET_MODULES",
    "PREFIX_DIGITS", "SEQUENCE_DIGITS", "ROWS_ALONE", "ROWS_FIRST", "ROWS_FURTHER", "ROWS_LAST",
}  # fmt: skip
NO_LIMITS = {"FEN", "MM_PER_POINT"}  # units


def text_of(*path: str) -> str:
    return ROOT.joinpath(*path).read_text(encoding="utf-8")


def rows_of(text: str) -> Iterator[list[str]]:
    """The cells of every row of every table, heads included."""
    for line in text.splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def functions_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def missing_tests(text: str) -> list[str]:
    """The test ids in a text that lead nowhere."""
    missing = []
    for path, function in TEST_ID.findall(text):
        file = ROOT / path
        if not file.is_file() or (function and function not in functions_of(file)):
            missing.append(f"{path}::{function}")
    return missing


# ── acceptance ────────────────────────────────────────────────────────────────────────────────────────────────────


def acceptance() -> list[tuple[str, str]]:
    return [(row[0], row[2]) for row in rows_of(text_of("docs", "acceptance.md")) if re.fullmatch(r"S\d+", row[0])]


def test_every_row_of_the_acceptance_list_is_there_once_and_in_order() -> None:
    """S1 to S155, and the counts at its head are those of the rows."""
    rows = acceptance()
    assert [name for name, _ in rows] == [f"S{number}" for number in range(1, 156)]
    partly = sum(shown.startswith("partly: ") for _, shown in rows)
    missing = sum(shown == "not yet" for _, shown in rows)
    head = f"Shown whole: {len(rows) - partly - missing}. Partly: {partly}. Not yet: {missing}."
    assert head in text_of("docs", "acceptance.md"), head


@pytest.mark.parametrize(("name", "shown"), acceptance())
def test_a_row_names_what_shows_it(name: str, shown: str) -> None:
    """Not yet; partly, with what is missing; or whole, and then by tests alone. Tests, pages and commands exist."""
    if shown == "not yet":
        return
    assert missing_tests(shown) == []
    named = re.findall(r"`([^`]+)`", shown)
    pages = {route.path for route in ROUTES if isinstance(route, Route)}
    assert [one for one in named if one.startswith("/") and one not in pages] == []
    if shown.startswith("partly: "):
        assert re.fullmatch(r"partly: .+ — missing .+", shown) and named
    else:
        assert TEST_ID.search(shown) and all(TEST_ID.fullmatch(f"`{one}`") for one in named), name


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


def assigned(file: Path) -> Iterator[tuple[str, ast.expr | None]]:
    """Names that a module binds at its top, with the expression when it is bound alone."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            for name in names:
                if isinstance(name, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign):
                    yield name.id, node.value if target is name else None


def is_limit(name: str) -> bool:
    if not name.isupper() or name.startswith("_") or name in NO_LIMITS:
        return False
    return name in COUNTS or bool(UNITS & set(name.split("_")))


def limits_of_the_code() -> set[tuple[str, str, str]]:
    """(name, value, file) of every limit."""
    found = set()
    for file in SOURCE.rglob("*.py"):
        for name, _ in assigned(file):
            if is_limit(name):
                value = getattr(import_module(module_of(file)), name)
                if not isinstance(value, str):
                    found.add((name, str(value), str(file.relative_to(SOURCE))))
    return found


def rates_of_the_code() -> set[tuple[str, str, str, str]]:
    """(name, at once, a minute, file) of every throttle."""
    found = set()
    for file in SOURCE.rglob("*.py"):
        for name, value in assigned(file):
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "Throttle":
                throttle = getattr(import_module(module_of(file)), name)
                assert isinstance(throttle, Throttle)
                minute = f"{throttle._per_second * 60:g}"
                found.add((name, str(throttle._burst), minute, str(file.relative_to(SOURCE))))
    return found


def test_the_limits_are_those_of_the_code() -> None:
    """Name, value and file of each, none left out on either side; so are the rates."""
    limits, rates = set(), set()
    head, _, tail = text_of("docs", "limits.md").partition("## Rates")
    for row in rows_of(head):
        if row[0].startswith("`"):
            assert row[2] and row[3], f"{row[0]} has no unit or no meaning"
            limits.add((row[0].strip("`"), row[1].strip("`"), row[4].strip("`")))
    for row in rows_of(tail):
        if row[0].startswith("`"):
            rates.add((row[0].strip("`"), row[1].strip("`"), row[2].strip("`"), row[4].strip("`")))
    code, throttles = limits_of_the_code(), rates_of_the_code()
    # What pytest shows first, in full, whoever added or moved a limit.
    lacking = [f"| `{name}` | `{value}` | unit | what it bounds | `{file}` |" for name, value, file in code - limits]
    assert lacking == [], "these rows are missing in docs/limits.md:\n" + "\n".join(sorted(lacking))
    assert (sorted(code - limits), sorted(limits - code)) == ([], []), "only in the code, only in docs/limits.md"
    assert (sorted(throttles - rates), sorted(rates - throttles)) == ([], []), (
        "only in the code, only in docs/limits.md"
    )


# ── operating ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_key_of_the_configuration_is_told_with_its_default() -> None:
    """The table of docs/operating.md and ``Config`` name the same keys, in the same order, with the same defaults."""
    section = text_of("docs", "operating.md").partition("## Configuration")[2].partition("\n## ")[0]
    told = {row[0].strip("`"): row[1].strip("`") for row in rows_of(section) if row[0].startswith("`")}
    defaults = {key: str(value) or "(empty)" for key, value in msgspec.structs.asdict(Config()).items()}
    assert list(told.items()) == list(defaults.items())


def commands_of(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """(words, options) of each ``piaoma …`` in code."""
    for block, span in CODE.findall(text):
        for found in COMMAND.finditer(re.sub(r"#.*", "", block or span)):
            parts = [found[1], *found[2].split()]
            words = []
            for part in parts:
                if not re.fullmatch(r"[a-z]+(?:-[a-z]+)*", part):
                    break
                words.append(part)
            yield words, [part for part in parts if part.startswith("--")]


def test_every_command_in_the_documents_exists() -> None:
    """With its options. A name that is no command fails."""
    seen = 0
    for file in DOCUMENTS:
        for words, options in commands_of(file.read_text(encoding="utf-8")):
            seen += 1
            place: App = app
            for word in words:
                if word not in place:
                    assert place.default_command, f"{file.name}: piaoma {' '.join(words)}"
                    break
                place = place[word]
            assert place is not app, f"{file.name}: piaoma {' '.join(words)}"
            arguments = place.assemble_argument_collection() if place.default_command else ()  # a group has none
            known = {name for argument in arguments for name in argument.names}
            assert set(options) <= known, f"{file.name}: piaoma {' '.join(words)} {options}"
    assert seen > 20
    assert list(commands_of("`piaoma nonsense --x`")) == [(["nonsense"], ["--x"])] and "nonsense" not in app


def test_every_command_is_documented() -> None:
    """Each command of the program stands in the documents at least once."""
    named = {words[0] for file in DOCUMENTS for words, _ in commands_of(file.read_text(encoding="utf-8"))}
    assert {name for name in app if not name.startswith("-")} <= named


def sql_of_operating() -> list[str]:
    return re.findall(r"^```sql\n(.*?)^```", text_of("docs", "operating.md"), re.DOTALL | re.MULTILINE)


def test_the_statement_for_the_night_does_what_it_says(tmp_path: Path) -> None:
    """Dead mails wait again."""
    (revive,) = sql_of_operating()
    config = Config(data=str(tmp_path))

    async def before(shop: Shop) -> None:
        code = await shop.code()
        await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key=code.token)
        async with shop.office.database.write() as transaction:
            await transaction.execute(
                "UPDATE jobs SET state = 'dead', kind = 'mail', last_error = 'an outage', attempts = 36"
            )

    with_shop(config, before)
    with sqlite3.connect(tmp_path / "piaoma.sqlite3") as connection:
        connection.executescript(revive)
        waiting = connection.execute("SELECT count(*) FROM jobs WHERE state = 'waiting' AND attempts = 0").fetchone()
    connection.close()
    assert waiting == (1,)


# ── promises, decisions, glossary, help ───────────────────────────────────────────────────────────────────────────


def test_every_promise_names_safeguard_tests_and_control() -> None:
    """P1 to P10 in order, each with all three; every test and every file that is named exists."""
    text = text_of("docs", "promises.md")
    sections = re.split(r"^## (?=P\d)", text, flags=re.MULTILINE)[1:]
    assert [section.split(" ")[0] for section in sections] == [f"P{number}" for number in range(1, 11)]
    for section in sections:
        for part in ("* Safeguard: ", "* Broken on purpose: ", "* Negative control: "):
            assert section.count(part) == 1, section[:20]
        broken = section.partition("* Broken on purpose: ")[2].partition("* Negative control: ")[0]
        assert TEST_ID.search(broken), section[:20]
    assert missing_tests(text) == []
    files = re.findall(r"`([a-z]+/[\w/]+\.(?:py|sql))`", text)
    assert files and [file for file in files if not file.startswith("tests/") and not (SOURCE / file).is_file()] == []


DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
HEADINGS = ["## Context", "## Choice", "## Weighed", "## What would change our mind", "## Enforced by"]


@pytest.mark.parametrize("file", DECISIONS, ids=lambda file: file.stem[:4])
def test_a_decision_has_its_five_parts(file: Path) -> None:
    """The same five in the same order, short, and the check that enforces it exists."""
    text = file.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == HEADINGS
    assert text.startswith(f"# {int(file.stem[:4])} · ")
    assert len(text.splitlines()) <= 20
    enforced = text.partition(HEADINGS[-1])[2]
    assert TEST_ID.search(enforced) and missing_tests(enforced) == []


def test_decisions_are_numbered_without_a_gap() -> None:
    """0001, 0002, …"""
    assert [int(file.stem[:4]) for file in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_a_term_of_the_glossary_stands_where_it_says() -> None:
    """The file exists and holds the Chinese word; no English term stands twice."""
    terms = []
    for row in rows_of(text_of("docs", "glossary.md")):
        if len(row) == 4 and row[3].startswith("`"):
            terms.append(row[0])
            source = (SOURCE / row[3].strip("`")).read_text(encoding="utf-8")
            for chinese in row[1].split(", "):
                assert chinese in source, f"{chinese} is not in {row[3]}"
    assert len(terms) == len(set(terms)) > 40


def test_the_help_page_lists_every_table_of_causes() -> None:
    """One row for each file; what each cause must have is checked by tests/invoice and tests/web."""
    told = [row[0].strip("`") for row in rows_of(text_of("docs", "help.md")) if row[0].startswith("`")]
    assert told == sorted(file.name for file in (SOURCE / "invoice" / "causes").glob("*.toml"))


# ── all documents ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_leads_somewhere(file: Path) -> None:
    """Files exist; a picture is one that ``make pictures`` makes; tests that are named exist."""
    text = file.read_text(encoding="utf-8")
    pictures = text_of("tests", "journeys", "pictures.py")
    for link in re.findall(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"", text):
        target = (link[0] or link[1]).partition("#")[0]
        if not target or re.match(r"[a-z]+:", target):
            continue
        path = (file.parent / target).resolve()
        if path.parent == DOCS / "pictures":
            assert f'"{path.stem}"' in pictures or f'"{path.name}"' in pictures, f"nothing makes {path.name}"
        else:
            assert path.exists(), f"{file.name}: {target}"
    assert missing_tests(text) == []


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readme_begins_with_the_two_commands(name: str) -> None:
    """Within fifteen lines; their targets exist; the whole is short; every room is in its table."""
    text = text_of(name)
    first = "\n".join(text.splitlines()[:15])
    makefile = text_of("Makefile")
    for target in ("demo", "test"):
        assert f"make {target}" in first and f"\n{target}:" in makefile
    assert len(text.splitlines()) <= 120
    rooms = {folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").exists()}
    assert rooms == {row[0].strip("`/") for row in rows_of(text) if row[0].endswith("/`")}


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_issuing_path_of_the_readme_is_there(name: str) -> None:
    """Five files, each with the name that the line gives."""
    steps = re.findall(r"^\d\. \[[\w/.]+\]\((src/[\w/.]+)\) `(\w+)`", text_of(name), re.MULTILINE)
    assert len(steps) == 5
    for path, symbol in steps:
        assert re.search(rf"^(?:async )?(?:def|class) {symbol}\b", text_of(path), re.MULTILINE), f"{path} {symbol}"


def test_every_make_target_in_the_documents_exists() -> None:
    """``make …`` in code."""
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    for file in DOCUMENTS:
        for block, span in CODE.findall(file.read_text(encoding="utf-8")):
            named = re.findall(r"(?:^|\s)make ([a-z]+)", block or span, re.MULTILINE)
            assert set(named) <= targets, f"{file.name}: {named}"


def test_no_cause_is_an_orphan_either_way() -> None:
    """Every cause that the code names has its texts, and every cause with texts is named by the code."""
    source = ROOT / "src" / "piaoma"
    named: set[str] = set()
    for file in source.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named |= set(re.findall(r"^[A-Z]+(?:-[A-Z0-9]+)+$", node.value))
    for table in (source / "channels").rglob("*.toml"):  # what a channel's code comes to
        named |= set(re.findall(r'"refused ([A-Z0-9-]+)"', table.read_text(encoding="utf-8")))
    known = set(causes())
    assert sorted(known - named) == []
    families = {cause.partition("-")[0] for cause in known}
    assert sorted(name for name in named - known if name.partition("-")[0] in families) == []
