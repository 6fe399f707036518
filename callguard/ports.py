"""What the shell needs from the world, on one screen. Adapters on floor 3 keep these promises, fakes too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from callguard.model.action import Effect
from callguard.model.call import Call, Leg
from callguard.model.case import CaseOpened, Record, Segment, Track
from callguard.model.ids import CallId, CaseId, LegId, UtteranceId
from callguard.model.words import Hypothesis


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingJob:
    """One stretch of sound to be heard. Stateless: everything the recognizer needs is in it.

    pcm: mono signed 16 bit little-endian at ``rate_hz``.
    start_ms: of the first sample, on the call's clock.
    language: "en", "ja", or "" for "find out".
    priority: 0 caller, 1 agent, 2 what is sought while nobody waits.
    thorough: there is time to hear last words in a wider window and with the better model.
    readings: 0 for words. Otherwise other readings of last words are asked for, and they alone: in turn 1 the likeliest
        ones, then what is heard at other speeds, in later turns ones drawn at random.
    deadline_ms: wall clock, milliseconds since the epoch; later than that the job is dropped as late.
    """

    call: CallId
    leg: LegId
    utterance: UtteranceId
    revision: int
    pcm: bytes = field(repr=False)
    rate_hz: int
    start_ms: int
    language: str
    final: bool
    priority: int
    deadline_ms: int
    thorough: bool = False
    readings: int = 0


class Recognizer(Protocol):
    """Window in, words out. Called from a worker's own thread or process, never from the event loop."""

    def hear(self, jobs: Sequence[HearingJob]) -> list[Hypothesis]:
        """One hypothesis a job, in order. Raises RecognizerFault only when nothing can be heard at all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of something asked of the PBX, verified by effect. Wall times are aware UTC."""

    effect: Effect
    started_at: datetime | None = None
    ended_at: datetime | None = None
    detail: str = ""


class Switchboard(Protocol):
    """What we ask of Asterisk. Every call is bounded in time, cleaned, and reports the effect, not the ack."""

    async def tap(self, leg: Leg, *, token: str) -> None: ...
    async def untap(self, *, token: str) -> None: ...
    async def play(self, call: Call, *, announcement: str, language: str, timeout_s: float) -> Done: ...
    async def transfer(self, call: Call, *, extension: str, timeout_s: float) -> Done: ...
    async def end(self, call: Call, *, announcement: str, language: str, timeout_s: float) -> Done: ...
    async def rest(self, interface: str, *, paused: bool, reason: str) -> Done: ...
    async def tell_agent(self, call: Call, *, sound: str, language: str) -> Done: ...
    async def spy(self, call: Call, *, supervisor: str, mode: str) -> Done: ...


class Second(StrEnum):
    """What a second opinion makes of suspected words."""

    ABUSE = "abuse"
    COMPLAINT = "complaint"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """A second opinion. why: one sentence for people."""

    verdict: Second
    why: str = ""


class SecondOpinion(Protocol):
    """Somebody else's view of a finding, to lower or explain it. Never raises; nothing acts on it."""

    async def ask(self, words: str, *, language: str, suspected: str) -> Opinion: ...
    async def close(self) -> None: ...


class CaseStore(Protocol):
    """The record. Every call returns only when the data is durable. Blocking: the shell gives it a thread."""

    def open_case(self, opened: CaseOpened) -> CaseId:
        """Open the case of this call, or return the one already open (idempotent by call)."""
        ...

    def append(self, case: CaseId, records: Sequence[Record]) -> None: ...
    def add_segment(self, segment: Segment) -> None: ...
    def close_call(self, case: CaseId, *, ended_at: datetime, ended_ms: int) -> None: ...
    def audit(self, *, who: str, verb: str, thing: str, data: dict[str, object]) -> None: ...


class TrackFiles(Protocol):
    """The growing sound of one case. Files are readable at any moment, also after a crash."""

    def begin(self, case: CaseId, track: Track, *, start_ms: int) -> None: ...
    def write(self, case: CaseId, track: Track, *, at_ms: int, pcm: bytes) -> None: ...
    def finish(self, case: CaseId) -> list[Segment]: ...
