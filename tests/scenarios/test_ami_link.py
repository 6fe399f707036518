"""The manager link fails in the middle of a call: the call goes on, we find it again, and the gap is on record."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from stage import Daemons, Playhouse, Talk, of, prompt
from wire import wired

from callguard.model.ids import CaseId
from callguard.sandbox import ears
from callguard.sandbox.house import house
from callguard.sandbox.world import World, world

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


async def test_asterisk_dies_in_a_call_and_starts_again(daemons: Daemons, tmp_path: Path) -> None:
    """The daemon lives on: it closes the case of the call that died, and guards the first call of the new Asterisk."""
    async with world(house(print)) as there, daemons(there, POLICY, home=tmp_path) as one:
        here = Playhouse(there=there, one=one)
        talk = await here.call()
        await talk.caller.say(prompt("time-notice"))
        await talk.key("*7", "flag")
        told = len(one.board)
        await there.again(there.pbx)
        await talk.heard_of(lambda e: of(e, "kind") == "call" and e.ended)
        await talk.finished()
        await link_is(talk, "ok", after=told)
        await talk.caller.hang_up()
        await talk.agent.hang_up()
        after = await here.call()
        warned = await after.key("*8", "warn")
        await after.effect("PlayWarning")
        await after.over()
        await after.finished()
        with talk.store() as store:
            view = store.case(CaseId(talk.case))
            assert view is not None and view.line.ended_ms is not None and store.audit_break() is None
        assert warned.tone == "accepted" and after.call != talk.call
        assert ears.likeness(prompt("time-notice"), talk.tracks(tmp_path)["caller"])
        assert len(ears.likeness(prompt("warn-1"), after.caller.heard)) == 1
