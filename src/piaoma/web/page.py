"""Turning a view into a page: Jinja2 templates that hold no rule, and one catalogue of words in Chinese and English."""

from __future__ import annotations

import gzip
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib import metadata, resources
from typing import Any
from urllib.parse import urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import Response

from piaoma.desk.office import Office
from piaoma.index import printed_rate
from piaoma.invoice.money import format_yuan, from_fen
from piaoma.invoice.rates import printed
from piaoma.invoice.refusal import Language
from piaoma.invoice.taxpayer_id import grouped
from piaoma.invoice.words import to_words

from .middleware import shown_path

LANGUAGE_COOKIE, BIG_COOKIE = "pm_l", "pm_b"
PACK_BYTES_MIN, PACK_LEVEL = 600, 6
SHOWN_PATH_MAX = 200  # characters of a page's address that go along to support


@cache
def words() -> dict[str, dict[str, str]]:
    """The catalogue: key → language → text."""
    table: dict[str, dict[str, str]] = {}
    folder = resources.files(__package__) / "words"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            for key, texts in tomllib.loads(file.read_text(encoding="utf-8")).items():
                assert key not in table, f"word {key} stands twice"
                table[key] = texts
    return table


@cache
def static_files() -> dict[str, tuple[str, bytes]]:
    """Every static file by name: its hashed address and its bytes."""
    folder = resources.files(__package__) / "static"
    files = {}
    for file in folder.iterdir():
        if file.is_file():
            data = file.read_bytes()
            files[file.name] = (f"/static/{hashlib.sha256(data).hexdigest()[:12]}/{file.name}", data)
    return files


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("piaoma.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["rate"] = printed
    environment.filters["rate_text"] = printed_rate
    environment.filters["yuan"] = format_yuan
    environment.filters["fen"] = lambda fen: format_yuan(from_fen(fen))
    environment.filters["inwords"] = to_words
    environment.filters["grouped"] = grouped
    environment.filters["clock"] = lambda moment: f"{moment:%Y-%m-%d %H:%M}"
    environment.filters["seconds"] = lambda moment: f"{moment:%Y-%m-%d %H:%M:%S}"
    return environment


@cache
def version() -> str:
    """The release and what the pages are made of: it changes whenever a page, a style or a script does."""
    digest = hashlib.sha256()
    for name, (address, _) in sorted(static_files().items()):
        digest.update(f"{name}{address}".encode())
    loader = _environment().loader
    assert loader is not None
    for name in loader.list_templates():
        digest.update(loader.get_source(_environment(), name)[0].encode())
    return f"{metadata.version('piaoma')}+{digest.hexdigest()[:8]}"


def office_of(request: Request) -> Office:
    """The open office."""
    office: Office = request.app.state.office
    return office


def language_of(request: Request) -> Language:
    """The language of a page: asked for in the address, kept in a cookie, or preferred by the browser."""
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    if asked in ("zh", "en"):
        return "zh" if asked == "zh" else "en"
    preferred = request.headers.get("accept-language", "zh").lower()
    return "en" if preferred.startswith("en") else "zh"


def wants_html(request: Request) -> bool:
    """Whether a person will read the answer."""
    if request.url.path.startswith("/api/"):
        return False
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted or "application/json" not in accepted


@lru_cache(maxsize=4)
def _text(language: Language) -> Any:
    table = words()

    def text(key: str, /, **values: object) -> str:
        return table[key][language].format_map(values) if values else table[key][language]

    return text


def text_of(request: Request) -> Any:
    """The words of the page's language: a function from a key and its values to a text."""
    return _text(language_of(request))


def _page_path(request: Request) -> str:
    """Where this page can be opened: what a form was sent to cannot always."""
    path = request.url.path
    if request.method == "POST" and path.startswith(("/s/", "/t/", "/a/")):
        return "/".join(path.split("/")[:3])
    return path.removesuffix("/photo")


def _with(request: Request, name: str, value: str) -> str:
    """The same page in another language or size of type: what else its address says stays."""
    kept = [(key, old) for key, old in request.query_params.multi_items() if key != name]
    return urlencode([*kept, (name, value)])


def is_big(request: Request) -> bool:
    """大字版: asked for in the address, or kept in a cookie."""
    return (request.query_params.get("big") or request.cookies.get(BIG_COOKIE)) == "1"


def _support_query(request: Request, errors: Sequence[Mapping[str, str]]) -> str:
    """What goes along from this page to support: where, which request, which cause; no token of an address."""
    told = {"page": shown_path(request.url.path)[:SHOWN_PATH_MAX], "request": request.scope["state"]["request_id"]}
    if errors:
        told["cause"] = errors[0]["cause"]
    return urlencode(told, safe="/")


def html(request: Request, template: str, /, **view: Any) -> str:
    """The text of a page."""
    language = language_of(request)
    office = office_of(request)
    shown = {
        "t": _text(language),
        "lang": language,
        "other_lang": "en" if language == "zh" else "zh",
        "lang_query": _with(request, "lang", "en" if language == "zh" else "zh"),
        "big": is_big(request),
        "big_query": _with(request, "big", "0" if is_big(request) else "1"),
        "page_path": _page_path(request),
        "static": {name: address for name, (address, _) in static_files().items()},
        "sandbox": office.config.sandbox,
        "support": office.config.support,
        "request_id": request.scope["state"]["request_id"],
        "version": version(),
        "support_query": _support_query(request, view.get("errors") or ()),
        "path": request.url.path,
        "session": None,
        "refresh": 0,
        "errors": (),
        **view,
    }
    return _environment().get_template(template).render(shown)


def _takes_gzip(request: Request) -> bool:
    accepted = request.headers.get("accept-encoding", "").replace(" ", "")
    return "gzip" in accepted and "gzip;q=0" not in accepted.replace("q=0.", "q=")


def compressed(request: Request, data: bytes, kind: str, status: int = 200) -> Response:
    """Bytes as a response, packed when the browser takes it and it helps."""
    headers = {"vary": "accept-encoding"}
    if len(data) >= PACK_BYTES_MIN and _takes_gzip(request):
        data = gzip.compress(data, PACK_LEVEL, mtime=0)
        headers["content-encoding"] = "gzip"
    return Response(data, status, headers, kind)


def render(request: Request, template: str, /, status: int = 200, **view: Any) -> Response:
    """A page as a response; remembers a language or a size of type that was asked for."""
    response = compressed(request, html(request, template, **view).encode(), "text/html; charset=utf-8", status)
    for asked, cookie, choices in (("lang", LANGUAGE_COOKIE, ("zh", "en")), ("big", BIG_COOKIE, ("0", "1"))):
        if request.query_params.get(asked) in choices:
            response.set_cookie(
                cookie, request.query_params[asked], max_age=365 * 86400, samesite="lax",
                secure=office_of(request).config.secure, httponly=True,
            )  # fmt: skip
    return response
