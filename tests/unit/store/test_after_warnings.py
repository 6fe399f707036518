"""What followed a warning, as the report counts it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opening import opened

from callguard.model.case import Record, RecordKind
from callguard.store import Store, open_store
from callguard.store.desk_figures import AfterWarnings, figures

NOW = datetime.now(UTC)


def found(at_ms: int) -> Record:
    data = {"rule": "en.x", "category": "threat", "severity": 2, "stage": "committed", "score": 1.0, "words": "x"}
    return Record(kind=RecordKind.FINDING, at_ms=at_ms, data=data)


def warned(at_ms: int, rung: int = 1) -> Record:
    data = {"announcement": "warn-1", "rung": rung, "effect": "done", "whole": True, "ended_ms": at_ms + 5_000}
    return Record(kind=RecordKind.ANNOUNCEMENT, at_ms=at_ms, data=data)


def did(name: str, at_ms: int) -> Record:
    return Record(kind=RecordKind.ACTION, at_ms=at_ms, data={"id": f"{name}{at_ms}", "name": name})


def case(store: Store, call: str, *story: Record) -> None:
    made = store.open_case(opened(call, NOW))
    store.append(made, story)


@pytest.mark.parametrize(
    ("story", "told"),
    [
        ((found(1_000),), AfterWarnings()),
        ((found(1_000), warned(10_000)), AfterWarnings(calm=1)),
        ((warned(10_000), found(14_000)), AfterWarnings(calm=1)),
        ((warned(10_000), found(16_000)), AfterWarnings(went_on=1)),
        ((warned(10_000), found(16_000), warned(20_000, 2)), AfterWarnings(calm=1)),
        ((warned(10_000), found(16_000), did("EndCall", 20_000)), AfterWarnings(ended=1)),
        ((warned(10_000), did("Transfer", 20_000)), AfterWarnings(ended=1)),
        ((did("EndCall", 20_000),), AfterWarnings()),
    ],
)
def test_what_followed(tmp_path: Path, story: tuple[Record, ...], told: AfterWarnings) -> None:
    store = open_store(f"sqlite:///{tmp_path}/c.db", segments=tmp_path / "segments")
    try:
        case(store, "1.1", *story)
        made = figures(store, since=NOW - timedelta(days=1), until=NOW + timedelta(days=1), queues=None)
    finally:
        store.close()
    assert made.after_warnings == told
