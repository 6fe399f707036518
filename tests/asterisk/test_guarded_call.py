"""A guarded call on the real Asterisk, judged by what both sides heard and by what is in the record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from telephone import PROMPTS, Daemon, of, talking

from callguard.sandbox import ears
from callguard.sandbox.guarding import Guarding
from callguard.sandbox.world import Headers, World
from callguard.store import open_store

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

WARNING, CLOSING = PROMPTS / "warn-1.wav", PROMPTS / "closing.wav"
ACCEPTED, REFUSED, ONLY = (PROMPTS / f"tone-{name}.wav" for name in ("accepted", "refused", "recorded-only"))


async def ended(one: Guarding, call: str) -> None:
    await one.until(lambda e: of(e, "kind") == "call" and of(e, "call") == call and of(e, "ended"), timeout_s=20)


async def key(one: Guarding, name: str, *, after: int = 0) -> Any:
    return await one.until(lambda e: of(e, "kind") == "key" and of(e, "key") == name, timeout_s=10, after=after)


@pytest.mark.parametrize("extension", ["600", "601", "602"], ids=["queue", "queue-local", "dial"])
async def test_flag_and_warning(there: World, daemon: Daemon, speech: Path, extension: str) -> None:
    """Both member modes and a plain Dial: the caller hears the warning, the agent the tones, the record has both."""
    async with daemon() as one:
        caller, agent, call = await talking(there, one, extension)
        await caller.say(speech)
        await agent.press("*7")
        pressed = await key(one, "flag")
        await asyncio.sleep(0.8)  # the tone is over
        await agent.press("*8")
        await key(one, "warn")
        done = await one.until(
            lambda e: of(e, "kind") == "action" and of(e, "name") == "PlayWarning" and of(e, "effect") != "begun",
            timeout_s=40,
        )
        assert of(done, "effect") == "done"
        await caller.hang_up()
        await agent.gone()
        await ended(one, call)
        case = await one.until(lambda e: of(e, "kind") == "case" and of(e, "status") == "finished", timeout_s=20)
        home = one.settings.parent
    assert len(ears.likeness(WARNING, caller.heard)) == 1, caller.heard
    assert len(ears.likeness(WARNING, agent.heard)) <= 1
    assert len(ears.likeness(ACCEPTED, agent.heard)) == 2
    assert ears.likeness(ACCEPTED, caller.heard) == []
    assert ears.likeness(speech, agent.heard)
    assert of(pressed, "tone") == "accepted" and of(pressed, "stored_at") is not None
    assert of(case, "segment_start_ms") < of(pressed, "at_ms") - 3000
    store = open_store(f"sqlite:///{home}/callguard.db", segments=home / "segments", key_file=None)
    try:
        view = store.case(of(case, "case"))
        assert view is not None
    finally:
        store.close()
    assert list((home / "segments").rglob("*caller*"))


async def test_the_callers_own_key_does_nothing(there: World, daemon: Daemon) -> None:
    async with daemon() as one:
        caller, agent, call = await talking(there, one)
        await caller.press("*7")
        await caller.press("*8")
        await asyncio.sleep(1.5)  # nothing is to be waited for: longer than features.conf's time between digits
        await caller.hang_up()
        await agent.gone()
        await ended(one, call)
        assert not [e for e in one.board if of(e, "kind") in ("key", "case", "action")]
    for side in (caller, agent):
        assert ears.likeness(ACCEPTED, side.heard) == [] and ears.likeness(WARNING, side.heard) == []


async def test_twenty_presses_are_one_flag(there: World, daemon: Daemon) -> None:
    async with daemon() as one:
        caller, agent, call = await talking(there, one)
        for _ in range(4):
            await agent.press("*7", gap_s=0.05)
        await key(one, "flag")
        await caller.hang_up()
        await agent.gone()
        await ended(one, call)
        opened = [e for e in one.board if of(e, "kind") == "case" and of(e, "status") == "opened"]
    assert len(opened) == 1


async def test_a_key_that_is_refused_sounds_otherwise(there: World, daemon: Daemon) -> None:
    """There is no flag to take back; asked why, the agent is told in words."""
    async with daemon() as one:
        caller, agent, call = await talking(there, one)
        await agent.press("*4")
        refused = await key(one, "unflag")
        await asyncio.sleep(0.8)  # the tone is over
        await agent.press("*5")
        await key(one, "why")
        await asyncio.sleep(3.0)  # the words are over
        await caller.hang_up()
        await agent.gone()
        await ended(one, call)
    assert of(refused, "refusal") == "nothing-to-withdraw" and of(refused, "tone") == "refused"
    assert len(ears.likeness(REFUSED, agent.heard)) == 1
    assert len(ears.likeness(PROMPTS / "refusal-nothing-to-withdraw.wav", agent.heard)) == 1
    assert ears.likeness(PROMPTS / "refusal-nothing-to-withdraw.wav", caller.heard) == []


async def test_killed_in_a_call(there: World, daemon: Daemon, speech: Path, tmp_path: Path) -> None:
    """kill -9: the call goes on, the next life taps it again, keys pressed meanwhile are in the record."""
    async with daemon(home=tmp_path) as one:
        caller, agent, _ = await talking(there, one)
        await one.kill()
        since = len(there.pbx.events)
        await agent.press("*7")
        kept = await there.pbx.until(lambda e: e.get("UserEvent") == "CallguardKept", timeout_s=20, after=since)
        await there.pbx.until(returned, timeout_s=20, after=since)
        await caller.say(speech)
        async with daemon(home=tmp_path) as two:
            late = await key(two, "flag")
            row = await two.until(lambda e: of(e, "kind") == "call" and of(e, "agent_channel"), timeout_s=20)
            assert of(late, "call") == of(row, "call")
            assert await taps(there) == 2
            await caller.hang_up()
            await agent.gone()
            await ended(two, of(row, "call"))
    assert ears.likeness(speech, agent.heard)
    assert len(ears.likeness(ONLY, agent.heard)) == 1
    assert ears.likeness(speech, there.pbx.folder / "spool" / "callguard" / f"{kept['File']}.caller.wav")


def returned(event: Headers) -> bool:
    """The agent's key is done: the tone is over, and the agent is back with the caller."""
    return (event.get("Event"), event.get("Context"), event.get("Application")) == (
        "Newexten",
        "callguard-key",
        "Return",
    )


