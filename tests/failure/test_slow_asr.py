"""A recognizer too slow for the load: the step grows, then only callers are heard, then we say so; delay is bounded."""

from __future__ import annotations

import asyncio

from callguard.model.ids import CallId, LegId, Role
from callguard.model.sound import Frame
from callguard.model.words import Hypothesis, Transcript
from callguard.ports import HearingJob
from callguard.session.listening import Hearing, Listening, Pace
from callguard.speech.segmenter import Cut


class SlowLine:
    """Answers each job after ``takes_s``, any number at a time."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.jobs: list[HearingJob] = []

    async def hear(self, job: HearingJob) -> Hypothesis:
        self.jobs.append(job)
        await asyncio.sleep(self.takes_s)
        return Hypothesis(
            utterance=job.utterance, revision=job.revision, heard_to_ms=job.start_ms, words=(), final=job.final
        )


class Loud:
    """Stands in for the detector: everything but digital silence is speech."""

    faults = 0

    def is_speech(self, pcm: bytes) -> bool:
        return pcm[0] != 0


async def run(line: SlowLine, seconds: float, pace: Pace) -> tuple[Listening, list[Hearing], list[Transcript]]:
    """Two legs of unbroken speech; one millisecond of the machine is twenty of the call, so paces are given /20."""
    health: list[Hearing] = []
    said: list[Transcript] = []
    listening = Listening(line, on_transcript=said.append, on_health=health.append, pace=pace, cut=Cut())
    call = CallId("c")
    legs = {LegId("caller"): Role.CALLER, LegId("agent"): Role.AGENT}
    for leg, role in legs.items():
        listening.open_leg(call, leg, role=role, language="en")
        listening._ears[leg].vad = Loud()  # type: ignore[assignment]
    for at_ms in range(0, int(seconds * 1000), 20):
        for leg in legs:
            listening.put(leg, Frame(leg=leg, at_ms=at_ms, pcm=b"\x10\x10" * 160))
        await asyncio.sleep(0.001)
    return listening, health, said


async def test_slow_replies_lengthen_the_step_then_drop_agents() -> None:
    line = SlowLine(0.06)
    listening, health, _ = await run(line, 60, Pace(slow_ms=50, easy_ms=25, deadline_ms=1000))
    assert health[:2] == [Hearing.STRETCHED, Hearing.CALLER_ONLY]
    assert listening.step_ms == 4000
    late = line.jobs[-10:]
    assert {job.leg for job in late} == {"caller"}
    await listening.drain()


async def test_it_recovers_by_itself() -> None:
    line = SlowLine(0.06)
    listening, health, _ = await run(line, 40, Pace(slow_ms=50, easy_ms=25, deadline_ms=1000))
    await listening.drain()
    line.takes_s = 0.0
    for number in range(60):
        listening.open_leg(CallId("d"), LegId("caller"), role=Role.CALLER, language="en")
        for at_ms in range(number * 2000, number * 2000 + 300, 20):
            listening._ears[LegId("caller")].vad = Loud()  # type: ignore[assignment]
            listening.put(LegId("caller"), Frame(leg=LegId("caller"), at_ms=at_ms, pcm=b"\x10\x10" * 160))
        listening.close_leg(LegId("caller"))
        await listening.settle()
    assert listening.state is Hearing.LISTENING
    assert listening.step_ms < 1500
    assert health[-1] is Hearing.LISTENING


async def test_no_reply_at_all_is_said_openly_and_holds_up_nothing() -> None:
    line = SlowLine(3600)
    listening, health, said = await run(line, 60, Pace(deadline_ms=40, grace_ms=10, probe_ms=50))
    assert Hearing.NOT_LISTENING in health
    assert listening.pending <= 8
    await listening.drain()
    assert listening.pending == 0
    assert all(not t.committed for t in said)


async def test_one_leg_never_has_two_hearings_of_growing_words_under_way() -> None:
    line = SlowLine(0.2)
    listening, _, _ = await run(line, 20, Pace(slow_ms=10_000, easy_ms=1))
    partials = [job for job in line.jobs if not job.final]
    assert len(partials) <= 2 * (20_000 / 20 * 1.0 / 200 + 2) * 2
    await listening.drain()
