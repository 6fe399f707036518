"""The first gate: webrtcvad on every frame, one detector a leg (it adapts to that leg's noise)."""

from __future__ import annotations

import webrtcvad

from callguard.model.errors import OurFault
from callguard.model.sound import FRAME_BYTES, RATE_HZ


class Vad:
    """Says of each 20 ms frame at 8000 Hz whether it may be speech.

    mode: 0 lets most through, 3 least. Costs about 1.5 microseconds a frame. Tones, music and loud noise pass: the
    recognizer looks a second time before it listens.
    faults: frames of a wrong length.
    """

    __slots__ = ("_vad", "faults")

    def __init__(self, mode: int = 2) -> None:
        self._vad = webrtcvad.Vad(mode)
        if self._vad.is_speech(bytes(FRAME_BYTES), RATE_HZ):
            raise OurFault("webrtcvad takes digital silence for speech: rate and frame do not fit")
        self.faults = 0

    def is_speech(self, pcm: bytes) -> bool:
        """Never raises; a short frame is filled up with silence, an over-long one is judged by its first 20 ms."""
        if len(pcm) != FRAME_BYTES:
            self.faults += 1
            if len(pcm) < 2:
                return False
            pcm = pcm[:FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
        return bool(self._vad.is_speech(pcm, RATE_HZ))
