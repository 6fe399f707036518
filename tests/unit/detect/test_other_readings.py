"""What two other readings of the same sound say counts, for less, where the likeliest says nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from heard import utterance, words

from callguard.detect.rules import RuleSet
from callguard.detect.scan import IN_ANOTHER_READING, OTHER_READING, Memory, scan
from callguard.model.finding import Finding, Stage
from callguard.model.words import Word
from callguard.policyfile import load_policy, load_rules
from callguard.shipped import shipped


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules(load_policy(shipped("policies/en.toml")))


def findings(said: str, others: list[tuple[Word, ...]], rules: RuleSet) -> list[Finding]:
    return scan(Memory(), [utterance(words(said), *others)], rules)[1]


def test_other_readings_are_found_and_say_so(rules: RuleSet) -> None:
    assert not findings("you are in the morning", [], rules)
    others = [words("you were a morning"), words("you are a moron"), words("well you are an idiot")]
    (found,) = findings("you are in the morning", others, rules)
    (plain,) = findings("you are a moron", [], rules)
    assert found.score == pytest.approx(plain.score * OTHER_READING, abs=0.001)
    assert (found.stage, found.words) == (Stage.COMMITTED, plain.words)
    assert found.why == f"{plain.why} {IN_ANOTHER_READING}"


def test_the_likeliest_reading_alone_counts_where_it_says_something(rules: RuleSet) -> None:
    found = findings("you are a moron", [words("i will kill you")], rules)
    assert found == findings("you are a moron", [], rules)


def test_an_unclear_other_reading_makes_no_finding(rules: RuleSet) -> None:
    other = words("you are an idiot")
    assert findings("you are in the morning", [words("you are a moron", 0.5), other], rules)
    assert not findings("you are in the morning", [words("you are a moron", 0.2), other], rules)


def test_one_other_reading_accuses_nobody(rules: RuleSet) -> None:
    assert not findings("you are in the morning", [words("you are a moron")], rules)
    assert not findings("you are in the morning", [words("you are a moron"), words("you were a morning")], rules)


def test_one_word_in_several_other_readings_accuses_nobody(rules: RuleSet) -> None:
    assert findings("moron", [], rules)
    assert not findings("the morning", [words("moron"), words("oh moron"), words("eh moron")], rules)
    assert findings("the morning", [words("you are a moron"), words("oh you are a moron")], rules)


def test_one_word_in_several_other_readings_accuses_nobody_in_japanese() -> None:
    japanese = load_rules(load_policy(shipped("policies/ja.toml")))

    def found(*others: str) -> list[Finding]:
        first, *rest = (tuple(replace(word, text=word.text.strip()) for word in words(text)) for text in others)
        return scan(Memory(), [replace(utterance(first, *rest), language="ja")], japanese)[1]

    assert found("死ね")
    assert not found("しめ", "死ね", "そう 死ね", "え 死ね")
    assert not found("その場所")
    assert found("その場所", "お前はバカか", "お前は馬鹿か")


def test_care_is_found_in_another_reading(rules: RuleSet) -> None:
    (found,) = findings("she is not breeding she has collapse", [words("she is not breathing please help")], rules)
    assert found.category.is_care
    others = [words("you are a moron"), words("she is not breathing please help")]
    assert all(found.category.is_care for found in findings("she is not breeding", others, rules))
