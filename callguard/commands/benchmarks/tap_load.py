"""Many legs at once into the tap port: how late their frames come, and what they cost.

The generator runs in a process of its own and sends a frame every 20 ms on each of its connections, spread evenly over
those 20 ms. Each frame carries the moment of sending (one clock on one machine) in its first samples, quietly enough
to be silence for the detector.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import selectors
import socket
import sys
import time
import uuid
from collections.abc import Callable

from callguard.asterisk.tap_processes import TapProcesses, tap_server
from callguard.asterisk.wire import SILENCE
from callguard.commands.benchmarks.hearing import Add
from callguard.commands.benchmarks.live import HEAD_SOUND, HEAD_UUID, cpu_s
from callguard.model.ids import CallId, LegId, Role
from callguard.model.sound import FRAME_BYTES, FRAME_MS, Frame
from callguard.session.listening import Listening

LATE_MS = 100
"""A frame later than this is late: the aim is none."""

_NIBBLES = range(8)
_WRAP_US = 1 << 4 * len(_NIBBLES)
_REST = bytes(FRAME_BYTES - 2 * len(_NIBBLES))


async def measure_taps(add: Add, *, legs: int, seconds: int, processes: int, say: Callable[[str], None]) -> None:
    """Legs into the tap server (``processes`` above 1: in that many), ring and detector; nothing is heard."""
    waits_us: list[int] = []

    class Nobody:
        async def hear(self, job: object) -> object:
            raise AssertionError("nothing is asked for: the legs are silent")

    listening = Listening(Nobody(), on_transcript=lambda _: None)  # type: ignore[arg-type]

    def on_frames(token: str, frames: list[tuple[int, bytes]]) -> None:
        now_us = _now_us()
        leg = LegId(token)
        for at_ms, pcm in frames:
            listening.put(leg, Frame(leg=leg, at_ms=at_ms, pcm=pcm))
            waits_us.append((now_us - _sent_us(pcm)) % _WRAP_US)

    server = tap_server(processes, on_frames=on_frames, per_address=legs + 64, token_s=60)
    await server.start()
    readers = server.pids if isinstance(server, TapProcesses) else []
    tokens = [str(uuid.uuid4()) for _ in range(legs)]
    for token in tokens:
        server.expect(token)
        listening.open_leg(CallId(token), LegId(token), role=Role.CALLER, language="en")
    say(f"{legs} legs for {seconds} s, read by {len(readers) or 'this'} process{'es' if readers else ''}")
    generator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, str(seconds), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    own_s, theirs_s = time.process_time(), sum(map(cpu_s, readers))
    try:
        told = "\n".join(f"{server.port_of(token)} {token}" for token in tokens)
        out, _ = await asyncio.wait_for(generator.communicate(told.encode()), seconds + 120)
    finally:
        if generator.returncode is None:
            generator.kill()
            await generator.wait()
    own_s, theirs_s = time.process_time() - own_s, sum(map(cpu_s, readers)) - theirs_s
    await server.stop()
    sent = json.loads(out)
    waits_us.sort()
    add("CPU a leg, this process", 1e6 * own_s / seconds / legs, "us/s")
    add("legs a core could hold, this process", legs * seconds / own_s, "legs")
    if readers:
        add("legs a core could hold, a reading process", legs * seconds / theirs_s, "legs")
    add("frame to detector, p99", waits_us[len(waits_us) * 99 // 100] / 1000, "ms")
    add("frame to detector, worst", waits_us[-1] / 1000, "ms")
    add(f"frames later than {LATE_MS} ms", sum(wait > 1000 * LATE_MS for wait in waits_us), "frames")
    add("frames lost", sent["sent"] - len(waits_us), "frames")
    add("silence sent back", 100 * sent["silence_bytes"] / len(SILENCE) / sent["sent"], "%")
    add("generator late, worst", sent["behind_ms"], "ms")


def _now_us() -> int:
    return time.monotonic_ns() // 1000 % _WRAP_US


def _stamped(now_us: int) -> bytes:
    """A frame of near silence: four bits of the time in each of the first samples."""
    return b"".join(bytes((now_us >> 4 * n & 15, 0)) for n in _NIBBLES) + _REST


def _sent_us(pcm: bytes) -> int:
    return sum(pcm[2 * n] << 4 * n for n in _NIBBLES)


def _connected(port: int, token: str) -> socket.socket:
    leg = socket.create_connection(("127.0.0.1", port))
    leg.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    leg.sendall(HEAD_UUID + uuid.UUID(token).bytes)
    leg.setblocking(False)
    return leg


def _generate(seconds: float, where: list[tuple[int, str]]) -> dict[str, float]:
    selector = selectors.DefaultSelector()
    legs: list[socket.socket] = []
    for index, (port, token) in enumerate(where):
        legs.append(_connected(port, token))
        selector.register(legs[-1], selectors.EVENT_READ)
        if index % 25 == 24:
            time.sleep(0.02)
    sent = silence = behind_ns = 0
    step = FRAME_MS * 1_000_000
    begin = time.monotonic_ns() + step
    total = int(seconds * 1000 / FRAME_MS) * len(legs)
    buffer = bytearray(65536)
    while sent < total:
        due = begin + sent * step // len(legs)
        now = time.monotonic_ns()
        if now < due:
            for key, _ in selector.select((due - now) / 1e9 if due - now > 1_000_000 else 0):
                assert isinstance(key.fileobj, socket.socket)
                with contextlib.suppress(BlockingIOError):
                    silence += key.fileobj.recv_into(buffer)
            continue
        behind_ns = max(behind_ns, now - due)
        legs[sent % len(legs)].send(HEAD_SOUND + _stamped(_now_us()))
        sent += 1
    time.sleep(0.5)
    for leg in legs:
        with contextlib.suppress(BlockingIOError):
            silence += leg.recv_into(buffer)
        leg.close()
    return {"sent": sent, "silence_bytes": silence, "behind_ms": behind_ns / 1e6}


if __name__ == "__main__":
    lines = [line.split() for line in sys.stdin.read().splitlines()]
    sys.stdout.write(json.dumps(_generate(float(sys.argv[1]), [(int(port), token) for port, token in lines])))
