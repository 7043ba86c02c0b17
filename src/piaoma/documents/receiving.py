"""Receiving invoices (收票): the same number twice, somebody else's title; and checking in a worker that may fail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog

from piaoma.invoice.refusal import Language, Refusal
from piaoma.invoice.taxpayer_id import normalise
from piaoma.trust import Verdict

from .facts import Facts, bare
from .report import Item, Light, Report, item, platform_fields
from .workers import WorkerFailed

_log = structlog.get_logger("piaoma.verify")


class Company(msgspec.Struct, frozen=True):
    """Whose invoices are received. Either may be empty, not both."""

    name: str
    taxpayer_id: str


class Batch:
    """Files that are checked together: which number stood in which of them first."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}

    def seen(self, report: Report, file: str) -> Item | None:
        """The item about duplicates; None when no number is known."""
        key = key_of(report.facts)
        if not key:
            return None
        first = self._first.setdefault(key, file)
        if first == file:
            return item("seen", form="batch")
        return item("seen", (Refusal("SEEN-IN-BATCH", "", {"have": first[:80]}),), Light.WARN)


def key_of(facts: Facts) -> str:
    """What makes an invoice one and the same: its number, before 数电票 with its code. Empty when unknown."""
    return f"{facts.code}{facts.number}" if facts.number else ""


def seen_before(first: datetime, times: int) -> Item:
    """The item of a number that was checked earlier."""
    values = {"when": f"{first:%Y-%m-%d %H:%M}", "times": str(times)}
    return item("seen", (Refusal("SEEN-BEFORE", "", values),), Light.WARN)


def held_item(booked_at: datetime, who: str, voucher: str) -> Item:
    """The item of a number that the receiver has booked (已入账): a second claim."""
    values = {"when": f"{booked_at:%Y-%m-%d %H:%M}", "who": who, "voucher": voucher}
    return item("seen", (Refusal("RECEIVED-BOOKED", "", values),), Light.WARN)


def title_item(facts: Facts, own: Company) -> Item:
    """Whether an invoice is made out to one's own company (是否本公司抬头): by id, or by name where there is no id."""
    stated, known = normalise(facts.buyer_id), normalise(own.taxpayer_id)
    if stated and known and "*" not in stated:
        same = stated == known
    elif facts.buyer_name and own.name:
        same = bare(facts.buyer_name) == bare(own.name)
    else:
        return item("title", (Refusal("BUYER-NOT-KNOWN"),), Light.UNKNOWN)
    other = Refusal("BUYER-OTHER", "", {"have": (facts.buyer_name or facts.buyer_id)[:80]})
    return item("title", () if same else (other,), Light.WARN)


def offline_items() -> list[Item]:
    """What a file alone cannot tell."""
    return [
        item("log", (Refusal("LOG-NOT-ASKED"),), Light.UNKNOWN),
        item("red", (Refusal("RED-NOT-KNOWN"),), Light.UNKNOWN),
    ]


def settled(result: Callable[[], Report]) -> Report:
    """What a check in a worker came to. A file that it died of is refused, and one that it tripped over is told."""
    from .check import unreadable

    try:
        return result()
    except WorkerFailed as failed:
        return unreadable((Refusal("FILE-LIMIT", "", {"have": failed.reason}),))
    except Exception:  # one bad file never stops a batch; the trace is what a bug needs
        _log.exception("check")
        return unreadable((Refusal("FILE-FAILED"),))


class Told(msgspec.Struct, frozen=True):
    """One item in words."""

    name: str
    label: str
    light: Light
    said: str
    remedy: str
    causes: tuple[str, ...]


class Result(msgspec.Struct, frozen=True):
    """A report as programs get it, on the command line and from the API."""

    file: str
    source: str
    verdict: Verdict
    number: str
    total: str
    signer: str
    sandbox: bool
    facts: Facts
    items: tuple[Told, ...]
    platform: dict[str, str]  # what to type at the national platform; empty when it need not be asked
    pickup: str = ""


def result_of(file: str, report: Report, language: Language = "zh") -> Result:
    """The report on a file in the words of a language."""
    items = tuple(
        Told(
            one.name,
            one.label(language),
            one.light,
            one.said(language),
            one.remedy(language),
            tuple(reason.cause for reason in one.reasons),
        )
        for one in report.items
    )
    facts, total = report.facts, report.facts.total
    return Result(
        file=file,
        source=report.source.value,
        verdict=report.verdict,
        number=facts.number,
        total="" if total is None else f"¥{total:.2f}",
        signer=report.signer,
        sandbox=facts.sandbox,
        facts=facts,
        items=items,
        platform=dict(platform_fields(facts)) if asks_platform(report) else {},
        pickup=report.pickup,
    )


def asks_platform(report: Report) -> bool:
    """Whether only the national platform can say more: an invoice of another system, of which something is known."""
    return report.verdict is Verdict.UNKNOWN and bool(report.facts.number) and not report.facts.sandbox
