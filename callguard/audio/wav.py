"""Sound files in, telephone sound out: any WAV or FLAC to 8000 Hz mono, and the way through mu-law.

PCM here is mono, signed 16 bit, little-endian, 8000 Hz unless a rate is named.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from callguard.model.errors import SettingsError
from callguard.model.ids import LegId
from callguard.model.sound import FRAME_BYTES, FRAME_MS, RATE_HZ, Frame

Samples = npt.NDArray[np.int16]

_ULAW_BIAS = 33
_ULAW_TOP = 8158


def read_tracks(path: Path, *, rate_hz: int = RATE_HZ) -> list[bytes]:
    """Each channel of a sound file as PCM at ``rate_hz``. Raises SettingsError where it is no readable sound."""
    try:
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise SettingsError(
            "not a readable sound file", where=str(path), code="sound-unreadable", hint="give a WAV or FLAC file"
        ) from error
    return [to_pcm(sound[:, channel], int(rate), rate_hz=rate_hz) for channel in range(sound.shape[1])]


def read_mono(path: Path, *, rate_hz: int = RATE_HZ) -> bytes:
    """A sound file mixed down to one channel, as PCM at ``rate_hz``. Raises SettingsError."""
    tracks = [np.frombuffer(track, "<i2") for track in read_tracks(path, rate_hz=rate_hz)]
    if len(tracks) == 1:
        return bytes(tracks[0])
    return bytes(np.mean(tracks, axis=0).astype("<i2"))


def to_pcm(sound: npt.NDArray[np.floating], rate: int, *, rate_hz: int = RATE_HZ) -> bytes:
    """Floats in -1..1 at ``rate`` as PCM at ``rate_hz``; louder than full scale is clipped, not wrapped."""
    if rate != rate_hz:
        sound = soxr.resample(sound, rate, rate_hz)
    return bytes(np.clip(np.rint(sound * 32768.0), -32768, 32767).astype("<i2"))


def through_ulaw(pcm: bytes) -> bytes:
    """What is left of PCM after G.711 mu-law and back."""
    samples = np.frombuffer(pcm, "<i2").astype(np.int32)
    size = np.minimum(np.abs(samples) >> 2, _ULAW_TOP) + _ULAW_BIAS
    exponent = np.floor(np.log2(size)).astype(np.int32) - 5
    mantissa = (size >> (exponent + 1)) & 0xF
    back = (((2 * mantissa + 33) << exponent) - _ULAW_BIAS) << 2
    return bytes(np.clip(np.where(samples < 0, -back, back), -32768, 32767).astype("<i2"))


def frames_of(leg: LegId, pcm: bytes, *, start_ms: int = 0) -> Iterator[Frame]:
    """Cut PCM at 8000 Hz into frames; the last one is filled up with silence."""
    for number, at in enumerate(range(0, len(pcm), FRAME_BYTES)):
        piece = pcm[at : at + FRAME_BYTES]
        yield Frame(leg=leg, at_ms=start_ms + number * FRAME_MS, pcm=piece.ljust(FRAME_BYTES, b"\0"))


def write_wav(path: Path, pcm: bytes, *, rate_hz: int = RATE_HZ) -> None:
    """Write PCM as a mono 16 bit WAV file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.frombuffer(pcm, "<i2"), rate_hz, format="WAV", subtype="PCM_16")
    path.write_bytes(buffer.getvalue())
