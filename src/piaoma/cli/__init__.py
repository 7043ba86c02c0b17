"""The command line: piaoma serve, demo, issue, verify, convert, audit, config, authority, operator, bench.

Arguments come in; tables for people or, with ``--json``, one line of JSON for scripts go out. Exit code 0 means that
it went well, 1 that something was found wrong, 2 that the command could not be carried out.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of ``piaoma``."""
    from piaoma.desk.config import ConfigFault
    from piaoma.invoice.refusal import Refused
    from piaoma.store import SchemaMismatch, StoreLocked

    from .commands import app

    try:
        app()
    except Refused as refused:
        for refusal in refused.refusals:
            print(f"{refusal.cause} {refusal.field}: {refusal.what()} {refusal.remedy()}", file=sys.stderr)
        sys.exit(2)
    except (ConfigFault, StoreLocked, SchemaMismatch, FileNotFoundError) as fault:
        print(f"piaoma: {fault}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
