"""Use cases (柜台), one verb a module: register, mint a code, scan, confirm, issue, search, deliver.

``open_office`` opens everything; every verb takes the open ``Office`` first. Mistakes that a person can mend are
raised as ``Refused`` with their causes. ``issue.issue`` is the only way to an invoice.
"""
