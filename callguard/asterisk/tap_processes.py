"""The tap server in several processes, for more legs than one process can read.

Each process is a ``TapServer`` on a port of its own; a leg is sent to the one with the fewest. What they hear comes
here over a pipe, all legs together every 10 ms, so that the house pays once for many frames. A process that dies takes
its legs' taps along, never a call: the taps are told as lost, it is started anew, and whoever wants the legs heard asks
again. A process that is not heard out drops sound, counts it and goes on reading: Asterisk never waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import struct
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from callguard.asterisk.taps import PER_ADDRESS, PRESENT_S, TOKEN_S, OnEnd, OnFrames, OnUp, TapServer
from callguard.model.errors import TapFault
from callguard.model.sound import FRAME_BYTES

log = logging.getLogger(__name__)

TOGETHER_S = 0.010
"""Frames wait this long for those of other legs."""

PIPE_BYTES = 16 * 1024 * 1024
"""Sound that waits for the house; more is dropped. Two seconds of 1000 legs."""

READY_S = 15.0
"""So long a process has to open its port."""

ANEW_S = (0.1, 0.5, 2.0, 5.0)
"""Waits before a process that died is started anew; the last one repeats."""

STEADY_S = 30.0
"""A process that lived this long is no repeat."""

NEVER_CAME = "never-came"
"""End of a token that was announced, and closed before it was shown."""

_HEAD = struct.Struct(">BII")
_FRAME = struct.Struct(f">Iq{FRAME_BYTES}s")


class _Kind(IntEnum):
    """Messages on the pipe: kind, number of the tap, length, payload."""

    EXPECT = 1
    CLOSE = 2
    READY = 3
    UP = 4
    END = 5
    FRAMES = 6
    REFUSED = 7
    DROPPED = 8


def _message(kind: _Kind, number: int = 0, payload: bytes = b"") -> bytes:
    return _HEAD.pack(kind, number, len(payload)) + payload


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[tuple[_Kind, int, bytes]]:
    """(kind, number, payload) until the other side is gone."""
    while True:
        try:
            kind, number, length = _HEAD.unpack(await reader.readexactly(_HEAD.size))
            yield _Kind(kind), number, await reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return


@dataclass(slots=True, eq=False)
class _Process:
    """One of them. taps: number to token, of those announced or up; up: those that deliver."""

    index: int
    port: int = 0
    child: asyncio.subprocess.Process | None = None
    taps: dict[int, str] = field(default_factory=dict)
    up: set[int] = field(default_factory=set)

    def tell(self, kind: _Kind, number: int, payload: bytes = b"") -> None:
        if self.child is not None and self.child.stdin is not None:
            self.child.stdin.write(_message(kind, number, payload))


class TapProcesses:
    """What a ``TapServer`` offers, by ``processes`` of them on the ports from ``port`` on (0: any free ones).

    dropped: frames that a process let fall because this one did not keep up.
    """

    def __init__(
        self,
        *,
        processes: int,
        on_frames: OnFrames,
        on_up: OnUp | None = None,
        on_end: OnEnd | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        per_address: int = PER_ADDRESS,
        present_s: float = PRESENT_S,
        token_s: float = TOKEN_S,
        pipe_bytes: int = PIPE_BYTES,
    ) -> None:
        self._on_frames, self._on_up, self._on_end = on_frames, on_up, on_end
        self._host, self._first, self._pipe_bytes = host, port, pipe_bytes
        self._limits = {"per_address": per_address, "present_s": present_s, "token_s": token_s}
        self._processes = [_Process(index) for index in range(processes)]
        self._where: dict[str, tuple[_Process, int]] = {}
        self._number = 0
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False
        self.refused: Counter[str] = Counter()
        self.dropped = 0

    async def start(self) -> None:
        """Listen on every port. Raises TapFault where one cannot be had."""
        try:
            for process in self._processes:
                await self._launch(process)
        except BaseException:
            await self.stop()
            raise
        loop = asyncio.get_running_loop()
        self._keepers = [loop.create_task(self._keep(process)) for process in self._processes]

    async def stop(self) -> None:
        """Close every tap and the ports. The calls go on."""
        self._stopping = True
        for process in self._processes:
            self._lost(process, "stopped")
            await _finish(process)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    @property
    def port(self) -> int:
        """The first one's port. Raises TapFault before ``start``."""
        return self._opened(self._processes[0])

    @property
    def up(self) -> int:
        """How many taps deliver."""
        return sum(len(process.up) for process in self._processes)

    @property
    def pids(self) -> list[int]:
        """The processes that listen."""
        return [process.child.pid for process in self._processes if process.child is not None and process.port]

    def expect(self, token: str) -> None:
        """Announce a token (a UUID) where the fewest are; good once, for a short while. Raises ValueError."""
        announced = uuid.UUID(token).bytes
        alive = [process for process in self._processes if process.port]
        if not alive:
            return
        process = min(alive, key=lambda one: len(one.taps))
        self._number = self._number % 0xFFFFFFFF + 1
        process.taps[self._number] = token
        self._where[token] = (process, self._number)
        process.tell(_Kind.EXPECT, self._number, announced)

    def port_of(self, token: str) -> int:
        """Where this announced token is to be shown. Raises TapFault while no process listens."""
        if token not in self._where:
            raise TapFault("no tap process is listening", code="tap-port")
        return self._opened(self._where[token][0])

    def close(self, token: str) -> None:
        """End this tap, or forget its token where it never came."""
        if token in self._where:
            process, number = self._where[token]
            process.tell(_Kind.CLOSE, number)

    def _opened(self, process: _Process) -> int:
        if not process.port:
            raise TapFault("the tap server is not listening", code="tap-port")
        return process.port

    def _forget(self, process: _Process, number: int) -> str:
        process.up.discard(number)
        token = process.taps.pop(number, "")
        self._where.pop(token, None)
        return token

    async def _launch(self, process: _Process) -> None:
        """Start it and wait for its port. Raises TapFault where it has none."""
        port = self._first + process.index if self._first else 0
        asked = {"host": self._host, "port": port, **self._limits}
        process.child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __name__,
            json.dumps(asked),
            str(self._pipe_bytes),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.child.stdout is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                ready = await anext(_messages(process.child.stdout), None)
                if ready is not None and ready[0] is _Kind.READY:
                    process.port = ready[1]
        if not process.port:
            await _finish(process)
            raise TapFault("the tap port cannot be opened", code="tap-port", hint="Is another daemon running?")

    async def _keep(self, process: _Process) -> None:
        """Read it out; start it anew when it is gone."""
        loop = asyncio.get_running_loop()
        tries = 0
        while True:
            began = loop.time()
            if process.port and process.child is not None and process.child.stdout is not None:
                async for kind, number, payload in _messages(process.child.stdout):
                    self._told(process, kind, number, payload)
            if self._stopping:
                return
            log.error("a tap process ended; its taps are made again", extra={"taps": len(process.up)})
            self._lost(process, "lost")
            await _finish(process)
            tries = 0 if loop.time() - began > STEADY_S else tries
            await asyncio.sleep(ANEW_S[min(tries, len(ANEW_S) - 1)])
            tries += 1
            try:
                await self._launch(process)
            except (TapFault, OSError):
                log.exception("a tap process cannot be started")

    def _told(self, process: _Process, kind: _Kind, number: int, payload: bytes) -> None:
        match kind:
            case _Kind.FRAMES:
                for tap, stamped in _by_tap(payload):
                    self._pass_on(process, tap, self._on_frames, stamped)
            case _Kind.UP if number in process.taps:
                process.up.add(number)
                if self._on_up is not None:
                    self._pass_on(process, number, self._on_up)
            case _Kind.END if number in process.taps:
                shown = number in process.up
                token = self._forget(process, number)
                if shown:
                    self._ended(token, payload.decode("utf-8", "replace"))
            case _Kind.REFUSED:
                self.refused[payload.decode("utf-8", "replace")] += 1
                log.info("tap connection refused")
            case _Kind.DROPPED:
                self.dropped += number
                log.warning("tap sound dropped, this process is too slow", extra={"frames": number})

    def _pass_on(self, process: _Process, number: int, listener: Callable[..., None], *told: object) -> None:
        """A listener that fails harms its own tap only."""
        token = process.taps.get(number)
        if token is None:
            return
        try:
            listener(token, *told)
        except Exception:
            log.exception("tap failed")
            process.tell(_Kind.CLOSE, number)
            self._ended(self._forget(process, number), "fault")

    def _ended(self, token: str, reason: str) -> None:
        if self._on_end is None:
            return
        try:
            self._on_end(token, reason)
        except Exception:
            log.exception("listener of a tap's end failed")

    def _lost(self, process: _Process, reason: str) -> None:
        process.port = 0
        delivering = set(process.up)
        for number in list(process.taps):
            token = self._forget(process, number)
            if number in delivering:
                self._ended(token, reason)


