"""A batch costs the same however much is stored: every statement of the write path finds its rows by whole keys."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from piaoma.delivery import outbox, report, webhook
from piaoma.desk import api_keys, codes, deliver, merchant, once, receipts, records, shelf, timeline
from piaoma.desk import happenings as happened
from piaoma.index import following, selecting
from piaoma.store import happenings, migrations, settle, writer
from piaoma.store.sqlite import DIALECT

BY_KEYS = {
    "merchants": writer._LOAD_MERCHANTS.format(keys=DIALECT.int_keys),
    "quotas": writer._LOAD_QUOTAS.format(keys=DIALECT.int_text_keys, for_update=""),
    "blocks": writer._LOAD_BLOCKS.format(keys=DIALECT.int_keys, for_update=""),
    "codes": writer._LOAD_CODES.format(keys=DIALECT.int_int_keys, for_update=""),
    "issues": writer._LOAD_ISSUES.format(keys=DIALECT.int_text_keys),
    "claim": writer._CLAIM_CODE,
    "spend": writer._SPEND_QUOTA,
    "advance": writer._ADVANCE_BLOCK,
    "offer": codes._STANDING_OFFER,
    "one code": codes._ONE_CODE,
    "one merchant": merchant._ONE_MERCHANT,
    "due jobs": outbox._DUE.format(table="jobs", skip_locked="", unless=""),
    "done": outbox._DONE.format(table="jobs"),
    "failed": outbox._FAILED.format(table="jobs"),
    "lease": outbox._LEASE.format(table="jobs"),
    "reports": report._REPORTS.format(keys=DIALECT.int_text_keys),
    "jobs of an invoice": deliver._JOBS.format(keys=DIALECT.int_text_keys),
    "mails of an invoice": receipts._OF_INVOICE.format(keys=DIALECT.int_text_keys),
    "purge of mails": receipts._PURGE_MAILS,
    "purge of questions": receipts._PURGE_QUESTIONS,
    "on shelves": shelf._ON_SHELVES.format(keys=DIALECT.int_text_keys),
    "invoices of a list": records._INVOICES_OF.format(keys=DIALECT.int_text_keys),
    "open intents": settle._DUE,
    "settle": settle._SETTLE,
    "places of terms": selecting._TERMS.format(keys=DIALECT.int_text_keys),
    "entries of a page": selecting.ENTRIES.format(keys=DIALECT.int_int_keys),
    "slices of blocks": selecting._SLICES.format(column="days", keys=DIALECT.int_int_keys),
    "terms of the last block": following._TERMS.format(keys=DIALECT.int_text_keys),
    "last blocks": following._TAILS.format(keys=DIALECT.int_keys),
    "code of an invoice": timeline._CODE,
    "confirmed": timeline._CONFIRMED,
    "in the log": timeline._LOGGED,
    "opens": timeline._OPENS,
    "lock": settle._LOCK.format(for_update=""),
    "announce": happenings.ANNOUNCE,
    "requests of programs": once._FIND.format(keys=DIALECT.int_text_keys, for_update=""),
    "request done": once._UPDATE,
    "one key": api_keys._ONE,
    "due webhooks": outbox._DUE.format(table="webhook_jobs", skip_locked="", unless=f"AND NOT ({webhook.UNLESS})"),
    "message of a webhook": webhook._MESSAGE,
    "tries of a webhook": webhook._COUNT_TRIES,
    "due events": outbox._DUE.format(table="happenings", skip_locked="", unless=""),
    "one event": happened._ONE,
    "purge of requests": once.OLD,
}
# The columns that a search of a table must be bound by; a shorter prefix would look through a merchant's whole year.
KEYS = {
    "codes": "merchant_id=? AND code_id=?",
    "issues": "merchant_id=? AND issue_key=?",
    "invoices": "merchant_id=? AND number=?",
    "quotas": "merchant_id=? AND month=?",
    "merchants": "merchant_id=?",
    "jobs": "merchant_id=? AND job_id=?",
    "shelves": "shelf=?",
    "index_terms": "merchant_id=? AND term=?",
    "index_entries": "merchant_id=? AND place=?",
    "index_blocks": "merchant_id=? AND block=?",
    "log_leaves": "merchant_id=? AND number=?",
    "invoice_opens": "merchant_id=? AND number=?",
    "api_requests": "merchant_id=? AND request_key=?",
    "api_keys": "merchant_id=? AND key_id=?",
    "webhooks": "merchant_id=? AND webhook_id=?",
    "webhook_jobs": "merchant_id=? AND ",
    "webhook_tries": "merchant_id=? AND job_id=?",
    "happenings": "merchant_id=? AND job_id=?",
}
ALIASES = {"j": "jobs", "r": "receipts", "c": "codes", "s": "issues", "i": "invoices", "m": "merchants"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    connection = sqlite3.connect(Path(tmp_path_factory.mktemp("plans")) / "store")
    for migration in migrations():
        for statement in migration.statements():
            connection.execute(statement)
    return connection


def plan(store: sqlite3.Connection, statement: str) -> list[str]:
    numbered = re.sub(r"\$(\d+)", r"?\1", statement)
    places = max((int(place) for place in re.findall(r"\?(\d+)", numbered)), default=0)
    return [row[3] for row in store.execute(f"EXPLAIN QUERY PLAN {numbered}", ["[]"] * places)]


def faults(store: sqlite3.Connection, statement: str) -> list[str]:
    """Steps of a plan that look at more rows than were asked for."""
    table_of = dict(ALIASES)
    table_of |= {alias: table for table, alias in re.findall(r"(?:JOIN|FROM|UPDATE) (\w+) (t)\b", statement)}
    wrong = []
    for step in plan(store, statement):
        if step.startswith("SCAN") and "json_each" not in step:
            wrong.append(step)
        found = re.match(r"SEARCH (\w+) .*\((.*)\)", step)
        if found:
            table = table_of.get(found[1], found[1])
            open_index = any(
                index in step
                for index in (
                    "issues_open",
                    "jobs_waiting",
                    "jobs_contacts",
                    "happenings_waiting",
                    "api_requests_old",
                )
            )
            if table in KEYS and KEYS[table] not in found[2] and not open_index:
                wrong.append(step)
    return wrong


@pytest.mark.parametrize("name", BY_KEYS)
def test_rows_are_found_by_whole_keys(store: sqlite3.Connection, name: str) -> None:
    """SQLite's own plan of the statement, without statistics, as in a new store."""
    assert faults(store, BY_KEYS[name]) == []


