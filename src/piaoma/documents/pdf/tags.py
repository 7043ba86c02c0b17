"""The structure of a document (ISO 32000-1 §14.7): what each piece of a page is, in the order of reading aloud.

An element is one object of the file. Cells of a table name the cell that heads their column.
"""

from __future__ import annotations

from collections.abc import Sequence


class Element:
    """An element: its tag, further entries, and what is in it: elements, or one marked piece of a page."""

    __slots__ = ("begin", "end", "inside", "number", "tag")

    def __init__(self, number: int, tag: str, parent: int, entries: str) -> None:
        self.number, self.tag = number, tag
        self.begin, self.inside, self.end = f"<</S/{tag}/P {parent} 0 R{entries}/K[", "", "]>>"

    def object(self) -> bytes:
        """As it is written."""
        return f"{self.begin}{self.inside}{self.end}".encode()


class Tags:
    """The elements of a document, numbered as objects from ``first``, below the tree's root, which is the object
    ``root``. The first element is the document itself."""

    def __init__(self, root: int, first: int) -> None:
        self._first = first
        self._elements: list[Element] = []
        self._heads: dict[str, int] = {}  # cells that head a column, by their names
        self._pages: list[list[int]] = []  # to which element each marked piece of a page belongs
        self._marked: list[int] = []  # of the page that is being drawn
        self._page = ""  # how an element ends that is on it
        self.document = self._new("Document", root, "")

    def begin_page(self, page: int) -> None:
        """What is marked from now on is on that page, an object."""
        self._page = f"]/Pg {page} 0 R>>"
        self._marked = []
        self._pages.append(self._marked)

    def add(self, tag: str, parent: Element | None = None, entries: str = "") -> Element:
        """An element at the end of another one, or of the document."""
        parent = parent or self.document
        element = self._new(tag, parent.number, entries)
        parent.inside += f"{element.number} 0 R "
        return element

    def add_head(self, row: Element, name: str) -> Element:
        """A cell that heads a column, for those who name it."""
        element = self.add("TH", row, f"/ID({name})/A<</O/Table/Scope/Column>>")
        self._heads[name] = element.number
        return element

    def add_cell(self, row: Element, head: str) -> Element:
        """A cell below such a one."""
        return self.add("TD", row, f"/A<</O/Table/Headers[({head})]>>")

    def mark(self, element: Element) -> int:
        """The next marked piece of the page is what that element is; its number on the page."""
        number = len(self._marked)
        self._marked.append(element.number)
        element.inside, element.end = str(number), self._page
        return number

    def root(self) -> bytes:
        """The root of the tree."""
        pages = "".join([f"{place}[{_references(marked)}]" for place, marked in enumerate(self._pages)])
        heads = "".join([f"({name}){number} 0 R" for name, number in sorted(self._heads.items())])
        return (
            f"<</Type/StructTreeRoot/K[{self.document.number} 0 R]/ParentTree<</Nums[{pages}]>>"
            f"/ParentTreeNextKey {len(self._pages)}/IDTree<</Names[{heads}]>>>>"
        ).encode()

    def objects(self) -> list[bytes]:
        """All elements."""
        return [element.object() for element in self._elements]

    def _new(self, tag: str, parent: int, entries: str) -> Element:
        element = Element(self._first + len(self._elements), tag, parent, entries)
        self._elements.append(element)
        return element


def _references(numbers: Sequence[int]) -> str:
    return " ".join([f"{number} 0 R" for number in numbers])
