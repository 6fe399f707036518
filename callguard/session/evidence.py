"""One call's evidence: in memory until something is worth keeping, on disk from then on.

Rings hold the last sound of every leg, also of legs that have left. ``open`` stores the case with its story, then
``keep`` writes the sound from before the flag and all that follows. Nothing of a call without a case reaches a disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from callguard.audio.ring import Ring
from callguard.model.case import CaseOpened, Record, RecordKind, Segment, Track
from callguard.model.errors import StoreFault
from callguard.model.ids import CallId, CaseId, LegId, Role
from callguard.model.policy import Keeping
from callguard.ports import CaseStore, TrackFiles
from callguard.session.mixing import TrackMix
from callguard.session.records import gap_record
from callguard.session.writing import Writer

log = logging.getLogger(__name__)

TRACK_OF = {Role.CALLER: Track.CALLER, Role.AGENT: Track.AGENT, Role.SUPERVISOR: Track.SUPERVISOR}

SETTLE_MS = 300
"""Legs' frames of one moment arrive within this time; a track is written up to so long ago."""

MOST_STORY = 4000
"""Lines remembered of a call without a case; the oldest talk goes first."""

WAITING_MS = 600_000
"""So much sound of a track waits in memory (16 kB a second) while it cannot be written: a full disk may be emptied."""

FORGOTTEN_MS = 60_000
"""And then this much of the oldest goes at once, so that the record tells of it once a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where evidence goes: the store, its sound files, a thread for each, and one that compresses what is finished."""

    store: CaseStore
    tracks: TrackFiles
    record: Writer
    sound: Writer
    finishing: Writer


