"""The Model Context Protocol over standard input and output: one JSON-RPC message a line, one assistant, one person.

The part of the protocol that tools need: initialize, ping, tools/list, tools/call, and elicitation to ask the person.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from .calls import Refused, Unreachable
from .piaoma import Piaoma
from .tools import TOOLS, Desk, NotConfirmed

VERSIONS = ("2025-06-18", "2025-03-26", "2024-11-05")  # newest first; what an assistant asks for is spoken if known
LINE_BYTES_MAX = 4 * 1024 * 1024
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
_ABOUT = (
    "Piaoma issues Chinese e-invoices (数电票). Look up freely. To issue: draft, show the person buyer, taxpayer id,"
    " lines and total, and issue only what they confirmed."
)


class Assistant:
    """One conversation."""

    def __init__(self, piaoma: Piaoma, version: str, lines: BinaryIO, out: BinaryIO) -> None:
        self._version = version
        self._out = out
        self._lines = self._read(lines)
        self._waiting: list[dict[str, Any]] = []  # what came while a person was asked
        self._numbers = itertools.count(1)
        self._can_ask = False
        self._desk = Desk(piaoma, self._ask)

    def run(self) -> None:
        """Talk until the other side closes."""
        while (message := self._next()) is not None:
            self._take(message)

    def _read(self, lines: BinaryIO) -> Iterator[dict[str, Any]]:
        while line := lines.readline(LINE_BYTES_MAX + 1):
            try:
                if len(line) > LINE_BYTES_MAX:
                    raise ValueError("too long")
                message = msgspec.json.decode(line)
            except (ValueError, msgspec.DecodeError, RecursionError):
                self._fail(None, PARSE_ERROR, "not JSON, or too long")
                continue
            if isinstance(message, dict) and message.get("jsonrpc") == "2.0":
                yield message
            else:
                self._fail(None, INVALID_REQUEST, "not a message of JSON-RPC 2.0")

    def _next(self) -> dict[str, Any] | None:
        if self._waiting:
            return self._waiting.pop(0)
        return next(self._lines, None)

    def _take(self, message: dict[str, Any]) -> None:
        method, number = message.get("method"), message.get("id")
        if not isinstance(method, str) or "id" not in message:
            return  # a notification, or an answer that nobody waits for any more
        given = message.get("params")
        params: dict[str, Any] = given if isinstance(given, dict) else {}
        if method == "initialize":
            self._answer(number, self._initialize(params))
        elif method == "ping":
            self._answer(number, {})
        elif method == "tools/list":
            self._answer(number, {"tools": [tool.described for tool in TOOLS]})
        elif method == "tools/call":
            self._use(number, params)
        else:
            self._fail(number, NO_METHOD, f"unknown method {method[:60]}")

    def _initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        able = params.get("capabilities")
        self._can_ask = isinstance(able, dict) and "elicitation" in able
        asked = params.get("protocolVersion")
        return {
            "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "piaoma", "title": "票码 Piaoma", "version": self._version},
            "instructions": _ABOUT,
        }

    def _use(self, number: Any, params: dict[str, Any]) -> None:
        """Faults of the call are errors of the protocol; what the program refuses is for the assistant to read."""
        name = params.get("name")
        if name not in [tool.name for tool in TOOLS]:
            self._fail(number, INVALID_PARAMS, f"unknown tool {str(name)[:60]}")
            return
        try:
            told = self._desk.use(str(name), params.get("arguments") or {})
        except Refused as refused:
            self._answer(number, _refused(refused))
        except (Unreachable, NotConfirmed, msgspec.ValidationError) as error:
            self._answer(number, _told(f"{type(error).__name__}: {error}", failed=True))
        else:
            text = msgspec.json.encode(told).decode()
            self._answer(number, {**_told(text), "structuredContent": told})

    def _ask(self, question: str) -> bool | None:
        """Ask the person through the assistant; None when it cannot."""
        if not self._can_ask:
            return None
        number = f"ask-{next(self._numbers)}"
        schema = {
            "type": "object", "required": ["confirm"],
            "properties": {"confirm": {"type": "boolean", "title": "确认开具 · Confirm", "default": False}},
        }  # fmt: skip
        params = {"message": question, "requestedSchema": schema}
        self._send({"jsonrpc": "2.0", "id": number, "method": "elicitation/create", "params": params})
        for message in self._lines:
            if message.get("id") == number and "method" not in message:
                result = message.get("result")
                if not isinstance(result, dict) or result.get("action") != "accept":
                    return False
                content = result.get("content")
                return isinstance(content, dict) and content.get("confirm") is True
            self._waiting.append(message)
        return False

    def _answer(self, number: Any, result: dict[str, Any]) -> None:
        self._send({"jsonrpc": "2.0", "id": number, "result": result})

    def _fail(self, number: Any, code: int, why: str) -> None:
        self._send({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": why}})

    def _send(self, message: dict[str, Any]) -> None:
        self._out.write(msgspec.json.encode(message) + b"\n")
        self._out.flush()


def _told(text: str, *, failed: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": failed}


def _refused(refused: Refused) -> dict[str, Any]:
    """Every cause with what to do, for the assistant to mend or to tell."""
    lines = [f"{one.cause} {one.field}: {one.what} {one.remedy}" for one in refused.problem.errors]
    return _told("\n".join(lines) or str(refused), failed=True)
