"""Findings while an utterance grows: what may still be turned by the next word is tentative."""

from __future__ import annotations

from dataclasses import replace

import pytest
from heard import utterance, words

from callguard.detect.rules import RuleSet
from callguard.detect.scan import Memory, scan
from callguard.model.finding import Finding, Stage
from callguard.model.words import Transcript, Word
from callguard.policyfile import load_policy, load_rules
from callguard.shipped import shipped


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules(load_policy(shipped("policies/en.toml")))


@pytest.fixture(scope="module")
def japanese() -> RuleSet:
    return load_rules(load_policy(shipped("policies/ja.toml")))


def growing(committed: str, tail: str = "") -> Transcript:
    said = words(f"{committed} {tail}")
    count = len(committed.split())
    return replace(utterance(said), committed=said[:count], tentative=said[count:], closed=False)


def stages(found: list[Finding]) -> list[Stage]:
    return [one.stage for one in found]


def test_what_is_committed_and_goes_on_is_a_firm_finding_before_the_utterance_is_over(rules: RuleSet) -> None:
    memory, found = scan(Memory(), [growing("you are an idiot", "so listen")], rules)
    assert stages(found) == [Stage.COMMITTED]
    assert not scan(memory, [utterance(words("you are an idiot so listen"))], rules)[1], "told once"


def test_what_touches_the_end_is_tentative_until_more_is_said_or_it_is_over(rules: RuleSet) -> None:
    memory, found = scan(Memory(), [growing("you are an idiot")], rules)
    assert stages(found) == [Stage.TENTATIVE]
    for then in (growing("you are an idiot", "so"), utterance(words("you are an idiot"))):
        assert stages(scan(memory, [then], rules)[1]) == [Stage.COMMITTED]


def test_words_that_may_still_change_are_tentative(rules: RuleSet) -> None:
    memory, found = scan(Memory(), [growing("listen", "you are an idiot so do it")], rules)
    assert stages(found) == [Stage.TENTATIVE]
    assert not scan(memory, [utterance(words("listen you are in it so do it"))], rules)[1]


def test_the_next_word_may_turn_it(japanese: RuleSet) -> None:
    def heard(*texts: str, closed: bool = False) -> Transcript:
        said = tuple(
            Word(text=text, start_ms=300 * n, end_ms=300 * n + 290, probability=0.95) for n, text in enumerate(texts)
        )
        return replace(utterance(said), language="ja", closed=closed)

    memory, found = scan(Memory(), [heard("この", "クソ")], japanese)
    assert Stage.COMMITTED not in stages(found)
    whole = heard("この", "クソ", "ルーター", "また切れたんだけど、新しいのと交換してもらえませんか。", closed=True)
    assert not scan(memory, [whole], japanese)[1]
    assert Stage.COMMITTED in stages(scan(memory, [heard("この", "クソ", closed=True)], japanese)[1])
