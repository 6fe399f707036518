"""Two hundred real calls are struck at random moments: daemon, Valkey, recognizer, Asterisk, disk and manager link.

Ten calls at a time, each flagged at a moment of its own before or after the blow. No second that was flagged more than
a second before the blow is lost, no case is without its record, and no record says more than was done. What does not
kill the PBX does not touch a call.
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from crowd import Guest, arrive, closed, crowded, dice, noise, silent_ms, store_of
from stage import Daemons, of
from striking import nothing_false, strike
from wire import wired

from callguard.model.ids import CallId
from callguard.sandbox.guarding import Guarding
from callguard.sandbox.world import World
from callguard.store.reading import CaseView
from callguard.store.store import Store

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(240),
]

TIMES = int(os.environ.get("CALLGUARD_STORMS", "1"))
"""How many times two hundred calls."""

SURE_MS = 1000
"""From the flag on sound is on disk within one second; what came later than that before the blow may be gone."""

BEFORE_MS = 800
"""So much from before each flag is looked for too."""

Blow = Callable[[], Awaitable[None]]


LOOKED_AT: list[int] = []
"""For every case whose flag was known before the blow: milliseconds of sound that were looked at."""


@pytest.fixture(scope="module", autouse=True)
def told() -> Iterator[None]:
    """How much the storm has tried, told in the end."""
    yield
    print(f"\n{len(LOOKED_AT)} flagged calls, {sum(LOOKED_AT) / 1000:.0f} s of flagged sound", file=sys.__stderr__)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hall() -> AsyncIterator[World]:
    async with crowded() as there:
        yield there


async def struck(one: Guarding, guests: list[Guest], chance: random.Random, blow: Blow) -> float:
    """Every agent flags at a random moment; so does fate. Returns when fate did."""
    presses = [asyncio.create_task(guest.presses(one, chance.uniform(0.0, 3.0))) for guest in guests]
    await asyncio.sleep(chance.uniform(0.5, 4.0))
    at_s = time.monotonic()
    for event in one.board:
        if of(event, "kind") == "key" and of(event, "tone") == "accepted":
            for guest in guests:
                guest.accepted |= guest.call == event.call
    await blow()
    await asyncio.sleep(1.0)
    for press in presses:
        press.cancel()
    await asyncio.gather(*presses, return_exceptions=True)
    return at_s


def found_again(call: str, event: object) -> bool:
    return of(event, "kind") == "call" and of(event, "call") == call and bool(of(event, "partial"))


async def depart(there: World, guests: list[Guest]) -> None:
    """Nobody's line died by itself; all hang up."""
    dead = {e.get("Uniqueid") for e in there.outside.events if e.get("Event") == "Hangup"}
    assert not dead & {handset.id for guest in guests for handset in (guest.caller, guest.agent)}
    await asyncio.gather(*(guest.caller.hang_up() for guest in guests))
    await asyncio.gather(*(guest.agent.gone() for guest in guests))


def whole(store: Store, view: CaseView, end_ms: int) -> None:
    """From before the flag until a second before the end the caller is heard in every tenth of a second."""
    begin_ms = view.line.flagged_ms - BEFORE_MS
    assert silent_ms(store, view, begin_ms, end_ms - SURE_MS) == []
    nothing_false(view)
    LOOKED_AT.append(max(0, end_ms - SURE_MS - begin_ms))


async def kept(home: Path, guests: list[Guest], *, until_s: float | None) -> None:
    """Every case is whole from before its flag until the blow (``until_s``, steady clock), or until its call ended."""
    views = await closed(home, guests)
    with store_of(home) as store:
        assert store.audit_break() is None
        for guest in guests:
            stored = store.open_case_of(CallId(guest.call))
            assert stored or not guest.accepted, "a key was said to be taken before its case was stored"
            if guest.known_s is None:
                continue
            view = views[guest.case]
            end_ms = view.line.ended_ms or 0
            if until_s is not None:
                end_ms = view.line.flagged_ms + round((until_s - guest.known_s) * 1000)
            whole(store, view, end_ms)


@pytest.mark.parametrize("round_", range(5 * TIMES))
async def test_the_daemon_is_killed(hall: World, daemons: Daemons, tmp_path: Path, round_: int) -> None:
    """Some calls end before its next life, some are guarded by it again."""
    async with daemons(hall, home=tmp_path) as one:
        guests = await arrive(hall, one, noise(tmp_path))
        at_s = await struck(one, guests, dice(f"daemon {round_}"), one.kill)
    await depart(hall, guests[:3])
    async with daemons(hall, home=tmp_path) as two:
        for guest in guests[3:]:
            await two.until(functools.partial(found_again, guest.call), timeout_s=30)
        await depart(hall, guests[3:])
        await kept(tmp_path, guests, until_s=at_s)


async def outlived(there: World, one: Guarding, home: Path, chance: random.Random, blow: Blow) -> None:
    """The daemon lives on: nothing at all is missing."""
    guests = await arrive(there, one, noise(home))
    await struck(one, guests, chance, blow)
    await depart(there, guests)
    await kept(home, guests, until_s=None)


@pytest.mark.parametrize("round_", range(4 * TIMES))
async def test_valkey_is_killed(hall: World, daemons: Daemons, tmp_path: Path, round_: int) -> None:
    async with daemons(hall, home=tmp_path) as one:

        async def blow() -> None:
            assert strike(one.process.pid, "valkey") > 0

        await outlived(hall, one, tmp_path, dice(f"valkey {round_}"), blow)


@pytest.mark.parametrize("round_", range(3 * TIMES))
async def test_the_recognizer_is_killed(hall: World, daemons: Daemons, tmp_path: Path, round_: int) -> None:
    async with daemons(hall, home=tmp_path, hearing=True) as one:

        async def blow() -> None:
            assert strike(one.process.pid, " worker ") > 0

        await outlived(hall, one, tmp_path, dice(f"worker {round_}"), blow)


@pytest.mark.parametrize("round_", range(3 * TIMES))
async def test_the_disk_is_full_for_a_while(hall: World, daemons: Daemons, tmp_path: Path, round_: int) -> None:
    """Nothing can be written for two seconds; what came in that time is written afterwards."""
    async with daemons(hall, home=tmp_path) as one:
        pid = one.process.pid

        async def blow() -> None:
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
            await asyncio.sleep(2.0)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

        await outlived(hall, one, tmp_path, dice(f"disk {round_}"), blow)


@pytest.mark.parametrize("round_", range(3 * TIMES))
async def test_the_manager_link_is_lost(hall: World, daemons: Daemons, tmp_path: Path, round_: int) -> None:
    """Neither side is told; two seconds later a new link may be made."""
    async with wired(hall, daemons, home=tmp_path) as (wire, play):

        async def blow() -> None:
            wire.shut = True
            wire.stall()
            await asyncio.sleep(2.0)
            wire.shut = False

        await outlived(hall, play.one, tmp_path, dice(f"link {round_}"), blow)


@pytest.mark.parametrize("round_", range(3 * TIMES))
async def test_asterisk_is_killed(hall: World, daemons: Daemons, tmp_path: Path, round_: int) -> None:
    """The calls die with their PBX; it starts again, and the same daemon closes their cases."""
    async with daemons(hall, home=tmp_path) as one:

        async def blow() -> None:
            await hall.again(hall.pbx)

        guests = await arrive(hall, one, noise(tmp_path))
        at_s = await struck(one, guests, dice(f"asterisk {round_}"), blow)
        await asyncio.gather(*(handset.hang_up() for guest in guests for handset in (guest.caller, guest.agent)))
        await kept(tmp_path, guests, until_s=at_s)
