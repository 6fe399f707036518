"""Accounts, tokens, webhooks, the audit: what the administrator and data protection look after."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from callguard.access import Role, Verb
from callguard.model.errors import Refused
from callguard.store.desk_figures import newest_audit
from callguard.web.desk import desk_of
from callguard.web.doors import Reader, Writer, allow, can
from callguard.web.pages import render
from callguard.web.webhooks import EVENTS, check_address
from callguard.web.words import refusal_words

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Form(max_length=500)]
AUDIT_PAGE = 200
ROLES = [role.value for role in Role]


@router.get("/admin")
def admin(request: Request, who: Reader, said: Annotated[str, Query(max_length=60)] = "") -> Response:
    """The page; it shows what the visitor's rights reach."""
    desk = desk_of(request)
    if not any(can(desk, who, verb) for verb in (Verb.ACCOUNTS, Verb.TOKENS, Verb.WEBHOOKS)):
        allow(desk, who, Verb.SEE_AUDIT)
        return RedirectResponse("/admin/audit", status_code=303)
    return _page(request, who, said=said)


@router.get("/admin/audit")
def audit(
    request: Request,
    who: Reader,
    thing: Annotated[str, Query(max_length=150)] = "",
    person: Annotated[str, Query(max_length=64)] = "",
    before: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> HTMLResponse:
    """Who did what to which thing, newest first."""
    desk = desk_of(request)
    allow(desk, who, Verb.SEE_AUDIT)
    lines = newest_audit(desk.store, thing=thing, who=person, before=before, limit=AUDIT_PAGE)
    older = lines[-1].number if len(lines) == AUDIT_PAGE else 0
    return render(request, "audit.html", who, lines=lines, thing=thing, person=person, older=older)


def _page(request: Request, who: Reader, *, said: str = "", shown: str = "") -> HTMLResponse:
    desk = desk_of(request)
    return render(
        request,
        "admin.html",
        who,
        accounts=desk.accounts.all() if can(desk, who, Verb.ACCOUNTS) else [],
        tokens=desk.accounts.all_tokens() if can(desk, who, Verb.TOKENS) else [],
        hooks=desk.hooks.all() if can(desk, who, Verb.WEBHOOKS) else [],
        deliveries=desk.hooks.lately(limit=20) if can(desk, who, Verb.WEBHOOKS) else [],
        roles=ROLES,
        verbs=[verb.value for verb in Verb],
        events=EVENTS,
        said=refusal_words(said, who.language) if said else "",
        shown=shown,
    )


def _listed(text: str) -> list[str] | None:
    """A comma-separated choice; "*" or nothing is everything."""
    parts = [part.strip() for part in text.replace("、", ",").split(",") if part.strip()]
    return None if not parts or parts == ["*"] else parts


@router.post("/admin/accounts")
def add_account(
    request: Request,
    who: Writer,
    name: Text,
    password: Text,
    display: Text = "",
    roles: Annotated[list[str] | None, Form()] = None,
    queues: Text = "",
    teams: Text = "",
    agent: Text = "",
    phone: Text = "",
) -> Response:
    """A new account."""
    desk = desk_of(request)
    allow(desk, who, Verb.ACCOUNTS)
    chosen = [role for role in roles or [] if role in ROLES]
    try:
        desk.accounts.add(
            name.strip(),
            password,
            roles=chosen,
            display=display.strip(),
            queues=_listed(queues),
            teams=_listed(teams),
            agent=agent.strip(),
            phone=phone.strip(),
        )
    except Refused as error:
        return RedirectResponse(f"/admin?said={error.code}", status_code=303)
    desk.audit(who.name, "account-added", name.strip(), roles=chosen)
    return RedirectResponse("/admin?said=saved", status_code=303)


@router.post("/admin/accounts/{name}")
def change_account(
    request: Request,
    who: Writer,
    name: str,
    roles: Annotated[list[str] | None, Form()] = None,
    queues: Text = "",
    teams: Text = "",
    agent: Text = "",
    disabled: Text = "",
) -> Response:
    """Roles, scope, and whether the account opens anything."""
    desk = desk_of(request)
    allow(desk, who, Verb.ACCOUNTS)
    chosen = [role for role in roles or [] if role in ROLES]
    if name == who.account.name and (disabled or Role.ADMIN.value not in chosen):
        raise Refused("nobody locks themselves out", code="not-oneself")
    desk.accounts.change(
        name,
        roles=chosen,
        queues=_listed(queues),
        teams=_listed(teams),
        agent=agent.strip(),
        disabled=bool(disabled),
    )
    desk.audit(who.name, "account-changed", name, roles=chosen, disabled=bool(disabled))
    return RedirectResponse("/admin?said=saved", status_code=303)


@router.post("/admin/tokens")
def add_token(
    request: Request,
    who: Writer,
    name: Text,
    user: Text,
    verbs: Annotated[list[str] | None, Form()] = None,
    days: Annotated[int, Form(ge=1, le=3650)] = 365,
) -> HTMLResponse:
    """A new token; its text is on this page and never again."""
    desk = desk_of(request)
    allow(desk, who, Verb.TOKENS)
    if desk.accounts.get(user) is None:
        raise Refused("there is no such account", code="no-account")
    chosen = [verb.value for verb in Verb if verb.value in (verbs or [])]
    text, token = desk.accounts.make_token(user, name=name, verbs=chosen, days=days)
    desk.audit(who.name, "token-made", token.id, user=user, verbs=chosen)
    return _page(request, who, shown=text)


@router.post("/admin/tokens/{token}/end")
def end_token(request: Request, who: Writer, token: str) -> Response:
    """End a token."""
    desk = desk_of(request)
    allow(desk, who, Verb.TOKENS)
    if desk.accounts.revoke_token(token):
        desk.audit(who.name, "token-ended", token)
    return RedirectResponse("/admin?said=saved", status_code=303)


@router.post("/admin/webhooks")
def add_webhook(
    request: Request, who: Writer, url: Text, events: Annotated[list[str] | None, Form()] = None, queues: Text = ""
) -> HTMLResponse:
    """A new address; its secret is on this page and never again."""
    desk = desk_of(request)
    allow(desk, who, Verb.WEBHOOKS)
    check_address(url)
    chosen = [event for event in EVENTS if event in (events or [])]
    hook = desk.hooks.add(url, events=chosen, queues=_listed(queues), by=who.account.name)
    desk.audit(who.name, "webhook-added", hook.id, events=chosen)
    return _page(request, who, shown=hook.secret)


@router.post("/admin/webhooks/{hook}/end")
def end_webhook(request: Request, who: Writer, hook: str) -> Response:
    """Forget an address."""
    desk = desk_of(request)
    allow(desk, who, Verb.WEBHOOKS)
    if desk.hooks.remove(hook):
        desk.audit(who.name, "webhook-removed", hook)
    return RedirectResponse("/admin?said=saved", status_code=303)
