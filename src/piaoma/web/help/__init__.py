"""The help centre (帮助中心): guides, seven pages of frequent questions, policy notes, an entry for every cause.

In come the guides of ``web/guides`` and the causes of ``invoice/causes``; out go pages. What a page checks while it is
read is asked of ``desk/diagnose``.
"""

from .pages import routes

__all__ = ["routes"]
