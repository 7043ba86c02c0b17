"""Who gives an invoice its number (开票渠道): the contract, and the sandbox authority.

In come taxpayers, priced drafts, red forms; out go quotas, blocks of numbers, answers. A call that fails says whether
nothing was submitted (``Unavailable``) or the outcome is unknown (``OutcomeUnknown``), and callers never mix the two.
"""

from .contract import (
    Block,
    Channel,
    LedgerEntry,
    MonthSum,
    Numbering,
    OutcomeUnknown,
    QuotaAnswer,
    QuotaRequest,
    QuotaState,
    RedFormAnswer,
    RedFormRequest,
    RemoteAnswer,
    RemoteRequest,
    Report,
    SessionState,
    Unavailable,
)
from .sandbox import SandboxAuthority, Switches

__all__ = [
    "Block", "Channel", "LedgerEntry", "MonthSum", "Numbering", "OutcomeUnknown", "QuotaAnswer", "QuotaRequest",
    "QuotaState", "RedFormAnswer", "RedFormRequest", "RemoteAnswer", "RemoteRequest", "Report", "SandboxAuthority",
    "SessionState", "Switches", "Unavailable",
]  # fmt: skip
