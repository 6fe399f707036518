"""Figures about cases, counted by the database: what was flagged, what came of it, how sure the count is.

Rule: nothing here is by agent. A report that ranks people is not made, not even by accident.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from callguard.model.case import RecordKind
from callguard.store.desk_tables import state
from callguard.store.store import Store
from callguard.store.tables import audit, case_kinds, cases, records
from callguard.store.trail import AuditLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of a count with its 95 % interval (Wilson). low, high: 0..1; all of it where nothing was counted."""

    part: int
    of: int

    @property
    def value(self) -> float:
        """The share itself, 0 where nothing was counted."""
        return self.part / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies, 95 times in 100."""
        if not self.of:
            return (0.0, 1.0)
        z, n, p = 1.959964, self.of, self.value
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return (max(0.0, middle - half), min(1.0, middle + half))


@dataclass(slots=True)
class Group:
    """Cases of one week, kind, queue, hour or rule. Times in seconds.

    proper: dismissed ones that both answers call a proper complaint: complaints that were protected.
    """

    name: str
    flags: int = 0
    confirmed: int = 0
    dismissed: int = 0
    proper: int = 0
    warnings: int = 0
    warned_cases: int = 0
    lost_s: int = 0
    review_s: list[float] = field(default_factory=list)
    callers: dict[str, int] = field(default_factory=dict)

    @property
    def judged(self) -> int:
        """Confirmed and dismissed."""
        return self.confirmed + self.dismissed

    @property
    def false_flags(self) -> Share:
        """Dismissed among the judged."""
        return Share(part=self.dismissed, of=self.judged)

    @property
    def repeat_callers(self) -> int:
        """Numbers with more than one case."""
        return sum(count > 1 for count in self.callers.values())

    @property
    def review_h(self) -> float | None:
        """The middle time from flag to verdict, in hours."""
        ordered = sorted(self.review_s)
        return ordered[len(ordered) // 2] / 3600 if ordered else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterWarnings:
    """What followed the last warning of each warned case.

    calm: nothing more was found. went_on: something was. ended: the caller was handed over or the call was ended.
    """

    calm: int = 0
    went_on: int = 0
    ended: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A whole report."""

    since: datetime
    until: datetime
    all: Group
    weeks: list[Group]
    kinds: list[Group]
    queues: list[Group]
    hours: list[Group]
    rules: list[Group]
    by_flagger: list[Group]
    rests: int
    rest_s: int
    after_warnings: AfterWarnings


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyUse:
    """One policy version in use, for the proof of measures."""

    name: str
    hash: str
    first_at: datetime
    last_at: datetime
    count: int


def figures(store: Store, *, since: datetime, until: datetime, queues: Iterable[str] | None) -> Figures:
    """Count the cases opened in this time, in these queues (None: all)."""
    within = [cases.c.opened_at >= since, cases.c.opened_at < until]
    if queues is not None:
        within.append(cases.c.queue.in_(sorted(queues)))
    with store.reading() as link:
        rows = link.execute(
            sa.select(
                cases.c.id,
                cases.c.opened_at,
                cases.c.queue,
                cases.c.flagged_by,
                cases.c.ended_ms,
                cases.c.flagged_ms,
                cases.c.warnings,
                cases.c.caller_mark,
                state.c.decision,
                state.c.justified,
                state.c.acceptable,
                state.c.category,
                state.c.decided_at,
            )
            .join(state, state.c.case == cases.c.id, isouter=True)
            .where(*within)
        ).all()
        kinds = _kinds(link, within)
        rules = _rules(link, within)
        rests, rest_s = _rests(link, within)
        after = _after_warnings(link, within)
    whole = Group("")
    groups: dict[str, dict[str, Group]] = defaultdict(dict)

    def into(table: str, name: str) -> Group:
        known = groups[table].get(name)
        if known is None:
            known = groups[table][name] = Group(name)
        return known

    for row in rows:
        local = row.opened_at.astimezone()
        year, week, _ = local.isocalendar()
        wanted = [whole, into("week", f"{year}-W{week:02}"), into("queue", row.queue), into("hour", f"{local.hour:02}")]
        wanted.append(into("flagger", row.flagged_by))
        wanted += [into("kind", kind) for kind in ([row.category] if row.category else kinds.get(row.id, ()))]
        wanted += [into("rule", rule) for rule in rules.get(row.id, ())]
        facts = _facts(row)
        for group in wanted:
            _count(group, *facts)

    def ordered(table: str, *, by_size: bool = False) -> list[Group]:
        found = list(groups[table].values())
        return sorted(found, key=lambda one: (-one.flags, one.name) if by_size else (0, one.name))

    return Figures(
        since=since,
        until=until,
        all=whole,
        weeks=ordered("week"),
        kinds=ordered("kind", by_size=True),
        queues=ordered("queue", by_size=True),
        hours=[groups["hour"].get(f"{hour:02}", Group(f"{hour:02}")) for hour in range(24)],
        rules=ordered("rule", by_size=True),
        by_flagger=ordered("flagger", by_size=True),
        rests=rests,
        rest_s=rest_s,
        after_warnings=after,
    )


