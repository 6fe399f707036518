"""The second look: is what the first gate let through really speech, and where in it?

Silero (the model file that faster-whisper ships, on onnxruntime) answers for every 32 ms; tones and key presses are
told from silence by how few frequencies hold all their power. The recognizer's own doubt is the third look.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from callguard.speech.level import active_dbfs

Sound = npt.NDArray[np.float32]

RATE_HZ = 16_000
_CHUNK = 512
CHUNK_MS = _CHUNK * 1000 // RATE_HZ

SPEECH_AT = 0.5
"""Silero's own default threshold."""

TRIM_AT = 0.1
"""What lies outside of the first and the last chunk this likely is cut off. On telephone-band voices Silero is unsure
of whole words (a greeting at 0.15 to 0.4); cut at its own threshold, every third utterance lost its first word.
"""

SPEECH_MS = 96
"""Less sure speech than this is a click, not a word."""

LIKELY_AT = 0.3
LIKELY_MS = 192
"""Or this much likely speech: a short word by itself ("removed", "minute") may never be sure on a telephone line, and
hold music is hardly ever likely for so long (19 of 1608 windows of one to eight seconds).
"""

LEVEL_DBFS = -27.0
"""Louder speech is turned down to this root mean square for Silero, which doubts loud telephone-band speech: at the
usual -19 dBFS it lost 11 of 200 short sentences, here none. Silence before the window helps as well, but lets ten
times as much music through.
"""

SOFTER_DBFS = -36.0
"""What it does not take for speech there is looked at again as soft as this. Of 220 brief shouts ("shut up", "it is
true", 300 ms of silence on both sides) 216 are known so, and all of 294 recorded prompts; without it, and with
``LIKELY_MS`` at 256, it was 198 and 292.
"""

TONAL_SHARE = 0.9
"""A loud stretch whose two strongest spectral peaks hold this share of its power is a tone (DTMF: two, busy: one or
two). It only names the reason where Silero found no speech: a steady voice can be as tonal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen in one window.

    speech_ms: how much of it is speech. likely_ms: how much of it may be.
    start_ms, end_ms: from the first likely speech to the last, within the window.
    peak: Silero's highest probability. tonal: share of the loud stretches that are tones.
    """

    speech_ms: int
    likely_ms: int
    start_ms: int
    end_ms: int
    peak: float
    tonal: float

    @property
    def is_speech(self) -> bool:
        """Worth a hearing."""
        return self.speech_ms >= SPEECH_MS or self.likely_ms >= LIKELY_MS


def look(sound: Sound) -> Look:
    """Judge mono sound at 16000 Hz, -1..1."""
    tonal = tonal_share(sound)
    odds = speech_odds(sound)
    seen = _look(odds, tonal)
    if seen.is_speech:
        return seen
    return _look(np.maximum(odds, speech_odds(sound, SOFTER_DBFS)), tonal)


def _look(odds: npt.NDArray[np.float32], tonal: float) -> Look:
    speech, likely = np.flatnonzero(odds >= SPEECH_AT), np.flatnonzero(odds >= LIKELY_AT)
    if not likely.size:
        return Look(speech_ms=0, likely_ms=0, start_ms=0, end_ms=0, peak=float(odds.max(initial=0.0)), tonal=tonal)
    maybe = np.flatnonzero(odds >= TRIM_AT)
    return Look(
        speech_ms=int(speech.size) * CHUNK_MS,
        likely_ms=int(likely.size) * CHUNK_MS,
        start_ms=int(maybe[0]) * CHUNK_MS,
        end_ms=(int(maybe[-1]) + 1) * CHUNK_MS,
        peak=float(odds.max()),
        tonal=tonal,
    )


def speech_odds(sound: Sound, level_dbfs: float = LEVEL_DBFS) -> npt.NDArray[np.float32]:
    """Probability of speech, one number each 32 ms, at this level (sound that is softer stays as it is)."""
    if not sound.size:
        return np.zeros(0, dtype=np.float32)
    over_db = max(0.0, active_dbfs(sound, RATE_HZ, within_db=15) - level_dbfs)
    turned_down = sound * np.float32(10 ** (-over_db / 20))
    padded = np.pad(turned_down, (0, -len(sound) % _CHUNK))
    return np.asarray(_silero()(padded), dtype=np.float32).reshape(-1)


def tonal_share(sound: Sound) -> float:
    """Share of the loud 64 ms stretches in which one or two pure tones hold nearly all the power."""
    size = 1024
    if len(sound) < size:
        return 0.0
    pieces = sound[: len(sound) // size * size].reshape(-1, size)
    power = np.abs(np.fft.rfft(pieces * np.hanning(size).astype(np.float32), axis=1)) ** 2
    total = power.sum(axis=1)
    loud = total > max(float(total.max()) * 10**-2.5, 1e-6)
    if not loud.any():
        return 0.0
    power, total = power[loud], total[loud]
    held = np.zeros(len(power))
    for _ in range(2):
        peak = power.argmax(axis=1)
        for shift in range(-2, 3):
            at = np.clip(peak + shift, 0, power.shape[1] - 1)
            held += power[np.arange(len(power)), at]
            power[np.arange(len(power)), at] = 0.0
    return float(np.mean(held / total > TONAL_SHARE))


@functools.cache
def _silero() -> Any:
    from faster_whisper.vad import get_vad_model

    return get_vad_model()
