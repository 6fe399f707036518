"""The writing process is killed with SIGKILL at random moments, 200 times: what it had written is there."""

from __future__ import annotations

import io
import os
import random
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from callguard.model.case import RecordKind, Track
from callguard.model.ids import CallId, CaseId
from callguard.store import Store, open_store

TRIALS = int(os.environ.get("CALLGUARD_KILL_TRIALS", "200"))
WRITER = Path(__file__).with_name("kill_writer.py")
SAMPLE = 1000


def killed_after(folder: Path, round_: str, how: str, blow_s: float) -> list[str]:
    """Everything the writer said until it was killed, ``blow_s`` after it was ready."""
    program = [sys.executable, str(WRITER), str(folder), round_, how]
    said, blow = b"", None
    with subprocess.Popen(program, stdout=subprocess.PIPE) as writer, selectors.DefaultSelector() as selector:
        assert writer.stdout
        selector.register(writer.stdout, selectors.EVENT_READ)
        try:
            while blow is None or time.monotonic() < blow:
                wait = 30.0 if blow is None else max(0.0, blow - time.monotonic())
                if not selector.select(wait):
                    assert blow is not None, "the writer did not start"
                    break
                piece = os.read(writer.stdout.fileno(), 65536)
                assert piece, "the writer ended by itself"
                said += piece
                if blow is None and b"ready" in said:
                    blow = time.monotonic() + blow_s
        finally:
            os.kill(writer.pid, signal.SIGKILL)
        while piece := os.read(writer.stdout.fileno(), 65536):
            said += piece
    return said.decode().rpartition("\n")[0].splitlines()


def check(store: Store, said: list[str], round_: str) -> int:
    """Every word the writer said holds. Returns how many milliseconds of flagged sound were checked."""
    cases: dict[int, CaseId] = {}
    heard_ms: dict[int, int] = {}
    records: dict[int, int] = {}
    for line in said:
        what, number, value = line.split(" ")
        if what == "case":
            cases[int(number)] = CaseId(value)
        elif what == "sound":
            heard_ms[int(number)] = int(value)
        elif what == "record":
            records[int(number)] = int(value)
    for number, case in cases.items():
        assert store.open_case_of(CallId(f"{round_}.{number}")) == case
        view = store.case(case)
        assert view is not None and view.records[0].data["what"] == "case-opened"
        assert len(view.of(RecordKind.NOTE)) >= records.get(number, 0)
        kept = {one.track: one for one in view.segments}
        if heard_ms.get(number):
            assert set(kept) == {Track.CALLER, Track.AGENT, Track.MIX}
            assert len(view.segments) == 3
            samples, _ = soundfile.read(io.BytesIO(store.sound(kept[Track.CALLER])), dtype="int16")
            assert np.all(samples[: heard_ms[number] * 8] == SAMPLE)
            assert len(samples) >= heard_ms[number] * 8
    return sum(heard_ms.values())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", ["plain", "sealed"])
def test_nothing_written_before_the_blow_is_lost(tmp_path: Path, how: str) -> None:
    dice = random.Random(how)
    checked_ms = repaired = opened = 0
    for trial in range(TRIALS // 2):
        said = killed_after(tmp_path, str(trial), how, dice.uniform(0.0, 0.6))
        key_file = tmp_path / "sound.key" if how == "sealed" else None
        store = open_store(f"sqlite:///{tmp_path}/cases.db", segments=tmp_path / "segments", key_file=key_file)
        try:
            made = store.repair()
            assert all(one.repaired for one in made)
            repaired += len(made)
            checked_ms += check(store, said, str(trial))
            opened += sum(line.startswith("case") for line in said)
            assert store.repair() == []
            assert store.audit_break() is None
        finally:
            store.close()
    assert not list((tmp_path / "segments").rglob("*.wav")) and not list((tmp_path / "segments").rglob("*.grow"))
    assert opened > TRIALS // 4 and repaired > 0 and checked_ms > TRIALS * 100
