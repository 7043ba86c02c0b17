"""The secret under which private keys are kept (密钥口令): given, in a named file, or made at the first start."""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec

from piaoma.invoice.refusal import refuse

from .files import write_whole

SECRET_CHARS_MIN = 32  # 128 bits and more, when it is random as it should be
SECRET_CHARS_MAX = 1_000


class KeySecret(msgspec.Struct, frozen=True):
    """Where the secret is. ``text`` wins over ``file``; a file that may be ``made`` is, when no key needs it yet."""

    file: Path
    text: str = ""
    made: bool = False

    def __repr__(self) -> str:
        return f"KeySecret({self.file})"

    def read(self, *, needed: bool) -> str:
        """The secret. ``needed`` says that keys are enciphered already, so that a new one would open none.

        Raises ``Refused`` KEYS-SECRET-MISSING, KEYS-SECRET-WEAK.
        """
        if self.text:
            return _strong(self.text, "key_secret")
        try:
            # The first line, as openssl reads it with ``-passin file:``.
            return _strong(self.file.read_text(encoding="utf-8").partition("\n")[0], str(self.file))
        except FileNotFoundError:
            if needed or not self.made:
                raise refuse("KEYS-SECRET-MISSING", have=self.file) from None
        secret = secrets.token_hex(32)
        write_whole(self.file, f"{secret}\n".encode())
        return secret


def _strong(secret: str, place: str) -> str:
    secret = secret.strip()
    if not SECRET_CHARS_MIN <= len(secret) <= SECRET_CHARS_MAX:
        raise refuse("KEYS-SECRET-WEAK", have=place, min=SECRET_CHARS_MIN)
    return secret
