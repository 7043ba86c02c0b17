"""``piaoma mcp``: an assistant's way to a server, by a key of the merchant."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import piaoma


def mcp(url: str) -> int:
    """Serve on standard input and output until the other side closes. The key comes by the environment alone, so that
    it stands in no list of processes."""
    key = os.environ.get("PIAOMA_KEY", "")
    if not key:
        print("PIAOMA_KEY is not set: a key from the console, under 接口", file=sys.stderr)
        return 2
    if find_spec("httpx") is None:
        print("piaoma mcp needs httpx: pip install 'piaoma[client]'", file=sys.stderr)
        return 2
    from piaoma.client.assistant import Assistant
    from piaoma.client.piaoma import Piaoma

    with Piaoma(url, key) as client:
        Assistant(client, piaoma.__version__, sys.stdin.buffer, sys.stdout.buffer).run()
    return 0
