"""What was heard: looking for a known sound in a recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from callguard.voices import Sound, read_wav

ALIKE = 0.5
"""A likeness (normalised cross-correlation, 1 is the same) from which a sound counts as heard over a telephone line.

Other speech and other tones of the same length stay under 0.2."""


def likeness(sought: Path, recording: Path) -> list[tuple[float, float]]:
    """Where a sound is in a recording: (seconds, likeness), in order, one a place, only those that count."""
    needle, rate, _ = read_wav(sought)
    hay, hay_rate, _ = read_wav(recording)
    if rate != hay_rate or len(hay) < len(needle):
        return []
    return _places(_correlation(needle, hay), len(needle), rate)


def _correlation(needle: Sound, hay: Sound) -> Sound:
    size = len(hay) + len(needle)
    needle = needle - needle.mean()
    product = np.fft.irfft(np.fft.rfft(hay, size) * np.conj(np.fft.rfft(needle, size)), size)
    product = product[: len(hay) - len(needle) + 1]
    sums = np.cumsum(np.concatenate([[0.0], hay**2]))
    energy = sums[len(needle) :] - sums[: -len(needle)]
    floor = 1e-3 * float((needle**2).sum())
    return np.asarray(product / np.sqrt(np.maximum(energy, floor) * float((needle**2).sum())), dtype=np.float64)


def _places(score: Sound, length: int, rate: int) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    left = score.copy()
    while left.size:
        best = int(left.argmax())
        if left[best] < ALIKE:
            break
        found.append((best / rate, float(left[best])))
        left[max(0, best - length) : best + length] = 0.0
    return sorted(found)


def loud_s(recording: Path, *, over_dbfs: float = -45.0) -> float:
    """Seconds of a recording that are not silent."""
    sound, rate, _ = read_wav(recording)
    size = rate // 50
    frames = sound[: len(sound) // size * size].reshape(-1, size)
    power = 10 * np.log10(np.maximum((frames**2).mean(axis=1), 1e-12)) if len(frames) else np.zeros(0)
    return float((power > over_dbfs).sum()) * 0.02