class Evidence:
    """See the module. All times are on the call's clock."""

    def __init__(self, call: CallId, *, desk: Desk, keeping: Keeping) -> None:
        self.call = call
        self.case: CaseId | None = None
        self.from_ms = 0
        self._desk, self._keeping = desk, keeping
        self._rings: dict[LegId, tuple[Role, Ring]] = {}
        self._mixes: dict[Track, TrackMix] = {}
        self._begun: set[Track] = set()
        self._story: list[Record] = []
        self._until_ms: int | None = None
        self._keeping_sound = False
        self._writing = asyncio.Lock()
        self.troubles: list[str] = []
        self._made: list[Segment] = []
        self._registered = 0

    # sound

    def open_leg(self, leg: LegId, role: Role) -> None:
        """Begin to remember a leg's sound. Asked again for a known leg, only its role is put right."""
        known = self._rings.get(leg)
        span_ms = None if self._keeping.whole_call else max(1, self._keeping.pre_roll_s) * 1000
        self._rings[leg] = (role, known[1] if known else Ring(span_ms))

    def put(self, leg: LegId, at_ms: int, pcm: bytes) -> None:
        """One frame of a leg."""
        known = self._rings.get(leg)
        if known is None or at_ms < 0:
            return
        role, ring = known
        if not self._writes(at_ms):
            ring.write(at_ms, pcm)
            return
        track = TRACK_OF.get(role)
        if track is not None:
            self._mixes[track].add(at_ms, pcm)

    def announce(self, at_ms: int, pcm: bytes) -> None:
        """What the caller's line carried while an announcement was played."""
        if self._writes(at_ms):
            self._mixes[Track.ANNOUNCEMENTS].add(at_ms, pcm)

    def _writes(self, at_ms: int) -> bool:
        return self._keeping_sound and (self._until_ms is None or at_ms < self._until_ms)

    # story

    def note(self, record: Record) -> None:
        """One more line. It is stored by the next ``flush``, or with the case."""
        self._story.append(record)
        if self.case is None and len(self._story) > MOST_STORY:
            oldest = next((i for i, one in enumerate(self._story) if one.kind is RecordKind.TRANSCRIPT), 0)
            del self._story[oldest]

    async def open(self, opened: CaseOpened) -> CaseId:
        """Store the case and the story so far. Talk from before the kept sound is left out of it.

        Raises StoreFault where nothing could be stored; the story stays in memory for the next try.
        """
        self.from_ms = max(0, opened.flagged_ms - self._keeping.pre_roll_s * 1000)
        if self._keeping.whole_call:
            self.from_ms = 0
        self.case = await self._desk.record.do(self._desk.store.open_case, opened)
        self._story = [one for one in self._story if one.kind is not RecordKind.TRANSCRIPT or self._is_kept(one)]
        await self.flush()
        return self.case

    def _is_kept(self, record: Record) -> bool:
        return int(record.data.get("end_ms", record.at_ms)) >= self.from_ms

    def resume(self, case: CaseId, *, at_ms: int) -> None:
        """The case was opened by an earlier life of the daemon: go on with it from here."""
        self.case, self.from_ms = case, at_ms

    async def flush(self) -> None:
        """Store what was noted. Raises StoreFault; what could not be stored stays for the next try."""
        if self.case is None or not self._story:
            return
        lines, self._story = self._story, []
        try:
            await self._desk.record.do(self._desk.store.append, self.case, lines)
        except StoreFault:
            self._story = [*lines, *self._story]
            raise

    # kept sound

    async def keep(self, *, flagged_ms: int) -> None:
        """Write the sound from before the flag, and from now on all that comes."""
        assert self.case is not None
        post_s = self._keeping.post_roll_s
        if post_s is not None:
            self._until_ms = max(self._until_ms or 0, flagged_ms + post_s * 1000)
        if self._keeping_sound:
            return
        begins = [ring.start_ms for _, ring in self._rings.values() if ring.end_ms > ring.start_ms]
        start_ms = max(self.from_ms, min(begins, default=flagged_ms))
        fresh = not self._mixes
        if fresh:
            self.from_ms = start_ms
            self._mixes = {track: TrackMix(start_ms) for track in (*TRACK_OF.values(), Track.ANNOUNCEMENTS)}
        self._keeping_sound = True
        self._pour_rings()
        if fresh:
            with contextlib.suppress(StoreFault):  # ``write`` begins it again
                for track in (Track.CALLER, Track.AGENT):
                    await self._begin(self.case, track, start_ms)
        await self.write(at_ms=None)

    def _pour_rings(self) -> None:
        for role, ring in self._rings.values():
            track = TRACK_OF.get(role)
            if track is not None and ring.end_ms > ring.start_ms:
                start_ms = max(ring.start_ms, self._mixes[track].start_ms)
                self._mixes[track].add(start_ms, ring.read(start_ms, ring.end_ms))
            ring.drop()

    def pause(self) -> None:
        """The flag was taken back: sound goes to memory again. What is kept stays."""
        self._keeping_sound = False

    async def write(self, *, at_ms: int | None) -> None:
        """Write what is ready. at_ms: now, None for everything. Called about twice a second while sound is kept."""
        if self.case is None:
            return
        async with self._writing:
            await self._write(self.case, at_ms)

    async def _write(self, case: CaseId, at_ms: int | None) -> None:
        for track, mix in self._mixes.items():
            mix.settle(mix.end_ms if at_ms is None else at_ms - SETTLE_MS)
            try:
                while mix.waiting:
                    start_ms, pcm = mix.waiting[0]
                    await self._begin(case, track, start_ms)
                    await self._desk.sound.do(self._desk.tracks.write, case, track, at_ms=start_ms, pcm=pcm)
                    mix.waiting.popleft()
            except StoreFault as fault:
                self._trouble(fault.code)
                start_ms = mix.waiting[0][0]
                self._lost(track, start_ms, mix.forget(longest_ms=WAITING_MS, at_once_ms=FORGOTTEN_MS))

    async def _begin(self, case: CaseId, track: Track, start_ms: int) -> None:
        if track not in self._begun:
            await self._desk.sound.do(self._desk.tracks.begin, case, track, start_ms=start_ms)
            self._begun.add(track)

    def _lost(self, track: Track, start_ms: int, lost_ms: int) -> None:
        """Kept sound of this track that will never be written."""
        if lost_ms:
            reason = self.troubles[-1]
            self.note(gap_record("sound", at_ms=start_ms, reason=reason, track=track.value, lost_ms=lost_ms))

    def _trouble(self, code: str) -> None:
        if code not in self.troubles:
            self.troubles.append(code)
            log.error("kept sound could not be written; it waits in memory", extra={"code": code})

    # the end

    async def finish(self, *, ended_at: datetime, ended_ms: int, last: bool = True) -> Sequence[Segment]:
        """Close the case's files and record. Nothing to do for a call without a case.

        Raises StoreFault where the record, or (unless ``last``) the sound, could not be written: to be asked again.
        """
        if self.case is None:
            return ()
        await self.write(at_ms=None)
        if not last and any(mix.waiting for mix in self._mixes.values()):
            raise StoreFault("kept sound waits in memory", code=self.troubles[-1])
        for track, mix in self._mixes.items():
            self._lost(track, mix.start_ms - mix.waits_ms, mix.waits_ms)
        try:
            self._made += await self._desk.finishing.do(self._desk.tracks.finish, self.case)
        except StoreFault as fault:
            self._trouble(fault.code)
        for segment in self._made[self._registered :]:
            await self._desk.record.do(self._desk.store.add_segment, segment)
            self._registered += 1
        await self.flush()
        await self._desk.record.do(self._desk.store.close_call, self.case, ended_at=ended_at, ended_ms=ended_ms)
        return self._made

    def drop(self) -> int:
        """Forget all sound in memory; return how many milliseconds of it there were."""
        dropped = sum(ring.drop() for _, ring in self._rings.values())
        self._rings.clear()
        return dropped
