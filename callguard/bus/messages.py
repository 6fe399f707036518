"""What is said on the bus, word for word: the board's events and the supervisors' orders.

Events on ``callguard:board`` tell what is going on; nothing happens because of one. An order on
``callguard:orders`` makes something happen to a call on a person's behalf: it names the call by id and start, and
expires. Times ``*_ms`` are on the call's clock, ``*_at`` are aware UTC in ISO 8601.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Message(BaseModel):
    """Unknown fields are let pass: a board may be older than its daemon."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class BoardRequest(Message):
    """A question to an approver that is open. of: "warn", "handover", "end" or "flag"."""

    request: str
    of: str
    rung: int = 0
    approver: str = ""
    escalate: int = 0
    until_ms: int = 0


class BoardWarning(Message):
    """An announcement the caller was played. effect: as ``Effect``, "playing" while it lasts."""

    announcement: str
    rung: int
    at_ms: int
    effect: str


class CallRow(Message):
    """The whole state of one call, sent whenever something of it changes, at most four times a second.

    level: 0 quiet, 1 look, 2 urgent, 3 now. why: what made the level.
    hearing: "listening", "stretched", "caller-only" or "not-listening".
    partial: found in mid-flight; its beginning is not known.
    presence: supervisors on the call, as "mode:who".
    """

    kind: Literal["call"] = "call"
    call: str
    at_ms: int
    started_at: datetime
    sent_at: datetime
    queue: str = ""
    language: str = ""
    caller_number: str = ""
    caller_name: str = ""
    caller_channel: str = ""
    agent: str = ""
    agent_name: str = ""
    agent_channel: str = ""
    level: int = 0
    why: str = ""
    last_words: str = ""
    last_role: str = ""
    rung: int = 0
    rungs: int = 0
    warnings: tuple[BoardWarning, ...] = ()
    requests: tuple[BoardRequest, ...] = ()
    flagged: bool = False
    case: str = ""
    care: bool = False
    protected: bool = False
    held: bool = False
    hearing: str = "listening"
    partial: bool = False
    limit_s: int = 0
    presence: tuple[str, ...] = ()
    policy: str = ""
    mode: str = ""
    ended: bool = False


class TranscriptSaid(Message):
    """Words of one utterance so far. text is committed, tail may still change."""

    kind: Literal["transcript"] = "transcript"
    call: str
    at_ms: int
    leg: str
    role: str
    utterance: str
    start_ms: int
    end_ms: int
    text: str
    tail: str = ""
    closed: bool = False


class FindingMade(Message):
    """One rule that matched."""

    kind: Literal["finding"] = "finding"
    call: str
    at_ms: int
    rule: str
    category: str
    severity: int
    stage: str
    role: str
    words: str
    start_ms: int
    end_ms: int
    score: float
    why: str


class KeyTaken(Message):
    """A key, and what its presser was answered. stored_at: when its record was durable, None before a flag."""

    kind: Literal["key"] = "key"
    call: str
    at_ms: int
    press: str
    key: str
    seen_by: str
    pressed_at: datetime
    answered_at: datetime
    stored_at: datetime | None = None
    tone: str = ""
    refusal: str = ""


class DecisionMade(Message):
    """What the policy decided, and why. actions: their names, e.g. "PlayWarning"."""

    kind: Literal["decision"] = "decision"
    call: str
    at_ms: int
    because: tuple[str, ...]
    actions: tuple[str, ...] = ()
    rung: int = 0
    level: int = 0
    refusal: str = ""
    policy_hash: str = ""


class ActionDone(Message):
    """What came of an action. effect: as ``Effect``, or "begun"."""

    kind: Literal["action"] = "action"
    call: str
    at_ms: int
    key: str
    name: str
    effect: str
    detail: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


class CaseChanged(Message):
    """A case was opened, grew or was finished. status: "opened", "withdrawn" or "finished"."""

    kind: Literal["case"] = "case"
    call: str
    at_ms: int
    case: str
    status: str
    segment_start_ms: int | None = None
    segment_end_ms: int | None = None


class HealthTold(Message):
    """How the daemon is, about every two seconds. Parts that are fine have the word "ok"."""

    kind: Literal["health"] = "health"
    sent_at: datetime
    parts: dict[str, str]
    calls: int = 0
    hearing: str = "listening"


BoardEvent = Annotated[
    CallRow | TranscriptSaid | FindingMade | KeyTaken | DecisionMade | ActionDone | CaseChanged | HealthTold,
    Field(discriminator="kind"),
]

_EVENT: TypeAdapter[BoardEvent] = TypeAdapter(BoardEvent)


def read_event(text: str) -> BoardEvent:
    """A board event from its JSON. Raises pydantic's ValidationError."""
    return _EVENT.validate_json(text)


class Order(Message):
    """A supervisor's wish, from the board or their phone. The answer comes as ``OrderAnswer`` under the order's id.

    id: unique (a UUID). call and started_at: which call, so that a late order never hits another.
    what: "flag", "warn", "handover", "end", "listen", "whisper", "barge", "take-over", "approve", "refuse",
        "rest-back".
    by: the user's name, for the audit. supervisor: their phone, e.g. "PJSIP/900", for the spying orders.
    request: which AskApproval, for "approve" and "refuse". interface: for "rest-back".
    """

    id: str
    what: str
    call: str = ""
    started_at: datetime | None = None
    by: str
    supervisor: str = ""
    request: str = ""
    interface: str = ""
    expires_at: datetime


class OrderAnswer(Message):
    """What became of an order. refusal: a code of ``Refusal`` or of an error, "" where it was carried out."""

    done: bool
    refusal: str = ""
    detail: str = ""
