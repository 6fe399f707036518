"""The pattern language over a lattice of English words."""

from __future__ import annotations

import pytest

from callguard.detect.english import EnglishWords
from callguard.detect.pattern import Pattern, parse
from callguard.model.errors import SettingsError


def read(source: str, words: EnglishWords) -> Pattern:
    return parse(source, {}, literal=words.literal, commonness=len, where="here")


@pytest.mark.parametrize(
    ("source", "text", "found"),
    [
        ("break your leg", "i will break your leg today", [(2, 5)]),
        ("~break your ( leg | arm )", "he broke your arm", [(1, 4)]),
        ("break ..2 leg", "break your left leg", [(0, 4)]),
        ("break ..2 leg", "break one or the other leg", []),
        ("break ..2 leg", "break it. your leg", []),
        ("very* bad", "very very bad", [(0, 2)]),
        ("so? bad", "bad", [(0, 1)]),
        ("you !are fool", "you fool", [(0, 2)]),
        ("you !are ..1 fool", "you are fool", []),
        ("^ help", "please help", []),
        ("^ help", "wait, help", [(1, 2)]),
        ("help $", "help me", []),
        ("help $", "please help", [(1, 2)]),
        ("( very | so )? bad", "so bad and bad", [(0, 2), (3, 4)]),
    ],
)
def test_pattern_matches_where_it_should(source: str, text: str, found: list[tuple[int, int]]) -> None:
    words = EnglishWords()
    pattern = read(source, words)
    assert pattern.spans(words.lattice(text, by_sound=False)) == found


@pytest.mark.parametrize(
    ("source", "firsts"),
    [
        ("so? bad", {"so", "bad"}),
        ("( very | so ) bad", {"very", "so"}),
        ("..2 bad", None),
        ("!so bad", {"bad"}),
        ("^ bad", {"bad"}),
    ],
)
def test_pattern_knows_what_it_can_begin_with(source: str, firsts: set[str] | None) -> None:
    assert read(source, EnglishWords()).firsts == firsts


@pytest.mark.parametrize(
    "source", ["( bad", "bad )", "| bad", "bad |", "so?", "..3", "so* ..2", "? bad", "<nowhere> bad"]
)
def test_broken_patterns_name_their_place(source: str) -> None:
    with pytest.raises(SettingsError) as error:
        read(source, EnglishWords())
    assert "here" in str(error.value)


def test_a_pattern_knows_every_step_that_must_be_there() -> None:
    pattern = read("( break | smash ) ( both | all )? your ..2 ( leg | arm ) !off", EnglishWords())
    assert set(pattern.needs) == {frozenset({"break", "smash"}), frozenset({"your"}), frozenset({"leg", "arm"})}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("get out", [(0, 2)]),
        ("please get out", [(0, 3)]),
        ("shut up", [(0, 2)]),
        ("wait, shut up", [(1, 3)]),
        ("go home", []),
    ],
)
def test_alternatives_are_chosen_by_how_they_begin(text: str, found: list[tuple[int, int]]) -> None:
    words = EnglishWords()
    pattern = read("( please? get out | ^ shut up | ..1 never out )", words)
    assert pattern.spans(words.lattice(text, by_sound=False)) == found
