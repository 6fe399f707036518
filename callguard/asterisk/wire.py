"""AudioSocket's wire format, and a tap's clock. Nothing here does IO.

One message is kind (1 byte), length (2 bytes, big endian), payload. Source: Asterisk's res_audiosocket.c and
its page AudioSocket under Channel Drivers.
"""

from __future__ import annotations

import numpy as np
import soxr

from callguard.model.sound import FRAME_BYTES, FRAME_MS, RATE_HZ

KIND_END = 0x00
KIND_UUID = 0x01
KIND_DTMF = 0x03
KIND_SLIN = 0x10
KIND_ERROR = 0xFF

RATES = {0x10: 8000, 0x11: 12000, 0x12: 16000, 0x13: 24000, 0x14: 32000, 0x15: 44100, 0x16: 48000, 0x17: 96000}
RATES[0x18] = 192000
"""Sample rate by kind, as shipped (0x11 is 12 kHz, whatever drafts said)."""

SILENCE = bytes((KIND_SLIN, FRAME_BYTES >> 8, FRAME_BYTES & 0xFF)) + bytes(FRAME_BYTES)
"""One frame of nothing, header and payload, to be sent in one piece: Asterisk waits 5 ms for the rest of one."""

GAP_MS = 50
"""A frame later than this was preceded by a hole; less is jitter."""

DRIFT_WINDOW = 250
"""Frames (5 s) over which the sender's clock is compared with ours."""

AHEAD_MS = 400
"""A sender this far ahead of real time is flooding; what is beyond is dropped."""

FLAT_BYTES = 160
"""20 ms of G.711. Under the kind for linear sound it is not sound to us: the dial string lacks ``c(slin)``."""

FLAT_SEEN = 25
"""Messages looked at before a stream of 160-byte payloads is judged."""


class Messages:
    """Cuts a byte stream into messages. Payloads of kinds that nobody wants are skipped, never collected."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> list[tuple[int, bytes]]:
        """All messages that are whole now, as (kind, payload)."""
        held = self._held
        if not held and len(data) == FRAME_BYTES + 3 and data[0] == KIND_SLIN and data[1] == 1 and data[2] == 0x40:
            return [(KIND_SLIN, bytes(data[3:]))]
        held += data
        found: list[tuple[int, bytes]] = []
        at, size = 0, len(held)
        while size - at >= 3:
            end = at + 3 + (held[at + 1] << 8 | held[at + 2])
            if end > size:
                break
            found.append((held[at], bytes(held[at + 3 : end])))
            at = end
        del held[:at]
        return found


class Reframe:
    """Payloads of any size and rate in, frames of 20 ms at 8 kHz out."""

    __slots__ = ("_rate", "_rest", "_soxr", "odd")

    def __init__(self) -> None:
        self._rest = b""
        self._rate = RATE_HZ
        self._soxr: soxr.ResampleStream | None = None
        self.odd = 0

    def feed(self, kind: int, payload: bytes) -> list[bytes]:
        """Frames that are whole now. Raises KeyError for a kind that is no sound."""
        rate = RATES[kind]
        if rate == RATE_HZ and not self._rest and len(payload) == FRAME_BYTES and self._soxr is None:
            return [payload]
        if len(payload) & 1:
            self.odd += 1
            payload = payload[:-1]
        if rate != self._rate:
            self._rate = rate
            self._soxr = None if rate == RATE_HZ else soxr.ResampleStream(rate, RATE_HZ, 1, "int16", quality="LQ")
        if self._soxr is not None and payload:
            payload = self._soxr.resample_chunk(np.frombuffer(payload, "<i2")).astype("<i2").tobytes()
        sound = self._rest + payload
        whole = len(sound) - len(sound) % FRAME_BYTES
        self._rest = sound[whole:]
        return [sound[i : i + FRAME_BYTES] for i in range(0, whole, FRAME_BYTES)]

    def break_here(self) -> None:
        """A hole follows: what is left of a frame belongs before it and is dropped."""
        self._rest = b""


class TapClock:
    """Puts frames on our clock by their arrival.

    A steady stream gets exact 20 ms steps whatever its jitter; a hole moves time forward in whole frames. The
    sender's clock may run faster or slower than ours: the smallest lateness of a window says by how much, and one
    frame is left out or skipped over when it exceeds a frame, so nine hours end as close as they began.
    """

    __slots__ = ("_least", "_most", "_next_ms", "_seen", "gaps_ms", "left_out")

    def __init__(self) -> None:
        self._next_ms: int | None = None
        self._least = 1 << 30
        self._most = -(1 << 30)
        self._seen = 0
        self.gaps_ms = 0
        self.left_out = 0

    def late_ms(self, now_ms: int, count: int) -> int:
        """How much later than expected ``count`` frames came that arrived together until now."""
        return 0 if self._next_ms is None else now_ms - count * FRAME_MS - self._next_ms

    def stamp(self, now_ms: int, frames: list[bytes]) -> list[tuple[int, bytes]]:
        """Starts in ms for frames that arrived together until ``now_ms``."""
        count = len(frames)
        if self._next_ms is None:
            self._next_ms = now_ms - count * FRAME_MS
        late = now_ms - count * FRAME_MS - self._next_ms
        if late > GAP_MS:
            hole = late // FRAME_MS * FRAME_MS
            self._next_ms += hole
            self.gaps_ms += hole
            late -= hole
            self._restart()
        elif self._next_ms - now_ms > AHEAD_MS:
            self.left_out += count
            return []
        self._least = min(self._least, late)
        self._most = max(self._most, late)
        self._seen += count
        if self._seen >= DRIFT_WINDOW:
            frames = self._steer(frames)
        at = self._next_ms
        stamped = [(at + i * FRAME_MS, frame) for i, frame in enumerate(frames)]
        self._next_ms = at + len(frames) * FRAME_MS
        return stamped

    def _steer(self, frames: list[bytes]) -> list[bytes]:
        least, most = self._least, self._most
        self._restart()
        if least >= FRAME_MS:
            assert self._next_ms is not None
            self._next_ms += FRAME_MS
            self.gaps_ms += FRAME_MS
        elif most <= -FRAME_MS and frames:
            self.left_out += 1
            return frames[1:]
        return frames

    def _restart(self) -> None:
        self._least, self._most, self._seen = 1 << 30, -(1 << 30), 0


class FlatCheck:
    """Finds G.711 that is labelled linear: every payload 160 bytes, one each 20 ms. Holds sound back until sure."""

    __slots__ = ("_count", "_first_ms", "_held", "settled")

    def __init__(self) -> None:
        self._count = 0
        self._first_ms = 0
        self._held: list[tuple[int, bytes]] = []
        self.settled = False

    def feed(self, kind: int, payload: bytes, now_ms: int) -> list[tuple[int, bytes]] | None:
        """Payloads that may be used now; None once this stream is no linear sound."""
        if self.settled:
            return [(kind, payload)]
        if kind != KIND_SLIN or len(payload) != FLAT_BYTES:
            self.settled = True
            return self._release(kind, payload)
        if not self._count:
            self._first_ms = now_ms
        self._count += 1
        self._held.append((kind, payload))
        if self._count <= FLAT_SEEN:
            return []
        if now_ms - self._first_ms > FLAT_SEEN * FRAME_MS * 3 // 4:
            return None
        self.settled = True
        held, self._held = self._held, []
        return held

    def _release(self, kind: int, payload: bytes) -> list[tuple[int, bytes]]:
        held, self._held = self._held, []
        return [*held, (kind, payload)]
