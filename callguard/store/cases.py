"""Writing cases: the first line, the story, the segments, the end. Every function works within one transaction."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from callguard.model.case import CaseOpened, CaseStatus, Record, RecordKind, Segment
from callguard.model.errors import StoreFault
from callguard.model.finding import Category
from callguard.model.ids import CaseId
from callguard.store.chain import canonical, link, plain, stamp
from callguard.store.search import fold, pairs
from callguard.store.tables import case_kinds, cases, records, segments, spoken

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_KINDS = frozenset(kind for kind in Category if not kind.is_care)


def new_case_id(opened_at: datetime) -> CaseId:
    """``YYYYMMDD-XXXXXX``: the UTC date, six random letters of Crockford's base 32."""
    letters = "".join(secrets.choice(_CROCKFORD) for _ in range(6))
    return CaseId(f"{opened_at.astimezone(UTC):%Y%m%d}-{letters}")


def case_of_call(connection: Connection, call: str) -> CaseId | None:
    """The case of this call, if there is one."""
    found = connection.execute(sa.select(cases.c.id).where(cases.c.call == plain(call))).scalar()
    return CaseId(found) if found else None


def insert_case(connection: Connection, opened: CaseOpened, *, mark: str, now: datetime) -> CaseId:
    """A new case together with its first record."""
    case = new_case_id(opened.opened_at)
    while connection.execute(sa.select(cases.c.id).where(cases.c.id == case)).first():
        case = new_case_id(opened.opened_at)
    facts = {key: plain(value) if isinstance(value, str) else value for key, value in asdict(opened).items()}
    connection.execute(cases.insert().values(id=case, status=CaseStatus.NEW, caller_mark=mark, **facts))
    first = Record(kind=RecordKind.CALL, at_ms=opened.flagged_ms, data={"what": "case-opened", **asdict(opened)})
    append_records(connection, case, [first], now=now)
    return case


def append_records(connection: Connection, case: CaseId, new: Sequence[Record], *, now: datetime) -> None:
    """Add lines to the story, each linked to the one before it. Raises StoreFault where there is no such case."""
    wanted = sa.select(cases.c.record_count, cases.c.record_hash).where(cases.c.id == case).with_for_update()
    head = connection.execute(wanted).first()
    if head is None:
        raise StoreFault("there is no such case", code="no-such-case")
    number, before = head.record_count, head.record_hash
    for record in new:
        number += 1
        text = canonical(record.data)
        before = link(before, chained_record(number, record.kind, record.at_ms, now, text))
        row = connection.execute(
            records.insert().values(
                case_id=case,
                number=number,
                kind=record.kind,
                at_ms=record.at_ms,
                written_at=now,
                data=text,
                hash=before,
            )
        )
        if record.kind is RecordKind.TRANSCRIPT:
            assert row.inserted_primary_key is not None
            _index_words(connection, case, row.inserted_primary_key[0], record.data)
    connection.execute(
        cases.update().where(cases.c.id == case).values(record_count=number, record_hash=before, **_sums(new))
    )
    if any(record.kind is RecordKind.FLAG for record in new):
        connection.execute(cases.update().where(cases.c.id == case).values(withdrawn=_withdrawn(connection, case)))
    add_kinds(connection, case, _kinds(new))


def chained_record(number: int, kind: str, at_ms: int, written_at: datetime, data: str) -> dict[str, Any]:
    """What the hash of a record is over. data: its canonical JSON."""
    return {"number": number, "kind": str(kind), "at_ms": at_ms, "written_at": stamp(written_at), "data": data}


def add_kinds(connection: Connection, case: CaseId, kinds: Iterable[str]) -> None:
    """Note that the case is of these kinds, for filters and retention."""
    known = set(connection.execute(sa.select(case_kinds.c.kind).where(case_kinds.c.case_id == case)).scalars())
    for kind in sorted(set(kinds) - known):
        connection.execute(case_kinds.insert().values(case_id=case, kind=kind))


def insert_segment(connection: Connection, segment: Segment, *, now: datetime) -> bool:
    """A finished piece of sound; False where it is known already (by its path)."""
    if connection.execute(sa.select(segments.c.id).where(segments.c.path == segment.path)).first():
        return False
    facts = {**asdict(segment), "case_id": segment.case, "written_at": now}
    facts.pop("case")
    connection.execute(segments.insert().values(**facts))
    return True


def end_call(connection: Connection, case: CaseId, *, ended_at: datetime, ended_ms: int) -> bool:
    """The call is over; False where that is known already."""
    done = connection.execute(
        cases.update()
        .where(cases.c.id == case, cases.c.ended_at.is_(None))
        .values(ended_at=ended_at, ended_ms=ended_ms)
    )
    return done.rowcount == 1


def _index_words(connection: Connection, case: CaseId, record_id: int, data: Mapping[str, Any]) -> None:
    folded = fold(str(data.get("text", "")))
    if folded:
        cut: object = pairs(folded)
        if connection.dialect.name == "sqlite":
            cut = " ".join(pairs(folded))
        connection.execute(spoken.insert().values(record_id=record_id, case_id=case, folded=folded, pairs=cut))


def _sums(new: Sequence[Record]) -> dict[str, Any]:
    found = [record.data for record in new if record.kind is RecordKind.FINDING]
    severity = max((_count(data.get("severity")) for data in found), default=0)
    rung = max((_count(record.data.get("rung")) for record in new if record.kind is RecordKind.DECISION), default=0)
    warned = sum(record.kind is RecordKind.ANNOUNCEMENT and _was_heard(record.data) for record in new)
    sums: dict[str, Any] = {}
    if severity:
        sums["severity"] = sa.case((cases.c.severity < severity, severity), else_=cases.c.severity)
    if rung:
        sums["rung"] = sa.case((cases.c.rung < rung, rung), else_=cases.c.rung)
    if warned:
        sums["warnings"] = cases.c.warnings + warned
    return sums


def _withdrawn(connection: Connection, case: CaseId) -> bool:
    """True where every flag raised on this case was taken back."""
    query = sa.select(records.c.data).where(records.c.case_id == case, records.c.kind == RecordKind.FLAG)
    standing: dict[str, bool] = {}
    for text in connection.execute(query.order_by(records.c.number)).scalars():
        data = json.loads(text)
        flag = canonical([data.get("by"), data.get("reason"), data.get("at_ms")])
        standing[flag] = data.get("what") != "withdrawn"
    return bool(standing) and not any(standing.values())


def _was_heard(data: Mapping[str, Any]) -> bool:
    return data.get("effect", "done") in ("done", "cut-short", "not-confirmed")


def _kinds(new: Sequence[Record]) -> set[str]:
    said = {str(record.data.get("category", "")) for record in new if record.kind is RecordKind.FINDING}
    return said & {str(kind) for kind in _KINDS}


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
