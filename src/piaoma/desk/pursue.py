"""Pursuing open outcomes (核实): what a remote channel did with an intent, asked until it is known, never guessed.

An intent is called once. After that, and after every restart, its serial is asked for first; it is called again, under
the same serial, only when the channel says that it never got it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog

from piaoma.channels import OutcomeUnknown, RemoteAnswer, RemoteRequest, Unavailable
from piaoma.invoice.issued import PricedLine
from piaoma.invoice.original_reader import read
from piaoma.invoice.parties import Party
from piaoma.store import (
    Intent,
    IssueRequest,
    IssueState,
    Outcome,
    Sealed,
    WriteConflict,
    due_intents,
    find_intent,
    keep_waiting,
    settle_issued,
    settle_refused,
    settled,
)
from piaoma.trust import Verdict, verify_original

from . import failures
from .turns import take_turns

if TYPE_CHECKING:
    from .office import Office

TURN_SECONDS = 0.5
SAID_MAX = 200  # characters of what a channel said that are kept
_NUMBER = re.compile(r"\d{20}")

_log = structlog.get_logger("piaoma.pursue")


def serial_of(request: IssueRequest) -> str:
    """The serial (流水号) of a request towards the channel: the same for ever, and nobody else's."""
    return hashlib.sha256(f"{request.merchant_id}:{request.issue_key}".encode()).hexdigest()[:32]


async def pursue_for_ever(office: Office) -> None:
    """Ask after everything that is due, until cancelled."""
    await take_turns(_log, TURN_SECONDS, lambda: pursue_once(office))


async def pursue_once(office: Office) -> int:
    """One turn: take in what arrived by itself, then ask after what is due. The number of intents asked after."""
    for answer in await office.channel.arrived():
        request = await find_intent(office.database, answer.serial, serial_of)
        if request is None:
            # Settled before, as a rule; if not, somebody must look at it.
            _log.info("an answer came that nothing waits for", serial=answer.serial, number=answer.number)
        else:
            await _settle(office, request, answer)
    intents = await due_intents(office.database, office.now())
    for intent in intents:
        # One that cannot be dealt with must not keep the others waiting.
        try:
            await _pursue(office, intent)
        except Exception:
            _log.exception("pursuit of an intent", serial=serial_of(intent.request))
            await _wait(office, intent.request, IssueState.UNKNOWN)
    return len(intents)


async def first_call(office: Office, request: IssueRequest) -> Outcome:
    """Call the channel for an intent that was just stored."""
    return await _call(office, request)


async def _pursue(office: Office, intent: Intent) -> Outcome:
    try:
        seller = intent.request.draft.seller.taxpayer_id
        answer = await office.channel.query_result(serial_of(intent.request), seller)
    except OutcomeUnknown as unknown:
        return await _wait(office, intent.request, IssueState.UNKNOWN, unknown.said)
    except Unavailable as fault:
        # Nothing new is known. An intent without a recorded try may have been sent just before a crash, so its
        # outcome counts as unknown.
        state = intent.state if intent.attempts else IssueState.UNKNOWN
        return await _wait(office, intent.request, state, str(fault))
    if answer is None:
        return await _call(office, intent.request)
    return await _settle(office, intent.request, answer)


async def _call(office: Office, request: IssueRequest) -> Outcome:
    red = request.red.reference if request.red is not None else None
    remote = RemoteRequest(serial_of(request), request.draft, request.lines, request.totals, request.issued_at, red)
    issue = office.channel.issue_blue if red is None else office.channel.issue_red
    try:
        answer = await issue(remote)
    except Unavailable as fault:
        return await _wait(office, request, IssueState.SUBMITTED, str(fault))
    except OutcomeUnknown as unknown:
        _log.warning("outcome unknown", serial=unknown.serial, said=unknown.said)
        return await _wait(office, request, IssueState.UNKNOWN, unknown.said)
    except Exception:
        # A garbled answer says nothing about what happened on the other side.
        _log.exception("channel call")
        return await _wait(office, request, IssueState.UNKNOWN)
    return await _settle(office, request, answer)


async def _wait(office: Office, request: IssueRequest, state: IssueState, said: str = "") -> Outcome:
    await keep_waiting(office.database, request, state, office.now(), said[:SAID_MAX])
    return await settled(office.database, request)


async def _settle(office: Office, request: IssueRequest, answer: RemoteAnswer) -> Outcome:
    """Record a final answer; what is told is what the store holds, whoever recorded it first."""
    fault = _fault(office, request, answer)
    if fault is None:
        try:
            if answer.refusals:
                await settle_refused(office.database, request, answer.refusals, office.now())
                failures.note(office, request.merchant_id, answer.refusals, request.code_id, request.totals.inclusive)
            else:
                sealed = Sealed(answer.original, hashlib.sha256(answer.original).hexdigest())
                await settle_issued(office.database, request, answer.number, sealed, office.now())
        except WriteConflict:
            fault = "the number of another invoice"
    if fault is not None:
        # An answer that cannot be the answer to this request is none: nothing is guessed from it.
        _log.error("channel answered with something else", fault=fault, serial=serial_of(request))
        return await _wait(office, request, IssueState.UNKNOWN)
    return await settled(office.database, request)


def _fault(office: Office, request: IssueRequest, answer: RemoteAnswer) -> str | None:
    """Why an answer is not one to what was asked for, or None."""
    if answer.serial != serial_of(request):
        return "another serial"
    if answer.refusals:
        return "refused and issued at once" if answer.number or answer.original else None
    verdict = verify_original(answer.original, office.roots)
    if verdict.verdict is not Verdict.VALID:
        return "signature: " + ", ".join(refusal.cause for refusal in verdict.reasons)
    issued = read(answer.original)
    if not _NUMBER.fullmatch(answer.number) or issued.number != answer.number:
        return "another number"
    if issued.sandbox is not office.config.sandbox:
        return "a sample for a real invoice, or the other way round"
    draft = request.draft
    red = request.red.reference if request.red is not None else None
    asked = (draft.kind, _who(draft.seller), _who(draft.buyer), request.totals, _amounts(request.lines), red)
    stated = (issued.kind, _who(issued.seller), _who(issued.buyer), issued.totals, _amounts(issued.lines), issued.red)
    if asked != stated:
        return "another content"
    return None


def _who(party: Party) -> tuple[str, str]:
    """What a party is known by: addresses and accounts are written as each channel has them."""
    return party.name, party.taxpayer_id


def _amounts(lines: Sequence[PricedLine]) -> list[tuple[str, str, Decimal, Decimal, Decimal]]:
    return [(line.name, line.code, line.rate, line.amount, line.tax) for line in lines]
