"""Beyond words: what a measure is, and how it is read from a ``[[measure]]`` table.

A measure supports what words say (it raises the severity of a finding near it); it makes a finding of its own only
where the policy says ``alone = true``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from callguard.detect.tables import read_rule
from callguard.model.errors import SettingsError
from callguard.model.rule import Rule


class Measured(StrEnum):
    """What is measured, and the unit of ``over``."""

    TIME_ON_LINE = "time_on_line"
    """Seconds since the call's first event."""
    SAME_DEMAND = "same_demand"
    """Seconds since the caller first said what is said again now."""
    CALLS = "calls"
    """Calls from one countable number in the policy's window, this one counted."""
    LOUD = "loud"
    """Decibels above the median of the caller's own earlier utterances."""
    INTERRUPTIONS = "interruptions"
    """Times the caller began to speak while the agent spoke, within ``window_s``."""
    SHARE = "share"
    """The caller's part of all speech, 0..1, from the first two minutes of speech on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One limit beyond words.

    over: the limit, in the unit of ``kind``. window_s: how near in time a finding must be to be raised, and the
    window in which interruptions count. alone: makes a finding by itself. needs_notice: only once the agent has
    given notice.
    """

    rule: Rule
    kind: Measured
    over: float
    window_s: int = 60
    alone: bool = False
    needs_notice: bool = False


def read_measures(tables: Iterable[Mapping[str, Any]], off: frozenset[str]) -> tuple[Measure, ...]:
    """The measures of a policy. Raises SettingsError with the measure's id."""
    return tuple(_measure(table) for table in tables if str(table.get("id", "")) not in off)


def _measure(table: Mapping[str, Any]) -> Measure:
    rule = read_rule(table, "any")
    try:
        return Measure(
            rule=rule,
            kind=Measured(str(table["kind"])),
            over=float(table["over"]),
            window_s=int(table.get("window_s", 60)),
            alone=bool(table.get("alone", False)),
            needs_notice=bool(table.get("needs_notice", False)),
        )
    except (KeyError, ValueError) as error:
        raise SettingsError(
            f"a field is missing or wrong: {error}",
            where=f"measure {rule.id}",
            hint=f"kind is one of {', '.join(Measured)}",
        ) from error
