"""A generator that speaks the tap port's wire format, and the measurement around it.

The generator runs in a process of its own and sends one frame every 20 ms on each of its connections, spread evenly
over those 20 ms, with the moment of sending (``monotonic_ns``, one clock on one machine) in the first eight bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import selectors
import socket
import struct
import sys
import time
import uuid

from callguard.asterisk.taps import TapServer
from callguard.model.sound import FRAME_BYTES, FRAME_MS

LATE_MS = 100
"""A frame later than this is late: the aim is none."""

_HEAD = struct.pack(">BH", 0x10, FRAME_BYTES)
_REST = bytes(FRAME_BYTES - 8)


def bench_taps(legs: int, seconds: float) -> dict[str, float]:
    """How late frames come with so many legs on one tap server in this process.

    Returns milliseconds from sending to the callback (p50_ms, p99_ms, max_ms), frames, late (over 100 ms), lost,
    silence_share (of the silence frames that each leg should have got) and cpu_share (of one core, this process).
    """
    return asyncio.run(_measure(legs, seconds))


async def _measure(legs: int, seconds: float) -> dict[str, float]:
    waits_us: list[int] = []

    def heard(token: str, stamped: list[tuple[int, bytes]]) -> None:
        now = time.monotonic_ns()
        for _, pcm in stamped:
            waits_us.append((now - int.from_bytes(pcm[:8], "little")) // 1000)

    server = TapServer(on_frames=heard)
    await server.start()
    try:
        tokens = [str(uuid.uuid4()) for _ in range(legs)]
        for token in tokens:
            server.expect(token)
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "callguard.asterisk.tapload",
            str(server.port),
            str(seconds),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        before = _cpu_s()
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds + 60):
                out, _ = await child.communicate("\n".join(tokens).encode())
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        sent = json.loads(out)
        cpu = (_cpu_s() - before) / (time.monotonic() - began)
    finally:
        await server.stop()
    waits_us.sort()
    count = len(waits_us)
    return {
        "legs": legs,
        "frames": count,
        "lost": sent["sent"] - count,
        "p50_ms": waits_us[count // 2] / 1000,
        "p99_ms": waits_us[count * 99 // 100] / 1000,
        "max_ms": waits_us[-1] / 1000,
        "late": sum(w > LATE_MS * 1000 for w in waits_us),
        "generator_late_ms": sent["behind_ms"],
        "silence_share": sent["silence_bytes"] / (FRAME_BYTES + 3) / max(1, sent["sent"]),
        "cpu_share": cpu,
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class _Leg:
    """One connection of the generator."""

    def __init__(self, port: int, token: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(b"\x01\x00\x10" + uuid.UUID(token).bytes)
        self.sock.setblocking(False)


def _generate(port: int, seconds: float, tokens: list[str]) -> dict[str, float]:
    selector = selectors.DefaultSelector()
    legs: list[_Leg] = []
    for index, token in enumerate(tokens):
        legs.append(_Leg(port, token))
        selector.register(legs[-1].sock, selectors.EVENT_READ)
        if index % 25 == 24:
            time.sleep(0.02)
    sent = silence = 0
    behind_ns = 0
    step = FRAME_MS * 1_000_000
    begin = time.monotonic_ns() + step
    total = int(seconds * 1000 / FRAME_MS) * len(legs)
    buffer = bytearray(65536)
    while sent < total:
        due = begin + sent * step // len(legs)
        now = time.monotonic_ns()
        if now < due:
            for key, _ in selector.select((due - now) / 1e9 if due - now > 1_000_000 else 0):
                with contextlib.suppress(BlockingIOError):
                    assert isinstance(key.fileobj, socket.socket)
                    silence += key.fileobj.recv_into(buffer)
            continue
        behind_ns = max(behind_ns, now - due)
        legs[sent % len(legs)].sock.send(_HEAD + now.to_bytes(8, "little") + _REST)
        sent += 1
    time.sleep(0.5)
    for leg in legs:
        with contextlib.suppress(BlockingIOError):
            silence += leg.sock.recv_into(buffer)
        leg.sock.close()
    return {"sent": sent, "silence_bytes": silence, "behind_ms": behind_ns / 1e6}


if __name__ == "__main__":
    found = _generate(int(sys.argv[1]), float(sys.argv[2]), sys.stdin.read().split())
    sys.stdout.write(json.dumps(found))
