"""Pursuing open outcomes (核实): what a remote channel did with an intent, asked until it is known, never guessed.

An intent is called once. After that, and after every restart, its serial is asked for first; it is called again, under
the same serial, only when the channel says that it never got it.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import structlog

from piaoma.channels import OutcomeUnknown, RemoteAnswer, RemoteRequest, Unavailable
from piaoma.store import (
    Intent,
    IssueRequest,
    IssueState,
    Outcome,
    Sealed,
    due_intents,
    find_intent,
    keep_waiting,
    settle_issued,
    settle_refused,
)
from piaoma.trust import Verdict, verify_original

if TYPE_CHECKING:
    from .office import Office

TURN_SECONDS = 0.5

_log = structlog.get_logger("piaoma.pursue")


def serial_of(request: IssueRequest) -> str:
    """The serial (流水号) of a request towards the channel: the same for ever, and nobody else's."""
    return hashlib.sha256(f"{request.merchant_id}:{request.issue_key}".encode()).hexdigest()[:32]


async def pursue_for_ever(office: Office) -> None:
    """Ask after everything that is due, until cancelled."""
    while True:
        try:
            await pursue_once(office)
        except Exception:
            _log.exception("pursuit")
        await asyncio.sleep(TURN_SECONDS)


async def pursue_once(office: Office) -> int:
    """One turn: take in what arrived by itself, then ask after what is due. The number of intents asked after."""
    for answer in await office.channel.arrived():
        request = await find_intent(office.database, answer.serial, serial_of)
        if request is not None:
            await _settle(office, request, answer)
    intents = await due_intents(office.database, office.now())
    for intent in intents:
        await _pursue(office, intent)
    return len(intents)


async def first_call(office: Office, request: IssueRequest) -> Outcome:
    """Call the channel for an intent that was just stored."""
    return await _call(office, request)


async def _pursue(office: Office, intent: Intent) -> Outcome:
    try:
        answer = await office.channel.query_result(serial_of(intent.request))
    except OutcomeUnknown:
        return await _wait(office, intent.request, IssueState.UNKNOWN)
    except Unavailable:
        # Nothing new is known. An intent without a recorded try may have been sent just before a crash, so its
        # outcome counts as unknown.
        state = intent.state if intent.attempts else IssueState.UNKNOWN
        return await _wait(office, intent.request, state)
    if answer is None:
        return await _call(office, intent.request)
    return await _settle(office, intent.request, answer)


async def _call(office: Office, request: IssueRequest) -> Outcome:
    remote = RemoteRequest(serial_of(request), request.draft, request.lines, request.totals, request.issued_at)
    try:
        answer = await office.channel.issue_blue(remote)
    except Unavailable:
        return await _wait(office, request, IssueState.SUBMITTED)
    except OutcomeUnknown:
        return await _wait(office, request, IssueState.UNKNOWN)
    except Exception:
        # A garbled answer says nothing about what happened on the other side.
        _log.exception("channel call")
        return await _wait(office, request, IssueState.UNKNOWN)
    return await _settle(office, request, answer)


async def _wait(office: Office, request: IssueRequest, state: IssueState) -> Outcome:
    await keep_waiting(office.database, request, state, office.now())
    return Outcome(state)


async def _settle(office: Office, request: IssueRequest, answer: RemoteAnswer) -> Outcome:
    if answer.refusals:
        await settle_refused(office.database, request, answer.refusals, office.now())
        return Outcome(IssueState.REFUSED, refusals=answer.refusals)
    verdict = verify_original(answer.original, office.roots)
    if verdict.verdict is not Verdict.VALID:
        # An answer whose original does not verify is no answer.
        causes = [refusal.cause for refusal in verdict.reasons]
        _log.error("channel returned an original that does not verify", number=answer.number, causes=causes)
        return await _wait(office, request, IssueState.UNKNOWN)
    sealed = Sealed(answer.original, hashlib.sha256(answer.original).hexdigest())
    await settle_issued(office.database, request, answer.number, sealed, office.now())
    return Outcome(IssueState.ISSUED, answer.number)
