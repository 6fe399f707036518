"""What is asked of a switchboard: the one over Asterisk keeps it, and so does the one of the sessions' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio
from switching import FakeSwitchboard
from waiting import until

from callguard.asterisk.pbx import Pbx
from callguard.model.action import Effect
from callguard.model.call import Call, Leg
from callguard.model.errors import Refused
from callguard.model.ids import CallId, LegId, Role
from callguard.policyfile import load_policy
from callguard.ports import Switchboard
from callguard.sandbox.house import house
from callguard.sandbox.world import world
from callguard.shipped import shipped

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = Call(
    id=CallId("1700000000.1"),
    started_ms=0,
    legs=(
        Leg(id=LegId("1700000000.1"), channel="PJSIP/outside-00000001", role=Role.CALLER, number="", bridge=""),
        Leg(id=LegId("1700000000.2"), channel="PJSIP/agent1-00000002", role=Role.AGENT, number="", bridge=""),
    ),
    queue="support",
    linked=frozenset({"1700000000.1"}),
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A switchboard, and how one gets a caller who talks to an agent: the one who does, or another."""

    board: Switchboard
    talk: Callable[[], Awaitable[Call]]


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["fake", pytest.param("asterisk", marks=pytest.mark.asterisk)]
)
async def exchange(request: pytest.FixtureRequest) -> AsyncIterator[Exchange]:
    if request.param == "fake":
        fake = FakeSwitchboard()
        fake.gone |= {leg.id for leg in NOBODY.legs}
        legs = tuple(
            Leg(id=LegId(f"{n}"), channel=f"PJSIP/x-{n}", role=role, number="", bridge="b")
            for n, role in enumerate((Role.CALLER, Role.AGENT))
        )
        call = Call(id=CallId("0"), started_ms=0, legs=legs, queue="support", linked=frozenset({"0"}))

        async def talk() -> Call:
            fake.gone -= {leg.id for leg in legs}
            return call

        yield Exchange(fake, talk)
        return
    async with world(house(print)) as there:
        pbx = Pbx(
            host="127.0.0.1",
            port=there.pbx.ports.ami,
            username="callguard",
            secret=there.ami_secret,
            on_news=lambda _: None,
            on_frames=lambda *_: None,
            play_digits=load_policy(shipped("policies/base.toml")).keys.play,
        )
        await pbx.start()
        await pbx.wait_ready(15)

        def talking() -> Call | None:
            return next(
                (g.call for g in pbx.calls.guarded.values() if {Role.CALLER, Role.AGENT} <= _roles(g.call)), None
            )

        async def ring() -> Call:
            if talking() is None:
                since = len(there.outside.events)
                await there.ring()
                await there.phone("agent1", after=since)
                await until(lambda: talking() is not None)
            call = talking()
            assert call is not None
            return call

        try:
            yield Exchange(pbx.switchboard, ring)
        finally:
            await pbx.stop()


def _roles(call: Call) -> set[Role]:
    return {leg.role for leg in call.legs}


async def test_an_announcement_is_played_and_its_times_are_told(exchange: Exchange) -> None:
    done = await exchange.board.play(await exchange.talk(), announcement="warn-1", language="en", timeout_s=30)
    assert done.effect is Effect.DONE
    assert done.started_at and done.ended_at and (done.ended_at - done.started_at).total_seconds() > 1
    assert done.started_at.tzinfo and done.ended_at.tzinfo


async def test_what_the_agent_alone_hears_is_never_called_done(exchange: Exchange) -> None:
    done = await exchange.board.tell_agent(await exchange.talk(), sound="tone-accepted", language="en")
    assert done.effect is Effect.NOT_CONFIRMED


async def test_nobody_there_is_told_as_a_failure_and_an_end_as_reached(exchange: Exchange) -> None:
    board = exchange.board
    tried = [
        (await board.play(NOBODY, announcement="warn-1", language="en", timeout_s=5), "no-caller"),
        (await board.transfer(NOBODY, extension="701", timeout_s=5), "no-caller"),
        (await board.tell_agent(NOBODY, sound="tone-accepted", language="en"), "no-agent"),
        (await board.rest("PJSIP/nobody", paused=True, reason="rest"), "no-such-member"),
    ]
    assert [(done.effect, done.detail) for done, _ in tried] == [(Effect.FAILED, detail) for _, detail in tried]
    ended = await board.end(NOBODY, announcement="warn-1", language="en", timeout_s=5)
    assert (ended.effect, ended.detail) == (Effect.DONE, "caller-gone")
    with pytest.raises(Refused) as told:
        await board.spy(NOBODY, supervisor="PJSIP/sup1", mode="listen")
    assert told.value.code == "presence-nobody"


@pytest.mark.parametrize("unsafe", ["../../etc/passwd", "a&b", "a\r\nAction: Command", "${SHELL(id)}", ""])
async def test_names_that_mean_something_else_to_asterisk_are_refused(exchange: Exchange, unsafe: str) -> None:
    call, board = await exchange.talk(), exchange.board
    for doing in (
        board.play(call, announcement=unsafe, language="en", timeout_s=5),
        board.play(call, announcement="warn-1", language=unsafe, timeout_s=5),
        board.tell_agent(call, sound=unsafe, language="en"),
        board.transfer(call, extension=unsafe, timeout_s=5),
        board.spy(call, supervisor=unsafe, mode="listen"),
        board.spy(call, supervisor="PJSIP/sup1", mode=unsafe),
        board.spy(call, supervisor="Local/701@telephones", mode="listen"),
    ):
        with pytest.raises(Refused):
            await doing


async def test_a_caller_is_not_sent_nowhere(exchange: Exchange) -> None:
    call = await exchange.talk()
    done = await exchange.board.transfer(call, extension="999999", timeout_s=5)
    assert (done.effect, done.detail) == (Effect.FAILED, "no-destination")
    again = await exchange.board.play(call, announcement="warn-1", language="en", timeout_s=30)
    assert again.effect is Effect.DONE, "the caller is still there"


async def test_a_member_rests_and_comes_back(exchange: Exchange) -> None:
    for paused in (True, False):
        done = await exchange.board.rest("PJSIP/agent1", paused=paused, reason="rest")
        assert done.effect is Effect.DONE


async def test_the_end_is_the_callers_end_and_comes_once(exchange: Exchange) -> None:
    call = await exchange.talk()
    done = await exchange.board.end(call, announcement="warn-1", language="en", timeout_s=30)
    assert done.effect is Effect.DONE and done.detail != "caller-gone"
    again = await exchange.board.end(call, announcement="warn-1", language="en", timeout_s=30)
    assert (again.effect, again.detail) == (Effect.DONE, "caller-gone")
