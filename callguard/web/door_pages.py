"""Signing in and out, one's own account, language and light, help."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from callguard.access import Verb
from callguard.model.errors import CallguardError, Refused
from callguard.store.accounts import same
from callguard.web import oidc
from callguard.web.desk import Desk, desk_of, host_of
from callguard.web.doors import (
    FORM_COOKIE,
    LANGUAGE_COOKIE,
    THEME_COOKIE,
    Reader,
    Writer,
    can,
    check_origin,
    cookie_name,
    language_of,
    log_refused,
    own_path,
)
from callguard.web.language import LANGUAGES
from callguard.web.pages import render
from callguard.web.words import refusal_words

router = APIRouter(include_in_schema=False)

YEAR_S = 365 * 24 * 3600
BACK = "/sign-in/back"


@router.get("/sign-in")
def sign_in_page(request: Request, after: Annotated[str, Query(max_length=500)] = "/") -> HTMLResponse:
    """The door."""
    return _door(request, after=own_path(after))


@router.post("/sign-in")
def sign_in(
    request: Request,
    name: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=2000)],
    form: Annotated[str, Form(max_length=100)] = "",
    after: Annotated[str, Form(max_length=500)] = "/",
) -> Response:
    """Open the door, or say no without saying why."""
    desk = desk_of(request)
    check_origin(request)
    if not form or not same(form, request.cookies.get(FORM_COOKIE, "")):
        return _door(request, after=own_path(after), code="form-forged", name=name, status=403)
    host = host_of(request, desk.settings.web.trusted_proxies)
    try:
        account = desk.accounts.check(name.strip(), password, host=host)
    except Refused as error:
        return _refused(request, error, host=host, after=after, name=name)
    return _let_in(request, account.name, host=host, after=after)


@router.get("/sign-in/provider")
async def to_provider(request: Request, after: Annotated[str, Query(max_length=500)] = "/") -> Response:
    """Send the browser to the house's identity provider."""
    desk = desk_of(request)
    errand = oidc.Errand.begin(own_path(after))
    try:
        if not desk.settings.oidc.issuer:
            raise Refused("there is no identity provider here", code="sign-in-stale")
        address = await oidc.way_out(desk.settings.oidc, errand, back=_way_back(desk))
    except CallguardError as error:
        return _door(request, after=own_path(after), code=error.code, status=502)
    answer = RedirectResponse(address, status_code=303)
    answer.set_cookie(
        oidc.COOKIE,
        errand.cookie,
        max_age=oidc.MINUTES * 60,
        httponly=True,
        secure=desk.secure,
        samesite="lax",
        path=BACK,
    )
    return answer


