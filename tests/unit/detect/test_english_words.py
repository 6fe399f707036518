"""English words: unfolding, spelling, inflection and what only sounds alike."""

from __future__ import annotations

import pytest

from callguard.detect.english import EnglishWords, confusions, degrees, fold, forms, unfold


def words_of(text: str) -> list[str]:
    return [token.text for token in unfold(text)[0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I'll break it", ["i", "will", "break", "it"]),
        ("you’re gonna lose", ["you", "are", "going", "to", "lose"]),
        ("dont you can't", ["do", "not", "you", "can", "not"]),
        ("um you uh idiot", ["you", "idiot"]),
        ("you you idiot", ["you", "idiot"]),
        ("your mother's house", ["your", "mother", "'s", "house"]),
        ("your mum's house", ["your", "mother", "'s", "house"]),
    ],
)
def test_contractions_fillers_and_repeats_unfold(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_tokens_keep_their_place_in_the_text() -> None:
    token = unfold("Oh, YOU'RE late")[0][1]
    assert (token.text, token.start, token.end) == ("you", 4, 10)


@pytest.mark.parametrize(("british", "american"), [("apologise", "apologize"), ("behaviour", "behavior")])
def test_spelling_variants_are_one_word(british: str, american: str) -> None:
    assert fold(british) == fold(american) == american


@pytest.mark.parametrize(
    ("word", "inflected"),
    [
        ("kill", "killing"),
        ("stab", "stabbed"),
        ("slit", "slitting"),
        ("tear", "torn"),
        ("bury", "buried"),
        ("choke", "choked"),
    ],
)
def test_verbs_inflect(word: str, inflected: str) -> None:
    assert inflected in forms(word)


def test_adjectives_compare() -> None:
    assert degrees("lazy") == {"lazy", "lazier", "laziest"}
    assert "thickest" in degrees("thick")


def test_a_list_of_nouns_knows_plurals_and_longer_entries() -> None:
    words = EnglishWords()
    words.enter("insult", ["moron", "waste of space"], "noun", sound=True)
    lattice = words.lattice("two morons and a waste of space", by_sound=False)
    assert lattice.arcs[1]["{insult}"] == (2,)
    assert lattice.arcs[4]["{insult}"] == (7,)


def test_what_sounds_alike_stands_for_a_listed_word_only_when_asked() -> None:
    words = EnglishWords()
    words.enter("insult", ["moron"], "noun", sound=True)
    words.heard_as = confusions({"more on": "moron"})
    assert "{insult}" not in words.lattice("you moran", by_sound=False).present
    assert "{insult}" in words.lattice("you moran", by_sound=True).present
    assert "{insult}" in words.lattice("you more on", by_sound=True).present


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("£10,000 now", "ten thousand pounds now"),
        ("10,000 pounds", "ten thousand pounds"),
        ("$1.5 million", "1.5 million dollars"),
        ("€5k", "five thousand euros"),
        ("put 500 in", "put five hundred in"),
        ("2,519,300", "two million five hundred nineteen thousand three hundred"),
        ("it cost £9.99.", "it cost 9.99 pounds"),
        ("£0.50 a minute", "0.50 pounds a minute"),
        ("the 90's", "the 90 's"),
        ("in 2023, 24 hours", "in 2023 24 hours"),
        ("0800 is free", "0800 is free"),
        ("1st, 5gb, 3 pm", "1st 5gb 3 pm"),
        ("1" + "0" * 5000, "1" + "0" * 5000),
    ],
)
def test_a_sum_is_read_as_it_is_spoken(written: str, spoken: str) -> None:
    assert [token.text for token in unfold(written)[0]] == spoken.split()


def test_a_comma_after_a_sum_is_a_pause() -> None:
    assert 4 in unfold("pay £500, now")[2]


def test_words_of_a_sum_lie_where_it_is_written() -> None:
    text = "I want £10,000 for it"
    tokens, *_ = unfold(text)
    assert {text[token.start : token.end].strip() for token in tokens[2:5]} == {"£10,000"}


@pytest.mark.parametrize(("text", "short"), [("the driver's gone", True), ("the driver's van", False)])
def test_the_s_of_a_noun_may_be_short_for_is_or_has(text: str, short: bool) -> None:
    lattice = EnglishWords().lattice(text, by_sound=False)
    assert (lattice.arcs[2].get("has") == (3,)) is short
