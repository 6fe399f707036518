"""What is known to be wrong with which Asterisk, as data. Numbers are those of Asterisk's own issue tracker."""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, int, int]

_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One known fault.

    first, fixed: per branch, the first release that has it (0.0 where all older have it too) and the first that
    has it no more (None while open). A branch that is not named does not have it.
    forbids: modes of presence that would leak or break there: "whisper", "barge".
    """

    code: str
    text: str
    first: dict[int, tuple[int, int]]
    fixed: dict[int, tuple[int, int] | None]
    forbids: frozenset[str] = frozenset()


TROUBLES: tuple[Trouble, ...] = (
    Trouble(
        code="spy-one-way-crackles",
        text="One-way listening loses sound before this branch's fix (#173, #861); upgrade.",
        first={18: (0, 0), 20: (0, 0), 21: (0, 0)},
        fixed={18: (25, 0), 20: (10, 0), 21: (5, 0)},
    ),
    Trouble(
        code="whisper-one-way-silent",
        text="Whispering with one-way listening says nothing before this branch's fix (#876).",
        first={18: (0, 0), 20: (0, 0), 21: (0, 0)},
        fixed={18: (25, 0), 20: (10, 0), 21: (5, 0)},
        forbids=frozenset({"whisper"}),
    ),
    Trouble(
        code="whisper-breaks-bridges",
        text="Channels with a whisper hook may fail to bridge in this release (#2134).",
        first={20: (21, 0), 22: (11, 0), 23: (5, 0)},
        fixed={20: None, 22: None, 23: None},
        forbids=frozenset({"whisper", "barge"}),
    ),
    Trouble(
        code="taps-spin",
        text="A tap uses a whole processor core before this branch's fix (#234).",
        first={18: (0, 0), 20: (0, 0)},
        fixed={18: (20, 0), 20: (5, 0)},
    ),
    Trouble(
        code="taps-end-on-comfort-noise",
        text="A phone's comfort noise ends its tap before this branch's fix (#1587); turn silence suppression off.",
        first={20: (0, 0), 21: (0, 0), 22: (0, 0), 23: (0, 0)},
        fixed={20: (20, 0), 21: None, 22: (10, 0), 23: (4, 0)},
    ),
    Trouble(
        code="features-crash-on-early-hangup",
        text="Feature transfers may crash Asterisk when a party hangs up at once (#768).",
        first={18: (0, 0), 20: (0, 0), 21: (0, 0)},
        fixed={18: (24, 0), 20: (9, 0), 21: (4, 0)},
    ),
)


def parse(text: str) -> Version | None:
    """The version in a banner or in CoreSettings (``22.10.1~dfsg+~cs6.15``), None where there is none."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def troubles(version: Version | None) -> tuple[Trouble, ...]:
    """Known faults of this version; none where the version is not known."""
    if version is None:
        return ()
    branch, at = version[0], version[1:]
    return tuple(t for t in TROUBLES if branch in t.first and t.first[branch] <= at and _unfixed(t, branch, at))


def _unfixed(trouble: Trouble, branch: int, at: tuple[int, int]) -> bool:
    fixed = trouble.fixed.get(branch)
    return fixed is None or at < fixed


def forbids(version: Version | None, mode: str) -> str:
    """The code of the trouble that forbids this mode of presence here, "" where none does."""
    return next((t.code for t in troubles(version) if mode in t.forbids), "")
