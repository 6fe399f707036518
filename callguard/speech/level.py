"""How loud the spoken parts of a sound are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SILENCE_DBFS = -120.0


def active_dbfs(sound: npt.NDArray[np.floating], rate_hz: int, *, within_db: float = 25.0) -> float:
    """Mean power over the 20 ms frames within so much of the loudest one, in dB relative to full scale.

    sound: mono, -1..1. SILENCE_DBFS where there is none, or digital silence.
    """
    size = rate_hz // 50
    power = np.mean(np.pad(sound, (0, -len(sound) % size)).reshape(-1, size) ** 2, axis=1)
    spoken = power[power >= power.max(initial=0.0) * 10 ** (-within_db / 10)]
    mean = float(spoken.mean()) if spoken.size else 0.0
    return max(SILENCE_DBFS, 10 * float(np.log10(mean))) if mean > 0 else SILENCE_DBFS
