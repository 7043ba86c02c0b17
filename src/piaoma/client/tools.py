"""What an assistant may do (助手工具): look up, draft, and issue what a person has confirmed; nothing else.

Each tool has a type for its arguments, from which its schema is made, and is one or two calls of REST v1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from piaoma import wire

from . import requests
from .piaoma import Piaoma

DRAFTS_MAX = 50  # kept for issuing; the oldest is forgotten
LISTED_MAX = 20  # invoices or codes told at once

Text = Annotated[str, Meta(max_length=100)]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
# Asks the person in front of the assistant; None when the assistant has no way to.
AskPerson = Callable[[str], bool | None]


class FindInvoices(wire.Sent, frozen=True, kw_only=True):
    """Words (number, buyer, goods, remark) and days; all may be left out."""

    q: Text = ""
    since: Day | None = None
    until: Day | None = None


class OneInvoice(wire.Sent, frozen=True):
    """An invoice by its number of twenty digits."""

    number: Text


class FindCodes(wire.Sent, frozen=True, kw_only=True):
    """Words; all may be left out."""

    q: Text = ""


class IssueDraft(wire.Sent, frozen=True, kw_only=True):
    """A draft that was shown. ``total`` is what the person typed or said to confirm it."""

    draft_id: Text
    total: Text = ""


class Tool(msgspec.Struct, frozen=True):
    """A tool: its name, what it is for, the type of its arguments, whether it changes anything."""

    name: str
    about: str
    arguments: type[wire.Sent]
    changes: bool = False

    @property
    def described(self) -> dict[str, Any]:
        """As the protocol lists it."""
        schema = msgspec.json.schema(self.arguments)
        inner = schema.pop("$ref").rpartition("/")[2]
        whole = {**schema["$defs"].pop(inner), **schema}
        hints = {"readOnlyHint": not self.changes, "destructiveHint": self.changes, "idempotentHint": True,
                 "openWorldHint": self.changes}  # fmt: skip
        return {"name": self.name, "description": self.about, "inputSchema": whole, "annotations": hints}


TOOLS = (
    Tool("find_invoices", "Find issued invoices 查找发票, newest first, with count and sum over all.", FindInvoices),
    Tool("get_invoice", "One invoice 查看发票: parties, amounts, whether it was taken back.", OneInvoice),
    Tool("find_codes", "Codes 二维码 and whether their customers have issued.", FindCodes),
    Tool("list_goods", "The shop's goods 商品库 with classification codes and rates, for drafting.", wire.Nothing),
    Tool("get_quota", "This month's quota 额度: limit, issued, left.", wire.Nothing),
    Tool(
        "draft_invoice",
        "Draft an invoice 起草发票: checks every rule and gives the figures and a draft_id. Nothing is issued. Show"
        " buyer, taxpayer id, lines and total to the person.",
        wire.NewInvoice,
    ),
    Tool(
        "issue_invoice",
        "Issue a draft 开具. Only after the person has seen the draft and confirmed it; they are asked once more."
        " Without a way to ask them, pass the total exactly as they typed it. It cannot be undone, only taken back by a"
        " red invoice.",
        IssueDraft,
        changes=True,
    ),
)


class Desk:
    """The tools of one session, over one client."""

    def __init__(self, piaoma: Piaoma, ask: AskPerson) -> None:
        self._piaoma = piaoma
        self._ask = ask
        self._drafts: dict[str, tuple[wire.NewInvoice, wire.Preview]] = {}

    def use(self, name: str, arguments: Any) -> dict[str, Any]:
        """What a tool gives. Raises ``KeyError`` for an unknown one, ``msgspec.ValidationError`` for its arguments,
        ``NotConfirmed``, and what the client raises."""
        tool = {one.name: one for one in TOOLS}[name]
        asked = msgspec.convert(arguments, tool.arguments)
        handler: Callable[[Any], dict[str, Any]] = getattr(self, f"_{name}")
        return handler(asked)

    def _find_invoices(self, asked: FindInvoices) -> dict[str, Any]:
        found = self._piaoma.do(requests.invoices(asked.q, asked.since or "", asked.until or ""))
        told = _plain(found)
        return {"count": found.count, "total": found.total, "newest": told["items"][:LISTED_MAX]}

    def _get_invoice(self, asked: OneInvoice) -> dict[str, Any]:
        return _plain(self._piaoma.invoice(asked.number))

    def _find_codes(self, asked: FindCodes) -> dict[str, Any]:
        return {"newest": _plain(self._piaoma.do(requests.codes(asked.q)))["items"][:LISTED_MAX]}

    def _list_goods(self, asked: wire.Nothing) -> dict[str, Any]:
        return {"goods": [_plain(one) for one in self._piaoma.goods()]}

    def _get_quota(self, asked: wire.Nothing) -> dict[str, Any]:
        return _plain(self._piaoma.quota())

    def _draft_invoice(self, asked: wire.NewInvoice) -> dict[str, Any]:
        figures = self._piaoma.preview(asked)
        # What is issued is what was drafted: the draft stays here, and its id is made from all of it.
        draft_id = "draft-" + hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:24]
        self._drafts.pop(draft_id, None)
        self._drafts[draft_id] = (asked, figures)
        if len(self._drafts) > DRAFTS_MAX:
            self._drafts.pop(next(iter(self._drafts)))
        return {"draft_id": draft_id, "figures": _plain(figures), "buyer": _plain(asked.buyer), "issued": False}

    def _issue_invoice(self, asked: IssueDraft) -> dict[str, Any]:
        if asked.draft_id not in self._drafts:
            raise NotConfirmed("There is no such draft in this session; draft it again and show it to the person.")
        draft, figures = self._drafts[asked.draft_id]
        who = f"{draft.buyer.name} {draft.buyer.taxpayer_id}".strip()
        agreed = self._ask(f"开具发票？Issue this invoice?  {who}  ¥{figures.total}  {figures.total_in_words}")
        if agreed is None:
            agreed = asked.total.replace("¥", "").replace(",", "").strip() == figures.total
        if not agreed:
            raise NotConfirmed("The person has not confirmed it. Nothing was issued.")
        issued = self._piaoma.issue(draft, key=f"mcp-{asked.draft_id}")
        return _plain(issued)


class NotConfirmed(Exception):
    """Nobody has agreed to what was to be done; nothing was."""


def _plain(value: msgspec.Struct) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(value)
    return told
