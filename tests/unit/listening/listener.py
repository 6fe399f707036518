"""What the tests of listening share: sound a detector takes for speech, and a line that answers by a function."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import numpy as np

from callguard.model.ids import CallId, LegId, Role
from callguard.model.sound import Frame, Level, Overlap
from callguard.model.words import Dropped, Hypothesis, Readings, Transcript, Word
from callguard.ports import HearingJob
from callguard.session.listening import Hearing, Listening

CALL, CALLER, AGENT = CallId("1700000000.1"), LegId("1700000000.1"), LegId("1700000000.2")


def voice(ms: int, *, gain: float = 0.3, seed: int = 1) -> bytes:
    """Something webrtcvad takes for speech: a buzzing vowel whose pitch and loudness wander."""
    rng = np.random.default_rng(seed)
    t = np.arange(ms * 8) / 8000
    pitch = 120 + 15 * np.sin(2 * math.pi * 2.5 * t)
    phase = 2 * math.pi * np.cumsum(pitch) / 8000
    wave = sum(np.sin(k * phase) / k for k in range(1, 20)) + 0.05 * rng.standard_normal(len(t))
    wave *= 0.6 + 0.4 * np.sin(2 * math.pi * 4 * t)
    return np.clip(wave * gain * 12000, -32768, 32767).astype("<i2").tobytes()


def quiet(ms: int) -> bytes:
    return bytes(ms * 16)


class Ears:
    """Collects what Listening tells; its line answers by a function."""

    def __init__(self, hear: Callable[[HearingJob], Awaitable[Hypothesis]] | None = None, **more: object) -> None:
        self.said: list[Transcript] = []
        self.readings: list[Readings] = []
        self.levels: list[Level] = []
        self.overlaps: list[Overlap] = []
        self.health: list[Hearing] = []
        self.jobs: list[HearingJob] = []
        self._answer = hear or answer
        self.listening = Listening(
            self,
            on_transcript=self.said.append,
            on_readings=self.readings.append,
            on_level=self.levels.append,
            on_overlap=self.overlaps.append,
            on_health=self.health.append,
            **more,  # type: ignore[arg-type]
        )

    async def hear(self, job: HearingJob) -> Hypothesis:
        self.jobs.append(job)
        return await self._answer(job)


def speak(ears: Ears, call: CallId, leg: LegId, pcm: bytes, *, role: Role = Role.CALLER) -> None:
    """Somebody says this on a leg of their own, in no time."""
    ears.listening.open_leg(call, leg, role=role, language="en")
    for at in range(0, len(pcm), 320):
        ears.listening.put(leg, Frame(leg=leg, at_ms=at // 16, pcm=pcm[at : at + 320]))


async def answer(job: HearingJob, *, dropped: Dropped | None = None) -> Hypothesis:
    to_ms = job.start_ms + len(job.pcm) // 16
    count = (to_ms - job.start_ms) // 400
    words = tuple(
        Word(text=f" w{n}", start_ms=job.start_ms + n * 400, end_ms=job.start_ms + n * 400 + 390, probability=0.9)
        for n in range(count)
    )
    return Hypothesis(
        utterance=job.utterance,
        revision=job.revision,
        heard_to_ms=to_ms,
        words=() if dropped else words,
        language="en",
        final=job.final,
        dropped=dropped,
    )
