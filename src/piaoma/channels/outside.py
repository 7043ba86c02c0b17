"""The channels outside by name (渠道名录): where a new one is entered, beside its own file and table.

One that another package brings along is found by its entry point in the group ``piaoma.channels``, which leads to the
class; ours win over a name that is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from .contract import Channel
from .settings import load, roots_of

GROUP = "piaoma.channels"
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


def known_channels() -> tuple[str, ...]:
    """The names of all channels outside, ours first."""
    return (*MODULES, *sorted(set(_of_others()) - set(MODULES)))


def _class(name: str) -> Any:
    if name in MODULES:
        return import_module(MODULES[name], __package__).CHANNEL
    return _of_others()[name].load()


def _of_others() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}
