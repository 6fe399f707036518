"""What a bundle holds is what the caller heard: the warning and a barging supervisor, found again by correlation."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import soundfile
from telephone import PROMPTS, Daemon, of, talking

from callguard.bus.messages import Order, OrderAnswer
from callguard.bus.topics import ORDERS
from callguard.model.case import Segment
from callguard.model.ids import CaseId
from callguard.sandbox import ears
from callguard.sandbox.guarding import Guarding
from callguard.sandbox.world import World
from callguard.store import open_store, proof
from callguard.store.signing import signing_key

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

WARNING, CLOSING, VOICE = PROMPTS / "warn-1.wav", PROMPTS / "closing.wav", PROMPTS / "recording-notice.wav"


async def order(one: Guarding, what: str, call: str, *, phone: str = "") -> OrderAnswer:
    """Give a supervisor's order as the board does."""
    wish = Order(
        id=uuid.uuid4().hex,
        what=what,
        call=call,
        by="mori",
        supervisor=phone,
        expires_at=datetime.now(UTC) + timedelta(seconds=40),
    )
    await one.bus.add(ORDERS, {"json": wish.model_dump_json()})
    answer = await one.bus.client.blpop([f"callguard:answer:{wish.id}"], timeout=40)
    assert answer is not None
    return OrderAnswer.model_validate_json(answer[1])


async def finished(one: Guarding) -> CaseId:
    told = await one.until(lambda e: of(e, "kind") == "case" and of(e, "status") == "finished", timeout_s=25)
    return CaseId(of(told, "case"))


def bundle_of(home: Path, case: CaseId, into: Path) -> dict[str, Path]:
    """Export the case, verify it, and lay its tracks down as WAV: part's stem -> file."""
    store = open_store(f"sqlite:///{home}/callguard.db", segments=home / "segments")
    try:
        data = store.export(case, who="mori")
        key = signing_key(store.keys).public_key()
    finally:
        store.close()
    assert proof.verify(data, key).whole
    tracks: dict[str, Path] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        for name in bundle.namelist():
            if name.endswith(".flac"):
                sound, rate = soundfile.read(io.BytesIO(bundle.read(name)), dtype="int16")
                tracks[Path(name).stem] = into / f"{Path(name).stem}.wav"
                soundfile.write(tracks[Path(name).stem], sound, rate)
        (into / "records.jsonl").write_bytes(bundle.read("records.jsonl"))
    return tracks


def told(into: Path, kind: str) -> list[dict[str, Any]]:
    lines = (into / "records.jsonl").read_text().splitlines()
    return [json.loads(one["data"]) for one in map(json.loads, lines) if one["kind"] == kind]


def told_segments(home: Path, case: CaseId) -> list[Segment]:
    store = open_store(f"sqlite:///{home}/callguard.db", segments=home / "segments")
    try:
        view = store.case(case)
        assert view is not None
        return list(view.segments)
    finally:
        store.close()


async def test_the_warning_is_in_the_bundle(there: World, daemon: Daemon, speech: Path, tmp_path: Path) -> None:
    async with daemon() as one:
        caller, agent, _ = await talking(there, one)
        await caller.say(speech)
        await agent.press("*7")
        await one.until(lambda e: of(e, "kind") == "key" and of(e, "key") == "flag", timeout_s=10)
        await agent.press("*8")
        done = await one.until(
            lambda e: of(e, "name") == "PlayWarning" and of(e, "effect") not in (None, "begun"), timeout_s=40
        )
        await caller.hang_up()
        await agent.gone()
        case, home = await finished(one), one.settings.parent
    assert of(done, "effect") == "done"
    tracks = bundle_of(home, case, tmp_path)
    assert ears.likeness(speech, tracks["caller"])
    at = ears.likeness(WARNING, tracks["announcements"])
    assert len(at) == 1
    [played] = told(tmp_path, "announcement")
    [begun] = [seg for seg in told_segments(home, case) if seg.track.value == "announcements"]
    assert abs(at[0][0] * 1000 + begun.start_ms - played["started_ms"]) < 1500
    assert not ears.likeness(WARNING, tracks["caller"])
    assert played["whole"] and played["text"]


async def test_a_barging_supervisor_is_in_the_bundle(
    there: World, daemon: Daemon, speech: Path, tmp_path: Path
) -> None:
    """Listening leaves no voice behind; from the barge on, what the caller hears of the supervisor is kept."""
    async with daemon() as one:
        caller, agent, call = await talking(there, one)
        await agent.press("*7")
        await one.until(lambda e: of(e, "kind") == "key" and of(e, "key") == "flag", timeout_s=10)
        since = len(there.outside.events)
        answer = await order(one, "listen", call, phone="PJSIP/sup1")
        assert answer.done, answer
        boss = await there.phone("sup1", after=since)
        await boss.say(CLOSING)
        await boss.hang_up()
        since = len(there.outside.events)
        answer = await order(one, "barge", call, phone="PJSIP/sup1")
        assert answer.done, answer
        boss = await there.phone("sup1", after=since)
        await caller.say(speech)
        await boss.say(VOICE)
        await boss.hang_up()
        await caller.hang_up()
        await agent.gone()
        case, home = await finished(one), one.settings.parent
    assert ears.likeness(VOICE, caller.heard) and not ears.likeness(CLOSING, caller.heard)
    assert ears.likeness(speech, boss.heard)
    tracks = bundle_of(home, case, tmp_path)
    assert len(ears.likeness(VOICE, tracks["supervisor"])) == 1
    assert not ears.likeness(CLOSING, tracks["supervisor"])
    modes = [(one["mode"], one["what"]) for one in told(tmp_path, "presence")]
    assert ("listen", "began") in modes and ("barge", "began") in modes
    assert sum(what == "ended" for _, what in modes) == 2, modes
