"""Listening to calls: frames in; words, loudness, overlap and our own health out.

Each leg has its detector, its short memory and its segmenter. A growing utterance is heard again each time it has
grown by one step, and once more at a pause; when no speech follows that pause, what was heard there is the last word,
and it is there when the utterance closes. Never more than one hearing of growing words is under way a leg.
What else unsure last words of a caller may have been is asked for after them, in turns, while nobody waits. Under load
that goes first, then the step grows, then only callers are heard, then we say that we are not listening: delay is
bounded, and never silent.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median
from typing import Protocol

from callguard.audio.loudness import clipped_share, rms_dbfs
from callguard.audio.ring import Ring
from callguard.audio.vad import Vad
from callguard.audio.wav import frames_of
from callguard.model.errors import CallguardError
from callguard.model.ids import CallId, LegId, Role, UtteranceId
from callguard.model.sound import FRAME_MS, RATE_HZ, Frame, Level, Overlap, Utterance
from callguard.model.words import Dropped, Hypothesis, Readings, Transcript, Word
from callguard.ports import HearingJob
from callguard.speech.agreement import agree, each_once
from callguard.speech.segmenter import Cut, Segmenter


class JobLine(Protocol):
    """Where hearings are asked for: the bus, or a recognizer of our own process."""

    async def hear(self, job: HearingJob) -> Hypothesis:
        """The hypothesis, or one with ``dropped`` set. Raises BusFault or RecognizerFault where nobody can hear."""
        ...


class Hearing(StrEnum):
    """How well we hear, worst last. Shown on the board as it is."""

    LISTENING = "listening"
    STRETCHED = "stretched"
    CALLER_ONLY = "caller-only"
    NOT_LISTENING = "not-listening"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often we ask, and when it is too much.

    step_ms: speech between two hearings of a growing utterance, at rest.
    pause_ms: so much silence may be the end: everything so far is heard at once, as well as we can.
    deadline_ms: a hearing later than this after it was asked for is given up.
    slow_ms, easy_ms: replies slower than the first lengthen the step, replies faster than the second shorten it.
    longest: the step grows to this many times ``step_ms``; still slow after that, only callers are heard.
    give_up: so many hearings in a row without a reply, and we say that we are not listening.
    probe_ms: while not listening, one hearing in this time is still tried.
    grace_ms: a job is also given up when nothing came this long after its deadline.
    turns: so often other readings of an utterance are asked for. Each turn is short, so that words never wait long
        behind one.
    """

    step_ms: int = 1000
    pause_ms: int = 200
    deadline_ms: int = 4000
    slow_ms: int = 600
    easy_ms: int = 300
    longest: float = 4.0
    give_up: int = 4
    probe_ms: int = 1000
    grace_ms: int = 1000
    turns: int = 4


MEMORY_MS = 20_000
"""Sound a leg remembers for hearing: longer than the longest utterance by its pre-speech and a late reply."""

OVERLAP_MS = 500
"""Shorter double talk is a nod ("mm-hm"), not an interruption."""

QUIET_TOGETHER_MS = 240
"""A side whose last speech frame is older than this is in a pause, not speaking."""

STALLED_MS = 700
"""A leg without a frame for this long is silent: comfort noise stops the stream (RFC 3389), a jitter buffer does not
hold back that much."""

AT_LEISURE = 2
"""So many hearings under way leave no time for thorough ones, and so many utterances at most are read otherwise."""

LEVELS_KEPT = 30
LEVEL_AFTER = 2
"""So many earlier utterances give a baseline."""

FLUSH_TRIES = 3
"""A closed utterance whose hearing failed (not: was late) is asked for again this often."""


@dataclass(slots=True)
class _Said:
    """One utterance on its way.

    whole_to_ms: end of the speech that the hearing at the newest pause held, -1 before any; whole: what it heard.
    closed_to_ms: where the utterance was closed, -1 while it grows. last: the newest job of last words.
    """

    transcript: Transcript
    asked: int = 0
    asked_to_ms: int = 0
    in_flight: int = 0
    noise: int = 0
    whole_to_ms: int = -1
    whole: Hypothesis | None = None
    closed_to_ms: int = -1
    last: HearingJob | None = None


@dataclass(slots=True)
class _Ear:
    """One leg."""

    call: CallId
    leg: LegId
    role: Role
    language: str
    vad: Vad
    ring: Ring
    segmenter: Segmenter
    levels: deque[float]
    open: _Said | None = None
    speech: bytearray | None = None
    over: tuple[LegId, int] | None = None


