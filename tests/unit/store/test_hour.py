"""Over an hour with gaps, late starts and late frames, every track is where the call's clock says."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import soundfile
from opening import opened

from callguard.model.case import Track
from callguard.store import open_store

HOUR_MS = 3_600_000


def test_an_hour_in_step(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/c.db", segments=tmp_path / "segments")
    at = datetime(2026, 11, 25, tzinfo=UTC)
    case = store.open_case(opened("1", at))
    tracks = store.tracks()
    begins = {Track.CALLER: 1000, Track.AGENT: 1020, Track.ANNOUNCEMENTS: 600_000, Track.SUPERVISOR: 3_000_000}
    clicks = [3_000_000 + 60_000 * n for n in range(1, 10)] + [HOUR_MS - 20]
    click = b"\0\x40" * 160
    for track, start_ms in begins.items():
        tracks.begin(case, track, start_ms=start_ms)
        for place in reversed(clicks):
            tracks.write(case, track, at_ms=place, pcm=click)
    made = {one.track: one for one in tracks.finish(case)}
    assert {(one.start_ms, one.end_ms) for one in made.values()} == {(1000, HOUR_MS)}
    for track in (*begins, Track.MIX):
        sound, _ = soundfile.read(io.BytesIO(store.sound(made[track])), dtype="int16", always_2d=True)
        loud = np.abs(sound[:, 0]) > 1000
        heard = np.flatnonzero(loud[1:] & ~loud[:-1]) + 1
        assert (heard / 8 + 1000).tolist() == clicks
    store.close()
