"""The lines of a case's story: each noun as the JSON-ready data that store, desk and bundle read.

One function a kind; the keys of ``data`` are part of what an exported bundle promises, so they only ever grow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from callguard.model.action import Action, CallHuman, Decision, EndCall, Outcome, PlayWarning
from callguard.model.call import Call, CallEnded, Leg, LegDown, Transferred
from callguard.model.case import Record, RecordKind
from callguard.model.finding import Finding
from callguard.model.key import Flag, KeyPress
from callguard.model.policy import Policy
from callguard.model.words import Transcript


def plain(value: Any) -> Any:
    """Frozen nouns as JSON-ready data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return value


def name_of(action: Action) -> str:
    """An action's name as the record and the board spell it."""
    return type(action).__name__


def call_record(what: str, call: Call, *, at_ms: int, cause: str = "") -> Record:
    """what: "began", "adopted" (found in mid-flight) or "ended"."""
    data = {"what": what, "queue": call.queue, "partial": call.partial, "cause": cause, "linked": sorted(call.linked)}
    return Record(kind=RecordKind.CALL, at_ms=at_ms, data=data)


def leg_record(what: str, leg: Leg, *, at_ms: int, cause: str = "") -> Record:
    """what: "up", "down" or "changed"."""
    return Record(kind=RecordKind.LEG, at_ms=at_ms, data={"what": what, "cause": cause, **plain(leg)})


def leg_down_record(down: LegDown, leg: Leg | None, *, at_ms: int) -> Record:
    """A leg that left; ``leg`` None where the tracker forgot it already."""
    known = plain(leg) if leg is not None else {"id": down.leg_id}
    return Record(kind=RecordKind.LEG, at_ms=at_ms, data={"what": "down", "cause": down.cause, **known})


def transfer_record(moved: Transferred, *, at_ms: int) -> Record:
    """The call went from one agent to another."""
    data = {"kind": moved.kind, "from_leg": moved.from_leg, "to_leg": moved.to_leg}
    return Record(kind=RecordKind.TRANSFER, at_ms=at_ms, data=data)


def ended_record(ended: CallEnded, *, at_ms: int) -> Record:
    """The call is over."""
    return call_record("ended", ended.call, at_ms=at_ms, cause=ended.cause)


def transcript_record(said: Transcript) -> Record:
    """The committed words of a closed utterance. words: [text, start_ms, end_ms, probability] each."""
    words = [[word.text, word.start_ms, word.end_ms, round(word.probability, 3)] for word in said.committed]
    data = {
        "utterance": said.utterance,
        "leg": said.leg,
        "role": said.role.value,
        "language": said.language,
        "start_ms": said.start_ms,
        "end_ms": said.end_ms,
        "text": said.text,
        "words": words,
    }
    return Record(kind=RecordKind.TRANSCRIPT, at_ms=said.start_ms, data=data)


def finding_record(finding: Finding) -> Record:
    """What the detector found."""
    return Record(kind=RecordKind.FINDING, at_ms=finding.end_ms, data=plain(finding))


def key_record(press: KeyPress, *, also_seen_by: str = "") -> Record:
    """A press as it was seen. also_seen_by: the other path that saw the same press."""
    data = {**plain(press), "also_seen_by": also_seen_by}
    return Record(kind=RecordKind.KEY, at_ms=press.at_ms, data=data)


def flag_record(flag: Flag, *, what: str = "raised", at_ms: int | None = None) -> Record:
    """what: "raised" or "withdrawn"."""
    return Record(
        kind=RecordKind.FLAG, at_ms=flag.at_ms if at_ms is None else at_ms, data={"what": what, **plain(flag)}
    )


def decision_record(decision: Decision, policy: Policy) -> Record:
    """What was decided and why."""
    data = {
        "because": list(decision.because),
        "actions": [{"name": name_of(action), **plain(action)} for action in decision.actions],
        "policy": policy.name,
        "policy_hash": decision.policy_hash,
        "rung": decision.rung,
        "level": decision.level,
        "refusal": decision.refusal.value if decision.refusal else "",
    }
    return Record(kind=RecordKind.DECISION, at_ms=decision.at_ms, data=data)


def action_record(action: Action, *, at_ms: int) -> Record:
    """An action that is about to be done. Stored before it is."""
    return Record(kind=RecordKind.ACTION, at_ms=at_ms, data={"name": name_of(action), **plain(action)})


def outcome_record(action: Action, outcome: Outcome) -> Record:
    """What really came of it."""
    return Record(kind=RecordKind.OUTCOME, at_ms=outcome.at_ms, data={"name": name_of(action), **plain(outcome)})


def announcement_record(
    action: PlayWarning | EndCall, outcome: Outcome, policy: Policy, *, ended_ms: int | None
) -> Record:
    """An announcement with its exact words, whole or cut short, from when to when."""
    known = policy.announcement(action.announcement)
    data = {
        "announcement": action.announcement,
        "language": action.language,
        "text": known.text(action.language) if known else "",
        "rung": action.rung if isinstance(action, PlayWarning) else 0,
        "effect": outcome.effect.value,
        "whole": outcome.effect.value == "done",
        "started_ms": outcome.started_ms,
        "ended_ms": ended_ms,
        "detail": outcome.detail,
    }
    return Record(kind=RecordKind.ANNOUNCEMENT, at_ms=outcome.started_ms or outcome.at_ms, data=data)


def gap_record(what: str, *, at_ms: int, reason: str, leg: str = "", over: bool = False, **data: Any) -> Record:
    """Something is missing from here (``over``: until here). what: "manager", "tap", "daemon" or "sound"."""
    data = {"what": what, "leg": leg, "reason": reason, "over": over, **data}
    return Record(kind=RecordKind.GAP, at_ms=at_ms, data=data)


def presence_record(*, at_ms: int, who: str, mode: str, what: str, detail: str = "") -> Record:
    """A supervisor came in, changed the mode, or left. what: "asked", "began", "changed", "ended" or "refused"."""
    data = {"who": who, "mode": mode, "what": what, "detail": detail}
    return Record(kind=RecordKind.PRESENCE, at_ms=at_ms, data=data)


def health_record(*, at_ms: int, hearing: str) -> Record:
    """How well was heard from here on."""
    return Record(kind=RecordKind.HEALTH, at_ms=at_ms, data={"hearing": hearing})


def note_record(text: str, *, at_ms: int, **data: Any) -> Record:
    """Anything else worth keeping, in a plain English sentence."""
    return Record(kind=RecordKind.NOTE, at_ms=at_ms, data={"text": text, **data})


def human_record(action: CallHuman, *, at_ms: int) -> Record:
    """Care first: a human was called."""
    return action_record(action, at_ms=at_ms)


def wall_of(origin: datetime, at_ms: int) -> datetime:
    """Aware UTC of a moment on the call's clock."""
    return origin.astimezone(UTC) + timedelta(milliseconds=at_ms)
