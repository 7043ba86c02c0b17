"""The batch writer: requests that wait are committed together, one fsync for many invoices (group commit).

Everything about an invoice is written in the one transaction: idempotency record, claim of the code, quota, number,
original with its signature, pending leaf of the log, outbox. A request is answered after the commit returned, never
before.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from piaoma.invoice.money import to_fen
from piaoma.invoice.refusal import Refusal
from piaoma.trust import SignerDown, merkle

from .database import Database, Row, Transaction, write_block
from .plan import (
    BlockRow,
    CodeRow,
    Decision,
    IssueRow,
    QuotaRow,
    State,
    Taken,
    decide,
    milliseconds,
    month_of,
)
from .reds import load_reds, store_reds
from .submission import IssueRequest, IssueState, Missing, Outcome

BATCH_MAX = 128  # requests in one transaction
GATHER_MS = 2  # how long a lone request waits for company
QUEUE_MAX = 4096  # requests that may wait; more are told to come back
FIRST_CALL_MS = 10_000  # an intent is called at once; when that does not settle it by then, it is asked after
SEALING_THREADS = 2


class Sealed(msgspec.Struct, frozen=True):
    """A signed original (原件) and its digest, hex."""

    original: bytes
    digest: str


# (request, number), … -> their signed originals, in order; called in threads
Sealer = Callable[[Sequence[tuple[IssueRequest, str]]], list[Sealed]]


class Overloaded(Exception):
    """More requests wait than ``QUEUE_MAX``. Nothing was submitted."""


class BatchWriter:
    """Use ``async with BatchWriter(...)``; then ``submit`` from any number of tasks."""

    def __init__(self, database: Database, seal: Sealer) -> None:
        self._database = database
        self._seal = seal
        self._queue: asyncio.Queue[tuple[IssueRequest, asyncio.Future[Outcome | Missing]]] = asyncio.Queue(QUEUE_MAX)
        self._threads = ThreadPoolExecutor(SEALING_THREADS, thread_name_prefix="seal")
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> BatchWriter:
        self._task = asyncio.create_task(self._run(), name="batch-writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait()[1].cancel()
        self._threads.shutdown(wait=True)

    async def submit(self, request: IssueRequest) -> Outcome | Missing:
        """The outcome of a request, durable by the time it is returned.

        Raises ``Overloaded`` when too many wait, and what the sealer raised; nothing was stored then.
        """
        assert (request.code_id is None) == (request.holder is None), "a code is claimed by a holder"
        answer: asyncio.Future[Outcome | Missing] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((request, answer))
        except asyncio.QueueFull:
            raise Overloaded from None
        return await answer

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            if self._queue.empty():
                await asyncio.sleep(GATHER_MS / 1000)
            while len(batch) < BATCH_MAX and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._answer(batch)

    async def _answer(self, batch: list[tuple[IssueRequest, asyncio.Future[Outcome | Missing]]]) -> None:
        """Commit a batch and wake its waiters. Whatever is wrong with one request is not the others' fault."""
        try:
            outcomes = await self._commit([request for request, _ in batch])
        except Exception as error:
            # A signer that does not answer is nobody's fault here, and would not answer one by one either.
            if len(batch) == 1 or isinstance(error, SignerDown):
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                return
            for lone in batch:
                await self._answer([lone])
            return
        for (_, answer), outcome in zip(batch, outcomes, strict=True):
            if not answer.done():
                answer.set_result(outcome)

    async def _commit(self, requests: list[IssueRequest]) -> list[Outcome | Missing]:
        async def work(transaction: Transaction) -> list[Decision]:
            state = await _load(transaction, self._database, requests)
            decisions = decide(requests, state)
            taken = [decision for decision in decisions if isinstance(decision, Taken)]
            if taken:
                sealed = await self._seal_all([each for each in taken if each.number is not None])
                await _store(transaction, taken, sealed, state)
            return decisions

        return [_outcome(decision) for decision in await write_block(self._database, work)]

    async def _seal_all(self, taken: list[Taken]) -> dict[tuple[int, str], Sealed]:
        """Build and sign the originals, in threads: signing is native and lets the interpreter go."""
        loop = asyncio.get_running_loop()
        share = -(-len(taken) // SEALING_THREADS) or 1
        parts = [taken[start : start + share] for start in range(0, len(taken), share)]
        done = await asyncio.gather(*(loop.run_in_executor(self._threads, self._seal_part, part) for part in parts))
        return {key: sealed for part in done for key, sealed in part}

    def _seal_part(self, part: list[Taken]) -> list[tuple[tuple[int, str], Sealed]]:
        numbered = [(each.request, each.number) for each in part if each.number is not None]
        sealed = self._seal(numbered)
        return [((request.merchant_id, number), one) for (request, number), one in zip(numbered, sealed, strict=True)]


def _outcome(decision: Decision) -> Outcome | Missing:
    if not isinstance(decision, Taken):
        return decision
    if decision.number is None:
        return Outcome(IssueState.SUBMITTED)
    return Outcome(IssueState.ISSUED, decision.number)


# Rows are locked in one order everywhere (quotas, blocks, codes, invoices, red forms, each by key), so that two
# processes cannot wait for each other. Earlier issues are read after the locks: whoever issues for the merchant holds
# its quota row.

_LOAD_MERCHANTS = """
SELECT t.merchant_id, CASE WHEN t.state = 'active' AND t.verified_at_ms IS NULL THEN 'unverified' ELSE t.state END
FROM {keys} CROSS JOIN merchants t WHERE t.merchant_id = k.a
"""
_LOAD_QUOTAS = """
SELECT t.merchant_id, t.month, t.limit_fen, t.issued_fen, t.reserved_fen
FROM {keys} CROSS JOIN quotas t WHERE t.merchant_id = k.a AND t.month = k.b
ORDER BY t.merchant_id, t.month {for_update}
"""
_LOAD_BLOCKS = """
SELECT t.merchant_id, t.prefix, t.first_sequence, t.last_sequence, t.next_sequence
FROM {keys} CROSS JOIN number_blocks t
WHERE t.merchant_id = k.a AND t.prefix >= $2 AND t.next_sequence <= t.last_sequence
ORDER BY t.merchant_id, t.prefix, t.first_sequence {for_update}
"""
_LOAD_CODES = """
SELECT t.merchant_id, t.code_id, t.state, t.holder, t.issue_key, t.expires_at_ms, t.version
FROM {keys} CROSS JOIN codes t WHERE t.merchant_id = k.a AND t.code_id = k.b
ORDER BY t.merchant_id, t.code_id {for_update}
"""
_LOAD_ISSUES = """
SELECT t.merchant_id, t.issue_key, t.request_digest, t.state, t.number, t.refusal
FROM {keys} CROSS JOIN issues t WHERE t.merchant_id = k.a AND t.issue_key = k.b
"""


async def _load(transaction: Transaction, database: Database, requests: Sequence[IssueRequest]) -> State:
    """Read, and on PostgreSQL lock, every row that the batch may touch."""
    dialect = database.dialect

    async def fetch(statement: str, form: str, keys: set[object], *more: object) -> Sequence[Row]:
        text = statement.format(keys=form, for_update=dialect.for_update)
        return await transaction.fetch(text, json.dumps(list(keys)), *more) if keys else ()

    merchants: set[object] = {request.merchant_id for request in requests}
    months = {(request.merchant_id, month_of(request.issued_at)) for request in requests}
    first_year = min(month for _, month in months)[2:4]
    code_keys: set[object] = {(r.merchant_id, r.code_id) for r in requests if r.code_id is not None}
    state = State({}, {}, {}, {}, {})
    state.merchants = {row[0]: row[1] for row in await fetch(_LOAD_MERCHANTS, dialect.int_keys, merchants)}
    for row in await fetch(_LOAD_QUOTAS, dialect.int_text_keys, set(months)):
        state.quotas[(row[0], row[1])] = QuotaRow(row[2], row[3], row[4])
    for row in await fetch(_LOAD_BLOCKS, dialect.int_keys, merchants, first_year):
        state.blocks.setdefault(row[0], []).append(BlockRow(row[1], row[2], row[3], row[4]))
    for row in await fetch(_LOAD_CODES, dialect.int_int_keys, code_keys):
        state.codes[(row[0], row[1])] = CodeRow(row[2], row[3], row[4], row[5], row[6])
    issue_keys: set[object] = {(request.merchant_id, request.issue_key) for request in requests}
    issue_keys |= {(key[0], code.issue_key) for key, code in state.codes.items() if code.issue_key is not None}
    for row in await fetch(_LOAD_ISSUES, dialect.int_text_keys, issue_keys):
        refusal = tuple(msgspec.json.decode(row[5], type=tuple[Refusal, ...])) if row[5] else ()
        state.issues[(row[0], row[1])] = IssueRow(row[2], IssueState(row[3]), row[4], refusal)
    corrections = [request for request in requests if request.red is not None or request.replaces]
    if corrections:
        await load_reds(transaction, dialect, corrections, state)
    return state


_INSERT_ISSUE = """
INSERT INTO issues (merchant_id, issue_key, request_digest, code_id, state, number, month, amount_fen, request,
                    submitted_at_ms, settled_at_ms, next_query_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
_CLAIM_CODE = """
UPDATE codes SET state = $3, holder = $4, issue_key = $5, changed_at_ms = $6, refusal = NULL
WHERE merchant_id = $1 AND code_id = $2 AND issue_key IS NULL
"""
INSERT_INVOICE = """
INSERT INTO invoices (merchant_id, number, issue_key, code_id, kind, buyer_name, buyer_id, amount_fen, tax_fen,
                      total_fen, summary, remark, month, issued_on, issued_at_ms, digest, original, quota_fen,
                      corrects, replaces, shop_id, till_id, person_id, person_name, own_number)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
        $25)
