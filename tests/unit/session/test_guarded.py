"""One guarded call: what is stored before what is done, and what happens when the store or the switchboard fails."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from callguard.bus.messages import CaseChanged
from callguard.model.action import Effect
from callguard.model.call import LegUp, PbxNote
from callguard.model.case import RecordKind
from callguard.model.key import Key
from callguard.model.words import Transcript, Word
from callguard.session import guarded
from callguard.store.wav import look

sys.path.insert(0, str(Path(__file__).parent))
from house import AGENT, BOSS, CALLER, Bench, bench


def said(text: str, *, number: int = 1, closed: bool = True, probability: float = 0.95) -> Transcript:
    parts = tuple(Word(text=f" {w}", start_ms=0, end_ms=400, probability=probability) for w in text.split())
    return Transcript(
        utterance=f"{CALLER.id}-{number}",  # type: ignore[arg-type]
        leg=CALLER.id,
        role=CALLER.role,
        start_ms=0,
        end_ms=1500,
        language="en",
        committed=parts,
        closed=closed,
    )


def tracks(one: Bench) -> dict[str, tuple[int, int]]:
    assert one.call.evidence.case is not None
    view = one.store.case(one.call.evidence.case)
    assert view is not None
    return {seg.track.value: (seg.start_ms, seg.end_ms) for seg in view.segments}


def heard(one: Bench, track: str) -> np.ndarray:
    assert one.call.evidence.case is not None
    view = one.store.case(one.call.evidence.case)
    assert view is not None
    [segment] = [seg for seg in view.segments if seg.track.value == track]
    return soundfile.read(io.BytesIO(one.store.sound(segment)), dtype="int16")[0]


def growing(folder: Path) -> list[Path]:
    return list((folder / "segments").rglob("caller.wav"))


async def test_a_flag_is_stored_before_it_is_answered_and_keeps_what_came_before(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.speak(CALLER, 5000)
        one.speak(AGENT, 5000)
        one.clock[0] = 5000
        answer = await one.press(Key.FLAG)
        assert answer["tone"] == "accepted"
        assert one.kinds().count("flag") == 1
        one.speak(CALLER, 2000)
        one.clock[0] = 7000
        await one.hang_up()
        assert tracks(one)["caller"] == (0, 7000)
        assert tracks(one)["agent"][0] == 0


async def test_no_flag_leaves_nothing_but_a_counted_line(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.speak(CALLER, 3000)
        one.call.put(said("good morning to you"))
        one.clock[0] = 3000
        await one.hang_up()
        assert one.store.count_cases() == 0
        lines = [line for line in one.store.audit_lines() if line.verb == "sound-dropped"]
        assert [line.data["dropped_ms"] for line in lines] == [3000]
        assert not list((tmp_path / "segments").rglob("*.wav")) and not list((tmp_path / "segments").rglob("*.flac"))


async def test_a_store_that_is_away_loses_no_flag(tmp_path: Path) -> None:
    """The agent hears that it failed; the case is opened with the sound from before the key."""
    async with bench(tmp_path) as one:
        one.speak(CALLER, 4000)
        one.clock[0] = 4000
        one.flaky.away = 2
        answer = await one.press(Key.FLAG)
        assert answer["tone"] == "refused"
        assert one.call.evidence.case is None
        one.speak(CALLER, 1000)
        one.clock[0] = 5000
        one.call.tick()
        await one.until(lambda: one.flaky.away == 0)
        one.call.tick()
        await one.until(lambda: one.call.evidence.case)
        await one.hang_up()
        assert tracks(one)["caller"] == (0, 5000)
        assert {"key", "flag", "decision"} <= set(one.kinds())


async def test_sound_waits_in_memory_while_the_disk_is_full(tmp_path: Path) -> None:
    """Not a frame is missing once there is room again."""
    async with bench(tmp_path) as one:
        await one.flagged_after(2000)
        for away in (0, 20, 20, 0):
            one.disk.away = away
            one.speak(CALLER, 1000)
            one.clock[0] += 1000
            await one.call.write()
        await one.hang_up()
        assert tracks(one)["caller"] == (0, 6000)
        assert np.all(heard(one, "caller") == 16)
        assert "gap" not in one.kinds()


async def test_a_disk_full_at_the_end_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "CLOSING_GAP_S", 0.01)
    async with bench(tmp_path) as one:
        await one.flagged_after(2000)
        one.speak(CALLER, 1000)
        one.clock[0], one.disk.away, one.flaky.away = 3000, 7, 3
        await one.hang_up()
        assert tracks(one)["caller"] == (0, 3000)
        assert [e.status for e in one.board if isinstance(e, CaseChanged)] == ["opened", "finished"]


async def test_sound_that_can_never_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "CLOSING_GAP_S", 0.0)
    async with bench(tmp_path) as one:
        await one.flagged_after(2000)
        await one.until(lambda: [at.length_ms for file in growing(tmp_path) if (at := look(file))] == [2000])
        one.speak(CALLER, 1000)
        one.clock[0], one.disk.away = 3000, 1_000_000
        await one.hang_up()
        assert tracks(one)["caller"] == (0, 2000)
        assert one.call.evidence.case is not None
        lost = [dict(r.data) for r in one.store.records(one.call.evidence.case) if r.kind is RecordKind.GAP]
        assert [(one["track"], one["lost_ms"], one["reason"]) for one in lost] == [
            ("caller", 1000, "store-unreachable")
        ]


async def test_a_warning_is_not_played_while_it_cannot_be_stored(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.flaky.away = 1
        assert (await one.press(Key.WARN))["tone"] == "refused"
        assert one.switchboard.asked == []


async def test_twenty_presses_are_one_flag(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        for number in range(20):
            one.clock[0] += 100
            await one.press(Key.FLAG, id=f"p{number}")
        assert one.kinds().count("flag") == 1 and one.kinds().count("key") == 20
        assert one.store.count_cases() == 1


async def test_a_late_press_is_recorded_and_not_carried_out(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.clock[0] = 20_000
        await one.press(Key.FLAG, id="now")
        answer = await one.press(Key.WARN, id="old", age_ms=11_000)
        assert answer["tone"] == "recorded-only" and answer["refusal"] == "too-old"
        assert one.switchboard.asked == [] and one.kinds().count("key") == 2


async def test_the_record_says_no_more_than_was_done(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.switchboard.effect = Effect.CUT_SHORT
        await one.press(Key.WARN)
        await one.until(lambda: one.switchboard.asked)
        one.call.tick()
        await one.until(lambda: "announcement" in one.kinds())
        assert one.call.evidence.case is not None
        [line] = [r for r in one.store.records(one.call.evidence.case) if r.kind.value == "announcement"]
        assert line.data["whole"] is False and line.data["effect"] == "cut-short" and line.data["text"]
        kinds = one.kinds()
        assert kinds.index("action") < kinds.index("outcome")


async def test_a_threat_with_no_key_is_shown_and_nothing_is_played(tmp_path: Path) -> None:
    async with bench(tmp_path, mode="observe") as one:
        one.call.put(said("i will kill you tomorrow"))
        await one.until(lambda: any(getattr(event, "kind", "") == "finding" for event in one.board))
        await one.hang_up()
        assert one.switchboard.asked == [] and one.store.count_cases() == 0


async def test_an_unclear_word_never_acts(tmp_path: Path) -> None:
    async with bench(tmp_path, mode="act") as one:
        one.call.put(said("i will kill you", probability=0.2))
        one.call.tick()
        await one.until(lambda: any(getattr(event, "kind", "") == "transcript" for event in one.board))
        await one.hang_up()
        assert not [what for what, _ in one.switchboard.asked if what in ("play", "end", "transfer")]


async def test_a_supervisor_is_kept_only_while_the_caller_hears_them(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.press(Key.FLAG)
        one.modes[BOSS.id] = "listen"
        values = (("SpyerUniqueid", "local2"), ("SpyerChannel", "Local/s;2"), ("SpyerLinkedid", str(BOSS.id)))
        start = PbxNote(call_id=one.call.call.id, leg_id=AGENT.id, kind="spy-start", name="x", at_ms=0, values=values)
        one.call.put(LegUp(call_id=one.call.call.id, leg=BOSS, at_ms=0))
        one.call.put(start)
        await one.until(lambda: one.call.view.presence)
        one.speak(BOSS, 1000)
        one.clock[0] = 1000
        six = PbxNote(call_id=one.call.call.id, leg_id=BOSS.id, kind="spy-digit", name="6", at_ms=1000, values=())
        one.call.put(six)
        await one.until(lambda: one.call.view.presence == {BOSS.id: "barge:PJSIP/900"})
        one.speak(BOSS, 1000)
        one.clock[0] = 2000
        await one.hang_up()
        sound = heard(one, "supervisor")
        assert not sound[:8000].any() and sound[8000:16000].all()
        assert one.call.evidence.case is not None
        lines = [r.data for r in one.store.records(one.call.evidence.case) if r.kind.value == "presence"]
        assert [(line["mode"], line["what"]) for line in lines] == [
            ("listen", "began"),
            ("barge", "changed"),
            ("barge", "ended"),
        ]
