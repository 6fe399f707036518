"""Rules as the policy names them, and the facts about a call that rules may weigh beside words."""

from __future__ import annotations

from dataclasses import dataclass

from callguard.model.finding import Category
from callguard.model.ids import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is known of one rule without its patterns.

    id: unique in the rule set, e.g. "en.threat.harm-you".
    severity: 1..3, care: 0 (see ``Finding.severity``).
    speaker: whose words it reads; None reads anybody's.
    score: what a clear match is worth, 0..1.
    why: one plain sentence in English.
    """

    id: str
    language: str
    category: Category
    severity: int
    speaker: Role | None = Role.CALLER
    score: float = 1.0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What is known of the caller's number before a word is said. Told once a call, or again when it changes.

    at_ms: on the call's clock.
    earlier_calls: calls from the same number inside the policy's window, this one not counted.
    countable: False where the number does not stand for one person: withheld, rewritten on the way, or shared
        by many. Then ``earlier_calls`` is never weighed.
    """

    at_ms: int
    earlier_calls: int = 0
    countable: bool = False
