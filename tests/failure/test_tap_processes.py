"""Tap processes that die, dawdle or outlive their starter. What they share with one tap server is tried there."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
from waiting import until

from callguard.asterisk.tap_processes import TapProcesses
from callguard.model.errors import TapFault

FRAME = b"\x10\x01\x40" + b"\x01\x00" * 160


class Taps:
    """Two processes and what they told."""

    def __init__(self, port: int = 0, pipe_bytes: int = 2**20) -> None:
        self.heard: Counter[str] = Counter()
        self.ups: list[str] = []
        self.ends: dict[str, str] = {}
        self.work: Callable[[], None] = lambda: None
        self.server = TapProcesses(
            processes=2,
            on_frames=self._frames,
            on_up=self.ups.append,
            on_end=self.ends.__setitem__,
            port=port,
            pipe_bytes=pipe_bytes,
        )

    def _frames(self, token: str, stamped: list[tuple[int, bytes]]) -> None:
        self.heard[token] += len(stamped)
        self.work()

    async def connect(self) -> tuple[str, socket.socket]:
        token = str(uuid.uuid4())
        self.server.expect(token)
        leg = socket.create_connection(("127.0.0.1", self.server.port_of(token)))
        leg.sendall(b"\x01\x00\x10" + uuid.UUID(token).bytes)
        await until(lambda: token in self.ups)
        return token, leg


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
async def taps() -> AsyncIterator[Taps]:
    taps = Taps()
    await taps.server.start()
    yield taps
    await taps.server.stop()


async def test_legs_go_where_the_fewest_are(taps: Taps) -> None:
    legs = [await taps.connect() for _ in range(6)]
    assert sorted(Counter(leg.getpeername()[1] for _, leg in legs).values()) == [3, 3]
    for _, leg in legs[:3]:
        leg.close()
    await until(lambda: len(taps.ends) == 3)
    more = [await taps.connect() for _ in range(3)]
    assert sorted(Counter(leg.getpeername()[1] for _, leg in legs[3:] + more).values()) == [3, 3]
    for _, leg in legs[3:] + more:
        leg.close()


async def test_a_dead_process_loses_its_own_taps_only_and_comes_back(taps: Taps) -> None:
    (one, first), (two, second) = await taps.connect(), await taps.connect()
    victim = taps.server.pids[0]
    os.kill(victim, signal.SIGKILL)
    await until(lambda: one in taps.ends)
    assert taps.ends == {one: "lost"}
    second.sendall(FRAME * 3)
    await until(lambda: taps.heard[two] == 3)
    other, third = await taps.connect()
    third.sendall(FRAME)
    await until(lambda: taps.heard[other] == 1)
    await until(lambda: len(taps.server.pids) == 2 and victim not in taps.server.pids)
    again, fourth = await taps.connect()
    assert fourth.getpeername()[1] != second.getpeername()[1]
    fourth.sendall(FRAME)
    await until(lambda: taps.heard[again] == 1)
    assert taps.server.up == 3
    for leg in (first, second, third, fourth):
        leg.close()


async def test_with_no_process_alive_a_token_has_nowhere_to_go_and_nothing_breaks(taps: Taps) -> None:
    for pid in taps.server.pids:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not taps.server.pids)
    token = str(uuid.uuid4())
    taps.server.expect(token)
    with pytest.raises(TapFault):
        taps.server.port_of(token)
    taps.server.close(token)
    await until(lambda: len(taps.server.pids) == 2)
    _, leg = await taps.connect()
    leg.close()


async def test_whoever_is_too_slow_loses_sound_and_the_peers_never_wait() -> None:
    """The house sleeps for three seconds; the peers have sent two seconds of sound by then, as if they were heard."""
    taps = Taps(pipe_bytes=4096)
    await taps.server.start()
    legs = [await taps.connect() for _ in range(20)]
    sent_s: list[float] = []

    def send() -> None:
        for _ in range(100):
            for _, leg in legs:
                leg.sendall(FRAME)
            time.sleep(0.02)
        sent_s.append(time.monotonic())

    sending = asyncio.get_running_loop().run_in_executor(None, send)
    await asyncio.sleep(0)
    time.sleep(3)  # noqa: ASYNC251
    woke_s = time.monotonic()
    await sending
    assert sent_s[0] < woke_s
    await until(lambda: len(taps.heard) == 20)
    before = taps.heard.total()
    legs[0][1].sendall(FRAME)
    await until(lambda: taps.heard.total() > before and taps.server.dropped > 0)
    assert taps.server.up == 20 and not taps.ends
    for _, leg in legs:
        leg.close()
    await taps.server.stop()


async def test_stopping_tells_every_tap_and_leaves_nobody() -> None:
    taps = Taps()
    await taps.server.start()
    legs = [await taps.connect() for _ in range(3)]
    pids = taps.server.pids
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    _, leg = await taps.connect()
    assert taps.server.pids == pids, "a signal to the whole group is not for them"
    await taps.server.stop()
    assert len(taps.ends) == 4 and set(taps.ends.values()) == {"stopped"}
    assert not any(alive(pid) for pid in pids)
    for each in [leg] + [leg for _, leg in legs]:
        each.close()


async def test_a_taken_port_is_said_and_leaves_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        taps = Taps(port=port - 1)
        with pytest.raises(TapFault):
            await taps.server.start()
        assert taps.server.pids == []


def test_they_leave_when_whoever_started_them_was_killed() -> None:
    code = (
        "import asyncio\n"
        "from callguard.asterisk.tap_processes import TapProcesses\n"
        "async def main():\n"
        "    taps = TapProcesses(processes=2, on_frames=lambda token, stamped: None)\n"
        "    await taps.start()\n"
        "    print(*taps.pids, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as house:
        assert house.stdout is not None
        pids = [int(pid) for pid in house.stdout.readline().split()]
        house.kill()
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(pids) == 2
