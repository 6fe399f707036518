"""Holds and deletion, on every database: two people release, and what was deleted is gone, provably."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from opening import opened

from callguard.model.case import Record, RecordKind, Track
from callguard.model.errors import CallguardError, Refused
from callguard.model.ids import CallId, CaseId
from callguard.model.policy import Keeping
from callguard.store import CaseFilter, Store, open_store
from callguard.store.sound import FilePlace, ObjectPlace, Sound, open_place

AT = datetime(2020, 1, 1, tzinfo=UTC)


def old_case(store: Store, call: str = "1") -> CaseId:
    case = store.open_case(opened(call, AT, caller_number="0312345678", caller_name="Taro"))
    store.append(case, [Record(kind=RecordKind.TRANSCRIPT, at_ms=0, data={"role": "caller", "text": "secret words"})])
    tracks = store.tracks()
    tracks.begin(case, Track.CALLER, start_ms=0)
    tracks.write(case, Track.CALLER, at_ms=0, pcm=b"\1\2" * 8000)
    tracks.finish(case)
    store.close_call(case, ended_at=AT, ended_ms=1000)
    return case


def test_two_people_release_a_hold(store: Store) -> None:
    case = old_case(store)
    store.hold(case, reason="police asked", who="ana")
    assert store.case_line(case).held  # type: ignore[union-attr]
    with pytest.raises(Refused) as refused:
        store.delete(case, who="ana", why="x")
    assert refused.value.code == "case-held"
    assert [store.release(case, who=who) for who in ("ana", "ana", "bo")] == [False, False, True]
    hold = store.holds(case)[0]
    assert (hold.placed_by, hold.asked_by, hold.released_by) == ("ana", "ana", "bo")
    assert not store.case_line(case).held  # type: ignore[union-attr]
    with pytest.raises(Refused) as refused:
        store.release(case, who="bo")
    assert refused.value.code == "not-held"
    verbs = [line.verb for line in store.audit_lines(thing=case)]
    assert verbs[-3:] == ["hold", "hold-release-asked", "hold-released"]


def test_a_second_hold_asks_anew(store: Store) -> None:
    case = old_case(store)
    store.hold(case, reason="one", who="ana")
    store.release(case, who="ana")
    store.hold(case, reason="two", who="cy")
    assert store.release(case, who="bo") is False
    assert store.release(case, who="ana") is False
    assert store.case_line(case).held  # type: ignore[union-attr]


def test_deletion_leaves_nothing_but_its_proof(store: Store) -> None:
    case = old_case(store)
    keep = old_case(store, "2")
    store.kept_longer(keep, datetime.now(UTC) + timedelta(days=1), who="m")
    view = store.case(case)
    assert view
    assert [one.line.id for one in store.due(lambda queue: Keeping())] == [case]
    assert store.purge(lambda queue: Keeping(), who="retention") == 1
    assert store.case(case) is None and store.open_case_of(CallId("1")) is None
    assert not list(store.segments.rglob(f"*{case}*"))
    assert store.count_cases(CaseFilter(words="secret")) == 1
    with store.reading() as connection:
        for table in ("records", "spoken", "segments", "case_kinds"):
            count = sa.text(f"SELECT count(*) FROM {table} WHERE case_id = :case")
            assert connection.execute(count, {"case": case}).scalar() == 0
    proof = {line.verb: line for line in store.audit_lines(thing=case)}
    assert proof["deleting"].data["records_hash"] == view.line.record_hash
    assert {one["sha256"] for one in proof["deleting"].data["sound"]} == {one.sha256 for one in view.segments}
    assert proof["deleted"].who == "retention" and store.audit_break() is None
    text = " ".join(str(line) for line in store.audit_lines())
    assert "0312345678" not in text and "Taro" not in text and "secret" not in text
    assert store.earlier_calls("0312345678", since=AT) == (0, 0)


def test_no_bytes_of_deleted_cases_stay_in_the_file(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/c.db", segments=tmp_path / "segments")
    case = old_case(store)
    secrets = (b"secret words", b"0312345678", b"Taro", case.encode())

    def lying() -> list[bytes]:
        files = b"".join(file.read_bytes() for file in tmp_path.glob("c.db*"))
        return [secret for secret in secrets if secret in files]

    assert b"secret words" in lying()
    store.purge(lambda queue: Keeping(), who="m")
    store.close()
    # the audit names the case for ever; it names nothing else of it
    assert set(lying()) <= {case.encode()}


def test_a_deletion_cut_short_is_finished(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    case = old_case(store)
    with monkeypatch.context() as broken:
        broken.setattr(Sound, "remove", lambda self, path: (_ for _ in ()).throw(RuntimeError("blow")))
        with pytest.raises(RuntimeError):
            store.delete(case, who="m", why="x")
    assert list(store.segments.rglob("caller*"))
    assert store.purge(lambda queue: Keeping(), who="m") == 0
    assert not list(store.segments.rglob("caller*"))
    assert [line.verb for line in store.audit_lines(thing=case)][-2:] == ["deleting", "deleted"]
    assert store.finish_deleting(who="m") == 0


class Bucket:
    """As much of an S3 client as the archive uses, in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ChecksumSHA256: str) -> None:
        assert Bucket == "evidence" and len(ChecksumSHA256) == 44
        self.objects[Key] = Body

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, object]:
        import io

        if Key not in self.objects:
            missing = Exception("no")
            missing.response = {"Error": {"Code": "NoSuchKey"}}  # type: ignore[attr-defined]
            raise missing
        return {"Body": io.BytesIO(self.objects[Key])}

    def delete_object(self, *, Bucket: str, Key: str) -> None:
        self.objects.pop(Key, None)


@pytest.mark.parametrize("kind", ["files", "objects"])
def test_an_archive_takes_sound_over(store: Store, tmp_path: Path, kind: str) -> None:
    place = (
        FilePlace(tmp_path / "archive") if kind == "files" else ObjectPlace(Bucket(), bucket="evidence", prefix="a/")
    )
    case = old_case(store)
    store._sound._archive = place
    view = store.case(case)
    assert view
    before = [store.sound(one) for one in view.segments]
    assert store.archive() == 2 and store.archive() == 0
    assert not list(store.segments.rglob("*.flac*"))
    assert [store.sound(one) for one in view.segments] == before
    store.delete(case, who="m", why="x")
    assert all(place.get(one.path) is None for one in view.segments)


@pytest.mark.parametrize("url", ["ftp://x/y", "s3://", "nothing"])
def test_a_wrong_archive_is_refused(url: str) -> None:
    with pytest.raises(CallguardError) as error:
        open_place(url)
    assert error.value.code == "archive-url-wrong"
