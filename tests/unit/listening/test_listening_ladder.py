"""Listening with scripted ears: words, levels, overlap, last words, and what happens under load."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from listener import AGENT, CALL, CALLER, Ears, answer, quiet, speak, voice

from callguard.asr.local import LocalLine
from callguard.asr.scripted import ScriptedRecognizer
from callguard.model.errors import BusFault
from callguard.model.ids import CallId, LegId, Role
from callguard.model.sound import FRAME_MS, Frame
from callguard.model.words import Dropped, Hypothesis, Transcript
from callguard.ports import HearingJob
from callguard.session.listening import Hearing, Listening, Pace, hear_files


async def play(ears: Ears, pcm: bytes, *, role: Role = Role.CALLER) -> None:
    await hear_files(ears.listening, CALL, {CALLER: (role, pcm)}, language="en")


async def test_words_become_tentative_then_committed_then_the_utterance_is_closed() -> None:
    ears = Ears(steady=True)
    await play(ears, quiet(400) + voice(3000) + quiet(1000))
    tails = [t.tail for t in ears.said]
    assert tails[0].startswith("w0") and ears.said[0].text == ""
    assert ears.said[1].text.startswith("w0 w1")
    assert ears.said[-1].closed and not ears.said[-1].tentative
    for before, after in pairwise(ears.said):
        assert after.committed[: len(before.committed)] == before.committed


async def test_the_last_words_before_hang_up_are_heard() -> None:
    ears = Ears(steady=True)
    await play(ears, quiet(400) + voice(600))
    assert [job.final for job in ears.jobs] == [True]
    assert ears.said[-1].closed and ears.said[-1].text


async def test_the_same_file_gives_the_same_words_twice() -> None:
    script = [(900, "one"), (1700, "two"), (2600, "three")]

    async def once() -> list[Transcript]:
        said: list[Transcript] = []
        line = LocalLine(ScriptedRecognizer(lambda job: script))
        listening = Listening(line, on_transcript=said.append, steady=True)
        await hear_files(listening, CALL, {CALLER: (Role.CALLER, quiet(400) + voice(2600))}, language="en")
        line.close()
        return said

    first = await once()
    assert first == await once()
    assert first[-1].text == "one two three"


async def test_loudness_is_told_against_the_legs_own_past() -> None:
    ears = Ears(steady=True)
    calm = voice(1200) + quiet(900)
    await play(ears, quiet(400) + calm * 3 + voice(1200, gain=0.95) + quiet(900))
    assert [level.baseline_db for level in ears.levels[:2]] == [0.0, 0.0]
    assert abs(ears.levels[2].baseline_db) < 1.5
    assert 6 < ears.levels[3].baseline_db < 12
    assert all(level.clipped < 0.01 for level in ears.levels[:3])


async def test_talking_over_the_other_side_is_told_once_with_who_began() -> None:
    ears = Ears(steady=True)
    tracks = {
        CALLER: (Role.CALLER, quiet(2400) + voice(2000, seed=2) + quiet(1500)),
        AGENT: (Role.AGENT, quiet(400) + voice(3500, seed=3) + quiet(2000)),
    }
    await hear_files(ears.listening, CALL, tracks, language="en")
    [overlap] = ears.overlaps
    assert (overlap.interrupter, overlap.other) == (CALLER, AGENT)
    assert abs(overlap.start_ms - 2400) < 150
    assert abs(overlap.end_ms - 3900) < 150


async def test_taking_turns_is_no_overlap() -> None:
    ears = Ears(steady=True)
    tracks = {
        CALLER: (Role.CALLER, quiet(400) + voice(1500) + quiet(3500)),
        AGENT: (Role.AGENT, quiet(2600) + voice(1500, seed=3) + quiet(1500)),
    }
    await hear_files(ears.listening, CALL, tracks, language="en")
    assert ears.overlaps == []


async def test_what_sounded_like_noise_is_asked_for_less_often() -> None:
    async def noise(job: HearingJob) -> Hypothesis:
        return await answer(job, dropped=Dropped.NO_SPEECH)

    noisy, clear = Ears(noise, steady=True), Ears(steady=True)
    sound = quiet(400) + voice(7500) + quiet(900)
    await play(noisy, sound)
    await play(clear, sound)
    assert len(noisy.jobs) < len(clear.jobs)
    assert all(not t.committed and not t.tentative for t in noisy.said)


async def test_a_line_that_always_fails_ends_in_saying_so_and_leaves_nothing_behind() -> None:
    async def away(job: HearingJob) -> Hypothesis:
        raise BusFault("away", code="bus-away")

    ears = Ears(away, pace=Pace(probe_ms=10_000_000))
    before = len(asyncio.all_tasks())
    for number in range(100):
        leg, call = LegId(f"1700000001.{number}"), CallId(f"1700000001.{number}")
        ears.listening.open_leg(call, leg, role=Role.CALLER, language="en")
        pcm = voice(700)
        for at in range(0, len(pcm), 320):
            ears.listening.put(leg, Frame(leg=leg, at_ms=at // 16, pcm=pcm[at : at + 320]))
        ears.listening.close_leg(leg)
        await asyncio.sleep(0)
    assert ears.listening.state is Hearing.NOT_LISTENING
    assert ears.health == [Hearing.NOT_LISTENING]
    await ears.listening.settle()
    assert len(asyncio.all_tasks()) == before
    assert ears.listening.counts["closed-unheard"] > 50
    assert all(t.closed and not t.committed for t in ears.said)


async def test_it_listens_again_as_soon_as_one_hearing_comes_back() -> None:
    working = False

    async def flaky(job: HearingJob) -> Hypothesis:
        if not working:
            raise BusFault("away", code="bus-away")
        return await answer(job)

    ears = Ears(flaky, pace=Pace(probe_ms=0))
    await _talk(ears, utterances=5)
    assert ears.listening.state is Hearing.NOT_LISTENING
    working = True
    await _talk(ears, utterances=1, begin_ms=20_000)
    assert ears.listening.state is Hearing.LISTENING
    assert ears.health == [Hearing.NOT_LISTENING, Hearing.LISTENING]


async def _talk(ears: Ears, *, utterances: int, begin_ms: int = 0) -> None:
    ears.listening.open_leg(CALL, CALLER, role=Role.CALLER, language="en")
    pcm = (voice(700) + quiet(900)) * utterances
    for at in range(0, len(pcm), 320):
        ears.listening.put(CALLER, Frame(leg=CALLER, at_ms=begin_ms + at // 16, pcm=pcm[at : at + 320]))
        await asyncio.sleep(0)
    await ears.listening.drain()


async def test_a_paused_stream_ends_the_sentence_when_time_passes() -> None:
    ears = Ears(steady=True)
    ears.listening.open_leg(CALL, CALLER, role=Role.CALLER, language="en")
    pcm = voice(600)
    for at in range(0, len(pcm), 320):
        ears.listening.put(CALLER, Frame(leg=CALLER, at_ms=at // 16, pcm=pcm[at : at + 320]))
    ears.listening.elapsed(CALL, 1200)
    assert not ears.jobs
    ears.listening.elapsed(CALL, 5900)
    await ears.listening.settle()
    assert [job.final for job in ears.jobs] == [True]


async def test_frames_of_a_leg_nobody_opened_are_ignored() -> None:
    ears = Ears(steady=True)
    ears.listening.put(LegId("nobody"), Frame(leg=LegId("nobody"), at_ms=0, pcm=bytes(320)))
    assert ears.listening.pending == 0


@pytest.mark.parametrize("size", [0, 1, 159, 318, 321, 640])
async def test_a_frame_of_the_wrong_length_never_raises(size: int) -> None:
    ears = Ears(steady=True)
    ears.listening.open_leg(CALL, CALLER, role=Role.CALLER, language="en")
    ears.listening.put(CALLER, Frame(leg=CALLER, at_ms=0, pcm=bytes(size)))
    await ears.listening.drain()
    assert FRAME_MS == 20


async def test_a_callers_last_words_are_heard_thoroughly_while_nobody_else_waits() -> None:
    free = asyncio.Event()

    async def slow(job: HearingJob) -> Hypothesis:
        await free.wait()
        return await answer(job)

    ears = Ears(slow)
    speak_all(ears, [Role.AGENT, Role.CALLER, Role.CALLER, Role.CALLER])
    free.set()
    await ears.listening.drain()
    assert all(job.final for job in ears.jobs)
    assert [job.thorough for job in ears.jobs] == [False, True, False, False]


async def test_slow_replies_end_thorough_hearing_first() -> None:
    async def slow(job: HearingJob) -> Hypothesis:
        await asyncio.sleep(0.05)
        return await answer(job)

    ears = Ears(slow, pace=Pace(slow_ms=20, easy_ms=10))
    for _ in range(2):
        speak_all(ears, [Role.CALLER])
        await ears.listening.drain()
    assert [job.thorough for job in ears.jobs] == [True, False]
    assert ears.listening.state is Hearing.LISTENING


def speak_all(ears: Ears, roles: list[Role]) -> None:
    """Each says one short sentence and pauses, one leg after the other, in no time."""
    for number, role in enumerate(roles):
        name = f"1700000002.{number}"
        speak(ears, CallId(name), LegId(name), voice(700) + quiet(300), role=role)


async def test_a_leg_has_its_memory_before_its_first_frame() -> None:
    """Locking it takes time: with 500 legs at once the first frames came a tenth of a second late."""
    ears = Ears(steady=True)
    ears.listening.open_leg(CALL, CALLER, role=Role.CALLER, language="en")
    assert ears.listening._ears[CALLER].ring._memory is not None
    await ears.listening.drain()
