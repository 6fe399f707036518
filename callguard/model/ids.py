"""Identities. Each is a string of its own type, so that one is never passed for another."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

CallId = NewType("CallId", str)
"""The guarded call. The linkedid under which the call was first seen; later merges never change it."""

LegId = NewType("LegId", str)
"""One channel: Asterisk's uniqueid. Channel names change (masquerade), this does not."""

CaseId = NewType("CaseId", str)
"""A case at the desk: ``YYYYMMDD-XXXXXX`` (date in UTC, six characters of Crockford's base 32)."""

UtteranceId = NewType("UtteranceId", str)
"""One stretch of speech of one leg: ``<leg id>/<number>``, counted from 1."""


class Role(StrEnum):
    """Who a leg is. Decided once, in ``calls/``."""

    CALLER = "caller"
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    SYSTEM = "system"


class Language(StrEnum):
    """Languages that people who use callguard can read and hear."""

    ENGLISH = "en"
    JAPANESE = "ja"
