"""The authority and two providers as a process of their own (``piaoma authority serve``), for practice and for tests.

It speaks 乐企, 诺诺 and 百望 over HTTP on loopback, keeps the sandbox authority's books and obeys the same rehearsal
switches. Numbers have province 99 and signatures are made with test keys: nothing it gives can be taken for real.
"""

from .access import Access, access_in
from .server import app_of

__all__ = ["Access", "access_in", "app_of"]
