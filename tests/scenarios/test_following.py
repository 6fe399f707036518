"""A call that changes hands stays one call: the right people in it, all of them heard, no tap left behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from softphone import softphone
from stage import Playhouse, Talk, of, prompt

from callguard.sandbox import ears
from callguard.sandbox.world import Handset

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

POLICY = ""

BEFORE, AFTER, REPLY = (prompt(name) for name in ("time-notice", "closing", "recording-notice"))


async def flagged(here: Playhouse, extension: str = "600") -> Talk:
    """A call with a flag, in which the caller has said something already."""
    talk = await here.call(extension)
    await talk.caller.say(BEFORE)
    await talk.key("*7", "flag")
    return talk


async def goes_on(talk: Talk, agent: Handset, *, name: str, taps: int) -> None:
    """The caller and whoever has the call now talk, and the board shows who."""
    await talk.heard_of(lambda e: of(e, "kind") == "call" and name in e.agent_channel)
    await talk.tapped(taps)
    await talk.caller.say(AFTER)
    await agent.say(REPLY)


async def of_one_piece(talk: Talk, into: Path, *, agent: Handset, kinds: list[str]) -> None:
    """One call, one case, both parts of the conversation in its sound, the new agent's voice too."""
    await talk.finished()
    tracks = talk.tracks(into)
    callers = [file for name, file in tracks.items() if name.startswith("caller")]
    agents = [file for name, file in tracks.items() if name.startswith("agent")]
    assert sum(len(ears.likeness(BEFORE, file)) for file in callers) == 1
    assert sum(len(ears.likeness(AFTER, file)) for file in callers) == 1
    assert sum(len(ears.likeness(REPLY, file)) for file in agents) == 1
    assert ears.likeness(REPLY, talk.caller.heard) and ears.likeness(AFTER, agent.heard)
    assert [one["kind"] for one in talk.lines("transfer")] == kinds
    rows = [e for e in talk.one.board[talk.told :] if of(e, "kind") == "call"]
    assert {of(row, "call") for row in rows} == {talk.call}
    assert {one.case for one in talk.all("case")} == {talk.case}


async def test_blind_transfer(here: Playhouse, tmp_path: Path) -> None:
    talk = await flagged(here)
    since = len(here.there.outside.events)
    await talk.agent.press("#1")
    await talk.agent.press("102")
    second = await here.there.phone("agent2", after=since)
    await talk.agent.gone()
    await goes_on(talk, second, name="agent2", taps=3)
    await talk.over(second)
    await of_one_piece(talk, tmp_path, agent=second, kinds=["blind"])


async def test_attended_transfer(here: Playhouse, tmp_path: Path) -> None:
    """What the two agents say to each other before is theirs: the caller's case has none of it."""
    talk = await flagged(here)
    since = len(here.there.outside.events)
    await talk.agent.press("#2")
    await talk.agent.press("102")
    second = await here.there.phone("agent2", after=since)
    await talk.agent.say(prompt("warn-3"))
    await talk.agent.hang_up()
    await goes_on(talk, second, name="agent2", taps=3)
    await talk.over(second)
    await of_one_piece(talk, tmp_path, agent=second, kinds=["attended"])
    assert ears.likeness(prompt("warn-3"), second.heard)
    assert not ears.likeness(prompt("warn-3"), talk.caller.heard)


async def test_blonde_transfer(here: Playhouse, tmp_path: Path) -> None:
    """The agent hangs up while the colleague's phone still rings."""
    talk = await flagged(here)
    await here.there.answering("4")
    try:
        since = len(here.there.outside.events)
        await talk.agent.press("#2")
        await talk.agent.press("102")
        await here.there.outside.until(
            lambda e: e.get("UserEvent") == "SandboxRinging" and e.get("Phone") == "agent2", timeout_s=20, after=since
        )
        await talk.agent.hang_up()
        second = await here.there.phone("agent2", after=since)
    finally:
        await here.there.answering("0.3")
    await goes_on(talk, second, name="agent2", taps=3)
    await talk.over(second)
    await of_one_piece(talk, tmp_path, agent=second, kinds=["attended"])
