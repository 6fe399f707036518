"""Ten calls at once on a world of their own, each with an agent who flags at a moment of their own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from stage import PATIENCE_S, of

from callguard.model.case import Track
from callguard.model.ids import CaseId
from callguard.model.sound import RATE_HZ
from callguard.sandbox import conf
from callguard.sandbox.guarding import Guarding
from callguard.sandbox.house import house
from callguard.sandbox.world import Handset, World, world
from callguard.store import open_store
from callguard.store.reading import CaseView
from callguard.store.store import Store

CALLS = 10

DIALPLAN = """
[from-outside](+)
exten => _61X,1,Gosub(callguard-guard,s,1())
 same => n,Dial(PJSIP/crowd${EXTEN:2},30,tb(callguard-agent^s^1(PJSIP/crowd${EXTEN:2})))
 same => n,Hangup()
"""

LOUD = 200.0
"""Root mean square of a 100 ms piece in which the caller was heard; their noise has ten times as much, silence none."""


def noise(folder: Path, *, seconds: int = 60) -> Path:
    """A caller who is never silent."""
    file = folder / "noise.wav"
    samples = np.random.default_rng(7).normal(0, 3000, seconds * RATE_HZ)
    soundfile.write(file, np.clip(samples, -20000, 20000).astype("int16"), RATE_HZ)
    return file


@contextlib.asynccontextmanager
async def crowded() -> AsyncIterator[World]:
    """A world with a telephone for every call."""
    async with world(house(print)) as there:
        sides = ((there.pbx, there.outside, "telephones"), (there.outside, there.pbx, "ringing"))
        for here, other, context in sides:
            for n in range(CALLS):
                name = f"crowd{n}"
                contact = f"sip:{name}@127.0.0.1:{other.ports.sip}"
                more = f"from_user={name}" if here is there.outside else ""
                with (here.folder / "etc" / "pjsip.conf").open("a") as file:
                    file.write("\n" + conf.endpoint(name, context=context, contact=contact, more=more))
            await asyncio.to_thread(here.console, there.house, "module reload res_pjsip.so")
        with (there.pbx.folder / "etc" / "extensions.conf").open("a") as file:
            file.write(DIALPLAN)
        await asyncio.to_thread(there.pbx.console, there.house, "dialplan reload")
        yield there


@dataclass(slots=True)
class Guest:
    """One of the calls. known_s: when its case was known, on the steady clock; None while it is not.

    accepted: the key was told to be taken, before the blow.
    """

    call: str
    caller: Handset
    agent: Handset
    case: str = ""
    known_s: float | None = None
    accepted: bool = False

    async def presses(self, one: Guarding, after_s: float) -> None:
        """The agent flags the call after so long; returns once the board knows its case."""
        told = len(one.board)
        await asyncio.sleep(after_s)
        for digit in "*7":
            await self.agent.world.outside.ask(
                Action="PlayDTMF", Channel=self.agent.id, Digit=digit, Duration="100", Async="true"
            )
            await asyncio.sleep(0.2)
        event = await one.until(
            lambda e: of(e, "kind") == "case" and of(e, "call") == self.call, timeout_s=30, after=told
        )
        self.case, self.known_s = str(of(event, "case")), time.monotonic()


async def arrive(there: World, one: Guarding, speech: Path) -> list[Guest]:
    """All calls are up, tapped, and every caller speaks."""
    pbx = len(there.pbx.events)
    guests = await asyncio.gather(*(_arrive(there, one, n) for n in range(CALLS)))

    def tapped(_: object) -> bool:
        spied = {e["SpyeeUniqueid"] for e in there.pbx.events[pbx:] if e.get("Event") == "ChanSpyStart"}
        return len(spied) >= 2 * CALLS

    await there.pbx.until(tapped, timeout_s=PATIENCE_S, after=pbx)
    await asyncio.gather(*(guest.caller.say(speech, wait=False) for guest in guests))
    await asyncio.sleep(1.5)
    return guests


async def _arrive(there: World, one: Guarding, n: int) -> Guest:
    since, told = len(there.outside.events), len(one.board)
    caller = await there.ring(f"61{n}", number=f"03123400{n:02}")
    agent = await there.phone(f"crowd{n}", after=since)
    row = await one.until(
        lambda e: of(e, "kind") == "call" and f"/crowd{n}-" in (of(e, "agent_channel") or "") and not of(e, "ended"),
        timeout_s=PATIENCE_S,
        after=told,
    )
    return Guest(call=str(of(row, "call")), caller=caller, agent=agent)


@contextlib.contextmanager
def store_of(home: Path) -> contextlib.AbstractContextManager[Store]:  # type: ignore[misc]
    """The daemon's own store, opened beside it."""
    store = open_store(f"sqlite:///{home}/callguard.db", segments=home / "segments")
    try:
        yield store
    finally:
        store.close()


def dice(seed: str) -> random.Random:
    """Moments that differ from round to round and are the same in every run."""
    return random.Random(seed)


async def closed(home: Path, guests: list[Guest]) -> dict[str, CaseView]:
    """Wait until every known case is closed with its sound: case -> what is stored of it."""
    wanted = [guest.case for guest in guests if guest.case]
    async with asyncio.timeout(90):
        while True:
            with store_of(home) as store:
                views = {case: store.case(CaseId(case)) for case in wanted}
            found = {case: view for case, view in views.items() if view is not None}
            assert len(found) == len(wanted), "a case that was told is not stored"
            if all(v.line.ended_ms is not None and _has_sound(v) for v in found.values()):
                return found
            await asyncio.sleep(0.5)


def _has_sound(view: CaseView) -> bool:
    return any(one.track is Track.CALLER for one in view.segments)


def silent_ms(store: Store, view: CaseView, start_ms: int, end_ms: int) -> list[int]:
    """Where, from one to the other moment of the call's clock, 100 ms of the caller's track hold no sound."""
    clock: npt.NDArray[np.int16] = np.zeros(max(0, end_ms) * RATE_HZ // 1000, dtype="int16")
    for segment in view.segments:
        if segment.track is Track.CALLER:
            samples, _ = soundfile.read(io.BytesIO(store.sound(segment)), dtype="int16")
            at = segment.start_ms * RATE_HZ // 1000
            piece = samples[max(0, -at) : max(0, len(clock) - at)]
            clock[max(0, at) : max(0, at) + len(piece)] = piece
    step = RATE_HZ // 10
    pieces = ((ms, clock[ms * 8 : ms * 8 + step]) for ms in range(max(0, start_ms), end_ms - 100, 100))
    return [ms for ms, piece in pieces if np.sqrt(np.mean(piece.astype(float) ** 2)) < LOUD]