async def taps(there: World) -> int:
    async with asyncio.timeout(20):
        while True:
            shown = await asyncio.to_thread(there.pbx.console, there.house, "core show channels concise")
            count = sum("!ChanSpy!" in line for line in shown.splitlines())
            if count >= 2:
                return count
            await asyncio.sleep(0.2)


def refusals(there: World) -> int:
    return there.pbx.log.count("failed to authenticate as 'callguard'")


async def test_a_wrong_secret_stops_after_three(there: World, daemon: Daemon) -> None:
    before = refusals(there)
    async with daemon(secret="wrong", wait=False) as one:
        told = await one.until(
            lambda e: of(e, "kind") == "health" and of(e, "parts").get("pbx") == "ami-refused", timeout_s=40
        )
        assert told
        async with asyncio.timeout(30):
            while refusals(there) < before + 3:  # noqa: ASYNC110 - a log tells nobody
                await asyncio.sleep(0.1)
        since = len(there.outside.events)
        caller = await there.ring()
        agent = await there.phone("agent1", after=since)
        await agent.press("*7")
        await asyncio.sleep(1.5)  # the tone is over
        await caller.hang_up()
        await agent.gone()
    assert refusals(there) == before + 3  # and no more while the call lasted
    assert ears.likeness(ONLY, agent.heard)


@pytest.mark.parametrize(
    "name", ["quo'te ${SHELL(touch /tmp/callguard-no)}", "名前 太郎", "a,b|c^d&e", "<script>alert(1)</script>", "a;b=c"]
)
async def test_odd_caller_names_stay_text(there: World, daemon: Daemon, name: str) -> None:
    async with daemon() as one:
        since = len(there.outside.events)
        caller = await there.ring(name=name)
        agent = await there.phone("agent1", after=since)
        row = await one.until(lambda e: of(e, "kind") == "call" and of(e, "agent_channel"), timeout_s=15)
        await agent.press("*7")
        await key(one, "flag")
        await caller.hang_up()
        await agent.gone()
        await ended(one, of(row, "call"))
    assert of(row, "caller_name") == name
    assert not ran(there)


def ran(there: World) -> bool:
    """Whether the name's command was run, on this machine or in the root."""
    return any((root / "tmp/callguard-no").exists() for root in (Path("/"), there.house.root) if root)


async def test_no_daemon_at_all(there: World, speech: Path) -> None:
    """Law 1: the call goes as if callguard were not installed, and a key still keeps evidence."""
    since = len(there.outside.events)
    caller = await there.ring()
    agent = await there.phone("agent1", after=since)
    await agent.press("*7")
    await asyncio.sleep(1.5)  # the tone is over
    await caller.say(speech)
    await caller.hang_up()
    await agent.gone()
    assert ears.likeness(speech, agent.heard) and len(ears.likeness(ONLY, agent.heard)) == 1
    for waiting in there.spool.glob("*.json"):
        waiting.unlink()


async def test_words_alone_are_found_and_nothing_is_played(there: World, daemon: Daemon) -> None:
    """Mode observe: a threat raises a finding; nobody hears anything of it, and no key means no case."""
    from callguard.sandbox.house import sandbox_dir
    from callguard.sandbox.scene import Speech, load

    folder = sandbox_dir() / "speech"
    folder.mkdir(exist_ok=True)
    threat = Speech(folder=folder).of("I will find you and I will kill you.", load("en").voices["caller"])
    async with daemon(hearing=True) as one:
        caller, agent, call = await talking(there, one)
        await caller.say(threat)
        found = await one.until(lambda e: of(e, "kind") == "finding" and of(e, "stage") == "committed", timeout_s=20)
        await caller.hang_up()
        await agent.gone()
        await ended(one, call)
        assert not [e for e in one.board if of(e, "kind") in ("case", "action")]
    assert of(found, "rule") == "en.test.kill"
    assert ears.loud_s(caller.heard) == 0.0 or ears.likeness(WARNING, caller.heard) == []
    assert ears.likeness(ACCEPTED, agent.heard) == []
