"""What two other readings of the same sound say counts, for less, where the likeliest says nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from heard import readings, utterance, words

from callguard.detect.rules import RuleSet
from callguard.detect.scan import IN_ANOTHER_READING, OTHER_READING, Memory, scan
from callguard.model.finding import Finding, Stage
from callguard.model.ids import UtteranceId
from callguard.model.words import Transcript, Word
from callguard.policyfile import load_policy, load_rules
from callguard.shipped import shipped


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules(load_policy(shipped("policies/en.toml")))


def findings(said: str, others: list[tuple[Word, ...]], rules: RuleSet) -> list[Finding]:
    closed = utterance(words(said))
    return scan(Memory(), [closed, readings(closed, *others)], rules)[1]


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
    other = words("you idiot")
    assert findings("you are in the morning", [words("you moron", 0.5), other], rules)
    assert not findings("you are in the morning", [words("you moron", 0.2), other], rules)


def test_a_few_words_in_one_other_reading_accuse_nobody(rules: RuleSet) -> None:
    assert not findings("you in the morning", [words("you moron")], rules)
    assert not findings("you in the morning", [words("you moron"), words("you were a morning")], rules)


def test_many_words_in_one_other_reading_suffice(rules: RuleSet) -> None:
    (found,) = findings("i will kill your account", [words("yes of course"), words("i will kill you")], rules)
    assert len(found.words.split()) >= 4 and found.why.endswith(IN_ANOTHER_READING)


def test_one_word_in_several_other_readings_accuses_nobody(rules: RuleSet) -> None:
    assert findings("moron", [], rules)
    assert not findings("the morning", [words("moron"), words("oh moron"), words("eh moron")], rules)
    assert findings("the morning", [words("you are a moron"), words("oh you are a moron")], rules)


def test_one_word_in_several_other_readings_accuses_nobody_in_japanese() -> None:
    japanese = load_rules(load_policy(shipped("policies/ja.toml")))

    def found(*others: str) -> list[Finding]:
        first, *rest = (tuple(replace(word, text=word.text.strip()) for word in words(text)) for text in others)
        closed = replace(utterance(first), language="ja")
        return scan(Memory(), [closed, readings(closed, *rest)], japanese)[1]

    assert found("死ね")
    assert not found("しめ", "死ね", "そう 死ね", "え 抱かせて", "抱かせて")
    assert not found("その場所")
    assert found("その場所", "お前はバカか", "お前は馬鹿か")


def test_care_is_found_in_another_reading(rules: RuleSet) -> None:
    (found,) = findings("she is not breeding she has collapse", [words("she is not breathing please help")], rules)
    assert found.category.is_care
    others = [words("you are a moron"), words("she is not breathing please help")]
    assert all(found.category.is_care for found in findings("she is not breeding", others, rules))


def test_readings_that_come_in_turns_are_weighed_together_and_told_once(rules: RuleSet) -> None:
    closed = utterance(words("you are in the morning"))
    turns = [words("you moron")], [words("you moron"), words("well you idiot")]
    memory, found = scan(Memory(), [closed, readings(closed, *turns[0])], rules)
    assert not found
    memory, found = scan(memory, [readings(closed, *turns[1])], rules)
    assert [one.words for one in found] == [findings("you moron", [], rules)[0].words]
    assert not scan(memory, [readings(closed, *turns[1])], rules)[1]


def test_what_was_said_before_a_pause_belongs_to_another_reading_even_when_the_next_sentence_is_over(
    rules: RuleSet,
) -> None:
    def at(start_ms: int, text: str) -> Transcript:
        said = utterance(
            tuple(replace(w, start_ms=w.start_ms + start_ms, end_ms=w.end_ms + start_ms) for w in words(text))
        )
        end_ms = start_ms + said.end_ms
        return replace(said, utterance=UtteranceId(f"u-{start_ms}"), start_ms=start_ms, end_ms=end_ms)

    first, second, third = at(0, "i am going to"), at(2000, "till you"), at(4000, "tomorrow morning")
    others = [at(2000, text).committed for text in ("kill you", "kill you yeah")]
    memory, found = scan(Memory(), [first, second, third], rules)
    assert not found
    found = scan(memory, [readings(second, *others)], rules)[1]
    assert (0, second.utterance) in [(threat.start_ms, threat.utterance) for threat in found]
