"""A part is killed with SIGKILL at a random moment of a flagged call: the call goes on, what was flagged is kept."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path

import pytest
from stage import Daemons, Playhouse, Talk, of, prompt
from striking import nothing_false, strike

from callguard.model.case import Track
from callguard.model.ids import CaseId
from callguard.sandbox import ears
from callguard.sandbox.house import house
from callguard.sandbox.world import World, world
from callguard.store.reading import CaseView

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

DICE = random.Random(2026)
MOMENTS_S = [round(DICE.uniform(0.1, 3.0), 2) for _ in range(int(os.environ.get("CALLGUARD_BLOWS", "4")))]
"""Seconds from the flag; more of them with ``CALLGUARD_BLOWS=20``."""

FEWER_S = MOMENTS_S[: len(MOMENTS_S) // 2]
SURE_MS = 1000
"""From the flag on sound is on disk within one second; what came later than that before the blow may be gone."""

SPEECH = prompt("closing")
AFTER = prompt("time-notice")


async def flagged(play: Playhouse) -> tuple[Talk, str, float]:
    """The caller talks on and the agent has flagged: the talk, its case, when the board knew (steady clock)."""
    talk = await play.call()
    await talk.caller.say(SPEECH, wait=False)
    await talk.agent.press("*7")
    await talk.heard_of(lambda e: of(e, "kind") == "case")
    return talk, talk.case, time.monotonic()


async def moment(at_s: float, blow_s: float) -> int:
    """Wait for the blow; milliseconds since the flag was known."""
    await asyncio.sleep(max(0.0, at_s + blow_s - time.monotonic()))
    return round((time.monotonic() - at_s) * 1000)


async def finished(talk: Talk, case: str) -> CaseView:
    """Until the case is closed with its sound, asked of the store alone: the board may be what was struck."""
    async with asyncio.timeout(60):
        while True:
            with talk.store() as store:
                view = store.case(CaseId(case))
                assert view is not None and store.audit_break() is None
            if view.line.ended_ms is not None and any(one.track is Track.CALLER for one in view.segments):
                return view
            await asyncio.sleep(0.5)


def covered(view: CaseView, start_ms: int, end_ms: int) -> bool:
    """Whether the caller's track holds this stretch of the call's clock."""
    for begin, end in sorted((one.start_ms, one.end_ms) for one in view.segments if one.track is Track.CALLER):
        if begin <= start_ms < end:
            start_ms = end
    return start_ms >= end_ms


async def goodbye(talk: Talk) -> None:
    await talk.caller.hang_up()
    await talk.agent.gone()


@pytest.mark.parametrize("blow_s", MOMENTS_S)
async def test_the_daemon(there: World, daemons: Daemons, tmp_path: Path, blow_s: float) -> None:
    """The next life finishes what was half written, says so, and goes on with the same call."""
    async with daemons(there, home=tmp_path) as one:
        talk, case, at_s = await flagged(Playhouse(there=there, one=one))
        lived_ms = await moment(at_s, blow_s)
        await one.kill()
    async with daemons(there, home=tmp_path) as two:
        await two.until(lambda e: of(e, "kind") == "call" and e.call == talk.call, timeout_s=30)
        await talk.caller.say(AFTER)
        await goodbye(talk)
        view = await finished(talk, case)
    assert covered(view, view.line.flagged_ms, view.line.flagged_ms + lived_ms - SURE_MS)
    assert any(one.repaired for one in view.segments)
    assert ears.likeness(AFTER, talk.agent.heard), "the call itself went on"
    nothing_false(view)


@pytest.mark.parametrize("blow_s", MOMENTS_S)
async def test_valkey(there: World, daemons: Daemons, tmp_path: Path, blow_s: float) -> None:
    """Not a frame of the flagged call is lost; the server comes back, and keys reach us again."""
    async with daemons(there, home=tmp_path) as one:
        talk, case, at_s = await flagged(Playhouse(there=there, one=one))
        await moment(at_s, blow_s)
        assert strike(one.process.pid, "valkey") > 0
        await talk.caller.say(AFTER)
        await goodbye(talk)
        view = await finished(talk, case)
        assert covered(view, view.line.flagged_ms, (view.line.ended_ms or 0) - SURE_MS)
        sound = talk.tracks(tmp_path)
        assert len(ears.likeness(AFTER, sound["caller"])) == 1
        nothing_false(view)


@pytest.mark.parametrize("blow_s", FEWER_S)
async def test_the_tap_processes(there: World, daemons: Daemons, tmp_path: Path, blow_s: float) -> None:
    """Both of them: their legs are tapped again through new ones, the hole is told as one, the call goes on."""
    async with daemons(
        there, home=tmp_path, edit=lambda text: text.replace("[taps]\n", "[taps]\nprocesses = 2\n")
    ) as one:
        talk, case, at_s = await flagged(Playhouse(there=there, one=one))
        lived_ms = await moment(at_s, blow_s)
        assert strike(one.process.pid, "tap_processes") == 2
        await asyncio.sleep(6)
        await talk.caller.say(AFTER)
        await goodbye(talk)
        view = await finished(talk, case)
        assert covered(view, view.line.flagged_ms, view.line.flagged_ms + lived_ms - SURE_MS)
        assert len(ears.likeness(AFTER, talk.tracks(tmp_path)["caller"])) == 1
    assert ears.likeness(AFTER, talk.agent.heard), "the call itself went on"
    nothing_false(view)


@pytest.mark.parametrize("blow_s", FEWER_S)
async def test_the_recognizer(there: World, daemons: Daemons, tmp_path: Path, blow_s: float) -> None:
    """Another worker is started; the call, its evidence and the words after it are not touched."""
    async with daemons(there, home=tmp_path, hearing=True) as one:
        talk, case, at_s = await flagged(Playhouse(there=there, one=one))
        await moment(at_s, blow_s)
        assert strike(one.process.pid, " worker ") > 0
        told = len(one.board)
        await talk.caller.say(AFTER)
        await talk.heard_of(lambda e: of(e, "kind") == "transcript" and e.text, after=told, wait_s=60)
        await goodbye(talk)
        view = await finished(talk, case)
        assert covered(view, view.line.flagged_ms, (view.line.ended_ms or 0) - SURE_MS)
        nothing_false(view)


@pytest.mark.parametrize("blow_s", FEWER_S)
async def test_asterisk(daemons: Daemons, tmp_path: Path, blow_s: float) -> None:
    """The call dies with its PBX; its case is closed, with the sound until the blow."""
    async with world(house(print)) as there:
        async with daemons(there, home=tmp_path) as one:
            talk, case, at_s = await flagged(Playhouse(there=there, one=one))
            lived_ms = await moment(at_s, blow_s)
            assert strike(os.getpid(), f"{there.house.inside(there.pbx.folder)}/etc/asterisk.conf -f") > 0
            with talk.store() as store:
                view = store.case(CaseId(case))
            await asyncio.sleep(1.0)
            assert view is not None
            flag_ms = view.line.flagged_ms
        with talk.store() as store:
            store.repair()
            view = store.case(CaseId(case))
    assert view is not None
    assert covered(view, flag_ms, flag_ms + lived_ms - SURE_MS)
    nothing_false(view)