@router.get(BACK)
async def from_provider(
    request: Request,
    code: Annotated[str, Query(max_length=4000)] = "",
    state: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The browser comes back with the provider's word."""
    desk = desk_of(request)
    host = host_of(request, desk.settings.web.trusted_proxies)
    try:
        errand = oidc.Errand.read(request.cookies.get(oidc.COOKIE, ""))
        name = await oidc.who_came_back(desk.settings.oidc, errand, code=code, state=state, back=_way_back(desk))
        account = await asyncio.to_thread(desk.accounts.vouched, name, host=host)
    except CallguardError as error:
        return await asyncio.to_thread(_refused, request, error, host=host)
    answer = await asyncio.to_thread(_let_in, request, account.name, host=host, after=errand.after)
    answer.delete_cookie(oidc.COOKIE, path=BACK)
    return answer


def _way_back(desk: Desk) -> str:
    return desk.settings.web.address + BACK


def _refused(request: Request, error: CallguardError, *, host: str, after: str = "/", name: str = "") -> HTMLResponse:
    """The door stays shut: told to fail2ban and to the audit."""
    log_refused(host, error.code)
    desk_of(request).audit("nobody", "sign-in-refused", "desk", host=host, reason=error.code)
    return _door(request, after=own_path(after), code=error.code, name=name, status=401)


def _let_in(request: Request, name: str, *, host: str, after: str) -> Response:
    """A new sign-in, written down, and its cookie."""
    desk = desk_of(request)
    cookie, row = desk.accounts.open(
        name, host=host, browser=request.headers.get("user-agent", ""), hours=desk.settings.web.session_hours
    )
    desk.audit(name, "sign-in", "desk", host=host, sign_in=row.id[:12])
    answer = RedirectResponse(own_path(after), status_code=303)
    answer.set_cookie(
        cookie_name(desk),
        cookie,
        max_age=int(desk.settings.web.session_hours * 3600),
        httponly=True,
        secure=desk.secure,
        samesite="lax",
        path="/",
    )
    answer.delete_cookie(FORM_COOKIE)
    return answer


@router.post("/sign-out")
def sign_out(request: Request, who: Writer) -> Response:
    """End this sign-in."""
    desk = desk_of(request)
    if who.sign_in:
        desk.accounts.revoke(who.sign_in.id, user=who.account.name)
    desk.audit(who.name, "sign-out", "desk")
    answer = RedirectResponse("/sign-in", status_code=303)
    answer.delete_cookie(cookie_name(desk), path="/")
    return answer


@router.get("/")
def first_page(request: Request, who: Reader) -> Response:
    """Where this person's work is."""
    desk = desk_of(request)
    for verb, path in ((Verb.DECIDE, "/cases"), (Verb.SEE_BOARD, "/board"), (Verb.SEE_CASES, "/cases")):
        if can(desk, who, verb):
            return RedirectResponse(path, status_code=303)
    return RedirectResponse("/account", status_code=303)


@router.get("/account")
def account_page(request: Request, who: Reader, said: Annotated[str, Query(max_length=60)] = "") -> HTMLResponse:
    """One's own account."""
    sign_ins = desk_of(request).accounts.sign_ins(who.account.name)
    return render(
        request, "account.html", who, sign_ins=sign_ins, said=refusal_words(said, who.language) if said else ""
    )


@router.post("/account")
def change_account(
    request: Request,
    who: Writer,
    display: Annotated[str, Form(min_length=1, max_length=120)],
    phone: Annotated[str, Form(max_length=120, pattern=r"^[A-Za-z0-9/@._+-]*$")] = "",
) -> Response:
    """Name and telephone."""
    desk = desk_of(request)
    desk.accounts.change(who.account.name, display=display.strip() or who.account.name, phone=phone)
    desk.audit(who.name, "account-changed", who.account.name, phone=phone)
    return RedirectResponse("/account?said=saved", status_code=303)


@router.post("/account/password")
def change_password(
    request: Request,
    who: Writer,
    old: Annotated[str, Form(max_length=2000)],
    new: Annotated[str, Form(max_length=2000)],
    again: Annotated[str, Form(max_length=2000)],
) -> Response:
    """A new password; all other sign-ins end."""
    desk = desk_of(request)
    try:
        if new != again:
            raise Refused("the two new passwords differ", code="password-differs")
        desk.accounts.check(who.account.name, old, host=host_of(request, desk.settings.web.trusted_proxies))
        desk.accounts.set_password(who.account.name, new, keep=who.sign_in.id if who.sign_in else "")
    except Refused as error:
        return RedirectResponse(f"/account?said={error.code}", status_code=303)
    desk.audit(who.name, "password-changed", who.account.name)
    return RedirectResponse("/account?said=password-changed", status_code=303)


@router.post("/account/sign-ins/{sign_in_id}/end")
def end_sign_in(request: Request, who: Writer, sign_in_id: str) -> Response:
    """End one's sign-in elsewhere."""
    desk = desk_of(request)
    if desk.accounts.revoke(sign_in_id, user=who.account.name):
        desk.audit(who.name, "sign-in-ended", who.account.name, sign_in=sign_in_id[:12])
    return RedirectResponse("/account", status_code=303)


@router.post("/language")
def set_language(
    request: Request,
    language: Annotated[str, Form(max_length=5)],
    after: Annotated[str, Form(max_length=500)] = "/",
) -> Response:
    """English or Japanese, in this browser."""
    check_origin(request)
    answer = RedirectResponse(own_path(after), status_code=303)
    if language in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=YEAR_S, samesite="lax", httponly=True)
    return answer


@router.post("/theme")
def set_theme(
    request: Request, theme: Annotated[str, Form(max_length=5)], after: Annotated[str, Form(max_length=500)] = "/"
) -> Response:
    """Light or dark, in this browser."""
    check_origin(request)
    answer = RedirectResponse(own_path(after), status_code=303)
    if theme in ("light", "dark"):
        answer.set_cookie(THEME_COOKIE, theme, max_age=YEAR_S, samesite="lax", httponly=True)
    return answer


@router.get("/help")
def help_page(request: Request, who: Reader) -> HTMLResponse:
    """Keys, and what the words mean."""
    return render(request, "help.html", who)


def _door(request: Request, *, after: str, code: str = "", name: str = "", status: int = 200) -> HTMLResponse:
    form = request.cookies.get(FORM_COOKIE, "") or secrets.token_urlsafe(18)
    language = language_of(request)
    page = render(
        request,
        "sign_in.html",
        None,
        status=status,
        language=language,
        after=after,
        form=form,
        name=name,
        said=refusal_words(code, language) if code else "",
        provider=desk_of(request).settings.oidc,
    )
    page.set_cookie(FORM_COOKIE, form, httponly=True, secure=desk_of(request).secure, samesite="strict", max_age=3600)
    return page
