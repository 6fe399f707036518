"""What the detector remembers of a call between events. Frozen: ``scan`` gives a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from callguard.model.finding import Stage
from callguard.model.ids import LegId, Role, UtteranceId
from callguard.model.rule import CallFacts

MOST_TOPICS = 64
"""How many different things said by the caller are remembered for "the same demand"."""

_NONE: Mapping[LegId, Role] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A finding already given: this rule, at these words, at this stage."""

    rule: str
    utterance: UtteranceId
    stage: Stage
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of a leg's last closed utterance: words may be split over two."""

    utterance: UtteranceId
    text: str
    start_ms: int
    end_ms: int
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Something the caller said: its content words, when first, when last, how often."""

    words: frozenset[str]
    first_ms: int
    last_ms: int
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Empty at the call's start.

    tails: ends of a leg's last utterances, newest last. talk_ms: speech so far by leg.
    loud: (end_ms, decibels above own baseline) of the caller's last loud utterances.
    interruptions: when the caller began while the agent spoke. notice_ms: when the agent last gave notice.
    fired: measures that already made a finding of their own.
    """

    told: tuple[Told, ...] = ()
    tails: Mapping[LegId, tuple[Tail, ...]] = field(default_factory=lambda: MappingProxyType({}))
    roles: Mapping[LegId, Role] = field(default_factory=lambda: _NONE)
    talk_ms: Mapping[LegId, int] = field(default_factory=lambda: MappingProxyType({}))
    loud: tuple[tuple[UtteranceId, int, float], ...] = ()
    interruptions: tuple[int, ...] = ()
    topics: tuple[Topic, ...] = ()
    demand_ms: int = 0
    facts: CallFacts | None = None
    notice_ms: int | None = None
    now_ms: int = 0
    fired: frozenset[str] = frozenset()

    @property
    def caller(self) -> LegId | None:
        """The caller's leg, once heard."""
        return next((leg for leg, role in self.roles.items() if role is Role.CALLER), None)
