"""What the ladder remembers of one call. Immutable; ``decide`` returns the next one."""

from __future__ import annotations

from dataclasses import dataclass

from callguard.model.action import Action, CallFacts, Refusal
from callguard.model.finding import Category
from callguard.model.ids import LegId
from callguard.model.key import Flag, Key, KeyPress, SeenBy


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A committed finding, as far as evidence is counted. ``place`` is its utterance, or its moment."""

    rule: str
    category: Category
    severity: int
    score: float
    at_ms: int
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Playing:
    """A warning on its way to the caller. ``rung`` 0 is a notice outside the ladder."""

    key: str
    rung: int
    announcement: str
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A question to an approver that is not answered yet."""

    id: str
    of: str
    rung: int
    approvers: tuple[str, ...]
    wait_ms: int
    asked: int
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A press as far as later presses need it."""

    id: str
    key: Key
    leg: LegId
    at_ms: int
    seen_by: SeenBy


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderState:
    """Where a call stands.

    rung: the last rung that the caller is known to have heard whole.
    warned_ms: when that was, None before the first.
    evidence_from_ms: findings before it are used up for automatic warnings.
    done: keys of what is done once a call.
    """

    facts: CallFacts | None = None
    agent_leg: LegId | None = None
    refusal: Refusal | None = None
    now_ms: int = 0
    rung: int = 0
    serial: int = 0
    warned_ms: int | None = None
    evidence_from_ms: int = -1
    playing: Playing | None = None
    unconfirmed: tuple[Playing, ...] = ()
    flags: tuple[Flag, ...] = ()
    flag_press: KeyPress | None = None
    heard: tuple[Heard, ...] = ()
    worst: int = 0
    care: Category | None = None
    requests: tuple[Request, ...] = ()
    presses: tuple[Pressed, ...] = ()
    last_refusal: Refusal | None = None
    leaving: Action | None = None
    done: frozenset[str] = frozenset()

    @property
    def language(self) -> str:
        """What the caller is spoken to in, "" while unknown."""
        return self.facts.language if self.facts else ""

    @property
    def flagged(self) -> bool:
        """Whether a flag stands."""
        return any(flag.withdrawn_ms is None for flag in self.flags)

    @property
    def excepted(self) -> str:
        """Why no measure is taken on this call, "" where measures may be taken."""
        if self.care is not None:
            return f"care comes first ({self.care})"
        if self.facts and self.facts.relay:
            return "this is a relay call"
        if self.facts and self.facts.protected:
            return "the number or the queue is protected"
        return ""
