"""A case's records as its page tells them: what was said in order, what happened between, and why.

Pure. Records come from any age of the product: what is missing is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from callguard.model.case import RecordKind, Segment, Track
from callguard.store.reading import StoredRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One utterance. cut: pieces of its text, those that were found marked True."""

    at_ms: int
    end_ms: int
    role: str
    text: str
    language: str
    cut: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """Something that happened between utterances. what: "flag", "unflag", "warning", "key", "presence", "gap", ..."""

    at_ms: int
    what: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding as the page shows it."""

    at_ms: int
    end_ms: int
    rule: str
    category: str
    severity: int
    role: str
    words: str
    score: float
    why: str
    committed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """One decision that did or refused something."""

    at_ms: int
    because: tuple[str, ...]
    actions: tuple[str, ...]
    rung: int
    refusal: str
    policy: str
    policy_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """An announcement the caller was played."""

    at_ms: int
    end_ms: int | None
    name: str
    language: str
    text: str
    rung: int
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything the case page tells."""

    talk: tuple[Said | Between, ...]
    found: tuple[Found, ...]
    why: tuple[Why, ...]
    warned: tuple[Warned, ...]
    presences: tuple[Between, ...]
    marks: tuple[tuple[int, str], ...] = field(default=())
    """Moments for the wave: (ms, "flag" | "finding" | "warning")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """One file of sound the player offers. number: its place among the case's segments."""

    number: int
    track: str
    start_ms: int
    end_ms: int
    repaired: bool


def story_of(records: Sequence[StoredRecord]) -> Story:
    """The story these records tell."""
    found = tuple(_found(record) for record in _of(records, RecordKind.FINDING))
    talk: list[Said | Between] = [_said(record, found) for record in _of(records, RecordKind.TRANSCRIPT)]
    between = [one for one in map(_between, records) if one is not None]
    warned = tuple(_warned(record) for record in _of(records, RecordKind.ANNOUNCEMENT))
    talk += between
    talk.sort(key=lambda one: one.at_ms)
    marks = [(one.at_ms, "flag") for one in between if one.what == "flag"]
    marks += [(one.at_ms, "finding") for one in found if one.committed]
    marks += [(one.at_ms, "warning") for one in warned]
    return Story(
        talk=tuple(talk),
        found=found,
        why=tuple(one for one in map(_why, _of(records, RecordKind.DECISION)) if one.actions or one.refusal),
        warned=warned,
        presences=tuple(one for one in between if one.what == "presence"),
        marks=tuple(sorted(marks)),
    )


def sounds_of(segments: Sequence[Segment]) -> tuple[Sound, ...]:
    """The files the player offers: the mixes first, then the tracks, each in order of time."""
    order = [Track.MIX, Track.CALLER, Track.AGENT, Track.SUPERVISOR, Track.ANNOUNCEMENTS]
    made = [
        Sound(
            number=number,
            track=segment.track.value,
            start_ms=segment.start_ms,
            end_ms=segment.end_ms,
            repaired=segment.repaired,
        )
        for number, segment in enumerate(segments)
    ]
    return tuple(sorted(made, key=lambda one: (order.index(Track(one.track)), one.start_ms)))


def cut_at(text: str, quotes: Iterable[str]) -> tuple[tuple[str, bool], ...]:
    """The text in pieces; the places where one of the quotes stands are marked."""
    hit = [False] * len(text)
    small = text.casefold()
    for quote in quotes:
        wanted = quote.casefold().strip()
        start = small.find(wanted) if wanted and len(small) == len(text) else -1
        while start >= 0:
            hit[start : start + len(wanted)] = [True] * len(wanted)
            start = small.find(wanted, start + len(wanted))
    pieces: list[tuple[str, bool]] = []
    for letter, marked in zip(text, hit, strict=True):
        if pieces and pieces[-1][1] == marked:
            pieces[-1] = (pieces[-1][0] + letter, marked)
        else:
            pieces.append((letter, marked))
    return tuple(pieces)


def _of(records: Iterable[StoredRecord], kind: RecordKind) -> list[StoredRecord]:
    return [record for record in records if record.kind is kind]


def _number(value: object, default: int = 0) -> int:
    return int(value) if isinstance(value, int | float) else default


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list | tuple) else ()


def _found(record: StoredRecord) -> Found:
    data = record.data
    return Found(
        at_ms=_number(data.get("start_ms"), record.at_ms),
        end_ms=_number(data.get("end_ms"), record.at_ms),
        rule=_text(data.get("rule")),
        category=_text(data.get("category")),
        severity=_number(data.get("severity")),
        role=_text(data.get("role")),
        words=_text(data.get("words")),
        score=float(data["score"]) if isinstance(data.get("score"), int | float) else 1.0,
        why=_text(data.get("why")),
        committed=data.get("stage", "committed") == "committed",
    )


def _said(record: StoredRecord, found: Sequence[Found]) -> Said:
    data = record.data
    start, end = _number(data.get("start_ms"), record.at_ms), _number(data.get("end_ms"), record.at_ms)
    text, role = _text(data.get("text")), _text(data.get("role"))
    near = [one.words for one in found if one.role == role and one.end_ms >= start - 500 and one.at_ms <= end + 500]
    return Said(
        at_ms=start, end_ms=end, role=role, text=text, language=_text(data.get("language")), cut=cut_at(text, near)
    )


def _why(record: StoredRecord) -> Why:
    data = record.data
    actions = data.get("actions")
    names = [one.get("name", "") if isinstance(one, dict) else one for one in actions or ()]
    return Why(
        at_ms=record.at_ms,
        because=_texts(data.get("because")),
        actions=tuple(str(name) for name in names if name and name != "AnswerKey"),
        rung=_number(data.get("rung")),
        refusal=_text(data.get("refusal")),
        policy=_text(data.get("policy")),
        policy_hash=_text(data.get("policy_hash")),
    )


def _warned(record: StoredRecord) -> Warned:
    data = record.data
    ended = data.get("ended_ms")
    return Warned(
        at_ms=_number(data.get("started_ms"), record.at_ms),
        end_ms=ended if isinstance(ended, int) else None,
        name=_text(data.get("announcement")),
        language=_text(data.get("language")),
        text=_text(data.get("text")),
        rung=_number(data.get("rung")),
        effect=_text(data.get("effect")),
    )


def _between(record: StoredRecord) -> Between | None:
    data = dict(record.data)
    match record.kind:
        case RecordKind.FLAG:
            what = "unflag" if data.get("what") == "withdrawn" else "flag"
        case RecordKind.ANNOUNCEMENT:
            what = "warning"
        case RecordKind.KEY:
            what = "key"
        case RecordKind.TRANSFER:
            what = "transfer"
        case RecordKind.PRESENCE:
            what = "presence"
        case RecordKind.GAP:
            what = "gap"
        case RecordKind.NOTE:
            what = "note"
        case RecordKind.HEALTH:
            what = "health"
        case RecordKind.CALL if data.get("what") in ("began", "adopted", "ended"):
            what = str(data["what"])
        case _:
            return None
    return Between(at_ms=record.at_ms, what=what, data=data)
