"""Issuing (开具): the only way in the program to an invoice, blue or red.

Console, customer's page, command line and import all arrive here with a draft and a key. Read it from top to bottom:
check every rule; work out the tax; write everything in one transaction, or write an intent and call the channel.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import msgspec

from piaoma.channels import Numbering, Unavailable
from piaoma.invoice import rules, totals
from piaoma.invoice.draft import Draft
from piaoma.invoice.red import RedDraft, draft_of, priced
from piaoma.invoice.red_form import RedFormState
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.invoice.rules.red import check_red
from piaoma.store import (
    NOWHERE,
    IssueRequest,
    IssueState,
    Missing,
    Origin,
    Outcome,
    Overloaded,
    RedClaim,
    earlier_outcome,
    milliseconds,
    taken_back,
)
from piaoma.trust import SignerFault

from . import failures
from .pursue import first_call
from .stock import provide_numbers, provide_quota

if TYPE_CHECKING:
    from .office import Office

KEY_MAX = 100  # characters of an idempotency key
PROVISION_TRIES_MAX = 4
# Refusals that pass by themselves: nothing was submitted, and the same may be tried again.
PASSING = frozenset({
    "ISSUE-CHANNEL-DOWN", "ISSUE-BUSY", "ISSUE-NO-NUMBERS", "ISSUE-SIGNER-DOWN", "ISSUE-SIGNER-NOT-FITTING",
    "ISSUE-SIGNER-NOT-VALID",
})  # fmt: skip
ANSWER_SECONDS_MAX = 4.0  # how long a request waits for a remote channel before it says 开票中


async def issue(
    office: Office,
    merchant_id: int,
    draft: Draft,
    *,
    issue_key: str,
    code_id: int | None = None,
    code_version: int | None = None,
    holder: str | None = None,
    email: str = "",
    origin: Origin = NOWHERE,
    replaces: str = "",
) -> Outcome:
    """Issue an invoice for a draft; what is told here is on disk.

    The same ``issue_key`` with the same content gives the same outcome, however often. ``holder`` is the digest of
    the secret of whoever confirms ``code_id``; ``replaces`` the invoice whose place this one takes (换开). The outcome
    is issued, refused (nothing was stored), submitted or unknown (shown as such, pursued in the background, never sent
    again as new). Raises ``Refused`` with all faults of the draft at once.
    """
    assert 0 < len(issue_key) <= KEY_MAX, "the border bounds keys"
    now = office.now()
    fault = office.signer.fault_at(now)
    if fault is not None:
        office.turned_away.note(merchant_id, fault, milliseconds(now))
        return _nothing_submitted(fault)
    faults = rules.check(draft, now.date(), office.catalogue)
    if faults:
        # A rule that came into force since is no reason to refuse what was issued before it.
        known = await earlier_outcome(office.database, merchant_id, issue_key, _digest(draft, code_id))
        if known is not None:
            return known
        raise Refused(*faults)
    lines, sums = totals.price(draft, now.date(), office.catalogue)
    return await _submit(
        office,
        IssueRequest(
            merchant_id=merchant_id,
            issue_key=issue_key,
            request_digest=_digest(draft, code_id),
            draft=draft,
            lines=lines,
            totals=sums,
            issued_at=now,
            bureau=office.channel.bureau,
            code_id=code_id,
            code_version=code_version,
            holder=holder,
            email=email,
            origin=origin,
            replaces=replaces,
        ),
    )


async def issue_red(
    office: Office, merchant_id: int, form_id: str, red: RedDraft, *, issue_key: str, email: str = ""
) -> Outcome:
    """Issue the red invoice (红字发票) of a form, as ``issue`` does a blue one: number, original, log and jobs in one
    transaction, in which the form's state and the sums taken back are looked at once more."""
    assert 0 < len(issue_key) <= KEY_MAX, "the border bounds keys"
    now = office.now()
    fault = office.signer.fault_at(now)
    if fault is not None:
        return _nothing_submitted(fault)
    digest = hashlib.sha256(msgspec.json.encode((red.blue.number, form_id, red.lines))).hexdigest()
    known = await earlier_outcome(office.database, merchant_id, issue_key, digest)
    if known is not None:
        return known
    earlier = await taken_back(office.database, merchant_id, red.blue.number)
    # What only an unused invoice forbids was asked when the form was raised, and its state is the plan's to judge.
    faults = check_red(red, RedFormState.CONFIRMED, earlier, used=True)
    if faults:
        return Outcome(IssueState.REFUSED, refusals=tuple(faults))
    lines = priced(red)
    sums = totals.totals_of(lines)
    claim = RedClaim(form_id, red.form_number, red.blue.number, red.lines, office.config.red_returns_quota)
    return await _submit(
        office,
        IssueRequest(
            merchant_id=merchant_id,
            issue_key=issue_key,
            request_digest=digest,
            draft=draft_of(red),
            lines=lines,
            totals=sums,
            issued_at=now,
            bureau=office.channel.bureau,
            email=email,
            red=claim,
        ),
    )


