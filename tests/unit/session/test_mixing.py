"""Sound that waits to be written: in order, without holes, and not for ever."""

from __future__ import annotations

from callguard.session.mixing import TrackMix

SECOND = b"\1\0" * 8000


def test_what_waits_is_whole_and_the_oldest_goes_first() -> None:
    mix = TrackMix(500)
    for second in range(10):
        mix.add(500 + second * 1000, SECOND)
        mix.settle(500 + (second + 1) * 1000)
    assert mix.waits_ms == 10_000 and [start for start, _ in mix.waiting] == list(range(500, 10_500, 1000))
    assert mix.forget(longest_ms=10_000, at_once_ms=4000) == 0
    mix.add(10_500, SECOND)
    mix.settle(11_500)
    assert mix.forget(longest_ms=10_000, at_once_ms=4000) == 5000
    assert mix.waits_ms == 6000 and mix.waiting[0] == (5500, SECOND)


def test_what_comes_for_a_settled_moment_is_too_late() -> None:
    mix = TrackMix(0)
    mix.add(0, SECOND)
    mix.settle(600)
    mix.add(0, SECOND)
    mix.settle(1000)
    assert [(start, pcm[0]) for start, pcm in mix.waiting] == [(0, 1), (600, 2)]
