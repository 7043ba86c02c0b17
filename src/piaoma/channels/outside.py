"""The channels outside by name (渠道名录): where a new one is entered, beside its own file and table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from .contract import Channel
from .settings import load, roots_of

# Each module names its class ``CHANNEL``, which names its settings; none is imported before it is used.
MODULES = {"leqi": ".leqi.channel", "nuonuo": ".providers.nuonuo", "baiwang": ".providers.baiwang"}


def open_outside(name: str, file: Path, now: Callable[[], datetime], *, live: bool) -> Channel:
    """A channel by its name and its settings; it belongs to the event loop that is running.

    Raises ``SettingsFault``.
    """
    channel: Channel = _class(name)(file, now, live=live)
    return channel


def trusted_roots(name: str, file: Path) -> tuple[bytes, ...]:
    """The roots, DER, under which a channel's originals are believed. Raises ``SettingsFault``."""
    return roots_of(file, load(file, _class(name).settings_type))


def _class(name: str) -> Any:
    return import_module(MODULES[name], __package__).CHANNEL
