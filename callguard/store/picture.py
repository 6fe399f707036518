"""Sound as a picture of characters: how loud a track is over time, and where the flag is."""

from __future__ import annotations

import io

import numpy as np
import soundfile

_STEPS = " ▁▂▃▄▅▆▇█"
_FLOOR_DB = -60.0


def waveform(flac: bytes, *, width: int) -> str:
    """One line of ``width`` blocks; the louder, the higher, over 60 dB."""
    sound, _ = soundfile.read(io.BytesIO(flac), dtype="float32", always_2d=True)
    mono = np.abs(sound).max(axis=1)
    pieces = np.array_split(mono, width) if len(mono) >= width else [mono]
    line = ""
    for piece in pieces:
        peak = float(piece.max()) if len(piece) else 0.0
        decibel = 20 * np.log10(peak) if peak > 0 else _FLOOR_DB
        line += _STEPS[int(np.clip((decibel - _FLOOR_DB) / -_FLOOR_DB, 0, 1) * (len(_STEPS) - 1))]
    return line


def marks(places: list[tuple[int, str]], *, start_ms: int, end_ms: int, width: int) -> str:
    """A line below a waveform with a letter where something happened."""
    line = [" "] * width
    for at_ms, letter in places:
        if start_ms <= at_ms < end_ms:
            line[(at_ms - start_ms) * width // max(1, end_ms - start_ms)] = letter
    return "".join(line).rstrip()
