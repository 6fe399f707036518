"""What else unsure last words may have been: asked for after them, in turns, and only while nobody waits."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from listener import CALL, CALLER, Ears, answer, quiet, speak, voice
from waiting import until

from callguard.model.ids import CallId, LegId, Role
from callguard.model.words import Dropped, Hypothesis, Word
from callguard.ports import HearingJob
from callguard.session.listening import Hearing, Listening, Pace, hear_files

SENTENCE = quiet(400) + voice(1500) + quiet(900)


def read(turn: int) -> tuple[tuple[Word, ...], ...]:
    """Each turn says one thing again and one that is new."""
    return tuple(
        (Word(text=f" turn {n}", start_ms=400, end_ms=900, probability=0.5),) for n in range(max(1, turn - 1), turn + 1)
    )


async def unsure(job: HearingJob) -> Hypothesis:
    heard = await answer(job)
    if job.readings:
        return replace(heard, words=(), others=read(job.readings))
    return replace(heard, unsure=job.final)


async def play(ears: Ears, *, role: Role = Role.CALLER, pcm: bytes = SENTENCE) -> None:
    await hear_files(ears.listening, CALL, {CALLER: (role, pcm)}, language="en")


def asked(ears: Ears) -> list[int]:
    return [job.readings for job in ears.jobs if job.readings]


async def test_the_words_come_first_and_the_readings_in_turns_after_them() -> None:
    ears = Ears(unsure, steady=True)
    await play(ears)
    assert asked(ears) == [1, 2, 3, 4]
    assert [len(one.readings) for one in ears.readings] == [1, 2, 3, 4], "what a turn says again is kept once"
    closed = ears.said[-1]
    assert closed.closed and closed.text
    last = ears.jobs[-1]
    words = next(job for job in reversed(ears.jobs) if not job.readings)
    assert last.pcm == words.pcm and (last.final, last.thorough, last.priority) == (True, True, 2)
    for one in ears.readings:
        assert one.transcript == closed
    assert (closed.leg, closed.role, closed.language) == (CALLER, Role.CALLER, "en")
    revisions = [job.revision for job in ears.jobs]
    assert revisions == sorted(set(revisions)), "each supersedes the one before"


async def test_sure_words_and_agents_are_not_read_otherwise() -> None:
    for ears, role in ((Ears(answer, steady=True), Role.CALLER), (Ears(unsure, steady=True), Role.AGENT)):
        await play(ears, role=role)
        assert ears.said[-1].closed and not asked(ears)


async def test_nobody_asks_where_nobody_wants_to_know() -> None:
    jobs: list[HearingJob] = []

    class Line:
        async def hear(self, job: HearingJob) -> Hypothesis:
            jobs.append(job)
            return await unsure(job)

    listening = Listening(Line(), on_transcript=lambda _: None, steady=True)
    await hear_files(listening, CALL, {CALLER: (Role.CALLER, SENTENCE)}, language="en")
    assert jobs and not any(job.readings for job in jobs)


async def test_words_cut_off_by_the_end_of_the_call_are_read_otherwise_as_well() -> None:
    ears = Ears(unsure, steady=True)
    await play(ears, pcm=quiet(400) + voice(1500))
    assert asked(ears) == [1, 2, 3, 4] and len(ears.readings) == 4


async def test_a_turn_that_fails_is_the_last_one() -> None:
    async def fails(job: HearingJob) -> Hypothesis:
        return await answer(job, dropped=Dropped.LATE) if job.readings == 2 else await unsure(job)

    ears = Ears(fails, steady=True)
    await play(ears)
    assert asked(ears) == [1, 2] and len(ears.readings) == 1


async def test_turns_end_when_others_wait_and_slow_ones_change_nothing_else() -> None:
    free, busy = asyncio.Event(), asyncio.Event()

    async def held(job: HearingJob) -> Hypothesis:
        if job.readings:
            await free.wait()
        elif job.leg != leg_of(0):
            await busy.wait()
        return await unsure(job)

    ears = Ears(held, pace=Pace(slow_ms=150, easy_ms=100))
    speak(ears, CallId("c0"), leg_of(0), SENTENCE)
    await until(lambda: asked(ears))
    await asyncio.sleep(0.3)
    assert ears.listening.pending_of(CallId("c0")) == 1
    assert (ears.listening.step_ms, ears.listening.state) == (1000, Hearing.LISTENING), "a slow turn is no load"
    speak(ears, CallId("c1"), leg_of(1), SENTENCE)
    speak(ears, CallId("c2"), leg_of(2), SENTENCE)
    await asyncio.sleep(0.05)
    assert asked(ears) == [1] and len([job for job in ears.jobs if job.thorough and not job.readings]) == 2
    free.set()
    await until(lambda: ears.readings)
    await asyncio.sleep(0.05)
    assert asked(ears) == [1], "two others wait"
    busy.set()
    await ears.listening.settle()
    assert ears.listening.pending_of(CallId("c0")) == 0


def leg_of(number: int) -> LegId:
    return LegId(f"leg{number}")
