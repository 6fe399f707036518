"""May this person do this to that? The one question of the room.

Rule: a right counts only inside the person's scope. What is not known to be inside is outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from callguard.access.roles import DEFAULT_RIGHTS, ONLY_OWN, Role, Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which queues and teams somebody's rights reach. None: all of them. Empty: none."""

    queues: frozenset[str] | None
    teams: frozenset[str] | None

    def holds(self, *, queue: str, team: str) -> bool:
        """Both must be inside. A thing whose team nobody knows is inside only for those who reach all teams."""
        in_queue = self.queues is None or queue in self.queues
        in_team = self.teams is None or team in self.teams
        return in_queue and in_team


EVERYWHERE = Scope(queues=None, teams=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody at the desk, or a token that stands for less.

    agent: the name or interface under which the telephone side knows them, "" for nobody.
    only: the verbs a token is limited to; None for a person, who has all that their roles give.
    """

    name: str
    roles: frozenset[Role]
    scope: Scope
    agent: str = ""
    only: frozenset[Verb] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """What the verb is about.

    agent: whose call or case it is.
    judged_by: who gave the first verdict; a second opinion must come from somebody else.
    held_by: who put a hold on it or asked to release it; the release needs another.
    """

    queue: str = ""
    team: str = ""
    agent: str = ""
    judged_by: frozenset[str] = field(default_factory=frozenset)
    held_by: frozenset[str] = field(default_factory=frozenset)


class Answer(StrEnum):
    """YES, or why not. The word is stable and has words in both languages."""

    YES = "yes"
    NO_RIGHT = "no-right"
    OUT_OF_SCOPE = "out-of-scope"
    NOT_ONESELF = "not-oneself"

    def __bool__(self) -> bool:
        return self is Answer.YES


def may(
    person: Person,
    verb: Verb,
    thing: Thing | None = None,
    *,
    rights: Mapping[Role, frozenset[Verb]] = DEFAULT_RIGHTS,
) -> Answer:
    """Whether ``person`` may do ``verb`` to ``thing``; without a thing: whether anywhere at all."""
    if person.only is not None and verb not in person.only:
        return Answer.NO_RIGHT
    roles = {role for role in person.roles if verb in rights[role]}
    if not roles:
        return Answer.NO_RIGHT
    if thing is None:
        return Answer.YES
    if not _reaches(person, roles, thing):
        return Answer.OUT_OF_SCOPE
    if verb is Verb.SECOND and person.name in thing.judged_by:
        return Answer.NOT_ONESELF
    if verb is Verb.RELEASE and person.name in thing.held_by:
        return Answer.NOT_ONESELF
    if verb in (Verb.DECIDE, Verb.SECOND) and person.agent and person.agent == thing.agent:
        return Answer.NOT_ONESELF
    return Answer.YES


def role_names_of(person: Person) -> tuple[str, ...]:
    """The person's roles as words, in the order of the roles."""
    return tuple(role.value for role in Role if role in person.roles)


def _reaches(person: Person, roles: set[Role], thing: Thing) -> bool:
    if roles & ONLY_OWN and person.agent and person.agent == thing.agent:
        return True
    return bool(roles - ONLY_OWN) and person.scope.holds(queue=thing.queue, team=thing.team)
