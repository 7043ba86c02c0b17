"""Webhooks (推送): signed by Standard Webhooks, tried for three days, in order for each invoice, every try on record.

An endpoint that does not answer rests before anything else is sent to it, so that it takes no time from the others.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import random
import re
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from piaoma.invoice.refusal import Refused
from piaoma.store import Database, Row, milliseconds

from .destination import Network, Resolve, fault_of, parse, resolve
from .outbox import Failed, Job, SomeFailed, Undeliverable, reason_of
from .post import Answer, post

DELAYS_S = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 72_000, 86_400)
TRIES_MAX = len(DELAYS_S) + 1  # the last is three days after the first
TOGETHER_MAX = 16  # jobs that one worker carries at once
REST_SECONDS_MAX = 300  # that an endpoint rests after failures; doubled from two seconds
ANSWER_KEPT_MAX = 300  # characters of an answer that the record keeps
SECRET_PREFIX = "whsec_"  # noqa: S105 - how a secret begins

# A job waits for the one before it of the same invoice to the same endpoint, and for an endpoint that rests.
UNLESS = """
EXISTS (SELECT 1 FROM webhook_jobs e WHERE e.merchant_id = t.merchant_id AND e.webhook_id = t.webhook_id
        AND e.number = t.number AND e.state = 'waiting' AND e.place < t.place)
OR NOT EXISTS (SELECT 1 FROM webhooks w WHERE w.merchant_id = t.merchant_id AND w.webhook_id = t.webhook_id
               AND w.state = 'active' AND w.rests_until_ms <= $2)
"""


class Message(msgspec.Struct, frozen=True):
    """What is sent, and to whom."""

    url: str
    body: bytes
    secrets: tuple[bytes, ...]
    failures: int


class Outcome(msgspec.Struct, frozen=True):
    """What became of a try; ``fault`` is empty when it was taken. ``failures`` is how often the endpoint failed before,
    one after the other."""

    webhook_id: int
    failures: int = 0
    answer: Answer = Answer(0, b"", 0)
    fault: str = ""
    gone: bool = False


def backoff_ms(tries: int) -> int:
    """How long to wait after so many tries, a tenth more or less by chance."""
    seconds = DELAYS_S[min(tries, len(DELAYS_S)) - 1]
    return round(seconds * 1000 * random.uniform(0.9, 1.1))  # noqa: S311 - spreads retries, no secret


def sign(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``: one ``v1,…`` for each secret that is good, newest first."""
    told = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{base64.b64encode(hmac.digest(secret, told, 'sha256')).decode()}" for secret in secrets)


