"""Chains of lines: each carries a hash over itself and the line before it, so that none can change, move or go.

Rule: nothing here reads a clock or a file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

START = "0" * 64
"""What the first line of a chain is linked to."""


def canonical(value: object) -> str:
    """JSON with one spelling only: sorted keys, no spaces, UTF-8 as it is, broken letters escaped.

    Nothing is refused: what JSON cannot say is written as text, for a record must not be lost over its form.
    """
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain(text: str) -> str:
    """Text any database and page takes: broken letters and NUL escaped, nothing dropped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def link(before: str, line: Mapping[str, Any]) -> str:
    """The hash of ``line`` standing after the line whose hash is ``before`` ("" or START for the first)."""
    return hashlib.sha256(f"{before or START}\n{canonical(line)}".encode()).hexdigest()


def stamp(at: datetime) -> str:
    """A wall time as chains and bundles spell it: UTC, microseconds, ``Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {plain(str(key)): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(part) for part in value), key=str)
    if isinstance(value, datetime) and value.tzinfo:
        return stamp(value)
    return plain(str(value))
