"""The manager link against a server that misbehaves in every way seen in the field."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from managing import FakeManager, Watcher, reply

from callguard.asterisk.link import Expects, LinkState
from callguard.model.errors import AmiFault, Refused


@pytest.fixture
async def manager() -> AsyncIterator[FakeManager]:
    fake = FakeManager()
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def watcher(manager: FakeManager) -> AsyncIterator[Watcher]:
    watcher = Watcher(manager.port)
    await watcher.link.start()
    await watcher.link.wait_up(5)
    yield watcher
    await watcher.link.stop()


async def test_ready_after_the_login_reply_without_fullybooted(watcher: Watcher) -> None:
    assert watcher.link.state is LinkState.UP and watcher.ups == 1


async def test_wrong_secret_stops_after_three_refusals(manager: FakeManager) -> None:
    watcher = Watcher(manager.port, secret="wrong")
    await watcher.link.start()
    with pytest.raises(AmiFault) as told:
        await watcher.link.wait_up(5)
    assert told.value.code == "ami-refused" and not told.value.retryable and told.value.hint
    assert "wrong" not in str(told.value)
    await asyncio.sleep(0.3)
    assert [a["Action"] for a in manager.seen] == ["Login"] * 3
    await watcher.link.stop()


async def test_a_value_with_a_line_break_is_never_sent(manager: FakeManager, watcher: Watcher) -> None:
    before = len(manager.seen)
    for bad in ("a\r\nAction: Originate", "b\n", "\0"):
        with pytest.raises(Refused):
            await watcher.link.ask({"Action": "Setvar", "Value": bad})
    assert [a for a in manager.seen[before:] if a["Action"] != "Ping"] == []


async def test_playdtmf_reply_does_not_end_the_connection(manager: FakeManager, watcher: Watcher) -> None:
    manager.answers["PlayDTMF"] = lambda a, w: reply(a, w, "Success", "DTMF successfully queued")
    answer = await watcher.link.ask({"Action": "PlayDTMF", "Digit": "5"})
    assert answer[0].response == "Success" and watcher.link.state is LinkState.UP
    assert next(a for a in manager.seen if a["Action"] == "PlayDTMF")["Async"] == "false"


async def test_originate_waits_for_what_became_of_it(manager: FakeManager, watcher: Watcher) -> None:
    def originate(action: dict[str, str], writer: asyncio.StreamWriter) -> None:
        reply(action, writer, "Success", "Originate successfully queued")
        tail = f"Event: OriginateResponse\r\nActionID: {action['ActionID']}\r\nResponse: Failure\r\nReason: 3\r\n\r\n"
        asyncio.get_running_loop().call_later(0.05, writer.write, tail.encode())

    manager.answers["Originate"] = originate
    answer = await watcher.link.ask({"Action": "Originate"}, expects=Expects.ORIGINATE)
    assert [m.response for m in answer] == ["Success", "Failure"]


async def test_a_list_refused_is_answered(manager: FakeManager, watcher: Watcher) -> None:
    manager.answers["QueueStatus"] = lambda a, w: reply(a, w, "Error", "no")
    assert (await watcher.link.ask({"Action": "QueueStatus"}, expects=Expects.LIST))[0].response == "Error"


async def test_one_unanswered_action_stops_no_other(manager: FakeManager, watcher: Watcher) -> None:
    manager.answers["Getvar"] = lambda a, w: None
    lost = asyncio.create_task(watcher.link.ask({"Action": "Getvar"}))
    assert (await watcher.link.ask({"Action": "CoreStatus"}))[0].response == "Success"
    with pytest.raises(AmiFault) as told:
        await lost
    assert told.value.code == "ami-timeout" and watcher.link.state is LinkState.UP


async def test_a_pending_action_fails_at_once_and_is_never_sent_again(manager: FakeManager, watcher: Watcher) -> None:
    manager.answers["Originate"] = lambda a, w: w.transport.abort()
    began = asyncio.get_running_loop().time()
    with pytest.raises(AmiFault) as told:
        await watcher.link.ask({"Action": "Originate"}, expects=Expects.ORIGINATE, timeout_s=5)
    assert told.value.code == "ami-lost" and asyncio.get_running_loop().time() - began < 1
    async with asyncio.timeout(5):
        await watcher.down.wait()
    await watcher.link.wait_up(5)
    await asyncio.sleep(0.2)
    assert len([a for a in manager.seen if a["Action"] == "Originate"]) == 1


async def test_a_half_open_peer_is_noticed(manager: FakeManager, watcher: Watcher) -> None:
    manager.deaf = True
    async with asyncio.timeout(5):
        await watcher.down.wait()
    assert watcher.downs == ["ami-silent"]
    manager.deaf = False
    await watcher.link.wait_up(5)
    assert watcher.ups == 2


async def test_restart_of_the_server_is_outlived(manager: FakeManager, watcher: Watcher) -> None:
    port = manager.port
    await manager.stop()
    async with asyncio.timeout(5):
        await watcher.down.wait()
    await manager.start(port)
    await watcher.link.wait_up(5)
    assert watcher.ups == 2


async def test_events_keep_their_order_and_a_failing_listener_stops_nothing(
    manager: FakeManager, watcher: Watcher
) -> None:
    manager.event("Event: Boom\r\n\r\n" + "".join(f"Event: E\r\nN: {i}\r\n\r\n" for i in range(500)))
    events = await watcher.events_are(501)
    assert [e["N"] for e in events[1:]] == [str(i) for i in range(500)]
    assert watcher.link.callback_errors == 1 and watcher.link.state is LinkState.UP


async def test_text_survives_any_cut_and_any_code(manager: FakeManager, watcher: Watcher) -> None:
    for byte in "Event: N\r\nName: Müller 怒\r\n\r\n".encode():
        manager.event(bytes([byte]))
        await asyncio.sleep(0)
    manager.event(b"Event: N\r\nName: Jos\xe9\r\n\r\n")
    assert [e["Name"] for e in await watcher.events_are(2)] == ["Müller 怒", "José"]


async def test_odd_message_ends_and_headers(manager: FakeManager, watcher: Watcher) -> None:
    manager.event(b"Event: A\r\nUniqueid: 7\r\n\nEvent: Hangup\r\nUniqueid: 7\r\n\r\n")
    manager.event(b"Event: B\r\nFlat:x: y\r\nTwice: 1\r\nTwice: 2\r\nEmpty: \r\n\r\n")
    a, hangup, b = await watcher.events_are(3)
    assert a["Uniqueid"] == "7" and hangup["Event"] == "Hangup" and hangup["Uniqueid"] == "7"
    assert b["Flat"] == "x: y" and b["Twice"] == ["1", "2"]


async def test_a_message_without_end_is_given_up(manager: FakeManager, watcher: Watcher) -> None:
    manager.event(b"Event: Long\r\nX: " + b"x" * 2_000_000)
    async with asyncio.timeout(5):
        await watcher.down.wait()
    await watcher.link.wait_up(5)


async def test_another_server_is_told_apart() -> None:
    async def smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ready\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(smtp, "127.0.0.1", 0)
    fake = FakeManager()
    fake.port = server.sockets[0].getsockname()[1]
    watcher = Watcher(fake.port)
    await watcher.link.start()
    with pytest.raises(AmiFault) as told:
        await watcher.link.wait_up(0.5)
    assert told.value.code in ("ami-lost", "ami-garbled")
    await watcher.link.stop()
    server.close()
