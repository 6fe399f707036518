"""What every page of the desk stands on: settings, store, bus, accounts, the live board. Made once, by ``serve``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from callguard.access import DEFAULT_RIGHTS, Person, Role, Scope, Thing, Verb, rights_under
from callguard.store.accounts import Account, Accounts, SignIn, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import HTTPConnection

    from callguard.bus.link import Bus
    from callguard.model.policy import Policy
    from callguard.store.desk_hooks import Hooks
    from callguard.store.reviews import Reviews
    from callguard.store.store import Store
    from callguard.web.live import Board
    from callguard.web.oidc import OidcPart


class WebPart(Protocol):
    """Section ``web`` of the settings, as far as the desk reads it."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def public_url(self) -> str: ...
    @property
    def session_hours(self) -> float: ...
    @property
    def language(self) -> str: ...
    @property
    def trusted_proxies(self) -> tuple[str, ...]: ...
    @property
    def address(self) -> str: ...


class StorePart(Protocol):
    """Section ``store`` of the settings, as far as the desk reads it."""

    @property
    def segments(self) -> Path: ...


class DeskSettings(Protocol):
    """The settings, seen from the desk: settings stand on a higher floor."""

    @property
    def web(self) -> WebPart: ...
    @property
    def store(self) -> StorePart: ...
    @property
    def oidc(self) -> OidcPart: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """bus: None where the desk runs without live calls. policy_of: what is in force for a queue, "" in general."""

    settings: DeskSettings
    store: Store
    bus: Bus | None
    accounts: Accounts
    reviews: Reviews
    board: Board
    hooks: Hooks
    policy_of: Callable[[str], Policy | None] = lambda queue: None
    _teams: dict[str, str] = field(default_factory=dict)

    def rights(self, queue: str) -> Mapping[Role, frozenset[Verb]]:
        """Roles to verbs in this queue."""
        policy = self.policy_of(queue)
        return rights_under(policy.rights) if policy else DEFAULT_RIGHTS

    def team_of(self, agent: str) -> str:
        """The team of the account that this agent signs in with, "" where there is none."""
        return self._teams.get(agent, "")

    def read_teams(self) -> None:
        """Read anew which agent is of which team."""
        fresh = {one.agent: one.teams[0] for one in self.accounts.all() if one.agent and one.teams}
        self._teams.clear()
        self._teams.update(fresh)

    def thing(self, *, queue: str, agent: str, **more: frozenset[str]) -> Thing:
        """A call or case as ``access`` sees it."""
        return Thing(queue=queue, agent=agent, team=self.team_of(agent), **more)

    @property
    def secure(self) -> bool:
        """Whether people come over https."""
        return self.settings.web.public_url.startswith("https://")

    def audit(self, who: str, verb: str, thing: str, **data: object) -> None:
        """One line into the audit trail."""
        self.store.audit(who=who, verb=verb, thing=thing, data=data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Whoever asks for a page or calls the API: sign_in for a browser, token for a program."""

    account: Account
    person: Person
    language: str
    sign_in: SignIn | None = None
    token: Token | None = None

    @property
    def name(self) -> str:
        """The name that goes into the audit."""
        return f"{self.account.name} (token {self.token.id})" if self.token else self.account.name

    @property
    def csrf(self) -> str:
        """What forms must carry."""
        return self.sign_in.csrf if self.sign_in else ""


def person_of(account: Account, *, only: frozenset[Verb] | None = None) -> Person:
    """The account as ``access`` sees it. Roles no longer known give nothing."""
    known = {role.value: role for role in Role}
    return Person(
        name=account.name,
        roles=frozenset(known[name] for name in account.roles if name in known),
        scope=Scope(
            queues=None if account.queues is None else frozenset(account.queues),
            teams=None if account.teams is None else frozenset(account.teams),
        ),
        agent=account.agent,
        only=only,
    )


def desk_of(asked: HTTPConnection) -> Desk:
    """The desk this request came to."""
    desk = asked.app.state.desk
    assert isinstance(desk, Desk)
    return desk


def host_of(asked: HTTPConnection, trusted: tuple[str, ...]) -> str:
    """The visitor's address: the last one in X-Forwarded-For that no trusted proxy has."""
    host = asked.client.host if asked.client else ""
    if host not in trusted:
        return host
    for one in reversed(asked.headers.get("x-forwarded-for", "").split(",")):
        if one.strip() and one.strip() not in trusted:
            return "".join(letter for letter in one.strip()[:64] if letter in "0123456789abcdefABCDEF:.")
    return host
