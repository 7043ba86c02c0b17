"""A check of the desk in the words of a page: its label, how it came out, what was found and what to do."""

from __future__ import annotations

import msgspec
from starlette.requests import Request

from piaoma.desk.diagnose import Check, Light

from .page import language_of, text_of


class Shown(msgspec.Struct, frozen=True):
    """A check in the words of the page."""

    name: str
    label: str
    light: str
    said: str
    cause: str
    link: str


def shown(request: Request, one: Check) -> Shown:
    t, language = text_of(request), language_of(request)
    label = t(f"check_{one.name.partition('_')[0]}")
    if one.why is not None:
        said, cause = f"{one.why.what(language)} {one.why.remedy(language)}", one.why.cause
    elif one.light is Light.UNKNOWN and one.name not in ("quota", "browser"):
        said, cause = t("check_unknown"), ""
    elif one.name == "cookies" and one.light is Light.BAD:
        said, cause = t("device_fail_cookies"), ""
    else:
        said, cause = t(f"check_{one.name}_{one.light.value}", **one.values), ""
    return Shown(one.name, label, one.light.value, said, cause, one.link)
