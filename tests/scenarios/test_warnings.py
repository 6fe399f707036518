"""The ladder on a real call: what the caller hears of it, what the record says, who was asked before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stage import Daemons, Playhouse, Talk, of, prompt

from callguard.policy.keys import features_conf
from callguard.policyfile import load_policy
from callguard.sandbox import ears
from callguard.sandbox.world import World

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

POLICY = """
languages = ["en", "ja"]

[[ladder]]
announcement = "warn-1"
gap_s = 0

[[ladder]]
announcement = "warn-2"
gap_s = 0
approvers = ["supervisor"]
wait_s = 60

[queue.support-local]
languages = ["ja", "en"]

[[queue.support-local.ladder]]
announcement = "warn-1"
gap_s = 0
approvers = ["supervisor", "desk"]
wait_s = 2
"""

REFUSED = prompt("tone-refused")


async def test_the_ladder_rung_by_rung(here: Playhouse, tmp_path: Path) -> None:
    """The first rung by key alone, the second with a yes from the board, then there is none left."""
    talk = await here.call()
    await talk.key("*8", "warn")
    first = await talk.effect("PlayWarning")
    told = len(here.one.board)
    waits = await talk.key("*8", "warn")
    row = await talk.heard_of(lambda e: of(e, "kind") == "call" and e.requests, after=told)
    answer = await talk.order("approve", request=row.requests[0].request)
    second = await talk.effect("PlayWarning", after=told)
    none = await talk.key("*8", "warn")
    await talk.over()
    await talk.finished()
    assert (first.effect, second.effect, answer.done) == ("done", "done", True)
    assert (waits.tone, waits.refusal, none.refusal) == ("refused", "needs-approval", "no-rung-left")
    assert (row.requests[0].of, row.requests[0].approver) == ("warn", "supervisor")
    at = [ears.likeness(prompt(name), talk.caller.heard) for name in ("warn-1", "warn-2", "warn-3")]
    assert [len(one) for one in at] == [1, 1, 0] and at[0][0][0] < at[1][0][0]
    assert len(ears.likeness(prompt("warn-1"), talk.agent.heard)) == 0
    played = talk.lines("announcement")
    assert [(one["announcement"], one["rung"], one["whole"]) for one in played] == [
        ("warn-1", 1, True),
        ("warn-2", 2, True),
    ]
    assert all(5000 < one["ended_ms"] - one["started_ms"] < 12_000 for one in played)
    sound = talk.tracks(tmp_path)
    assert any(
        ears.likeness(prompt("warn-1"), file) for name, file in sound.items() if name.startswith("announcements")
    )
    assert [one.rung for one in talk.all("call")][-1] == 2


async def test_the_agent_may_hear_music_meanwhile(there: World, daemons: Daemons) -> None:
    """The key map names a class of hold music: it plays as long as the warning, to the agent alone."""
    file = there.pbx.folder / "etc" / "features_callguard.conf"
    whole = await asyncio.to_thread(file.read_text)
    await asyncio.to_thread(_bring_music, there)
    async with daemons(there, POLICY + '\n[keys]\nmusic = "hold"\n') as one:
        here = Playhouse(there=there, one=one)
        silent = await _warned(here)
        policy = load_policy(one.settings.parent / "policy.toml")
        try:
            await here.reload(file, features_conf(policy))
            musical = await _warned(here)
        finally:
            await here.reload(file, whole)
    for talk in (silent, musical):
        assert len(ears.likeness(prompt("warn-1"), talk.caller.heard)) == 1
        assert not ears.likeness(prompt("warn-1"), talk.agent.heard)
    assert ears.loud_s(silent.agent.heard) < 2.0, "the tone"
    assert ears.loud_s(musical.agent.heard) > 5.0
    assert ears.loud_s(musical.caller.heard) < ears.loud_s(silent.caller.heard) + 1.0


def _bring_music(there: World) -> None:
    """A class of hold music of our own: a tone that wanders for a minute."""
    folder = there.pbx.folder / "moh"
    folder.mkdir(exist_ok=True)
    time_s = np.arange(60 * 8000) / 8000
    wave = 0.3 * np.sin(2 * np.pi * (300 * time_s + 40 * np.sin(time_s)))
    soundfile.write(folder / "wandering.wav", wave, 8000, subtype="PCM_16")
    conf = f"[hold]\nmode = files\ndirectory = {there.house.inside(folder)}\n"
    (there.pbx.folder / "etc" / "musiconhold.conf").write_text(conf)
    there.pbx.console(there.house, "moh reload")


async def _warned(here: Playhouse) -> Talk:
    talk = await here.call()
    await talk.key("*8", "warn")
    await talk.effect("PlayWarning")
    await talk.over()
    return talk


async def test_a_warning_the_caller_does_not_hear_out(here: Playhouse) -> None:
    talk = await here.call()
    await talk.key("*8", "warn")
    await talk.pbx_says(lambda e: e.get("UserEvent") == "CallguardAnnouncement" and e.get("Stage") == "begin")
    await asyncio.sleep(2.0)  # the caller hears this much of it
    await talk.over()
    await talk.finished()
    [played] = talk.lines("announcement")
    assert (played["effect"], played["whole"]) == ("cut-short", False)
    assert 1000 < played["ended_ms"] - played["started_ms"] < 5500
    assert talk.row.rung == 0
    assert not ears.likeness(prompt("warn-1"), talk.caller.heard) and ears.loud_s(talk.caller.heard) > 1.0


async def test_in_the_callers_language_after_everybody_was_asked(here: Playhouse) -> None:
    """Nobody answers: the next approver is asked, then the board is told; a supervisor then orders it himself."""
    talk = await here.call("601")
    await talk.key("*8", "warn")
    asked = [
        await talk.heard_of(lambda e, n=n: of(e, "kind") == "call" and any(r.escalate == n for r in e.requests))
        for n in (0, 1)
    ]
    await talk.heard_of(
        lambda e: of(e, "kind") == "decision" and any("nobody answered" in one for one in e.because), wait_s=20
    )
    assert talk.all("action") == []
    answer = await talk.order("warn")
    done = await talk.effect("PlayWarning")
    await talk.over()
    await talk.finished()
    assert [one.requests[0].approver for one in asked] == ["supervisor", "desk"]
    assert talk.row.level == 3
    assert answer.done and done.effect == "done"
    assert len(ears.likeness(prompt("warn-1", "ja"), talk.caller.heard)) == 1
    assert ears.likeness(prompt("warn-1"), talk.caller.heard) == []
    assert [one["language"] for one in talk.lines("announcement")] == ["ja"]


async def test_another_way_where_the_feature_is_missing(here: Playhouse) -> None:
    """features.conf lost the play key: the warning is whispered, which proves nothing, so the ladder stays."""
    file = here.there.pbx.folder / "etc" / "features_callguard.conf"
    whole = await asyncio.to_thread(file.read_text)
    kept = "".join(line for line in whole.splitlines(keepends=True) if not line.startswith("callguard-play"))
    try:
        await here.reload(file, kept)
        talk = await here.call()
        speaking = asyncio.create_task(talk.agent.say(prompt("recording-notice")))
        await talk.key("*8", "warn")
        done = await talk.effect("PlayWarning")
        await speaking
        await talk.over()
        await talk.finished()
    finally:
        await here.reload(file, whole)
    assert (done.effect, done.detail) == ("not-confirmed", "whispered")
    assert ears.best(prompt("warn-1"), talk.caller.heard) > 0.5
    assert talk.row.rung == 0
    [played] = talk.lines("announcement")
    assert (played["effect"], played["whole"]) == ("not-confirmed", False)
