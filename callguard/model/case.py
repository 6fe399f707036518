"""Cases, segments and the records that make up a case's story. Wall times are aware UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from callguard.model.ids import CallId, CaseId


class CaseStatus(StrEnum):
    """Where a case stands at the desk."""

    NEW = "new"
    IN_REVIEW = "in-review"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"
    CLOSED = "closed"


class Track(StrEnum):
    """One file of sound each; MIX is the stereo listening mix (caller left, agent right)."""

    CALLER = "caller"
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ANNOUNCEMENTS = "announcements"
    MIX = "mix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One finished, immutable piece of kept sound.

    path: relative to the segment folder, ``YYYY/MM/DD/<case>/<track>.<ext>``.
    start_ms, end_ms: on the call's clock; start_ms is before the flag by the pre-roll.
    repaired: the daemon died while it grew and a later start finished it.
    """

    case: CaseId
    track: Track
    path: str
    start_ms: int
    end_ms: int
    sha256: str
    kept_until: datetime | None = None
    repaired: bool = False


class RecordKind(StrEnum):
    """What a line of a case's story is about."""

    CALL = "call"
    LEG = "leg"
    TRANSFER = "transfer"
    TRANSCRIPT = "transcript"
    FINDING = "finding"
    KEY = "key"
    DECISION = "decision"
    FLAG = "flag"
    ACTION = "action"
    OUTCOME = "outcome"
    ANNOUNCEMENT = "announcement"
    PRESENCE = "presence"
    GAP = "gap"
    HEALTH = "health"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of a case's story, append-only. ``data`` is JSON-ready (str, int, float, bool, None, list, dict)."""

    kind: RecordKind
    at_ms: int
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened:
    """The facts a case begins with. Stored before anything else is done."""

    call: CallId
    opened_at: datetime
    call_started_at: datetime
    queue: str
    language: str
    caller_number: str
    caller_name: str
    agent: str
    policy_name: str
    policy_hash: str
    flag_reason: str
    flagged_by: str
    flagged_ms: int