class WebhookCarrier:
    """Carries jobs of ``webhook_jobs``; ``unseal`` opens a secret of a merchant."""

    batch_max = TOGETHER_MAX
    leased = True
    attempts_max: int | None = TRIES_MAX

    def __init__(
        self, database: Database, now: Callable[[], datetime], unseal: Callable[[int, bytes], bytes],
        allowed: Sequence[Network], agent: str, by: Resolve = resolve, tls: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self._database = database
        self._now = now
        self._unseal = unseal
        self._allowed = allowed
        self._agent = agent
        self._by = by
        self._tls = tls

    async def carry(self, jobs: Sequence[Job]) -> None:
        """See ``Carrier.carry``: all at once, each with its own outcome, and one record of all."""
        outcomes = await asyncio.gather(*(self._post(job) for job in jobs))
        await self._keep(jobs, outcomes)
        failures: dict[tuple[int, str], Exception] = {}
        for job, outcome in zip(jobs, outcomes, strict=True):
            if outcome.gone:
                failures[(job.merchant_id, job.job_id)] = Undeliverable("HTTP 410: the receiver wants no more of it")
            elif outcome.fault:
                failures[(job.merchant_id, job.job_id)] = Failed(outcome.fault)
        if failures:
            raise SomeFailed(failures)

    async def _post(self, job: Job) -> Outcome:
        """One try. Whatever goes wrong is its outcome."""
        row = await self._database.read_by_key(_MESSAGE, job.merchant_id, job.job_id)
        if row is None or not row["content"]:
            return Outcome(0, fault="nothing to send")
        message = self._message(job.merchant_id, row)
        event_id, timestamp = row["event_id"], milliseconds(self._now()) // 1000
        headers = {
            "content-type": "application/json",
            "user-agent": self._agent,
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(message.secrets, event_id, timestamp, message.body),
        }
        webhook_id: int = row["webhook_id"]
        try:
            answer = await post(parse(message.url), message.body, headers, self._allowed, self._by, self._tls)
        except Refused as refused:
            return Outcome(webhook_id, message.failures, fault=fault_of(refused))
        except Exception as error:
            return Outcome(webhook_id, message.failures, fault=reason_of(error))
        fault = ""
        if not 200 <= answer.status < 300:
            redirected = " (redirects are not followed)" if 300 <= answer.status < 400 else ""
            fault = f"HTTP {answer.status}{redirected}"
        return Outcome(webhook_id, message.failures, answer, fault, gone=answer.status == 410)

    def _message(self, merchant_id: int, row: Row) -> Message:
        secrets = [self._unseal(merchant_id, bytes(row["secret"]))]
        if row["old_secret"] is not None and (row["old_until_ms"] or 0) > milliseconds(self._now()):
            secrets.append(self._unseal(merchant_id, bytes(row["old_secret"])))
        return Message(row["url"], row["content"].encode(), tuple(secrets), row["failures"])

    async def _keep(self, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        """The record of every try, and how the endpoints do. One that wants no more is paused."""
        now_ms = milliseconds(self._now())
        async with self._database.write() as transaction:
            tries = []
            for job, one in zip(jobs, outcomes, strict=True):
                rows = await transaction.fetch(_COUNT_TRIES, job.merchant_id, job.job_id)
                tries.append((
                    job.merchant_id, job.job_id, rows[0][0] + 1, now_ms, one.answer.status, one.answer.took_ms,
                    one.fault, shown(one.answer.body),
                ))  # fmt: skip
            await transaction.execute_many(_KEEP_TRY, tries)
            # In the order of their keys, so that two processes do not wait for each other.
            ends = {(job.merchant_id, one.webhook_id): one for job, one in zip(jobs, outcomes, strict=True)}
            for (merchant_id, webhook_id), one in sorted(ends.items(), key=lambda each: each[0]):
                if one.fault:
                    rest_ms = 1000 * min(REST_SECONDS_MAX, 2 ** min(one.failures + 1, 12))
                    await transaction.execute(_FAILING, merchant_id, webhook_id, now_ms + rest_ms, now_ms)
                elif one.failures:
                    await transaction.execute(_WELL, merchant_id, webhook_id)
                if one.gone:
                    await transaction.execute(_PAUSE, merchant_id, webhook_id)


def shown(body: bytes) -> str:
    """The beginning of an answer as a page may show it: printable, on one line."""
    text = body.decode("utf-8", "replace")[:ANSWER_KEPT_MAX]
    return re.sub(r"[^\S ]+|[\x00-\x1f\x7f]", " ", text).strip()


_MESSAGE = """
SELECT j.webhook_id, j.event_id, a.content, w.url, w.secret, w.old_secret, w.old_until_ms, w.failures
FROM webhook_jobs j JOIN happenings a ON a.merchant_id = j.merchant_id AND a.job_id = j.event_id
JOIN webhooks w ON w.merchant_id = j.merchant_id AND w.webhook_id = j.webhook_id
WHERE j.merchant_id = $1 AND j.job_id = $2
"""
_COUNT_TRIES = "SELECT coalesce(max(try_id), 0) FROM webhook_tries WHERE merchant_id = $1 AND job_id = $2"
_KEEP_TRY = """
INSERT INTO webhook_tries (merchant_id, job_id, try_id, at_ms, status, took_ms, error, answer)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_FAILING = """
UPDATE webhooks SET failures = failures + 1, rests_until_ms = $3, failing_since_ms = coalesce(failing_since_ms, $4)
WHERE merchant_id = $1 AND webhook_id = $2
"""
_WELL = """
UPDATE webhooks SET failures = 0, rests_until_ms = 0, failing_since_ms = NULL WHERE merchant_id = $1 AND webhook_id = $2
"""
_PAUSE = "UPDATE webhooks SET state = 'paused' WHERE merchant_id = $1 AND webhook_id = $2 AND state = 'active'"
