"""The figures reached on the labelled sentences, as a floor.

All sets but one of each language have been read while writing rules by now: their figures guard against loss; they
do not tell how the rules do on sentences that nobody has seen.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from callguard.commands.policies.sentences import Sentence, read_sentences
from callguard.detect.rules import RuleSet
from callguard.detect.verdict import Judgement, judge_text
from callguard.policyfile import load_policy, load_rules
from callguard.shipped import shipped

SENTENCES = Path(__file__).parents[2] / "replay" / "sentences"
READ = [("en", name) for name in ("examples", *"abcdefgjklmnopqrtuvwxyz", "aa", "bb")] + [
    ("ja", name) for name in ("examples", *"abcdeghijklmnopqrstvwxy")
]


@pytest.fixture(scope="module")
def rules() -> dict[str, RuleSet]:
    return {lang: load_rules(load_policy(shipped(f"policies/{lang}.toml"))) for lang in ("en", "ja")}


def rows_of(lang: str, name: str, *labels: str) -> list[Sentence]:
    rows = read_sentences(SENTENCES / lang / f"{name}.tsv")
    return [row for row in rows if not labels or row.label in labels]


def share(sentences: list[Sentence], verdict: Judgement, lang: str, rules: dict[str, RuleSet]) -> float:
    return sum(judge_text(one.text, lang, rules[lang]).verdict is verdict for one in sentences) / len(sentences)


@pytest.mark.parametrize(("lang", "name"), READ)
def test_figures_do_not_fall(lang: str, name: str, rules: dict[str, RuleSet]) -> None:
    assert share(rows_of(lang, name, "harassment"), Judgement.HARASSMENT, lang, rules) >= 0.97
    assert share(rows_of(lang, name, "grievance", "neutral"), Judgement.HARASSMENT, lang, rules) == 0.0
    assert share(rows_of(lang, name, "care"), Judgement.CARE, lang, rules) == 1.0


def test_harmless_talk_with_grave_words_passes(rules: dict[str, RuleSet]) -> None:
    assert share(rows_of("en", "h"), Judgement.NONE, "en", rules) == 1.0


@pytest.mark.parametrize(
    ("lang", "name", "found"), [("en", "i", 23 / 33), ("en", "s", 61 / 62), ("ja", "f", 45 / 50), ("ja", "u", 60 / 62)]
)
def test_the_set_no_rule_was_written_from_does_not_fall(
    lang: str, name: str, found: float, rules: dict[str, RuleSet]
) -> None:
    """Measured once, their rows never read: so many found and no harmless one flagged (of s all 62)."""
    assert share(rows_of(lang, name, "harassment"), Judgement.HARASSMENT, lang, rules) >= found
    assert share(rows_of(lang, name, "grievance", "neutral"), Judgement.NONE, lang, rules) == 1.0
