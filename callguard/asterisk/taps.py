"""The tap server: Asterisk connects once a leg and sends that leg's sound.

A tap must never hold up the call it listens to. So: silence goes back every 20 ms from the moment a connection
has said who it is (a listener that sends nothing can freeze a channel's hangup), each frame in one piece, the
socket is read without pause, and nothing but cutting, stamping and one callback happens here. One timer serves
all connections. The port has no authentication of its own: a connection must show a token that was announced
moments ago and is good once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable

from callguard.asterisk.wire import (
    KIND_END,
    KIND_ERROR,
    KIND_UUID,
    RATES,
    SILENCE,
    FlatCheck,
    Messages,
    Reframe,
    TapClock,
)
from callguard.model.errors import TapFault
from callguard.model.sound import FRAME_MS

log = logging.getLogger(__name__)

PRESENT_S = 2.0
"""So long a new connection has to show its token."""

TOKEN_S = 15.0
"""So long a token may be shown after it was announced."""

PER_ADDRESS = 64
"""Connections of one address that have not shown a token yet."""

READ_BYTES = 16 * 1024
"""Holds half a second of frames, so that a stall of ours is read in one go and stamped as what it was."""

ODD_PAYLOADS = 3
"""Payloads that are no whole samples; one more and the stream is not what it says."""

OnFrames = Callable[[str, list[tuple[int, bytes]]], None]
OnUp = Callable[[str], None]
OnEnd = Callable[[str, str], None]
OnRefused = Callable[[str], None]


class _Tap(asyncio.BufferedProtocol):
    """One connection."""

    def __init__(self, server: TapServer) -> None:
        self._server = server
        self._buffer = bytearray(READ_BYTES)
        self._view = memoryview(self._buffer)
        self._messages = Messages()
        self._frames = Reframe()
        self._check = FlatCheck()
        self._clock = TapClock()
        self._address = ""
        self.token = ""
        self.transport: asyncio.Transport | None = None
        self.began_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.began_s = time.monotonic()
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else "local"
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._server.admit(self, self._address):
            self.end("crowded")

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        if self.transport is None:
            return
        try:
            self._take(self._messages.feed(self._view[:nbytes]))
        except Exception:
            log.exception("tap failed")
            self.end("fault")

    def _take(self, messages: list[tuple[int, bytes]]) -> None:
        now_ms = time.monotonic_ns() // 1_000_000
        frames: list[bytes] = []
        for kind, payload in messages:
            if kind in RATES:
                if not self.token:
                    return self.end("no-token")
                if not payload:
                    continue
                usable = self._check.feed(kind, payload, now_ms)
                if usable is None:
                    return self.end("not-linear")
                for good_kind, good in usable:
                    frames += self._frames.feed(good_kind, good)
            elif kind == KIND_UUID:
                if self.token or not self._server.accept(self, payload):
                    return self.end("second-token" if self.token else "unknown-token")
            elif kind in (KIND_END, KIND_ERROR):
                self._pass_on(now_ms, frames)
                return self.end("ended" if kind == KIND_END else "peer-error")
        if self._frames.odd > ODD_PAYLOADS:
            return self.end("odd-payload")
        return self._pass_on(now_ms, frames)

    def _pass_on(self, now_ms: int, frames: list[bytes]) -> None:
        if not frames:
            return
        before = self._clock.gaps_ms
        stamped = self._clock.stamp(now_ms, frames)
        if self._clock.gaps_ms > before:
            self._frames.break_here()
        if stamped:
            self._server.frames(self.token, stamped)

    def eof_received(self) -> bool:
        self.end("ended")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.end("ended" if exc is None else "lost")

    def end(self, reason: str) -> None:
        """Close, once; the server is told why."""
        transport, self.transport = self.transport, None
        if transport is None:
            return
        transport.abort() if reason in ("lost", "crowded") else transport.close()
        self._server.leave(self, self._address, reason)


class TapServer:
    """See the module.

    on_frames: (token, [(start in ms on the steady clock, 320 bytes)]).
    on_up: the token was shown. on_end: (token, reason), once for each token that was shown. on_refused: why a
    connection that showed none was not let in.
    """

    def __init__(
        self,
        *,
        on_frames: OnFrames,
        on_up: OnUp | None = None,
        on_end: OnEnd | None = None,
        on_refused: OnRefused | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        per_address: int = PER_ADDRESS,
        present_s: float = PRESENT_S,
        token_s: float = TOKEN_S,
    ) -> None:
        self._on_frames, self._on_up, self._on_end, self._on_refused = on_frames, on_up, on_end, on_refused
        self._listen = (host, port)
        self._per_address, self._present_s, self._token_s = per_address, present_s, token_s
        self._expected: dict[bytes, tuple[str, float]] = {}
        self._unknown: dict[_Tap, str] = {}
        self._waiting: Counter[str] = Counter()
        self._taps: dict[str, _Tap] = {}
        self._server: asyncio.Server | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._next_s = 0.0
        self.refused: Counter[str] = Counter()

    async def start(self) -> None:
        """Listen. Raises TapFault where the port cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Tap(self), *self._listen, backlog=512)
        except OSError as error:
            raise TapFault(
                "the tap port cannot be opened", code="tap-port", hint="Is another daemon running?"
            ) from error
        self._next_s = loop.time() + FRAME_MS / 1000
        self._tick = loop.call_at(self._next_s, self._beat)

    async def stop(self) -> None:
        """Close every tap and the port. The calls go on."""
        if self._tick is not None:
            self._tick.cancel()
        for tap in [*self._taps.values(), *self._unknown]:
            tap.end("stopped")
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self._server.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens. Raises TapFault before ``start``."""
        if self._server is None or not self._server.sockets:
            raise TapFault("the tap server is not listening", code="tap-port")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def port_of(self, token: str) -> int:
        """Where this token is to be shown. Raises TapFault before ``start``."""
        return self.port

    @property
    def up(self) -> int:
        """How many taps deliver."""
        return len(self._taps)

    def expect(self, token: str) -> None:
        """Announce a token (a UUID); it is good once, and for a short while. Raises ValueError for no UUID."""
        now = time.monotonic()
        for stale in [k for k, (_, until) in self._expected.items() if until < now]:
            del self._expected[stale]
        self._expected[uuid.UUID(token).bytes] = (token, now + self._token_s)

    def close(self, token: str) -> None:
        """End this tap, or forget its token where it never came."""
        self._expected.pop(uuid.UUID(token).bytes, None)
        tap = self._taps.get(token)
        if tap is not None:
            tap.end("closed")

    def admit(self, tap: _Tap, address: str) -> bool:
        """Whether one more unknown connection of this address is let in."""
        self._unknown[tap] = address
        self._waiting[address] += 1
        return self._waiting[address] <= self._per_address

    def accept(self, tap: _Tap, payload: bytes) -> bool:
        """Whether this token was announced, is fresh, and was not shown before."""
        token, until = self._expected.pop(payload, ("", 0.0))
        if not token or until < time.monotonic():
            return False
        self._known(tap)
        tap.token = token
        self._taps[token] = tap
        if tap.transport is not None:
            tap.transport.write(SILENCE)
        if self._on_up is not None:
            self._on_up(token)
        return True

    def frames(self, token: str, stamped: list[tuple[int, bytes]]) -> None:
        """Pass sound on."""
        self._on_frames(token, stamped)

    def leave(self, tap: _Tap, address: str, reason: str) -> None:
        """This connection is over."""
        self._known(tap)
        if not tap.token:
            self.refused[reason] += 1
            log.info("tap connection refused", extra={"reason": reason})
            if self._on_refused is not None:
                self._on_refused(reason)
            return
        self._taps.pop(tap.token, None)
        if self._on_end is not None:
            try:
                self._on_end(tap.token, reason)
            except Exception:
                log.exception("listener of a tap's end failed")

    def _known(self, tap: _Tap) -> None:
        address = self._unknown.pop(tap, None)
        if address is not None:
            self._waiting[address] -= 1
            if self._waiting[address] <= 0:
                del self._waiting[address]

    def _beat(self) -> None:
        """Every 20 ms: silence to every tap, and the door to those that never said who they are."""
        loop = asyncio.get_running_loop()
        for tap in list(self._taps.values()):
            transport = tap.transport
            if transport is not None and not transport.get_write_buffer_size():
                transport.write(SILENCE)
        if self._unknown:
            now = time.monotonic()
            for tap in [t for t in self._unknown if now - t.began_s > self._present_s]:
                tap.end("late-token")
        step = FRAME_MS / 1000
        self._next_s = max(self._next_s + step, loop.time() - 5 * step)
        self._tick = loop.call_at(self._next_s, self._beat)
