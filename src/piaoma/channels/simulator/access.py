"""The keys of the simulator (演练密钥): drawn at the first start, written as the files that a shop configures."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from piaoma.trust.files import write_whole

from ..leqi.line import LeqiSettings
from ..providers.baiwang import BaiwangSettings
from ..providers.nuonuo import NuonuoSettings
from ..settings import Settings, load

Kind = TypeVar("Kind", bound=Settings)


class Access(msgspec.Struct, frozen=True):
    """What each dialect accepts: the settings that the other side uses."""

    leqi: LeqiSettings
    nuonuo: NuonuoSettings
    baiwang: BaiwangSettings


def access_in(folder: Path, url: str, roots: str) -> Access:
    """The settings in a folder, made where they are missing; their address is where the simulator listens now.

    ``roots`` is the PEM, relative to the folder, of whoever signs what the simulator issues. Raises ``SettingsFault``.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = {"url": url, "roots": roots}
    return Access(
        _settings(folder / "leqi.toml", LeqiSettings, place, ("key", "platform", "signing_secret")),
        _settings(folder / "nuonuo.toml", NuonuoSettings, place, ("app_key", "app_secret", "token")),
        _settings(folder / "baiwang.toml", BaiwangSettings, place, ("app_key", "app_secret", "token")),
    )


def _settings(file: Path, kind: type[Kind], place: Mapping[str, str], drawn: tuple[str, ...]) -> Kind:
    known = load(file, kind) if file.exists() else None
    keys = {name: secrets.token_hex(16) if known is None else str(getattr(known, name)) for name in drawn}
    lines = [
        f"# piaoma authority serve made this; channel = {file.stem!r} reaches the simulator by it, and nobody else."
    ]
    # Hex, an address and a name of a file: nothing in them needs quoting.
    lines += [f'{name} = "{value}"' for name, value in {**place, **keys}.items()]
    write_whole(file, "\n".join([*lines, ""]).encode())
    return load(file, kind)
