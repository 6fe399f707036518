"""One case as one signed file that anyone can verify without callguard (``proof.py`` says how it is built).

Parts: the facts, the story line by line with its chain, the policies that decided, who read and heard it, what the
desk wrote, every track, and reports for people in English and Japanese.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.engine import Connection

from callguard.model.case import RecordKind, Segment
from callguard.model.ids import CaseId
from callguard.store import desk_tables
from callguard.store.chain import canonical, stamp
from callguard.store.proof import FORMAT, MANIFEST, SIGNATURE, zip_of
from callguard.store.reading import CaseView, StoredRecord
from callguard.store.tables import policies
from callguard.store.trail import AuditLine

_HOW = """This file holds one case of a call guard, exported {at} by {who}.

To verify it, give it to the program proof.py (or `callguard evidence verify BUNDLE --key KEY`) together with the
public key of the organisation that exported it. Get the key from them by another way than this file.

検証には proof.py (または `callguard evidence verify`) と、発行元の公開鍵が必要です。鍵はこのファイルとは別の経路で
発行元から受け取ってください。
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What goes into a bundle. policies: hash -> (name, text). sound: part name -> FLAC. masked: what was masked."""

    view: CaseView
    audit: tuple[AuditLine, ...]
    desk: tuple[Mapping[str, Any], ...]
    policies: Mapping[str, tuple[str, str]]
    sound: Mapping[str, bytes] = field(repr=False)
    masked: str = ""
    masked_records: frozenset[int] = frozenset()


def make_bundle(
    contents: Contents, *, key: Ed25519PrivateKey, who: str, at: datetime, reports: Mapping[str, bytes]
) -> bytes:
    """The signed file."""
    parts = {
        "README.txt": _HOW.format(at=stamp(at), who=who).encode(),
        "case.json": _pretty(_facts(contents)),
        "records.jsonl": _lines(_record(one, contents) for one in contents.view.records),
        "transcript.txt": transcript(contents.view).encode(),
        "audit.jsonl": _lines(_audit(one) for one in contents.audit),
        "desk.jsonl": _lines(contents.desk),
        **{
            f"policies/{digest}.json": _pretty({"name": n, "hash": digest, "text": t})
            for digest, (n, t) in sorted(contents.policies.items())
        },
        **contents.sound,
        **reports,
    }
    listed = [{"name": n, "bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in parts.items()]
    manifest = {
        "format": FORMAT,
        "case": contents.view.line.id,
        "exported_at": stamp(at),
        "exported_by": who,
        "masked": contents.masked,
        "public_key": key.public_key().public_bytes_raw().hex(),
        "parts": listed,
    }
    parts[MANIFEST] = _pretty(manifest)
    parts[SIGNATURE] = (key.sign(parts[MANIFEST]).hex() + "\n").encode()
    return zip_of(parts)


def part_of(segment: Segment) -> str:
    """The name of a segment's sound within a bundle."""
    name = PurePosixPath(segment.path).name.removesuffix(".sealed")
    return f"tracks/{name}"


def transcript(view: CaseView) -> str:
    """What was said, a line an utterance, by time."""
    said = sorted(view.of(RecordKind.TRANSCRIPT), key=lambda one: one.at_ms)
    return "".join(f"{clock(one.at_ms)}  {one.data.get('role', ''):<8}  {one.data.get('text', '')}\n" for one in said)


def clock(at_ms: int) -> str:
    """Time in the call as people read it."""
    seconds, ms = divmod(max(0, at_ms), 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms // 100}"


def policies_of(connection: Connection, view: CaseView) -> dict[str, tuple[str, str]]:
    """The texts of every policy that decided in this case, as far as they were kept."""
    hashes = {view.line.policy_hash}
    hashes |= {str(one.data.get("policy_hash", "")) for one in view.of(RecordKind.DECISION)}
    rows = connection.execute(sa.select(policies).where(policies.c.hash.in_(sorted(hashes))))
    return {row.hash: (row.name, row.text) for row in rows}


def desk_entries_of(connection: Connection, case: CaseId) -> tuple[Mapping[str, Any], ...]:
    """What people at the desk wrote into the case: verdicts, notes, care."""
    entries = desk_tables.entries
    if not sa.inspect(connection).has_table(entries.name):
        return ()
    rows = connection.execute(sa.select(entries).where(entries.c.case == case).order_by(entries.c.id))
    return tuple({"at": stamp(row.at), "by": row.by, "kind": row.kind, "data": row.data} for row in rows)


def _facts(contents: Contents) -> dict[str, Any]:
    line = contents.view.line
    names = (
        "id", "call", "status", "opened_at", "call_started_at", "ended_at", "ended_ms", "queue", "language",
        "caller_number", "caller_name", "agent", "policy_name", "policy_hash", "flag_reason", "flagged_by",
        "flagged_ms", "withdrawn", "kinds", "severity", "rung", "warnings", "record_count", "record_hash", "held",
    )  # fmt: skip
    segments = [
        {
            "part": part_of(one),
            "track": str(one.track),
            "start_ms": one.start_ms,
            "end_ms": one.end_ms,
            "sha256": one.sha256,
            "repaired": one.repaired,
        }
        for one in contents.view.segments
    ]
    missing = [one["part"] for one in segments if one["part"] not in contents.sound]
    return {**{name: getattr(line, name) for name in names}, "segments": segments, "sound_not_included": missing}


def _record(one: StoredRecord, contents: Contents) -> dict[str, Any]:
    masked = one.number in contents.masked_records
    line = {
        "number": one.number,
        "kind": str(one.kind),
        "at_ms": one.at_ms,
        "written_at": stamp(one.written_at),
        "data": None if masked else canonical(one.data),
        "hash": one.hash,
    }
    return {**line, "shown": canonical(one.data)} if masked else line


def _audit(line: AuditLine) -> dict[str, Any]:
    return {
        "number": line.number,
        "at": stamp(line.at),
        "who": line.who,
        "verb": line.verb,
        "thing": line.thing,
        "data": line.data,
        "hash": line.hash,
    }


def _pretty(value: object) -> bytes:
    return (json.dumps(json.loads(canonical(value)), ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _lines(values: Any) -> bytes:
    return "".join(f"{canonical(value)}\n" for value in values).encode()
