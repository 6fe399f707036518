"""The store as everyone uses it: ports.CaseStore, the tracks, and the reading side. Blocking and thread-safe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from callguard.model.case import CaseOpened, CaseStatus, Record, RecordKind, Segment
from callguard.model.errors import StoreFault
from callguard.model.ids import CallId, CaseId
from callguard.store import reading, tables
from callguard.store.bundle import Contents, desk_entries_of, make_bundle, part_of, policies_of
from callguard.store.cases import append_records, case_of_call, end_call, insert_case, insert_segment
from callguard.store.chain import plain
from callguard.store.connection import Database
from callguard.store.folder import case_folder, marked_growing, track_and_take
from callguard.store.keyring import CallerMarks
from callguard.store.masking import Way
from callguard.store.reading import CaseFilter, CaseLine, CasePage, CaseView, Hit, StoredRecord
from callguard.store.redaction import masked_contents
from callguard.store.report import reports_of
from callguard.store.retention import Due, Hold, KeepingOf, delete_case, due_cases, place_hold, read_holds, release_hold
from callguard.store.sealing import Seals
from callguard.store.signing import signing_key
from callguard.store.sound import Sound, SoundPlace
from callguard.store.tracks import TrackFolder
from callguard.store.trail import AuditLine, append_audit, first_break, in_turn, read_audit

SYSTEM = "callguard"
"""Who the audit names for what callguard does by itself."""

EVERY = CaseFilter()


def utc_now() -> datetime:
    """The wall clock, aware UTC."""
    return datetime.now(UTC)


class Store:
    """Cases, their sound and the audit. Every writing call returns when the data is durable.

    clock: wall time, aware UTC; tests give their own.
    """

    def __init__(
        self,
        database: Database,
        *,
        segments: Path,
        keys: Path,
        seals: Seals | None = None,
        archive: SoundPlace | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._clock = clock
        self._marks = CallerMarks(keys)
        self.keys = keys
        self.segments = segments
        self._tracks = TrackFolder(segments, register=self._register, seals=seals)
        self._sound = Sound(segments, seals=seals, archive=archive)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One durable transaction, for the desk's own tables within ``callguard/store/``. Raises StoreFault."""
        with self._database.writing() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view, for the desk's own tables within ``callguard/store/``. Raises StoreFault."""
        with self._database.reading() as connection:
            yield connection

    def now(self) -> datetime:
        """The store's wall clock, aware UTC."""
        return self._clock()

    def close(self) -> None:
        """Sync and close everything. Growing tracks stay for ``repair``."""
        self._tracks.close()
        self._database.close()

    @property
    def engine(self) -> sa.Engine:
        """The database, for the desk's own rooms within ``callguard/store/``."""
        return self._database.engine

    # ports.CaseStore

    def open_case(self, opened: CaseOpened) -> CaseId:
        """Open the case of this call with its first record, or return the one there is."""
        with self.writing() as connection:
            in_turn(connection)
            known = case_of_call(connection, opened.call)
            if known is not None:
                return known
            now = self.now()
            mark = self._marks.mark(opened.caller_number)
            case = insert_case(connection, opened, mark=mark, now=now)
            data = {"by": opened.flagged_by, "policy": opened.policy_hash}
            append_audit(connection, at=now, who=SYSTEM, verb="case-opened", thing=case, data=data)
            return case

    def open_case_of(self, call: CallId) -> CaseId | None:
        """The case of this call, None where nobody flagged it."""
        with self.reading() as connection:
            return case_of_call(connection, call)

    def records(self, case: CaseId) -> tuple[StoredRecord, ...]:
        """The story of a case so far, in order."""
        with self.reading() as connection:
            return reading.read_records(connection, case)

    def append(self, case: CaseId, records: Sequence[Record]) -> None:
        """Add lines to the story, in order."""
        if records:
            with self.writing() as connection:
                append_records(connection, case, records, now=self.now())

    def add_segment(self, segment: Segment) -> None:
        """Note a finished piece of sound; again for a known one does nothing. ``tracks().finish`` has done it."""
        self._register([segment])

    def close_call(self, case: CaseId, *, ended_at: datetime, ended_ms: int) -> None:
        """The call is over; the first word about it counts. The audit keeps the story's last link."""
        with self.writing() as connection:
            line = reading.read_line(connection, case)
            if line is None:
                raise StoreFault("there is no such case", code="no-such-case")
            if end_call(connection, case, ended_at=ended_at, ended_ms=ended_ms):
                data = {"records": line.record_count, "records_hash": line.record_hash, "ended_ms": ended_ms}
                append_audit(connection, at=self.now(), who=SYSTEM, verb="call-ended", thing=case, data=data)

    def left_open(self) -> dict[CaseId, CallId]:
        """Cases without an end of their call, and that call, whose sound lies here and grows under nobody's hands.

        A case of which no sound was ever kept is among them after a day.
        """
        with self.reading() as connection:
            lines = reading.read_open(connection)
        growing = set(marked_growing(self.segments))
        long_ago = self.now() - timedelta(days=1)
        return {
            line.id: line.call
            for line in lines
            if line.id not in growing and (case_folder(self.segments, line.id).exists() or line.opened_at < long_ago)
        }

    def close_left(self, case: CaseId) -> None:
        """The call ended while nobody watched; its end is put where its case says something for the last time."""
        view = self.case(case)
        if view is None:
            raise StoreFault("there is no such case", code="no-such-case")
        ends = [one.end_ms for one in view.segments] + [one.at_ms for one in view.records]
        ended_ms = max(ends, default=0)
        text = "the call ended while callguard was away; its end is taken to be the last that is known of it"
        self.append(case, [Record(kind=RecordKind.NOTE, at_ms=ended_ms, data={"text": text})])
        self.close_call(case, ended_at=view.line.call_started_at + timedelta(milliseconds=ended_ms), ended_ms=ended_ms)

    def audit(self, *, who: str, verb: str, thing: str, data: dict[str, object]) -> None:
        """Add one line to the audit. No personal data of callers: name the case, not the number."""
        with self.writing() as connection:
            append_audit(connection, at=self.now(), who=who, verb=verb, thing=thing, data=data)

    # sound

    def tracks(self) -> TrackFolder:
        """The growing sound of flagged calls."""
        return self._tracks

    def repair(self) -> list[Segment]:
        """Finish and register what a dead daemon left half-written. The daemon calls it once, at its start."""
        return self._tracks.repair(registered=self._take_known)

    def sound(self, segment: Segment) -> bytes:
        """The FLAC file of a segment, opened and checked against its hash. Raises StoreFault."""
        return self._sound.read(segment.path, sha256=segment.sha256)

    def archive(self) -> int:
        """Move finished sound into the archive, where there is one; returns how many files. Safe to repeat."""
        return sum(self._sound.archive(path) for path in self._every_path())

    def reseal(self, *, who: str) -> int:
        """Seal all sound under the key file's first key; returns how many files were under another."""
        count = sum(self._sound.reseal(path) for path in self._every_path())
        self.audit(who=who, verb="resealed", thing="store", data={"files": count})
        return count

    # callers by keyed hash

    def mark(self, number: str) -> str:
        """The keyed hash of a number, "" where it has no digits."""
        return self._marks.mark(number)

    def note_call(self, number: str, at: datetime, rung: int, *, call: str = "") -> None:
        """Count a call of this number and the ladder's position in it. The number itself is not kept.

        call: the same call noted again raises its rung and is not counted twice.
        """
        mark = self._marks.mark(number)
        if not mark:
            return
        noted = tables.calls_noted
        with self.writing() as connection:
            key = plain(call) or None
            known = connection.execute(sa.select(noted.c.id, noted.c.rung).where(noted.c.call == key)).first()
            if known is not None:
                connection.execute(noted.update().where(noted.c.id == known.id).values(rung=max(known.rung, rung)))
                return
            connection.execute(noted.insert().values(caller_mark=mark, at=at, rung=rung, call=key))

    def earlier_calls(self, number: str, *, since: datetime) -> tuple[int, int]:
        """(how many calls of this number were noted since, the highest rung in them); (0, 0) for no number."""
        mark = self._marks.mark(number)
        if not mark:
            return (0, 0)
        noted = tables.calls_noted
        query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.max(noted.c.rung), 0))
        with self.reading() as connection:
            count, rung = connection.execute(query.where(noted.c.caller_mark == mark, noted.c.at >= since)).one()
        return (int(count), int(rung))

    # reading

    def list_cases(self, wanted: CaseFilter = EVERY, *, limit: int = 50, after: str = "") -> CasePage:
        """One page of cases, newest first."""
        with self.reading() as connection:
            return reading.list_cases(connection, wanted, limit=limit, after=after)

    def count_cases(self, wanted: CaseFilter = EVERY) -> int:
        """How many cases there are of these."""
        with self.reading() as connection:
            return reading.count_cases(connection, wanted)

    def case(self, case: CaseId) -> CaseView | None:
        """One whole case, None where there is none."""
        with self.reading() as connection:
            return reading.read_case(connection, case)

    def case_line(self, case: CaseId) -> CaseLine | None:
        """One case without its story."""
        with self.reading() as connection:
            return reading.read_line(connection, case)

    def search(self, words: str, wanted: CaseFilter = EVERY, *, limit: int = 50) -> tuple[Hit, ...]:
        """Places where this phrase was said, newest first."""
        with self.reading() as connection:
            return reading.search_words(connection, words, wanted, limit=limit)

    def audit_lines(self, *, thing: str | None = None, after: int = 0) -> list[AuditLine]:
        """The audit in order: of one thing, or all."""
        with self.reading() as connection:
            return list(read_audit(connection, thing=thing, after=after))

    def audit_break(self) -> int | None:
        """The number of the first audit line that was changed or is missing, None if the chain holds."""
        with self.reading() as connection:
            return first_break(connection)

    # the desk

    def set_status(self, case: CaseId, status: CaseStatus, *, who: str) -> None:
        """Move a case on. Written to the audit."""
        with self.writing() as connection:
            line = reading.read_line(connection, case)
            if line is None:
                raise StoreFault("there is no such case", code="no-such-case")
            connection.execute(tables.cases.update().where(tables.cases.c.id == case).values(status=status))
            data = {"from": str(line.status), "to": str(status)}
            append_audit(connection, at=self.now(), who=who, verb="status", thing=case, data=data)

    def assign(self, case: CaseId, *, to: str, who: str) -> None:
        """Give a case to a person, "" to nobody. Written to the audit."""
        with self.writing() as connection:
            done = connection.execute(tables.cases.update().where(tables.cases.c.id == case).values(assigned=to))
            if done.rowcount != 1:
                raise StoreFault("there is no such case", code="no-such-case")
            append_audit(connection, at=self.now(), who=who, verb="assigned", thing=case, data={"to": to})

    def kept_longer(self, case: CaseId, until: datetime, *, who: str) -> None:
        """Lengthen the time of one case beyond what its policy says."""
        with self.writing() as connection:
            done = connection.execute(tables.cases.update().where(tables.cases.c.id == case).values(kept_until=until))
            if done.rowcount != 1:
                raise StoreFault("there is no such case", code="no-such-case")
            append_audit(connection, at=self.now(), who=who, verb="kept-longer", thing=case, data={"until": until})

    def hold(self, case: CaseId, *, reason: str, who: str) -> None:
        """Keep a case whatever its time says."""
        with self.writing() as connection:
            place_hold(connection, case, reason=plain(reason), who=who, now=self.now())

    def release(self, case: CaseId, *, who: str) -> bool:
        """Ask for a hold's release, or agree to what another person asked. True when the case is free."""
        with self.writing() as connection:
            return release_hold(connection, case, who=who, now=self.now())

    def holds(self, case: CaseId) -> tuple[Hold, ...]:
        """All holds of a case, oldest first."""
        with self.reading() as connection:
            return read_holds(connection, case)

    def due(self, keeping_of: KeepingOf) -> list[Due]:
        """Cases whose time is over; deletes nothing."""
        with self.reading() as connection:
            return due_cases(connection, keeping_of, now=self.now())

    def delete(self, case: CaseId, *, who: str, why: str) -> None:
        """Delete a case with all its sound, provably: the audit says what goes before, and that it is gone after."""
        with self.writing() as connection:
            paths = delete_case(connection, case, who=who, now=self.now(), why=why)
        self._remove_sound(case, paths, who=who)

    def purge(self, keeping_of: KeepingOf, *, who: str) -> int:
        """Delete every case whose time is over; returns how many. Finishes what an earlier purge began."""
        self.finish_deleting(who=who)
        due = self.due(keeping_of)
        for one in due:
            self.delete(one.line.id, who=who, why=f"kept until {one.until.isoformat()}")
        if due:
            self._database.forget_deleted()
        return len(due)

    def finish_deleting(self, *, who: str) -> int:
        """Remove sound that a deletion cut short by a crash left behind; returns how many cases."""
        begun: dict[str, list[str]] = {}
        for line in self.audit_lines():
            if line.verb == "deleting":
                begun[line.thing] = [str(one["path"]) for one in line.data["sound"]]
            elif line.verb == "deleted":
                begun.pop(line.thing, None)
        for thing, paths in begun.items():
            self._remove_sound(CaseId(thing), paths, who=who)
        return len(begun)

    # bundles

    def keep_policy(self, digest: str, *, name: str, text: str) -> None:
        """Remember a policy's text under its hash, for bundles. Again for a known one does nothing."""
        known = tables.policies
        with self.writing() as connection:
            if connection.execute(sa.select(known.c.hash).where(known.c.hash == digest)).first() is None:
                facts = {"hash": digest, "name": plain(name), "text": plain(text), "first_at": self.now()}
                connection.execute(known.insert().values(**facts))

    def export(self, case: CaseId, *, who: str, way: Way = Way.ORIGINAL, names: Iterable[str] = ()) -> bytes:
        """The signed bundle of a case. Written to the audit, whose line is in it. Raises StoreFault.

        way: MASKED covers numbers, names and addresses; CALLER is for the caller's own access. names: people to be
        masked besides the caller. Who may have which is for the caller of this to ask.
        """
        self.audit(who=who, verb="exported", thing=case, data={"way": str(way)})
        contents = self.contents(case)
        if way is not Way.ORIGINAL:
            contents = masked_contents(contents, way, names=names)
        return make_bundle(
            contents, key=signing_key(self.keys), who=plain(who), at=self.now(), reports=reports_of(contents)
        )

    def contents(self, case: CaseId) -> Contents:
        """Everything that is known of a case. Sound that cannot be read is named in it, not left out in silence."""
        with self.reading() as connection:
            view = reading.read_case(connection, case)
            if view is None:
                raise StoreFault("there is no such case", code="no-such-case")
            trail = tuple(read_audit(connection, thing=case))
            texts, desk = policies_of(connection, view), desk_entries_of(connection, case)
        sound: dict[str, bytes] = {}
        for segment in view.segments:
            try:
                sound[part_of(segment)] = self.sound(segment)
            except StoreFault as fault:
                if fault.code not in ("sound-missing", "sound-broken"):
                    raise
        return Contents(view=view, audit=trail, desk=desk, policies=texts, sound=sound)

    # private

    def _remove_sound(self, case: CaseId, paths: list[str], *, who: str) -> None:
        for path in paths:
            self._sound.remove(path)
        left = [path for path in paths if not self._sound.gone(path)]
        if left:
            raise StoreFault("sound of a deleted case is still there", code="sound-not-deleted")
        self.audit(who=who, verb="deleted", thing=case, data={"files": len(paths)})

    def _register(self, segments: list[Segment]) -> None:
        with self.writing() as connection:
            now = self.now()
            for segment in segments:
                if insert_segment(connection, segment, now=now):
                    data = {"track": str(segment.track), "sha256": segment.sha256, "repaired": segment.repaired}
                    append_audit(connection, at=now, who=SYSTEM, verb="segment", thing=segment.case, data=data)

    def _every_path(self) -> list[str]:
        with self.reading() as connection:
            return list(connection.execute(sa.select(tables.segments.c.path)).scalars())

    def _take_known(self, case: CaseId, take: int) -> bool:
        with self.reading() as connection:
            known = [track_and_take(Path(one.path).name) for one in reading.read_segments(connection, case)]
        return any(named is not None and named[1] == take for named in known)
