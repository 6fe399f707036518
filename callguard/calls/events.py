"""What the PBX said, decoded once. Every event carries ``at_ms`` on the daemon's steady clock.

``Seen`` is what an event happens to know of a channel; an event may name a channel nobody has told us about yet.
"""

from __future__ import annotations

from dataclasses import dataclass

OWN_PREFIX = "cg-"
"""Uniqueids of channels that callguard itself started begin with this; they are never calls."""

OWN_SPY_PREFIX = "cg-spy-"
"""Among those: a supervisor's channel. It becomes a leg of the call that it listens to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A channel as one event knows it.

    up: answered; False also where the event does not say.
    number, name: caller id as text from outside, "" where withheld.
    """

    id: str
    linked: str = ""
    channel: str = ""
    up: bool = False
    number: str = ""
    name: str = ""

    @property
    def ours(self) -> bool:
        """Started by callguard."""
        return self.id.startswith(OWN_PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSeen:
    """A channel was made, changed state or got another caller id."""

    at_ms: int
    seen: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """A channel's name changed; the uniqueid did not."""

    at_ms: int
    seen: Seen
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DialBegan:
    """One channel began to ring another. ``by`` is None for an Originate."""

    at_ms: int
    by: Seen | None
    to: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class DialEnded:
    """A ring ended. ``forward`` is where the phone sent the caller instead, "" where it did not."""

    at_ms: int
    by: Seen | None
    to: Seen
    status: str = ""
    forward: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeEntered:
    """A channel joined a bridge; it takes the place of ``swap`` where that is not ""."""

    at_ms: int
    bridge: str
    seen: Seen
    swap: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeLeft:
    """A channel left a bridge."""

    at_ms: int
    bridge: str
    seen: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgesMerged:
    """Everybody in ``gone`` is in ``into`` from now on."""

    at_ms: int
    into: str
    gone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeGone:
    """A bridge was destroyed."""

    at_ms: int
    bridge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindTransfer:
    """``by`` sent the other party away."""

    at_ms: int
    by: Seen
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AttendedTransfer:
    """``first`` talked to the caller, ``second`` to the target; it may be one channel twice.

    dest: Asterisk's DestType: "bridge", "app", "link", "threeway" or "fail".
    """

    at_ms: int
    first: Seen
    second: Seen
    dest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PickedUp:
    """``by`` took the call that rang at ``target``."""

    at_ms: int
    by: Seen
    target: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """This channel's phone put its peer on hold, or took it back."""

    at_ms: int
    seen: Seen
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HangupAsked:
    """Somebody asked for this channel to end. Not yet an end: a tap can delay that one."""

    at_ms: int
    seen: Seen
    cause: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class HungUp:
    """A channel is gone. ``cause`` is a code of ours, "unknown" where the PBX gave none."""

    at_ms: int
    seen: Seen
    cause: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueJoined:
    """A caller waits in a queue."""

    at_ms: int
    queue: str
    seen: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLeft:
    """A caller waits no longer: connected, gave up or timed out."""

    at_ms: int
    queue: str
    seen: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOffered:
    """A queue rings a member (``taken``: who answered). ``interface`` is the member's, as the queue spells it."""

    at_ms: int
    queue: str
    caller: Seen
    to: Seen
    interface: str
    taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPaused:
    """A queue member rests or is back. ``reason`` is None where none was given."""

    at_ms: int
    queue: str
    interface: str
    paused: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserNoted:
    """A user event of the dialplan whose name begins with ``Callguard``."""

    at_ms: int
    name: str
    seen: Seen | None
    values: tuple[tuple[str, str], ...] = ()

    def value(self, key: str) -> str:
        """The value under this key, "" where absent."""
        return next((v for k, v in self.values if k.lower() == key.lower()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitPressed:
    """A digit arrived from this channel's phone (what the PBX sent on to it is not decoded)."""

    at_ms: int
    seen: Seen
    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spied:
    """``spyer`` began (or stopped) to listen to ``spyee``."""

    at_ms: int
    spyer: Seen
    spyee: Seen | None
    began: bool


PbxEvent = (
    ChannelSeen
    | Renamed
    | DialBegan
    | DialEnded
    | BridgeEntered
    | BridgeLeft
    | BridgesMerged
    | BridgeGone
    | BlindTransfer
    | AttendedTransfer
    | PickedUp
    | Held
    | HangupAsked
    | HungUp
    | QueueJoined
    | QueueLeft
    | AgentOffered
    | MemberPaused
    | UserNoted
    | DigitPressed
    | Spied
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFound:
    """One channel of a snapshot.

    application, data: what it runs now, "AppQueue" and "AppDial" for a leg that was dialled.
    age_ms: how long it exists.
    marked: it carries the keys of an agent (its DYNAMIC_FEATURES name them).
    """

    seen: Seen
    bridge: str = ""
    application: str = ""
    data: str = ""
    age_ms: int = 0
    marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that exists on the PBX at one moment.

    restarted: the PBX began anew since the last one, so every older channel is gone whatever its id.
    interfaces: queue members as the queues spell them.
    """

    at_ms: int
    channels: tuple[ChannelFound, ...] = ()
    restarted: bool = False
    interfaces: frozenset[str] = frozenset()
