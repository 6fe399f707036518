"""What was heard: looking for a known sound in a recording.

A telephone line drops and repeats packets, and then the rest of a sound lies some milliseconds off. So a sound is
looked for in pieces of half a second, each of which may stray a little from its place.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from callguard.voices import Sound, read_wav

ALIKE = 0.55
"""A likeness (normalised cross-correlation, 1 is the same) from which a sound counts as heard over a telephone line.

Other speech and other tones stay under 0.4; tests hold both.
"""

PIECE_S = 0.5
STRAY_S = 0.2
BLOCK_S = 0.01


def likeness(sought: Path, recording: Path) -> list[tuple[float, float]]:
    """Where a sound is in a recording: (seconds, likeness), in order, one a place, only those that count."""
    needle, rate, _ = read_wav(sought)
    hay, hay_rate, _ = read_wav(recording)
    if rate != hay_rate or len(hay) < len(needle):
        return []
    return _places(_scores(needle, hay, rate), len(needle) / rate)


def best(sought: Path, recording: Path) -> float:
    """The highest likeness anywhere, 0 where the recording is shorter than the sound."""
    needle, rate, _ = read_wav(sought)
    hay, _, _ = read_wav(recording)
    return float(_scores(needle, hay, rate).max(initial=0.0)) if len(hay) >= len(needle) else 0.0


def _scores(needle: Sound, hay: Sound, rate: int) -> Sound:
    """Likeness of the sound beginning at each block of the recording, pieces weighed by their energy."""
    block, size = int(BLOCK_S * rate), int(PIECE_S * rate)
    count = max(1, round(len(needle) / size))
    pieces = np.array_split(needle, count)
    starts = np.cumsum([0, *(len(piece) for piece in pieces)])[:-1]
    width = (len(hay) - len(needle)) // block + 1
    total, weight = np.zeros(width), 0.0
    for start, piece in zip(starts, pieces, strict=True):
        energy = float((piece**2).sum())
        near = _near(_correlation(piece, hay), block)
        first = int(start) // block
        part = near[first : first + width]
        total[: len(part)] += energy * part
        weight += energy
    return np.asarray(total / max(weight, 1e-9), dtype=np.float64)


def _near(score: Sound, block: int) -> Sound:
    """By block, the highest score within STRAY_S."""
    blocks = np.pad(score, (0, -len(score) % block), constant_values=0.0).reshape(-1, block).max(axis=1)
    reach = int(STRAY_S / BLOCK_S)
    padded = np.pad(blocks, reach, constant_values=0.0)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1), dtype=np.float64)


def _correlation(piece: Sound, hay: Sound) -> Sound:
    size = 1 << (len(hay) + len(piece)).bit_length()
    product = np.fft.irfft(np.fft.rfft(hay, size) * np.conj(np.fft.rfft(piece, size)), size)
    product = product[: len(hay) - len(piece) + 1]
    sums = np.cumsum(np.concatenate([[0.0], hay**2]))
    own = float((piece**2).sum())
    energy = np.maximum(sums[len(piece) :] - sums[: -len(piece)], 1e-2 * own)
    return np.asarray(product / np.sqrt(np.maximum(energy * own, 1e-18)), dtype=np.float64)


def _places(score: Sound, length_s: float) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    left = score.copy()
    apart = max(1, int((length_s + STRAY_S) / BLOCK_S))
    while left.size and float(left.max()) >= ALIKE:
        at = int(left.argmax())
        found.append((at * BLOCK_S, float(left[at])))
        left[max(0, at - apart) : at + apart] = 0.0
    return sorted(found)


def loud_s(recording: Path, *, over_dbfs: float = -45.0) -> float:
    """Seconds of a recording that are not silent."""
    sound, rate, _ = read_wav(recording)
    size = rate // 50
    frames = sound[: len(sound) // size * size].reshape(-1, size)
    power = 10 * np.log10(np.maximum((frames**2).mean(axis=1), 1e-12)) if len(frames) else np.zeros(0)
    return float((power > over_dbfs).sum()) * 0.02
