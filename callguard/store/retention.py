"""How long cases are kept, holds against it, and deletion that can be proven afterwards.

Rule: times are counted from the end of the call in UTC, so a change of the clocks changes nothing. The longest time
among a case's kinds wins; a hold wins over every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from callguard.model.case import CaseStatus
from callguard.model.errors import Refused, StoreFault
from callguard.model.finding import Category
from callguard.model.ids import CaseId
from callguard.model.policy import Keeping
from callguard.store.reading import CaseLine, with_kinds
from callguard.store.tables import cases, holds, segments
from callguard.store.trail import append_audit

KeepingOf = Callable[[str], Keeping]
"""Queue -> what its policy says about keeping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One hold. asked_by: who asked for its release; released_by: the other person who agreed."""

    reason: str
    placed_by: str
    placed_at: datetime
    asked_by: str | None = None
    asked_at: datetime | None = None
    released_by: str | None = None
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A case whose time is over. until: when it was. segments: how many files of sound go with it."""

    line: CaseLine
    until: datetime
    segments: int


def kept_until(line: CaseLine, keeping: Keeping) -> datetime:
    """The end of a case's time. A time written on the case itself only ever lengthens it."""
    known = {str(kind) for kind in Category}
    kinds = frozenset(Category(kind) for kind in line.kinds if kind in known)
    days = keeping.days_dismissed if line.status is CaseStatus.DISMISSED else keeping.days_for(kinds)
    until = (line.ended_at or line.opened_at) + timedelta(days=days)
    return max(until, line.kept_until) if line.kept_until else until


def due_cases(connection: Connection, keeping_of: KeepingOf, *, now: datetime) -> list[Due]:
    """Cases whose time is over, that nobody holds and whose call has ended (or is older than a day), oldest first."""
    query = sa.select(cases).where(cases.c.held.is_(sa.false())).order_by(cases.c.opened_at, cases.c.id)
    found: list[Due] = []
    for line in with_kinds(connection, connection.execute(query.where(cases.c.opened_at <= now)).all()):
        running = line.ended_at is None and line.opened_at > now - timedelta(days=1)
        until = kept_until(line, keeping_of(line.queue))
        if until <= now and not running:
            counted = sa.select(sa.func.count()).where(segments.c.case_id == line.id)
            found.append(Due(line=line, until=until, segments=connection.execute(counted).scalar_one()))
    return found


def delete_case(connection: Connection, case: CaseId, *, who: str, now: datetime, why: str) -> list[str]:
    """Delete a case's rows; the audit keeps what was deleted, by hash. Returns the paths of its sound.

    Raises Refused for a case that is held, StoreFault where there is none.
    """
    row = connection.execute(sa.select(cases).where(cases.c.id == case).with_for_update()).first()
    if row is None:
        raise StoreFault("there is no such case", code="no-such-case")
    if row.held:
        raise Refused("the case is on hold", code="case-held", hint="two people must release the hold first")
    files = connection.execute(sa.select(segments.c.path, segments.c.sha256).where(segments.c.case_id == case)).all()
    data = {
        "why": why,
        "records": row.record_count,
        "records_hash": row.record_hash,
        "sound": [{"path": one.path, "sha256": one.sha256} for one in files],
    }
    append_audit(connection, at=now, who=who, verb="deleting", thing=case, data=data)
    connection.execute(cases.delete().where(cases.c.id == case))
    return [one.path for one in files]


def place_hold(connection: Connection, case: CaseId, *, reason: str, who: str, now: datetime) -> None:
    """Keep a case whatever its time says. Raises StoreFault where there is none."""
    if connection.execute(cases.update().where(cases.c.id == case).values(held=True)).rowcount != 1:
        raise StoreFault("there is no such case", code="no-such-case")
    connection.execute(holds.insert().values(case_id=case, reason=reason, placed_by=who, placed_at=now))
    append_audit(connection, at=now, who=who, verb="hold", thing=case, data={"reason": reason})


def release_hold(connection: Connection, case: CaseId, *, who: str, now: datetime) -> bool:
    """Ask for the release of a case's holds, or agree to what another person asked. True when the case is free.

    Raises Refused where nothing is held.
    """
    open_holds = sa.and_(holds.c.case_id == case, holds.c.released_at.is_(None))
    rows = connection.execute(sa.select(holds).where(open_holds).with_for_update()).all()
    if not rows:
        raise Refused("the case is not on hold", code="not-held")
    if all(row.asked_by and row.asked_by != who for row in rows):
        connection.execute(holds.update().where(open_holds).values(released_by=who, released_at=now))
        connection.execute(cases.update().where(cases.c.id == case).values(held=False))
        data: dict[str, object] = {"asked_by": sorted({row.asked_by for row in rows})}
        append_audit(connection, at=now, who=who, verb="hold-released", thing=case, data=data)
        return True
    fresh = holds.update().where(open_holds, holds.c.asked_by.is_(None)).values(asked_by=who, asked_at=now)
    if connection.execute(fresh).rowcount:
        append_audit(connection, at=now, who=who, verb="hold-release-asked", thing=case, data={})
    return False


def read_holds(connection: Connection, case: CaseId) -> tuple[Hold, ...]:
    """All holds of a case, oldest first."""
    rows = connection.execute(sa.select(holds).where(holds.c.case_id == case).order_by(holds.c.id))
    return tuple(_hold(row) for row in rows)


def _hold(row: sa.Row[tuple[object, ...]]) -> Hold:
    facts = {key: value for key, value in row._mapping.items() if key not in ("id", "case_id")}
    return Hold(**facts)


def count_by_queue(due: Iterable[Due]) -> dict[str, int]:
    """How many cases of each queue, for the question before deletion."""
    counted: dict[str, int] = {}
    for one in due:
        counted[one.line.queue] = counted.get(one.line.queue, 0) + 1
    return counted
