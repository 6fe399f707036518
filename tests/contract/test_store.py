"""What every case store promises, whatever the database and however sound rests."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import soundfile
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callguard.model.case import CaseOpened, CaseStatus, Record, RecordKind, Segment, Track
from callguard.model.errors import StoreFault
from callguard.model.ids import CallId, CaseId
from callguard.store import CaseFilter, Store, open_store

AT = datetime(2026, 11, 25, 23, 30, tzinfo=UTC)


def opened(call: str = "1764100000.1", **changed: object) -> CaseOpened:
    facts: dict[str, object] = {
        "call": CallId(call),
        "opened_at": AT,
        "call_started_at": AT - timedelta(minutes=3),
        "queue": "support",
        "language": "ja",
        "caller_number": "0312345678",
        "caller_name": "山田",
        "agent": "PJSIP/101",
        "policy_name": "house",
        "policy_hash": "ab" * 32,
        "flag_reason": "flag",
        "flagged_by": "agent",
        "flagged_ms": 180_000,
    }
    return CaseOpened(**{**facts, **changed})  # type: ignore[arg-type]


def said(text: str, at_ms: int = 1000, role: str = "caller") -> Record:
    return Record(kind=RecordKind.TRANSCRIPT, at_ms=at_ms, data={"text": text, "role": role})


def tone(ms: int, hz: float, loud: int = 8000) -> bytes:
    return (np.sin(np.arange(ms * 8) * 2 * np.pi * hz / 8000) * loud).astype("<i2").tobytes()


def heard(store: Store, segment: Segment) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(store.sound(segment)), dtype="int16", always_2d=True)
    assert rate == 8000
    return samples


def test_a_case_is_opened_once_a_call(store: Store) -> None:
    case = store.open_case(opened())
    assert store.open_case(opened(queue="other")) == case
    assert case.startswith("20261125-") and len(case) == 15
    assert store.open_case(opened("2.2")) != case
    assert store.open_case_of(CallId("1764100000.1")) == case
    assert store.open_case_of(CallId("nobody")) is None


def test_a_case_id_has_the_utc_date(store: Store) -> None:
    tokyo = timezone(timedelta(hours=9))
    case = store.open_case(opened(opened_at=datetime(2026, 11, 26, 8, 0, tzinfo=tokyo)))
    assert case.startswith("20261125-")
    view = store.case(case)
    assert view and view.line.opened_at == datetime(2026, 11, 25, 23, 0, tzinfo=UTC)


def test_no_case_without_a_record(store: Store) -> None:
    case = store.open_case(opened())
    first = store.records(case)[0]
    assert (first.number, first.kind, first.data["what"]) == (1, RecordKind.CALL, "case-opened")
    assert [line.verb for line in store.audit_lines(thing=case)] == ["case-opened"]


def test_threads_open_one_case(store: Store) -> None:
    found: list[CaseId] = []
    threads = [threading.Thread(target=lambda: found.append(store.open_case(opened()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1
    assert store.audit_break() is None


def test_records_come_back_as_they_were(store: Store) -> None:
    case = store.open_case(opened())
    data = {"ja": "殺すぞ", "n": 1, "f": 0.5, "none": None, "list": [1, {"a": True}], "quote": "'\"\\\n\0"}
    store.append(case, [Record(kind=RecordKind.NOTE, at_ms=5, data=data), said("もしもし")])
    note, talk = store.records(case)[1:]
    assert note.data == {**data, "quote": "'\"\\\n\\0"}
    assert (note.at_ms, talk.number, talk.data["text"]) == (5, 3, "もしもし")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.dictionaries(st.text(), st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.binary())))
def test_no_record_is_refused_for_its_form(store: Store, data: dict[str, object]) -> None:
    case = store.open_case(opened())
    before = len(store.records(case))
    store.append(case, [Record(kind=RecordKind.NOTE, at_ms=0, data=data)])
    assert len(store.records(case)) == before + 1


def test_odd_caller_names_are_kept_as_text(store: Store) -> None:
    name = "a\r\nb${x}\udcff\0'; DROP TABLE cases;--"
    view = store.case(store.open_case(opened(caller_name=name, call="1\udc80")))
    assert view and view.line.caller_name == "a\r\nb${x}\\udcff\\0'; DROP TABLE cases;--"


def test_an_unknown_case_is_refused(store: Store) -> None:
    for ask in (
        lambda: store.append(CaseId("20260101-AAAAAA"), [said("x")]),
        lambda: store.close_call(CaseId("20260101-AAAAAA"), ended_at=AT, ended_ms=1),
        lambda: store.set_status(CaseId("20260101-AAAAAA"), CaseStatus.CLOSED, who="x"),
    ):
        with pytest.raises(StoreFault) as fault:
            ask()
        assert fault.value.code == "no-such-case"


def test_findings_decisions_and_warnings_sum_up(store: Store) -> None:
    case = store.open_case(opened())
    store.append(
        case,
        [
            Record(kind=RecordKind.FINDING, at_ms=1, data={"category": "threat", "severity": 3}),
            Record(kind=RecordKind.FINDING, at_ms=2, data={"category": "verbal_abuse", "severity": 1}),
            Record(kind=RecordKind.FINDING, at_ms=2, data={"category": "life_at_risk", "severity": 0}),
            Record(kind=RecordKind.DECISION, at_ms=3, data={"rung": 2}),
            Record(kind=RecordKind.DECISION, at_ms=4, data={"rung": 0}),
            Record(kind=RecordKind.ANNOUNCEMENT, at_ms=5, data={"effect": "done"}),
            Record(kind=RecordKind.ANNOUNCEMENT, at_ms=6, data={"effect": "failed"}),
        ],
    )
    line = store.case_line(case)
    assert line and (line.kinds, line.severity, line.rung, line.warnings) == (("threat", "verbal_abuse"), 3, 2, 1)


def test_a_case_is_withdrawn_only_when_every_flag_is(store: Store) -> None:
    case = store.open_case(opened())

    def flag(what: str, at_ms: int) -> bool:
        data = {"what": what, "by": "agent", "reason": "flag", "at_ms": at_ms}
        store.append(case, [Record(kind=RecordKind.FLAG, at_ms=at_ms, data=data)])
        line = store.case_line(case)
        assert line is not None
        return line.withdrawn

    assert [flag("raised", 1), flag("raised", 2), flag("withdrawn", 1), flag("withdrawn", 2)] == [False] * 3 + [True]


def test_the_end_is_told_once(store: Store) -> None:
    case = store.open_case(opened())
    store.close_call(case, ended_at=AT, ended_ms=400_000)
    store.close_call(case, ended_at=AT + timedelta(hours=1), ended_ms=1)
    line = store.case_line(case)
    assert line and (line.ended_at, line.ended_ms) == (AT, 400_000)
    ends = [one for one in store.audit_lines(thing=case) if one.verb == "call-ended"]
    assert len(ends) == 1 and ends[0].data["records"] == 1


def test_what_was_written_is_there_after_a_restart(store: Store, store_url: str, tmp_path: Path) -> None:
    case = store.open_case(opened())
    store.append(case, [said("また来る")])
    again = open_store(store_url, segments=tmp_path / "segments", key_file=_key_of(tmp_path))
    try:
        view = again.case(case)
        assert view and view.records[-1].data["text"] == "また来る"
        assert again.mark("03-1234-5678") == store.mark("0312345678")
    finally:
        again.close()


def _key_of(tmp_path: Path) -> Path | None:
    key = tmp_path / "sound.key"
    return key if key.exists() else None


# lists and search


def test_lists_are_paged_without_losing_or_doubling(store: Store) -> None:
    made = [store.open_case(opened(f"{n}.1", opened_at=AT + timedelta(seconds=n // 3))) for n in range(25)]
    seen: list[CaseId] = []
    after = ""
    while True:
        page = store.list_cases(limit=7, after=after)
        seen += [line.id for line in page.lines]
        after = page.after
        if not after:
            break
    assert sorted(seen) == sorted(made) and len(seen) == 25
    assert store.count_cases() == 25
    assert store.list_cases(limit=3, after="nonsense").lines == store.list_cases(limit=3).lines


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CaseFilter(queues=frozenset({"support"})), {"a"}),
        (CaseFilter(queues=frozenset()), set()),
        (CaseFilter(statuses=frozenset({CaseStatus.CONFIRMED})), {"b"}),
        (CaseFilter(agents=frozenset({"PJSIP/102"})), {"b"}),
        (CaseFilter(kinds=frozenset({"threat"})), {"b"}),
        (CaseFilter(severity=2), {"b"}),
        (CaseFilter(since=AT + timedelta(minutes=1)), {"b"}),
        (CaseFilter(until=AT + timedelta(minutes=1)), {"a"}),
        (CaseFilter(words="馬鹿"), {"a"}),
        (CaseFilter(words="kill you", kinds=frozenset({"threat"})), {"b"}),
        (CaseFilter(words="！？"), set()),
        (CaseFilter(assigned="mori"), {"b"}),
        (CaseFilter(call="b"), {"b"}),
        (CaseFilter(), {"a", "b"}),
    ],
)
def test_filters(store: Store, wanted: CaseFilter, found: set[str]) -> None:
    store.append(store.open_case(opened("a")), [said("この馬鹿が")])
    other = store.open_case(opened("b", opened_at=AT + timedelta(hours=1), queue="sales", agent="PJSIP/102"))
    finding = Record(kind=RecordKind.FINDING, at_ms=1, data={"category": "threat", "severity": 3})
    store.append(other, [said("I will KILL you!"), finding])
    store.set_status(other, CaseStatus.CONFIRMED, who="mori")
    store.assign(other, to="mori", who="mori")
    assert {line.call for line in store.list_cases(wanted).lines} == found
    assert store.count_cases(wanted) == len(found)


@pytest.mark.parametrize(
    ("words", "hit"),
    [
        ("殺す", True),
        ("殺", True),
        ("ころす", False),
        ("お前を殺す", True),
        ("ｶﾞ", True),
        ("がＡ", False),
        ("kill y", True),
        ("KILL", True),
        ("kill  you", True),
        ("illy", False),
        ("%", False),
        ('" OR 1', False),
        ("", False),
    ],
)
def test_search_in_both_languages(store: Store, words: str, hit: bool) -> None:
    case = store.open_case(opened())
    store.append(case, [said("お前を 殺すぞ、ガ！ I'll kill you.", at_ms=7000)])
    hits = store.search(words)
    assert [(one.case, one.at_ms, one.role) for one in hits] == ([(case, 7000, "caller")] if hit else [])


# callers


def test_callers_are_counted_without_their_number(store: Store, store_url: str) -> None:
    store.note_call("03-1234-5678", AT, 2)
    store.note_call("0312345678", AT + timedelta(days=1), 1, call="x")
    store.note_call("0312345678", AT + timedelta(days=1), 3, call="x")
    store.note_call("anonymous", AT, 3)
    assert store.earlier_calls("0312345678", since=AT - timedelta(days=1)) == (2, 3)
    assert store.earlier_calls("0312345678", since=AT + timedelta(hours=1)) == (1, 3)
    assert store.earlier_calls("0399999999", since=AT - timedelta(days=1)) == (0, 0)
    assert store.earlier_calls("", since=AT - timedelta(days=1)) == (0, 0)
    with store.reading() as connection:
        kept = connection.execute(sa.text("SELECT caller_mark FROM calls_noted")).scalars().all()
    assert kept and all(len(mark) == 64 and "1234" not in mark for mark in kept)


# the audit


def test_the_audit_is_a_chain(store: Store) -> None:
    for n in range(20):
        store.audit(who="mori", verb="listened", thing=f"case{n % 3}", data={"n": n})
    assert [line.number for line in store.audit_lines()] == list(range(1, 21))
    assert len(store.audit_lines(thing="case1")) == 7
    assert store.audit_break() is None


@pytest.mark.parametrize(
    "change", ["UPDATE audit SET who = 'x' WHERE number = 3", "DELETE FROM audit WHERE number = 5"]
)
def test_the_database_refuses_to_change_the_audit(store: Store, change: str) -> None:
    for n in range(6):
        store.audit(who="mori", verb="listened", thing="case", data={"n": n})
    with pytest.raises(StoreFault), store.writing() as connection:
        connection.execute(sa.text(change))
    assert store.audit_break() is None and len(store.audit_lines()) == 6


def test_records_cannot_be_changed(store: Store) -> None:
    store.open_case(opened())
    with pytest.raises(StoreFault), store.writing() as connection:
        connection.execute(sa.text("UPDATE records SET data = '{}'"))


def test_a_changed_audit_is_found(store: Store) -> None:
    for n in range(6):
        store.audit(who="mori", verb="listened", thing="case", data={"n": n})
    with store.writing() as connection:
        postgres = connection.dialect.name == "postgresql"
        trigger = "ALTER TABLE audit DISABLE TRIGGER ALL" if postgres else "DROP TRIGGER audit_no_update"
        connection.execute(sa.text(trigger))
        connection.execute(sa.text("UPDATE audit SET who = 'nobody' WHERE number = 4"))
    assert store.audit_break() == 4


# sound


def test_tracks_stay_in_step(store: Store) -> None:
    case = store.open_case(opened())
    tracks = store.tracks()
    tracks.begin(case, Track.CALLER, start_ms=10_000)
    tracks.begin(case, Track.AGENT, start_ms=10_000)
    beep = tone(20, 1000)
    for at_ms in range(10_000, 70_000, 20):
        if at_ms == 60_000:
            tracks.write(case, Track.CALLER, at_ms=at_ms, pcm=beep)
        elif not 20_000 <= at_ms < 50_000:
            tracks.write(case, Track.CALLER, at_ms=at_ms, pcm=bytes(320))
    tracks.write(case, Track.AGENT, at_ms=60_000, pcm=beep)
    tracks.write(case, Track.SUPERVISOR, at_ms=60_000, pcm=beep)
    made = {one.track: one for one in tracks.finish(case)}
    assert set(made) == {Track.CALLER, Track.AGENT, Track.SUPERVISOR, Track.MIX}
    assert {(one.start_ms, one.end_ms) for one in made.values()} == {(10_000, 70_000)}
    for track in (Track.CALLER, Track.AGENT, Track.SUPERVISOR):
        sound = heard(store, made[track])[:, 0]
        assert len(sound) == 60_000 * 8
        assert np.flatnonzero(sound)[0] // 8 == 50_000
    assert heard(store, made[Track.MIX]).shape == (480_000, 2)
    view = store.case(case)
    assert view and set(view.segments) == set(made.values())
    assert tracks.finish(case) == [] and not tracks.growing(case)


def test_the_mix_has_the_caller_left_and_the_agent_right(store: Store) -> None:
    case = store.open_case(opened())
    tracks = store.tracks()
    tracks.begin(case, Track.CALLER, start_ms=0)
    tracks.begin(case, Track.AGENT, start_ms=0)
    tracks.write(case, Track.CALLER, at_ms=0, pcm=tone(1000, 500))
    tracks.write(case, Track.AGENT, at_ms=1000, pcm=tone(1000, 700))
    tracks.write(case, Track.ANNOUNCEMENTS, at_ms=2000, pcm=tone(1000, 900))
    mix = next(one for one in tracks.finish(case) if one.track is Track.MIX)
    left, right = heard(store, mix).T
    loud = [[bool(np.abs(side[at : at + 8000]).max() > 3000) for at in (0, 8000, 16000)] for side in (left, right)]
    assert loud == [[True, False, True], [False, True, True]]


def test_late_early_and_odd_frames(store: Store) -> None:
    case = store.open_case(opened())
    tracks = store.tracks()
    tracks.begin(case, Track.CALLER, start_ms=1000)
    tracks.write(case, Track.CALLER, at_ms=990, pcm=tone(20, 1000))
    tracks.write(case, Track.CALLER, at_ms=500, pcm=tone(20, 1000))
    tracks.write(case, Track.CALLER, at_ms=1100, pcm=tone(20, 1000) + b"x")
    tracks.write(case, Track.CALLER, at_ms=1040, pcm=tone(20, 1000))
    with pytest.raises(StoreFault) as fault:
        tracks.write(case, Track.CALLER, at_ms=1000 + 25 * 3600 * 1000, pcm=bytes(320))
    assert fault.value.code == "sound-out-of-place"
    made = next(one for one in tracks.finish(case) if one.track is Track.CALLER)
    assert (made.start_ms, made.end_ms) == (1000, 1120)
    sound = np.abs(heard(store, made)[:, 0].reshape(-1, 80)).max(axis=1) > 0
    assert sound.tolist() == [True, False, False, False, True, True, False, False, False, False, True, True]


def test_a_second_take_has_its_own_files(store: Store) -> None:
    case = store.open_case(opened())
    tracks = store.tracks()
    for start_ms in (0, 5000):
        tracks.begin(case, Track.CALLER, start_ms=start_ms)
        tracks.write(case, Track.CALLER, at_ms=start_ms, pcm=tone(100, 800))
        tracks.finish(case)
    with pytest.raises(StoreFault) as fault:
        tracks.write(case, Track.CALLER, at_ms=9000, pcm=bytes(320))
    assert fault.value.code == "track-not-begun"
    view = store.case(case)
    assert view
    names = [Path(one.path).name.partition(".")[0] for one in view.segments]
    assert names == ["caller", "mix", "caller-2", "mix-2"]
    assert len({one.path for one in view.segments}) == 4


def test_a_segment_is_known_once(store: Store) -> None:
    case = store.open_case(opened())
    segment = Segment(case=case, track=Track.CALLER, path="a/b.flac", start_ms=0, end_ms=1, sha256="0" * 64)
    store.add_segment(segment)
    store.add_segment(segment)
    view = store.case(case)
    assert view and view.segments == (segment,)
    with pytest.raises(StoreFault) as fault:
        store.sound(segment)
    assert fault.value.code == "sound-missing"


def test_changed_sound_is_not_given_out(store: Store) -> None:
    case = store.open_case(opened())
    tracks = store.tracks()
    tracks.begin(case, Track.CALLER, start_ms=0)
    tracks.write(case, Track.CALLER, at_ms=0, pcm=tone(500, 800))
    segment = tracks.finish(case)[0]
    path = store.segments / segment.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreFault) as fault:
        store.sound(segment)
    assert fault.value.code == "sound-broken"


def test_half_written_sound_is_finished_by_the_next_start(store: Store, store_url: str, tmp_path: Path) -> None:
    case = store.open_case(opened())
    tracks = store.tracks()
    tracks.begin(case, Track.CALLER, start_ms=2000)
    tracks.begin(case, Track.AGENT, start_ms=2000)
    tracks.write(case, Track.CALLER, at_ms=2000, pcm=tone(1000, 800))
    tracks.write(case, Track.AGENT, at_ms=4000, pcm=tone(1000, 600))

    def reopened(use: Callable[[Store], None]) -> None:
        again = open_store(store_url, segments=tmp_path / "segments", key_file=_key_of(tmp_path))
        try:
            use(again)
        finally:
            again.close()

    def alive(again: Store) -> None:
        assert again.repair() == []

    def dead(again: Store) -> None:
        made = again.repair()
        assert {one.track for one in made} == {Track.CALLER, Track.AGENT, Track.MIX}
        assert all(one.repaired and (one.start_ms, one.end_ms) == (2000, 5000) for one in made)
        caller = heard(again, next(one for one in made if one.track is Track.CALLER))[:, 0]
        assert np.abs(caller[:8000]).max() > 7000 and not caller[8000:].any()
        assert again.repair() == []
        view = again.case(case)
        assert view and list(view.segments) == made

    reopened(alive)
    store.tracks().close()
    reopened(dead)


def test_sealed_sound_does_not_lie_open(store_url: str, tmp_path: Path) -> None:
    store = open_store(store_url, segments=tmp_path / "segments", key_file=tmp_path / "sound.key")
    case = store.open_case(opened())
    tracks = store.tracks()
    tracks.begin(case, Track.CALLER, start_ms=0)
    clear = tone(2000, 800)
    tracks.write(case, Track.CALLER, at_ms=0, pcm=clear)
    growing = [path for path in (tmp_path / "segments").rglob("*") if path.is_file()]
    assert all(clear[1000:1064] not in path.read_bytes() for path in growing)
    made = tracks.finish(case)
    assert all(b"fLaC" not in (store.segments / one.path).read_bytes()[:300] for one in made)
    old = (tmp_path / "sound.key").read_text()
    (tmp_path / "sound.key").write_text("knew " + "A" * 43 + "=\n" + old)
    store.close()
    again = open_store(store_url, segments=tmp_path / "segments", key_file=tmp_path / "sound.key")
    assert again.reseal(who="root") == len(made) and again.reseal(who="root") == 0
    again.close()
    (tmp_path / "sound.key").write_text("knew " + "A" * 43 + "=\n")
    last = open_store(store_url, segments=tmp_path / "segments", key_file=tmp_path / "sound.key")
    assert all(last.sound(one)[:4] == b"fLaC" for one in made)
    last.close()


def test_a_case_whose_call_ended_unseen_is_closed(store: Store) -> None:
    """Not one that still grows, not one that was closed; without sound only after a day."""
    now = store.now()
    left, growing, ended, _soundless, old = (
        store.open_case(opened(call=CallId(call), opened_at=now - timedelta(days=days)))
        for call, days in (("left", 0), ("growing", 0), ("ended", 0), ("soundless", 0), ("old", 2))
    )
    for case in (left, growing, ended):
        store.tracks().begin(case, Track.CALLER, start_ms=200_000)
        store.tracks().write(case, Track.CALLER, at_ms=200_000, pcm=b"\1\0" * 8 * 700)
    for case in (left, ended):
        store.tracks().finish(case)
    store.close_call(ended, ended_at=now, ended_ms=200_700)
    assert store.left_open() == {left: "left", old: "old"}
    for case in store.left_open():
        store.close_left(case)
    line, note = store.case_line(left), store.records(left)[-1]
    assert line is not None and line.ended_ms == 200_700
    assert line.ended_at == line.call_started_at + timedelta(milliseconds=200_700)
    assert note.kind is RecordKind.NOTE and "away" in note.data["text"]
    assert store.left_open() == {} and store.audit_break() is None
    with pytest.raises(StoreFault):
        store.close_left(CaseId("20260101-AAAAAA"))
