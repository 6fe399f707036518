"""The agent's keys on a real call: each answers the agent alone, each counts once, each refusal has its reason."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
from softphone import softphone
from stage import Playhouse, Talk, of, prompt

from callguard.bus.topics import KEYS
from callguard.sandbox import ears

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

POLICY = """
[[ladder]]
announcement = "warn-1"
gap_s = 0

[queue.support-local.keeping]
notice = true
"""
"""The notice answers the caller's line before the agent's phone rings."""

ACCEPTED, REFUSED, ONLY = (prompt(f"tone-{name}") for name in ("accepted", "refused", "recorded-only"))


async def sent(talk: Talk, key: str, *, channel: str, times: int = 1, age_ms: int = 0) -> list[str]:
    """Presses as the key script sends them, for what no finger can do."""
    ids = [uuid.uuid4().hex for _ in range(times)]
    for press in ids:
        await talk.one.bus.add(
            KEYS,
            {
                "id": press,
                "key": key,
                "uniqueid": channel,
                "linkedid": talk.call,
                "channel": "PJSIP/agent1-00000000",
                "pressed_at_ms": int(time.time() * 1000) - age_ms,
            },
        )
    return ids


def agents_channel(talk: Talk) -> str:
    """The agent's channel on the PBX."""
    events = talk.there.pbx.events[talk.pbx :]
    return next(e["SpyeeUniqueid"] for e in events if "PJSIP/agent1-" in e.get("SpyeeChannel", ""))


async def test_each_key_answers_the_agent_alone(here: Playhouse) -> None:
    """Flag, take back, help are accepted; ending is refused by policy, and "why" says so in words."""
    talk = await here.call()
    taken = [await talk.key(digits, name) for digits, name in (("*7", "flag"), ("*4", "unflag"), ("*9", "help"))]
    refused = await talk.key("*3", "end")
    await talk.key("*5", "why")
    await talk.over()
    await talk.finished()
    assert [(one.tone, one.refusal) for one in taken] == [("accepted", "")] * 3
    assert (refused.tone, refused.refusal) == ("refused", "policy-forbids")
    assert {one.level for one in talk.all("call")} >= {3}
    assert len(ears.likeness(ACCEPTED, talk.agent.heard)) == 3
    assert len(ears.likeness(REFUSED, talk.agent.heard)) == 1
    assert len(ears.likeness(prompt("refusal-policy-forbids"), talk.agent.heard)) == 1
    for sound in (ACCEPTED, REFUSED, prompt("refusal-policy-forbids")):
        assert ears.likeness(sound, talk.caller.heard) == []
    assert [(one["key"], one["seen_by"]) for one in talk.lines("key")] == [
        (name, "feature") for name in ("flag", "unflag", "help", "end", "why")
    ]
    assert [one["refusal"] for one in talk.lines("decision") if one["refusal"]] == ["policy-forbids"]
    flags = [one["what"] for one in talk.lines("flag")]
    assert flags == ["raised", "withdrawn"]


async def test_a_press_seen_by_both_paths_counts_once(here: Playhouse) -> None:
    """The feature's script and the manager's digits bring the same press: one line, which names both."""
    talk = await here.call()
    await talk.key("*7", "flag")
    await talk.over()
    await talk.finished()
    [pressed] = talk.lines("key")
    assert (pressed["seen_by"], pressed["also_seen_by"]) == ("feature", "dtmf")
    assert len(talk.all("key")) == 1
    assert [one["what"] for one in talk.lines("flag")] == ["raised"]


async def test_twenty_presses_in_two_seconds_are_one_flag(here: Playhouse) -> None:
    talk = await here.call()
    began = time.monotonic()
    ids = await sent(talk, "flag", channel=agents_channel(talk), times=20)
    took = time.monotonic() - began
    await talk.heard_of(lambda e: of(e, "kind") == "key" and e.press == ids[-1])
    await talk.over()
    await talk.finished()
    assert took < 2.0
    assert {one.press for one in talk.all("key")} == set(ids)
    assert len([one for one in talk.all("case") if one.status == "opened"]) == 1
    assert [one["what"] for one in talk.lines("flag")] == ["raised"]
    assert len(talk.lines("key")) == 20


async def test_a_warning_during_a_warning_is_one_warning(here: Playhouse) -> None:
    talk = await here.call()
    await talk.key("*8", "warn")
    await talk.pbx_says(lambda e: e.get("UserEvent") == "CallguardAnnouncement" and e.get("Stage") == "begin")
    again = await talk.key("*8", "warn")
    done = await talk.effect("PlayWarning")
    await talk.over()
    await talk.finished()
    assert done.effect == "done"
    assert (again.tone, again.refusal) == ("refused", "warning-running")
    assert len(ears.likeness(prompt("warn-1"), talk.caller.heard)) == 1
    assert len(ears.likeness(REFUSED, talk.agent.heard)) == 1
    assert len(talk.lines("announcement")) == 1


