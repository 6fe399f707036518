"""From growing WAV files to a finished take: FLAC tracks of equal length, and the stereo mix people listen to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from callguard.model.case import Track
from callguard.model.ids import CaseId
from callguard.model.sound import RATE_HZ
from callguard.store.folder import file_name
from callguard.store.keyring import sync_folder
from callguard.store.wav import BYTES_PER_MS, HEADER_BYTES

Samples = npt.NDArray[np.int16]

BLOCK_MS = 60_000
_CENTRE = 0.7
"""Supervisor and announcements are heard on both sides of the mix, 3 dB down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One growing file: where it begins on the call's clock and how long it is."""

    track: Track
    path: Path
    start_ms: int
    length_ms: int

    @property
    def end_ms(self) -> int:
        """Its end on the call's clock."""
        return self.start_ms + self.length_ms

    def read(self, from_ms: int, to_ms: int) -> Samples:
        """This stretch of the call's clock; silence outside of the file."""
        out = np.zeros((to_ms - from_ms) * BYTES_PER_MS // 2, dtype="<i2")
        low, high = max(from_ms, self.start_ms), min(to_ms, self.end_ms)
        if low < high:
            with self.path.open("rb") as file:
                file.seek(HEADER_BYTES + (low - self.start_ms) * BYTES_PER_MS)
                heard = np.frombuffer(file.read((high - low) * BYTES_PER_MS), "<i2")
            at = (low - from_ms) * BYTES_PER_MS // 2
            out[at : at + len(heard)] = heard
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One finished file."""

    track: Track
    path: Path
    start_ms: int
    end_ms: int
    sha256: str


def finish_take(case: CaseId, folder: Path, take: int, pieces: Sequence[Piece]) -> list[Finished]:
    """Write the take's files, durable, under their final names. Doing it twice gives the same files."""
    if not pieces:
        return []
    start_ms, end_ms = min(one.start_ms for one in pieces), max(one.end_ms for one in pieces)
    by_track = {one.track: one for one in pieces}
    made = []
    for track in (*sorted(by_track), Track.MIX):
        path = folder / file_name(track, take, "flac")
        blocks = _mixed(by_track, start_ms, end_ms) if track is Track.MIX else _one(by_track[track], start_ms, end_ms)
        sha256 = _write_flac(path, blocks, channels=2 if track is Track.MIX else 1)
        made.append(Finished(track=track, path=path, start_ms=start_ms, end_ms=end_ms, sha256=sha256))
    sync_folder(folder)
    return made


def _one(piece: Piece, start_ms: int, end_ms: int) -> Iterator[Samples]:
    for from_ms in range(start_ms, end_ms, BLOCK_MS):
        yield piece.read(from_ms, min(end_ms, from_ms + BLOCK_MS))


def _mixed(pieces: Mapping[Track, Piece], start_ms: int, end_ms: int) -> Iterator[Samples]:
    for from_ms in range(start_ms, end_ms, BLOCK_MS):
        to_ms = min(end_ms, from_ms + BLOCK_MS)
        heard = {track: piece.read(from_ms, to_ms).astype(np.float32) for track, piece in pieces.items()}
        silence = np.zeros((to_ms - from_ms) * BYTES_PER_MS // 2, dtype=np.float32)
        centre = sum((heard.get(track, silence) for track in (Track.SUPERVISOR, Track.ANNOUNCEMENTS)), silence)
        sides = [heard.get(track, silence) + _CENTRE * centre for track in (Track.CALLER, Track.AGENT)]
        yield np.clip(np.stack(sides, axis=1), -32768, 32767).astype("<i2")


def _write_flac(path: Path, blocks: Iterator[Samples], *, channels: int) -> str:
    half = path.with_name(f".{path.name}.half")
    with soundfile.SoundFile(
        half, "w", samplerate=RATE_HZ, channels=channels, format="FLAC", subtype="PCM_16"
    ) as sound:
        for block in blocks:
            sound.write(block)
    half.chmod(0o640)
    with half.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    half.replace(path)
    return digest
