"""What is known of channels, and the one transition table that takes an event in.

A fact is only what the PBX said. Who is caller and who is agent is read out of the facts elsewhere, so that the
order in which facts arrive does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from callguard.calls import events as e

GONE_KEPT = 2000
"""Hung-up channels remembered, so that a late event does not bring one back to life."""

UNREAL = re.compile(
    r"(AudioSocket|WebSocket|UnicastRTP|MulticastRTP|Snoop|Recorder|Announcer|CBAnn|CBRec|Surrogate|Message|Bridge"
    r"|OutgoingSpoolFailed|AsyncGoto|Parked|ConfBridgeRecorder)/",
    re.IGNORECASE,
)
"""Channel technologies that never have a person at the other end."""

_SERIAL = re.compile(r"-[0-9a-f]{8}$")
_LOCAL = re.compile(r"(?P<stem>Local/.*);(?P<half>[12])$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel.

    dialled_by: the channel that rang this one, "" for one that came in.
    member: the queue member it was dialled as, as the queue spells it; QueuePause needs exactly this.
    interface: where our mark or a pickup says that it is, "" where neither spoke.
    picked: somebody else's phone took it over.
    marked: something said that an agent sits here (a queue, or our pre-dial mark).
    queue: the queue it waits in, or last waited in.
    waiting: it waits there now.
    leaving: asked to hang up, with this cause; "" where nobody asked.
    zombie: its body moved to another channel (masquerade).
    spies_on: the channel that it listens to.
    consulting: an agent asks a colleague over it in the middle of a call.
    """

    id: str
    name: str = ""
    linked: str = ""
    number: str = ""
    caller_name: str = ""
    up: bool = False
    born_ms: int = 0
    answered_ms: int | None = None
    bridge: str = ""
    was_bridged: bool = False
    held: bool = False
    dialled_by: str = ""
    member: str = ""
    interface: str = ""
    picked: bool = False
    marked: bool = False
    queue: str = ""
    waiting: bool = False
    leaving: str = ""
    zombie: bool = False
    spies_on: str = ""
    consulting: bool = False

    @property
    def local(self) -> tuple[str, str] | None:
        """(stem, half) of a Local channel's name, None for any other."""
        match = _LOCAL.match(self.name)
        return (match["stem"], match["half"]) if match else None

    @property
    def partner_name(self) -> str:
        """The other half's name, "" where this is no Local channel."""
        local = self.local
        return f"{local[0]};{'2' if local[1] == '1' else '1'}" if local else ""

    @property
    def person(self) -> bool:
        """A person may be at the other end: not a Local half, a recorder, an announcer or a zombie."""
        return not self.zombie and self.local is None and not UNREAL.match(self.name)

    @property
    def endpoint(self) -> str:
        """The name without its serial: ``PJSIP/agent1-0000000a`` is at ``PJSIP/agent1``."""
        name = self.name.removesuffix("<ZOMBIE>").removesuffix("<MASQ>")
        return _SERIAL.sub("", name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All channels and how they hang together. The indexes follow from ``channels``.

    gone: recently hung-up channels and the cause each ended with, oldest first.
    masq: while a masquerade is under way, the name being handed over and the channel that gives it up.
    """

    channels: Mapping[str, Channel] = field(default_factory=dict)
    by_name: Mapping[str, str] = field(default_factory=dict)
    bridges: Mapping[str, frozenset[str]] = field(default_factory=dict)
    dialled: Mapping[str, frozenset[str]] = field(default_factory=dict)
    spies: Mapping[str, frozenset[str]] = field(default_factory=dict)
    gone: Mapping[str, str] = field(default_factory=dict)
    masq: Mapping[str, str] = field(default_factory=dict)


class Draft:
    """Facts being rewritten: copies a mapping the first time it is written to, and notes what was touched.

    moved: bodies that changed channel, from -> to. lost: channels that ended, with the cause.
    """

    __slots__ = ("_facts", "_own", "lost", "moved", "touched")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._own: dict[str, dict[str, Any]] = {}
        self.touched: set[str] = set()
        self.moved: dict[str, str] = {}
        self.lost: dict[str, str] = {}

    def read(self, index: str) -> Mapping[str, Any]:
        """This mapping as it stands."""
        own = self._own.get(index)
        found: Mapping[str, Any] = getattr(self._facts, index) if own is None else own
        return found

    def write(self, index: str) -> dict[str, Any]:
        """This mapping, to be changed."""
        if index not in self._own:
            self._own[index] = dict(getattr(self._facts, index))
        return self._own[index]

    def done(self) -> Facts:
        """The facts as rewritten."""
        return replace(self._facts, **self._own) if self._own else self._facts

    def get(self, channel_id: str) -> Channel | None:
        """This channel, None where unknown or gone."""
        found: Channel | None = self.read("channels").get(channel_id)
        return found

    def meet(self, seen: e.Seen, at_ms: int) -> Channel | None:
        """The channel behind ``seen``, made where new, None where it is gone."""
        if not seen.id or seen.id in self.read("gone"):
            return None
        known = self.get(seen.id)
        if known is None:
            known = Channel(id=seen.id, name=seen.channel, linked=seen.linked, born_ms=at_ms)
            if seen.channel:
                self.write("by_name")[seen.channel] = seen.id
        name = known.name or seen.channel
        if name and not known.name:
            self.write("by_name")[name] = seen.id
        self.put(
            replace(
                known,
                name=name,
                linked=seen.linked or known.linked,
                number=seen.number or known.number,
                caller_name=seen.name or known.caller_name,
                up=known.up or seen.up,
                answered_ms=at_ms if known.answered_ms is None and seen.up else known.answered_ms,
            )
        )
        return self.get(seen.id)

    def put(self, channel: Channel) -> None:
        """Store this channel."""
        self.touched.add(channel.id)
        if self.get(channel.id) != channel:
            self.write("channels")[channel.id] = channel

    def link(self, index: str, key: str, member: str) -> None:
        """Add ``member`` to the set under ``key``."""
        held: frozenset[str] = self.read(index).get(key, frozenset())
        if member not in held:
            self.write(index)[key] = held | {member}

    def unlink(self, index: str, key: str, member: str) -> None:
        """Take ``member`` out of the set under ``key``."""
        held: frozenset[str] = self.read(index).get(key, frozenset())
        if member in held:
            rest = held - {member}
            if rest:
                self.write(index)[key] = rest
            else:
                self.write(index).pop(key, None)

    def place(self, channel: Channel, bridge: str, at_ms: int) -> Channel:
        """Put this channel into ``bridge`` ("" for none)."""
        if channel.bridge and channel.bridge != bridge:
            self.touched |= self.read("bridges").get(channel.bridge, frozenset())
            self.unlink("bridges", channel.bridge, channel.id)
        if bridge:
            self.link("bridges", bridge, channel.id)
            self.touched |= self.read("bridges")[bridge]
        moved = replace(channel, bridge=bridge)
        if bridge:
            moved = replace(
                moved,
                up=True,
                was_bridged=True,
                leaving="",
                held=channel.held and channel.bridge == bridge,
                answered_ms=at_ms if channel.answered_ms is None else channel.answered_ms,
            )
        self.put(moved)
        return moved

    def forget(self, channel: Channel, cause: str) -> None:
        """This channel is gone."""
        self.touched |= self.read("bridges").get(channel.bridge, frozenset())
        self.touched |= self.read("dialled").get(channel.id, frozenset())
        self.touched |= {i for i in (channel.id, channel.dialled_by, channel.spies_on) if i}
        for index, key in (("bridges", channel.bridge), ("dialled", channel.dialled_by), ("spies", channel.spies_on)):
            if key:
                self.unlink(index, key, channel.id)
        if self.read("by_name").get(channel.name) == channel.id:
            self.write("by_name").pop(channel.name)
        self.write("channels").pop(channel.id, None)
        self.bury(channel.id, cause)

    def bury(self, channel_id: str, cause: str) -> None:
        """Remember that this channel is gone."""
        gone = self.write("gone")
        gone[channel_id] = cause
        while len(gone) > GONE_KEPT:
            gone.pop(next(iter(gone)))
        self.lost[channel_id] = cause


def _channel_seen(draft: Draft, event: e.ChannelSeen) -> None:
    draft.meet(event.seen, event.at_ms)


def _renamed(draft: Draft, event: e.Renamed) -> None:
    channel = draft.meet(replace(event.seen, channel=event.old), event.at_ms)
    if channel is None:
        return
    names = draft.write("by_name")
    if names.get(event.old) == channel.id:
        names.pop(event.old)
    names[event.new] = channel.id
    if event.new.endswith("<MASQ>"):
        draft.write("masq")[event.old] = channel.id
        draft.put(replace(channel, name=event.new))
        return
    giver_id = draft.read("masq").get(event.new, "")
    giver = draft.get(giver_id) if giver_id and giver_id != channel.id else None
    if giver_id:
        draft.write("masq").pop(event.new)
    zombie = event.new.endswith("<ZOMBIE>")
    renamed = replace(channel, name=event.new, zombie=zombie)
    if giver is not None:
        draft.moved[giver.id] = channel.id
        draft.put(replace(giver, zombie=True))
        renamed = replace(
            renamed,
            up=giver.up,
            answered_ms=giver.answered_ms or channel.answered_ms,
            held=giver.held,
            number=giver.number or channel.number,
            caller_name=giver.caller_name or channel.caller_name,
        )
    draft.put(renamed)


def _dial(draft: Draft, by: e.Seen | None, to: e.Seen, at_ms: int) -> Channel | None:
    channel = draft.meet(to, at_ms)
    dialler = draft.meet(by, at_ms) if by is not None else None
    if channel is None or dialler is None or dialler.id == channel.id:
        return channel
    if channel.dialled_by != dialler.id:
        if channel.dialled_by:
            draft.unlink("dialled", channel.dialled_by, channel.id)
        draft.link("dialled", dialler.id, channel.id)
        channel = replace(channel, dialled_by=dialler.id)
    if dialler.waiting:
        channel = replace(channel, marked=True)
    draft.put(channel)
    return channel


def _dial_began(draft: Draft, event: e.DialBegan) -> None:
    _dial(draft, event.by, event.to, event.at_ms)


def _dial_ended(draft: Draft, event: e.DialEnded) -> None:
    for seen in (event.by, event.to):
        if seen is not None:
            draft.meet(seen, event.at_ms)


def _bridge_entered(draft: Draft, event: e.BridgeEntered) -> None:
    swapped = draft.get(event.swap) if event.swap else None
    if swapped is not None and swapped.bridge == event.bridge:
        draft.place(swapped, "", event.at_ms)
    channel = draft.meet(event.seen, event.at_ms)
    if channel is not None:
        draft.place(channel, event.bridge, event.at_ms)


def _bridge_left(draft: Draft, event: e.BridgeLeft) -> None:
    channel = draft.meet(event.seen, event.at_ms)
    if channel is not None and channel.bridge == event.bridge:
        draft.place(channel, "", event.at_ms)


def _bridges_merged(draft: Draft, event: e.BridgesMerged) -> None:
    for member in draft.read("bridges").get(event.gone, frozenset()):
        channel = draft.get(member)
        if channel is not None:
            draft.place(channel, event.into, event.at_ms)


def _bridge_gone(draft: Draft, event: e.BridgeGone) -> None:
    for member in draft.read("bridges").get(event.bridge, frozenset()):
        channel = draft.get(member)
        if channel is not None:
            draft.place(channel, "", event.at_ms)


def _blind(draft: Draft, event: e.BlindTransfer) -> None:
    draft.meet(event.by, event.at_ms)


def _attended(draft: Draft, event: e.AttendedTransfer) -> None:
    draft.meet(event.first, event.at_ms)
    draft.meet(event.second, event.at_ms)


def _picked_up(draft: Draft, event: e.PickedUp) -> None:
    """Either of the two channels lives on (that differs by release); whichever it is sits at the picker's phone."""
    by = draft.meet(event.by, event.at_ms)
    target = draft.meet(event.target, event.at_ms)
    if target is not None:
        draft.put(replace(target, interface=by.endpoint, picked=True) if by is not None else target)
    if by is None:
        return
    dialled_by = by.dialled_by or (target.dialled_by if target is not None else "")
    if dialled_by and dialled_by != by.id:
        draft.link("dialled", dialled_by, by.id)
    draft.put(replace(by, interface=by.endpoint, picked=True, marked=True, dialled_by=dialled_by))


def _held(draft: Draft, event: e.Held) -> None:
    channel = draft.meet(event.seen, event.at_ms)
    if channel is not None:
        draft.put(replace(channel, held=event.held))


def _hangup_asked(draft: Draft, event: e.HangupAsked) -> None:
    channel = draft.meet(event.seen, event.at_ms)
    if channel is not None:
        draft.put(replace(channel, leaving=event.cause))


def _hung_up(draft: Draft, event: e.HungUp) -> None:
    channel = draft.get(event.seen.id)
    if channel is not None:
        draft.forget(channel, event.cause)
    elif event.seen.id not in draft.read("gone"):
        draft.bury(event.seen.id, event.cause)


def _queue_joined(draft: Draft, event: e.QueueJoined) -> None:
    channel = draft.meet(event.seen, event.at_ms)
    if channel is not None:
        draft.put(replace(channel, queue=event.queue, waiting=True))


def _queue_left(draft: Draft, event: e.QueueLeft) -> None:
    channel = draft.meet(event.seen, event.at_ms)
    if channel is not None:
        draft.put(replace(channel, queue=channel.queue or event.queue, waiting=False))


def _agent_offered(draft: Draft, event: e.AgentOffered) -> None:
    caller = draft.meet(event.caller, event.at_ms)
    if caller is not None and event.queue and caller.queue != event.queue:
        draft.put(replace(caller, queue=event.queue))
    channel = _dial(draft, event.caller, event.to, event.at_ms)
    if channel is not None:
        draft.put(replace(channel, marked=True, member=event.interface or channel.member))


def _member_paused(draft: Draft, event: e.MemberPaused) -> None:
    """Nothing: no channel is meant."""


def _user_noted(draft: Draft, event: e.UserNoted) -> None:
    if event.seen is None:
        return
    channel = draft.meet(event.seen, event.at_ms)
    if channel is not None and event.name.lower() == "callguardagent":
        draft.put(replace(channel, marked=True, interface=channel.interface or event.value("Interface")))


def _digit(draft: Draft, event: e.DigitPressed) -> None:
    draft.meet(event.seen, event.at_ms)


def _spied(draft: Draft, event: e.Spied) -> None:
    spyer = draft.meet(event.spyer, event.at_ms)
    spyee = event.spyee.id if event.spyee is not None else (spyer.spies_on if spyer is not None else "")
    if spyer is None:
        return
    if spyer.spies_on and spyer.spies_on != spyee:
        draft.unlink("spies", spyer.spies_on, spyer.id)
        draft.touched.add(spyer.spies_on)
    if spyee:
        draft.touched.add(spyee)
        (draft.link if event.began else draft.unlink)("spies", spyee, spyer.id)
    draft.put(replace(spyer, spies_on=spyee if event.began else ""))


_LEARN: dict[type, Callable[[Draft, Any], None]] = {
    e.ChannelSeen: _channel_seen,
    e.Renamed: _renamed,
    e.DialBegan: _dial_began,
    e.DialEnded: _dial_ended,
    e.BridgeEntered: _bridge_entered,
    e.BridgeLeft: _bridge_left,
    e.BridgesMerged: _bridges_merged,
    e.BridgeGone: _bridge_gone,
    e.BlindTransfer: _blind,
    e.AttendedTransfer: _attended,
    e.PickedUp: _picked_up,
    e.Held: _held,
    e.HangupAsked: _hangup_asked,
    e.HungUp: _hung_up,
    e.QueueJoined: _queue_joined,
    e.QueueLeft: _queue_left,
    e.AgentOffered: _agent_offered,
    e.MemberPaused: _member_paused,
    e.UserNoted: _user_noted,
    e.DigitPressed: _digit,
    e.Spied: _spied,
}
"""The transition table: one line an event."""


def learn(draft: Draft, event: e.PbxEvent) -> None:
    """Take one event in. Raises KeyError for an event that the table does not know."""
    _LEARN[type(event)](draft, event)
