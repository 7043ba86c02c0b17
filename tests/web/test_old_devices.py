"""Old phones: what a customer's page is made of is understood by Android 6 (Chrome 44) and iOS 10 (Safari 10).

The lists name what those browsers lack and would stumble over. A property that they do not know they skip, so only
what breaks the reading or the working of a page is on them. The service worker's script is not: browsers without
service workers never load it.
"""

from __future__ import annotations

import re

import pytest

from piaoma.web.page import static_files

# Each with the first version that has it, by the public compatibility tables.
CSS_LACKED = {
    ":has(": "Chrome 105", ":is(": "Chrome 88", ":where(": "Chrome 88", "@container": "Chrome 105",
    "@layer": "Chrome 99", "clamp(": "Chrome 79", "min(": "Chrome 79", "max(": "Chrome 79", "inset:": "Chrome 87",
    "aspect-ratio:": "Chrome 88",
    "display:grid": "Chrome 57", "gap:": "Chrome 84 (flex)", "dvh": "Chrome 108", "color-mix": "Chrome 111",
    "&": "nesting, Chrome 120", ":not(.a,": "Chrome 88",
}  # fmt: skip
JS_LACKED = {
    r"=>": "arrow functions, Chrome 45", r"\b(?:let|const)\s": "Chrome 49", r"\bclass\s": "Chrome 49",
    r"`": "Chrome 41",
    r"\basync\s": "Chrome 55", r"\bawait\s": "Chrome 55", r"\.\.\.": "Chrome 46", r"\?\.": "Chrome 80",
    r"\?\?": "Chrome 80",
    r"\bfetch\(": "Safari 10.1", r"\.forEach\b(?<!prototype\.forEach)": "NodeList.forEach, Chrome 51",
    r"\.(?:append|prepend|replaceWith|remove)\(": "Chrome 54", r"URLSearchParams": "Chrome 49", r"\.closest\(": "iOS 9",
    r"\.toggleAttribute\(": "Chrome 69", r"\*\*": "Chrome 52", r"\bimport\b": "Chrome 61", r"\.finally\(": "Chrome 63",
    r"padStart|Object\.(?:entries|values|fromEntries)": "Chrome 54",
}  # fmt: skip


def css_faults(text: str) -> list[str]:
    """What an old browser lacks in a style sheet."""
    plain = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return [f"{mark} ({since})" for mark, since in CSS_LACKED.items() if mark in plain]


def js_faults(text: str) -> list[str]:
    """What an old browser lacks in a script, outside comments and texts."""
    plain = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    plain = re.sub(r"'(?:[^'\\\n]|\\.)*'", "''", plain)
    return [f"{mark} ({since})" for mark, since in JS_LACKED.items() if re.search(mark, plain)]


def test_the_customers_style_sheet_is_read_by_old_phones() -> None:
    """And where a colour comes from a variable, a plain one stands before it for what must be legible."""
    text = static_files()["base.css"][1].decode()
    assert css_faults(text) == []
    for rule in ("body", ".card", ".main"):
        body = re.search(rf"^{re.escape(rule)}{{(.*?)}}", text, re.MULTILINE)
        assert body is not None and re.search(r"background:#\w+;background:var", body[1]), rule


def test_the_customers_script_runs_on_old_phones() -> None:
    """Small, too: eight kilobytes at most."""
    data = static_files()["scan.js"][1]
    assert js_faults(data.decode()) == [] and len(data) <= 8_000


@pytest.mark.parametrize("text", ["a{inset:0}", "a:has(b){}", ".a{width:min(1px,2px)}", ".a{&:hover{}}"])
def test_style_that_old_phones_lack_is_noticed(text: str) -> None:
    """Negative control."""
    assert css_faults(text) != []


@pytest.mark.parametrize(
    "text", ["f(() => 1)", "let a = 1", "x?.y", "`a`", "fetch('/')", "document.querySelectorAll('a').forEach(f)"]
)
def test_script_that_old_phones_lack_is_noticed(text: str) -> None:
    """Negative control."""
    assert js_faults(text) != []
