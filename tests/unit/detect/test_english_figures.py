"""The figures reached on the labelled English sentences, as a floor.

Sets a to h have been read while writing rules by now: their figures guard against loss; they do not tell how the rules
do on sentences that nobody has seen.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from callguard.commands.policies.sentences import Sentence, read_sentences
from callguard.detect.rules import RuleSet
from callguard.detect.verdict import Judgement, judge_text
from callguard.policyfile import load_policy, load_rules
from callguard.shipped import shipped

SENTENCES = Path(__file__).parents[2] / "replay" / "sentences" / "en"


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules(load_policy(shipped("policies/en.toml")))


def share(sentences: list[Sentence], verdict: Judgement, rules: RuleSet) -> float:
    return sum(judge_text(one.text, "en", rules).verdict is verdict for one in sentences) / len(sentences)


@pytest.mark.parametrize("name", ["examples", "a", "b", "c", "d", "e", "f", "g"])
def test_figures_do_not_fall(name: str, rules: RuleSet) -> None:
    rows = read_sentences(SENTENCES / f"{name}.tsv")
    harassment = [row for row in rows if row.label == "harassment"]
    harmless = [row for row in rows if row.label in ("grievance", "neutral")]
    care = [row for row in rows if row.label == "care"]
    assert share(harassment, Judgement.HARASSMENT, rules) >= 0.98
    assert share(harmless, Judgement.HARASSMENT, rules) == 0.0
    assert share(care, Judgement.CARE, rules) == 1.0


def test_harmless_talk_with_grave_words_passes(rules: RuleSet) -> None:
    rows = read_sentences(SENTENCES / "h.tsv")
    assert share(rows, Judgement.NONE, rules) == 1.0


def test_the_set_no_rule_was_written_from_does_not_fall(rules: RuleSet) -> None:
    """Measured once, its misses never read: 23 of 33 found, none of 15 complaints flagged. Far from the other sets."""
    rows = read_sentences(SENTENCES / "i.tsv")
    assert share([row for row in rows if row.label == "harassment"], Judgement.HARASSMENT, rules) >= 23 / 33
    assert share([row for row in rows if row.label == "grievance"], Judgement.NONE, rules) == 1.0
