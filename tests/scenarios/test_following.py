"""A call that changes hands stays one call: the right people in it, all of them heard, no tap left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from stage import Playhouse, Talk, of, prompt

from callguard.sandbox import ears
from callguard.sandbox.world import Handset

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

POLICY = """
[queue.support-local.keeping]
notice = true
"""
"""The notice answers the caller's line, so that somebody can be on it whose agent's phone still rings."""

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


@pytest.mark.parametrize("extension", ["600", "601"], ids=["queue", "queue-local"])
async def test_blind_transfer(here: Playhouse, tmp_path: Path, extension: str) -> None:
    talk = await flagged(here, extension)
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


async def test_a_consultation_that_comes_to_nothing(here: Playhouse, tmp_path: Path) -> None:
    """The colleague does not want the call: the agent has it again, with the taps it had."""
    talk = await flagged(here)
    since = len(here.there.outside.events)
    await talk.agent.press("#2")
    await talk.agent.press("102")
    colleague = await here.there.phone("agent2", after=since)
    await colleague.say(prompt("warn-3"))
    told = len(here.one.board)
    await colleague.hang_up()
    await talk.heard_of(lambda e: of(e, "kind") == "call" and "agent1" in e.agent_channel and not e.held, after=told)
    await goes_on(talk, talk.agent, name="agent1", taps=2)
    await talk.over()
    await of_one_piece(talk, tmp_path, agent=talk.agent, kinds=[])
    assert ears.likeness(prompt("warn-3"), talk.agent.heard)
    assert not ears.likeness(prompt("warn-3"), talk.caller.heard)


async def rings(here: Playhouse) -> tuple[Talk, str]:
    """A caller whose call rings agent1, who does not answer: the call and the ringing line outside."""
    since = len(here.there.outside.events)
    talk = await here.call("601", answer=False)
    ringing = await here.there.outside.until(
        lambda e: e.get("UserEvent") == "SandboxRinging" and e.get("Phone") == "agent1", timeout_s=20, after=since
    )
    return talk, ringing["Uniqueid"]


async def answered(talk: Talk, name: str) -> Talk:
    """The same call, once this phone has answered it."""
    agent = await talk.there.phone(name, after=talk.outside)
    await talk.heard_of(lambda e: of(e, "kind") == "call" and name in e.agent_channel)
    await talk.tapped()
    return replace(talk, agent=agent)


async def after_ringing(talk: Talk, into: Path, *, kinds: list[str]) -> None:
    """Whoever answered in the end has the keys, is heard and is told from the first."""
    await talk.caller.say(BEFORE)
    pressed = await talk.key("*7", "flag")
    await talk.caller.say(AFTER)
    await talk.agent.say(REPLY)
    await talk.over()
    assert pressed.tone == "accepted"
    await of_one_piece(talk, into, agent=talk.agent, kinds=kinds)


async def test_a_queue_that_tries_again(here: Playhouse, tmp_path: Path) -> None:
    await here.there.answering("no")
    try:
        ringing, line = await rings(here)
        await here.there.answering("0.3")
        await here.there.outside.ask(Action="Redirect", Channel=line, Context="refusing", Exten="s", Priority="1")
        talk = await answered(ringing, "agent1")
    finally:
        await here.there.answering("0.3")
    await after_ringing(talk, tmp_path, kinds=[])


async def test_a_phone_that_forwards(here: Playhouse, tmp_path: Path) -> None:
    """The member's phone answers 302: its colleague has the call."""
    await here.there.answering("no")
    try:
        ringing, line = await rings(here)
        await here.there.answering("0.3")
        await here.there.outside.ask(Action="Redirect", Channel=line, Context="moved", Exten="s", Priority="1")
        talk = await answered(ringing, "agent2")
    finally:
        await here.there.answering("0.3")
    await after_ringing(talk, tmp_path, kinds=["forward"])


async def test_a_call_picked_up_by_a_colleague(here: Playhouse, tmp_path: Path) -> None:
    """agent1's phone rings, agent2 takes the call over from there: the keys are agent2's."""
    await here.there.answering("no")
    try:
        ringing, _ = await rings(here)
        colleague = await here.there.dial("agent2", "799")
        await ringing.heard_of(lambda e: of(e, "kind") == "call" and "agent2" in e.agent_channel)
        await ringing.tapped()
    finally:
        await here.there.answering("0.3")
    await after_ringing(replace(ringing, agent=colleague), tmp_path, kinds=["pickup"])


async def test_two_calls_at_one_phone(here: Playhouse, tmp_path: Path) -> None:
    """Call waiting: each call has its own agent's leg, and a key counts for the call it was pressed in."""
    first = await here.call()
    second = await here.call("602", number="0312340000")
    await second.caller.say(BEFORE)
    pressed = await second.key("*7", "flag")
    await second.caller.say(AFTER)
    await second.agent.say(REPLY)
    await second.caller.hang_up()
    await second.agent.gone()
    await second.heard_of(lambda e: of(e, "kind") == "call" and e.ended)
    await second.finished()
    await first.over()
    assert first.call != second.call and pressed.tone == "accepted"
    assert first.all("case") == [] and first.all("key") == []
    sound = second.tracks(tmp_path)
    assert ears.likeness(AFTER, sound["caller"]) and ears.likeness(REPLY, sound["agent"])
    assert ears.likeness(REPLY, second.caller.heard) and not ears.likeness(REPLY, first.caller.heard)


async def test_three_parties(here: Playhouse, tmp_path: Path) -> None:
    """The agent takes a colleague in (Asterisk's own *3 there): all three are heard, and nobody may barge."""
    talk = await flagged(here)
    since = len(here.there.outside.events)
    await talk.agent.press("#2")
    await talk.agent.press("102")
    colleague = await here.there.phone("agent2", after=since)
    await talk.agent.press("*3")
    await talk.tapped(3)
    await talk.caller.say(AFTER)
    await colleague.say(REPLY)
    refused = await talk.order("barge", phone="PJSIP/sup1")
    await talk.caller.hang_up()
    await talk.agent.hang_up()
    await colleague.gone()
    await talk.ended()
    await talk.finished()
    assert (refused.done, refused.refusal) == (False, "presence-not-two")
    for one in (talk.agent, colleague):
        assert ears.likeness(AFTER, one.heard)
    assert ears.likeness(REPLY, talk.caller.heard)
    sound = talk.tracks(tmp_path)
    agents = [file for name, file in sound.items() if name.startswith("agent")]
    assert sum(len(ears.likeness(REPLY, file)) for file in agents) == 1
    told = [(key.key, key.seen_by, key.refusal) for key in talk.all("key")]
    assert told == [("flag", "feature", ""), ("end", "dtmf", "in-consultation")], told
