"""What people at the desk write into cases: verdicts, notes, care, holds of opinion, measures against callers.

Rule: an entry is never changed or removed. Taking a verdict back within ten seconds is an entry too. Every write is
one transaction together with its line in the audit, the case's status and its kinds.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from callguard.model.case import CaseStatus
from callguard.model.errors import Refused, StoreFault
from callguard.model.ids import CaseId
from callguard.store.cases import add_kinds
from callguard.store.desk_tables import entries, measures, state, trainings
from callguard.store.store import Store
from callguard.store.tables import cases
from callguard.store.trail import append_audit

UNDO = timedelta(seconds=10)
UNDO_GRACE = timedelta(seconds=1)
"""The way to the server is not taken from the ten seconds."""


class Opinion(StrEnum):
    """An answer on one of the two axes."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"
    UNCLEAR = "unclear"


class Verdict(StrEnum):
    """What the desk says of a case."""

    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


class MeasureKind(StrEnum):
    """What may be laid down about a caller, always with an end."""

    WATCH = "watch"
    ROUTE = "route"
    WRITTEN = "written"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict as it is given. words: the exact words it rests on. severity: 0..3."""

    verdict: Verdict
    justified: Opinion
    acceptable: Opinion
    category: str
    severity: int
    words: str = field(default="", repr=False)
    remark: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line somebody wrote into a case."""

    id: int
    case: CaseId
    at: datetime
    by: str
    kind: str
    data: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a case's entries add up to."""

    decision: str = ""
    justified: str = ""
    acceptable: str = ""
    category: str = ""
    severity: int = 0
    decided_at: datetime | None = None
    decided_by: str = ""
    second_asked: str = ""
    second_decision: str = ""
    care: str = ""
    care_due: datetime | None = None
    training: bool = False
    told_at: datetime | None = None

    @property
    def differ(self) -> bool:
        """Two people judged, and not alike."""
        return bool(self.second_decision) and self.second_decision != self.decision


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerMeasure:
    """Something laid down about a caller. caller: the keyed hash of the number."""

    id: str
    caller: str
    case: CaseId
    what: str
    reason: str = field(repr=False)
    by: str
    from_at: datetime
    expires_at: datetime
    review_at: datetime
    lifted_at: datetime | None
    lifted_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training of the house, for the proof of measures."""

    held_on: datetime
    title: str
    people: int
    by: str
    noted_at: datetime


NOTHING_YET = Standing()


class Reviews:
    """See the module. Blocking and thread-safe, like the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # reading

    def entries(self, case: CaseId) -> tuple[Entry, ...]:
        """Everything written into this case, oldest first."""
        with self._store.reading() as link:
            return _read(link, case)

    def standing(self, case: CaseId) -> Standing:
        """What it adds up to."""
        with self._store.reading() as link:
            return _standings(link, [case]).get(case, NOTHING_YET)

    def standings(self, wanted: Iterable[CaseId]) -> dict[CaseId, Standing]:
        """Of many cases at once; those nobody wrote into are missing."""
        with self._store.reading() as link:
            return _standings(link, list(wanted))

    def waiting(self, *, second_of: str = "", care: bool = False) -> list[CaseId]:
        """Cases whose second opinion was asked of this person, or (``care``) whose follow-up is open. Newest first."""
        query = sa.select(state.c.case).join(cases, cases.c.id == state.c.case).order_by(cases.c.opened_at.desc())
        query = query.where(state.c.care == "open" if care else state.c.second_asked == second_of).limit(200)
        with self._store.reading() as link:
            return [CaseId(one) for one in link.execute(query).scalars()]

    # judging

    def judge(self, case: CaseId, given: Judgement, *, by: str, second: bool = False) -> Entry:
        """Give a verdict, or (``second``) a second opinion. Raises Refused.

        A justified demand in an acceptable manner is a proper complaint: it cannot be confirmed.
        """
        fair = given.justified is Opinion.YES and given.acceptable is Opinion.YES
        if fair and given.verdict is Verdict.CONFIRMED:
            raise Refused("a proper complaint is not harassment", code="harassment-but-fair")
        data = {
            "decision": given.verdict.value,
            "justified": given.justified.value,
            "acceptable": given.acceptable.value,
            "category": given.category,
            "severity": given.severity,
            "words": given.words,
            "remark": given.remark,
        }
        with self._store.writing() as link:
            if second and not _standing_of(link, case).decision:
                raise Refused("there is no first verdict yet", code="verdict-first")
            entry = self._add(link, case, by, "second" if second else "verdict", data)
            told = {key: data[key] for key in ("decision", "justified", "acceptable", "category", "severity")}
            self._audit(link, by, "second-opinion" if second else "verdict", case, **told)
            if given.category:
                add_kinds(link, case, [given.category])
            self._add_up(link, case)
            return entry

    def undo(self, case: CaseId, *, by: str) -> Entry:
        """Take one's own last verdict back, while its ten seconds run. Raises Refused."""
        with self._store.writing() as link:
            last = next((one for one in reversed(standing_verdicts(_read(link, case))) if one.by == by), None)
            if last is None:
                raise Refused("there is no verdict of yours to take back", code="no-verdict")
            if self._store.now() - last.at > UNDO + UNDO_GRACE:
                raise Refused("ten seconds are over", code="undo-too-late")
            entry = self._add(link, case, by, "undo", {"of": last.id})
            self._audit(link, by, "verdict-undone", case, of=last.id)
            self._add_up(link, case)
            return entry

    # working on a case

    def note(self, case: CaseId, text: str, *, by: str) -> Entry:
        """A remark for colleagues."""
        with self._store.writing() as link:
            self._audit(link, by, "note", case)
            return self._add(link, case, by, "note", {"text": text})

    def assign(self, case: CaseId, *, to: str, by: str) -> Entry:
        """Give the case to somebody, "" to nobody; a new case is then in review."""
        with self._store.writing() as link:
            values: dict[str, Any] = {"assigned": to}
            if to and _case(link, case).status == CaseStatus.NEW:
                values["status"] = CaseStatus.IN_REVIEW
            link.execute(cases.update().where(cases.c.id == case).values(**values))
            self._audit(link, by, "assigned", case, to=to)
            return self._add(link, case, by, "assign", {"to": to})

    def ask_second(self, case: CaseId, *, of: str, by: str) -> Entry:
        """Ask a colleague for a second opinion."""
        with self._store.writing() as link:
            entry = self._add(link, case, by, "ask-second", {"of": of})
            self._audit(link, by, "second-opinion-asked", case, of=of)
            _put(link, case, second_asked=of)
            return entry

    def care(self, case: CaseId, *, by: str, facts: Mapping[str, Any], finished: bool, due: datetime | None) -> Entry:
        """Follow-up with the agent: contacted, rested, no detriment, and what else. due: when to look again."""
        with self._store.writing() as link:
            entry = self._add(link, case, by, "care", {**facts, "finished": finished})
            self._audit(link, by, "care", case, finished=finished)
            _put(link, case, care="finished" if finished else "open", care_due=None if finished else due)
            return entry

    def told(self, case: CaseId, *, by: str, text: str) -> Entry:
        """What the caller was told about it."""
        with self._store.writing() as link:
            entry = self._add(link, case, by, "told", {"text": text})
            self._audit(link, by, "caller-told", case)
            _put(link, case, told_at=entry.at)
            return entry

    def use_for_training(self, case: CaseId, *, by: str, on: bool) -> Entry:
        """Mark a case as fit for training (names replaced), or not."""
        with self._store.writing() as link:
            entry = self._add(link, case, by, "training", {"on": on})
            self._audit(link, by, "training", case, on=on)
            _put(link, case, training=on)
            return entry

    def close(self, case: CaseId, *, by: str) -> Entry:
        """Nothing more is to do. A verdict must stand. Raises Refused."""
        with self._store.writing() as link:
            if not _standing_of(link, case).decision:
                raise Refused("a case is closed after its verdict", code="verdict-first")
            link.execute(cases.update().where(cases.c.id == case).values(status=CaseStatus.CLOSED))
            self._audit(link, by, "status", case, to="closed")
            return self._add(link, case, by, "closed", {})

    # callers

    def add_measure(
        self, case: CaseId, *, what: MeasureKind, reason: str, by: str, expires_at: datetime, review_at: datetime
    ) -> CallerMeasure:
        """Lay something down about the caller of a confirmed case. Raises Refused."""
        now = self._store.now()
        if not now < review_at <= expires_at:
            raise Refused("it must end in the future and be reviewed before", code="expiry-first")
        with self._store.writing() as link:
            found = _case(link, case)
            if not found.caller_mark:
                raise Refused("this number is nobody's", code="number-unknown")
            if _standing_of(link, case).decision != Verdict.CONFIRMED:
                raise Refused("a measure needs a confirmed case", code="verdict-needed")
            row = {
                "id": secrets.token_hex(5),
                "caller": found.caller_mark,
                "case": case,
                "what": what.value,
                "reason": reason,
                "by": by,
                "from_at": now,
                "expires_at": expires_at,
                "review_at": review_at,
                "lifted_at": None,
                "lifted_by": "",
            }
            link.execute(measures.insert().values(**row))
            self._add(link, case, by, "measure", {"measure": row["id"], "what": what.value, "reason": reason})
            self._audit(link, by, "measure", case, measure=row["id"], what=what.value)
            return _measure(row)

    def appeal(self, measure: str, *, by: str, text: str) -> None:
        """The caller objected; what they said, and that it will be looked at."""
        with self._store.writing() as link:
            found = _measure_row(link, measure)
            self._add(link, CaseId(found.case), by, "appeal", {"measure": measure, "text": text})
            self._audit(link, by, "appeal", found.case, measure=measure)

    def lift(self, measure: str, *, by: str, reason: str) -> None:
        """End a measure before its day."""
        with self._store.writing() as link:
            found = _measure_row(link, measure)
            now = self._store.now()
            link.execute(measures.update().where(measures.c.id == measure).values(lifted_at=now, lifted_by=by))
            self._add(link, CaseId(found.case), by, "lifted", {"measure": measure, "reason": reason})
            self._audit(link, by, "measure-lifted", found.case, measure=measure)

    def measures_of(self, caller_mark: str) -> list[CallerMeasure]:
        """Everything laid down about this caller, newest first."""
        if not caller_mark:
            return []
        query = sa.select(measures).where(measures.c.caller == caller_mark).order_by(measures.c.from_at.desc())
        with self._store.reading() as link:
            return [_measure(row) for row in link.execute(query).mappings()]

    def standing_measures(self, number: str) -> list[CallerMeasure]:
        """What holds for this number now."""
        now = self._store.now()
        return [
            one for one in self.measures_of(self._store.mark(number)) if one.lifted_at is None and one.expires_at > now
        ]

    # the house

    def add_training(self, *, held_on: datetime, title: str, people: int, by: str) -> None:
        """Note that a training was held."""
        with self._store.writing() as link:
            row = {"held_on": held_on, "title": title, "people": people, "by": by, "noted_at": self._store.now()}
            link.execute(trainings.insert().values(**row))
            self._audit(link, by, "training-held", "house", people=people)

    def all_trainings(self) -> list[Training]:
        """Trainings, newest first."""
        with self._store.reading() as link:
            rows = link.execute(sa.select(trainings).order_by(trainings.c.held_on.desc())).mappings()
            return [Training(**{key: row[key] for key in Training.__slots__}) for row in rows]

    # inside

    def _add(self, link: Connection, case: CaseId, by: str, kind: str, data: Mapping[str, Any]) -> Entry:
        _case(link, case)
        at = self._store.now()
        done = link.execute(entries.insert().values(case=case, at=at, by=by, kind=kind, data=dict(data)))
        assert done.inserted_primary_key is not None
        return Entry(id=done.inserted_primary_key[0], case=case, at=at, by=by, kind=kind, data=data)

    def _audit(self, link: Connection, who: str, verb: str, thing: str, **data: object) -> None:
        append_audit(link, at=self._store.now(), who=who, verb=verb, thing=thing, data=data)

    def _add_up(self, link: Connection, case: CaseId) -> None:
        """The case's row in ``desk_state`` and its status, from the verdicts that stand."""
        standing = standing_verdicts(_read(link, case))
        first = next((one for one in reversed(standing) if one.kind == "verdict"), None)
        second = next((one for one in reversed(standing) if one.kind == "second"), None)
        data = first.data if first else {}
        values: dict[str, Any] = {key: data.get(key, "") for key in ("decision", "justified", "acceptable", "category")}
        values["severity"] = data.get("severity", 0)
        values["decided_at"] = first.at if first else None
        values["decided_by"] = first.by if first else ""
        values["second_decision"] = second.data["decision"] if second else ""
        if second:
            values["second_asked"] = ""
        if first and data["decision"] == Verdict.CONFIRMED and not _standing_of(link, case).care:
            values["care"] = "open"
        _put(link, case, **values)
        status = CaseStatus(data["decision"]) if first else CaseStatus.IN_REVIEW
        link.execute(cases.update().where(cases.c.id == case).values(status=status))


