"""From growing WAV files to a finished take: FLAC tracks of equal length, and the stereo mix people listen to."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from callguard.model.case import Track
from callguard.model.errors import StoreFault
from callguard.model.sound import RATE_HZ
from callguard.store.folder import file_name
from callguard.store.keyring import sync_folder
from callguard.store.sealing import SEALED, Seals, seal

Samples = npt.NDArray[np.int16]

BLOCK_MS = 60_000
_PER_MS = RATE_HZ // 1000
_CENTRE = 0.7
"""Supervisor and announcements are heard on both sides of the mix, 3 dB down."""


class Heard(Protocol):
    """A growing file, plain or sealed: where it begins on the call's clock, how long it is, what it holds."""

    @property
    def path(self) -> Path: ...
    @property
    def start_ms(self) -> int: ...
    @property
    def length_ms(self) -> int: ...
    def heard(self, from_ms: int, to_ms: int) -> Iterator[tuple[int, bytes]]: ...


def read_heard(file: Heard, from_ms: int, to_ms: int) -> Samples:
    """This stretch of the call's clock; silence where the file holds nothing."""
    out = np.zeros((to_ms - from_ms) * _PER_MS, dtype="<i2")
    for at_ms, pcm in file.heard(from_ms, to_ms):
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
        at = (at_ms - from_ms) * _PER_MS
        samples, at = samples[max(0, -at) :], max(0, at)
        samples = samples[: max(0, len(out) - at)]
        out[at : at + len(samples)] = samples
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One finished file."""

    track: Track
    path: Path
    start_ms: int
    end_ms: int
    sha256: str


def finish_take(folder: Path, take: int, pieces: Mapping[Track, Heard], *, seals: Seals | None) -> list[Finished]:
    """Write the take's files, durable, under their final names. Doing it twice is doing it once."""
    pieces = {track: piece for track, piece in pieces.items() if piece.length_ms > 0}
    if not pieces:
        return []
    start_ms = min(one.start_ms for one in pieces.values())
    end_ms = max(one.start_ms + one.length_ms for one in pieces.values())
    made = []
    for track in (*sorted(pieces), Track.MIX):
        path = folder / file_name(track, take, "flac" if seals is None else f"flac{SEALED}")
        blocks = _mixed(pieces, start_ms, end_ms) if track is Track.MIX else _one(pieces[track], start_ms, end_ms)
        channels = 2 if track is Track.MIX else 1
        sha256 = _write_flac(path, blocks, channels) if seals is None else _write_sealed(path, blocks, channels, seals)
        made.append(Finished(track=track, path=path, start_ms=start_ms, end_ms=end_ms, sha256=sha256))
    return made


def encode_flac(blocks: Iterable[Samples], channels: int, into: Path | BinaryIO) -> None:
    """FLAC of 8000 Hz, 16 bit, read back and compared: its source is deleted afterwards. Raises StoreFault."""
    written, read = hashlib.sha256(), hashlib.sha256()
    try:
        with soundfile.SoundFile(
            into, "w", samplerate=RATE_HZ, channels=channels, format="FLAC", subtype="PCM_16"
        ) as sound:
            for block in blocks:
                sound.write(block)
                written.update(np.ascontiguousarray(block, dtype="<i2").tobytes())
        if not isinstance(into, Path):
            into.seek(0)
        with soundfile.SoundFile(into) as sound:
            for block in sound.blocks(BLOCK_MS * _PER_MS, dtype="int16"):
                read.update(block.astype("<i2").tobytes())
    except soundfile.LibsndfileError:
        read = hashlib.sha256()
    if read.digest() != written.digest():
        raise StoreFault(
            "the sound could not be finished; it stays as it is for the next start",
            code="sound-not-finished",
            hint="look whether the disk is full",
        )


def write_file(path: Path, content: bytes) -> None:
    """Write or replace a whole file, durable."""
    half = path.with_name(f".{path.name}.half")
    half.write_bytes(content)
    _settle(half, path)


def _one(piece: Heard, start_ms: int, end_ms: int) -> Iterator[Samples]:
    for from_ms in range(start_ms, end_ms, BLOCK_MS):
        yield read_heard(piece, from_ms, min(end_ms, from_ms + BLOCK_MS))


def _mixed(pieces: Mapping[Track, Heard], start_ms: int, end_ms: int) -> Iterator[Samples]:
    for from_ms in range(start_ms, end_ms, BLOCK_MS):
        to_ms = min(end_ms, from_ms + BLOCK_MS)
        yield stereo_mix(
            {track: read_heard(piece, from_ms, to_ms) for track, piece in pieces.items()}, (to_ms - from_ms) * _PER_MS
        )


def stereo_mix(tracks: Mapping[Track, Samples], count: int) -> Samples:
    """Caller left, agent right, everyone else on both sides; ``count`` samples long."""
    heard = {track: samples.astype(np.float32) for track, samples in tracks.items()}
    silence = np.zeros(count, dtype=np.float32)
    centre = heard.get(Track.SUPERVISOR, silence) + heard.get(Track.ANNOUNCEMENTS, silence)
    sides = [heard.get(track, silence) + _CENTRE * centre for track in (Track.CALLER, Track.AGENT)]
    mixed: Samples = np.clip(np.stack(sides, axis=1), -32768, 32767).astype(np.int16)
    return mixed


def _write_flac(path: Path, blocks: Iterator[Samples], channels: int) -> str:
    half = path.with_name(f".{path.name}.half")
    encode_flac(blocks, channels, half)
    with half.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    _settle(half, path)
    return digest


def _write_sealed(path: Path, blocks: Iterator[Samples], channels: int, seals: Seals) -> str:
    plain = io.BytesIO()
    encode_flac(blocks, channels, plain)
    write_file(path, seal(seals, plain.getvalue()))
    return hashlib.sha256(plain.getvalue()).hexdigest()


def _settle(half: Path, path: Path) -> None:
    half.chmod(0o640)
    with half.open("rb") as file:
        os.fsync(file.fileno())
    half.replace(path)
    sync_folder(path.parent)
