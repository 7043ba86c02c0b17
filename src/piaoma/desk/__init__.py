"""Use cases (柜台), one verb a module: register, mint, scan, issue, search, deliver."""
