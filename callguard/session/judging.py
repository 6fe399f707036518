"""Judging one call: what is heard goes through ``scan``, findings and everything else through ``decide``.

The only place where the two pure verbs meet; the live call and the replay of files both judge through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from callguard.detect.memory import Memory
from callguard.detect.rules import RuleSet
from callguard.detect.scan import Heard, scan
from callguard.model.action import CallFacts, Decision, PolicyEvent
from callguard.model.finding import Finding
from callguard.model.key import Elapsed
from callguard.model.policy import Policy
from callguard.model.rule import CallFacts as NumberFacts
from callguard.policy.decide import decide, start
from callguard.policy.state import LadderState


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a call is judged by: one policy and the rules it names."""

    policy: Policy
    rules: RuleSet


@dataclass(slots=True)
class Judge:
    """Memory and ladder of one call. Every method returns what it newly made."""

    guard: Guard
    memory: Memory = field(default_factory=Memory)
    ladder: LadderState = field(init=False)

    def __post_init__(self) -> None:
        self.ladder = start(self.guard.policy)

    def hear(self, heard: Sequence[Heard]) -> tuple[list[Finding], list[Decision]]:
        """Words, loudness, overlap or time: findings, and the decisions they led to."""
        self.memory, findings = scan(self.memory, heard, self.guard.rules)
        return findings, self.decide(findings)

    def pass_time(self, at_ms: int) -> tuple[list[Finding], list[Decision]]:
        """Time passed, for measures and for the ladder alike."""
        elapsed = Elapsed(at_ms=at_ms)
        findings, decisions = self.hear([elapsed])
        return findings, [*decisions, *self.decide([elapsed])]

    def learn(self, facts: CallFacts) -> tuple[list[Finding], list[Decision]]:
        """What is known of the call and of the caller's number."""
        known = NumberFacts(at_ms=facts.at_ms, earlier_calls=facts.earlier_calls, countable=facts.number_known)
        decisions = self.decide([facts])
        findings, more = self.hear([known])
        return findings, [*decisions, *more]

    def decide(self, events: Sequence[PolicyEvent]) -> list[Decision]:
        """Findings, keys, orders, answers, outcomes: the ladder's decisions."""
        self.ladder, decisions = decide(self.ladder, events, self.guard.policy)
        return decisions
