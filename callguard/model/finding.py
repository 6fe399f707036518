"""Findings: what the detector found in words, loudness, overlap or time, and what made it say so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from callguard.model.ids import LegId, Role, UtteranceId


class Category(StrEnum):
    """callguard's working kinds. Taxonomies of ministries and associations are mapped onto them as data."""

    VERBAL_ABUSE = "verbal_abuse"
    THREAT = "threat"
    SNS_THREAT = "sns_threat"
    EXCESSIVE_DEMAND = "excessive_demand"
    AUTHORITY = "authority"
    SEXUAL = "sexual"
    DISCRIMINATION = "discrimination"
    PRIVACY = "privacy"
    RESTRAINT = "restraint"
    REPETITION = "repetition"
    LIFE_AT_RISK = "life_at_risk"
    ACCOMMODATION = "accommodation"

    @property
    def is_care(self) -> bool:
        """True for the opposite of a flag: it stops every automatic measure and calls a human."""
        return self in (Category.LIFE_AT_RISK, Category.ACCOMMODATION)


class Stage(StrEnum):
    """TENTATIVE findings rest on words that may still change: a hint for people, never a reason to act."""

    TENTATIVE = "tentative"
    COMMITTED = "committed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule that matched.

    rule: the rule's id in the policy, e.g. "en.threat.harm-you".
    severity: 1 (insult, pressure), 2 (targeted abuse, coercion), 3 (threat to life, limb or property); care: 0.
    score: 0..1, lowered by the recognizer's doubt.
    words: the exact words that matched, as recognized. Personal data: never in logs.
    why: one plain sentence in English; pages translate by the rule's id.
    """

    rule: str
    category: Category
    severity: int
    leg: LegId
    role: Role
    start_ms: int
    end_ms: int
    words: str
    stage: Stage
    score: float = 1.0
    utterance: UtteranceId | None = None
    why: str = ""
