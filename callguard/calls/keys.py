"""What an agent's key may do now."""

from __future__ import annotations

from callguard.calls.facts import Channel
from callguard.calls.tracker import Calls, Guarded, place
from callguard.model.action import Refusal
from callguard.model.call import Leg
from callguard.model.ids import LegId, Role


def key_refusal(calls: Calls, leg_id: LegId) -> Refusal | None:
    """Why a key pressed on this leg may not be carried out now, None where it may."""
    at = place(calls, leg_id)
    if at is None:
        channel = calls.facts.channels.get(leg_id)
        return Refusal.IN_CONSULTATION if channel is not None and channel.consulting else Refusal.NOT_IN_CALL
    guarded = calls.guarded.get(at[0])
    leg = guarded.call.leg(at[1]) if guarded is not None else None
    if guarded is None or leg is None:
        return Refusal.CALL_OVER
    if leg.role is not Role.AGENT:
        return Refusal.NOT_THE_AGENT
    if leg.id not in guarded.up:
        return Refusal.RINGING
    return _apart(calls, guarded, leg)


def _apart(calls: Calls, guarded: Guarded, leg: Leg) -> Refusal | None:
    """Whether this leg and the caller hear each other, and if not, why."""
    if leg.id not in guarded.talking:
        return Refusal.IN_CONSULTATION
    anchor = calls.facts.channels[guarded.anchor]
    if not leg.held and not anchor.held:
        return None
    here = calls.facts.channels[leg.id]
    return Refusal.IN_CONSULTATION if _asks_a_colleague(calls, here) else Refusal.ON_HOLD


def _asks_a_colleague(calls: Calls, here: Channel) -> bool:
    return any(c.consulting and c.endpoint == here.endpoint for c in calls.facts.channels.values())
