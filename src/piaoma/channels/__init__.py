"""Who gives an invoice its number (开票渠道): the contract, the sandbox authority, 乐企 and providers.

In come taxpayers, priced drafts, red forms; out go quotas, blocks of numbers, answers. A call that fails says whether
nothing was submitted (``Unavailable``) or the outcome is unknown (``OutcomeUnknown``), and callers never mix the two.
"""

from .contract import (
    Block,
    Channel,
    LedgerEntry,
    MonthSum,
    NotTaken,
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
from .outside import MODULES, known_channels, open_outside, trusted_roots
from .sandbox import SandboxAuthority, Switches
from .settings import SettingsFault

__all__ = [
    "MODULES", "Block", "Channel", "LedgerEntry", "MonthSum", "NotTaken", "Numbering", "OutcomeUnknown", "QuotaAnswer",
    "QuotaRequest", "QuotaState", "RedFormAnswer", "RedFormRequest", "RemoteAnswer", "RemoteRequest", "Report",
    "SandboxAuthority", "SessionState", "SettingsFault", "Switches", "Unavailable", "known_channels", "open_outside",
    "trusted_roots",
]  # fmt: skip
