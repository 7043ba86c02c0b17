"""The ASGI application: an explicit table of routes, one layer of middleware, the office open while it runs."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from piaoma.desk.config import Config
from piaoma.desk.office import open_office

from . import (
    api,
    console,
    find_shop,
    hand_on,
    help,
    home,
    installable,
    log,
    my,
    operator,
    questions,
    reissue,
    scan,
    static_scan,
    support,
    title_book,
    verify,
    version,
    wrong,
)  # fmt: skip
from .errors import HANDLERS, on_bug
from .middleware import Guard

GC_YOUNG_MAX = 50_000  # objects; under load most are gone again long before so many are alive
CUSTOMER = [
    *scan.routes, *static_scan.routes, *reissue.routes, *hand_on.routes, *questions.routes, *my.routes,
    *title_book.routes, *installable.routes, *find_shop.routes, *wrong.routes,
]  # fmt: skip
# Tried in this order.
ROUTES = [
    *CUSTOMER, *home.routes, *help.routes, *support.routes, *version.routes, *verify.routes, *log.routes,
    *api.routes, *console.routes, *operator.routes,
]  # fmt: skip


def create_app(config: Config) -> Starlette:
    """The application of a configuration; its office opens when it starts."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_office(config) as office:
            app.state.office = office
            # What was made at the start stays: nothing is gained by looking through it again and again.
            gc.freeze()
            gc.set_threshold(GC_YOUNG_MAX, 20, 100)
            yield

    app = Starlette(
        routes=ROUTES,
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        middleware=[Middleware(Guard, secure=config.secure, on_bug=on_bug)],
    )
    app.state.buckets = {}
    return app
