"""The settings of a channel outside (渠道设置): one TOML file with its address and keys, readable by its owner only."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from asn1crypto import pem

CALL_SECONDS_MAX = 10.0  # of a call from the first byte to the last, however slowly they drip
SETTABLE_SECONDS_MAX = 60.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class SettingsFault(Exception):
    """The file cannot be used; the text says why and holds no secret."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every channel outside needs. Names of files are relative to the settings' own folder."""

    url: str
    roots: str = ""  # PEM of the roots under which the channel signs the originals that it issues
    ca: str = ""  # PEM of who vouches for its HTTPS, where that is not publicly known
    seconds: float = CALL_SECONDS_MAX  # for a call from the first byte to the last


Kind = TypeVar("Kind", bound=Settings)


def load(file: Path, kind: type[Kind]) -> Kind:
    """Read and check a file. Raises ``SettingsFault``."""
    try:
        if file.stat().st_mode & 0o077:
            raise SettingsFault(f"{file} holds keys and can be read by others: chmod 600 {file.name}")
        settings = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), kind)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise SettingsFault(f"{file}: {fault}") from None
    where = urlsplit(settings.url)
    if where.scheme != "https" and not (where.scheme == "http" and where.hostname in LOOPBACK):
        raise SettingsFault(f"{file}: url must be https:// (http:// only to this machine)")
    if settings.url.endswith("/"):
        raise SettingsFault(f"{file}: url must not end with /")
    if not 0 < settings.seconds <= SETTABLE_SECONDS_MAX:
        raise SettingsFault(f"{file}: seconds must be above 0 and at most {SETTABLE_SECONDS_MAX:g}")
    return settings


def roots_of(file: Path, settings: Settings) -> tuple[bytes, ...]:
    """The roots that are named, DER. Raises ``SettingsFault``."""
    if not settings.roots:
        return ()
    try:
        data = (file.parent / settings.roots).read_bytes()
        return tuple(der for _, _, der in pem.unarmor(data, multiple=True))
    except (OSError, ValueError) as fault:
        raise SettingsFault(f"{file}: roots: {fault}") from None


def ca_of(file: Path, settings: Settings) -> Path | None:
    """The file of who vouches for HTTPS, or None."""
    return file.parent / settings.ca if settings.ca else None
