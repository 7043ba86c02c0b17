"""``piaoma keys``: list, make and rotate keys, hand out their public parts, keep them in a process of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from piaoma.desk.config import Config, load_config
from piaoma.desk.keys import OutsideKeys
from piaoma.desk.office import make_private, shanghai_now
from piaoma.invoice.refusal import Refusal, refuse
from piaoma.trust import KeySecret, open_or_create, open_seal, sm2
from piaoma.trust.certificates import common_name, validity
from piaoma.trust.document_key import encipher_document_key
from piaoma.trust.files import write_new
from piaoma.trust.key_listing import KeyEntry, key_entries, public_parts
from piaoma.trust.keystore import rotate
from piaoma.trust.sealed_file import encipher_anew
from piaoma.trust.signer_service import KeyHolder, serve_signer

from .logs import set_up_logs

_PLAIN_WIDTH = 160


def list_keys(file: Path | None, *, json: bool) -> int:
    """What is in the folder of keys; nothing is opened, so no secret is needed. An outside signer is asked who it is:
    1 when it could not sign now."""
    config, _ = load_config(file)
    _show(config, json=json)
    if config.signer == "file":
        return 0
    keys = OutsideKeys(config)
    signer = keys.signing().signer
    cause = signer.fault_at(shanghai_now())
    keys.close()
    if cause is not None:
        print(f"{cause} {Refusal(cause).what()}", file=sys.stderr)
        return 1
    if not json:
        until = validity(signer.certificates)[1]
        print(f"签名服务 {config.signer}   {common_name(signer.certificates[0])}   {until:%F}")
    return 0


def make_keys(file: Path | None, secret_before: Path | None, *, json: bool) -> None:
    """Make what is missing, encipher what is plain or under the secret before, and show all."""
    before = KeySecret(secret_before) if secret_before else None
    config, _ = load_config(file)
    if before is not None and config.signer != "file":
        _encipher_the_others(config, before)  # all that is kept here
        return
    config = _own(file)
    _made(config, before)
    if before is not None:
        _encipher_the_others(config, before)
    _show(config, json=json)


def rotate_keys(file: Path | None, *, seal_maker: bool, json: bool) -> None:
    """Another signer, or another maker of seals, from now on."""
    config = _own(file)
    _made(config)
    rotate(config.keys_folder, shanghai_now(), config.secret, place="seal-maker" if seal_maker else "signer")
    _made(config)  # its seal too, so that no server makes it while somebody waits
    _show(config, json=json)


def export_keys(file: Path | None, out: Path, *, json: bool) -> None:
    """Write certificates to an empty folder. Private keys are never opened here."""
    config, _ = load_config(file)
    if not config.keys_folder.exists():
        raise FileNotFoundError(f"no keys in {config.keys_folder}")
    if out.exists() and any(out.iterdir()):
        raise refuse("KEYS-EXPORT-EXISTS", have=out)
    out.mkdir(parents=True, exist_ok=True)
    names = []
    for name, text in public_parts(config.keys_folder, shanghai_now()):
        write_new(out / name, text)
        (out / name).chmod(0o644)  # for everybody to read
        names.append(name)
    print(msgspec.json.encode(names).decode() if json else "\n".join(str(out / name) for name in names))


def serve_signer_at(file: Path | None, socket: Path, uids: tuple[int, ...]) -> None:
    """Sign for others until stopped."""
    config = _own(file)
    set_up_logs()
    make_private(config.data_folder)
    holder = KeyHolder(config.keys_folder, config.secret, shanghai_now)

    def ready() -> None:
        print(f"票码 Piaoma signer  unix:{socket}   密钥 {config.keys_folder}", flush=True)

    serve_signer(holder, socket, frozenset(uids), ready=ready)


def _own(file: Path | None) -> Config:
    """The configuration of an installation that has its keys itself, with its native library in use."""
    config, _ = load_config(file)
    sm2.choose(config.sm2)
    if config.signer != "file":
        raise refuse("KEYS-ELSEWHERE")
    return config


def _made(config: Config, before: KeySecret | None = None) -> None:
    make_private(config.data_folder)
    now = shanghai_now()
    keyring = open_or_create(config.keys_folder, now, config.secret, before=before)
    open_seal(config.keys_folder, keyring, now)


def _encipher_the_others(config: Config, before: KeySecret) -> None:
    """What is kept under the secret besides the signers: the keys of tokens, cookies, the log and of documents."""
    folder = config.data_folder / "keys"
    for path in sorted(folder.glob("*.key")):
        encipher_anew(path, config.secret, before)
    encipher_document_key(folder / "document", config.secret.read(needed=True), before.read(needed=True))


def _show(config: Config, *, json: bool) -> None:
    entries = key_entries(config.keys_folder, shanghai_now())
    if json:
        print(msgspec.json.encode(entries).decode())
        return
    print(f"密钥 {config.keys_folder}   口令 {_secret_told(config)}   签名 {config.signer}")
    table = Table("name", "state", "subject", "valid from", "valid to", "private key")
    for entry in entries:
        table.add_row(*_cells(entry))
    Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH).print(table)


def _cells(entry: KeyEntry) -> tuple[str, ...]:
    kept = entry.kept if entry.kept != "plain" else "[red]plain[/]"
    return entry.name, entry.state.value, entry.subject, f"{entry.valid_from:%F}", f"{entry.valid_to:%F}", kept


def _secret_told(config: Config) -> str:
    """Where the secret is, never the secret."""
    return "PIAOMA_KEY_SECRET" if config.key_secret else str(config.secret.file)
