"""The last seconds of one leg, in memory only.

The sound lies in an anonymous mapping of its own: locked against swapping where the limit allows, kept out of core
dumps, and overwritten with zeros when it is dropped. Nothing here ever touches a disk.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator

from callguard.model.sound import FRAME_BYTES, FRAME_MS, RATE_HZ, Frame

BYTES_PER_MS = RATE_HZ * 2 // 1000
_FIRST_GROWING_MS = 60_000
_libc = ctypes.CDLL(None, use_errno=True)


class Ring:
    """Sound of one leg between ``start_ms`` and ``end_ms`` on the call's clock.

    span_ms: how much is remembered; None remembers everything and grows.
    The memory is taken and locked at once (0.2 ms for 20 s), so that the first frame need not wait for it.
    A gap between two frames reads as silence. A frame that comes late overwrites what lies there; one from before
    ``start_ms`` is ignored.
    """

    __slots__ = ("_kept", "_memory", "_size", "_span_ms", "end_ms", "locked", "start_ms")

    def __init__(self, span_ms: int | None) -> None:
        if span_ms is not None and span_ms < FRAME_MS:
            raise ValueError("a ring holds at least one frame")
        self._span_ms = span_ms
        self._size = (span_ms if span_ms is not None else _FIRST_GROWING_MS) * BYTES_PER_MS
        self.locked = False
        self._memory: mmap.mmap | None = self._map(self._size)
        self._kept = False
        self.start_ms = 0
        self.end_ms = 0

    @property
    def span_ms(self) -> int | None:
        """How much is remembered at most, None for everything."""
        return self._span_ms

    def put(self, frame: Frame) -> None:
        """Remember one frame of 8000 Hz."""
        self.write(frame.at_ms, frame.pcm)

    def write(self, at_ms: int, pcm: bytes) -> None:
        """Remember whole milliseconds of sound that begin at ``at_ms``."""
        end_ms = at_ms + len(pcm) // BYTES_PER_MS
        if not self._kept:
            self._kept = True
            self.start_ms = self.end_ms = at_ms
        if at_ms < self.start_ms:
            return
        memory = self._room_for(end_ms)
        if at_ms > self.end_ms:
            self._silence(memory, max(self.end_ms, end_ms - self._size // BYTES_PER_MS), at_ms)
        self._lay(memory, at_ms, pcm[: (end_ms - at_ms) * BYTES_PER_MS])
        if end_ms > self.end_ms:
            self.end_ms = end_ms
            if self._span_ms is not None:
                self.start_ms = max(self.start_ms, end_ms - self._span_ms)

    def read(self, start_ms: int, end_ms: int) -> bytes:
        """The sound of this stretch as PCM; what is not there (before, after, gaps) reads as silence."""
        if end_ms <= start_ms:
            return b""
        low, high = max(start_ms, self.start_ms), min(end_ms, self.end_ms)
        if low >= high or self._memory is None:
            return bytes((end_ms - start_ms) * BYTES_PER_MS)
        size, count = self._size, (high - low) * BYTES_PER_MS
        at = self._offset(low)
        first = self._memory[at : min(at + count, size)]
        rest = self._memory[: count - len(first)] if len(first) < count else b""
        before, after = bytes((low - start_ms) * BYTES_PER_MS), bytes((end_ms - high) * BYTES_PER_MS)
        return b"".join((before, first, rest, after))

    def frames(self, start_ms: int) -> Iterator[tuple[int, bytes]]:
        """(at_ms, 320 bytes) from ``start_ms`` or the oldest remembered, up to ``end_ms``; gaps as silence."""
        at_ms = max(start_ms, self.start_ms)
        while at_ms + FRAME_MS <= self.end_ms:
            yield at_ms, self.read(at_ms, at_ms + FRAME_MS)
            at_ms += FRAME_MS

    def drop(self) -> int:
        """Overwrite and forget everything; return how many milliseconds were dropped."""
        dropped_ms = self.end_ms - self.start_ms
        if self._memory is not None:
            self._memory[:] = bytes(len(self._memory))
            self._memory.close()
            self._memory = None
        if self._span_ms is None:
            self._size = _FIRST_GROWING_MS * BYTES_PER_MS
        self._kept = False
        self.start_ms = self.end_ms
        return dropped_ms

    def _room_for(self, end_ms: int) -> mmap.mmap:
        if self._memory is None:
            self._memory = self._map(self._size)
        if self._span_ms is None:
            while (end_ms - self.start_ms) * BYTES_PER_MS > self._size:
                self._grow()
        return self._memory

    def _map(self, size: int) -> mmap.mmap:
        memory = mmap.mmap(-1, size)
        if hasattr(mmap, "MADV_DONTDUMP"):
            memory.madvise(mmap.MADV_DONTDUMP)
        view = ctypes.c_char.from_buffer(memory)
        self.locked = _libc.mlock(ctypes.c_void_p(ctypes.addressof(view)), ctypes.c_size_t(size)) == 0
        del view
        return memory

    def _grow(self) -> None:
        """Twice the room. Only a ring that remembers everything grows, and its sound begins at the start."""
        old = self._memory
        assert old is not None
        new = self._map(self._size * 2)
        new[: self._size] = old[: self._size]
        old[:] = bytes(self._size)
        old.close()
        self._memory, self._size = new, self._size * 2

    def _offset(self, at_ms: int) -> int:
        origin = self.start_ms if self._span_ms is None else 0
        return (at_ms - origin) * BYTES_PER_MS % self._size

    def _lay(self, memory: mmap.mmap, at_ms: int, pcm: bytes) -> None:
        if len(pcm) > self._size:
            at_ms += (len(pcm) - self._size) // BYTES_PER_MS
            pcm = pcm[-self._size :]
        at = self._offset(at_ms)
        fits = self._size - at
        memory[at : at + min(len(pcm), fits)] = pcm[:fits]
        if len(pcm) > fits:
            memory[: len(pcm) - fits] = pcm[fits:]

    def _silence(self, memory: mmap.mmap, start_ms: int, end_ms: int) -> None:
        if end_ms > start_ms:
            self._lay(memory, start_ms, bytes((end_ms - start_ms) * BYTES_PER_MS))


assert FRAME_BYTES == FRAME_MS * BYTES_PER_MS
