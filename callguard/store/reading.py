"""What the desk and the command line read: lists that stay quick at 50,000 cases, and one whole case.

Lists are paged by the last line seen, never by counting off lines that came before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from callguard.model.case import CaseStatus, RecordKind, Segment, Track
from callguard.model.ids import CallId, CaseId
from callguard.store.search import fold, pairs
from callguard.store.tables import case_kinds, cases, records, segments, spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLine:
    """One case as lists show it.

    kinds: working kinds found in the call, sorted. severity: the worst finding's. rung: the ladder's last position.
    warnings: announcements the caller was played. record_hash: last link of the case's chain of records.
    """

    id: CaseId
    call: CallId
    status: CaseStatus
    opened_at: datetime
    call_started_at: datetime
    ended_at: datetime | None
    ended_ms: int | None
    queue: str
    language: str
    caller_number: str = field(repr=False)
    caller_name: str = field(repr=False)
    caller_mark: str
    agent: str
    policy_name: str
    policy_hash: str
    flag_reason: str
    flagged_by: str
    flagged_ms: int
    withdrawn: bool
    severity: int
    rung: int
    warnings: int
    record_count: int
    record_hash: str
    kept_until: datetime | None
    held: bool
    assigned: str
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A line of the story as it was written. number: from 1 within the case."""

    number: int
    kind: RecordKind
    at_ms: int
    written_at: datetime
    data: Mapping[str, Any] = field(repr=False)
    hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """A whole case."""

    line: CaseLine
    records: tuple[StoredRecord, ...]
    segments: tuple[Segment, ...]

    def of(self, *kinds: RecordKind) -> tuple[StoredRecord, ...]:
        """The records of these kinds, in order."""
        return tuple(record for record in self.records if record.kind in kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """Which cases. Empty means any; everything named must hold.

    queues: only these; a person's scope and their choice alike. words: a phrase somebody said in the call.
    caller_mark: keyed hash of a number (``Store.mark``).
    """

    statuses: frozenset[CaseStatus] = frozenset()
    queues: frozenset[str] | None = None
    agents: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    flagged_by: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    caller_mark: str = ""
    call: str = ""
    severity: int = 0
    held: bool | None = None
    assigned: str | None = None
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePage:
    """Some cases, newest first. after: give it back to get the next page, "" where there is none."""

    lines: tuple[CaseLine, ...]
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One place where searched words were said."""

    case: CaseId
    record: int
    at_ms: int
    role: str
    text: str = field(repr=False)


def list_cases(connection: Connection, wanted: CaseFilter, *, limit: int, after: str) -> CasePage:
    """One page, newest first. A cursor that is none of ours begins at the newest."""
    query = sa.select(cases).where(*_conditions(connection, wanted))
    query = query.order_by(cases.c.opened_at.desc(), cases.c.id.desc()).limit(limit + 1)
    if place := _place(after):
        at, case = place
        query = query.where(
            sa.or_(cases.c.opened_at < at, sa.and_(cases.c.opened_at == at, cases.c.id < case)), cases.c.opened_at <= at
        )
    rows = connection.execute(query).all()
    lines = with_kinds(connection, rows[:limit])
    more = len(rows) > limit
    return CasePage(lines=lines, after=f"{lines[-1].opened_at.isoformat()}|{lines[-1].id}" if more else "")


def count_cases(connection: Connection, wanted: CaseFilter) -> int:
    """How many cases there are of these."""
    query = sa.select(sa.func.count()).select_from(cases).where(*_conditions(connection, wanted))
    return connection.execute(query).scalar_one()


def read_line(connection: Connection, case: CaseId) -> CaseLine | None:
    """One case without its story."""
    rows = connection.execute(sa.select(cases).where(cases.c.id == case)).all()
    lines = with_kinds(connection, rows)
    return lines[0] if lines else None


def read_open(connection: Connection) -> tuple[CaseLine, ...]:
    """Every case of which no end of its call is known."""
    return with_kinds(connection, connection.execute(sa.select(cases).where(cases.c.ended_at.is_(None))).all())


def read_case(connection: Connection, case: CaseId) -> CaseView | None:
    """One whole case."""
    line = read_line(connection, case)
    if line is None:
        return None
    return CaseView(line=line, records=read_records(connection, case), segments=read_segments(connection, case))


def read_records(connection: Connection, case: CaseId) -> tuple[StoredRecord, ...]:
    """The story of one case, in order."""
    rows = connection.execute(sa.select(records).where(records.c.case_id == case).order_by(records.c.number))
    return tuple(
        StoredRecord(
            number=row.number,
            kind=RecordKind(row.kind),
            at_ms=row.at_ms,
            written_at=row.written_at,
            data=json.loads(row.data),
            hash=row.hash,
        )
        for row in rows
    )


def read_segments(connection: Connection, case: CaseId) -> tuple[Segment, ...]:
    """The finished sound of one case, in the order it was written."""
    rows = connection.execute(sa.select(segments).where(segments.c.case_id == case).order_by(segments.c.id))
    return tuple(
        Segment(
            case=CaseId(row.case_id),
            track=Track(row.track),
            path=row.path,
            start_ms=row.start_ms,
            end_ms=row.end_ms,
            sha256=row.sha256,
            kept_until=row.kept_until,
            repaired=row.repaired,
        )
        for row in rows
    )


def search_words(connection: Connection, words: str, wanted: CaseFilter, *, limit: int) -> tuple[Hit, ...]:
    """Places where this phrase was said, newest first, within the cases of the filter."""
    folded = fold(words)
    if not folded:
        return ()
    query = (
        sa.select(records.c.case_id, records.c.number, records.c.at_ms, records.c.data)
        .join(spoken, spoken.c.record_id == records.c.id)
        .join(cases, cases.c.id == spoken.c.case_id)
        .where(_said(connection, folded), *_conditions(connection, wanted))
        .order_by(records.c.id.desc())
        .limit(limit)
    )
    hits = []
    for row in connection.execute(query):
        data = json.loads(row.data)
        text, role = str(data.get("text", "")), str(data.get("role", ""))
        hits.append(Hit(case=CaseId(row.case_id), record=row.number, at_ms=row.at_ms, role=role, text=text))
    return tuple(hits)


def with_kinds(connection: Connection, rows: Sequence[sa.Row[Any]]) -> tuple[CaseLine, ...]:
    """Rows of ``cases`` as lines, with their kinds."""
    ids = [row.id for row in rows]
    kinds: dict[str, list[str]] = {}
    query = sa.select(case_kinds).where(case_kinds.c.case_id.in_(ids)).order_by(case_kinds.c.kind)
    for found in connection.execute(query) if ids else ():
        kinds.setdefault(found.case_id, []).append(found.kind)
    return tuple(_line(row, kinds.get(row.id, ())) for row in rows)


def _line(row: sa.Row[Any], kinds: Iterable[str]) -> CaseLine:
    facts = dict(row._mapping)
    facts["status"] = CaseStatus(facts["status"])
    return CaseLine(**facts, kinds=tuple(kinds))


def _conditions(connection: Connection, wanted: CaseFilter) -> list[sa.ColumnElement[bool]]:
    chosen: list[sa.ColumnElement[bool]] = []
    for column, values in (
        (cases.c.status, wanted.statuses),
        (cases.c.agent, wanted.agents),
        (cases.c.language, wanted.languages),
        (cases.c.flagged_by, wanted.flagged_by),
    ):
        if values:
            chosen.append(column.in_(sorted(values)))
    if wanted.queues is not None:
        chosen.append(cases.c.queue.in_(sorted(wanted.queues)))
    if wanted.kinds:
        of_kind = sa.select(case_kinds.c.case_id).where(case_kinds.c.kind.in_(sorted(wanted.kinds)))
        chosen.append(cases.c.id.in_(of_kind))
    if wanted.since:
        chosen.append(cases.c.opened_at >= wanted.since)
    if wanted.until:
        chosen.append(cases.c.opened_at < wanted.until)
    if wanted.caller_mark:
        chosen.append(cases.c.caller_mark == wanted.caller_mark)
    if wanted.call:
        chosen.append(cases.c.call == wanted.call)
    if wanted.severity:
        chosen.append(cases.c.severity >= wanted.severity)
    if wanted.held is not None:
        chosen.append(cases.c.held.is_(wanted.held))
    if wanted.assigned is not None:
        chosen.append(cases.c.assigned == wanted.assigned)
    if folded := fold(wanted.words):
        chosen.append(cases.c.id.in_(sa.select(spoken.c.case_id).where(_said(connection, folded))))
    elif wanted.words:
        chosen.append(sa.false())
    return chosen


def _said(connection: Connection, folded: str) -> sa.ColumnElement[bool]:
    """True of rows of ``spoken`` that hold this folded phrase."""
    cut = pairs(folded)
    if connection.dialect.name == "sqlite":
        phrase = f'"{" ".join(cut)}"' + ("*" if len(folded) == 1 else "")
        found = sa.text("SELECT rowid FROM spoken_index WHERE spoken_index MATCH :phrase").bindparams(phrase=phrase)
        return spoken.c.record_id.in_(found.columns(sa.column("rowid", sa.Integer)).subquery().select())
    held = spoken.c.folded.contains(folded, autoescape=True)
    return (
        sa.and_(sa.type_coerce(spoken.c.pairs, postgresql.ARRAY(sa.Text)).contains(cut), held)
        if len(folded) > 1
        else held
    )


def _place(after: str) -> tuple[datetime, str] | None:
    at, _, case = after.partition("|")
    try:
        place = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (place, case) if place.tzinfo else None
