"""The outbox worker (交付) and its carriers: reports to the authority, mail by SMTP or as files; mail that comes in.

In come jobs that the issuing transaction wrote; out go deliveries, at least once, each under its own id. Failures are
kept with their reason until somebody looks at them.
"""

from .addresses import is_address, likely_address, masked
from .inbound import listening
from .mail import MailCarrier, to_folder, to_smtp
from .outbox import Carrier, Job, Outbox, Undeliverable, backoff_ms
from .report import ReportCarrier

__all__ = [
    "Carrier", "Job", "MailCarrier", "Outbox", "ReportCarrier", "Undeliverable", "backoff_ms", "is_address",
    "likely_address", "listening", "masked", "to_folder", "to_smtp",
]  # fmt: skip
