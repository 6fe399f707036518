"""Supervisors on a real call: who hears whom in each mode, how the mode is changed, who is kept out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from stage import Playhouse, of, prompt

from callguard.sandbox import ears
from callguard.sandbox.world import Handset

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

POLICY = """
[[ladder]]
announcement = "warn-1"
gap_s = 0
approvers = ["supervisor"]
wait_s = 60

[destinations.allowed]
desk = "700"
sup1 = "900"
"""

FIRST, SECOND, THIRD, FOURTH = (
    prompt(name) for name in ("closing", "refusal-care-first", "refusal-policy-forbids", "recording-notice")
)
TONE = prompt("tone-supervisor")
WRONG = "Ext. s: callguard: wrong PIN from agent2"


async def test_listen_whisper_barge_by_keys(here: Playhouse, tmp_path: Path) -> None:
    """4, 5 and 6 while listening: nobody, the agent, both hear the supervisor; the record and the audit know when."""
    talk = await here.call()
    await talk.key("*7", "flag")
    since = len(here.there.outside.events)
    answer = await talk.order("listen", phone="PJSIP/sup1")
    boss = await here.there.phone("sup1", after=since)
    await talk.heard_of(lambda e: of(e, "kind") == "call" and e.presence == ("listen:mori",))
    await talk.caller.say(prompt("time-notice"))
    for sound, digit, mode in (
        (FIRST, "5", "whisper"),
        (SECOND, "6", "barge"),
        (THIRD, "4", "listen"),
        (FOURTH, "", ""),
    ):
        await boss.say(sound)
        await asyncio.sleep(0.5)  # what was said last is still on its way
        if digit:
            told = len(here.one.board)
            await boss.press(digit)
            await talk.heard_of(lambda e, m=mode: of(e, "kind") == "call" and e.presence == (f"{m}:mori",), after=told)
    await boss.hang_up()
    await talk.over()
    await talk.finished()
    assert answer.done and ears.likeness(prompt("time-notice"), boss.heard)
    heard = [
        (len(ears.likeness(sound, talk.agent.heard)), len(ears.likeness(sound, talk.caller.heard)))
        for sound in (FIRST, SECOND, THIRD, FOURTH)
    ]
    assert heard == [(0, 0), (1, 0), (1, 1), (0, 0)]
    assert ears.likeness(TONE, talk.agent.heard) and not ears.likeness(TONE, talk.caller.heard)
    told = [(one["mode"], one["what"]) for one in talk.lines("presence")]
    assert [one for one in told if one[1] == "changed"] == [(m, "changed") for m in ("whisper", "barge", "listen")]
    assert told[-1] == ("listen", "ended")
    kept = {name: file for name, file in talk.tracks(tmp_path).items() if name.startswith("supervisor")}
    assert [len(ears.likeness(THIRD, file)) for file in kept.values()].count(1) == 1
    assert not any(ears.likeness(one, file) for one in (FIRST, FOURTH) for file in kept.values())
    verbs = [one.verb for one in talk.audits()]
    assert {"order-ordered", "order-done", "presence-began", "presence-changed", "presence-ended"} <= set(verbs)


async def test_by_dialling_and_a_yes_by_key(here: Playhouse) -> None:
    """A supervisor dials in to whisper, and says yes to the warning with 9; the audit names the phone."""
    talk = await here.call()
    boss = await here.there.dial("sup1", "2101")
    row = await talk.heard_of(lambda e: of(e, "kind") == "call" and e.presence)
    waits = await talk.key("*8", "warn")
    await talk.heard_of(lambda e: of(e, "kind") == "call" and e.requests)
    await boss.press("9")
    done = await talk.effect("PlayWarning")
    await boss.say(FIRST)
    await boss.hang_up()
    await talk.over()
    assert row.presence == ("whisper:PJSIP/sup1",)
    assert (waits.refusal, done.effect) == ("needs-approval", "done")
    assert len(ears.likeness(prompt("warn-1"), talk.caller.heard)) == 1
    assert len(ears.likeness(FIRST, talk.agent.heard)) == 1 and not ears.likeness(FIRST, talk.caller.heard)
    assert ("PJSIP/sup1", "presence-began") in [(one.who, one.verb) for one in talk.audits()]


async def test_a_phone_that_is_no_supervisors_hears_a_refusal(here: Playhouse) -> None:
    talk = await here.call()
    nosy = await here.there.dial("agent2", "1101")
    await talk.pbx_says(lambda e: e.get("UserEvent") == "CallguardSpyRefused")
    await talk.caller.say(FIRST)
    await nosy.gone()
    own = await talk.own_channels()
    await talk.over()
    assert ears.likeness(prompt("refusal-policy-forbids"), nosy.heard)
    assert not ears.likeness(FIRST, nosy.heard) and len(own) == 2
    assert talk.row.presence == ()


async def with_pin(here: Playhouse, pin: str) -> Handset:
    """A telephone that is no supervisor's wants to listen and types this."""
    phone = await here.there.dial("agent2", "1101")
    await asyncio.sleep(2.5)  # the question is over
    await phone.press(pin)
    return phone


async def test_a_pin_opens_and_three_wrong_ones_lock(here: Playhouse) -> None:
    """The lock holds against the right PIN too, is for that telephone, and every try is in Asterisk's log."""
    talk = await here.call()
    console, told = here.there.pbx.console, here.there.pbx.log.count(WRONG)
    await asyncio.to_thread(console, here.there.house, "database del callguard-pin agent2")
    for wrong in ("111111#", "48291#", "1#"):
        phone = await with_pin(here, wrong)
        await phone.gone()
        assert ears.likeness(prompt("refusal-policy-forbids"), phone.heard)
    locked = await here.there.dial("agent2", "1101")
    await locked.gone()
    own = await talk.own_channels()
    await asyncio.to_thread(console, here.there.house, "database del callguard-pin agent2")
    opened = await with_pin(here, "482913#")
    row = await talk.heard_of(lambda e: of(e, "kind") == "call" and bool(e.presence))
    await talk.caller.say(FIRST)
    await opened.hang_up()
    await talk.over()
    assert len(own) == 2, "nobody but our two taps was there"
    assert not ears.likeness(prompt("enter-pin"), locked.heard)
    assert ears.likeness(prompt("refusal-policy-forbids"), locked.heard)
    assert ears.likeness(prompt("enter-pin"), opened.heard) and ears.likeness(FIRST, opened.heard)
    assert "mori" in str(row.presence)
    assert here.there.pbx.log.count(WRONG) == told + 3
    assert "482913" not in str([one.data for one in talk.audits()])


async def test_take_over(here: Playhouse) -> None:
    """Only to a phone on the policy's list: then the caller talks to the supervisor, and the agent is free."""
    talk = await here.call()
    refused = await talk.order("take-over", phone="PJSIP/agent2")
    since = len(here.there.outside.events)
    done = await talk.order("take-over", phone="PJSIP/sup1")
    boss = await here.there.phone("sup1", after=since)
    await talk.agent.gone()
    await talk.caller.say(FIRST)
    await talk.caller.hang_up()
    await boss.gone()
    await talk.ended()
    assert (refused.done, refused.refusal) == (False, "no-destination")
    assert done.done and ears.likeness(FIRST, boss.heard) and not ears.likeness(FIRST, talk.agent.heard)
    assert "order-refused" in [one.verb for one in talk.audits()]
