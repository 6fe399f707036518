"""A case as tests open one, where it matters little what is in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from callguard.model.case import CaseOpened
from callguard.model.ids import CallId

AT = datetime(2026, 11, 25, tzinfo=UTC)


def opened(call: str = "1", at: datetime = AT, **changed: Any) -> CaseOpened:
    """What a daemon says when it opens a case; ``changed`` are fields of ``CaseOpened``."""
    facts: dict[str, Any] = {
        "call": CallId(call),
        "opened_at": at,
        "call_started_at": at,
        "queue": "q",
        "language": "en",
        "caller_number": "",
        "caller_name": "",
        "agent": "a",
        "policy_name": "p",
        "policy_hash": "h",
        "flag_reason": "flag",
        "flagged_by": "agent",
        "flagged_ms": 0,
    }
    return CaseOpened(**facts | changed)
