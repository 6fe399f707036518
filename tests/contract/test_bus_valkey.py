"""The bus on a real Valkey: each message once, again after a crash, and through a restart of the server."""

import asyncio
import json
import os
import signal
import tempfile
from pathlib import Path

import pytest

from callguard.bus.link import Bus
from callguard.bus.topics import BOARD, KEYS
from callguard.bus.valkey import EmbeddedValkey
from callguard.model.errors import BusFault


@pytest.fixture
async def valkey():
    with tempfile.TemporaryDirectory(prefix="cgv") as folder:
        server = EmbeddedValkey(Path(folder))
        await server.start()
        yield server
        await server.stop()


@pytest.fixture
async def bus(valkey):
    link = Bus(valkey.url)
    yield link
    await link.close()


async def take_some(bus, topic, count, consumer="one", ack=True):
    got = []
    async with asyncio.timeout(10):
        async for message_id, fields in bus.take(topic, consumer=consumer):
            got.append(fields)
            if ack:
                await bus.done(topic, message_id)
            if len(got) == count:
                break
    return got


async def test_a_taken_message_comes_again_until_it_is_acknowledged(bus):
    await bus.add(KEYS, {"id": "a", "key": "flag"})
    first = await take_some(bus, KEYS, 1, ack=False)
    await bus.add(KEYS, {"id": "b", "key": "warn"})
    again = await take_some(bus, KEYS, 2)
    assert [m["id"] for m in first] == ["a"]
    assert [m["id"] for m in again] == ["a", "b"]
    await bus.add(KEYS, {"id": "c", "key": "warn"})
    assert [m["id"] for m in await take_some(bus, KEYS, 1)] == ["c"]


async def test_an_answer_reaches_the_one_who_asked(bus):
    await bus.answer("press-1", {"tone": "accepted"})
    _, raw = await bus.client.blpop(["callguard:answer:press-1"], timeout=1)
    assert json.loads(raw) == {"tone": "accepted"}
    await bus.answer("press-2", {"tone": "refused"})
    assert 0 < await bus.client.ttl("callguard:answer:press-2") <= 10


async def test_a_reader_goes_on_when_the_server_is_killed_and_keys_survive(valkey, bus):
    health = []
    await bus.add(KEYS, {"id": "before"})
    reader = bus.take(KEYS, consumer="one", on_health=health.append)
    async with asyncio.timeout(30):
        message_id, fields = await anext(reader)
        await bus.done(KEYS, message_id)
        await asyncio.sleep(1.2)  # appendfsync everysec
        os.kill(valkey._child.pid, signal.SIGKILL)
        while True:
            try:
                await bus.add(KEYS, {"id": "after"})
                break
            except BusFault:
                await asyncio.sleep(0.05)
        _, later = await anext(reader)
    await reader.aclose()
    assert fields["id"] == "before"
    assert later["id"] == "after"


async def test_tail_from_now_sees_only_what_comes(bus):
    await bus.publish(BOARD, {"type": "old"})

    async def first():
        async for _, fields in bus.tail(BOARD):
            return json.loads(fields["json"])

    waiting = asyncio.create_task(first())
    await asyncio.sleep(0.2)
    await bus.publish(BOARD, {"type": "new", "words": "殺すぞ"})
    assert await asyncio.wait_for(waiting, 5) == {"type": "new", "words": "殺すぞ"}


async def test_a_second_daemon_adopts_the_running_server(valkey):
    second = EmbeddedValkey(valkey.data_dir)
    await second.start()
    assert second._child is None
    bus = Bus(second.url)
    await bus.ping()
    await bus.close()


async def test_a_path_too_long_is_refused_with_what_to_try(tmp_path):
    with pytest.raises(BusFault) as caught:
        await EmbeddedValkey(tmp_path / ("x" * 120)).start()
    assert caught.value.code == "bus-socket-path-too-long"
    assert "socket_dir" in caught.value.hint


async def test_no_server_is_a_fault_not_a_hang(tmp_path):
    bus = Bus(f"unix://{tmp_path}/none.sock", timeout_s=0.5)
    with pytest.raises(BusFault):
        await bus.add(KEYS, {"id": "x"})
    await bus.close()
