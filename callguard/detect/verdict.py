"""What a single text comes to: harassment, nothing, or a call for care."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from callguard.detect.find import Match, find
from callguard.detect.rules import RuleSet
from callguard.model.finding import Category
from callguard.model.ids import Role

SURE_ENOUGH = 0.5
"""A match below this score is not a finding."""


class Judgement(StrEnum):
    """The three answers. Care outweighs harassment."""

    HARASSMENT = "harassment"
    NONE = "none"
    CARE = "care"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer and what made it.

    kinds: the categories found, gravest first. severity: the gravest one's, 0 for care and none.
    rules, words: of each match, in the same order.
    """

    verdict: Judgement
    kinds: tuple[Category, ...] = ()
    severity: int = 0
    rules: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def judge_text(text: str, language: str, rules: RuleSet) -> Verdict:
    """Judge a caller's text. A language without rules gives no finding."""
    spoken = rules.languages.get(language)
    matches = find(text, spoken, role=Role.CALLER) if spoken is not None else []
    return sum_up([match for match in matches if match.score >= SURE_ENOUGH])


def sum_up(matches: list[Match]) -> Verdict:
    """The verdict that matches come to."""
    care = [match for match in matches if match.rule.category.is_care]
    counted = care or matches
    if not counted:
        return Verdict(verdict=Judgement.NONE)
    return Verdict(
        verdict=Judgement.CARE if care else Judgement.HARASSMENT,
        kinds=tuple(dict.fromkeys(match.rule.category for match in counted)),
        severity=max(match.rule.severity for match in counted),
        rules=tuple(match.rule.id for match in counted),
        words=tuple(match.words for match in counted),
    )
