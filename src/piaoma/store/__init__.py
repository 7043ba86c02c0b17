"""What is on disk (存储): schema, migrations, SQLite and PostgreSQL, the batch writer, the audit.

In come requests that are checked and priced (``IssueRequest``) and plain statements; out go outcomes that are
durable, and rows. Only this room opens a database. Both engines keep one contract, ``Database``, and pass the same
tests; the decisions themselves are the pure function ``plan.decide``.
"""

from .audit import Finding, Invariant, audit
from .channels import enter_channel
from .database import Also, Database, Row, SchemaMismatch, StoreLocked, Transaction, WriteConflict, write_block
from .happenings import announce
from .log import LogFault, Proof, consistency, inclusion, latest_checkpoint, log_entries, log_tile, sequence
from .migrate import migrate, migrations
from .open import open_database
from .plan import milliseconds, month_of
from .provision import (
    NumberBlock,
    add_block,
    blocks_given,
    numbers_left,
    running_low,
    set_quota,
    used_of_quota,
)
from .red_forms import (
    NewForm,
    RedForm,
    add_form,
    due_forms,
    find_form,
    form_of,
    keep_form_waiting,
    refuse_form,
    send_form,
    settle_form,
    stop_asking,
    taken_back,
    unsend_form,
    want_issue,
)
from .renew import Renewal, renew
from .settle import (
    Intent,
    due_intents,
    earlier_outcome,
    find_intent,
    keep_waiting,
    settle_issued,
    settle_refused,
    settled,
)
from .sqlite import FolderLock
from .submission import NOWHERE, IssueRequest, IssueState, Missing, Origin, Outcome, RedClaim
from .writer import BatchWriter, Overloaded, Sealed

__all__ = [
    "NOWHERE", "Also", "BatchWriter", "Database", "Finding", "FolderLock", "Intent", "Invariant", "IssueRequest",
    "IssueState", "LogFault", "Missing", "NewForm", "NumberBlock", "Origin", "Outcome", "Overloaded", "Proof",
    "RedClaim", "RedForm", "Renewal", "Row", "SchemaMismatch", "Sealed", "StoreLocked", "Transaction", "WriteConflict",
    "add_block", "add_form", "announce", "audit", "blocks_given", "consistency", "due_forms", "due_intents",
    "earlier_outcome", "enter_channel", "find_form", "find_intent", "form_of", "inclusion", "keep_form_waiting",
    "keep_waiting", "latest_checkpoint", "log_entries", "log_tile", "migrate", "migrations", "milliseconds", "month_of",
    "numbers_left", "open_database", "refuse_form", "renew", "running_low", "send_form", "sequence", "set_quota",
    "settle_form", "settle_issued", "settle_refused", "settled", "stop_asking", "taken_back", "unsend_form",
    "used_of_quota", "want_issue", "write_block",
]  # fmt: skip
