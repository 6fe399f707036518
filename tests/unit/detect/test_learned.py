"""What labelled sentences teach: its file, its lines, and how it and the rules hold each other in check."""

from __future__ import annotations

from dataclasses import replace

import pytest
from heard import utterance, words

from callguard.detect.find import find
from callguard.detect.learned import FORMAT, Learned, Piece, grams, learned_rules, read_learned, write_learned
from callguard.detect.rules import LanguageRules, RuleSet
from callguard.detect.scan import Memory, scan
from callguard.detect.verdict import Judgement, judge_text
from callguard.model.errors import SettingsError
from callguard.model.finding import Category
from callguard.model.ids import Role
from callguard.policyfile import load_policy, load_rules
from callguard.shipped import shipped


@pytest.fixture(scope="module")
def rules() -> dict[str, RuleSet]:
    return {code: load_rules(load_policy(shipped(f"policies/{code}.toml"))) for code in ("en", "ja")}


def model(**weights: tuple[float, float]) -> Learned:
    kinds = (0.0, 5.0)
    return Learned(
        language="en",
        pieces={f"={word}": Piece(1.0, abuse, care, kinds) for word, (abuse, care) in weights.items()},
        base=(-2.0, -2.0, *(0.0,) * 11),
        room=0.0,
        alone=1.0,
        doubted=-3.0,
        care=1.0,
        rules=learned_rules("en"),
    )


def with_model(rules: RuleSet, learned: Learned | None) -> LanguageRules:
    return replace(rules.languages["en"], learned=learned)


def test_a_file_reads_as_it_was_written() -> None:
    learned = model(zorp=(9.0, 0.0), flim=(-4.5, 0.25))
    text = write_learned(learned, {"sentences": "2"})
    assert text.startswith(FORMAT) and "# sentences 2\n" in text
    assert read_learned(text, where="x") == learned


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("", "x", "first line"),
        ("[rules]\n", "x", "first line"),
        (f"{FORMAT}\n# language en\n=a\t1\t2\t3\n", "x", "no empty line"),
        (f"{FORMAT}\n# language en\n\n=a\t1\t2\t3\n", "x", "heading"),
        (f"{FORMAT}\n# language en\n\n=a\t1\ttwo\t3\n", "x, line 4", "no number"),
        (f"{FORMAT}\n# language en\n\n=a" + "\t1" * 20 + "\n", "x, line 4", "too many"),
    ],
)
def test_a_file_that_is_wrong_is_told_with_its_place(text: str, where: str, what: str) -> None:
    with pytest.raises(SettingsError) as told:
        read_learned(text, where="x")
    assert told.value.where == where and what in str(told.value)


def test_it_finds_what_no_rule_matches_and_shows_the_words_that_weighed(rules: dict[str, RuleSet]) -> None:
    spoken = with_model(rules["en"], model(zorp=(20.0, 0.0)))
    said = "the cat sat on the mat and the dog lay by the fire with the zorp"
    (found,) = find(said, spoken)
    assert (found.rule.id, found.rule.category) == ("en.learned.threat", Category.THREAT)
    assert found.words == "zorp" and 0.5 <= found.score <= 0.95
    assert find(said.replace("zorp", "rug"), spoken) == []
    assert find(said, with_model(rules["en"], None)) == []


def test_an_utterance_that_still_grows_and_an_agent_are_left_to_the_rules(rules: dict[str, RuleSet]) -> None:
    spoken = with_model(rules["en"], model(zorp=(20.0, 0.0)))
    assert find("look at the zorp", spoken)
    assert not find("look at the zorp", spoken, whole=False)
    assert not find("look at the zorp", spoken, role=Role.AGENT)


def test_a_rule_in_talk_that_reads_harmless_is_doubted_a_grave_one_later(rules: dict[str, RuleSet]) -> None:
    insult, threat = "you are an idiot with a flim", "i will kill you with a flim"
    plain = with_model(rules["en"], model())
    for weight, told in ((-1.0, (True, True)), (-1.5, (False, True)), (-9.0, (False, False))):
        spoken = with_model(rules["en"], model(flim=(weight, 0.0)))
        assert (bool(find(insult, spoken)), bool(find(threat, spoken))) == told
    assert find(insult, plain) and find(threat, plain)


def test_care_comes_first_and_is_never_doubted(rules: dict[str, RuleSet]) -> None:
    spoken = with_model(rules["en"], model(flim=(-20.0, 0.0), zorp=(20.0, 20.0)))
    (found,) = find("she is not breathing please help flim", spoken)
    assert found.rule.category.is_care
    verdict = judge_text("you are an idiot zorp", "en", RuleSet(languages={"en": spoken}))
    assert verdict.verdict is Judgement.CARE and verdict.severity == 0


def test_where_a_guard_has_spoken_it_is_silent(rules: dict[str, RuleSet]) -> None:
    spoken = with_model(rules["en"], model(zorp=(20.0, 0.0)))
    assert find("i am not saying you are stupid zorp", spoken) == []


def test_a_policy_switches_kinds_off_and_sets_their_severity() -> None:
    learned = model(zorp=(20.0, 0.0)).chosen(frozenset(["en.learned.privacy"]), {"en.learned.threat": 3})
    assert Category.PRIVACY not in learned.rules and learned.rules[Category.THREAT].severity == 3


def test_what_was_heard_unclearly_is_no_finding(rules: dict[str, RuleSet]) -> None:
    said = RuleSet(languages={"en": with_model(rules["en"], model(zorp=(4.5, 0.0)))})
    assert scan(Memory(), [utterance(words("look at the zorp"))], said)[1]
    assert not scan(Memory(), [utterance(words("look at the zorp", 0.3))], said)[1]


@pytest.mark.parametrize("times", [1, 3, 9])
def test_it_alone_is_never_of_the_gravest_severity(times: int, rules: dict[str, RuleSet]) -> None:
    severe = model(zorp=(20.0 * times, 0.0))
    severe = replace(severe, pieces={"=zorp": Piece(1.0, 20.0 * times, 0.0, (0.0,) * 9 + (9.0 * times,))})
    (found,) = find("look at the zorp", with_model(rules["en"], severe))
    assert found.rule.severity == 2


def test_pieces_are_words_and_runs_in_english_runs_and_sounds_in_japanese(rules: dict[str, RuleSet]) -> None:
    english = grams(rules["en"].languages["en"].lattice("You're late", by_sound=False), "en")
    assert {"=you", "=you are", "=< you", "=are late >", " you", "late "} <= english
    japanese = grams(rules["ja"].languages["ja"].lattice("お前は遅い。", by_sound=False), "ja")
    assert {"^", "お前は", "遅い$", "~オソイ", "~イ$"} <= japanese and not any("。" in piece for piece in japanese)
