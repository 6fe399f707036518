"""The manager link fails in the middle of a call: the call goes on, we find it again, and the gap is on record."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from stage import Daemons, Talk, of, prompt
from wire import wired

from callguard.sandbox import ears
from callguard.sandbox.world import World

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

POLICY = """
[[ladder]]
announcement = "warn-1"
gap_s = 0
"""


async def link_is(talk: Talk, state: str, *, after: int) -> None:
    """Until the health page says this of the PBX."""
    await talk.one.until(lambda e: of(e, "kind") == "health" and e.parts.get("pbx") == state, timeout_s=30, after=after)


def gaps(talk: Talk) -> list[tuple[str, bool]]:
    return [(one["reason"], one["over"]) for one in talk.lines("gap") if one["what"] == "manager"]


async def test_a_half_open_link_in_a_call(there: World, daemons: Daemons, tmp_path: Path) -> None:
    """Nothing comes and nobody hangs up: it is noticed, the call found again with its taps, and no sound is lost."""
    async with wired(there, daemons, POLICY) as (wire, here):
        talk = await here.call()
        await talk.key("*7", "flag")
        wire.stall()
        await talk.caller.say(prompt("time-notice"))
        while len(gaps(talk)) < 2:  # noqa: ASYNC110 - the record tells nobody
            await asyncio.sleep(0.5)
        warned = await talk.key("*8", "warn")
        done = await talk.effect("PlayWarning")
        await talk.over()
        await talk.finished()
        starts = [e for e in there.pbx.events[talk.pbx :] if e.get("Event") == "ChanSpyStart"]
        assert gaps(talk) == [("ami-silent", False), ("back", True)]
        assert warned.tone == "accepted" and done.effect == "done"
        assert len(ears.likeness(prompt("warn-1"), talk.caller.heard)) == 1
        assert len({e["SpyerUniqueid"] for e in starts if e["SpyerChannel"].startswith("AudioSocket")}) == 3
        sound = talk.tracks(tmp_path)
        assert len(ears.likeness(prompt("time-notice"), sound["caller"])) == 1


async def test_a_call_that_ended_while_the_link_was_away(there: World, daemons: Daemons) -> None:
    async with wired(there, daemons, POLICY) as (wire, here):
        talk = await here.call()
        await talk.key("*7", "flag")
        told = len(here.one.board)
        wire.shut = True
        wire.stall()
        await link_is(talk, "ami-lost", after=told)
        await talk.caller.hang_up()
        await talk.agent.gone()
        wire.shut = False
        await talk.ended()
        await talk.finished()
        assert len([row for row in talk.all("call") if row.ended]) == 1
        assert gaps(talk)[0] == ("ami-silent", False)


async def test_an_action_that_is_never_answered_stops_nothing_else(there: World, daemons: Daemons) -> None:
    """The warning fails by its time-out and is not sent again; the next one is played."""
    async with wired(there, daemons, POLICY) as (wire, here):
        talk = await here.call()
        wire.swallow = b"CALLGUARD_PLAY_ID"
        await talk.key("*8", "warn")
        failed = await talk.effect("PlayWarning")
        told = len(here.one.board)
        flag = await talk.key("*7", "flag")
        await talk.key("*8", "warn")
        done = await talk.effect("PlayWarning", after=told)
        await talk.over()
        assert (failed.effect, failed.detail) == ("failed", "ami-timeout")
        assert flag.tone == "accepted" and done.effect == "done"
        assert len(ears.likeness(prompt("warn-1"), talk.caller.heard)) == 1
