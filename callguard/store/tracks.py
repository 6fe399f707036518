"""The growing sound of flagged calls, and its end as FLAC.

What ``write`` was given is in the file when it returns and on the disk within ``SYNC_S``; a daemon that is killed
loses nothing, a machine that loses power a fifth of a second. All tracks of one take end with the same first and
last millisecond, so they stay in step in any player.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from callguard.model.case import Segment, Track
from callguard.model.errors import StoreFault
from callguard.model.ids import CaseId
from callguard.store.connection import told_os
from callguard.store.finishing import Heard, finish_take
from callguard.store.folder import (
    case_folder,
    file_name,
    growing_files,
    make_case_folder,
    mark_growing,
    marked_growing,
    next_take,
    track_and_take,
    unmark_growing,
)
from callguard.store.keyring import sync_folder
from callguard.store.sealing import GrowingSealed, Seals, look_sealed
from callguard.store.wav import LONGEST_MS, GrowingWav, in_use, look

SYNC_S = 0.15


@dataclass(slots=True, kw_only=True)
class _Take:
    folder: Path
    number: int
    tracks: dict[Track, GrowingWav | GrowingSealed] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    finished: bool = False


class TrackFolder:
    """Keeps ports.TrackFiles. Thread-safe; ``finish`` is long (seconds an hour of sound), other cases go on meanwhile.

    register: told of the finished segments of a take, all at once, before their growing files are removed.
    """

    def __init__(self, root: Path, *, register: Callable[[list[Segment]], None], seals: Seals | None = None) -> None:
        self._root = root
        self._seals = seals
        self._register = register
        self._takes: dict[CaseId, _Take] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._syncer: threading.Thread | None = None
        self._trouble: OSError | None = None

    def begin(self, case: CaseId, track: Track, *, start_ms: int) -> None:
        """Start a track, and a take where none is growing; again for one that is growing does nothing."""
        with self._lock, told_os():
            if case not in self._takes:
                mark_growing(self._root, case)
                folder = make_case_folder(self._root, case)
                self._takes[case] = _Take(folder=folder, number=next_take(folder))
            self._growing(self._takes[case], track, start_ms)
            if self._syncer is None:
                self._syncer = threading.Thread(target=self._sync_on, name="callguard-sync", daemon=True)
                self._syncer.start()

    def write(self, case: CaseId, track: Track, *, at_ms: int, pcm: bytes) -> None:
        """Place PCM (mono, 16 bit, 8000 Hz) by its time. Raises StoreFault; without a take, ``track-not-begun``."""
        with self._lock, told_os():
            take = self._takes.get(case)
            if take is None:
                raise StoreFault("no take of this case is being written", code="track-not-begun")
            wav = self._growing(take, track, at_ms)
        if at_ms - wav.start_ms > LONGEST_MS:
            raise StoreFault("sound more than a day after its track's begin", code="sound-out-of-place")
        with told_os(), take.lock:
            if take.finished:
                raise StoreFault("no take of this case is being written", code="track-not-begun")
            wav.place(at_ms, pcm)
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            with told_os():
                raise trouble

    def growing(self, case: CaseId) -> bool:
        """True while a take of this case is being written."""
        return case in self._takes

    def finish(self, case: CaseId) -> list[Segment]:
        """End the take: FLAC files, the stereo mix, hashes; registered, then returned. Nothing begun: nothing."""
        with self._lock:
            take = self._takes.pop(case, None)
        if take is None:
            return []
        with told_os(), take.lock:
            take.finished = True
            for wav in take.tracks.values():
                wav.close()
        return self._ended(case, take.folder, take.number, repaired=False)

    def repair(self, *, registered: Callable[[CaseId, int], bool]) -> list[Segment]:
        """Finish what a dead daemon left half-written; what a living one writes is left alone."""
        made: list[Segment] = []
        for case in marked_growing(self._root):
            folder = case_folder(self._root, case)
            takes = _takes_of(folder)
            for number, paths in takes.items():
                if any(in_use(path) for path in paths.values()):
                    continue
                if registered(case, number):
                    _remove(paths.values())
                else:
                    made += self._ended(case, folder, number, repaired=True)
            if not takes:
                unmark_growing(self._root, case)
        return made

    def close(self) -> None:
        """Sync everything and stop. Growing files stay, for ``repair``."""
        self._stop.set()
        if self._syncer is not None:
            self._syncer.join()
        self.sync()
        with self._lock:
            takes, self._takes = list(self._takes.values()), {}
        for take in takes:
            with take.lock:
                if not take.finished:
                    take.finished = True
                    for wav in take.tracks.values():
                        wav.close()

    def sync(self) -> None:
        """Make everything written so far durable. Raises OSError."""
        with self._lock:
            takes = list(self._takes.values())
        for take in takes:
            with take.lock:
                waiting = [] if take.finished else [wav.unsynced() for wav in take.tracks.values()]
            for descriptor in waiting:
                if descriptor is not None:
                    try:
                        os.fdatasync(descriptor)
                    finally:
                        os.close(descriptor)

    def _growing(self, take: _Take, track: Track, start_ms: int) -> GrowingWav | GrowingSealed:
        wav = take.tracks.get(track)
        if wav is None:
            if self._seals is None:
                wav = GrowingWav(take.folder / file_name(track, take.number, "wav"), start_ms=start_ms)
            else:
                path = take.folder / file_name(track, take.number, "grow")
                wav = GrowingSealed(path, start_ms=start_ms, seals=self._seals)
            sync_folder(take.folder)
            with take.lock:
                take.tracks[track] = wav
        return wav

    def _sync_on(self) -> None:
        while not self._stop.wait(SYNC_S):
            try:
                self.sync()
            except OSError as error:
                self._trouble = error

    def _ended(self, case: CaseId, folder: Path, number: int, *, repaired: bool) -> list[Segment]:
        paths = _takes_of(folder).get(number, {})
        with told_os():
            seen = {track: self._look(path) for track, path in paths.items()}
            pieces = {track: piece for track, piece in seen.items() if piece is not None}
            made = finish_take(folder, number, pieces, seals=self._seals)
        segments = [
            Segment(
                case=case,
                track=one.track,
                path=str(one.path.relative_to(self._root)),
                start_ms=one.start_ms,
                end_ms=one.end_ms,
                sha256=one.sha256,
                repaired=repaired,
            )
            for one in made
        ]
        if segments:
            self._register(segments)
        _remove(paths.values())
        if not any(growing_files(folder)):
            unmark_growing(self._root, case)
        return segments

    def _look(self, path: Path) -> Heard | None:
        if path.suffix == ".wav":
            return look(path)
        if self._seals is None:
            raise StoreFault("half-written sealed sound, and no key file is set", code="key-missing")
        return look_sealed(path, self._seals)


def _takes_of(folder: Path) -> dict[int, dict[Track, Path]]:
    takes: dict[int, dict[Track, Path]] = {}
    for path in growing_files(folder):
        if named := track_and_take(path.name):
            takes.setdefault(named[1], {})[named[0]] = path
    return takes


def _remove(paths: Iterable[Path]) -> None:
    with told_os():
        for path in paths:
            path.unlink(missing_ok=True)
