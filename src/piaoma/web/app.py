"""The ASGI application: an explicit table of routes, one layer of middleware, the office open while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from piaoma.desk.config import Config
from piaoma.desk.office import Office, open_office

from . import console, home, scan
from .errors import HANDLERS
from .middleware import Guard

ROUTES = [*home.routes, *scan.routes, *console.routes]


def create_app(config: Config, opener: AbstractAsyncContextManager[Office] | None = None) -> Starlette:
    """The application of a configuration. ``opener`` opens the office in a caller's own way, a test's for instance."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with opener or open_office(config) as office:
            app.state.office = office
            yield

    app = Starlette(
        routes=ROUTES,
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        middleware=[Middleware(Guard, secure=config.secure)],
    )
    app.state.buckets = {}
    return app
