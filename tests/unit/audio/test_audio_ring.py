"""The ring: sound on the call's clock, gaps as silence, bounded, gone when dropped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.audio.ring import BYTES_PER_MS, Ring
from callguard.model.ids import LegId
from callguard.model.sound import FRAME_BYTES, FRAME_MS, Frame

LEG = LegId("1700000000.1")


def frame(at_ms: int, value: int) -> Frame:
    return Frame(leg=LEG, at_ms=at_ms, pcm=bytes([value]) * FRAME_BYTES)


def test_reads_back_what_was_put_and_silence_in_a_gap() -> None:
    ring = Ring(1000)
    ring.put(frame(100, 1))
    ring.put(frame(140, 3))
    assert ring.read(100, 160) == b"\x01" * FRAME_BYTES + bytes(FRAME_BYTES) + b"\x03" * FRAME_BYTES
    assert (ring.start_ms, ring.end_ms) == (100, 160)


def test_what_was_never_heard_reads_as_silence_of_the_asked_length() -> None:
    ring = Ring(100)
    assert ring.read(0, 50) == bytes(50 * BYTES_PER_MS)
    ring.put(frame(500, 9))
    assert ring.read(480, 540) == bytes(FRAME_BYTES) + b"\x09" * FRAME_BYTES + bytes(FRAME_BYTES)


def test_a_bounded_ring_forgets_the_oldest() -> None:
    ring = Ring(60)
    for number in range(10):
        ring.put(frame(number * 20, number + 1))
    assert (ring.start_ms, ring.end_ms) == (140, 200)
    assert [pcm[0] for _, pcm in ring.frames(0)] == [8, 9, 10]


def test_a_pause_longer_than_the_ring_leaves_silence() -> None:
    ring = Ring(60)
    ring.put(frame(0, 1))
    ring.put(frame(5000, 2))
    assert ring.read(4960, 5020) == bytes(2 * FRAME_BYTES) + b"\x02" * FRAME_BYTES


def test_a_growing_ring_keeps_everything() -> None:
    ring = Ring(None)
    for number in range(200):
        ring.put(frame(number * 1000, number % 250 + 1))
    assert ring.end_ms - ring.start_ms == 199_020
    assert ring.read(150_000, 150_020) == bytes([151]) * FRAME_BYTES
    assert ring.read(150_020, 150_040) == bytes(FRAME_BYTES)


def test_drop_says_how_much_and_leaves_nothing() -> None:
    ring = Ring(1000)
    for at in range(0, 400, 20):
        ring.put(frame(at, 7))
    assert ring.drop() == 400
    assert ring.read(0, 400) == bytes(400 * BYTES_PER_MS)
    ring.put(frame(600, 5))
    assert (ring.start_ms, ring.end_ms) == (600, 620)


def test_an_old_frame_neither_moves_the_clock_nor_raises() -> None:
    ring = Ring(100)
    ring.put(frame(1000, 1))
    ring.put(frame(980, 2))
    ring.put(frame(1000, 3))
    assert ring.read(1000, 1020) == b"\x03" * FRAME_BYTES
    assert ring.end_ms == 1020


def test_nine_hours_do_not_grow_it() -> None:
    ring = Ring(200)
    for at in range(0, 9 * 3_600_000, 900_000):
        ring.put(frame(at, 4))
    assert ring.end_ms - ring.start_ms == 200


def test_no_room_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        Ring(10)


@given(
    steps=st.lists(st.integers(1, 12), min_size=1, max_size=60),
    span=st.sampled_from([60, 100, 500, None]),
    ask=st.tuples(st.integers(0, 12_000), st.integers(0, 800)),
)
def test_agrees_with_a_plain_timeline(steps: list[int], span: int | None, ask: tuple[int, int]) -> None:
    ring, plain, at = Ring(span), bytearray(20_000 * BYTES_PER_MS), 0
    for number, step in enumerate(steps):
        at += step * FRAME_MS
        value = number % 255 + 1
        ring.put(frame(at, value))
        plain[at * BYTES_PER_MS : (at + FRAME_MS) * BYTES_PER_MS] = bytes([value]) * FRAME_BYTES
    start, length = ask
    end = start + length
    expected = bytearray(plain[start * BYTES_PER_MS : end * BYTES_PER_MS])
    hidden = max(0, min(ring.start_ms, end) - start) * BYTES_PER_MS
    expected[:hidden] = bytes(hidden)
    assert ring.read(start, end) == bytes(expected)


@pytest.mark.parametrize("span_ms", [1000, None])
def test_memory_is_there_before_the_first_frame_and_again_after_a_drop(
    span_ms: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, real = list[int](), Ring._map
    monkeypatch.setattr(Ring, "_map", lambda self, size: made.append(size) or real(self, size))
    ring = Ring(span_ms)
    assert len(made) == 1
    ring.put(frame(0, 1))
    assert len(made) == 1
    ring.drop()
    ring.put(frame(0, 2))
    assert len(made) == 2 and ring.read(0, 20) == b"\x02" * FRAME_BYTES
