"""AudioSocket's wire format, re-framing and a tap's clock."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.asterisk.wire import FLAT_SEEN, RATES, FlatCheck, Messages, Reframe, TapClock
from callguard.model.sound import FRAME_BYTES


def message(kind: int, payload: bytes) -> bytes:
    return bytes((kind, len(payload) >> 8, len(payload) & 255)) + payload


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=700)), max_size=12), st.integers(0, 10**6))
def test_messages_do_not_depend_on_how_tcp_cut_them(sent: list[tuple[int, bytes]], seed: int) -> None:
    stream, dice, wire = b"".join(message(k, p) for k, p in sent), random.Random(seed), Messages()
    got: list[tuple[int, bytes]] = []
    while stream:
        cut = dice.choice([1, 2, 3, 160, 319, 323, 5000])
        got += wire.feed(stream[:cut])
        stream = stream[cut:]
    assert got == sent


def test_a_payload_of_the_greatest_length_and_of_none() -> None:
    assert Messages().feed(message(0x77, bytes(65535)) + message(0x10, b"")) == [(0x77, bytes(65535)), (0x10, b"")]


@given(st.lists(st.integers(0, 700), max_size=20))
def test_frames_hold_all_samples_in_order(sizes: list[int]) -> None:
    sound = bytes(range(256)) * 60
    frames, reframe, at = b"", Reframe(), 0
    for size in sizes:
        even = size * 2
        for frame in reframe.feed(0x10, sound[at : at + even]):
            assert len(frame) == FRAME_BYTES
            frames += frame
        at += even
    assert frames == sound[: len(frames)] and len(frames) > min(at, len(sound)) - FRAME_BYTES - 1


@pytest.mark.parametrize("kind", sorted(RATES))
def test_every_rate_comes_out_at_8_khz_in_tune(kind: int) -> None:
    rate = RATES[kind]
    tone = (np.sin(2 * np.pi * 440 * np.arange(rate * 2) / rate) * 9000).astype("<i2").tobytes()
    step = rate // 50 * 2
    reframe = Reframe()
    frames = [f for i in range(0, len(tone), step) for f in reframe.feed(kind, tone[i : i + step])]
    assert 90 <= len(frames) <= 101
    heard = np.frombuffer(b"".join(frames), "<i2")[800:]
    peak = np.argmax(np.abs(np.fft.rfft(heard * np.hanning(len(heard))))) * 8000 / len(heard)
    assert abs(peak - 440) < 2


def run_clock(arrivals: list[tuple[float, int]]) -> tuple[list[int], TapClock]:
    clock, starts = TapClock(), []
    for at, count in arrivals:
        starts += [start for start, _ in clock.stamp(int(at), [b""] * count)]
    return starts, clock


def test_a_steady_stream_gets_exact_steps_whatever_its_jitter() -> None:
    dice = random.Random(1)
    starts, _ = run_clock([(1000 + i * 20 + dice.uniform(0, 25), 1) for i in range(3000)])
    assert {b - a for a, b in itertools.pairwise(starts)} == {20}


def test_a_gap_is_a_gap() -> None:
    starts, clock = run_clock([(1000 + i * 20, 1) for i in range(50)] + [(7000 + i * 20, 1) for i in range(50)])
    assert starts[50] - starts[49] == 7000 - 1980
    assert clock.gaps_ms == 5000


def test_a_stall_of_ours_is_no_gap() -> None:
    """Frames that waited in the socket come in one read and are put where they belong."""
    starts, clock = run_clock(
        [(1000 + i * 20, 1) for i in range(50)] + [(2480, 25)] + [(2500 + i * 20, 1) for i in range(9)]
    )
    assert {b - a for a, b in itertools.pairwise(starts)} == {20} and clock.gaps_ms == 0


def test_holes_of_100_ms_every_200_ms_keep_the_time_line() -> None:
    arrivals = [(1000 + 300 * i + 20 * k, 1) for i in range(200) for k in range(10)]
    starts, _ = run_clock([(float(a), c) for a, c in arrivals])
    assert max(abs(start - (a - 20)) for start, (a, _) in zip(starts, arrivals, strict=True)) <= 50


@pytest.mark.parametrize("ppm", [-300, -50, 50, 300])
def test_nine_hours_end_as_close_as_they_began(ppm: int) -> None:
    clock, worst = TapClock(), 0
    frames = 9 * 3600 * 50
    for i in range(frames):
        at = 1000 + i * 20 * (1 + ppm / 1e6)
        for start, _ in clock.stamp(int(at), [b""]):
            worst = max(worst, abs(start - int(at) + 20))
    assert worst <= 60


def test_a_flood_is_left_out() -> None:
    clock = TapClock()
    told = sum(len(clock.stamp(1000 + i // 10, [b""] * 5)) for i in range(2000))
    assert told < 60


def test_g711_labelled_linear_gives_no_sound_at_all() -> None:
    check, told = FlatCheck(), []
    for i in range(FLAT_SEEN + 1):
        told.append(check.feed(0x10, bytes(160), 1000 + 20 * i))
    assert told[-1] is None and all(t == [] for t in told[:-1])


def test_linear_sound_in_pieces_of_10_ms_is_kept_whole() -> None:
    check, got = FlatCheck(), []
    for i in range(60):
        got += check.feed(0x10, bytes([i]) * 160, 1000 + 10 * i) or []
    assert [p[0] for _, p in got] == list(range(60))
