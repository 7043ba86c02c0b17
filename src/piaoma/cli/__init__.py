"""The command line: piaoma serve, demo, issue, verify, audit, config, bench."""
