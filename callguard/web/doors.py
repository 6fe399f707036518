"""Who is asking: cookies, tokens, forged forms, and the headers every answer carries."""

from __future__ import annotations

import logging
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callguard.access import Answer, Thing, Verb, may
from callguard.model.errors import Refused
from callguard.store.accounts import same
from callguard.web.desk import Desk, Visitor, desk_of, person_of
from callguard.web.language import choose

log = logging.getLogger("callguard.desk")

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

LANGUAGE_COOKIE = "callguard_language"
THEME_COOKIE = "callguard_theme"
FORM_COOKIE = "callguard_form"


class SignInFirst(Exception):
    """Somebody unknown asked for a page. ``after``: where they wanted to go."""

    def __init__(self, after: str) -> None:
        super().__init__(after)
        self.after = after


def cookie_name(desk: Desk) -> str:
    """``__Host-`` binds the cookie to this very host, over https only."""
    return "__Host-callguard" if desk.secure else "callguard"


def language_of(request: Request, *, account_language: str = "") -> str:
    """What this visitor reads: what they chose in this browser, their account's, the browser's, the settings'."""
    wanted = request.cookies.get(LANGUAGE_COOKIE, "") or account_language
    return choose(wanted, request.headers.get("accept-language", ""), default=desk_of(request).settings.web.language)


def visitor(request: Request) -> Visitor:
    """Whoever is signed in. Raises SignInFirst."""
    desk = desk_of(request)
    cookie = request.cookies.get(cookie_name(desk), "")
    found = desk.accounts.signed_in(cookie) if cookie else None
    if found is None:
        after = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise SignInFirst(after if request.method == "GET" else "/")
    account, sign_in = found
    language = language_of(request, account_language=account.language)
    return Visitor(account=account, person=person_of(account), language=language, sign_in=sign_in)


async def writer(request: Request, who: Annotated[Visitor, Depends(visitor)]) -> Visitor:
    """Whoever is signed in and means it: the form or the header carries this sign-in's secret. Raises Refused."""
    given = request.headers.get("x-csrf-token", "")
    if not given:
        form = await request.form()
        given = str(form.get("csrf", ""))
    check_origin(request)
    if not given or not same(given, who.csrf):
        raise Refused("this form is too old or not ours", code="form-forged", hint="load the page again")
    return who


def check_origin(request: Request) -> None:
    """Raises Refused where a browser says that another site sent this."""
    origin = request.headers.get("origin", "")
    public = urlsplit(desk_of(request).settings.web.public_url).netloc
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") or (
        origin and urlsplit(origin).netloc not in (request.headers.get("host", ""), public)
    ):
        raise Refused("this form came from another site", code="form-forged")


Reader = Annotated[Visitor, Depends(visitor)]
Writer = Annotated[Visitor, Depends(writer)]


def allow(desk: Desk, who: Visitor, verb: Verb, thing: Thing | None = None) -> None:
    """Raises Refused with the answer's word as its code, unless it is yes."""
    answer = may(who.person, verb, thing, rights=desk.rights(thing.queue if thing else ""))
    if answer is not Answer.YES:
        raise Refused(f"{verb.value}: {answer.value}", code=answer.value)


def can(desk: Desk, who: Visitor, verb: Verb, thing: Thing | None = None) -> bool:
    """The same question, answered."""
    return bool(may(who.person, verb, thing, rights=desk.rights(thing.queue if thing else "")))


def log_refused(host: str, reason: str) -> None:
    """The line fail2ban reads: its words and ``rhost=`` stay as they are."""
    log.warning("desk sign-in refused rhost=%s reason=%s", host or "-", reason)


def way_to_sign_in(after: str) -> str:
    """The address of the sign-in page that leads back. Only paths of our own are led back to."""
    return "/sign-in" if after in ("", "/") else f"/sign-in?after={quote(own_path(after))}"


def own_path(path: str) -> str:
    """The path where it is one of ours, else "/"."""
    fine = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if fine else "/"


class Headers:
    """Sets the headers that keep browsers from doing what nobody meant."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", CSP)
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "same-origin"
                headers["cross-origin-opener-policy"] = "same-origin"
                headers["permissions-policy"] = "camera=(), microphone=(), geolocation=()"
                headers.setdefault("cache-control", "no-store")
                if self._secure:
                    headers["strict-transport-security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, with_headers)