def tap_server(processes: int, **options: Any) -> TapServer | TapProcesses:
    """One in this process, or ``processes`` of their own. options: those of ``TapServer``."""
    return TapServer(**options) if processes <= 1 else TapProcesses(processes=processes, **options)


async def _finish(process: _Process) -> None:
    """Let it go, by its closed pipe or else by force."""
    child, process.child, process.port = process.child, None, 0
    if child is None:
        return
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(2):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _by_tap(payload: bytes) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
    """The frames of one message, those of one tap in a row together."""
    stamped: list[tuple[int, bytes]] = []
    last = 0
    for number, at_ms, pcm in _FRAME.iter_unpack(payload):
        if number != last and stamped:
            yield last, stamped
            stamped = []
        last = number
        stamped.append((at_ms, pcm))
    if stamped:
        yield last, stamped


class _Child:
    """The other end: a tap server that tells what it hears to the pipe."""

    def __init__(self, out: asyncio.WriteTransport, asked: dict[str, Any], pipe_bytes: int) -> None:
        self._out, self._pipe_bytes = out, pipe_bytes
        self._numbers: dict[str, int] = {}
        self._tokens: dict[int, str] = {}
        self._waiting = bytearray()
        self._flush_at: asyncio.TimerHandle | None = None
        self._dropped = 0
        self.server = TapServer(
            on_frames=self._frames, on_up=self._up, on_end=self._end, on_refused=self._refused, **asked
        )

    def tell(self, kind: _Kind, number: int = 0, payload: bytes = b"") -> None:
        self._flush()
        self._out.write(_message(kind, number, payload))

    def told(self, kind: _Kind, number: int, payload: bytes) -> None:
        if kind is _Kind.EXPECT:
            token = str(uuid.UUID(bytes=payload))
            self._numbers[token], self._tokens[number] = number, token
            self.server.expect(token)
        elif kind is _Kind.CLOSE and number in self._tokens:
            token = self._tokens[number]
            self.server.close(token)
            if token in self._numbers:
                self._end(token, NEVER_CAME)

    def _up(self, token: str) -> None:
        self.tell(_Kind.UP, self._numbers[token])

    def _end(self, token: str, reason: str) -> None:
        number = self._numbers.pop(token, 0)
        self._tokens.pop(number, None)
        self.tell(_Kind.END, number, reason.encode())

    def _refused(self, reason: str) -> None:
        self.tell(_Kind.REFUSED, 0, reason.encode())

    def _frames(self, token: str, stamped: list[tuple[int, bytes]]) -> None:
        number = self._numbers.get(token)
        if number is None:
            return
        for at_ms, pcm in stamped:
            self._waiting += _FRAME.pack(number, at_ms, pcm)
        if self._flush_at is None:
            self._flush_at = asyncio.get_running_loop().call_later(TOGETHER_S, self._flush)

    def _flush(self) -> None:
        if self._flush_at is not None:
            self._flush_at.cancel()
            self._flush_at = None
        if not self._waiting:
            return
        waiting, self._waiting = bytes(self._waiting), bytearray()
        if self._out.get_write_buffer_size() > self._pipe_bytes:
            self._dropped += len(waiting) // _FRAME.size
            return
        if self._dropped:
            self._out.write(_message(_Kind.DROPPED, self._dropped))
            self._dropped = 0
        self._out.write(_message(_Kind.FRAMES, 0, waiting))


async def _serve(asked: dict[str, Any], pipe_bytes: int) -> None:
    loop = asyncio.get_running_loop()
    for ignored in (signal.SIGINT, signal.SIGTERM):
        # They go to the whole group; whoever started us says when to leave, by closing the pipe.
        loop.add_signal_handler(ignored, lambda: None)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout.buffer)
    child = _Child(out, asked, pipe_bytes)
    try:
        await child.server.start()
    except TapFault:
        return
    child.tell(_Kind.READY, child.server.port)
    async for kind, number, payload in _messages(reader):
        child.told(kind, number, payload)
    await child.server.stop()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1]), int(sys.argv[2])))
