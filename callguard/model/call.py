"""Calls and legs as the tracker knows them.

``at_ms`` in this file counts on the daemon's own steady clock, since a call has no clock before it exists;
``Call.started_ms`` is the origin that the rest of the house subtracts to get the call's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from callguard.model.ids import CallId, LegId, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One party's channel in a call.

    number: the caller id number as text from outside, "" where withheld or unknown.
    name: the caller id name as text from outside.
    bridge: the bridge it is in now, "" outside of one.
    interface: the queue member or dial interface that reached this leg ("" for the caller), as Asterisk
        spells it; QueuePause needs exactly this.
    """

    id: LegId
    channel: str
    role: Role
    number: str = ""
    name: str = ""
    interface: str = ""
    bridge: str = ""
    answered_ms: int | None = None
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who is talking to whom. A transfer keeps the call and changes its legs.

    linked: every linkedid this call was ever known by; Asterisk merges them on bridging.
    partial: the call was found in mid-flight (daemon start, AMI gap), so its beginning is not known.
    """

    id: CallId
    started_ms: int
    legs: tuple[Leg, ...] = ()
    queue: str = ""
    bridge: str = ""
    linked: frozenset[str] = field(default_factory=frozenset)
    partial: bool = False
    ended_ms: int | None = None

    def leg(self, leg_id: LegId) -> Leg | None:
        """The leg with this id, or None."""
        return next((leg for leg in self.legs if leg.id == leg_id), None)

    def of_role(self, role: Role) -> tuple[Leg, ...]:
        """The legs with this role, oldest first."""
        return tuple(leg for leg in self.legs if leg.role is role)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallBegan:
    """A caller and at least one agent leg exist: worth a session."""

    call: Call
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LegUp:
    """A leg is up and bridged: time for a tap. Sent again for the same leg only after a LegDown."""

    call_id: CallId
    leg: Leg
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LegDown:
    """A leg left the call for good (hung up, or transferred out): its tap ends."""

    call_id: CallId
    leg_id: LegId
    at_ms: int
    cause: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegChanged:
    """A leg's facts changed without it leaving: renamed, held, bridged elsewhere, role known late."""

    call_id: CallId
    leg: Leg
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transferred:
    """The call moved from one agent leg to another; the call id stays.

    kind: "blind", "attended", "pickup" or "forward".
    """

    call_id: CallId
    kind: str
    from_leg: LegId | None
    to_leg: LegId | None
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """The caller is gone, or nobody is left. Sent once a call."""

    call: Call
    at_ms: int
    cause: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxNote:
    """Something the PBX reports that is about a call but not about its shape: a UserEvent from the dialplan
    (a warning began or ended, a key was pressed), a digit, a spy that started or stopped.

    kind: "user-event", "digit", "spy-start" or "spy-stop".
    name: the user event's name, or the digit.
    """

    call_id: CallId | None
    leg_id: LegId | None
    kind: str
    name: str
    at_ms: int
    values: tuple[tuple[str, str], ...] = ()

    def value(self, key: str) -> str:
        """The value under this key, "" where absent. Keys are as the dialplan wrote them."""
        return next((v for k, v in self.values if k.lower() == key.lower()), "")


CallNews = CallBegan | LegUp | LegDown | LegChanged | Transferred | CallEnded | PbxNote
