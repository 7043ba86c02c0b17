"""``piaoma backup`` and ``piaoma restore``."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console

from piaoma.desk.backup import check_backup, restore, take_backup
from piaoma.desk.config import load_config


def backup(target: Path, config_file: Path | None) -> int:
    """Take a backup and say what is in it."""
    config, _ = load_config(config_file)
    with Console(stderr=True).status("备份 backup…"):
        manifest = asyncio.run(take_backup(config, target))
    total = sum(part.bytes for part in manifest.parts.values())
    print(f"{target}  {len(manifest.parts)} files, {total:,} bytes, state of {manifest.at:%Y-%m-%d %H:%M:%S}")
    # The secret that was made beside the keys comes along, or the backup alone could not be put to use.
    secret = "keys/sandbox.secret" in manifest.parts
    print(
        f"keys are inside{', and their secret' if secret else ''}: whoever has this folder"
        f"{'' if secret else ' and the key secret'} can issue. Keep it enciphered, elsewhere."
    )
    return 0


def restore_from(source: Path, config_file: Path | None, *, check: bool) -> int:
    """Put a backup back, or only see whether it is whole."""
    config, _ = load_config(config_file)
    if check:
        manifest = check_backup(source)
        print(f"{source} is whole: {len(manifest.parts)} files, state of {manifest.at:%Y-%m-%d %H:%M:%S}")
        return 0
    with Console(stderr=True).status("恢复 restore…"):
        renewal = asyncio.run(restore(config, source))
    print(
        f"restored into {config.data_folder}; this is the store's life number {renewal.epoch}.\n"
        f"numbers burnt: {renewal.numbers_burnt}  open codes revoked: {renewal.codes_revoked}\n"
        "Invoices issued after the backup are not here, though customers hold them: ask the authority for its list.\n"
        "The log begins anew; publish keys/log.pub again. Now run: piaoma audit"
    )
    return 0
