"""Sound on the call's clock."""

from __future__ import annotations

from dataclasses import dataclass

from callguard.model.ids import LegId, UtteranceId

FRAME_MS = 20
"""Length of one frame. Asterisk's AudioSocket sends 20 ms by default; every tap is re-framed to it."""

RATE_HZ = 8000
"""Rate of a frame: ChanSpy is 8 kHz whatever the call's codec (app_chanspy.c, spy_generate)."""

FRAME_BYTES = RATE_HZ * FRAME_MS // 1000 * 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """20 ms of one leg: mono, signed 16 bit little-endian, 8000 Hz, 320 bytes. A gap is no frame."""

    leg: LegId
    at_ms: int
    pcm: bytes
    rate_hz: int = RATE_HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How loud a stretch of speech was.

    rms_dbfs: mean power over the speech frames, dB relative to full scale.
    baseline_db: the same minus the median of this leg's own earlier utterances; 0.0 while unknown.
    clipped: share of samples at full scale, 0..1; a clipped line says less about loudness.
    """

    leg: LegId
    utterance: UtteranceId
    start_ms: int
    end_ms: int
    rms_dbfs: float
    baseline_db: float = 0.0
    clipped: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Both sides spoke at once. ``interrupter`` began while the other was speaking."""

    interrupter: LegId
    other: LegId
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What the segmenter cut: one leg's stretch of speech.

    number: counts from 1 on this leg.
    closed: no more frames will join it.
    """

    id: UtteranceId
    leg: LegId
    start_ms: int
    end_ms: int
    closed: bool = False
