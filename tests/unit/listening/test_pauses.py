"""What is heard at a pause: the last word when no speech follows it, a hint when some does."""

from __future__ import annotations

import asyncio

from listener import CALL, CALLER, Ears, answer, quiet, voice

from callguard.model.ids import Role
from callguard.model.sound import FRAME_BYTES, FRAME_MS, Frame
from callguard.model.words import Dropped, Hypothesis
from callguard.ports import HearingJob
from callguard.session.listening import Pace, hear_files


def opened(ears: Ears) -> Ears:
    ears.listening.open_leg(CALL, CALLER, role=Role.CALLER, language="en")
    return ears


async def put(ears: Ears, pcm: bytes, *, from_ms: int = 0, yields: bool = True) -> int:
    """Frames as they come, other work done after each; where the next frame begins."""
    for at in range(0, len(pcm), FRAME_BYTES):
        ears.listening.put(CALLER, Frame(leg=CALLER, at_ms=from_ms, pcm=pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES)))
        from_ms += FRAME_MS
        if yields:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    return from_ms


async def test_the_words_are_there_when_the_utterance_closes() -> None:
    """One hearing at the pause; the silence that follows costs none."""
    ears = Ears(steady=True)
    await hear_files(ears.listening, CALL, {CALLER: (Role.CALLER, quiet(400) + voice(600) + quiet(1500))})
    assert [job.final for job in ears.jobs] == [True]
    assert ears.said[-1].closed and ears.said[-1].text and not ears.said[-1].tentative


async def test_speech_after_the_pause_is_heard_again_and_nothing_is_said_twice() -> None:
    ears = Ears(steady=True)
    pcm = quiet(400) + voice(700) + quiet(300) + voice(700, seed=2) + quiet(1500)
    await hear_files(ears.listening, CALL, {CALLER: (Role.CALLER, pcm)})
    closed = [said for said in ears.said if said.closed]
    assert len(closed) == 1
    words = closed[0].text.split()
    assert len(words) == len(set(words)) >= 3
    assert ears.jobs[-1].final and len(ears.jobs[-1].pcm) > len(ears.jobs[0].pcm)


async def test_an_answer_to_the_pause_that_comes_after_more_speech_ends_nothing() -> None:
    """The reply is late, the caller went on: it is no last word."""
    late = asyncio.Event()

    async def first_one_waits(job: HearingJob) -> Hypothesis:
        if job.revision == 1:
            await late.wait()
        return await answer(job)

    ears = opened(Ears(first_one_waits, pace=Pace(step_ms=60_000)))
    at_ms = await put(ears, quiet(400) + voice(700) + quiet(300) + voice(700, seed=2))
    late.set()
    at_ms = await put(ears, voice(300, seed=3), from_ms=at_ms)
    assert not any(said.closed for said in ears.said)
    await put(ears, quiet(1500), from_ms=at_ms)
    await ears.listening.settle()
    assert [said.closed for said in ears.said][-1] and sum(said.closed for said in ears.said) == 1
    assert len(ears.said[-1].text.split()) >= 4


async def test_an_answer_that_comes_after_the_close_is_the_last_word() -> None:
    late = asyncio.Event()

    async def waits(job: HearingJob) -> Hypothesis:
        await late.wait()
        return await answer(job)

    ears = opened(Ears(waits))
    await put(ears, quiet(400) + voice(500) + quiet(1500))
    assert not ears.said and len(ears.jobs) == 1
    late.set()
    await ears.listening.settle()
    assert ears.said[-1].closed and ears.said[-1].text


async def test_a_pause_nobody_listened_to_is_asked_for_again_at_the_close() -> None:
    async def away(job: HearingJob) -> Hypothesis:
        return await answer(job, dropped=Dropped.SUPERSEDED if job.revision == 1 else None)

    ears = opened(Ears(away))
    await put(ears, quiet(400) + voice(700) + quiet(1500))
    await ears.listening.settle()
    assert [job.revision for job in ears.jobs] == [1, 2]
    assert ears.said[-1].closed and ears.said[-1].text
