"""What the policy asks of the world, why it asks, and what came of it.

Every action has ``key``, unique within its call, by which doing it twice is doing it once, and
``not_after_ms``: past that moment on the call's clock it is recorded as too late and not done.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from callguard.model.finding import Category, Finding
from callguard.model.ids import CallId, LegId
from callguard.model.key import Elapsed, Flag, Key, KeyPress


class Tone(StrEnum):
    """What the agent alone hears after a key."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    RECORDED_ONLY = "recorded-only"
    NONE = "none"


class Refusal(StrEnum):
    """Why a key was not carried out. Codes are stable and have words in both languages."""

    NOT_IN_CALL = "not-in-call"
    RINGING = "ringing"
    ON_HOLD = "on-hold"
    IN_CONSULTATION = "in-consultation"
    CALL_OVER = "call-over"
    TOO_OLD = "too-old"
    REPEATED = "repeated"
    WARNING_RUNNING = "warning-running"
    COOLING_DOWN = "cooling-down"
    NO_RUNG_LEFT = "no-rung-left"
    NEEDS_APPROVAL = "needs-approval"
    NOTHING_TO_WITHDRAW = "nothing-to-withdraw"
    POLICY_FORBIDS = "policy-forbids"
    CARE_FIRST = "care-first"
    NOT_THE_AGENT = "not-the-agent"
    NO_DESTINATION = "no-destination"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerKey:
    """Answer a press: a tone to the agent alone. ``refusal`` is None where the press was accepted."""

    key: str
    not_after_ms: int
    press: KeyPress
    tone: Tone
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseFlag:
    """Open or extend the case: keep pre-roll and what follows."""

    key: str
    not_after_ms: int
    flag: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawFlag:
    """A flag made by mistake. The case stays, marked withdrawn; evidence is not destroyed by a key."""

    key: str
    not_after_ms: int
    press: KeyPress


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayWarning:
    """Play an announcement of the policy to the caller. ``rung`` counts from 1 on the policy's ladder."""

    key: str
    not_after_ms: int
    rung: int
    announcement: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskApproval:
    """Ask whoever must approve; unanswered after ``wait_ms`` it escalates (``escalate`` counts the rounds)."""

    key: str
    not_after_ms: int
    request: str
    of: str
    wait_ms: int
    approver: str
    rung: int = 0
    escalate: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySupervisor:
    """Show on the board (and by webhook). ``level`` 0 hint, 1 look, 2 urgent, 3 now."""

    key: str
    not_after_ms: int
    level: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHuman:
    """Care first: life at risk, accommodation, protected number. A human is called at once."""

    key: str
    not_after_ms: int
    category: Category
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Hand the caller over. ``destination`` is a name on the policy's allow list, not a number."""

    key: str
    not_after_ms: int
    destination: str
    extension: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferBarge:
    """Ask a supervisor to come in."""

    key: str
    not_after_ms: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCall:
    """Play the closing announcement, then end the call."""

    key: str
    not_after_ms: int
    announcement: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestAgent:
    """Pause the agent in the queue after the call: at least ``min_s``, taken back by the agent or at ``max_s``."""

    key: str
    not_after_ms: int
    min_s: int
    max_s: int
    reason: str


Action = (
    AnswerKey
    | RaiseFlag
    | WithdrawFlag
    | PlayWarning
    | AskApproval
    | NotifySupervisor
    | CallHuman
    | Transfer
    | OfferBarge
    | EndCall
    | RestAgent
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What is known of a call before anybody speaks; the first event of every call.

    language: what to speak to the caller.
    protected: the number is on the protected list, or the queue is.
    relay: a relay service for deaf or speech-impaired people.
    number_known: False for withheld, rewritten or shared numbers: never counted as one person.
    earlier_calls: calls from this number in the policy's window; 0 unless number_known.
    earlier_rung: the rung last reached in earlier calls within the policy's window, 0 for none.
    """

    call: CallId
    queue: str
    language: str
    at_ms: int = 0
    agent_leg: LegId | None = None
    caller_leg: LegId | None = None
    protected: bool = False
    relay: bool = False
    number_known: bool = True
    earlier_calls: int = 0
    earlier_rung: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallState:
    """The call's shape changed, as far as keys care: may a key be carried out now, and if not, why."""

    at_ms: int
    agent_leg: LegId | None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A supervisor's answer to an AskApproval (its ``request``)."""

    request: str
    granted: bool
    by: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardOrder:
    """A supervisor's wish from the board or a supervisor's key: the same ladder, another hand.

    what: a Key that makes sense for them (FLAG, WARN, HANDOVER, END).
    """

    id: str
    what: Key
    by: str
    at_ms: int


class Effect(StrEnum):
    """What really came of an action. DONE is said only of what was verified by effect."""

    DONE = "done"
    CUT_SHORT = "cut-short"
    NOT_CONFIRMED = "not-confirmed"
    FAILED = "failed"
    TOO_LATE = "too-late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of the action ``key``; fed back to ``decide`` and written to the record."""

    key: str
    effect: Effect
    at_ms: int
    started_ms: int | None = None
    detail: str = ""


PolicyEvent = CallFacts | CallState | Finding | KeyPress | BoardOrder | Elapsed | Approval | Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the policy decided, and why.

    because: plain sentences in English, each naming its finding, key, rule or rung.
    policy_hash: of the policy that decided.
    rung: the ladder position after this decision, 0 = nobody was warned.
    level: 0 quiet, 1 look, 2 urgent, 3 now: what the board shows.
    refusal: why a press or an order was not carried out, None where it was.
    """

    at_ms: int
    actions: tuple[Action, ...]
    because: tuple[str, ...]
    policy_hash: str
    rung: int = 0
    level: int = 0
    refusal: Refusal | None = None
