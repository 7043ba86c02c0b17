"""The files in a mail (附件), read in a worker: a mail can be nested so that its parser takes minutes."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage

LETTER_PARTS_MAX = 100  # of one mail, texts and signatures among them
NAME_MAX = 120  # characters of a file's name that are kept

_LOOKED_AT = re.compile(r"(?i).+\.(xml|pdf|ofd|zip|png|jpe?g|webp)")
_TYPES = ("application/pdf", "application/ofd", "application/xml", "text/xml", "application/zip", "image/")


def attachments(message: bytes) -> list[tuple[str, bytes]]:
    """The (name, content) of what may be an invoice: attached or shown within, in a mail that was forwarded too."""
    found = []
    try:
        for place, part in enumerate(email.message_from_bytes(message, policy=email.policy.default).walk()):
            if place >= LETTER_PARTS_MAX:
                break
            if isinstance(part, EmailMessage) and (file := _file(part)) is not None:
                found.append(file)
    except Exception:  # a hostile mail makes the parser fail in many ways; what was found before stays
        return found
    return found


def _file(part: EmailMessage) -> tuple[str, bytes] | None:
    if part.is_multipart():
        return None
    name = (part.get_filename() or "").replace("\\", "/").rpartition("/")[2][-NAME_MAX:]
    if not _LOOKED_AT.fullmatch(name) and not part.get_content_type().startswith(_TYPES):
        return None
    data = part.get_payload(decode=True)
    return (name or "附件", data) if isinstance(data, bytes) and data else None
