"""Several legs of one role onto one track: three parties, or an agent who is handed over while both still speak."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from callguard.model.sound import RATE_HZ

_PER_MS = RATE_HZ // 1000


class TrackMix:
    """Sound waiting to be written to one track, summed where legs speak at once.

    start_ms: the first sample that was not taken yet, on the call's clock. What comes for earlier is too late.
    """

    def __init__(self, start_ms: int) -> None:
        self.start_ms = start_ms
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

    def give_back(self, start_ms: int, pcm: bytes, *, longest_ms: int) -> int:
        """What was taken last could not be written: it waits here again, before what came meanwhile.

        More than ``longest_ms`` in all is not kept in memory: the oldest goes. Returns how many milliseconds went.
        """
        back = np.frombuffer(pcm, "<i2").astype(np.int32)
        self._sum, self.start_ms = np.concatenate((back, self._sum)), start_ms
        over_ms = max(0, len(self._sum) // _PER_MS - longest_ms)
        self._sum, self.start_ms = self._sum[over_ms * _PER_MS :], start_ms + over_ms
        return over_ms

    def take(self, until_ms: int) -> tuple[int, bytes]:
        """(start, PCM) of everything before ``until_ms``; b"" where nothing is there."""
        count = min(len(self._sum), max(0, (until_ms - self.start_ms) * _PER_MS))
        start_ms = self.start_ms
        taken, self._sum = self._sum[:count], self._sum[count:]
        self.start_ms += count // _PER_MS
        return start_ms, np.clip(taken, -32768, 32767).astype("<i2").tobytes()
