"""查验: whoever holds a file can ask whether it is whole; no login, nothing stored."""

from __future__ import annotations

import httpx
import pytest

from piaoma.desk.config import Config
from tests.conftest import Shop
from tests.web.browsing import browse, issue_by_pages


async def files(client: httpx.AsyncClient, shop: Shop) -> dict[str, bytes]:
    code = await shop.code()
    await issue_by_pages(client, code.token)
    return {kind: (await client.get(f"/s/{code.token}/file/{kind}")).content for kind in ("xml", "pdf", "ofd")}


async def asked(client: httpx.AsyncClient, data: bytes) -> str:
    answer = await client.post("/verify/photo", files={"photo": ("a", data)})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_genuine_file_passes_and_says_that_it_is_a_sample(config: Config) -> None:
    """XML, and PDF and OFD with the XML inside."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        for data in (await files(client, shop)).values():
            page = await asked(client, data)
            assert "通过" in page and "测试样票" in page and "¥58.00" in page

    browse(config, story)


@pytest.mark.parametrize("kind", ["xml", "pdf", "ofd"])
def test_an_altered_file_does_not(config: Config, kind: str) -> None:
    """A changed amount in the XML; a PDF that shows something else around the genuine original."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        data = (await files(client, shop))[kind]
        altered = data.replace(b"58.00", b"98.00") if kind == "xml" else data + b"%"
        assert altered != data
        page = await asked(client, altered)
        if kind != "pdf":
            assert "不通过" in page and ("SIGNATURE-" if kind == "xml" else "OFD-UNREADABLE") in page
        else:
            assert "此处无法判断" in page and "VIEW-DIFFERS" in page
        assert 'class="state good"' not in page

    browse(config, story)


def test_what_cannot_be_known_is_not_guessed(config: Config) -> None:
    """A foreign PDF without an original; anything at all."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        assert "此处无法判断" in await asked(client, b"%PDF-1.7\n%%EOF")
        assert "不通过" in await asked(client, b"<a/>")
        assert (await client.post("/verify/photo", files={"photo": ("a", b"")})).status_code < 500

    browse(config, story)
