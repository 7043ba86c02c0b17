"""The hash tree against the published vectors of RFC 6962's reference tests, and against its definition at any size."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piaoma.trust import merkle

# The eight leaves of the Certificate Transparency reference tests, the roots of the trees of 1 to 8 of them, and paths.
LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = [  # (leaf counted from zero, size, path)
    (0, 1, []),
    (0, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (5, 8, [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (1, 5, [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
]  # fmt: skip
CONSISTENT = [  # (older, size, proof)
    (1, 1, []),
    (1, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (6, 8, [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 5, [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
]  # fmt: skip


def tree_of(leaves: list[bytes]) -> dict[merkle.Coordinate, bytes]:
    return merkle.grown(0, {}, [merkle.leaf_hash(leaf) for leaf in leaves])


def by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return hashlib.sha256(b"\1" + by_definition(leaves[:middle]) + by_definition(leaves[middle:])).digest()


def unhex(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def test_the_published_roots() -> None:
    """Trees of no, one, … eight leaves."""
    tiles = tree_of(LEAVES)
    assert merkle.root(0, {}).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [merkle.root(size, tiles).hex() for size in range(1, 9)] == ROOTS


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_the_published_paths(index: int, size: int, path: list[str]) -> None:
    """An inclusion proof has just these hashes, and they lead to the root."""
    assert merkle.inclusion_proof(index, size, tree_of(LEAVES)) == unhex(path)
    led_to = merkle.root_from_inclusion(merkle.leaf_hash(LEAVES[index]), index, size, unhex(path))
    assert led_to is not None and led_to.hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("older", "size", "proof"), CONSISTENT)
def test_the_published_consistency(older: int, size: int, proof: list[str]) -> None:
    """A consistency proof has just these hashes, and they hold between the two roots."""
    assert merkle.consistency_proof(older, size, tree_of(LEAVES)) == unhex(proof)
    roots = [bytes.fromhex(ROOTS[older - 1]), bytes.fromhex(ROOTS[size - 1])]
    assert merkle.is_consistent(older, roots[0], size, roots[1], unhex(proof))


leaf_counts = st.integers(1, 700)


@settings(max_examples=60, deadline=None)
@given(st.data(), leaf_counts)
def test_proofs_hold_at_any_size_and_no_altered_one_does(data: st.DataObject, size: int) -> None:
    """Grown in uneven steps, the tiles give the defined root; every proof holds; a byte changed anywhere breaks it."""
    leaves = [f"leaf {number}".encode() for number in range(size)]
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    tiles: dict[merkle.Coordinate, bytes] = {}
    grown = 0
    while grown < size:
        step = data.draw(st.integers(1, size - grown), "step")
        edge = {coordinate: tiles[coordinate] for coordinate in merkle.edge(grown)}
        tiles |= merkle.grown(grown, edge, hashes[grown : grown + step])
        grown += step
    assert tiles == tree_of(leaves)
    index = data.draw(st.integers(0, size - 1), "index")
    older = data.draw(st.integers(0, size), "older")
    root, older_root = merkle.root(size, tiles), merkle.root(older, tiles)
    assert root == by_definition(leaves) and older_root == by_definition(leaves[:older])

    needed = {coordinate: tiles[coordinate] for coordinate in merkle.tiles_for_inclusion(index, size)}
    path = merkle.inclusion_proof(index, size, needed)
    assert merkle.root_from_inclusion(hashes[index], index, size, path) == root
    needed = {coordinate: tiles[coordinate] for coordinate in merkle.tiles_for_consistency(older, size)}
    proof = merkle.consistency_proof(older, size, needed)
    assert merkle.is_consistent(older, older_root, size, root, proof)

    def flipped(value: bytes) -> bytes:
        at = data.draw(st.integers(0, len(value) - 1), "byte")
        return value[:at] + bytes((value[at] ^ data.draw(st.integers(1, 255), "change"),)) + value[at + 1 :]

    for place in range(len(path)):
        altered = [*path[:place], flipped(path[place]), *path[place + 1 :]]
        assert merkle.root_from_inclusion(hashes[index], index, size, altered) != root
    assert merkle.root_from_inclusion(flipped(hashes[index]), index, size, path) != root
    for wrong in (path[:-1], [*path, hashes[0]]):
        if wrong != path:
            assert merkle.root_from_inclusion(hashes[index], index, size, wrong) != root
    for place in range(len(proof)):
        altered = [*proof[:place], flipped(proof[place]), *proof[place + 1 :]]
        assert not merkle.is_consistent(older, older_root, size, root, altered)
    assert not merkle.is_consistent(older, flipped(older_root), size, root, proof)
    assert not merkle.is_consistent(older, older_root, size, flipped(root), proof) or older == 0


def test_another_place_or_size_is_refused() -> None:
    """A proof for one leaf is none for its neighbour, nor for a tree that has no such leaf."""
    tiles = tree_of(LEAVES)
    path = merkle.inclusion_proof(5, 8, tiles)
    leaf = merkle.leaf_hash(LEAVES[5])
    assert merkle.root_from_inclusion(leaf, 4, 8, path) != merkle.root(8, tiles)
    assert merkle.root_from_inclusion(leaf, 8, 8, path) is None
    assert merkle.root_from_inclusion(leaf, -1, 8, path) is None
    assert not merkle.is_consistent(9, merkle.root(8, tiles), 8, merkle.root(8, tiles), [])


def test_a_commitment_depends_on_its_salt() -> None:
    """The same original under another salt is another leaf; salt and digest have fixed lengths."""
    digest = hashlib.sha256(b"x").digest()
    assert merkle.commitment(bytes(32), digest) != merkle.commitment(bytes(31) + b"\1", digest)
    with pytest.raises(AssertionError):
        merkle.commitment(b"", digest)
