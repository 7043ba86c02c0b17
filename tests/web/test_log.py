"""The public log over HTTP: a verifier that only knows its addresses rebuilds the tree, and learns nothing else."""

from __future__ import annotations

import base64
import hashlib

import httpx
import pytest

from piaoma.desk.config import Config
from piaoma.desk.log import sequence_once
from piaoma.trust import merkle
from piaoma.web.log import tile_path
from tests.conftest import COMPANY, Shop
from tests.store.test_log import issue
from tests.web.browsing import browse


def test_the_tree_is_rebuilt_from_what_is_public(config: Config) -> None:
    """258 leaves: a full tile with long caching, parts, entries that hash to their tile, and the signed root."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issue(shop, 258)
        while await sequence_once(shop.office):
            pass
        answer = await client.get("/log/checkpoint")
        assert answer.headers["content-type"].startswith("text/plain") and "no-cache" in answer.headers["cache-control"]
        checkpoint = shop.office.log_key.public.opened(answer.text)
        assert checkpoint.size == 258
        full = await client.get("/log/tile/0/000")
        assert len(full.content) == 256 * 32 and "immutable" in full.headers["cache-control"]
        assert "set-cookie" not in full.headers
        tiles = {
            (0, 0): full.content,
            (0, 1): (await client.get("/log/tile/0/001.p/2")).content,
            (1, 0): (await client.get("/log/tile/1/000.p/1")).content,
        }
        assert merkle.root(258, tiles) == checkpoint.root
        entries = (await client.get("/log/tile/entries/000")).content
        assert len(entries) == 256 * 34
        hashes = [merkle.leaf_hash(entries[at + 2 : at + 34]) for at in range(0, len(entries), 34)]
        assert b"".join(hashes) == full.content
        head = await client.head("/log/tile/0/000")
        assert head.status_code == 200 and head.content == b"" and head.headers["content-length"] == str(256 * 32)

    browse(config, story)


@pytest.mark.parametrize("path", [
    "checkpoint/x", "tile/", "tile/0", "tile/0/0", "tile/0/000", "tile/0/000.p/2", "tile/0/000.p/0", "tile/0/000.p/256",
    "tile/0/x000/000", "tile/0/x001/067", "tile/00/000", "tile/64/000.p/1", "tile/-1/000", "tile/entries/000",
    "tile/entries/000.p/2", "tile/0/../0/000", "tile/0/999.p/1", "tile/0/x999/x999/x999/x999/x999/999", "tile/٠/٠٠٠",
])  # fmt: skip
def test_what_is_not_there_is_404(config: Config, path: str) -> None:
    """Tiles beyond the tree, parts that are too wide, other ways to write an address: a page or a problem."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        await issue(shop, 1)
        await sequence_once(shop.office)
        assert (await client.get("/log/tile/0/000.p/1")).status_code == 200
        assert (await client.get(f"/log/{path}")).status_code == 404
        problem = await client.get(f"/log/{path}", headers={"accept": "application/json"})
        assert problem.status_code == 404 and problem.json()["cause"] == "PAGE-NOT-FOUND"
        assert (await client.post("/log/checkpoint")).status_code == 405

    browse(config, story)


def test_nothing_public_tells_an_invoice(config: Config) -> None:
    """Whoever knows an original to the byte cannot find it in the log without its salt; nor number, nor title."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        number = (await issue(shop))[0]
        await sequence_once(shop.office)
        public = b"".join(
            [(await client.get(f"/log/{path}")).content
             for path in ("checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1")]
        )  # fmt: skip
        row = (await shop.office.database.read("SELECT i.original, l.salt FROM invoices i, log_leaves l"))[0]
        digest = hashlib.sha256(row[0]).digest()
        known = [digest, hashlib.sha256(digest).digest(), merkle.leaf_hash(digest), bytes(row[1]), number.encode()]
        known += [COMPANY.name.encode(), COMPANY.taxpayer_id.encode(), shop.merchant.taxpayer_id.encode()]
        assert not any(form in public for value in known for form in (value, base64.b64encode(value)))
        # Control: with the salt, its holder does find it.
        assert merkle.leaf_hash(merkle.commitment(bytes(row[1]), digest)) in public

    browse(config, story)


def test_addresses_of_tiles_are_those_of_c2sp() -> None:
    """The example of the specification, and the ends of a group."""
    assert tile_path(0, 1234067) == "0/x001/x234/067"
    assert [tile_path(1, place) for place in (0, 999, 1000)] == ["1/000", "1/999", "1/x001/000"]