def test_a_look_through_a_merchants_rows_is_noticed(store: sqlite3.Connection) -> None:
    """Negative control: pairs in an IN list, which SQLite binds by their first half only."""
    statement = """SELECT state FROM issues WHERE (merchant_id, issue_key) IN
                   (SELECT value ->> 0, value ->> 1 FROM json_each($1))"""
    assert faults(store, statement) != []
    assert faults(store, "SELECT number FROM invoices WHERE buyer_name = $1") != []


def test_statements_for_one_row_become_statements_for_many() -> None:
    """PostgreSQL is given a batch as arrays: inserts with constants and repeated places, inserts that may stand
    already, updates; anything else is refused when it is written."""
    from piaoma.store.postgres import as_set

    kinds = ["int8", "text", "int8"]
    assert as_set("INSERT INTO t (a, b, c, d) VALUES ($1, '', $3, $3)", kinds) == (
        "INSERT INTO t (a, b, c, d) SELECT r.p1, '', r.p3, r.p3"
        " FROM unnest($1::int8[], $2::text[], $3::int8[]) AS r(p1, p2, p3) "
    )
    assert as_set("INSERT INTO t (a) VALUES (CAST($1 AS BIGINT)) ON CONFLICT (a) DO NOTHING", ["int8"]) == (
        "INSERT INTO t (a) SELECT CAST(r.p1 AS BIGINT) FROM unnest($1::int8[]) AS r(p1)  ON CONFLICT (a) DO NOTHING"
    )
    assert as_set("UPDATE t SET b = $2 WHERE a = $1 AND c IS NULL", ["int8", "text"]) == (
        "UPDATE t SET b = r.p2 FROM unnest($1::int8[], $2::text[]) AS r(p1, p2) WHERE a = r.p1 AND c IS NULL"
    )
    with pytest.raises(AssertionError):
        as_set("DELETE FROM t WHERE a = $1", ["int8"])
