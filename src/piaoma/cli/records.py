"""``piaoma issue``, ``audit``, ``config`` and ``authority``: commands that open the store themselves."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from importlib import resources
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import piaoma.channels
from piaoma import index
from piaoma.channels import SandboxAuthority
from piaoma.desk.audits import findings_of
from piaoma.desk.config import Config, load_config
from piaoma.desk.issue import issue
from piaoma.desk.log import sequence_once
from piaoma.desk.office import Office, make_private, open_office, shanghai_now
from piaoma.invoice.draft import Draft
from piaoma.invoice.parties import Seller, TaxpayerKind
from piaoma.invoice.refusal import refuse
from piaoma.store import Finding, IssueState, Outcome, migrations, open_database
from piaoma.trust.outside_signer import AbsentSigner

DRAFT_BYTES_MAX = 4 * 1024 * 1024


def issue_file(file: Path, taxpayer: str, key: str, config_file: Path | None, *, json: bool) -> int:
    """Issue from a draft; the seller is the registered merchant, whatever the file says. 0 when issued, 1 when not."""
    config, _ = load_config(config_file)
    data = sys.stdin.buffer.read(DRAFT_BYTES_MAX + 1) if str(file) == "-" else file.read_bytes()
    if len(data) > DRAFT_BYTES_MAX:
        raise refuse("REQUEST-TOO-LARGE")
    try:
        draft = msgspec.json.decode(data, type=Draft)
    except msgspec.DecodeError as error:
        raise refuse("REQUEST-MALFORMED", have=str(error)[:200]) from None
    if not 0 < len(key) <= 100:
        raise refuse("REQUEST-MALFORMED", have="key")

    async def run() -> Outcome:
        async with open_office(config, work=False) as office:
            seller_id, seller = await _registered(office, taxpayer)
            wanted = msgspec.structs.replace(draft, seller=seller)
            outcome = await issue(office, seller_id, wanted, issue_key=f"cli:{key}"[:100])
            await sequence_once(office)  # no server may be running that would do it
            return outcome

    outcome = asyncio.run(run())
    if json:
        print(msgspec.json.encode(outcome).decode())
    elif outcome.number:
        print(f"已开具 issued {outcome.number}")
    else:
        print(outcome.state.value)
        for refusal in outcome.refusals:
            print(f"{refusal.cause} {refusal.what()} {refusal.remedy()}")
    return 0 if outcome.state is IssueState.ISSUED else 1


async def _registered(office: Office, taxpayer: str) -> tuple[int, Seller]:
    rows = await office.database.read(
        "SELECT merchant_id, name, taxpayer_id, address, phone, bank, account, taxpayer_kind FROM merchants"
        " WHERE taxpayer_id = $1",
        taxpayer,
    )
    if not rows:
        raise refuse("MERCHANT-NOT-FOUND", "merchant")
    row = rows[0]
    return row[0], Seller(row[1], row[2], row[3], row[4], row[5], row[6], TaxpayerKind(row[7]))


def audit_store(config_file: Path | None, *, json: bool) -> int:
    """Audit beside a running server or without one; 0 when every invariant holds."""
    config, _ = load_config(config_file)
    findings = asyncio.run(audit_of(config, quiet=json))
    if json:
        print(msgspec.json.encode(findings).decode())
    else:
        show_findings(findings)
    return 1 if any(finding.broken for finding in findings) else 0


def reindex(config_file: Path | None) -> int:
    """Build the index again from the log and the originals; needs the data folder for itself. 0 when it is done."""
    config, _ = load_config(config_file)

    async def run() -> int:
        async with open_office(config, work=False) as office:
            await sequence_once(office)
            await index.rebuild(office.database)
            total = await index.behind(office.database)
            with Progress(console=Console(stderr=True), transient=True) as bar:
                task = bar.add_task("index", total=total)
                while taken := await index.follow(office.database):
                    bar.advance(task, taken)
            return total

    print(f"{asyncio.run(run())} invoices indexed")
    return 0


async def audit_of(config: Config, *, quiet: bool) -> list[Finding]:
    """The findings over a configuration's store, with a progress bar on a terminal."""
    # A wrong folder must not be found in order: the audit makes nothing.
    keys = config.data_folder / "keys" / "sandbox"
    if not keys.exists():
        raise FileNotFoundError(f"no keys in {keys}: is this the data folder of the server?")
    if config.database_url.startswith("sqlite:///") and not Path(config.database_url[10:]).exists():
        raise FileNotFoundError(f"no store at {config.database_url[10:]}")
    count = await _count(config)
    with Progress(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as bar:
        task = bar.add_task("originals", total=count)
        return await findings_of(config, lambda done: bar.advance(task, done))


async def _count(config: Config) -> int:
    database = await open_database(config.database_url)
    try:
        return int((await database.read("SELECT count(*) FROM invoices"))[0][0])
    finally:
        await database.close()


def show_findings(findings: list[Finding]) -> None:
    """A table for people."""
    table = Table("", "invariant", "broken", "examples")
    for finding in findings:
        mark = "[green]✓[/]" if not finding.broken else "[red]✗[/]"
        examples = "\n".join(finding.examples)
        table.add_row(f"{mark} {finding.name}", finding.holds, str(finding.broken), examples)
    Console().print(table)


def show_config(config_file: Path | None, *, json: bool) -> None:
    """What is in force. Secrets and passwords in addresses are not shown."""
    config, sources = load_config(config_file)
    values = msgspec.structs.asdict(config)
    for secret in ("smtp", "database", "authority_database"):
        if "@" in values[secret]:
            head, _, tail = values[secret].rpartition("@")
            values[secret] = f"{head.partition('://')[0]}://***@{tail}"
    values["key_secret"] = values["key_secret"] and "***"
    if json:
        print(msgspec.json.encode({key: {"value": values[key], "source": sources[key]} for key in values}).decode())
        return
    table = Table("key", "value", "from")
    for key, value in values.items():
        table.add_row(key, str(value), sources[key])
    Console().print(table)


def rehearse(config_file: Path | None, changes: dict[str, bool | int | str]) -> None:
    """Show the rehearsal, after changing it when there is something to change."""

    async def work(sandbox: SandboxAuthority) -> None:
        switches = await sandbox.rehearse(**changes) if changes else await sandbox.switches()
        print(msgspec.json.encode(switches).decode())

    _with_authority(config_file, work)


def use_invoice(number: str, config_file: Path | None) -> int:
    """The buyer of an invoice confirms its use; 1 when that is no number."""
    if len(number) != 20 or not (number.isascii() and number.isdigit()):
        print("not a number of 20 digits", file=sys.stderr)
        return 1

    async def work(sandbox: SandboxAuthority) -> None:
        await sandbox.use(number)

    _with_authority(config_file, work)
    return 0


def enrol(taxpayer_id: str, name: str, config_file: Path | None) -> None:
    """Let the simulated providers know a seller."""

    async def work(sandbox: SandboxAuthority) -> None:
        await sandbox.enrol(taxpayer_id, name)

    _with_authority(config_file, work)


def _with_authority(config_file: Path | None, work: Callable[[SandboxAuthority], Coroutine[None, None, None]]) -> None:
    """Work in the sandbox authority's own books, beside a server that may be running."""
    config, _ = load_config(config_file)

    async def run() -> None:
        make_private(config.data_folder)
        books = resources.files(piaoma.channels) / "migrations"
        ledger = await open_database(config.authority_url, schema="piaoma_authority", wanted=migrations(books))
        try:
            await work(SandboxAuthority(ledger, AbsentSigner, shanghai_now))  # nothing is issued here
        finally:
            await ledger.close()

    asyncio.run(run())
