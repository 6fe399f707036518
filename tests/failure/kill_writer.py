"""A daemon's writing side, to be killed at any moment: flags calls, writes sound and story, says what it wrote.

One line on stdout a finished write: ``case <n> <id>``, ``sound <n> <end_ms>``, ``record <n> <number>``. What it said
before the blow must be there after it.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from callguard.model.case import CaseOpened, Record, RecordKind, Track
from callguard.model.ids import CallId
from callguard.store import open_store

SAMPLE = 1000


def main(folder: Path, round_: str, sealed: bool) -> None:
    key_file = folder / "sound.key" if sealed else None
    store = open_store(f"sqlite:///{folder}/cases.db", segments=folder / "segments", key_file=key_file)
    tracks = store.tracks()
    now = datetime.now(UTC)
    say("ready", 0, 0)
    frame = SAMPLE.to_bytes(2, "little") * 160
    number = 0
    while True:
        number += 1
        call = CallId(f"{round_}.{number}")
        case = store.open_case(
            CaseOpened(
                call=call,
                opened_at=now,
                call_started_at=now,
                queue="q",
                language="en",
                caller_number="",
                caller_name="",
                agent="a",
                policy_name="p",
                policy_hash="h",
                flag_reason="flag",
                flagged_by="agent",
                flagged_ms=0,
            )
        )
        say("case", number, case)
        for track in (Track.CALLER, Track.AGENT):
            tracks.begin(case, track, start_ms=0)
        for at_ms in range(0, 1200, 20):
            for track in (Track.CALLER, Track.AGENT):
                tracks.write(case, track, at_ms=at_ms, pcm=frame)
            say("sound", number, at_ms + 20)
            if at_ms % 300 == 0:
                store.append(case, [Record(kind=RecordKind.NOTE, at_ms=at_ms, data={"n": at_ms})])
                say("record", number, at_ms // 300 + 1)
        tracks.finish(case)
        store.close_call(case, ended_at=now, ended_ms=1200)


def say(*what: object) -> None:
    sys.stdout.write(" ".join(map(str, what)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "sealed")