class Listening:
    """All legs of one daemon (or one shard of it). Every callback runs in the event loop and must be quick.

    line: where hearings go.
    on_readings: told what closed utterances may have said besides; without it nobody is asked.
    steady: do not adapt to the speed of replies; for replaying files, where results must not depend on the machine.
    counts: hearings asked, replied and dropped by reason, since the start.
    """

    def __init__(
        self,
        line: JobLine,
        *,
        on_transcript: Callable[[Transcript], None],
        on_readings: Callable[[Readings], None] | None = None,
        on_level: Callable[[Level], None] | None = None,
        on_overlap: Callable[[Overlap], None] | None = None,
        on_health: Callable[[Hearing], None] | None = None,
        pace: Pace | None = None,
        cut: Cut | None = None,
        vad_mode: int = 2,
        steady: bool = False,
    ) -> None:
        self._line = line
        self._on_transcript, self._on_readings = on_transcript, on_readings
        self._on_level, self._on_overlap, self._on_health = on_level, on_overlap, on_health
        self._pace = pace or Pace()
        self._cut, self._vad_mode, self._steady = cut, vad_mode, steady
        self._ears: dict[LegId, _Ear] = {}
        self._calls: dict[CallId, list[_Ear]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading: set[asyncio.Task[None]] = set()
        self._asked_by: Counter[CallId] = Counter()
        self._waiting = 0
        self._stretch = 1.0
        self._unheard = 0
        self._callers_only = False
        self._probed_ms = -1e12
        self.state = Hearing.LISTENING
        self.counts: Counter[str] = Counter()

    @property
    def pending(self) -> int:
        """Hearings under way."""
        return len(self._tasks) + len(self._reading)

    def pending_of(self, call: CallId) -> int:
        """Hearings of this call under way."""
        return self._asked_by[call]

    @property
    def step_ms(self) -> int:
        """Speech between two hearings, as the load has it now."""
        return int(self._pace.step_ms * self._stretch)

    @property
    def _at_leisure(self) -> bool:
        """Whether a hearing may take its time. The first thing to go: in the moment that others wait as well."""
        return self._steady or (self._stretch <= 1.0 and self._waiting < AT_LEISURE)

    def open_leg(self, call: CallId, leg: LegId, *, role: Role, language: str) -> None:
        """Begin to listen to a leg. language: "en", "ja", or "" for "find out"."""
        self.close_leg(leg)
        ear = _Ear(
            call=call,
            leg=leg,
            role=role,
            language=language,
            vad=Vad(self._vad_mode),
            ring=Ring(MEMORY_MS),
            segmenter=Segmenter(leg, self._cut),
            levels=deque(maxlen=LEVELS_KEPT),
        )
        self._ears[leg] = ear
        self._calls.setdefault(call, []).append(ear)

    def put(self, leg: LegId, frame: Frame) -> None:
        """One frame. Cheap: the ring, the detector, the segmenter; hearing happens elsewhere."""
        ear = self._ears.get(leg)
        if ear is None:
            return
        is_speech = ear.vad.is_speech(frame.pcm)
        ear.ring.put(frame)
        if is_speech and ear.speech is not None:
            ear.speech += frame.pcm
        for utterance in ear.segmenter.feed(frame.at_ms, is_speech):
            self._closed(ear, utterance) if utterance.closed else self._opened(ear, utterance, frame)
        said = ear.open
        if said is not None:
            now_ms, spoke_ms = frame.at_ms + FRAME_MS, ear.segmenter.spoke_ms
            if is_speech:
                if now_ms - said.asked_to_ms >= self.step_ms:
                    self._grew(ear, said, now_ms)
            elif now_ms - spoke_ms >= self._pace.pause_ms and said.whole_to_ms != spoke_ms and not said.noise:
                self._paused(ear, said, spoke_ms, now_ms)
        if len(self._calls[ear.call]) > 1:
            self.elapsed(ear.call, frame.at_ms)

    def elapsed(self, call: CallId, at_ms: int) -> None:
        """Time passed in this call, whether or not sound came: a leg whose stream paused has ended its sentence.

        Called by itself for a call's other legs whenever a frame comes; call it about once a second besides.
        """
        for ear in self._calls.get(call, ()):
            if ear.open is not None and at_ms - ear.ring.end_ms > STALLED_MS:
                for utterance in ear.segmenter.feed(at_ms, False):
                    self._closed(ear, utterance)

    def close_leg(self, leg: LegId) -> None:
        """The leg is gone: its last words are flushed, its sound dropped."""
        ear = self._ears.pop(leg, None)
        if ear is None:
            return
        for utterance in ear.segmenter.flush():
            self._closed(ear, utterance)
        ear.ring.drop()
        ears = self._calls[ear.call]
        ears.remove(ear)
        if not ears:
            del self._calls[ear.call]

    async def settle(self) -> None:
        """Wait until no hearing is under way."""
        while self.pending:
            await asyncio.gather(*self._tasks, *self._reading, return_exceptions=True)

    async def drain(self) -> None:
        """Close every leg and wait for the last words."""
        for leg in list(self._ears):
            self.close_leg(leg)
        await self.settle()

    def _opened(self, ear: _Ear, utterance: Utterance, frame: Frame) -> None:
        transcript = Transcript(
            utterance=utterance.id,
            leg=ear.leg,
            role=ear.role,
            start_ms=utterance.start_ms,
            end_ms=utterance.end_ms,
            language=ear.language,
        )
        ear.open = _Said(transcript=transcript, asked_to_ms=utterance.start_ms)
        ear.speech = bytearray(frame.pcm)
        self._overlap_begins(ear)

    def _grew(self, ear: _Ear, said: _Said, to_ms: int) -> None:
        """Hear what there is, unless one hearing is under way, it sounded like noise lately, or load forbids."""
        wait_ms = self.step_ms * (1 << min(said.noise, 3))
        if said.in_flight or to_ms - said.asked_to_ms < wait_ms or not self._may_ask(ear):
            return
        self._ask(ear, said, to_ms, final=False)

    def _paused(self, ear: _Ear, said: _Said, spoke_ms: int, to_ms: int) -> None:
        """Perhaps the end: hear everything now, so that the last words are there when the utterance closes."""
        if self._may_ask(ear):
            said.whole_to_ms, said.whole = spoke_ms, None
            self._ask(ear, said, to_ms, final=True)

    def _closed(self, ear: _Ear, utterance: Utterance) -> None:
        self._overlap_ends(ear)
        said, ear.open = ear.open, None
        speech, ear.speech = ear.speech, None
        if said is None:
            return
        if speech:
            self._measure(ear, utterance, bytes(speech))
        said.closed_to_ms = utterance.end_ms
        if said.whole_to_ms == ear.segmenter.spoke_ms and (said.whole is None or not _unheard(said.whole)):
            if said.whole is not None:
                self._settle(ear, said, said.whole)
        elif self._may_ask(ear):
            self._ask(ear, said, utterance.end_ms, final=True)
        else:
            self.counts["closed-unheard"] += 1
            self._publish(said, replace(said.transcript, end_ms=utterance.end_ms, closed=True))

    def _may_ask(self, ear: _Ear) -> bool:
        if self.state is Hearing.NOT_LISTENING:
            now_ms = asyncio.get_running_loop().time() * 1000
            if now_ms - self._probed_ms < self._pace.probe_ms:
                return False
            self._probed_ms = now_ms
            return True
        return ear.role is Role.CALLER or self.state is not Hearing.CALLER_ONLY

    def _ask(self, ear: _Ear, said: _Said, to_ms: int, *, final: bool) -> None:
        said.asked += 1
        said.asked_to_ms = to_ms
        job = HearingJob(
            call=ear.call,
            leg=ear.leg,
            utterance=said.transcript.utterance,
            revision=said.asked,
            pcm=ear.ring.read(said.transcript.start_ms, to_ms),
            rate_hz=RATE_HZ,
            start_ms=said.transcript.start_ms,
            language=ear.language,
            final=final,
            thorough=final and ear.role is Role.CALLER and self._at_leisure,
            priority=0 if ear.role is Role.CALLER else 1,
            deadline_ms=int(time.time() * 1000) + self._pace.deadline_ms,
        )
        said.in_flight += 1
        self._waiting += 1
        if final:
            said.last = job
        self._asked_by[ear.call] += 1
        self.counts["asked"] += 1
        task = asyncio.get_running_loop().create_task(self._hear(ear, said, job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hear(self, ear: _Ear, said: _Said, job: HearingJob) -> None:
        try:
            hypothesis = await self._one(job)
            tries = 1
            while self._worth_another(hypothesis, tries):
                await asyncio.sleep(tries * 0.5)
                job = replace(job, deadline_ms=int(time.time() * 1000) + self._pace.deadline_ms)
                hypothesis = await self._one(job)
                tries += 1
        finally:
            said.in_flight -= 1
            self._waiting -= 1
            self._answered(ear.call)
        self._apply(ear, said, hypothesis)

    def _worth_another(self, hypothesis: Hypothesis, tries: int) -> bool:
        """A closed utterance whose hearing failed is asked for again, while anybody may be there to hear it."""
        failed = hypothesis.final and hypothesis.dropped is Dropped.FAULT
        return failed and tries < FLUSH_TRIES and not self._steady and self.state is not Hearing.NOT_LISTENING

    async def _one(self, job: HearingJob) -> Hypothesis:
        clock = asyncio.get_running_loop().time
        asked_s = clock()
        hypothesis = await self._reply(job)
        if not self._steady:
            self._weigh((clock() - asked_s) * 1000, hypothesis)
        return hypothesis

    async def _reply(self, job: HearingJob) -> Hypothesis:
        nothing = Hypothesis(
            utterance=job.utterance,
            revision=job.revision,
            heard_to_ms=job.start_ms + len(job.pcm) * 500 // job.rate_hz,
            final=job.final,
        )
        patience_s = None if self._steady else (self._pace.deadline_ms + self._pace.grace_ms) / 1000
        try:
            async with asyncio.timeout(patience_s):
                return await self._line.hear(job)
        except TimeoutError:
            return replace(nothing, dropped=Dropped.LATE)
        except CallguardError:
            if self._steady:
                raise
            return replace(nothing, dropped=Dropped.FAULT)

    def _answered(self, call: CallId) -> None:
        self._asked_by[call] -= 1
        if not self._asked_by[call]:
            del self._asked_by[call]

    def _apply(self, ear: _Ear, said: _Said, hypothesis: Hypothesis) -> None:
        self._count(ear, said, hypothesis)
        newest = hypothesis.revision == said.asked
        if newest and hypothesis.final and said.closed_to_ms < 0:
            said.whole = hypothesis
        last_word = newest and said.closed_to_ms >= 0
        self._take(ear, said, hypothesis if last_word else replace(hypothesis, final=False))

    def _settle(self, ear: _Ear, said: _Said, whole: Hypothesis) -> None:
        """What was heard at the pause was all there was."""
        said.asked += 1
        self._take(ear, said, replace(whole, revision=said.asked, heard_to_ms=said.closed_to_ms))

    def _count(self, ear: _Ear, said: _Said, hypothesis: Hypothesis) -> None:
        if hypothesis.dropped is None:
            self.counts["heard"] += 1
            said.noise = 0
            if hypothesis.language and not ear.language:
                ear.language = hypothesis.language
        else:
            self.counts[f"dropped-{hypothesis.dropped}"] += 1
            if hypothesis.dropped in (Dropped.NOISE, Dropped.NO_SPEECH, Dropped.REPETITIVE):
                said.noise += 1

    def _take(self, ear: _Ear, said: _Said, hypothesis: Hypothesis) -> None:
        before = said.transcript
        after = agree(before, hypothesis)
        if after is before:
            return
        self._publish(said, after)
        if after.closed and hypothesis.unsure:
            self._seek(ear, said)

    def _seek(self, ear: _Ear, said: _Said) -> None:
        """Ask what a caller's unsure last words may have been, where somebody wants to know and nobody waits."""
        tell, job, closed = self._on_readings, said.last, said.transcript
        if tell is None or job is None or ear.role is not Role.CALLER or not closed.language:
            return
        if not self._at_leisure or len(self._reading) >= AT_LEISURE:
            self.counts["readings-forgone"] += 1
            return
        job = replace(job, revision=said.asked, thorough=True, priority=2, language=closed.language)
        self._asked_by[ear.call] += 1
        task = asyncio.get_running_loop().create_task(self._read_otherwise(job, closed, tell))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read_otherwise(self, job: HearingJob, closed: Transcript, tell: Callable[[Readings], None]) -> None:
        readings: tuple[tuple[Word, ...], ...] = ()
        try:
            for turn in range(1, self._pace.turns + 1):
                if not self._at_leisure:
                    return
                deadline_ms = int(time.time() * 1000) + self._pace.deadline_ms
                self.counts["readings-asked"] += 1
                more = await self._reply(
                    replace(job, readings=turn, revision=job.revision + turn, deadline_ms=deadline_ms)
                )
                if more.dropped is not None:
                    return
                readings = each_once((*readings, *more.others))
                tell(Readings(transcript=closed, readings=readings))
        finally:
            self._answered(job.call)

    def _publish(self, said: _Said, transcript: Transcript) -> None:
        changed = (transcript.committed, transcript.tentative, transcript.closed) != (
            said.transcript.committed,
            said.transcript.tentative,
            said.transcript.closed,
        )
        said.transcript = transcript
        if changed:
            self._on_transcript(transcript)

    def _weigh(self, took_ms: float, hypothesis: Hypothesis) -> None:
        """Turn the knobs by how long a reply took."""
        pace = self._pace
        if hypothesis.dropped in (Dropped.LATE, Dropped.FAULT):
            self._unheard += 1
        elif hypothesis.dropped is not Dropped.SUPERSEDED:
            self._unheard = 0
        if took_ms > pace.slow_ms or hypothesis.dropped is Dropped.LATE:
            if self._stretch >= pace.longest:
                self._callers_only = True
            self._stretch = min(self._stretch * 1.15, pace.longest)
        elif took_ms < pace.easy_ms and hypothesis.dropped is not Dropped.FAULT:
            self._stretch = max(self._stretch * 0.97, 1.0)
            if self._stretch < pace.longest / 2:
                self._callers_only = False
        self._show()

    def _show(self) -> None:
        if self._unheard >= self._pace.give_up:
            state = Hearing.NOT_LISTENING
        elif self._callers_only:
            state = Hearing.CALLER_ONLY
        elif self._stretch > 1.5:
            state = Hearing.STRETCHED
        else:
            state = Hearing.LISTENING
        if state is not self.state:
            self.state = state
            if self._on_health is not None:
                self._on_health(state)

    def _measure(self, ear: _Ear, utterance: Utterance, speech: bytes) -> None:
        """Loudness over the speech frames, against this leg's own earlier median. Clipped lines set no baseline."""
        rms, clipped = rms_dbfs(speech), clipped_share(speech)
        baseline = rms - median(ear.levels) if len(ear.levels) >= LEVEL_AFTER else 0.0
        if clipped < 0.01:
            ear.levels.append(rms)
        if self._on_level is not None:
            self._on_level(
                Level(
                    leg=ear.leg,
                    utterance=utterance.id,
                    start_ms=utterance.start_ms,
                    end_ms=utterance.end_ms,
                    rms_dbfs=rms,
                    baseline_db=baseline,
                    clipped=clipped,
                )
            )

    def _overlap_begins(self, ear: _Ear) -> None:
        began_ms = ear.segmenter.began_ms
        for other in self._calls[ear.call]:
            if other is ear or other.open is None or began_ms - other.segmenter.spoke_ms > QUIET_TOGETHER_MS:
                continue
            ear.over = (other.leg, began_ms)
            return

    def _overlap_ends(self, ear: _Ear) -> None:
        """Tell of an overlap when either side stops."""
        for each in self._calls[ear.call]:
            if each.over is None or (each is not ear and each.over[0] != ear.leg):
                continue
            other_leg, start_ms = each.over
            each.over = None
            other = self._ears.get(other_leg) or (ear if ear.leg == other_leg else None)
            end_ms = min(each.segmenter.spoke_ms, other.segmenter.spoke_ms if other else each.segmenter.spoke_ms)
            if end_ms - start_ms >= OVERLAP_MS and self._on_overlap is not None:
                self._on_overlap(Overlap(interrupter=each.leg, other=other_leg, start_ms=start_ms, end_ms=end_ms))


def _unheard(hypothesis: Hypothesis) -> bool:
    """Nobody listened, which is not the same as that nothing was said."""
    return hypothesis.dropped in (Dropped.LATE, Dropped.FAULT, Dropped.SUPERSEDED)


async def hear_files(
    listening: Listening,
    call: CallId,
    tracks: Mapping[LegId, tuple[Role, bytes]],
    *,
    language: str = "",
    on_time: Callable[[int], None] | None = None,
) -> int:
    """Put whole sound files through ``listening`` (opened with ``steady=True``) as if they were a live call.

    tracks: leg -> (role, PCM at 8000 Hz), all beginning at 0. Every hearing is waited for before the next frame, so
    the result is the same on any machine. Returns the call's length in milliseconds.
    on_time: told the call's time in milliseconds after every frame.
    """
    for leg, (role, _) in tracks.items():
        listening.open_leg(call, leg, role=role, language=language)
    streams = {leg: frames_of(leg, pcm) for leg, (_, pcm) in tracks.items()}
    at_ms = 0
    while streams:
        for leg in list(streams):
            with contextlib.suppress(StopIteration):
                listening.put(leg, next(streams[leg]))
                continue
            del streams[leg]
            listening.close_leg(leg)
        if listening.pending:
            await listening.settle()
        at_ms += FRAME_MS
        if on_time is not None:
            on_time(at_ms)
    await listening.settle()
    return at_ms


__all__ = ["Hearing", "JobLine", "Listening", "Pace", "UtteranceId", "hear_files"]
