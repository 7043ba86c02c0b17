"""Reading an OFD from anywhere: its original, the values that CustomTags name, the text of its pages.

Tolerated (ofd-and-pdf.md §1 [C]): a BOM, paths that begin at the root or at the file that holds them, ids that stand
twice, a further document, tags of other names.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator, Mapping

import msgspec
from lxml import etree

from piaoma.invoice.refusal import Refused, refuse

from .opening import Package, open_package

PAGES_MAX = 4_000  # whose text is read
_SAME_ROW = 1.5  # millimetres: texts whose tops differ by less stand in one row

_ORIGINAL_ROOT = b"<EInvoice"
_ROOT_BYTES = 400


Piece = tuple[float, float, str]  # top and left in millimetres, and the text that begins there


class Document(msgspec.Struct, frozen=True):
    """What an OFD holds. ``values`` are those of CustomTags, each as often as it stands."""

    package: Package
    original: bytes | None
    creator: str
    creator_version: str
    facts: dict[str, str]
    values: dict[str, tuple[str, ...]]
    pieces: tuple[list[Piece], ...]  # texts of each page, with the labels of its template
    signatures: str  # the part that lists its seals; empty when there is none

    @property
    def text(self) -> tuple[str, ...]:
        """The text of each page, row by row; worked out when asked for: judging a sealed file does not need it."""
        return tuple(map(_rows, self.pieces))


def read_ofd(data: bytes) -> Document:
    """The document in an OFD. Raises ``Refused`` OFD-UNREADABLE, OFD-TOO-LARGE."""
    package = open_package(data)
    bodies = list(elements(package.xml("OFD.xml"), "DocBody"))
    if len(bodies) != 1:
        raise refuse("OFD-UNREADABLE", have=f"{len(bodies)} documents")
    body = bodies[0]
    root = place_of("OFD.xml", inner(body, "DocRoot"), package)
    document = package.xml(root)
    pages = [
        (page.get("ID", ""), place_of(root, page.get("BaseLoc", ""), package))
        for page in elements(document, "Page")
        if page.get("BaseLoc")
    ]
    if len(pages) > PAGES_MAX:
        raise refuse("OFD-TOO-LARGE", have=f"{len(pages)} pages", max=PAGES_MAX)
    templates = {
        one.get("ID", ""): place_of(root, one.get("BaseLoc", ""), package)
        for one in elements(document, "TemplatePage")
        if one.get("BaseLoc")
    }
    objects, pieces = _texts(package, pages, templates)
    signatures = inner(body, "Signatures")
    return Document(
        package=package,
        original=_original(package),
        creator=inner(body, "Creator"),
        creator_version=inner(body, "CreatorVersion"),
        facts={one.get("Name", ""): (one.text or "").strip() for one in elements(body, "CustomData")},
        values=_values(package, root, document, objects),
        pieces=pieces,
        signatures=place_of("OFD.xml", signatures, package) if signatures else "",
    )


def elements(root: etree._Element, name: str) -> Iterator[etree._Element]:
    """Elements of a local name, whatever their namespace."""
    return root.iter(f"{{*}}{name}")


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _parent(element: etree._Element) -> str:
    parent = element.getparent()
    return "" if parent is None else _local(parent)


def inner(root: etree._Element, name: str) -> str:
    """The text of the first element of that name."""
    found = next(elements(root, name), None)
    return "" if found is None else (found.text or "").strip()


def place_of(holder: str, path: str, package: Package) -> str:
    """The part that a path names: from the root when it begins with ``/``, else from its holder's folder; some
    producers leave the ``/`` out."""
    if path.startswith("/"):
        return posixpath.normpath(path.lstrip("/"))
    near = posixpath.normpath(posixpath.join(posixpath.dirname(holder), path))
    plain = posixpath.normpath(path)
    return near if near in package.parts or plain not in package.parts else plain


def _original(package: Package) -> bytes | None:
    """The one part that is the XML of an e-invoice; None when there are several, which nobody could choose from."""
    found = [
        data for name, data in package.parts.items() if name.endswith(".xml") and _ORIGINAL_ROOT in data[:_ROOT_BYTES]
    ]
    return found[0] if len(found) == 1 else None


def _texts(
    package: Package, pages: list[tuple[str, str]], templates: Mapping[str, str]
) -> tuple[dict[tuple[str, str], str], tuple[list[Piece], ...]]:
    """The text of each object by page and id, and the pieces of each page, with the labels of its template."""
    objects: dict[tuple[str, str], str] = {}
    texts, labels = [], dict[str, list[Piece]]()
    for page, part in pages:
        root = package.xml(part)
        pieces: list[Piece] = []
        for identifier, piece in _pieces(root):
            objects.setdefault((page, identifier), piece[2])
            pieces.append(piece)
        for template in {one.get("TemplateID", "") for one in elements(root, "Template")} & set(templates):
            if template not in labels:
                labels[template] = [piece for _, piece in _pieces(package.xml(templates[template]))]
            pieces += labels[template]
        texts.append(pieces)
    return objects, tuple(texts)


def _pieces(root: etree._Element) -> Iterator[tuple[str, Piece]]:
    """(id, place and text) of each text of a page."""
    for one in elements(root, "TextObject"):
        text = "".join(code.text or "" for code in elements(one, "TextCode"))
        yield one.get("ID", ""), (*_corner(one.get("Boundary", "")), text)


def _corner(boundary: str) -> tuple[float, float]:
    """(y, x) of a box."""
    try:
        x, y = (float(part) for part in boundary.split()[:2])
    except ValueError:
        return 0.0, 0.0
    return y, x


def _rows(pieces: list[Piece]) -> str:
    """Texts by their place: rows from the top, each from the left."""
    rows: list[list[tuple[float, str]]] = []
    top = float("-inf")
    for y, x, text in sorted(pieces):
        if y - top > _SAME_ROW:
            rows.append([])
            top = y
        rows[-1].append((x, text))
    return "\n".join(" ".join(text for _, text in sorted(row)) for row in rows)


def _values(
    package: Package, root: str, document: etree._Element, objects: dict[tuple[str, str], str]
) -> dict[str, tuple[str, ...]]:
    """What CustomTags say; a tag file that cannot be read says nothing."""
    index = inner(document, "CustomTags")
    values: defaultdict[str, list[str]] = defaultdict(list)
    if not index:
        return {}
    try:
        place = place_of(root, index, package)
        for location in elements(package.xml(place), "FileLoc"):
            tags = package.xml(place_of(place, (location.text or "").strip(), package))
            for tag in tags.iter():
                references = [one for one in tag if isinstance(one.tag, str) and _local(one) == "ObjectRef"]
                if references and _parent(tag) != "GoodsInfo":
                    found = [objects.get((one.get("PageRef", ""), (one.text or "").strip()), "") for one in references]
                    values[_local(tag)].append("".join(found))
    except Refused as refused:
        if any(refusal.cause == "OFD-TOO-LARGE" for refusal in refused.refusals):
            raise
    return {name: tuple(found) for name, found in values.items()}
