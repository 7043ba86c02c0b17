"""Providers (服务商): companies whose HTTP API issues an invoice when it is called.

One file and one table of codes each; what they have in common is ``provider.py``. How another is added stands in
docs/channels.md.
"""
