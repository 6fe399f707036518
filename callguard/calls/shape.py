"""Who hangs together with whom, read from the facts.

The caller is the anchor of a call. From it we walk over bridges, through Local channels and along ringing dials.
A person's channel ends the walk: whom an agent consults elsewhere is not in the caller's conversation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from callguard.calls.facts import Channel, Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Persons reached from a caller, each with the queue member it was dialled as ("" where no queue did).

    talking: over bridges and answered Local channels alone. ringing: along a dial that has not ended in a bridge.
    """

    talking: Mapping[str, str]
    ringing: Mapping[str, str]


def partner(facts: Facts, channel: Channel) -> Channel | None:
    """The other half of a Local channel."""
    name = channel.partner_name
    return facts.channels.get(facts.by_name.get(name, "")) if name else None


def together(facts: Facts, channel: Channel) -> Iterable[str]:
    """Everybody in this channel's bridge, itself included."""
    return facts.bridges.get(channel.bridge, frozenset()) if channel.bridge else ()


def reach(facts: Facts, anchor: str, others: frozenset[str]) -> Reach:
    """Walk from ``anchor``. ``others`` are callers of other calls: in a shared bridge they stay out of this one."""
    talking: dict[str, str] = {}
    ringing: dict[str, str] = {}
    met = {anchor}
    ways: list[tuple[str, str, bool]] = [(anchor, "", True)]
    while ways:
        here_id, interface, joined = ways.pop()
        here = facts.channels.get(here_id)
        if here is None or here.zombie:
            continue
        steps = [(mate, interface, joined) for mate in together(facts, here)]
        other_half = partner(facts, here)
        if other_half is not None:
            steps.append((other_half.id, interface, joined))
        for kid_id in facts.dialled.get(here_id, frozenset()):
            kid = facts.channels.get(kid_id)
            if kid is not None and (kid.local is not None or not kid.bridge):
                steps.append((kid_id, interface, False))
        for there_id, via, bridged in sorted(steps, key=lambda step: (not step[2], step[0])):
            there = facts.channels.get(there_id)
            if there is None or there_id in met or there_id in others:
                continue
            met.add(there_id)
            known_as = there.member or via
            if there.local is not None and not there.zombie:
                ways.append((there_id, known_as, bridged))
            elif there.person:
                (talking if bridged else ringing)[there_id] = known_as
        ways.sort(key=lambda way: way[2])
    return Reach(talking=talking, ringing=ringing)


def root_of(facts: Facts, channel_id: str) -> str:
    """The channel at the top of the chain of dials that led to this one, "" where that is not known (yet)."""
    seen: set[str] = set()
    here = facts.channels.get(channel_id)
    while here is not None and here.id not in seen:
        seen.add(here.id)
        if here.dialled_by:
            here = facts.channels.get(here.dialled_by)
            continue
        other_half = partner(facts, here)
        if other_half is not None and other_half.id not in seen:
            here = other_half
            continue
        if here.person and not here.marked:
            return here.id
        mates = [facts.channels[m] for m in sorted(together(facts, here)) if m not in seen and m in facts.channels]
        here = next((m for m in mates if m.person and not m.marked), next((m for m in mates if m.local), None))
    return ""


def neighbours(facts: Facts, touched: Iterable[str]) -> set[str]:
    """Everything that hangs together with what was touched, by any tie."""
    found: set[str] = set()
    left = [t for t in touched if t]
    while left:
        here_id = left.pop()
        if here_id in found:
            continue
        found.add(here_id)
        left.extend(facts.dialled.get(here_id, frozenset()))
        left.extend(facts.spies.get(here_id, frozenset()))
        here = facts.channels.get(here_id)
        if here is None:
            continue
        left.extend(together(facts, here))
        left.extend(i for i in (here.dialled_by, here.spies_on) if i)
        other_half = partner(facts, here)
        if other_half is not None:
            left.append(other_half.id)
    return found
