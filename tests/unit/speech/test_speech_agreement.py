"""LocalAgreement-2: what two hearings share is said; what is said stays said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callguard.model.ids import LegId, Role, UtteranceId
from callguard.model.words import Dropped, Hypothesis, Transcript, Word
from callguard.speech.agreement import agree, each_once

UTTERANCE = UtteranceId("1700000000.1/1")
EMPTY = Transcript(utterance=UTTERANCE, leg=LegId("1700000000.1"), role=Role.CALLER, start_ms=0, end_ms=0)


def heard(revision: int, text: str, *, final: bool = False, dropped: Dropped | None = None) -> Hypothesis:
    words = tuple(
        Word(text=f" {word}", start_ms=n * 300, end_ms=n * 300 + 250, probability=0.9)
        for n, word in enumerate(text.split())
    )
    return Hypothesis(
        utterance=UTTERANCE,
        revision=revision,
        heard_to_ms=revision * 1000,
        words=words,
        language="en",
        final=final,
        dropped=dropped,
    )


def after(*hypotheses: Hypothesis) -> Transcript:
    transcript = EMPTY
    for hypothesis in hypotheses:
        transcript = agree(transcript, hypothesis)
    return transcript


def test_one_hearing_commits_nothing() -> None:
    got = after(heard(1, "you are"))
    assert (got.text, got.tail) == ("", "you are")


def test_two_hearings_commit_what_they_share() -> None:
    got = after(heard(1, "you are a stew"), heard(2, "You are a stupid"))
    assert (got.text, got.tail) == ("You are a", "stupid")


def test_punctuation_and_case_are_no_disagreement() -> None:
    assert after(heard(1, "you, are"), heard(2, "You are.")).text == "You are."


def test_a_later_hearing_that_respells_committed_words_changes_nothing_and_doubles_nothing() -> None:
    got = after(
        heard(1, "I will burn it"), heard(2, "I will burn it down"), heard(3, "I'll burn it down now", final=True)
    )
    assert got.text == "I will burn it down now"


def test_a_final_hearing_commits_everything() -> None:
    got = after(heard(1, "no"), heard(2, "this is the end", final=True))
    assert (got.text, got.tail, got.closed) == ("this is the end", "", True)


def test_a_word_said_three_times_counts_three_times() -> None:
    got = after(heard(1, "idiot idiot"), heard(2, "idiot idiot idiot"), heard(3, "idiot idiot idiot", final=True))
    assert got.text == "idiot idiot idiot"


def test_an_old_or_repeated_reply_is_ignored() -> None:
    got = after(heard(2, "you are a"), heard(1, "you were"), heard(2, "you are a"))
    assert (got.text, got.tail) == ("", "you are a")


def test_nothing_is_heard_after_the_end() -> None:
    got = after(heard(1, "good bye", final=True), heard(2, "good bye and more", final=True))
    assert got.text == "good bye"


def test_a_dropped_hearing_adds_nothing_and_leaves_the_tail_tentative() -> None:
    got = after(heard(1, "burn it"), heard(2, "", final=True, dropped=Dropped.LATE))
    assert (got.text, got.tail, got.closed) == ("", "burn it", True)


SENTENCES = st.lists(st.sampled_from(["you", "are", "a", "so", "not", "stupid", "idiot", "never"]), max_size=8).map(
    " ".join
)


def test_readings_are_kept_once_whatever_their_case_and_marks_and_empty_ones_are_not() -> None:
    readings = [heard(1, text).words for text in ("This is the end.", "", "this is the hand", "this is the end")]
    assert each_once(readings) == (readings[0], readings[2])
    assert each_once([]) == ()


@given(texts=st.lists(SENTENCES, min_size=1, max_size=7), final=st.booleans())
def test_committed_words_are_append_only(texts: list[str], final: bool) -> None:
    transcript = EMPTY
    for number, text in enumerate(texts, start=1):
        before = transcript.committed
        transcript = agree(transcript, heard(number, text, final=final and number == len(texts)))
        assert transcript.committed[: len(before)] == before
        starts = [word.start_ms for word in transcript.committed]
        assert starts == sorted(starts)
    if final:
        assert not transcript.tentative and transcript.closed
