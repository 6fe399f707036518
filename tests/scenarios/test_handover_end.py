"""A caller who is handed over or told good-bye, the agent who rests afterwards, and whom no machine may touch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from stage import Daemons, Playhouse, Talk, of, prompt

from callguard.sandbox import ears
from callguard.sandbox.house import sandbox_dir
from callguard.sandbox.scene import Speech, load
from callguard.sandbox.world import Headers, World

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

POLICY = """
mode = "act"

[[ladder]]
announcement = "warn-1"
gap_s = 0

[exceptions]
protected_numbers = ["0311112222"]
relay_numbers = ["0399990000"]

[rest]
min_s = 3
max_s = 600
after_flag = false

[queue.support-local.destinations]
handover = "nowhere"
care = ""

[queue.support-local.destinations.allowed]
nowhere = "999"
"""


def paused(value: str) -> Callable[[Headers], bool]:
    """An agent was paused (1) or came back (0)."""

    def wanted(event: Headers) -> bool:
        return event.get("Event") == "QueueMemberPause" and event.get("Paused") == value

    return wanted


async def back(talk: Talk, *, interface: str = "PJSIP/agent1") -> None:
    """The agent is brought back, as soon as the least time is over."""
    since = len(talk.there.pbx.events)
    while not (await talk.order("rest-back", interface=interface)).done:  # noqa: ASYNC110 - refused until then
        await asyncio.sleep(0.5)
    await talk.pbx_says(paused("0"), after=since)


async def test_handed_over_to_the_desk(here: Playhouse) -> None:
    """The desk hears the caller, the agent does not any more and rests, and comes back no sooner than allowed."""
    talk = await here.call()
    since = len(here.there.outside.events)
    taken = await talk.key("*6", "handover")
    desk = await here.there.phone("desk1", after=since)
    done = await talk.effect("Transfer")
    await talk.agent.gone()
    rested = await talk.pbx_says(paused("1"))
    early = await talk.order("rest-back", interface="PJSIP/agent1")
    await talk.tapped(3)
    await talk.caller.say(prompt("closing"))
    await talk.caller.hang_up()
    await desk.gone()
    await talk.ended()
    await talk.finished()
    await back(talk)
    assert (taken.tone, done.effect) == ("accepted", "done")
    assert len(ears.likeness(prompt("closing"), desk.heard)) == 1
    assert ears.likeness(prompt("closing"), talk.agent.heard) == []
    assert rested["Interface"] == "PJSIP/agent1" and rested["PausedReason"] == "callguard-rest"
    assert (early.done, early.refusal) == (False, "cooling-down")
    [moved] = [one for one in talk.lines("action") if one["name"] == "Transfer"]
    assert (moved["destination"], moved["extension"]) == ("desk", "700")
    assert len({one.call for one in talk.all("call")}) == 1


async def test_a_destination_that_the_dialplan_lacks(here: Playhouse) -> None:
    """The call stays where it is: both go on hearing each other."""
    talk = await here.call("601")
    await talk.key("*6", "handover")
    done = await talk.effect("Transfer")
    await talk.caller.say(prompt("closing"))
    await talk.over()
    await talk.finished()
    await back(talk, interface="Local/101@members/n")
    assert (done.effect, done.detail) == ("failed", "no-destination")
    assert ears.likeness(prompt("closing"), talk.agent.heard)


async def test_ended_by_policy_with_the_closing_words(here: Playhouse) -> None:
    """Refused before the ladder is done; after it the caller hears the words whole, and the line ends."""
    talk = await here.call()
    early = await talk.key("*3", "end")
    await talk.key("*8", "warn")
    await talk.effect("PlayWarning")
    taken = await talk.key("*3", "end")
    done = await talk.effect("EndCall")
    await talk.caller.gone()
    await talk.agent.gone()
    await talk.ended()
    await talk.finished()
    await talk.pbx_says(paused("1"))
    await back(talk)
    assert early.refusal == "policy-forbids" and taken.tone == "accepted" and done.effect == "done"
    assert len(ears.likeness(prompt("closing"), talk.caller.heard)) == 1
    assert ears.likeness(prompt("closing"), talk.agent.heard) == []
    assert [(one["announcement"], one["whole"]) for one in talk.lines("announcement")] == [
        ("warn-1", True),
        ("closing", True),
    ]


async def test_a_machine_announces_only_where_no_exception_holds(there: World, daemons: Daemons) -> None:
    """The same time limit in mode act: announced to an ordinary caller, not to a protected number or a relay."""
    async with daemons(there, POLICY + LIMIT) as one:
        for number, spoken in (("0312345678", True), ("0311112222", False), ("0399990000", False)):
            talk = await Playhouse(there=there, one=one).call(number=number)
            await talk.heard_of(
                lambda e: of(e, "kind") == "decision" and any("time limit 'short'" in why for why in e.because)
            )
            if spoken:
                assert (await talk.effect("PlayWarning")).effect == "done"
            else:
                await talk.key("*8", "warn")
            await talk.over()
            assert len(ears.likeness(prompt("time-notice"), talk.caller.heard)) == (1 if spoken else 0)
            assert [key.refusal for key in talk.all("key")] == ([] if spoken else ["care-first"])
            assert ears.likeness(prompt("warn-1"), talk.caller.heard) == []
            called = [action for action in talk.all("action") if action.name == "CallHuman"]
            assert bool(called) == (number == "0399990000")


LIMIT = """
[[limits]]
name = "short"
after_s = 60
notice_before_s = 54
announcement = "time-notice"
automatic = true
"""


async def test_words_of_despair_stop_the_machine_and_call_a_human(there: World, daemons: Daemons) -> None:
    """A life may be at risk: in mode act the threat in the same breath warns nobody, a human is called at once."""
    folder = sandbox_dir() / "speech"
    folder.mkdir(exist_ok=True)
    words = "I want to die. I will find you and I will kill you."
    said = Speech(folder=folder).of(words, load("en").voices["caller"])
    async with daemons(there, POLICY, rules=RULES, hearing=True) as one:
        talk = await Playhouse(there=there, one=one).call()
        await talk.caller.say(said)
        await talk.heard_of(
            lambda e: of(e, "kind") == "finding" and e.rule == "en.test.kill" and e.stage == "committed"
        )
        human = await talk.heard_of(lambda e: of(e, "kind") == "action" and e.name == "CallHuman")
        await talk.over()
        assert human.effect == "done"
        assert [one.name for one in talk.all("action") if one.name != "CallHuman"] == []
        assert talk.row.level == 3 and talk.row.care
    assert ears.likeness(prompt("warn-1"), talk.caller.heard) == []


RULES = """
language = "en"
[[rule]]
id = "en.test.despair"
category = "life_at_risk"
severity = 0
any = ["want to die"]
[[rule]]
id = "en.test.kill"
category = "threat"
severity = 3
any = ["kill you"]
"""
