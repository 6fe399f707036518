"""From what the PBX says to who is talking to whom."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Everything the tracker knows."""
