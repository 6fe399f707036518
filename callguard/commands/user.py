"""``callguard user``: accounts of the desk. The first administrator is made here; there is no default password."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callguard.access import Role

if TYPE_CHECKING:
    from callguard.store.accounts import Account, Accounts
    from callguard.store.store import Store

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Accounts of the desk.")

Settings = Annotated[Path | None, typer.Option("--settings", help="Settings file.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="User name: letters, digits, dot, dash, underscore, @.")],
    role: Annotated[list[Role], typer.Option("--role", help="May be given several times.")],
    display: Annotated[str, typer.Option(help="The name that pages show.")] = "",
    queue: Annotated[list[str] | None, typer.Option("--queue", help="Only these queues; default: all.")] = None,
    team: Annotated[list[str] | None, typer.Option("--team", help="Only these teams; default: all.")] = None,
    agent: Annotated[str, typer.Option(help="Their name at the telephone, e.g. PJSIP/101.")] = "",
    phone: Annotated[str, typer.Option(help="Telephone that rings for listening in.")] = "",
    language: Annotated[str, typer.Option(help="en, ja, or nothing for the browser's.")] = "",
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    settings: Settings = None,
) -> None:
    """Make an account. Asks for the password twice, or reads it from stdin."""
    password = _password(from_stdin=password_stdin)
    store, accounts = _open(settings)
    account = accounts.add(
        name,
        password,
        roles=[one.value for one in role],
        display=display,
        queues=queue,
        teams=team,
        agent=agent,
        phone=phone,
        language=language,
    )
    store.audit(who="command line", verb="account-added", thing=name, data={"roles": list(account.roles)})
    _say(f"{name} may sign in now: {', '.join(account.roles)}")


@app.command("list")
def list_all(settings: Settings = None, as_json: AsJson = False) -> None:
    """All accounts."""
    _, accounts = _open(settings)
    found = accounts.all()
    if as_json:
        print(json.dumps([_facts(one) for one in found], ensure_ascii=False, indent=2))  # noqa: T201
        return
    for one in found:
        queues = "all" if one.queues is None else ",".join(one.queues)
        state = "off" if one.disabled else "on"
        print(f"{one.name}\t{state}\t{','.join(one.roles)}\tqueues: {queues}\t{one.display}")  # noqa: T201


@app.command()
def disable(name: str, settings: Settings = None) -> None:
    """Close an account: its sign-ins and tokens end at once."""
    _change(name, settings, disabled=True)
    _say(f"{name} can no longer sign in")


@app.command()
def enable(name: str, settings: Settings = None) -> None:
    """Open a closed account again. Its old sign-ins and tokens stay ended."""
    _change(name, settings, disabled=False)
    _say(f"{name} may sign in again")


@app.command()
def password(
    name: str,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    settings: Settings = None,
) -> None:
    """Set a new password. All sign-ins of the account end."""
    new = _password(from_stdin=password_stdin)
    store, accounts = _open(settings)
    accounts.set_password(name, new)
    store.audit(who="command line", verb="password-changed", thing=name, data={})
    _say(f"{name} has a new password")


def _change(name: str, settings: Path | None, *, disabled: bool) -> None:
    store, accounts = _open(settings)
    accounts.change(name, disabled=disabled)
    store.audit(who="command line", verb="account-changed", thing=name, data={"disabled": disabled})


def _open(settings: Path | None) -> tuple[Store, Accounts]:
    from callguard.config import load_settings
    from callguard.store.accounts import Accounts
    from callguard.store.opening import open_store

    found = load_settings(settings).store
    store = open_store(found.url, segments=found.segments, key_file=found.key_file)
    return store, Accounts(store.engine)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    given: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return given


def _facts(account: Account) -> dict[str, object]:
    return {
        "name": account.name,
        "display": account.display,
        "roles": account.roles,
        "queues": account.queues,
        "teams": account.teams,
        "agent": account.agent,
        "phone": account.phone,
        "disabled": account.disabled,
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - talk of a command
