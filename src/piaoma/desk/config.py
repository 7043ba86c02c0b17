"""Configuration (配置): one TOML file and ``PIAOMA_*`` variables, validated at start, with the source of each value."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

from piaoma.channels import known_channels
from piaoma.delivery import is_address
from piaoma.delivery.destination import networks_of
from piaoma.trust.key_secret import KeySecret
from piaoma.trust.outside_signer import line_of
from piaoma.trust.sm2 import Choice

SANDBOX = "sandbox"
DEFAULT_FILE = "piaoma.toml"
_HOST_PORT = re.compile(r"(\[[0-9a-f:]+\]|[\w.-]+):\d{1,5}")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")
LOCAL_SENDER = "fapiao@localhost"  # for mails that never leave this machine


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in force. Every field is a key of the TOML file and, as ``PIAOMA_NAME``, a variable."""

    data: str = "piaoma-data"  # folder of keys, files and, by default, the database
    database: str = ""  # sqlite:///PATH or postgresql://…; empty: a file in the data folder
    authority_database: str = ""  # where the sandbox authority keeps its own books; empty: beside the above
    base_url: str = "http://127.0.0.1:8000"  # what symbols and mails point to
    host: str = "127.0.0.1"
    port: int = 8000
    channel: str = "sandbox"  # who issues: sandbox, leqi, nuonuo or baiwang
    channel_file: str = ""  # its address and keys, a TOML file of mode 0600; the sandbox needs none
    live: bool = False  # what is issued is real; false: samples, in numbers that can never be real
    smtp: str = ""  # smtp://user:password@host:port; empty: .eml files in the data folder
    mail_from: str = LOCAL_SENDER  # the sender of mails
    mail_in: str = ""  # host:port at which mailed invoices are taken in; empty: none are
    mail_in_domain: str = ""  # what stands behind the @ of the addresses for it; empty: the host of base_url
    support: str = ""  # how people reach support: a phone number, a mail address; shown on every page
    number_block: int = 1_000  # numbers taken from the channel at a time
    render_workers: int = 1
    pdf_signature: Literal["none", "p256"] = "none"  # p256: PDFs are signed too; needs cryptography
    ofd_fonts: Literal["named", "embedded"] = "named"  # embedded: looks the same in every reader; needs fonttools
    red_returns_quota: bool = False  # whether a red invoice gives quota back in the month of the blue one
    key_secret: str = ""  # opens the private keys; better as a variable or in a file
    key_secret_file: str = ""  # whose first line it is; empty: beside the keys, made at the first start
    signer: str = "file"  # or unix:/PATH, a signer in another process
    webhook_networks: str = ""  # private networks that webhooks may reach: 10.0.0.0/8, 192.168.1.5; empty: none
    sm2: Choice = "auto"  # the native library for SM2: tongsuo, openssl, or auto

    @property
    def data_folder(self) -> Path:
        return Path(self.data)

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.data_folder.resolve() / 'piaoma.sqlite3'}"

    @property
    def authority_url(self) -> str:
        if self.authority_database:
            return self.authority_database
        if self.database.startswith("postgres"):
            return self.database
        return f"sqlite:///{self.data_folder.resolve() / 'authority.sqlite3'}"

    @property
    def keys_folder(self) -> Path:
        """Where the sandbox's keys and certificates are."""
        return self.data_folder / "keys" / "sandbox"

    @property
    def secret(self) -> KeySecret:
        """Where the secret of the keys is."""
        if self.key_secret_file:
            return KeySecret(Path(self.key_secret_file), self.key_secret)
        return KeySecret(self.keys_folder.with_name("sandbox.secret"), self.key_secret, made=True)

    @property
    def sandbox(self) -> bool:
        """Whether everything issued is a sample (测试样票), whoever issues it."""
        return not self.live

    @property
    def secure(self) -> bool:
        """Whether customers come by HTTPS, so cookies must not go by anything else."""
        return self.base_url.startswith("https://")