async def _submit(office: Office, request: IssueRequest) -> Outcome:
    """Write a request, and call the channel when it numbers by call; remember why it was turned away, if it was."""
    outcome = await _submitted(office, request)
    if outcome.refusals:
        office.turned_away.note(request.merchant_id, outcome.refusals[0].cause, milliseconds(request.issued_at))
    elif outcome.number and not outcome.repeated:
        office.turned_away.passed(request.merchant_id, milliseconds(request.issued_at))
    return outcome


async def _submitted(office: Office, request: IssueRequest) -> Outcome:
    """A refusal is counted."""
    try:
        if await office.numbering() is Numbering.REMOTE:
            request = msgspec.structs.replace(request, remote=True)
        if not office.config.sandbox:
            request = msgspec.structs.replace(request, real=True)
        outcome = await _write(office, request)
    except Unavailable:
        outcome = _nothing_submitted("ISSUE-CHANNEL-DOWN")
    except Overloaded:
        outcome = _nothing_submitted("ISSUE-BUSY")
    except SignerFault as signer_fault:
        outcome = _nothing_submitted(signer_fault.cause)
    except Refused as refused:
        outcome = Outcome(IssueState.REFUSED, refusals=refused.refusals)
    if outcome.state is IssueState.SUBMITTED and not outcome.repeated:
        return await _call(office, request)
    if outcome.state is IssueState.REFUSED and not outcome.repeated:
        failures.note(office, request.merchant_id, outcome.refusals, request.code_id, request.totals.inclusive)
    return outcome


def _digest(draft: Draft, code_id: int | None) -> str:
    """What the sender meant to have issued; where it is sent is no part of the invoice."""
    return hashlib.sha256(msgspec.json.encode((draft, code_id))).hexdigest()


def _nothing_submitted(cause: str) -> Outcome:
    return Outcome(IssueState.REFUSED, refusals=(Refusal(cause),))


async def _write(office: Office, request: IssueRequest) -> Outcome:
    """Submit to the batch writer, fetching from the channel what the store lacks for it."""
    refreshed = False
    for _ in range(PROVISION_TRIES_MAX):
        outcome = await office.writer.submit(request)
        if isinstance(outcome, Missing):
            await (provide_quota if outcome.what == "quota" else provide_numbers)(office, request)
        elif not refreshed and any(refusal.cause == "QUOTA-EXCEEDED" for refusal in outcome.refusals):
            # The limit may have been raised since it was last asked for.
            await provide_quota(office, request)
            refreshed = True
        else:
            return outcome
    if isinstance(outcome, Missing):
        return _nothing_submitted("ISSUE-NO-NUMBERS")
    return outcome


async def _call(office: Office, request: IssueRequest) -> Outcome:
    """Call a remote channel for an intent that is on disk, and wait a while for what becomes of it.

    The call goes on when the waiting ends, and when the customer leaves.
    """
    calling = asyncio.create_task(first_call(office, request))
    office.calls.add(calling)
    calling.add_done_callback(office.calls.discard)
    try:
        return await asyncio.wait_for(asyncio.shield(calling), ANSWER_SECONDS_MAX)
    except TimeoutError:
        return Outcome(IssueState.SUBMITTED)
