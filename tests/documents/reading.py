"""What a screen reader is given: the structure of a tagged PDF with the text of each element, read by pypdf."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from pypdf import PageObject, PdfReader
from pypdf.generic import ContentStream


class Element(msgspec.Struct):
    """An element of the tree: its tag, the text of its own, its attributes, what is inside."""

    tag: str
    text: str
    alt: str
    attributes: dict[str, Any]
    inside: list[Element]

    def named(self, *tags: str) -> Iterator[Element]:
        """Elements of a tag below this one, in reading order."""
        for one in self.inside:
            if one.tag in tags:
                yield one
            yield from one.named(*tags)

    @property
    def aloud(self) -> str:
        """All text below, in reading order."""
        return self.text + self.alt + "".join(one.aloud for one in self.inside)


def tree_of(pdf: bytes) -> Element:
    """The document's structure."""
    reader = PdfReader(io.BytesIO(pdf))
    texts: dict[int, dict[int, str]] = {}
    for page in reader.pages:
        assert page.indirect_reference is not None
        texts[page.indirect_reference.idnum] = _marked(page, reader)
    root: Any = reader.trailer["/Root"]
    (document,) = _kids(root["/StructTreeRoot"])
    return _element(document.get_object(), texts, 0)


def artifacts_of(pdf: bytes) -> str:
    """The text that is not read aloud."""
    reader = PdfReader(io.BytesIO(pdf))
    return "".join(_marked(page, reader).get(-1, "") for page in reader.pages)


def _kids(node: Any) -> list[Any]:
    kids = node.get("/K", [])
    kids = kids.get_object() if hasattr(kids, "get_object") else kids
    return list(kids) if isinstance(kids, list) else [kids]


def _element(node: Any, texts: dict[int, dict[int, str]], page: int) -> Element:
    page = node.raw_get("/Pg").idnum if "/Pg" in node else page
    inside: list[Element] = []
    element = Element(str(node["/S"])[1:], "", str(node.get("/Alt", "")), _attributes(node), inside)
    for kid in _kids(node):
        one = kid.get_object() if hasattr(kid, "get_object") else kid
        if isinstance(one, int):
            inside.append(Element("text", texts[page].get(one, ""), "", {}, []))
        elif one.get("/Type") == "/MCR":
            where = one.raw_get("/Pg").idnum if "/Pg" in one else page
            inside.append(Element("text", texts[where].get(int(one["/MCID"]), ""), "", {}, []))
        elif "/S" in one:
            inside.append(_element(one, texts, page))
    return element


def _attributes(node: Any) -> dict[str, Any]:
    given = node.get("/A", [])
    given = given if isinstance(given, list) else [given]
    return {str(name)[1:]: value for one in given for name, value in one.get_object().items()} | (
        {"ID": str(node["/ID"])} if "/ID" in node else {}
    )


def _marked(page: PageObject, reader: PdfReader) -> dict[int, str]:
    """The text of each marked piece of a page; -1 is what is an artifact."""
    fonts: Any = page["/Resources"]["/Font"]  # type: ignore[index]
    maps = {name: _letters(fonts[name]["/ToUnicode"].get_data().decode()) for name in fonts}
    texts: dict[int, str] = {}
    stack: list[int] = []
    letters: dict[int, str] = {}
    for operands, operator in ContentStream(page.get_contents(), reader).operations:
        if operator == b"Tf":
            letters = maps[operands[0]]
        elif operator == b"BDC":
            stack.append(int(operands[1]["/MCID"]) if "/MCID" in operands[1] else -1)
        elif operator == b"BMC":
            stack.append(-1)
        elif operator == b"EMC":
            stack.pop()
        elif operator in (b"Tj", b"TJ"):
            pieces = operands[0] if operator == b"TJ" else operands
            codes = b"".join(_bytes(piece) for piece in pieces if not isinstance(piece, int | float))
            shown = "".join(
                letters.get(int.from_bytes(codes[at : at + 2], "big"), "") for at in range(0, len(codes), 2)
            )
            mark = next((one for one in reversed(stack) if one >= 0), -1)
            texts[mark] = texts.get(mark, "") + shown
    return texts


def _bytes(piece: Any) -> bytes:
    return piece if isinstance(piece, bytes) else bytes(piece.original_bytes)


def _letters(table: str) -> dict[int, str]:
    """A ToUnicode table, as the typesetter writes it."""
    found = {}
    for block in re.findall(r"beginbfchar(.*?)endbfchar", table, re.S):
        for code, text in re.findall(r"<(\w+)>\s*<(\w+)>", block):
            found[int(code, 16)] = bytes.fromhex(text).decode("utf-16-be")
    for block in re.findall(r"beginbfrange(.*?)endbfrange", table, re.S):
        for first, last, text in re.findall(r"<(\w+)>\s*<(\w+)>\s*<(\w+)>", block):
            start = int.from_bytes(bytes.fromhex(text), "big")
            for code in range(int(first, 16), int(last, 16) + 1):
                found[code] = chr(start + code - int(first, 16))
    return found
