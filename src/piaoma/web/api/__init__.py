"""REST v1 (接口): one table of routes, from which come the routes, the OpenAPI document, the reference page and tests.

In come requests of programs with a key; the same desk functions as for the console do the work. No cookie is looked at.
"""

from . import reference, serve
from .table import OPERATIONS

routes = [*serve.routes, *reference.routes]

__all__ = ["OPERATIONS", "routes"]
