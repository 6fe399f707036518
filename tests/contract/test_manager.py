"""What the link asks of a manager port: Asterisk's own keeps it, and the one that the failure tests play with too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from managing import FakeManager, Watcher

from callguard.asterisk.link import Expects, LinkState
from callguard.model.errors import AmiFault
from callguard.sandbox.house import house
from callguard.sandbox.world import world

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENT = {"ping_every_s": 5.0, "timeout_s": 10.0}


@dataclass(frozen=True, slots=True)
class Port:
    """Where a manager listens, and for whom."""

    port: int
    username: str
    secret: str

    def watcher(self, **options: object) -> Watcher:
        return Watcher(self.port, **{"username": self.username, "secret": self.secret, **PATIENT, **options})


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["fake", pytest.param("asterisk", marks=pytest.mark.asterisk)]
)
async def port(request: pytest.FixtureRequest) -> AsyncIterator[Port]:
    if request.param == "asterisk":
        async with world(house(print)) as there:
            yield Port(there.pbx.ports.ami, "sandbox", there.pbx.secret)
        return
    fake = FakeManager()
    await fake.start()
    yield Port(fake.port, "u", fake.secret)
    await fake.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def watcher(port: Port) -> AsyncIterator[Watcher]:
    async with logged_in(port.watcher()) as one:
        yield one


@contextlib.asynccontextmanager
async def logged_in(watcher: Watcher) -> AsyncIterator[Watcher]:
    await watcher.link.start()
    try:
        await watcher.link.wait_up(15)
        yield watcher
    finally:
        await watcher.link.stop()


async def test_the_right_secret_is_let_in(watcher: Watcher) -> None:
    assert watcher.link.state is LinkState.UP and watcher.ups == 1
    assert (await watcher.link.ask({"Action": "Ping"}))[0].response == "Success"


async def test_a_wrong_secret_is_refused_and_not_tried_for_ever(port: Port) -> None:
    watcher = port.watcher(secret="wrong")
    await watcher.link.start()
    with pytest.raises(AmiFault) as told:
        await watcher.link.wait_up(15)
    await watcher.link.stop()
    assert told.value.code == "ami-refused" and watcher.ups == 0


async def test_what_cannot_be_done_is_refused_and_the_link_stays(watcher: Watcher) -> None:
    for action in (
        {"Action": "Hangup", "Channel": "PJSIP/nobody-00000001"},
        {"Action": "PlayDTMF", "Channel": "PJSIP/nobody-00000001", "Digit": "5"},
        {"Action": "Redirect", "Channel": "PJSIP/nobody-00000001", "Context": "x", "Exten": "s", "Priority": "1"},
    ):
        [answer] = await watcher.link.ask(action)
        assert answer.response == "Error" and answer.get("Message")
    assert watcher.link.state is LinkState.UP and watcher.downs == []


async def test_a_list_ends_by_itself(watcher: Watcher) -> None:
    answer = await watcher.link.ask({"Action": "CoreShowChannels"}, expects=Expects.LIST)
    assert answer[0].response == "Success"
    assert answer[-1].event == "CoreShowChannelsComplete" and answer[-1].get("ListItems") == "0"


async def test_each_of_many_at_once_gets_its_own_answer(watcher: Watcher) -> None:
    async def one(number: int) -> tuple[str, int]:
        if number % 3:
            return (await watcher.link.ask({"Action": "Ping"}))[0].response, 1
        answer = await watcher.link.ask({"Action": "CoreShowChannels"}, expects=Expects.LIST)
        return answer[0].response, len(answer)

    got = await asyncio.gather(*(one(number) for number in range(60)))
    assert got == [("Success", 1 if number % 3 else 2) for number in range(60)]


async def test_events_come_in_order_with_their_text(watcher: Watcher) -> None:
    for number in range(50):
        await watcher.link.ask({"Action": "UserEvent", "UserEvent": "Contract", "N": str(number), "Name": "Müller 怒"})
    async with asyncio.timeout(10):
        while len(seen := [e for e in watcher.events if e.get("UserEvent") == "Contract"]) < 50:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert [e["N"] for e in seen] == [str(number) for number in range(50)]
    assert {e["Name"] for e in seen} == {"Müller 怒"}


async def test_two_sessions_do_not_disturb_each_other(port: Port, watcher: Watcher) -> None:
    async with logged_in(port.watcher()) as other:
        assert (await other.link.ask({"Action": "Ping"}))[0].response == "Success"
    assert (await watcher.link.ask({"Action": "Ping"}))[0].response == "Success"
    assert watcher.downs == []
