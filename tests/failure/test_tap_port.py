"""The tap port against peers that are not the Asterisk we asked to call."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from waiting import until

from callguard.asterisk.tap_processes import tap_server
from callguard.asterisk.wire import SILENCE
from callguard.model.errors import TapFault

FRAME = b"\x10\x01\x40" + b"\x01\x00" * 160


class Ears:
    """A tap server, or several processes of them, and what was told."""

    def __init__(self, processes: int, **options: float) -> None:
        self.frames: list[tuple[str, int, bytes]] = []
        self.ends: list[tuple[str, str]] = []
        self.ended = asyncio.Event()
        self.server: Any = tap_server(processes, on_frames=self._frames, on_end=self._end, **options)

    def _frames(self, token: str, stamped: list[tuple[int, bytes]]) -> None:
        self.frames += [(token, at, pcm) for at, pcm in stamped]

    def _end(self, token: str, reason: str) -> None:
        self.ends.append((token, reason))
        self.ended.set()

    def token(self) -> str:
        token = str(uuid.uuid4())
        self.server.expect(token)
        return token

    async def connect(self, token: str | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            port = self.server.port_of(token or "")
        except TapFault:
            port = self.server.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if token is not None:
            writer.write(b"\x01\x00\x10" + uuid.UUID(token).bytes)
        return reader, writer

    async def reason(self) -> str:
        async with asyncio.timeout(5):
            await self.ended.wait()
        return self.ends[-1][1]


@pytest.fixture(params=[1, 2], ids=["one", "processes"])
async def ears(request: pytest.FixtureRequest) -> AsyncIterator[Ears]:
    ears = Ears(request.param, present_s=0.2, token_s=0.3, per_address=4)
    await ears.server.start()
    yield ears
    await ears.server.stop()


async def refused(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(5):
        try:
            return await reader.read(1) == b""
        except ConnectionError:
            return True


async def test_silence_comes_back_at_once_and_every_20_ms_though_nothing_is_sent(ears: Ears) -> None:
    reader, writer = await ears.connect(ears.token())
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(5):
        assert await reader.readexactly(len(SILENCE)) == SILENCE
        assert asyncio.get_running_loop().time() - began < 0.1
        assert await reader.readexactly(len(SILENCE) * 20) == SILENCE * 20
    assert 0.3 < asyncio.get_running_loop().time() - began < 1.5
    writer.close()


async def test_unknown_repeated_and_late_tokens_are_refused(ears: Ears) -> None:
    good = ears.token()
    _, first = await ears.connect(good)
    again, second = await ears.connect(good)
    assert await refused(again)
    stranger, third = await ears.connect(str(uuid.uuid4()))
    assert await refused(stranger)
    mute, fourth = await ears.connect(None)
    assert await refused(mute)
    stale = ears.token()
    await asyncio.sleep(0.4)
    late, fifth = await ears.connect(stale)
    assert await refused(late)
    await until(lambda: ears.server.refused.total() == 4)
    assert ears.server.up == 1
    assert ears.server.refused == {"unknown-token": 3, "late-token": 1}
    for writer in (first, second, third, fourth, fifth):
        writer.close()


async def test_sound_without_a_token_is_no_sound(ears: Ears) -> None:
    reader, writer = await ears.connect(None)
    writer.write(FRAME)
    assert await refused(reader) and ears.frames == []
    writer.close()


async def test_one_address_cannot_fill_the_port(ears: Ears) -> None:
    some = [await ears.connect(None) for _ in range(4)]
    reader, writer = await ears.connect(None)
    assert await refused(reader)
    await until(lambda: ears.server.refused["crowded"] == 1)
    for _, other in some:
        other.close()
    writer.close()


async def test_swapped_order_of_two_legs_mixes_nothing(ears: Ears) -> None:
    one, two = ears.token(), ears.token()
    _, second = await ears.connect(two)
    _, first = await ears.connect(one)
    second.write(b"\x10\x01\x40" + b"\x02\x00" * 160)
    first.write(FRAME)
    first.write(b"\x00\x00\x00")
    second.write(b"\x00\x00\x00")
    async with asyncio.timeout(5):
        while len(ears.ends) < 2:
            ears.ended.clear()
            await ears.ended.wait()
    assert {(t, pcm[0]) for t, _, pcm in ears.frames} == {(one, 1), (two, 2)}
    for writer in (first, second):
        writer.close()


@pytest.mark.parametrize(
    ("sent", "reason", "frames"),
    [
        (FRAME * 3 + b"\x00\x00\x00", "ended", 3),
        (b"\x10\x00\x00" + FRAME + b"\x00\x00\x00", "ended", 1),
        (b"\x77\xff\xff" + bytes(65535) + FRAME + b"\x00\x00\x00", "ended", 1),
        (b"\x03\x00\x01*" + b"\x03\x00\x02*A" + b"\x03\x00\x01\x00" + FRAME + b"\x00\x00\x00", "ended", 1),
        (FRAME + b"\xff\x00\x01\x01", "peer-error", 1),
        (b"\x01\x00\x10" + bytes(16), "second-token", 0),
        ((b"\x10\x01\x41" + bytes(321)) * 8, "odd-payload", 0),
    ],
)
async def test_odd_messages(ears: Ears, sent: bytes, reason: str, frames: int) -> None:
    _, writer = await ears.connect(ears.token())
    writer.write(sent)
    assert await ears.reason() == reason
    assert len(ears.frames) == frames
    writer.close()


async def test_pieces_of_any_size_give_the_same_sound(ears: Ears) -> None:
    _, writer = await ears.connect(ears.token())
    sound = FRAME * 4
    for size in (1, 1, 1, 2, 3, 160, 319, 10_000):
        writer.write(sound[:size])
        await writer.drain()
        await asyncio.sleep(0.002)
        sound = sound[size:]
    writer.write(b"\x00\x00\x00")
    assert await ears.reason() == "ended"
    assert [pcm for _, _, pcm in ears.frames] == [FRAME[3:]] * 4
    writer.close()


async def test_g711_under_the_linear_kind_ends_the_tap_and_gives_no_sound(ears: Ears) -> None:
    _, writer = await ears.connect(ears.token())
    while not ears.ends:
        writer.write(b"\x10\x00\xa0" + b"\xd5" * 160)
        await asyncio.sleep(0.02)
    assert ears.ends[0][1] == "not-linear" and ears.frames == []
    writer.close()


async def test_closing_a_tap_closes_its_socket(ears: Ears) -> None:
    token = ears.token()
    reader, writer = await ears.connect(token)
    async with asyncio.timeout(5):
        await reader.readexactly(len(SILENCE))
        ears.server.close(token)
        await reader.read()
    assert await ears.reason() == "closed"
    writer.close()


async def test_a_listener_that_fails_harms_its_own_tap_only(ears: Ears) -> None:
    def fail(token: str, stamped: object) -> None:
        raise RuntimeError("listener")

    ears.server._on_frames = fail
    _, writer = await ears.connect(ears.token())
    writer.write(FRAME)
    assert await ears.reason() == "fault"
    assert ears.server.up == 0
    writer.close()


async def test_so_does_one_that_fails_when_a_tap_comes_up(ears: Ears) -> None:
    def fail(token: str) -> None:
        raise RuntimeError("listener")

    ears.server._on_up = fail
    _, bad = await ears.connect(ears.token())
    assert await ears.reason() == "fault"
    ears.server._on_up = None
    good = ears.token()
    _, writer = await ears.connect(good)
    writer.write(FRAME)
    await until(lambda: [token for token, _, _ in ears.frames] == [good])
    for leg in (bad, writer):
        leg.close()
