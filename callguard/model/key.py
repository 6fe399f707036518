"""Keys, flags, and time passing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from callguard.model.ids import LegId


class Key(StrEnum):
    """What an agent can do with the keypad. Which digits do it is the policy's key map."""

    FLAG = "flag"
    UNFLAG = "unflag"
    WARN = "warn"
    HANDOVER = "handover"
    HELP = "help"
    END = "end"
    WHY = "why"


class SeenBy(StrEnum):
    """Which path saw a press. A press seen by two paths counts once."""

    FEATURE = "feature"
    DTMF = "dtmf"
    SPOOL = "spool"
    BOARD = "board"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPress:
    """An agent's (or, from the board, a supervisor's) wish.

    id: unique per press; the same id seen again is the same press.
    at_ms: when it was pressed, on the call's clock (from the stamp made on the PBX, not from arrival).
    age_ms: how old it was when it reached us; older than 10 s is recorded and not carried out.
    by: who pressed: the interface or user name, text.
    """

    id: str
    leg: LegId
    key: Key
    at_ms: int
    age_ms: int = 0
    seen_by: SeenBy = SeenBy.FEATURE
    by: str = ""


class FlaggedBy(StrEnum):
    """Who raised a flag."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    POLICY = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A mark on the call. A key press and a rule make the same noun. ``reason`` is a rule id or a key."""

    by: FlaggedBy
    reason: str
    at_ms: int
    key_press: str = ""
    withdrawn_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Elapsed:
    """Time passed: sent about once a second while a call lives. Time is an event like any other."""

    at_ms: int
