"""From what the PBX says to who is talking to whom: ``apply`` for an event, ``resync`` for a snapshot.

Both take the facts in, read the shape of every call they touch, and tell what differs from what was told before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from callguard.calls import events as e
from callguard.calls.facts import Channel, Draft, Facts, learn
from callguard.calls.shape import Reach, neighbours, partner, reach, root_of, together
from callguard.model.call import (
    Call,
    CallBegan,
    CallEnded,
    CallNews,
    Leg,
    LegChanged,
    LegDown,
    LegUp,
    PbxNote,
    Transferred,
)
from callguard.model.ids import CallId, LegId, Role

PAST_KEPT = 500
"""Ended calls remembered, so that a late key press is answered "the call is over"."""

SUPERVISOR_DIGITS = frozenset("45679")
"""4, 5 and 6 change between listen, whisper and barge (ChanSpy's option ``d``); 9 and 7 say yes and no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A call under our eyes.

    anchor: the caller's channel. began: CallBegan was told. up: legs whose LegUp was told.
    talking: legs that now hear the caller.
    moved: a transfer that was announced and whose new leg has not come yet: (kind, from leg).
    told: transfers told already.
    """

    call: Call
    anchor: str
    began: bool = False
    up: frozenset[str] = frozenset()
    talking: frozenset[str] = frozenset()
    moved: tuple[str, str] | None = None
    told: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Everything the tracker knows.

    members: which call a leg is in. past: which call a leg was in when it ended.
    digits: the digits that keys are made of; no other digit of an agent is ever told.
    """

    facts: Facts = field(default_factory=Facts)
    guarded: Mapping[CallId, Guarded] = field(default_factory=dict)
    members: Mapping[str, CallId] = field(default_factory=dict)
    past: Mapping[str, CallId] = field(default_factory=dict)
    digits: frozenset[str] = frozenset()

    @property
    def calls(self) -> tuple[Call, ...]:
        """Calls that have begun and not ended, oldest first."""
        return tuple(g.call for g in self.guarded.values() if g.began)

    def call(self, call_id: CallId) -> Call | None:
        """This call while it lives."""
        guarded = self.guarded.get(call_id)
        return guarded.call if guarded is not None and guarded.began else None


def apply(calls: Calls, event: e.PbxEvent) -> tuple[Calls, list[CallNews]]:
    """Take one event in. Pure; the same events give the same news."""
    if _only_ours(event):
        return calls, []
    draft = Draft(calls.facts)
    learn(draft, event)
    settling = _Settling(calls, draft, event.at_ms)
    settling.settle()
    settling.note_transfer(event)
    settling.tell_transfers()
    news = settling.news
    after = settling.done()
    note = _note(after, event)
    return after, [*news, note] if note is not None else news


def resync(calls: Calls, snapshot: e.Snapshot) -> tuple[Calls, list[CallNews]]:
    """Compare with all that exists now: what vanished has ended, what is new is adopted and marked partial."""
    if snapshot.restarted:
        over, ended = resync(calls, e.Snapshot(at_ms=snapshot.at_ms))
        fresh, adopted = resync(Calls(digits=over.digits), replace(snapshot, restarted=False))
        return fresh, [*ended, *adopted]
    draft = Draft(calls.facts)
    found = {c.seen.id: c for c in snapshot.channels if not c.seen.ours}
    for channel in list(calls.facts.channels.values()):
        if channel.id not in found:
            draft.forget(channel, "unknown")
    for one in found.values():
        _adopt(draft, one, snapshot)
    for one in found.values():
        _adopt_dial(draft, one, found)
    settling = _Settling(calls, draft, snapshot.at_ms, partial=True)
    settling.settle()
    settling.tell_transfers()
    return settling.done(), settling.news


def place(calls: Calls, channel_id: str) -> tuple[CallId, LegId] | None:
    """Which leg of which call this channel stands for, also shortly after its end.

    A Local half stands for the agent behind it: with ``/n`` the keys sit on the half in the queue's bridge.
    """
    call_id = calls.members.get(channel_id) or calls.past.get(channel_id)
    if call_id is not None:
        return call_id, LegId(channel_id)
    channel = calls.facts.channels.get(channel_id)
    if channel is None or channel.local is None:
        return None
    for end in (channel, partner(calls.facts, channel)):
        if end is None:
            continue
        near = calls.facts.bridges.get(end.bridge, frozenset()) | calls.facts.dialled.get(end.id, frozenset())
        for leg_id in sorted(near):
            leg_call = calls.members.get(leg_id)
            if leg_call is None or leg_call not in calls.guarded:
                continue
            leg = calls.guarded[leg_call].call.leg(LegId(leg_id))
            if leg is not None and leg.role is Role.AGENT:
                return leg_call, leg.id
    return None


def _only_ours(event: e.PbxEvent) -> bool:
    """This event is about a tap or an announcement of our own."""
    for name in ("seen", "to", "spyer", "by", "first"):
        seen = getattr(event, name, None)
        if isinstance(seen, e.Seen) and seen.ours:
            return not seen.id.startswith(e.OWN_SPY_PREFIX)
    return False


def _adopt(draft: Draft, one: e.ChannelFound, snapshot: e.Snapshot) -> None:
    known = draft.get(one.seen.id)
    channel = draft.meet(one.seen, snapshot.at_ms)
    if channel is None:
        return
    if known is None:
        dialled = one.application in ("AppQueue", "AppDial", "AppDial2")
        queue = one.data.split(",", 1)[0] if one.application == "Queue" else ""
        channel = replace(
            channel,
            born_ms=snapshot.at_ms - one.age_ms,
            marked=one.application == "AppQueue" or (dialled and one.marked),
            queue=queue,
            member=_interface(channel, snapshot.interfaces) if one.application == "AppQueue" else "",
        )
    draft.place(channel, one.bridge, snapshot.at_ms)


def _interface(channel: Channel, interfaces: frozenset[str]) -> str:
    endpoint = channel.endpoint.removesuffix(";1")
    known = [i for i in interfaces if i == endpoint or i.split("/n", 1)[0] == endpoint]
    return known[0] if len(known) == 1 else endpoint


def _adopt_dial(draft: Draft, one: e.ChannelFound, found: Mapping[str, e.ChannelFound]) -> None:
    channel = draft.get(one.seen.id)
    if channel is None or channel.dialled_by or one.application not in ("AppQueue", "AppDial"):
        return
    wanted = "Queue" if one.application == "AppQueue" else "Dial"
    diallers = [
        d
        for d in found.values()
        if d.seen.linked == one.seen.linked and d.seen.id != one.seen.id and d.application in (wanted, "Queue", "Dial")
    ]
    mates = [d for d in diallers if d.bridge and d.bridge == one.bridge]
    exact = [d for d in diallers if d.application == wanted]
    for some in (mates, exact if len(exact) == 1 else [], diallers if len(diallers) == 1 else []):
        if some:
            draft.link("dialled", some[0].seen.id, channel.id)
            draft.put(replace(channel, dialled_by=some[0].seen.id))
            return


def _note(calls: Calls, event: e.PbxEvent) -> PbxNote | None:
    """What is worth telling beside the shape."""
    match event:
        case e.UserNoted():
            at = place(calls, event.seen.id) if event.seen is not None else None
            channel = (("Channel", event.seen.channel), ("Uniqueid", event.seen.id)) if event.seen is not None else ()
            return _pbx_note(at, "user-event", event.name, event.at_ms, (*event.values, *channel))
        case e.DigitPressed():
            at = place(calls, event.seen.id)
            if at is None or event.digit not in calls.digits | SUPERVISOR_DIGITS or at[0] not in calls.guarded:
                return None
            leg = calls.guarded[at[0]].call.leg(at[1])
            if leg is None or leg.role not in (Role.AGENT, Role.SUPERVISOR):
                return None
            if event.digit not in (calls.digits if leg.role is Role.AGENT else SUPERVISOR_DIGITS):
                return None
            return _pbx_note(at, "digit" if leg.role is Role.AGENT else "spy-digit", event.digit, event.at_ms, ())
        case e.Spied():
            at = place(calls, event.spyee.id) if event.spyee is not None else None
            values = (
                ("SpyerUniqueid", event.spyer.id),
                ("SpyerChannel", event.spyer.channel),
                ("SpyerLinkedid", event.spyer.linked),
            )
            return _pbx_note(at, "spy-start" if event.began else "spy-stop", event.spyer.channel, event.at_ms, values)
        case _:
            return None


def _pbx_note(
    at: tuple[CallId, LegId] | None, kind: str, name: str, at_ms: int, values: tuple[tuple[str, str], ...]
) -> PbxNote:
    call_id, leg_id = at if at is not None else (None, None)
    return PbxNote(call_id=call_id, leg_id=leg_id, kind=kind, name=name, at_ms=at_ms, values=values)


class _Settling:
    """One step of the tracker: shapes read anew, differences told. Lives for one event."""

    def __init__(self, calls: Calls, draft: Draft, at_ms: int, *, partial: bool = False) -> None:
        self._calls = calls
        self._facts = draft.done()
        self._draft = draft
        self._at_ms = at_ms
        self._partial = partial
        self._guarded = dict(calls.guarded)
        self._members = dict(calls.members)
        self._past = dict(calls.past)
        self.news: list[CallNews] = []

    def done(self) -> Calls:
        """The state after this step."""
        while len(self._past) > PAST_KEPT * 4:
            self._past.pop(next(iter(self._past)))
        return replace(self._calls, facts=self._facts, guarded=self._guarded, members=self._members, past=self._past)

    def settle(self) -> None:
        near = neighbours(self._facts, self._draft.touched)
        self._follow_bodies()
        self._guard_new(near)
        todo = [self._members[n] for n in sorted(near | set(self._draft.lost)) if n in self._members]
        todo += [k for k, g in self._guarded.items() if g.anchor in near or g.anchor in self._draft.lost]
        done: set[CallId] = set()
        while todo:
            call_id = todo.pop(0)
            if call_id not in done and call_id in self._guarded:
                done.add(call_id)
                todo.extend(self._reshape(call_id))

    def _follow_bodies(self) -> None:
        """A masquerade moved a body: the leg goes with it."""
        for giver, taker in self._draft.moved.items():
            call_id = self._members.pop(giver, None)
            if call_id is None or call_id not in self._guarded:
                continue
            self._past[giver] = call_id
            self._members.setdefault(taker, call_id)
            guarded = self._guarded[call_id]
            old = guarded.call.leg(LegId(giver))
            anchors = {g.anchor for g in self._guarded.values()}
            if guarded.anchor == giver and taker not in anchors:
                self._guarded[call_id] = replace(guarded, anchor=taker)
            elif old is not None and old.interface:
                channel = self._facts.channels.get(taker)
                if channel is not None and not channel.interface:
                    self._set(replace(channel, interface=old.interface, marked=True))

    def _set(self, channel: Channel) -> None:
        channels = dict(self._facts.channels)
        channels[channel.id] = channel
        self._facts = replace(self._facts, channels=channels)

    def _guard_new(self, near: set[str]) -> None:
        """Where an agent is rung and nobody guards the caller yet, guard them."""
        for channel_id in sorted(near):
            channel = self._facts.channels.get(channel_id)
            if channel is None or not channel.marked or channel_id in self._members or channel_id in self._past:
                continue
            root = self._facts.channels.get(root_of(self._facts, channel_id))
            if root is None or not root.person or root.marked or root.leaving or root.consulting:
                continue
            if root.id in self._members:
                continue
            if self._consults(root):
                self._set(replace(root, consulting=True))
                continue
            self._guard(root)

    def _consults(self, root: Channel) -> bool:
        """This is an agent asking a colleague in the middle of a call, not a caller.

        Told by the linkedid (one channel does both) or by the endpoint (the phone opened a second channel). A trunk
        brings callers and agents under one endpoint, so there the endpoint says nothing; nor for one who queues.
        """
        for guarded in self._guarded.values():
            if guarded.anchor != root.id and root.linked in guarded.call.linked:
                return True
        if root.queue or any(
            self._facts.channels[g.anchor].endpoint == root.endpoint
            for g in self._guarded.values()
            if g.anchor in self._facts.channels
        ):
            return False
        for guarded in self._guarded.values():
            for leg in guarded.call.of_role(Role.AGENT):
                channel = self._facts.channels.get(leg.id)
                if channel is not None and channel.endpoint == root.endpoint and channel.was_bridged:
                    away = channel.held or leg.id not in guarded.talking
                    if away:
                        return True
        return False

    def _guard(self, root: Channel) -> None:
        call_id = CallId(root.linked or root.id)
        if call_id in self._guarded or call_id in self._past.values():
            call_id = CallId(root.id if CallId(root.id) not in self._guarded else f"{root.id}+")
        call = Call(id=call_id, started_ms=root.born_ms, partial=self._partial, linked=frozenset({root.linked}))
        self._guarded[call_id] = Guarded(call=call, anchor=root.id)
        self._members[root.id] = call_id

    def _here(self, channel_id: str) -> Channel | None:
        """This channel, None where it is gone or as good as gone."""
        channel = self._facts.channels.get(channel_id)
        if channel is None or channel.zombie or (channel.leaving and not channel.bridge and channel.was_bridged):
            return None
        return channel

    def _reshape(self, call_id: CallId) -> list[CallId]:
        """Read this call anew and tell the differences. Returns calls that lost a leg to it."""
        before = self._guarded[call_id]
        anchor = self._here(before.anchor)
        if anchor is None:
            self._end(before)
            return []
        others = frozenset(g.anchor for k, g in self._guarded.items() if k != call_id)
        reached = reach(self._facts, anchor.id, others)
        robbed = self._claim(call_id, reached)
        legs = self._legs(before, anchor, reached)
        call = replace(
            before.call,
            legs=legs,
            queue=anchor.queue or before.call.queue,
            bridge=anchor.bridge,
            linked=before.call.linked
            | {c.linked for leg in legs if (c := self._facts.channels.get(leg.id)) and c.linked},
        )
        after = replace(before, call=call, talking=frozenset(reached.talking))
        self._guarded[call_id] = self._tell(before, after)
        return robbed

    def _claim(self, call_id: CallId, reached: Reach) -> list[CallId]:
        robbed: list[CallId] = []
        for leg_id in sorted({*reached.talking, *reached.ringing}):
            owner = self._members.get(leg_id)
            if owner == call_id:
                continue
            if owner is not None and owner in self._guarded:
                held_there = (
                    leg_id
                    in reach(
                        self._facts,
                        self._guarded[owner].anchor,
                        frozenset(g.anchor for k, g in self._guarded.items() if k != owner),
                    ).talking
                )
                if held_there or leg_id in reached.ringing:
                    continue
                robbed.append(owner)
            self._members[leg_id] = call_id
        return robbed

    def _legs(self, before: Guarded, anchor: Channel, reached: Reach) -> tuple[Leg, ...]:
        call_id = before.call.id
        ids = [anchor.id, *(leg.id for leg in before.call.legs if leg.role is not Role.SUPERVISOR)]
        ids += sorted({*reached.talking, *reached.ringing})
        legs: list[Leg] = []
        for leg_id in dict.fromkeys(ids):
            channel = self._here(leg_id)
            if channel is None or self._members.get(leg_id) != call_id:
                continue
            old = before.call.leg(LegId(leg_id))
            member = reached.talking.get(leg_id) or reached.ringing.get(leg_id) or ""
            role = Role.CALLER if leg_id == anchor.id else Role.AGENT
            legs.append(_leg(channel, role, "" if role is Role.CALLER else _sits_at(channel, member, old)))
        for leg in list(legs):
            for spy_id in sorted(self._facts.spies.get(leg.id, frozenset())):
                spy = self._listener(spy_id)
                if spy is not None and spy.id not in {known.id for known in legs}:
                    self._members[spy.id] = call_id
                    legs.append(_leg(spy, Role.SUPERVISOR, spy.endpoint))
        return tuple(legs)

    def _listener(self, spy_id: str) -> Channel | None:
        """The person who listens: the spying channel itself, or the phone behind it where a Local channel spies."""
        spy = self._here(spy_id)
        if spy is None or spy.person:
            return spy
        other_half = partner(self._facts, spy)
        mates = together(self._facts, other_half) if other_half is not None else ()
        phones = [mate for name in sorted(mates) if (mate := self._here(name)) is not None and mate.person]
        return phones[0] if phones else None

    def _end(self, before: Guarded) -> None:
        call = before.call
        cause = self._cause(before.anchor)
        for leg in call.legs:
            self._members.pop(leg.id, None)
            self._past[leg.id] = call.id
            if before.began:
                self.news.append(LegDown(call_id=call.id, leg_id=leg.id, at_ms=self._at_ms, cause=self._cause(leg.id)))
        for leftover in [m for m, owner in self._members.items() if owner == call.id]:
            del self._members[leftover]
            self._past[leftover] = call.id
        self._past[before.anchor] = call.id
        del self._guarded[call.id]
        if before.began:
            ended = replace(call, legs=(), ended_ms=self._at_ms)
            self.news.append(CallEnded(call=ended, at_ms=self._at_ms, cause=cause))

    def _cause(self, channel_id: str) -> str:
        channel = self._facts.channels.get(channel_id)
        asked = channel.leaving if channel is not None else ""
        return self._draft.lost.get(channel_id) or self._facts.gone.get(channel_id) or asked or "unknown"

    def _tell(self, before: Guarded, after: Guarded) -> Guarded:
        """News of the difference. Before CallBegan nothing is told."""
        call = after.call
        now = {leg.id: leg for leg in call.legs}
        then = {leg.id: leg for leg in before.call.legs}
        for leg_id in then:
            if leg_id not in now:
                if self._members.get(leg_id) == call.id:
                    del self._members[leg_id]
                self._past.setdefault(leg_id, call.id)
                if before.began:
                    cause = "moved" if leg_id in self._draft.moved else self._cause(leg_id)
                    self.news.append(LegDown(call_id=call.id, leg_id=leg_id, at_ms=self._at_ms, cause=cause))
        for leg_id in now:
            self._past.pop(leg_id, None)
        up = after.up & frozenset(now)
        began = before.began or bool(call.of_role(Role.AGENT))
        if began and not before.began:
            self.news.append(CallBegan(call=call, at_ms=self._at_ms))
        if not began:
            return replace(after, up=up)
        for leg in call.legs:
            ready = leg.answered_ms is not None and (bool(leg.bridge) or leg.role is Role.SUPERVISOR)
            if leg.id not in up and ready:
                up |= {leg.id}
                self.news.append(LegUp(call_id=call.id, leg=leg, at_ms=self._at_ms))
            elif before.began and then.get(leg.id) != leg:
                self.news.append(LegChanged(call_id=call.id, leg=leg, at_ms=self._at_ms))
        return replace(after, began=True, up=up)

    def note_transfer(self, event: e.PbxEvent) -> None:
        """Remember who sent the caller away; whoever comes up next was sent to."""
        match event:
            case e.BlindTransfer(done=True, by=by):
                self._move("blind", self._behind(by.id))
            case e.AttendedTransfer(dest=dest, first=first, second=second) if dest != "fail":
                one, other = self._behind(first.id), self._behind(second.id)
                self._move("attended", one if self._call_of(one) else other)
            case e.DialEnded(forward=forward, to=to) if forward:
                self._move("forward", to.id)
            case e.PickedUp(target=target):
                self._move("pickup", target.id)
            case _:
                pass

    def _call_of(self, channel_id: str) -> CallId | None:
        return self._members.get(channel_id) or self._past.get(channel_id)

    def _behind(self, channel_id: str) -> str:
        """The leg for which this channel stands: with ``/n`` a Local half sends the caller away for its agent."""
        if self._call_of(channel_id):
            return channel_id
        at = place(self._calls, channel_id)
        return at[1] if at is not None else channel_id

    def _move(self, kind: str, from_leg: str) -> None:
        call_id = self._call_of(from_leg)
        guarded = self._guarded.get(call_id) if call_id is not None else None
        if guarded is not None and guarded.anchor != from_leg and (kind, from_leg) not in guarded.told:
            self._guarded[guarded.call.id] = replace(guarded, moved=(kind, from_leg))

    def tell_transfers(self) -> None:
        """Tell a transfer once its new leg is up and its old one has let go."""
        for call_id, guarded in list(self._guarded.items()):
            if guarded.moved is None or not guarded.began:
                continue
            kind, from_leg = guarded.moved
            agents = [leg for leg in guarded.call.of_role(Role.AGENT) if leg.id in guarded.up]
            talking = [leg for leg in agents if leg.id in guarded.talking]
            if kind == "pickup":
                to = talking[-1] if talking else None
            elif from_leg in guarded.talking:
                continue
            else:
                to = next((leg for leg in reversed(talking) if leg.id != from_leg), None)
            if to is None:
                continue
            self._guarded[call_id] = replace(guarded, moved=None, told=guarded.told | {guarded.moved})
            self.news.append(
                Transferred(
                    call_id=call_id,
                    kind=kind,
                    from_leg=LegId(from_leg) if to.id != from_leg else None,
                    to_leg=to.id,
                    at_ms=self._at_ms,
                )
            )


def _sits_at(channel: Channel, member: str, old: Leg | None) -> str:
    """The interface of an agent's leg: a pickup's phone, the queue's member, what was known, our mark, the name."""
    known = old.interface if old is not None and old.interface != channel.endpoint else ""
    if channel.picked:
        return channel.interface
    return member or known or channel.interface or channel.endpoint


def _leg(channel: Channel, role: Role, interface: str) -> Leg:
    return Leg(
        id=LegId(channel.id),
        channel=channel.name,
        role=role,
        number=channel.number,
        name=channel.caller_name,
        interface=interface,
        bridge=channel.bridge,
        answered_ms=channel.answered_ms,
        held=channel.held,
    )
