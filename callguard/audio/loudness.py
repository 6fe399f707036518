"""How loud a stretch of speech is, and how much of it is clipped."""

from __future__ import annotations

import numpy as np

FULL_SCALE = 32_000
"""Samples at or above this count as clipped: mu-law's loudest code decodes to 32124, A-law's to 32256."""

SILENCE_DBFS = -96.0


def rms_dbfs(pcm: bytes) -> float:
    """Mean power in dB relative to full scale; -96 for digital silence."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    power = float(np.mean(samples * samples)) if samples.size else 0.0
    return max(SILENCE_DBFS, 10 * float(np.log10(power / 32768.0**2))) if power > 0 else SILENCE_DBFS


def clipped_share(pcm: bytes) -> float:
    """Share of samples at full scale, 0..1."""
    samples = np.frombuffer(pcm, "<i2").astype(np.int32)
    return float(np.mean(np.abs(samples) >= FULL_SCALE)) if samples.size else 0.0