class ConfigFault(Exception):
    """A value that cannot be; the text names the key and where it came from."""


def load_config(
    file: Path | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Config, dict[str, str]]:
    """The configuration and, for each key, where its value came from (default, the file, a variable).

    Raises ``ConfigFault``.
    """
    environment = os.environ if environment is None else environment
    named = file is not None or "PIAOMA_CONFIG" in environment
    path = file or Path(environment.get("PIAOMA_CONFIG", DEFAULT_FILE))
    values: dict[str, object] = {}
    sources = dict.fromkeys(Config.__struct_fields__, "default")
    if path.exists():
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigFault(f"{path}: {error}") from None
        sources |= dict.fromkeys(values, str(path))
    elif named:
        raise ConfigFault(f"{path}: no such file")
    for field in Config.__struct_fields__:
        variable = f"PIAOMA_{field.upper()}"
        if variable in environment:
            values[field] = environment[variable]
            sources[field] = variable
    try:
        config = msgspec.convert(values, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigFault(str(error)) from None
    _check(config, sources)
    return config, sources


def _check(config: Config, sources: Mapping[str, str]) -> None:
    def wrong(key: str, why: str) -> ConfigFault:
        return ConfigFault(f"{key} (from {sources[key]}): {why}")

    if config.channel != SANDBOX and config.channel not in known_channels():
        raise wrong("channel", f"must be one of {', '.join((SANDBOX, *known_channels()))}")
    if config.channel != SANDBOX and not config.channel_file:
        raise wrong("channel_file", f"names the file with the address and the keys of {config.channel}")
    if config.live and config.channel == SANDBOX:
        raise wrong("live", "the sandbox issues samples only")
    if config.live and config.channel == "leqi" and config.signer == "file":
        raise wrong("live", "real invoices are not signed with test keys: name an outside signer")
    if not config.base_url.startswith(("http://", "https://")) or config.base_url.rstrip("/").count("/") != 2:
        raise wrong("base_url", "must be http:// or https:// and a host, without a path")
    if config.database and not config.database.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise wrong("database", "must begin with sqlite:/// or postgresql://")
    if config.smtp and not config.smtp.startswith(("smtp://", "smtps://")):
        raise wrong("smtp", "must begin with smtp:// or smtps://")
    if config.mail_in and not _HOST_PORT.fullmatch(config.mail_in):
        raise wrong("mail_in", "must be host:port, such as 127.0.0.1:2525")
    if config.mail_in_domain and not _DOMAIN.fullmatch(config.mail_in_domain):
        raise wrong("mail_in_domain", "must be a domain in small letters")
    try:
        networks_of(config.webhook_networks)
    except ValueError as error:
        raise wrong("webhook_networks", str(error)) from None
    if config.signer != "file":
        try:
            line_of(config.signer)
        except ValueError as error:
            raise wrong("signer", f"must be 'file', or {error}") from None
    if not 1 <= config.number_block <= 100_000:
        raise wrong("number_block", "must be 1 to 100000")
    if not 1 <= config.render_workers <= 16:
        raise wrong("render_workers", "must be 1 to 16")
    if config.pdf_signature == "p256" and find_spec("cryptography") is None:
        raise wrong("pdf_signature", "needs cryptography: pip install 'piaoma[pdf-signature]'")
    if config.ofd_fonts == "embedded" and find_spec("fontTools") is None:
        raise wrong("ofd_fonts", "needs fonttools: pip install 'piaoma[ofd-fonts]'")
    if not 0 < config.port < 65_536:
        raise wrong("port", "must be 1 to 65535")
    if not is_address(config.mail_from) and config.mail_from != LOCAL_SENDER:
        raise wrong("mail_from", "must be an e-mail address")
    if config.smtp and config.mail_from == LOCAL_SENDER:
        raise wrong("mail_from", "must be set when mails leave this machine")
