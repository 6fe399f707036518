"""From a template and facts to a page: the environment all pages share.

Everything is escaped where it is put in. Only what our own templates rendered is put into others as it is.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from callguard.access import Verb
from callguard.web.desk import Desk, Visitor, desk_of
from callguard.web.doors import THEME_COOKIE, can
from callguard.web.language import LANGUAGES, words_in
from callguard.web.words import kind_words, refusal_words, word

if TYPE_CHECKING:
    from callguard.web.language import Words

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


@cache
def environment() -> Environment:
    """Templates, escaped by default; a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(clock=clock, day=day, moment=moment, iso=iso, masked=masked)
    made.globals.update(
        static=static, LANGUAGES=LANGUAGES, Verb=Verb, kind_words=kind_words, word=word, refusal_words=refusal_words
    )
    return made


def render(
    request: Request, template: str, who: Visitor | None, *, status: int = 200, language: str = "en", **facts: Any
) -> HTMLResponse:
    """One page for one visitor."""
    desk = desk_of(request)
    code = who.language if who else language
    return HTMLResponse(
        environment().get_template(template).render(**common(request, desk, who, code), **facts), status_code=status
    )


def common(request: Request, desk: Desk, who: Visitor | None, language: str) -> dict[str, Any]:
    """What every template may use."""

    def allowed(verb: Verb, thing: Any = None) -> bool:
        return who is not None and can(desk, who, verb, thing)

    theme = request.cookies.get(THEME_COOKIE, "") or (who.account.theme if who else "")
    return {
        "_": words_in(language),
        "lang": language,
        "theme": theme if theme in ("light", "dark") else "",
        "me": who,
        "may": allowed,
        "csrf": who.csrf if who else "",
        "path": request.url.path,
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
    }


def say(who: Visitor) -> Words:
    """The visitor's words, for texts made in code."""
    return words_in(who.language)


@cache
def static(name: str) -> str:
    """The address of a file of ours, changing with its content."""
    mark = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={mark}"


def clock(ms: int | None) -> str:
    """Milliseconds as 3:07 or 1:02:03."""
    seconds = max(0, int(ms or 0)) // 1000
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def moment(at: datetime | None) -> str:
    """Date and time of this machine's zone, to the minute."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M") if at else ""


def day(at: datetime | None) -> str:
    """The date in this machine's zone."""
    return at.astimezone().strftime("%Y-%m-%d") if at else ""


def iso(at: datetime | None) -> str:
    """For the datetime attribute."""
    return at.isoformat(timespec="seconds") if at else ""


def masked(number: str) -> str:
    """A number of which only the last two signs can be read."""
    return "•" * max(0, min(len(number) - 2, 8)) + number[-2:] if len(number) > 4 else "•" * len(number)
