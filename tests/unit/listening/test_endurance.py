"""Long calls and many calls: delay is bounded, and nothing grows."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from listener import CALL, CALLER, Ears, quiet, voice

from callguard.model.ids import CallId, LegId, Role
from callguard.session.listening import hear_files
from callguard.speech.segmenter import Cut

MINUTE = voice(60_000)


async def test_ten_minutes_without_a_breath_are_heard_in_pieces() -> None:
    """No hearing holds more than the longest utterance, and nothing of the ten minutes is left out."""
    ears = Ears(steady=True)
    await hear_files(ears.listening, CALL, {CALLER: (Role.CALLER, quiet(400) + MINUTE * 10 + quiet(800))})
    longest_ms = Cut().longest_ms
    assert max(len(job.pcm) // 16 for job in ears.jobs) <= longest_ms + 500
    closed = [said for said in ears.said if said.closed]
    assert len(closed) >= 600_000 // longest_ms
    gaps = [after.start_ms - before.end_ms for before, after in pairwise(closed)]
    assert max(gaps) <= 240 and min(gaps) >= 0
    assert closed[-1].end_ms >= 600_000


async def test_after_a_long_pause_the_first_word_is_heard_at_once() -> None:
    ears = Ears(steady=True)
    pcm = quiet(400) + voice(1500) + quiet(40_000) + voice(1500, seed=2) + quiet(800)
    await hear_files(ears.listening, CALL, {CALLER: (Role.CALLER, pcm)})
    first, second = [said for said in ears.said if said.closed]
    assert 41_400 <= second.start_ms <= 42_000
    assert first.text and second.text
    assert max(len(job.pcm) // 16 for job in ears.jobs) < 3_000, "the pause itself is not heard"


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def kept_after(ears: Ears, calls: Iterable[tuple[CallId, LegId]], pcm: bytes) -> int:
    """Bytes in use once this was said in each of these calls, and what the test itself collected is gone."""
    for call, leg in calls:
        await hear_files(ears.listening, call, {leg: (Role.CALLER, pcm)})
        for collected in (ears.said, ears.jobs, ears.levels):
            collected.clear()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_memory_is_flat_over_eight_hours(traced: None) -> None:
    """One call of eight hours: the last seven need no more than the first."""
    ears, half_hour = Ears(steady=True), (voice(2_000) + quiet(28_000)) * 60
    before = await kept_after(ears, [(CALL, CALLER)] * 2, half_hour)
    after = await kept_after(ears, [(CALL, CALLER)] * 14, half_hour)
    assert after - before < 200_000


@pytest.mark.slow
async def test_nothing_is_left_of_thousands_of_short_calls(traced: None) -> None:
    ears, short = Ears(steady=True), quiet(200) + voice(300) + quiet(100)
    calls = [(CallId(str(number)), LegId(f"{number}.1")) for number in range(2_300)]
    before = await kept_after(ears, calls[:300], short)
    after = await kept_after(ears, calls[300:], short)
    assert ears.listening.pending == 0
    assert after - before < 200_000
