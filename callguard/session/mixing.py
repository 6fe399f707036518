"""Several legs of one role onto one track: three parties, or an agent who is handed over while both still speak."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from callguard.model.sound import RATE_HZ

_PER_MS = RATE_HZ // 1000


class TrackMix:
    """Sound waiting to be written to one track, summed where legs speak at once.

    start_ms: the first sample that is not settled yet, on the call's clock. What comes for earlier is too late.
    waiting: settled sound by its start, oldest first. Whoever writes a piece takes it out afterwards.
    """

    def __init__(self, start_ms: int) -> None:
        self.start_ms = start_ms
        self.waiting: deque[tuple[int, bytes]] = deque()
        self._sum: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)

    @property
    def end_ms(self) -> int:
        """The end of what is here."""
        return self.start_ms + len(self._sum) // _PER_MS

    def add(self, at_ms: int, pcm: bytes) -> None:
        """One leg's sound of 8000 Hz from ``at_ms`` on."""
        samples = np.frombuffer(pcm, "<i2")
        offset = (at_ms - self.start_ms) * _PER_MS
        if offset < 0:
            samples, offset = samples[-offset:], 0
        if not len(samples):
            return
        short = offset + len(samples) - len(self._sum)
        if short > 0:
            self._sum = np.concatenate((self._sum, np.zeros(short, dtype=np.int32)))
        self._sum[offset : offset + len(samples)] += samples

    def settle(self, until_ms: int) -> None:
        """Nothing more comes for before ``until_ms``: what is there waits to be written now."""
        count = min(len(self._sum), max(0, (until_ms - self.start_ms) * _PER_MS))
        settled, self._sum = self._sum[:count], self._sum[count:]
        if count:
            self.waiting.append((self.start_ms, np.clip(settled, -32768, 32767).astype("<i2").tobytes()))
        self.start_ms += count // _PER_MS

    @property
    def waits_ms(self) -> int:
        """How much waits to be written. It has no holes."""
        return self.start_ms - self.waiting[0][0] if self.waiting else 0

    def forget(self, *, longest_ms: int, at_once_ms: int) -> int:
        """Where more waits than ``longest_ms``, drop at least ``at_once_ms`` of the oldest; return how much went."""
        waited_ms = self.waits_ms
        if waited_ms > longest_ms:
            while self.waits_ms > longest_ms - at_once_ms:
                self.waiting.popleft()
        return waited_ms - self.waits_ms
