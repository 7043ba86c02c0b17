"""The commands and their arguments. Each hands over to its own module, imported only when it is called."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

import piaoma

app = App(name="piaoma", help="票码：扫码开票。Scan a code, get a legal e-invoice.", version=piaoma.__version__)
authority = App(name="authority", help="The sandbox authority: show, rehearse, serve.")
app.command(authority)
channel = App(name="channel", help="The channel that is configured: how it stands, giving quota back.")
app.command(channel)
classification = App(name="classification", help="Tax classification codes: import the official table, search.")
app.command(classification)
keys = App(name="keys", help="Keys and certificates: list, make, rotate, export public parts, serve as a signer.")
app.command(keys)

operator = App(name="operator", help="People who run the platform: they review merchants and suspend them.")
app.command(operator)

ConfigFile = Annotated[Path | None, Parameter(name="--config", help="TOML file; PIAOMA_* variables win over it")]
FileOrPipe = Annotated[Path, Parameter(allow_leading_hyphen=True)]  # ``-`` alone is a name, no option


@app.command
def serve(*, config: ConfigFile = None) -> None:
    """Serve the pages until stopped."""
    from .serve import serve as run

    run(config)


@app.command
def demo(
    *,
    out: Path = Path("demo-out"),
    keep: bool | None = None,
    channel: Literal["sandbox", "leqi", "nuonuo", "baiwang"] = "sandbox",
) -> None:
    """Run the main job over real HTTP: code, scan, invoice, files, verification.

    Parameters
    ----------
    out
        Where XML, PDF and the table go.
    keep
        Keep serving afterwards; by default only on a terminal.
    channel
        Who issues: the sandbox, or another one against its simulator, which is started for it.
    """
    from .demo import demo as run

    run(out, keep, channel)


@app.command
def issue(file: FileOrPipe, *, merchant: str, key: str, config: ConfigFile = None, json: bool = False) -> int:
    """Issue an invoice from a draft in JSON.

    Parameters
    ----------
    file
        The draft; ``examples/draft.json`` shows the form. ``-`` reads standard input.
    merchant
        The taxpayer id of the seller, a registered merchant.
    key
        The idempotency key: the same key gives the same invoice.
    json
        One line of JSON for scripts.
    """
    from .records import issue_file

    return issue_file(file, merchant, key, config, json=json)


@app.command
def verify(
    *files: Path,
    root: Path | None = None,
    log_key: Path | None = None,
    json: bool = False,
    report: Path | None = None,
    seen: Path | None = None,
    title: str = "",
    data: Path | None = None,
    jobs: int = 0,
    lang: Literal["zh", "en"] = "zh",
) -> int:
    """Verify XML, OFD, PDF, bundles (zip) and photos of the QR code, offline; exit code 0 when all are valid.

    Parameters
    ----------
    files
        Files, or folders to look through.
    root
        PEM of the trusted root; the data folder's sandbox root by default.
    log_key
        File with the key of the trusted log; the data folder's own by default.
    json
        One line of JSON for each file.
    report
        An xlsx to write, with a row for each file.
    seen
        A book of numbers checked before, made when there is none: what stands there is told, what is new is added.
    title
        Your own company as NAME/ID, compared with the buyer.
    data
        Data folder of the issuing server: its records and log are asked as well.
    jobs
        Workers; by default one for each processor.
    lang
        zh or en.
    """
    from .verify import Wanted, company_of, trusted_by, verify_files

    trusted = trusted_by(root, log_key)
    return verify_files(files, Wanted(trusted, lang, json, report, seen, company_of(title), data, jobs))


@app.command
def convert(file: FileOrPipe, *, to: str, out: FileOrPipe | None = None, buyer_country: str = "") -> None:
    """Turn an XML original into another form, without any server: pdf, png, ofd, json, ubl or xbrl.

    Parameters
    ----------
    file
        The original. ``-`` reads standard input.
    to
        pdf, png, ofd (without a seal), json, ubl (EN 16931) or xbrl (draft).
    out
        Where to write; ``-`` is standard output. By default NUMBER-电子发票 in this folder.
    buyer_country
        For ubl: where the buyer is, two letters as in ISO 3166. The original does not say it; China by default.
    """
    from .convert import convert as run

    run(file, to, out, buyer_country)


@app.command
def mcp(*, url: str = "http://127.0.0.1:8000") -> int:
    """Let an assistant look up, draft and, once a person confirmed, issue: the Model Context Protocol on stdio.

    Parameters
    ----------
    url
        The server. The key is read from PIAOMA_KEY alone.
    """
    from .mcp import mcp as run

    return run(url)


@app.command
def audit(*, config: ConfigFile = None, json: bool = False) -> int:
    """Check every invariant over everything on disk; exit code 1 when one is broken."""
    from .records import audit_store

    return audit_store(config, json=json)


@app.command
def reindex(*, config: ConfigFile = None) -> int:
    """Build the index of invoices again, with the server stopped: searches, figures and reports are derived from it."""
    from .records import reindex as run

    return run(config)


@app.command
def backup(target: Path, *, config: ConfigFile = None) -> int:
    """Copy store, books and keys into a new folder while the server works.

    Parameters
    ----------
    target
        The folder to make.
    """
    from .backup import backup as run

    return run(target, config)


@app.command
def restore(source: Path, *, check: bool = False, config: ConfigFile = None) -> int:
    """Put a backup back into an empty data folder; numbers and codes of the time since are never used again.

    Parameters
    ----------
    source
        The folder that ``piaoma backup`` made.
    check
        Only say whether the backup is whole.
    """
    from .backup import restore_from

    return restore_from(source, config, check=check)


@app.command
def config(*, config: ConfigFile = None, json: bool = False) -> None:
    """Print the configuration in force and where each value comes from."""
    from .records import show_config

    show_config(config, json=json)


@app.command
def bench(what: str = "issue", *, seconds: float = 5.0, clients: int = 64, scale: int = 0, database: str = "") -> None:
    """Measure: ``issue`` (over HTTP, against its own floor), ``documents``, ``pdf``, ``pages``, ``search``, ``log``,
    ``signers``, ``verify``, ``console``, ``accounts``.

    Parameters
    ----------
    what
        issue, documents, pdf, pages, search, log, signers, verify, console or accounts.
    seconds
        How long each measurement runs.
    clients
        Concurrent clients of ``issue`` and ``signers``.
    scale
        Invoices to fill the store with beforehand; files of each kind for ``verify``.
    database
        A PostgreSQL address; SQLite in a temporary folder by default.
    """
    from .bench import bench as run

    run(what, seconds=seconds, clients=clients, scale=scale, database=database)


@operator.command(name="add")
def add_operator(login: str, *, config: ConfigFile = None) -> int:
    """Make an operator of the platform; the password is asked for, or read from standard input.

    Parameters
    ----------
    login
        User name, phone number or address; nobody else may have it.
    """
    from .operators import add

    return add(login, config)


@classification.command(name="import")
def import_classification(
    file: Path, *, valid_from: date | None = None, close_missing: bool = False, config: ConfigFile = None
) -> int:
    """Import the official table (xlsx) into the data folder; older versions of changed rows are kept.

    Parameters
    ----------
    file
        The table as published by the tax authority.
    valid_from
        The day from which it holds, as 2026-06-01; today by default.
    close_missing
        End the codes that the file does not have. Without it they stay usable.
    """
    from .classification import import_table

    return import_table(file, valid_from, config, close_missing=close_missing)


@classification.command(name="search")
def search_classification(word: str, *, config: ConfigFile = None) -> int:
    """Search codes by name, a shop's word, pinyin initials or the beginning of a code.

    Parameters
    ----------
    word
        For example 餐费, cyfw or 304.
    """
    from .classification import search

    return search(word, config)


@keys.command(name="list")
def list_keys(*, config: ConfigFile = None, json: bool = False) -> int:
    """Show certificates and how their private keys are kept; exit code 1 when an outside signer could not sign now."""
    from .keys import list_keys as run

    return run(config, json=json)


@keys.command(name="make")
def make_keys(*, secret_before: Path | None = None, config: ConfigFile = None, json: bool = False) -> None:
    """Make what is missing, encipher what is plain.

    Parameters
    ----------
    secret_before
        A file with the key secret so far: keys are enciphered anew under the present one.
    """
    from .keys import make_keys as run

    run(config, secret_before, json=json)


@keys.command(name="rotate")
def rotate_keys(*, seal_maker: bool = False, config: ConfigFile = None, json: bool = False) -> None:
    """Make another signer by the same issuer. Running servers follow within seconds; old invoices stay valid.

    Parameters
    ----------
    seal_maker
        Another maker of seals instead, and with it another seal.
    """
    from .keys import rotate_keys as run

    run(config, seal_maker=seal_maker, json=json)


@keys.command(name="export")
def export_keys(*, out: Path, config: ConfigFile = None, json: bool = False) -> None:
    """Write certificates, and nothing private, to a folder.

    Parameters
    ----------
    out
        An empty folder, or one that is made.
    """
    from .keys import export_keys as run

    run(config, out, json=json)


@keys.command(name="serve-signer")
def serve_signer(*, socket: Path, allow_uid: tuple[int, ...] = (), config: ConfigFile = None) -> None:
    """Keep the private key here and sign for servers that have ``signer = "unix:PATH"``.

    Parameters
    ----------
    socket
        Where to listen; made with mode 0600.
    allow_uid
        A user id that may ask besides this process's own.
    """
    from .keys import serve_signer_at as run

    run(config, socket, allow_uid)


@channel.command(name="show")
def show_channel(taxpayer: str, *, config: ConfigFile = None) -> int:
    """Show whether the channel can be used, a seller's quota, and what is left of its numbers.

    Parameters
    ----------
    taxpayer
        The tax id of a registered merchant.
    """
    from .channel import show as run

    return run(taxpayer, config)


@channel.command(name="return-quota")
def return_quota(taxpayer: str, yuan: str, *, config: ConfigFile = None) -> int:
    """Give downloaded quota of this month back to the platform (乐企), where the seller also issues elsewhere.

    Parameters
    ----------
    taxpayer
        The tax id of a registered merchant.
    yuan
        How much, tax-exclusive.
    """
    from .channel import return_quota as run

    return run(taxpayer, yuan, config)


@authority.command(name="serve")
def serve_authority(*, port: int = 8801, config: ConfigFile = None) -> None:
    """Serve the authority and two providers on loopback, for practice: what they issue can never be real.

    Parameters
    ----------
    port
        Where to listen on 127.0.0.1. The files to configure are written to the folder ``authority`` of the data.
    """
    from .authority import serve_authority as run

    run(port, config)


@authority.command
def enrol(taxpayer_id: str, name: str, *, config: ConfigFile = None) -> None:
    """Let the simulated providers know a seller: they issue for nobody else.

    Parameters
    ----------
    taxpayer_id
        The seller's tax id.
    name
        The seller's name, as it is printed.
    """
    from .records import enrol as run

    run(taxpayer_id, name, config)


@authority.command
def show(*, config: ConfigFile = None) -> None:
    """Show the rehearsal in force."""
    from .records import rehearse

    rehearse(config, {})


@authority.command
def rehearse(
    *,
    remote: bool = False,
    late_ms: int = 0,
    down: Literal["", "before", "after"] = "",
    twice: bool = False,
    no_numbers: bool = False,
    refuse: bool = False,
    quota: int | None = None,
    slow_ms: int = 0,
    garbage: bool = False,
    broken: bool = False,
    cut: bool = False,
    config: ConfigFile = None,
) -> None:
    """Set a rehearsal; without arguments everything is normal again.

    Parameters
    ----------
    remote
        Numbers come with the call, not beforehand.
    late_ms
        Answers come so much later.
    down
        ``before`` or ``after`` the call.
    twice
        Every answer comes twice.
    no_numbers
        Out of numbers.
    refuse
        Every invoice is refused.
    quota
        The monthly limit in yuan.
    slow_ms
        Of ``authority serve``: every answer comes so much later.
    garbage
        Of ``authority serve``: answers that cannot be read.
    broken
        Of ``authority serve``: status 500 after the work was done.
    cut
        Of ``authority serve``: half an answer, then nothing.
    """
    from piaoma.channels.sandbox import QUOTA_FEN

    from .records import rehearse as run

    changes: dict[str, bool | int | str] = {
        "remote": remote,
        "late_ms": late_ms,
        "down": down,
        "twice": twice,
        "no_numbers": no_numbers,
        "refuse": refuse,
        "quota_fen": QUOTA_FEN if quota is None else quota * 100,
        "slow_ms": slow_ms,
        "garbage": garbage,
        "broken": broken,
        "cut": cut,
    }
    run(config, changes)


@authority.command
def use(number: str, *, config: ConfigFile = None) -> int:
    """Rehearse what only a buyer does: confirm the use of an invoice (用途确认), so that its correction needs him.

    Parameters
    ----------
    number
        The 20-digit number of the invoice.
    """
    from .records import use_invoice

    return use_invoice(number, config)
