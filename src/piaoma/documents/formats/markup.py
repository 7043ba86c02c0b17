"""XML as text: elements of escaped text, indented, the same bytes each time."""

from __future__ import annotations

from xml.sax.saxutils import escape

# As references they come back as they were, and every line end that is left stands between elements.
_LINE_ENDS = {"\n": "&#10;", "\r": "&#13;"}

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def leaf(name: str, text: str, **attributes: str) -> str:
    """An element that holds a text; nothing when the text is blank, since an empty element states nothing."""
    if not text.strip():
        return ""
    return f"<{name}{_written(attributes)}>{escape(text, _LINE_ENDS)}</{name}>"


def tag(name: str, *children: str, **attributes: str) -> str:
    """An element that holds elements; blank ones are left out, and so is one without any child."""
    inside = "".join(f"\n{child}" for child in children if child).replace("\n", "\n  ")
    return f"<{name}{_written(attributes)}>{inside}\n</{name}>" if inside else ""


def _written(attributes: dict[str, str]) -> str:
    """Values of attributes are constants of ours, never a text of an invoice."""
    return "".join(f' {name}="{value}"' for name, value in attributes.items())