def standing_verdicts(written: Iterable[Entry]) -> list[Entry]:
    """The verdicts and second opinions that nobody took back, oldest first."""
    all_of = list(written)
    undone = {one.data.get("of") for one in all_of if one.kind == "undo"}
    return [one for one in all_of if one.kind in ("verdict", "second") and one.id not in undone]


def _case(link: Connection, case: CaseId) -> Any:
    found = link.execute(sa.select(cases.c.status, cases.c.caller_mark).where(cases.c.id == case)).first()
    if found is None:
        raise StoreFault("there is no such case", code="no-such-case")
    return found


def _read(link: Connection, case: CaseId) -> tuple[Entry, ...]:
    rows = link.execute(sa.select(entries).where(entries.c.case == case).order_by(entries.c.id)).mappings()
    return tuple(
        Entry(
            id=row["id"], case=CaseId(row["case"]), at=row["at"], by=row["by"], kind=row["kind"], data=row["data"] or {}
        )
        for row in rows
    )


def _standings(link: Connection, wanted: list[CaseId]) -> dict[CaseId, Standing]:
    if not wanted:
        return {}
    rows = link.execute(sa.select(state).where(state.c.case.in_(wanted))).mappings()
    return {CaseId(row["case"]): Standing(**{key: row[key] for key in Standing.__slots__}) for row in rows}


def _standing_of(link: Connection, case: CaseId) -> Standing:
    return _standings(link, [case]).get(case, NOTHING_YET)


def _put(link: Connection, case: CaseId, **values: Any) -> None:
    done = link.execute(state.update().where(state.c.case == case).values(**values))
    if not done.rowcount:
        link.execute(state.insert().values(case=case, **values))


def _measure_row(link: Connection, measure: str) -> Any:
    found = link.execute(sa.select(measures).where(measures.c.id == measure, measures.c.lifted_at.is_(None))).first()
    if found is None:
        raise Refused("there is no such measure", code="not-found")
    return found


def _measure(row: Any) -> CallerMeasure:
    facts = {key: row[key] for key in CallerMeasure.__slots__}
    facts["case"] = CaseId(facts["case"])
    return CallerMeasure(**facts)