"""
INSERT_PENDING = "INSERT INTO log_pending (merchant_id, number, salt, commitment) VALUES ($1, $2, $3, $4)"
_SPEND_QUOTA = "UPDATE quotas SET issued_fen = $3, reserved_fen = $4 WHERE merchant_id = $1 AND month = $2"
_ADVANCE_BLOCK = """
UPDATE number_blocks SET next_sequence = $4 WHERE merchant_id = $1 AND prefix = $2 AND first_sequence = $3
"""
INSERT_JOB = """
INSERT INTO jobs (merchant_id, job_id, kind, number, target, state, done_at_ms, next_at_ms, created_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
"""


async def _store(
    transaction: Transaction, taken: list[Taken], sealed: dict[tuple[int, str], Sealed], state: State
) -> None:
    """Write what was decided; the statements run once each for the whole batch."""
    await transaction.execute_many(_INSERT_ISSUE, [_issue_values(each) for each in taken])
    claims = [
        (
            each.request.merchant_id,
            each.request.code_id,
            (IssueState.SUBMITTED if each.number is None else IssueState.ISSUED).value,
            each.request.holder,
            each.request.issue_key,
            milliseconds(each.request.issued_at),
        )
        for each in taken
        if each.request.code_id is not None
    ]
    if claims:
        await transaction.execute_many(_CLAIM_CODE, claims)
    await store_reds(transaction, taken)
    issued = [(each.request, each.number) for each in taken if each.number is not None]
    if issued:
        originals = [(request, number, sealed[(request.merchant_id, number)]) for request, number in issued]
        quotas = [each.quota_fen for each in taken if each.number is not None]
        values = [invoice_values(*each, quota_fen) for each, quota_fen in zip(originals, quotas, strict=True)]
        await transaction.execute_many(INSERT_INVOICE, values)
        salts = os.urandom(merkle.HASH_BYTES * len(originals))
        pending = [
            pending_values(request, number, original, salts[at : at + merkle.HASH_BYTES])
            for at, (request, number, original) in zip(range(0, len(salts), merkle.HASH_BYTES), originals, strict=True)
        ]
        await transaction.execute_many(INSERT_PENDING, pending)
        jobs = [job for request, number in issued for job in job_values(request, number)]
        await transaction.execute_many(INSERT_JOB, jobs)
        merchants = {request.merchant_id for request, _ in issued}
        advanced = [
            (merchant, block.prefix, block.first_sequence, block.next_sequence)
            for merchant in merchants
            for block in state.blocks[merchant]
        ]
        await transaction.execute_many(_ADVANCE_BLOCK, advanced)
    months = {(each.request.merchant_id, each.month) for each in taken}
    spent = [(*key, state.quotas[key].issued_fen, state.quotas[key].reserved_fen) for key in sorted(months)]
    await transaction.execute_many(_SPEND_QUOTA, spent)


def _issue_values(taken: Taken) -> tuple[object, ...]:
    request = taken.request
    now_ms = milliseconds(request.issued_at)
    intent = taken.number is None
    return (
        request.merchant_id,
        request.issue_key,
        request.request_digest,
        request.code_id,
        (IssueState.SUBMITTED if intent else IssueState.ISSUED).value,
        taken.number,
        taken.month,
        taken.quota_fen,
        msgspec.json.encode(request).decode() if intent else None,
        now_ms,
        None if intent else now_ms,
        now_ms + FIRST_CALL_MS if intent else None,
    )


def invoice_values(request: IssueRequest, number: str, sealed: Sealed, quota_fen: int) -> tuple[object, ...]:
    """The columns of ``INSERT_INVOICE``."""
    return (
        request.merchant_id,
        number,
        request.issue_key,
        request.code_id,
        request.draft.kind.value,
        request.draft.buyer.name,
        request.draft.buyer.taxpayer_id,
        to_fen(request.totals.amount),
        to_fen(request.totals.tax),
        to_fen(request.totals.inclusive),
        "、".join(dict.fromkeys(line.name for line in request.draft.lines[:3])),
        request.draft.remark,
        month_of(request.issued_at),
        request.issued_at.date().isoformat(),
        milliseconds(request.issued_at),
        sealed.digest,
        sealed.original,
        quota_fen,
        request.red.blue_number if request.red is not None else None,
        request.replaces or None,
        request.origin.shop_id,
        request.origin.till_id,
        request.origin.person_id,
        request.origin.person_name,
        request.origin.own_number,
    )


def pending_values(request: IssueRequest, number: str, sealed: Sealed, salt: bytes) -> tuple[object, ...]:
    """The columns of ``INSERT_PENDING``: the invoice's leaf, waiting for its place. ``salt`` is drawn for it alone."""
    return request.merchant_id, number, salt, merkle.commitment(salt, bytes.fromhex(sealed.digest))


def job_values(request: IssueRequest, number: str) -> list[tuple[object, ...]]:
    """The columns of ``INSERT_JOB`` for each thing that must follow.

    Every invoice is reported to the authority; one that a remote channel issued is known there already.
    """
    now_ms = milliseconds(request.issued_at)
    reported = ("done", now_ms) if request.remote else ("waiting", None)
    jobs: list[tuple[object, ...]] = [
        (request.merchant_id, f"{number}:report", "report", number, "", *reported, now_ms)
    ]
    if request.email:
        jobs.append((request.merchant_id, f"{number}:mail:0", "mail", number, request.email, "waiting", None, now_ms))
    return jobs
