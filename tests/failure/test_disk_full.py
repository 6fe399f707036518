"""The disk is full: what was written stays readable, the fault is named, and writing goes on when there is room."""

from __future__ import annotations

import io
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from opening import opened

from callguard.model.case import Record, RecordKind, Track
from callguard.model.errors import StoreFault
from callguard.store import open_store


def in_child(work: Callable[[], None]) -> None:
    """Run it in a process of its own, for a limit on files cannot be tried out here."""
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            work()
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def limit(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


@pytest.mark.parametrize("sealed", [False, True])
def test_a_track_meets_a_full_disk(tmp_path: Path, sealed: bool) -> None:
    def work() -> None:
        key_file = tmp_path / "sound.key" if sealed else None
        store = open_store(f"sqlite:///{tmp_path}/c.db", segments=tmp_path / "segments", key_file=key_file)
        case = store.open_case(opened("1.1"))
        tracks = store.tracks()
        tracks.begin(case, Track.CALLER, start_ms=0)
        limit(200_000)
        code, at_ms = "", 0
        while at_ms < 60_000 and not code:
            try:
                tracks.write(case, Track.CALLER, at_ms=at_ms, pcm=b"\1\0" * 160)
                at_ms += 20
            except StoreFault as fault:
                code = fault.code
        assert code == "store-full" and at_ms > 8_000
        if not sealed:
            growing = next((tmp_path / "segments").rglob("caller.wav"))
            assert soundfile.info(growing).frames == at_ms * 8
        limit(resource.RLIM_INFINITY)
        tracks.write(case, Track.CALLER, at_ms=at_ms + 1000, pcm=b"\1\0" * 160)
        made = tracks.finish(case)
        samples, _ = soundfile.read(io.BytesIO(store.sound(made[0])), dtype="int16")
        assert samples[: at_ms * 8].all() and len(samples) == (at_ms + 1020) * 8
        store.close()

    in_child(work)


def test_the_case_store_meets_a_full_disk(tmp_path: Path) -> None:
    def work() -> None:
        store = open_store(f"sqlite:///{tmp_path}/c.db", segments=tmp_path / "segments")
        case = store.open_case(opened("1.1"))
        limit((tmp_path / "c.db-wal").stat().st_size + 50_000)
        code, written = "", 0
        while written < 200 and not code:
            try:
                store.append(case, [Record(kind=RecordKind.NOTE, at_ms=written, data={"text": "x" * 1000})])
                written += 1
            except StoreFault as fault:
                code = fault.code
        assert code == "store-full" and written > 0
        assert len(store.records(case)) == written + 1
        limit(resource.RLIM_INFINITY)
        store.append(case, [Record(kind=RecordKind.NOTE, at_ms=0, data={"text": "room again"})])
        assert len(store.records(case)) == written + 2 and store.audit_break() is None
        store.close()

    in_child(work)


def test_a_full_disk_at_the_end_leaves_the_sound_for_the_next_start(tmp_path: Path) -> None:
    def work() -> None:
        store = open_store(f"sqlite:///{tmp_path}/c.db", segments=tmp_path / "segments")
        case = store.open_case(opened("1.1"))
        tracks = store.tracks()
        tracks.begin(case, Track.CALLER, start_ms=0)
        noise = os.urandom(320_000)
        tracks.write(case, Track.CALLER, at_ms=0, pcm=noise)
        limit(100_000)
        with pytest.raises(StoreFault) as fault:
            tracks.finish(case)
        assert fault.value.code in ("store-full", "sound-not-finished")
        limit(resource.RLIM_INFINITY)
        made = store.repair()
        assert {one.track for one in made} == {Track.CALLER, Track.MIX} and all(one.repaired for one in made)
        samples, _ = soundfile.read(io.BytesIO(store.sound(made[0])), dtype="int16")
        assert samples.tobytes() == noise
        store.close()

    in_child(work)