async def test_an_old_press_is_recorded_and_not_carried_out(here: Playhouse) -> None:
    talk = await here.call()
    [press] = await sent(talk, "warn", channel=agents_channel(talk), age_ms=15_000)
    old = await talk.heard_of(lambda e: of(e, "kind") == "key" and e.press == press)
    await talk.key("*7", "flag")
    await talk.over()
    await talk.finished()
    assert (old.tone, old.refusal) == ("recorded-only", "too-old")
    assert [one["key"] for one in talk.lines("key")] == ["warn", "flag"]
    assert talk.lines("announcement") == [] and not ears.likeness(prompt("warn-1"), talk.caller.heard)


async def test_a_press_after_the_end_is_refused_and_audited(here: Playhouse) -> None:
    talk = await here.call()
    channel = agents_channel(talk)
    await talk.over()
    [press] = await sent(talk, "warn", channel=channel)
    answer = await talk.one.bus.client.blpop([f"callguard:answer:{press}"], timeout=10)
    assert answer is not None and b"call-over" in answer[1]
    async with asyncio.timeout(10):  # answered first, then recorded: nobody waits for the disk
        while not (kept := refused_of(talk, channel)):  # noqa: ASYNC110 - the audit tells nobody
            await asyncio.sleep(0.1)
    assert kept == ["call-over"]


def refused_of(talk: Talk, channel: str) -> list[str]:
    """Why keys of this channel were refused, by the audit."""
    with talk.store() as store:
        return [str(one.data["why"]) for one in store.audit_lines(thing=f"leg:{channel}") if one.verb == "key-refused"]


async def test_a_press_while_ringing_is_refused(here: Playhouse) -> None:
    await here.there.answering("no")
    try:
        talk = await here.call("601", answer=False)
        ringing = await talk.pbx_says(lambda e: e.get("Event") == "DialBegin" and "agent1" in e.get("DestChannel", ""))
        [press] = await sent(talk, "flag", channel=ringing["DestUniqueid"])
        key = await talk.heard_of(lambda e: of(e, "kind") == "key" and e.press == press)
        await talk.caller.hang_up()
        await talk.ended()
    finally:
        await here.there.answering("0.3")
    assert (key.tone, key.refusal) == ("refused", "ringing")
    assert talk.all("case") == []


async def test_a_press_in_consultation_is_refused(here: Playhouse) -> None:
    """The agent asks a colleague meanwhile: nothing is done, and nobody but the agent hears of it."""
    talk = await here.call()
    since = len(here.there.outside.events)
    await talk.agent.press("#2")
    await talk.agent.press("102")
    colleague = await here.there.phone("agent2", after=since)
    told = len(here.one.board)
    await talk.agent.press("*7")
    key = await talk.heard_of(lambda e: of(e, "kind") == "key", after=told)
    await colleague.hang_up()
    await talk.heard_of(lambda e: of(e, "kind") == "call" and not e.held, after=told)
    await talk.over()
    assert (key.key, key.tone, key.refusal) == ("flag", "refused", "in-consultation")
    assert talk.all("case") == []
    assert len(ears.likeness(REFUSED, talk.agent.heard)) == 1
    assert ears.likeness(REFUSED, talk.caller.heard) == [] and ears.likeness(REFUSED, colleague.heard) == []


async def test_a_press_on_hold_is_refused(here: Playhouse) -> None:
    """The caller put the agent on hold; once they are back, the key works."""
    told, pbx, since = len(here.one.board), len(here.there.pbx.events), len(here.there.outside.events)
    async with softphone(here.there.pbx.ports.sip, "600") as caller:
        await caller.dial()
        agent = await here.there.phone("agent1", after=since)
        row = await here.one.until(
            lambda e: of(e, "kind") == "call" and of(e, "agent_channel") and not of(e, "ended"),
            timeout_s=20,
            after=told,
        )
        talk = Talk(
            there=here.there,
            one=here.one,
            caller=agent,
            agent=agent,
            call=of(row, "call"),
            told=told,
            pbx=pbx,
            outside=since,
        )
        await caller.hold()
        await talk.pbx_says(lambda e: e.get("Event") == "Hold")
        held = await talk.key("*7", "flag")
        await caller.hold(False)
        await talk.pbx_says(lambda e: e.get("Event") == "Unhold")
        back = await talk.key("*7", "flag")
        await caller.hang_up()
        await agent.gone()
        await talk.ended()
    assert (held.tone, held.refusal) == ("refused", "on-hold")
    assert (back.tone, back.refusal) == ("accepted", "")


async def test_digits_alone_are_a_key_where_the_feature_is_missing(here: Playhouse) -> None:
    """features.conf lost the flag key: the manager's digits bring the press, and the agent is told in a whisper."""
    file = here.there.pbx.folder / "etc" / "features_callguard.conf"
    whole = file.read_text()
    kept = "".join(line for line in whole.splitlines(keepends=True) if not line.startswith("callguard-flag"))
    try:
        await here.reload(file, kept)
        talk = await here.call()
        await talk.agent.press("*7")
        key = await talk.heard_of(lambda e: of(e, "kind") == "key")
        await talk.caller.say(prompt("time-notice"))
        await talk.over()
        await talk.finished()
    finally:
        await here.reload(file, whole)
    assert (key.key, key.seen_by, key.tone) == ("flag", "dtmf", "accepted")
    assert len(talk.lines("key")) == 1
    assert ears.likeness(ACCEPTED, talk.caller.heard) == []
