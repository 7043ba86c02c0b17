"""``piaoma audit``: the invariants of docs/promises.md, checked from the outside, over everything on disk.

Each invariant is one or more statements that list what breaks it, or a function over the originals. None of them
shares code with the write path, so a mistake there cannot hide itself here.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator

import msgspec

from piaoma.invoice.inspect import inspect
from piaoma.invoice.money import to_fen
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refused

from . import audit_received
from .audit_red import HOLDS as RED_HOLDS
from .audit_red import columns_agree, red_faults
from .database import Database, Row

FINDINGS_MAX = 20  # examples shown for each invariant; the count is always whole
CHUNK = 500
LOGGED_WITHIN_MS = 60_000  # an invoice older than this is in the log

VerifyOriginal = Callable[[bytes], str | None]  # what is wrong with the signature, or None
VerifyNote = Callable[[str], str | None]  # the same for a checkpoint


class Invariant(msgspec.Struct, frozen=True):
    """One thing that must always hold. Each statement selects a text for every row that breaks it."""

    name: str
    holds: str
    statements: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True):
    """The result for one invariant: how much breaks it, and examples."""

    name: str
    holds: str
    broken: int
    examples: tuple[str, ...]


_NUMBER_IN_BLOCK = """
b.merchant_id = i.merchant_id AND b.prefix = substr(i.number, 1, 5)
AND CAST(substr(i.number, 6) AS BIGINT) BETWEEN b.first_sequence AND b.next_sequence - 1
"""


def _differing(of_invoices: str, of_index: str) -> str:
    """The merchants and spans of time where the indexed invoices and what the index sums up do not cancel out."""
    return f"""
        SELECT CAST(merchant_id AS TEXT) || ' ' || span FROM (
            SELECT e.merchant_id, {of_invoices} FROM index_entries e
            JOIN invoices i ON i.merchant_id = e.merchant_id AND i.number = e.number UNION ALL {of_index}
        ) u GROUP BY merchant_id, span HAVING sum(n) <> 0 OR sum(fen) <> 0 OR sum(tax) <> 0"""


I1 = Invariant("I1", "original's digest and signature hold")
I8 = Invariant(
    "I8",
    "log leaves are contiguous, the root recomputes, checkpoints are consistent, every invoice is in the log",
    (
        """SELECT i.number FROM invoices i
           LEFT JOIN log_leaves l ON l.merchant_id = i.merchant_id AND l.number = i.number
           LEFT JOIN log_pending p ON p.merchant_id = i.merchant_id AND p.number = i.number
           WHERE (CASE WHEN l.leaf IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.number IS NULL THEN 0 ELSE 1 END) <> 1""",
        """SELECT l.number FROM log_leaves l LEFT JOIN invoices i
           ON i.merchant_id = l.merchant_id AND i.number = l.number WHERE i.number IS NULL""",
        """SELECT p.number FROM log_pending p LEFT JOIN invoices i
           ON i.merchant_id = p.merchant_id AND i.number = p.number WHERE i.number IS NULL""",
    ),
)
I7 = Invariant("I7", "totals are the sums of lines, words equal figures, columns equal the original")

INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        "I2",
        "numbers are unique, inside their blocks, below the counter",
        (
            "SELECT number FROM invoices GROUP BY number HAVING count(*) > 1",
            f"SELECT i.number FROM invoices i LEFT JOIN number_blocks b ON {_NUMBER_IN_BLOCK} "
            "WHERE b.merchant_id IS NULL",
            """SELECT a.prefix || ' ' || CAST(a.first_sequence AS TEXT) FROM number_blocks a JOIN number_blocks b
               ON a.prefix = b.prefix AND a.first_sequence <= b.last_sequence
               AND b.first_sequence <= a.last_sequence
               WHERE (a.merchant_id, a.first_sequence) < (b.merchant_id, b.first_sequence)""",
        ),
    ),
    Invariant(
        "I3",
        "every number taken is issued or explained",
        (
            f"""SELECT b.prefix || ' ' || CAST(b.first_sequence AS TEXT) FROM number_blocks b
               WHERE b.next_sequence - b.first_sequence <>
                     (SELECT count(*) FROM invoices i WHERE {_NUMBER_IN_BLOCK})
                   + (SELECT count(*) FROM unused_numbers i WHERE {_NUMBER_IN_BLOCK})""",
        ),
    ),
    Invariant(
        "I4",
        "a one-time code has at most one invoice, linked both ways",
        (
            """SELECT CAST(merchant_id AS TEXT) || '/' || CAST(code_id AS TEXT) FROM invoices
               WHERE code_id IS NOT NULL GROUP BY merchant_id, code_id HAVING count(*) > 1""",
            """SELECT i.number FROM invoices i LEFT JOIN codes c
               ON c.merchant_id = i.merchant_id AND c.code_id = i.code_id
               WHERE i.code_id IS NOT NULL
               AND (c.code_id IS NULL OR c.state <> 'issued' OR c.issue_key <> i.issue_key)""",
            """SELECT CAST(c.merchant_id AS TEXT) || '/' || CAST(c.code_id AS TEXT) FROM codes c LEFT JOIN invoices i
               ON i.merchant_id = c.merchant_id AND i.code_id = c.code_id
               WHERE c.state = 'issued' AND i.number IS NULL""",
            # An application and the code that was made of it have the same number.
            """SELECT CAST(a.merchant_id AS TEXT) || '/' || CAST(a.application_id AS TEXT) FROM applications a
               LEFT JOIN invoices i ON i.merchant_id = a.merchant_id AND i.code_id = a.application_id
               WHERE (a.state = 'issued' AND (i.number IS NULL OR i.total_fen <> a.total_fen))
               OR (a.state IN ('waiting', 'refused', 'withdrawn') AND i.number IS NOT NULL)""",
        ),
    ),
    Invariant(
        "I5",
        "issued and reserved of a month equal the quota row and are within it",
        (
            """SELECT CAST(q.merchant_id AS TEXT) || ' ' || q.month FROM quotas q WHERE q.issued_fen <>
               (SELECT coalesce(sum(i.quota_fen), 0) FROM invoices i
                WHERE i.merchant_id = q.merchant_id AND i.month = q.month)""",
            """SELECT CAST(q.merchant_id AS TEXT) || ' ' || q.month FROM quotas q WHERE q.reserved_fen <>
               (SELECT coalesce(sum(CASE WHEN s.amount_fen > 0 THEN s.amount_fen ELSE 0 END), 0) FROM issues s
                WHERE s.merchant_id = q.merchant_id AND s.month = q.month AND s.state IN ('submitted', 'unknown'))""",
            "SELECT CAST(merchant_id AS TEXT) || ' ' || month FROM quotas WHERE issued_fen + reserved_fen > limit_fen",
            """SELECT i.number FROM invoices i LEFT JOIN quotas q
               ON q.merchant_id = i.merchant_id AND q.month = i.month WHERE q.month IS NULL""",
        ),
    ),
    Invariant(
        "I9",
        "every invoice has its required jobs, each done, waiting or failed with a reason",
        (
            """SELECT i.number FROM invoices i LEFT JOIN jobs j
               ON j.merchant_id = i.merchant_id AND j.job_id = i.number || ':report' WHERE j.job_id IS NULL""",
            "SELECT job_id FROM jobs WHERE state = 'dead' AND last_error = ''",
        ),
    ),
    Invariant(
        "I10",
        "idempotency records point to results made from the same request",
        (
            """SELECT s.issue_key FROM issues s LEFT JOIN invoices i
               ON i.merchant_id = s.merchant_id AND i.number = s.number
               WHERE s.state = 'issued' AND (i.number IS NULL OR i.issue_key <> s.issue_key
                    OR i.quota_fen <> s.amount_fen OR i.month <> s.month
                    OR coalesce(i.code_id, -1) <> coalesce(s.code_id, -1))""",
            """SELECT i.number FROM invoices i LEFT JOIN issues s
               ON s.merchant_id = i.merchant_id AND s.issue_key = i.issue_key
               WHERE s.issue_key IS NULL OR s.number IS NULL OR s.number <> i.number""",
        ),
    ),
    Invariant(
        "I11",
        "tenant columns agree across tables",
        (
            """SELECT j.job_id FROM jobs j LEFT JOIN invoices i
               ON i.merchant_id = j.merchant_id AND i.number = j.number WHERE i.number IS NULL""",
            """SELECT CAST(c.merchant_id AS TEXT) || '/' || CAST(c.code_id AS TEXT) FROM codes c LEFT JOIN issues s
               ON s.merchant_id = c.merchant_id AND s.issue_key = c.issue_key
               WHERE c.issue_key IS NOT NULL AND s.issue_key IS NULL""",
            """SELECT s.issue_key FROM issues s LEFT JOIN codes c
               ON c.merchant_id = s.merchant_id AND c.code_id = s.code_id
               WHERE s.code_id IS NOT NULL AND c.code_id IS NULL""",
            """SELECT s.secret_hash FROM sessions s LEFT JOIN memberships m
               ON m.merchant_id = s.merchant_id AND m.person_id = s.person_id
               WHERE s.merchant_id IS NOT NULL AND m.person_id IS NULL""",
        ),
    ),
    Invariant(
        "I12",
        "no intent or unknown outcome without a next query time",
        (
            """SELECT issue_key FROM issues WHERE state IN ('submitted', 'unknown')
               AND (next_query_at_ms IS NULL OR request IS NULL)""",
            """SELECT form_id FROM red_forms WHERE state IN ('submitted', 'unknown', '02', '03')
               AND next_query_at_ms IS NULL""",
            "SELECT reissue_id FROM reissues WHERE state IN ('working', 'confirming', 'red') AND next_at_ms IS NULL",
        ),
    ),
    Invariant(
        "I13",
        "the index has every invoice of the log below its cursor once, and its sums are theirs",
        (
            """SELECT l.number FROM log_leaves l
               LEFT JOIN index_entries e ON e.merchant_id = l.merchant_id AND e.number = l.number
               WHERE l.leaf < (SELECT leaf FROM index_cursor) AND e.number IS NULL""",
            _differing(
                "i.issued_on AS span, 1 AS n, i.amount_fen AS fen, i.tax_fen AS tax",
                "SELECT merchant_id, day, -invoices, -amount_fen, -tax_fen FROM index_days",
            ),
            _differing(
                "i.month AS span, 0 AS n, i.amount_fen AS fen, i.tax_fen AS tax",
                "SELECT merchant_id, month, 0, -amount_fen, -tax_fen FROM index_taxes",
            ),
            _differing(
                "'' AS span, 1 AS n, i.total_fen AS fen, 0 AS tax",
                "SELECT merchant_id, '', -size, -total_sum, 0 FROM index_blocks",
            ),
        ),
    ),
    Invariant("I15", audit_received.HOLDS, audit_received.STATEMENTS),
)

_ORIGINALS = """
SELECT merchant_id, number, buyer_name, amount_fen, tax_fen, total_fen, digest, original, corrects FROM invoices
WHERE (merchant_id, number) > ($1, $2) ORDER BY merchant_id, number LIMIT $3
"""


async def audit(
    database: Database,
    verify: VerifyOriginal,
    verify_note: VerifyNote,
    progress: Callable[[int], None] = lambda _: None,
    *,
    now_ms: int | None = None,
) -> list[Finding]:
    """Check every invariant; one finding for each, broken or not, in order.

    ``verify`` judges the signature of an original, ``verify_note`` that of a checkpoint of the log. ``progress`` is
    told how many originals were read since it was last told. ``now_ms`` is the clock's by default. It reads committed
    rows only and may run beside a working server.
    """
    findings = [await _by_statements(database, invariant) for invariant in INVARIANTS]
    faults = await red_faults(database)
    findings.append(Finding("I6", RED_HOLDS, len(faults), tuple(faults[:FINDINGS_MAX])))
    findings += await _by_originals(database, verify, progress)
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    findings.append(await _by_log(database, verify_note, now_ms))
    return sorted(findings, key=lambda finding: int(finding.name[1:]))


async def _by_statements(database: Database, invariant: Invariant) -> Finding:
    broken = [str(row[0]) for statement in invariant.statements for row in await database.read(statement)]
    return Finding(invariant.name, invariant.holds, len(broken), tuple(broken[:FINDINGS_MAX]))


async def _by_originals(database: Database, verify: VerifyOriginal, progress: Callable[[int], None]) -> list[Finding]:
    signature: list[str] = []
    content: list[str] = []
    last: tuple[int, str] = (-1, "")
    while rows := await database.read(_ORIGINALS, *last, CHUNK):
        for row in rows:
            if fault := _signature_fault(row, verify):
                signature.append(f"{row['number']}: {fault}")
            content.extend(f"{row['number']}: {fault}" for fault in _content_faults(row))
        last = (rows[-1]["merchant_id"], rows[-1]["number"])
        progress(len(rows))
    return [
        Finding(I1.name, I1.holds, len(signature), tuple(signature[:FINDINGS_MAX])),
        Finding(I7.name, I7.holds, len(content), tuple(content[:FINDINGS_MAX])),
    ]


_LEAVES = """
SELECT l.leaf, l.number, l.salt, l.commitment, i.digest FROM log_leaves l
LEFT JOIN invoices i ON i.merchant_id = l.merchant_id AND i.number = l.number
WHERE l.leaf > $1 ORDER BY l.leaf LIMIT $2
"""
_COMMITMENTS = "SELECT commitment FROM log_leaves WHERE leaf >= $1 AND leaf < $2 ORDER BY leaf"
_OVERDUE = """
SELECT p.number FROM log_pending p JOIN invoices i ON i.merchant_id = p.merchant_id AND i.number = p.number
WHERE i.issued_at_ms < $1
"""


async def _by_log(database: Database, verify_note: VerifyNote, now_ms: int) -> Finding:
    """The tree is built again from the originals' digests and salts, leaf by leaf, by the definition of RFC 6962 and
    without its tiles; every root that was ever signed must be met on the way, so all of them are consistent."""
    by_rows = await _by_statements(database, I8)
    faults = list(by_rows.examples)
    faults += [f"{row[0]}: waits" for row in await database.read(_OVERDUE, now_ms - LOGGED_WITHIN_MS)]
    signed = {
        row[0]: (bytes(row[1]), row[2]) for row in await database.read("SELECT size, root, note FROM log_checkpoints")
    }
    noted = ((size, verify_note(note)) for size, (_, note) in signed.items())
    faults += [f"the checkpoint of {size} leaves: {fault}" for size, fault in noted if fault]
    peaks: list[bytes] = []  # roots of the whole subtrees so far, largest first: one for each bit of the size
    size, last = 0, -1
    faults += _checkpoint_faults(0, peaks, signed.pop(0, None))
    while rows := await database.read(_LEAVES, last, CHUNK):
        for row in rows:
            if row[0] != size:
                faults.append(f"leaf {row[0]} where {size} should be")
                size = row[0]
            commitment = hashlib.sha256(bytes(row[2]) + bytes.fromhex(row[4] or "")).digest()
            if commitment != bytes(row[3]):
                faults.append(f"{row[1]}: the leaf is not of the original")
            node = hashlib.sha256(b"\0" + commitment).digest()
            place = size
            while place & 1:
                node = hashlib.sha256(b"\1" + peaks.pop() + node).digest() if peaks else node
                place >>= 1
            peaks.append(node)
            size += 1
            faults += _checkpoint_faults(size, peaks, signed.pop(size, None))
        last = rows[-1][0]
    faults += [f"a checkpoint of {size} leaves that are not there" for size in signed]
    faults += await _tile_faults(database, size)
    if size and not await database.read("SELECT 1 FROM log_checkpoints WHERE size = $1", size):
        faults.append(f"no checkpoint covers all {size} leaves")
    return Finding(
        I8.name, I8.holds, by_rows.broken - len(by_rows.examples) + len(faults), tuple(faults[:FINDINGS_MAX])
    )


def _checkpoint_faults(size: int, peaks: list[bytes], signed: tuple[bytes, str] | None) -> Iterator[str]:
    if signed is None:
        return
    root = peaks[-1] if peaks else hashlib.sha256(b"").digest()
    for peak in reversed(peaks[:-1]):
        root = hashlib.sha256(b"\1" + peak + root).digest()
    if root != signed[0]:
        yield f"the root of {size} leaves is not the one that was signed"
    if signed[1].split("\n")[1:3] != [str(size), base64.b64encode(root).decode()]:
        yield f"the checkpoint of {size} leaves says something else"


async def _tile_faults(database: Database, size: int) -> list[str]:
    """What is published as tiles is what the leaves give: each row of hashes is made from the one below."""
    faults, level, expected_tiles = [], 0, 0
    roots: list[bytes] = []  # of the whole tiles of the row below
    while size and (level == 0 or roots):
        row, roots = roots, []
        for place in range(-(-(size if level == 0 else len(row)) // 256)):
            if level == 0:
                leaves = await database.read(_COMMITMENTS, place * 256, place * 256 + 256)
                wanted = [hashlib.sha256(b"\0" + bytes(leaf[0])).digest() for leaf in leaves]
            else:
                wanted = row[place * 256 : place * 256 + 256]
            tile = await database.read("SELECT hashes FROM log_tiles WHERE level = $1 AND tile = $2", level, place)
            if not tile or bytes(tile[0][0]) != b"".join(wanted):
                faults.append(f"tile {place} of level {level} is not of the leaves")
            expected_tiles += 1
            if len(wanted) == 256:
                while len(wanted) > 1:
                    pairs = zip(wanted[::2], wanted[1::2], strict=True)
                    wanted = [hashlib.sha256(b"\1" + left + right).digest() for left, right in pairs]
                roots += wanted
        level += 1
    if (await database.read("SELECT count(*) FROM log_tiles"))[0][0] != expected_tiles:
        faults.append("tiles that no leaves give, or none where there should be")
    return faults


def _signature_fault(row: Row, verify: VerifyOriginal) -> str | None:
    original = bytes(row["original"])
    if hashlib.sha256(original).hexdigest() != row["digest"]:
        return "digest differs"
    return verify(original)


def _content_faults(row: Row) -> Iterator[str]:
    """What the original says against itself and against the columns beside it."""
    try:
        invoice = read(bytes(row["original"]))
    except Refused as refused:
        yield str(refused)
        return
    for refusal in inspect(invoice):
        yield refusal.cause
    stated = (
        invoice.number,
        to_fen(invoice.totals.amount),
        to_fen(invoice.totals.tax),
        to_fen(invoice.totals.inclusive),
    )
    if stated != (row["number"], row["amount_fen"], row["tax_fen"], row["total_fen"]):
        yield "columns differ from the original"
    if invoice.buyer.name != row["buyer_name"]:
        yield "buyer differs from the original"
    if not columns_agree(row, invoice):
        yield "what it corrects differs from the original"
