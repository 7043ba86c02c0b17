"""The hash tree of the transparency log (透明日志): RFC 6962 over tiles of 256 hashes (C2SP tlog-tiles), pure.

A tree is known by its tiles. Entry *i* of a tile row at level *l* is the root of the 256**l leaves that begin at
i·256**l, there as soon as all of them are. A tile only grows at its end, so what was proven from it stays proven.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_HASHES_MAX = 1 << TILE_HEIGHT
FOLDED_MAX = 1_024  # roots of parts of tiles that are remembered
EMPTY_ROOT = hashlib.sha256(b"").digest()

Coordinate = tuple[int, int]  # (level, place in the row) of a tile
Tiles = Mapping[Coordinate, bytes]  # hashes one after the other
Node = tuple[int, int]  # (height, place in the row) of a subtree with all its leaves

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    """What the tree holds of a leaf. The first byte keeps leaves and nodes apart."""
    return _sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash above two."""
    return _sha256(b"\x01" + left + right).digest()


def commitment(salt: bytes, digest: bytes) -> bytes:
    """The data of an invoice's leaf. Whoever has no salt learns nothing from it, not even by guessing invoices."""
    assert len(salt) == HASH_BYTES and len(digest) == HASH_BYTES, "both have one length, so where they meet is known"
    return _sha256(salt + digest).digest()


def width(coordinate: Coordinate, size: int) -> int:
    """How many hashes a tile has when the tree has so many leaves."""
    level, place = coordinate
    entries = size >> (TILE_HEIGHT * level)
    return max(0, min(TILE_HASHES_MAX, entries - place * TILE_HASHES_MAX))


