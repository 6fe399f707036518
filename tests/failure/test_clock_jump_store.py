"""The wall clock jumps, back or ahead, or the zone's clocks change: the record stays a record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from opening import opened

from callguard.model.case import CaseStatus, Record, RecordKind
from callguard.model.finding import Category
from callguard.model.ids import CaseId
from callguard.model.policy import Keeping
from callguard.store import Store, open_store

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.at = AT

    def __call__(self) -> datetime:
        return self.at


def case_of(store: Store, call: str, at: datetime) -> CaseId:
    return store.open_case(opened(call, at, caller_number="0312345678"))


def test_a_clock_set_back_breaks_neither_chain_nor_story(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(f"sqlite:///{tmp_path}/c.db", segments=tmp_path / "segments", clock=clock)
    case = case_of(store, "1", clock())
    for jump in (timedelta(hours=-5), timedelta(days=400), timedelta(days=-800)):
        clock.at += jump
        store.append(case, [Record(kind=RecordKind.NOTE, at_ms=1, data={})])
        store.audit(who="x", verb="play", thing=case, data={})
    assert [one.number for one in store.records(case)] == [1, 2, 3, 4]
    assert [one.number for one in store.audit_lines()] == [1, 2, 3, 4] and store.audit_break() is None
    store.close()


def test_retention_counts_days_in_utc(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(f"sqlite:///{tmp_path}/c.db", segments=tmp_path / "segments", clock=clock)
    keeping = Keeping(days=((Category.THREAT, 365),), days_default=10, days_dismissed=2)
    # the clocks of Berlin went back between the end of this call and the end of its time
    end = datetime(2026, 10, 20, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    plain, threat, dismissed, held, running = (case_of(store, str(n), end) for n in range(5))
    for case in (plain, threat, dismissed, held):
        store.close_call(case, ended_at=end, ended_ms=1)
    store.append(threat, [Record(kind=RecordKind.FINDING, at_ms=1, data={"category": "threat", "severity": 3})])
    store.append(threat, [Record(kind=RecordKind.FINDING, at_ms=1, data={"category": "sexual", "severity": 3})])
    store.set_status(dismissed, CaseStatus.DISMISSED, who="m")
    store.hold(held, reason="police", who="m")

    def due(at: datetime) -> set[str]:
        clock.at = at
        return {one.line.id for one in store.due(lambda queue: keeping)}

    assert due(end + timedelta(hours=1)) == set()
    assert due(end + timedelta(days=2)) == {dismissed}
    ten_days = end.astimezone(UTC) + timedelta(days=10)
    assert due(ten_days - timedelta(seconds=1)) == {dismissed}
    assert due(ten_days) == {dismissed, plain, running}
    store.kept_longer(plain, ten_days + timedelta(days=90), who="m")
    assert due(ten_days) == {dismissed, running}
    assert due(end + timedelta(days=364)) == {dismissed, plain, running}
    assert due(end + timedelta(days=365)) == {dismissed, plain, running, threat}
    store.close()
