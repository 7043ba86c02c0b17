"""What a route of the API is made of, and what a handler is given."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request

from piaoma.desk import tills
from piaoma.desk.api_keys import ApiKey, Scope
from piaoma.desk.events import Actor, masked_address
from piaoma.desk.office import Office
from piaoma.invoice.refusal import Language, refuse
from piaoma.web.page import language_of, office_of

NUMBER_DIGITS_MAX = 13  # of an id in a path
QUERY_CHARS_MAX = 200  # of a value in the query


class Parameter(msgspec.Struct, frozen=True):
    """A value in the query: its name, what it means in both languages, and what it may be."""

    name: str
    zh: str
    en: str
    pattern: str = ""
    choices: tuple[str, ...] = ()


class Bytes(msgspec.Struct, frozen=True):
    """An answer that is a file."""

    data: bytes
    media_type: str
    name: str = ""


class Answer(msgspec.Struct, frozen=True):
    """An answer with another status than its operation's."""

    value: msgspec.Struct
    status: int


class Call(msgspec.Struct):
    """One request: who asks, what the path and the query say, the body as its type."""

    request: Request
    key: ApiKey
    actor: Actor
    body: Any = None
    again: bool = False  # this request was begun before and died

    @property
    def office(self) -> Office:
        return office_of(self.request)

    @property
    def merchant_id(self) -> int:
        return self.key.merchant_id

    @property
    def language(self) -> Language:
        return language_of(self.request)

    @property
    def made_from(self) -> str:
        """An id for what this request makes: the same whenever it is sent, and nobody else's."""
        given = self.request.headers["idempotency-key"]
        return "api-" + hashlib.sha256(f"{self.merchant_id}:{given}".encode()).hexdigest()[:32]

    @property
    def made_number(self) -> int:
        """The same as a number of 40 bits."""
        return int(self.made_from[4:14], 16)

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def path_number(self, name: str, cause: str) -> int:
        """An id in the path. Raises ``Refused`` with the cause for what cannot be one."""
        text = self.path(name)
        if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX):
            raise refuse(cause)
        return int(text)

    def query(self, name: str) -> str:
        """A value in the query, which was looked at before; empty when it is not there."""
        return self.request.query_params.get(name, "")

    async def at_till(self, till_id: str | None) -> Actor:
        """Who acts, at a till. Raises ``Refused`` TILL-NOT-FOUND."""
        if till_id is None:
            return self.actor
        till = await tills.active_till(self.office, self.merchant_id, int(till_id))
        return msgspec.structs.replace(self.actor, shop_id=till.shop_id, till_id=till.till_id)


Handler = Callable[[Call], Awaitable[msgspec.Struct | Answer | Bytes]]


class Operation(msgspec.Struct, frozen=True):
    """One row of the table of routes.

    ``name`` is its id in OpenAPI and its method in the client. ``read`` is the handler whose answer an ``If-Match``
    speaks of. ``causes`` are those that are this operation's own; what every one can answer is said once.
    """

    method: str
    path: str
    scope: Scope | None
    name: str
    zh: str
    en: str
    handler: Handler
    answer: type[msgspec.Struct] | None  # None: a file
    body: type[msgspec.Struct] | None = None
    status: int = 200
    other: int = 0  # another status of success
    query: tuple[Parameter, ...] = ()
    causes: tuple[str, ...] = ()
    read: Handler | None = None
    tag: str = ""

    @property
    def places(self) -> list[str]:
        """The names in the path."""
        return re.findall(r"{(\w+)}", self.path)


def actor_of(request: Request, key: ApiKey) -> Actor:
    """A key as the trail knows it."""
    host = request.client.host if request.client else ""
    return Actor(key.merchant_id, None, f"API {key.name}", masked_address(host))