def edge(size: int) -> list[Coordinate]:
    """The tiles at the right end of a tree that has so many leaves: those that the next leaves change."""
    found = []
    level, entries = 0, size
    while entries or level == 0:
        if entries % TILE_HASHES_MAX:
            found.append((level, entries // TILE_HASHES_MAX))
        level, entries = level + 1, entries // TILE_HASHES_MAX
    return found


def grown(size: int, tiles: Tiles, leaves: Iterable[bytes]) -> dict[Coordinate, bytes]:
    """The tiles that change when these leaf hashes follow the ``size`` that are there. ``tiles`` hold the edge."""
    changed: dict[Coordinate, bytearray] = {}
    entries = [size]
    for leaf in leaves:
        level, value = 0, leaf
        while True:
            if level == len(entries):
                entries.append(entries[level - 1] // TILE_HASHES_MAX - 1)
            place = entries[level] // TILE_HASHES_MAX
            tile = changed.get((level, place))
            if tile is None:
                tile = changed[(level, place)] = bytearray(
                    tiles[(level, place)] if entries[level] % TILE_HASHES_MAX else b""
                )
                assert len(tile) == entries[level] % TILE_HASHES_MAX * HASH_BYTES, "the edge is the tree's"
            tile += value
            entries[level] += 1
            if entries[level] % TILE_HASHES_MAX:
                break
            level, value = level + 1, _folded(bytes(tile))
    return {coordinate: bytes(tile) for coordinate, tile in changed.items()}


@lru_cache(maxsize=FOLDED_MAX)
def _folded(hashes: bytes) -> bytes:
    """The root over a power of two of hashes. Proofs of many leaves share what is far above them."""
    while len(hashes) > HASH_BYTES:
        pairs = range(0, len(hashes), 2 * HASH_BYTES)
        hashes = b"".join([_sha256(b"\x01" + hashes[at : at + 2 * HASH_BYTES]).digest() for at in pairs])
    return hashes


def _nodes(first: int, after: int) -> list[Node]:
    """The whole subtrees, left to right, of a range of leaves that begins at a multiple of its largest one."""
    found = []
    while first < after:
        height = (after - first).bit_length() - 1
        assert first % (1 << height) == 0, "a range begins where a subtree does"
        found.append((height, first >> height))
        first += 1 << height
    return found


def _split(count: int) -> int:
    """The largest power of two below a count of at least two."""
    return 1 << (count - 1).bit_length() - 1


def _inclusion_ranges(index: int, size: int) -> list[list[Node]]:
    """What each hash of an inclusion proof is the root of, lowest first (RFC 6962 §2.1.1)."""
    first, after = 0, size
    found: list[list[Node]] = []
    while after - first > 1:
        middle = first + _split(after - first)
        if index < middle:
            found.append(_nodes(middle, after))
            after = middle
        else:
            found.append(_nodes(first, middle))
            first = middle
    return found[::-1]


def _consistency_ranges(older: int, size: int) -> list[list[Node]]:
    """The same of a consistency proof (RFC 6962 §2.1.2)."""
    first, after = 0, size
    found: list[list[Node]] = []
    while older != after:
        middle = first + _split(after - first)
        if older <= middle:
            found.append(_nodes(middle, after))
            after = middle
        else:
            found.append(_nodes(first, middle))
            first = middle
    if first:
        found.append(_nodes(first, after))
    return found[::-1]


def _place(node: Node) -> tuple[Coordinate, int, int]:
    """The tile that a node is worked out from, the first hash there and how many."""
    height, index = node
    level, within = divmod(height, TILE_HEIGHT)
    entry = index << within
    return (level, entry >> TILE_HEIGHT), entry % TILE_HASHES_MAX, 1 << within


def _tiles_of(ranges: Iterable[Sequence[Node]]) -> set[Coordinate]:
    return {_place(node)[0] for nodes in ranges for node in nodes}


def tiles_for_inclusion(index: int, size: int) -> set[Coordinate]:
    """The tiles that ``inclusion_proof`` reads."""
    return _tiles_of(_inclusion_ranges(index, size))


def tiles_for_consistency(older: int, size: int) -> set[Coordinate]:
    """The tiles that ``consistency_proof`` reads."""
    return _tiles_of(_consistency_ranges(older, size)) if older else set()


def tiles_for_root(size: int) -> set[Coordinate]:
    """The tiles that ``root`` reads."""
    return _tiles_of([_nodes(0, size)])


def _hash_of(nodes: Sequence[Node], tiles: Tiles) -> bytes:
    """The root over subtrees of falling size, as RFC 6962 joins them: from the right."""
    result = b""
    for node in reversed(nodes):
        coordinate, first, count = _place(node)
        hashes = tiles[coordinate][first * HASH_BYTES : (first + count) * HASH_BYTES]
        assert len(hashes) == count * HASH_BYTES, "a tile ends before the tree does"
        value = _folded(hashes)
        result = node_hash(value, result) if result else value
    return result


def root(size: int, tiles: Tiles) -> bytes:
    """The hash over the first ``size`` leaves."""
    return _hash_of(_nodes(0, size), tiles) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, tiles: Tiles) -> list[bytes]:
    """That leaf ``index`` is in the tree of ``size`` leaves."""
    assert 0 <= index < size, "the leaf is in the tree"
    return [_hash_of(nodes, tiles) for nodes in _inclusion_ranges(index, size)]


def consistency_proof(older: int, size: int, tiles: Tiles) -> list[bytes]:
    """That the tree of ``size`` leaves begins with the tree of ``older``. Nothing needs proof for an empty one."""
    assert 0 <= older <= size, "a tree only grows"
    return [_hash_of(nodes, tiles) for nodes in _consistency_ranges(older, size)] if older else []


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to from a leaf's hash; None when it has the wrong length (RFC 9162
    §2.1.3.2)."""
    if not 0 <= index < size:
        return None
    place, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return None
        if place & 1 or place == last:
            result = node_hash(sibling, result)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        place, last = place >> 1, last >> 1
    return result if last == 0 else None


def is_consistent(older: int, older_root: bytes, size: int, size_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a consistency proof shows that one tree begins with the other (RFC 9162 §2.1.4.2)."""
    if not 0 <= older <= size:
        return False
    if older in (0, size):
        return not proof and older_root == (size_root if older == size else EMPTY_ROOT)
    path = list(proof)
    if older & (older - 1) == 0:
        path.insert(0, older_root)
    if not path:
        return False
    place, last = older - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and first == older_root and second == size_root
