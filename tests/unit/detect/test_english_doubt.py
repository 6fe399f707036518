"""What the recognizer is not sure of counts for less."""

from __future__ import annotations

import pytest
from heard import utterance, words

from callguard.detect.rules import RuleSet
from callguard.detect.scan import Memory, scan
from callguard.model.finding import Finding
from callguard.policyfile import load_policy, load_rules
from callguard.shipped import shipped


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules(load_policy(shipped("policies/en.toml")))


def findings(text: str, probabilities: dict[str, float], rules: RuleSet) -> list[Finding]:
    return scan(Memory(), [utterance(words(text, unsure=probabilities))], rules)[1]


def test_clear_words_are_found_to_the_full(rules: RuleSet) -> None:
    (found,) = findings("you are a moron", {}, rules)
    assert found.score == 1.0


def test_doubt_lowers_the_score(rules: RuleSet) -> None:
    (found,) = findings("you are a moron", {"moron": 0.3}, rules)
    assert 0.5 <= found.score < 1.0


@pytest.mark.parametrize("said", ["you are a moron", "i will kill you", "you stupid bitch", "listen you moron"])
def test_one_unclear_word_never_makes_a_finding(said: str, rules: RuleSet) -> None:
    grave = {"moron": 0.04, "kill": 0.04, "bitch": 0.04, "stupid": 0.04}
    assert findings(said, {}, rules)
    assert not findings(said, grave, rules)


@pytest.mark.parametrize(
    "said", ["you are where i bought it", "can you tell me more on the bill", "do you know more in the shop"]
)
def test_what_only_sounds_like_an_insult_is_none(said: str, rules: RuleSet) -> None:
    assert not findings(said, {}, rules)