def policies_used(store: Store, *, since: datetime, until: datetime) -> list[PolicyUse]:
    """Every policy version that opened a case in this time, oldest first."""
    query = (
        sa.select(
            cases.c.policy_name,
            cases.c.policy_hash,
            sa.func.min(cases.c.opened_at).label("first_at"),
            sa.func.max(cases.c.opened_at).label("last_at"),
            sa.func.count().label("n"),
        )
        .where(cases.c.opened_at >= since, cases.c.opened_at < until)
        .group_by(cases.c.policy_name, cases.c.policy_hash)
        .order_by(sa.text("first_at"))
    )
    with store.reading() as link:
        return [
            PolicyUse(
                name=row.policy_name, hash=row.policy_hash, first_at=row.first_at, last_at=row.last_at, count=row.n
            )
            for row in link.execute(query)
        ]


def newest_audit(store: Store, *, thing: str, who: str, before: int, limit: int) -> list[AuditLine]:
    """Lines of the audit, newest first, of one thing or person where named, with numbers below ``before``."""
    query = sa.select(audit).order_by(audit.c.number.desc()).limit(limit)
    if thing:
        query = query.where(audit.c.thing == thing)
    if who:
        query = query.where(audit.c.who == who)
    if before:
        query = query.where(audit.c.number < before)
    with store.reading() as link:
        return [
            AuditLine(
                number=row.number, at=row.at, who=row.who, verb=row.verb, thing=row.thing, data=json.loads(row.data)
            )
            for row in link.execute(query)
        ]


def _facts(row: Any) -> tuple[int, int, str, str, bool, float | None]:
    """Warnings, seconds after the flag, caller, decision, proper complaint, seconds to the verdict."""
    decision = row.decision or ""
    proper = decision == "dismissed" and row.justified == "yes" and row.acceptable == "yes"
    review = (row.decided_at - row.opened_at).total_seconds() if decision and row.decided_at else None
    return row.warnings, max(0, (row.ended_ms or 0) - row.flagged_ms) // 1000, row.caller_mark, decision, proper, review


def _count(
    group: Group, warnings: int, lost_s: int, caller: str, decision: str, proper: bool, review: float | None
) -> None:
    group.flags += 1
    group.warnings += warnings
    group.warned_cases += warnings > 0
    group.lost_s += lost_s
    if caller:
        group.callers[caller] = group.callers.get(caller, 0) + 1
    group.confirmed += decision == "confirmed"
    group.dismissed += decision == "dismissed"
    group.proper += proper
    if review is not None:
        group.review_s.append(review)


def _kinds(link: Connection, within: list[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    query = sa.select(case_kinds.c.case_id, case_kinds.c.kind).join(cases, cases.c.id == case_kinds.c.case_id)
    for row in link.execute(query.where(*within)):
        found[row.case_id].append(row.kind)
    return found


def _story(kind: RecordKind, within: list[Any], *columns: Any) -> sa.Select[Any]:
    """Lines of one kind out of the stories of these cases: the case's id, then ``columns``."""
    query = sa.select(records.c.case_id, *columns).join(cases, cases.c.id == records.c.case_id)
    return query.where(records.c.kind == kind, *within)


def _rules(link: Connection, within: list[Any]) -> dict[str, set[str]]:
    """Rules by case. The rule's id is read inside the database, so that no transcript travels."""
    rule = (
        sa.func.json_extract(records.c.data, "$.rule")
        if link.dialect.name == "sqlite"
        else sa.cast(records.c.data, sa.JSON)["rule"].as_string()
    )
    query = _story(RecordKind.FINDING, within, rule.label("rule")).distinct()
    found: dict[str, set[str]] = defaultdict(set)
    for row in link.execute(query):
        if row.rule:
            found[row.case_id].add(row.rule)
    return found


def _after_warnings(link: Connection, within: list[Any]) -> AfterWarnings:
    warned = [cases.c.warnings > 0, *within]
    last_ms: dict[str, int] = {}
    for case, at_ms, text in link.execute(_story(RecordKind.ANNOUNCEMENT, warned, records.c.at_ms, records.c.data)):
        told = json.loads(text)
        if told.get("rung"):
            last_ms[case] = max(last_ms.get(case, 0), told.get("ended_ms") or at_ms)
    newest = _story(RecordKind.FINDING, warned, sa.func.max(records.c.at_ms).label("newest_ms"))
    found_ms = {row.case_id: row.newest_ms for row in link.execute(newest.group_by(records.c.case_id))}
    by_us = sa.or_(records.c.data.contains('"EndCall"'), records.c.data.contains('"Transfer"'))
    ended = set(link.execute(_story(RecordKind.ACTION, warned).where(by_us)).scalars())
    went_on = {case for case, at_ms in last_ms.items() if case not in ended and found_ms.get(case, -1) > at_ms}
    over = len(ended & last_ms.keys())
    return AfterWarnings(calm=len(last_ms) - over - len(went_on), went_on=len(went_on), ended=over)


def _rests(link: Connection, within: list[Any]) -> tuple[int, int]:
    """How many rests were given after flagged calls, and their least time in all."""
    query = _story(RecordKind.ACTION, within, records.c.data).where(records.c.data.contains('"RestAgent"'))
    given = [json.loads(row.data) for row in link.execute(query)]
    rests = [one for one in given if one.get("name") == "RestAgent"]
    return len(rests), sum(int(one.get("min_s", 0)) for one in rests)
