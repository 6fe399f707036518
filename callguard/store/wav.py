"""One growing track as a WAV file that is complete after every write: header and sound agree at any moment.

Sound is placed by its time on the call's clock, so a track never drifts; what nobody wrote reads as silence. A
chunk ``cgst`` in the header keeps where on the call's clock the file begins.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from callguard.model.sound import RATE_HZ

BYTES_PER_MS = RATE_HZ * 2 // 1000
LONGEST_MS = 24 * 3600 * 1000
"""Sound that far from a track's begin is a broken clock, not a call."""

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sIq4sI")
HEADER_BYTES = _HEADER.size


class GrowingWav:
    """A WAV file being written. Not thread-safe: its owner has the lock."""

    def __init__(self, path: Path, *, start_ms: int) -> None:
        self.path = path
        self.start_ms = start_ms
        self.length_ms = 0
        self.dirty = True
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._write_header()

    @property
    def end_ms(self) -> int:
        """End of what is written, on the call's clock."""
        return self.start_ms + self.length_ms

    def place(self, at_ms: int, pcm: bytes) -> None:
        """Lay PCM at its time. What lies before the file's begin is cut off."""
        if at_ms < self.start_ms:
            pcm = pcm[(self.start_ms - at_ms) * BYTES_PER_MS :]
            at_ms = self.start_ms
        pcm = pcm[: len(pcm) // BYTES_PER_MS * BYTES_PER_MS]
        if not pcm:
            return
        offset_ms = at_ms - self.start_ms
        write_all(self._file, pcm, HEADER_BYTES + offset_ms * BYTES_PER_MS)
        self.dirty = True
        if offset_ms + len(pcm) // BYTES_PER_MS > self.length_ms:
            self.length_ms = offset_ms + len(pcm) // BYTES_PER_MS
            self._write_header()

    def unsynced(self) -> int | None:
        """A descriptor of its own to sync and close, None where everything written is durable already."""
        if not self.dirty:
            return None
        self.dirty = False
        return os.dup(self._file)

    def close(self) -> None:
        """Let go of the file; it stays."""
        os.close(self._file)

    def _write_header(self) -> None:
        write_all(self._file, header(self.start_ms, self.length_ms * BYTES_PER_MS), 0)


def header(start_ms: int, sound_bytes: int) -> bytes:
    """The header of a track: mono, 16 bit, 8000 Hz."""
    riff = HEADER_BYTES - 8 + sound_bytes
    fmt = (b"fmt ", 16, 1, 1, RATE_HZ, RATE_HZ * 2, 2, 16)
    return _HEADER.pack(b"RIFF", riff, b"WAVE", *fmt, b"cgst", 8, start_ms, b"data", sound_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A growing file as it lies on disk."""

    path: Path
    start_ms: int
    length_ms: int

    def heard(self, from_ms: int, to_ms: int) -> Iterator[tuple[int, bytes]]:
        """(at_ms, PCM) of this stretch of the call's clock, as far as the file holds it."""
        low, high = max(from_ms, self.start_ms), min(to_ms, self.start_ms + self.length_ms)
        if low < high:
            with self.path.open("rb") as file:
                file.seek(HEADER_BYTES + (low - self.start_ms) * BYTES_PER_MS)
                yield low, file.read((high - low) * BYTES_PER_MS)


def look(path: Path) -> Found | None:
    """What a growing file holds; None where even its header was never written.

    The length is that of the file, not of the header: sound that came after the last header is there too.
    """
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
        size = os.fstat(file.fileno()).st_size
    if len(head) < HEADER_BYTES or head[:4] != b"RIFF" or head[36:40] != b"cgst":
        return None
    start_ms = _HEADER.unpack(head)[13]
    return Found(path=path, start_ms=start_ms, length_ms=(size - HEADER_BYTES) // BYTES_PER_MS)


def in_use(path: Path) -> bool:
    """True while a living process writes this growing file."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        return _locked(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write everything at this place."""
    while data:
        count = os.pwrite(descriptor, data, offset)
        data, offset = data[count:], offset + count
