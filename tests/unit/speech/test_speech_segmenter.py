"""Cutting utterances out of booleans."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from callguard.model.ids import LegId
from callguard.model.sound import FRAME_MS, Utterance
from callguard.speech.segmenter import Cut, Segmenter

LEG = LegId("1700000000.7")


def run(flags: list[bool], cut: Cut | None = None, *, flush: bool = True) -> list[Utterance]:
    segmenter, got = Segmenter(LEG, cut), []
    for number, flag in enumerate(flags):
        got += segmenter.feed(number * FRAME_MS, flag)
    return got + (segmenter.flush() if flush else [])


def test_speech_opens_with_what_came_before_it_and_closes_after_the_hang_over() -> None:
    opened, closed = run([False] * 50 + [True] * 50 + [False] * 50, flush=False)
    assert (opened.start_ms, opened.closed) == (1000 - 240, False)
    assert (closed.start_ms, closed.end_ms, closed.closed) == (760, 2000 + 500, True)
    assert opened.id == closed.id == f"{LEG}/1"


def test_a_click_opens_nothing() -> None:
    assert run(([True] * 2 + [False] * 30) * 20) == []


def test_a_breath_between_words_does_not_cut() -> None:
    assert len(run([True] * 30 + [False] * 15 + [True] * 30)) == 2


def test_the_last_words_before_hang_up_are_flushed() -> None:
    opened, closed = run([False] * 20 + [True] * 10)
    assert closed.closed and closed.end_ms == 600 and opened.id == closed.id


def test_ten_minutes_without_a_breath_are_cut_and_nothing_between_is_lost() -> None:
    changed = run([True] * (600_000 // FRAME_MS))
    closed = [u for u in changed if u.closed]
    assert len(closed) == 50
    assert all(u.end_ms - u.start_ms <= 12_000 for u in closed)
    assert all(a.end_ms == b.start_ms for a, b in itertools.pairwise(closed))


def test_a_long_utterance_is_cut_at_a_short_pause_first() -> None:
    closed = [u for u in run([True] * 450 + [False] * 8 + [True] * 200) if u.closed]
    assert closed[0].end_ms == 450 * FRAME_MS + 120


def test_a_stream_that_stops_and_goes_on_closes_the_sentence() -> None:
    segmenter = Segmenter(LEG)
    for at in range(0, 1000, FRAME_MS):
        segmenter.feed(at, True)
    closed = segmenter.feed(41_000, True)
    assert [u.closed for u in closed] == [True]
    assert closed[0].end_ms == 1000
    opened = [u for at in (41_020, 41_040) for u in segmenter.feed(at, True)]
    assert [(u.id, u.start_ms) for u in opened] == [(f"{LEG}/2", 40_760)]


@given(flags=st.lists(st.booleans(), max_size=900))
def test_utterances_never_overlap_and_always_close(flags: list[bool]) -> None:
    cut = Cut(soft_ms=1000, longest_ms=2000)
    changed = run(flags, cut)
    assert [u.closed for u in changed] == [n % 2 == 1 for n in range(len(changed))]
    closed = [u for u in changed if u.closed]
    assert all(a.end_ms <= b.start_ms for a, b in itertools.pairwise(closed))
    assert all(0 < u.end_ms - u.start_ms <= 2000 + FRAME_MS for u in closed)
    assert len({u.id for u in closed}) == len(closed)
