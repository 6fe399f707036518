"""One guarded call: what happens to it goes in by one door, in order; what is decided is stored first, then done.

No decisions here: ``judging`` makes them. This room knows only the order of things: note, judge, store, act, tell.
An action that takes time runs beside the door and comes back through it as an ``Outcome``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, assert_never

from pydantic import BaseModel

from callguard.bus.messages import (
    ActionDone,
    BoardRequest,
    BoardWarning,
    CaseChanged,
    DecisionMade,
    FindingMade,
    KeyTaken,
    TranscriptSaid,
)
from callguard.model.action import (
    Action,
    AnswerKey,
    Approval,
    AskApproval,
    BoardOrder,
    CallFacts,
    CallHuman,
    CallState,
    Decision,
    Effect,
    EndCall,
    NotifySupervisor,
    OfferBarge,
    Outcome,
    PlayWarning,
    RaiseFlag,
    Refusal,
    RestAgent,
    Tone,
    Transfer,
    WithdrawFlag,
)
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
from callguard.model.case import CaseOpened
from callguard.model.errors import CallguardError, Refused, StoreFault
from callguard.model.finding import Finding, Stage
from callguard.model.ids import CallId, CaseId, LegId, Role
from callguard.model.key import Flag, FlaggedBy, KeyPress, SeenBy
from callguard.model.policy import Policy
from callguard.model.sound import Frame, Level, Overlap
from callguard.model.words import Readings, Transcript
from callguard.ports import Done, Second, SecondOpinion, Switchboard
from callguard.session import records
from callguard.session.evidence import Desk, Evidence
from callguard.session.judging import Guard, Judge
from callguard.session.listening import Listening

log = logging.getLogger(__name__)

OWN, OWN_SPY = "cg-", "cg-spy-"
"""Ids of our own channels begin so; those of supervisors we sent to a call begin with the second."""

MODE_OF_DIGIT = {"4": "listen", "5": "whisper", "6": "barge"}
APPROVING = {"9": True, "7": False}
"""A supervisor who listens says yes or no to the request that has been open longest."""

PRESENCE_TONE = "tone-supervisor"

PLAY_S = 45.0
MOVE_S = 15.0
ORDER_S = 5.0
LOOK_UP_S = 3.0
LAST_WORDS_S = 6.0
"""So long the last words before hang-up are waited for."""

CLOSING_TRIES, CLOSING_GAP_S = 30, 2.0
"""How often a case whose call is over is tried to be closed, where the store cannot write."""

MEASURES = (PlayWarning, Transfer, EndCall)
"""What is done to a caller is always on record: each of these opens a case where none is open."""


class Ears(Protocol):
    """A second tap on the caller's channel that hears what is sent to the caller as well."""

    async def open_ear(self, leg: Leg, on_frames: Callable[[list[tuple[int, bytes]]], None]) -> str: ...
    async def close_ear(self, token: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What every guarded call uses.

    clock_ms: the daemon's steady clock; news and frames count on it. wall: aware UTC.
    tell: an event for the board. answer: a key script's answer, by press id. rest: an agent's pause, by interface.
    key_refusal: why a key on this leg may not be carried out now.
    listener: (mode that this phone began to listen in, who showed by PIN to be at it); "" for what we do not know.
    languages: what callers may speak.
    look_up: what is known of a call before anybody speaks. earlier: the case an earlier life opened for a call found
        in mid-flight. over: told when a call has ended and its evidence is closed.
    opinion: a second view of findings, for people alone; None for none.
    """

    desk: Desk
    switchboard: Switchboard
    ears: Ears | None
    listening: Listening
    tell: Callable[[BaseModel], None]
    answer: Callable[[str, dict[str, str]], Awaitable[None]]
    rest: Callable[[str, int, int, str], Awaitable[Done]]
    key_refusal: Callable[[LegId], Refusal | None]
    listener: Callable[[str], tuple[str, str]]
    clock_ms: Callable[[], int]
    wall: Callable[[], datetime]
    languages: tuple[str, ...]
    look_up: Callable[[Call, Policy], Awaitable[CallFacts]]
    earlier: Callable[[CallId], Awaitable[Earlier | None]]
    over: Callable[[GuardedCall], Awaitable[None]]
    opinion: SecondOpinion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What an earlier life of the daemon stored of a call that still goes on."""

    case: CaseId
    flags: tuple[Flag, ...] = ()
    rung: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A key as it came in.

    pressed_at: wall time of the press. also_seen_by: the other path that saw it too.
    refused: why it could not be carried out when it was pressed, where that was looked up then.
    settled: set once what is to be stored of it is stored.
    """

    press: KeyPress
    pressed_at: datetime
    also_seen_by: str = ""
    refused: Refusal | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)


Event = (
    CallNews
    | Transcript
    | Readings
    | Level
    | Overlap
    | Asked
    | BoardOrder
    | Approval
    | Outcome
    | CallFacts
    | tuple[str, str, bool]
)


@dataclass(slots=True)
class View:
    """What the board shows beside facts of the call: kept as it was last told."""

    level: int = 0
    why: str = ""
    last_words: str = ""
    last_role: str = ""
    care: bool = False
    warnings: list[BoardWarning] = field(default_factory=list)
    requests: dict[str, BoardRequest] = field(default_factory=dict)
    presence: dict[str, str] = field(default_factory=dict)
    dirty: bool = True


class GuardedCall:
    """See the module. Methods that are not coroutines return at once and may be called from callbacks."""

    def __init__(self, call: Call, *, guard: Guard, house: House) -> None:
        self.call = call
        self.guard = guard
        self.facts = CallFacts(call=call.id, queue=call.queue, language=_only(guard.policy.languages))
        self.judge = Judge(guard)
        self.view = View()
        self.caller_number = next((leg.number for leg in call.of_role(Role.CALLER)), "")
        self.ended = False
        self.closed = False
        self.origin = house.wall() - timedelta(milliseconds=house.clock_ms() - call.started_ms)
        self.evidence = Evidence(call.id, desk=house.desk, keeping=guard.policy.keeping)
        self._house = house
        self._inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._beside: set[asyncio.Task[None]] = set()
        self._door: asyncio.Task[None] | None = None
        self._refusal: Refusal | None = None
        self._agent_leg: LegId | None = None
        self._heard: set[LegId] = set()
        self._silent: set[LegId] = set()
        self._ear = ""
        self._announcing = False
        self._ordered: dict[str, asyncio.Future[Refusal | None]] = {}
        self._unopened: CaseOpened | None = None
        self._heard_words: dict[str, str] = {}
        self._told_presses: dict[str, tuple[Asked, datetime | None]] = {}

    # doors

    def start(self) -> None:
        """Begin to take what is put in."""
        self._door = asyncio.get_running_loop().create_task(self._run(), name=f"call-{self.call.id}")

    def put(self, event: Event) -> None:
        """Something happened. Kept in order."""
        if not self.closed:
            self._inbox.put_nowait(event)

    def frames(self, leg: LegId, stamped: list[tuple[int, bytes]]) -> None:
        """Sound of one leg, on the daemon's clock."""
        unheard = leg in self._silent
        for steady_ms, pcm in stamped:
            at_ms = steady_ms - self.call.started_ms
            if not unheard:
                self.evidence.put(leg, at_ms, pcm)
            if leg in self._heard:
                self._house.listening.put(leg, Frame(leg=leg, at_ms=at_ms, pcm=pcm))

    def refusal_of(self, leg: LegId) -> Refusal | None:
        """Why a key on this leg could not be carried out now."""
        return self._house.key_refusal(leg)

    def now_ms(self) -> int:
        """Now on the call's clock."""
        return self._house.clock_ms() - self.call.started_ms

    def wall(self) -> datetime:
        """Now, aware UTC."""
        return self._house.wall()

    def tick(self) -> None:
        """About once a second."""
        self._house.listening.elapsed(self.call.id, self.now_ms())
        self.put(("tick", "", False))

    async def write(self) -> None:
        """About twice a second: sound that is kept goes to disk."""
        await self.evidence.write(at_ms=self.now_ms())

    async def close(self) -> None:
        """The daemon stops: store what is here and leave the call alone. Its case stays open for the next start."""
        self.closed = True
        if self._door is not None:
            self._door.cancel()
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*([self._door] if self._door else []), *self._beside, return_exceptions=True)
        if not self.ended:
            if self.evidence.case is not None:
                self.evidence.note(records.gap_record("daemon", at_ms=self.now_ms(), reason="stopped"))
            with contextlib.suppress(CallguardError):
                await self.evidence.flush()
                await self.evidence.write(at_ms=None)
            self.evidence.drop()

    async def over(self) -> None:
        """Until the call has ended and its evidence is closed."""
        if self._door is not None:
            await asyncio.wait([self._door])

    # one event after the other

    async def _run(self) -> None:
        await self._begin()
        while not self.closed:
            event = await self._inbox.get()
            try:
                await self._take(event)
            except StoreFault as fault:
                log.error("the record could not be written; it is kept for the next try", extra={"code": fault.code})
                self._look(3, f"the record cannot be written: {fault.code}")
            except Exception:
                log.exception("one event of a call failed")

    async def _begin(self) -> None:
        """What is known before anybody speaks. Nothing here may keep the call from being guarded."""
        house, earlier = self._house, None
        what = "adopted" if self.call.partial else "began"
        self.evidence.note(records.call_record(what, self.call, at_ms=self.now_ms() if self.call.partial else 0))
        with contextlib.suppress(CallguardError, TimeoutError):
            async with asyncio.timeout(LOOK_UP_S):
                self.facts = await house.look_up(self.call, self.guard.policy)
                earlier = await house.earlier(self.call.id) if self.call.partial else None
        if earlier is not None:
            self._resume(earlier)
        findings, decisions = self.judge.learn(self.facts)
        with contextlib.suppress(StoreFault):
            await self._follow(findings, decisions)
            if earlier is not None and self.judge.ladder.flagged:
                await self.evidence.keep(flagged_ms=self.now_ms())

    def _resume(self, earlier: Earlier) -> None:
        self.evidence.resume(earlier.case, at_ms=self.now_ms())
        self.judge.ladder = replace(self.judge.ladder, flags=earlier.flags, rung=earlier.rung)
        self.evidence.note(records.gap_record("daemon", at_ms=self.now_ms(), reason="restarted", over=True))

    async def _take(self, event: Event) -> None:
        match event:
            case Transcript():
                await self._words(event)
            case Readings() | Level() | Overlap():
                await self._follow(*self.judge.hear([event]))
            case Asked():
                await self._press(event)
            case BoardOrder():
                await self._obey(event)
            case Approval():
                await self._follow([], self.judge.decide([event]))
                self._open_requests()
            case Outcome():
                await self._follow([], self.judge.decide([event]))
            case CallFacts():
                self.facts = event
                await self._follow(*self.judge.learn(event))
            case tuple():
                await self._other(event)
            case CallBegan() | LegUp() | LegDown() | LegChanged() | Transferred() | CallEnded() | PbxNote():
                await self._news(event)
            case _:
                assert_never(event)
        self.view.dirty = True

    # the call's shape

    async def _news(self, news: CallNews) -> None:
        match news:
            case CallBegan():
                self.call = replace(news.call, started_ms=self.call.started_ms)
            case LegUp(leg=leg):
                self._with_leg(leg)
                self._listen_to(leg)
                self.evidence.note(records.leg_record("up", leg, at_ms=self._on_call(news.at_ms)))
            case LegChanged(leg=leg):
                before = self.call.leg(leg.id)
                self._with_leg(leg)
                if before is None or before.role is not leg.role:
                    self._listen_to(leg)
                self.evidence.note(records.leg_record("changed", leg, at_ms=self._on_call(news.at_ms)))
            case LegDown(leg_id=leg_id):
                self._heard.discard(leg_id)
                self._house.listening.close_leg(leg_id)
                known = self.call.leg(leg_id)
                self.evidence.note(records.leg_down_record(news, known, at_ms=self._on_call(news.at_ms)))
                self.call = replace(self.call, legs=tuple(leg for leg in self.call.legs if leg.id != leg_id))
            case Transferred():
                self.evidence.note(records.transfer_record(news, at_ms=self._on_call(news.at_ms)))
            case PbxNote():
                self._pbx_note(news)
            case CallEnded():
                await self._end(news)
                return
            case _:
                assert_never(news)
        await self._shape()
        await self.evidence.flush()

    def _with_leg(self, leg: Leg) -> None:
        if leg.role is Role.CALLER and leg.number:
            self.caller_number = leg.number
        known = [leg if one.id == leg.id else one for one in self.call.legs]
        if all(one.id != leg.id for one in known):
            known.append(leg)
        self.call = replace(self.call, legs=tuple(known))

    def _listen_to(self, leg: Leg) -> None:
        if leg.role not in (Role.CALLER, Role.AGENT, Role.SUPERVISOR):
            return
        self.evidence.open_leg(leg.id, leg.role)
        self._tell_silent(leg.id)
        if leg.role is not Role.SUPERVISOR:
            self._heard.add(leg.id)
            self._house.listening.open_leg(self.call.id, leg.id, role=leg.role, language=self._spoken())

    def _spoken(self) -> str:
        """The language to listen for, "" where it has to be found out."""
        return self.facts.language or _only(
            tuple(one for one in self._house.languages if one in self.guard.policy.languages)
        )

    def _pbx_note(self, note: PbxNote) -> None:
        if note.kind == "user-event" and note.name.lower() == "callguardannouncement":
            self._announcing = note.value("Stage").lower() == "begin"
        elif note.kind in ("spy-start", "spy-stop"):
            self._spied(note)
        elif note.kind == "spy-digit" and note.name in APPROVING:
            self._approve_by_key(note, granted=APPROVING[note.name])
        elif note.kind == "spy-digit":
            self._change_mode(note)

    def _spied(self, note: PbxNote) -> None:
        """Somebody listens in: a supervisor we sent, or one who dialled; our own taps are nobody."""
        spyer, phone = note.value("SpyerUniqueid"), note.value("SpyerLinkedid")
        if spyer.startswith(OWN) and not spyer.startswith(OWN_SPY):
            return
        key = phone if phone in self.view.presence or self._house.listener(phone)[0] else spyer
        if note.kind == "spy-start":
            self._present(key, who=note.value("SpyerChannel").rpartition("-")[0], at_ms=self._on_call(note.at_ms))
        elif key in self.view.presence:
            mode, _, who = self.view.presence.pop(key).partition(":")
            self._silent.discard(LegId(key))
            self._tell_presence(at_ms=self._on_call(note.at_ms), who=who, mode=mode, what="ended")

    def _present(self, key: str, *, who: str, at_ms: int) -> None:
        if key not in self.view.presence:
            mode, by_pin = self._house.listener(key)
            mode = mode or "listen"
            leg = self.call.leg(LegId(key))
            who = by_pin or (leg.channel.rpartition("-")[0] if leg is not None else who)
            self.view.presence[key] = f"{mode}:{who}"
            self._tell_presence(at_ms=at_ms, who=who, mode=mode, what="began")
            if self.guard.policy.keys.tones:
                self._aside(self._tell_agent(PRESENCE_TONE))
        self._tell_silent(LegId(key))

    def _tell_presence(self, *, at_ms: int, who: str, mode: str, what: str, detail: str = "") -> None:
        """A line of the story where there is a case, and always one of the audit."""
        self.evidence.note(records.presence_record(at_ms=at_ms, who=who, mode=mode, what=what, detail=detail))
        self._aside(self._audit_presence(who=who, mode=mode, what=what))

    async def _audit_presence(self, *, who: str, mode: str, what: str) -> None:
        desk, data = self._house.desk, {"mode": mode, "at_ms": self.now_ms()}
        with contextlib.suppress(StoreFault):
            await desk.record.do(
                desk.store.audit, who=who, verb=f"presence-{what}", thing=f"call:{self.call.id}", data=data
            )

    def _approve_by_key(self, note: PbxNote, *, granted: bool) -> None:
        """A supervisor answers an open request on the phone with which they listen."""
        leg, requests = note.leg_id, self.judge.ladder.requests
        if leg is not None and leg in self.view.presence and requests:
            by = self.view.presence[leg].partition(":")[2]
            self.put(Approval(request=requests[0].id, granted=granted, by=by, at_ms=self._on_call(note.at_ms)))

    def _tell_silent(self, leg: LegId) -> None:
        """A supervisor's own voice is kept only while the caller can hear it."""
        known = self.call.leg(leg)
        mode = self.view.presence.get(leg, "").partition(":")[0]
        if known is not None and known.role is Role.SUPERVISOR and mode != "barge":
            self._silent.add(leg)
        else:
            self._silent.discard(leg)

    def _change_mode(self, note: PbxNote) -> None:
        """A supervisor pressed 4, 5 or 6 while listening."""
        leg = note.leg_id
        if leg is None or leg not in self.view.presence:
            return
        before, _, who = self.view.presence[leg].partition(":")
        mode = MODE_OF_DIGIT[note.name]
        if mode != before:
            self.view.presence[leg] = f"{mode}:{who}"
            at_ms = self._on_call(note.at_ms)
            self._tell_presence(at_ms=at_ms, who=who, mode=mode, what="changed", detail=before)
            self._tell_silent(leg)

    async def _shape(self) -> None:
        """Tell the ladder when what keys may do has changed."""
        agents = self.call.of_role(Role.AGENT)
        agent = agents[-1].id if agents else None
        refusal = Refusal.CALL_OVER if self.ended else self._house.key_refusal(agent) if agent else Refusal.NOT_IN_CALL
        if (agent, refusal) == (self._agent_leg, self._refusal):
            return
        self._agent_leg, self._refusal = agent, refusal
        await self._follow([], self.judge.decide([self._state(agent, refusal)]))

    def _state(self, agent: LegId | None, refusal: Refusal | None) -> CallState:
        return CallState(at_ms=self.now_ms(), agent_leg=agent, refusal=refusal)

    async def _end(self, ended: CallEnded) -> None:
        self.ended = True
        at_ms = self._on_call(ended.at_ms)
        for leg in list(self._heard):
            self._house.listening.close_leg(leg)
        self._heard.clear()
        for mode, _, who in (one.partition(":") for one in self.view.presence.values()):
            self._tell_presence(at_ms=at_ms, who=who, mode=mode, what="ended")
        self.view.presence.clear()
        self.evidence.note(records.ended_record(ended, at_ms=at_ms))
        try:
            with contextlib.suppress(StoreFault):  # what it could not store waits with the rest of the story
                await self._shape()
            await self._last_words()
            await asyncio.gather(*self._beside, return_exceptions=True)
            await self._empty_inbox()
            await self._finish_evidence(at_ms)
        finally:
            await self._dropped()
            self.closed = True
            self.view.dirty = True
            with contextlib.suppress(CallguardError):
                await self._house.over(self)

    async def _finish_evidence(self, at_ms: int) -> None:
        """Close the case, asking a store that cannot write again and again: nothing flagged is lost in a hurry."""
        ended_at = records.wall_of(self.origin, at_ms)
        for tries_left in reversed(range(CLOSING_TRIES)):
            try:
                await self._open_late()
                segments = await self.evidence.finish(ended_at=ended_at, ended_ms=at_ms, last=not tries_left)
            except StoreFault as fault:
                self._look(3, f"the record cannot be written: {fault.code}")
                await asyncio.sleep(CLOSING_GAP_S if tries_left else 0)
                continue
            if self.evidence.case is not None:
                start = min((one.start_ms for one in segments), default=None)
                end = max((one.end_ms for one in segments), default=None)
                self._tell_case("finished", start_ms=start, end_ms=end)
            return

    async def _last_words(self) -> None:
        """Words spoken right before the end are heard out, and judged."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                while self._house.listening.pending_of(self.call.id):  # noqa: ASYNC110 - no event tells of one call
                    await asyncio.sleep(0.05)

    async def _empty_inbox(self) -> None:
        while not self._inbox.empty():
            event = self._inbox.get_nowait()
            if isinstance(event, Transcript | Readings | Level | Overlap | Asked | Outcome | BoardOrder | Approval):
                with contextlib.suppress(StoreFault):
                    await self._take(event)

    async def _dropped(self) -> None:
        dropped_ms = self.evidence.drop()
        with contextlib.suppress(StoreFault):
            await self._house.desk.record.do(
                self._house.desk.store.audit,
                who="callguard",
                verb="sound-dropped",
                thing=f"call:{self.call.id}",
                data={"dropped_ms": dropped_ms, "case": self.evidence.case or ""},
            )

    # words

    async def _words(self, said: Transcript) -> None:
        await self._learn_language(said)
        findings, decisions = self.judge.hear([said])
        if said.committed or said.tentative:
            self._show_words(said)
            self._heard_words = dict([*self._heard_words.items(), (said.utterance, said.text)][-8:])
        if said.closed and said.committed:
            self.evidence.note(records.transcript_record(said))
        await self._follow(findings, decisions)
        await self.evidence.flush()

    async def _learn_language(self, said: Transcript) -> None:
        if said.language and not self.facts.language and said.role is Role.CALLER:
            self.facts = replace(self.facts, language=said.language, at_ms=self.now_ms())
            await self._follow(*self.judge.learn(self.facts))

    def _show_words(self, said: Transcript) -> None:
        words = f"{said.text} {said.tail}".strip() if said.tail else said.text
        self.view.last_words, self.view.last_role = words[-120:], said.role.value
        self._house.tell(
            TranscriptSaid(
                call=self.call.id,
                at_ms=self.now_ms(),
                leg=said.leg,
                role=said.role.value,
                utterance=said.utterance,
                start_ms=said.start_ms,
                end_ms=said.end_ms,
                text=said.text,
                tail=said.tail,
                closed=said.closed,
            )
        )

    # keys

    async def _press(self, asked: Asked) -> None:
        press = asked.press
        state = self._state(self._agent_leg, self._refusal)
        refusal = Refusal.CALL_OVER if self.ended else asked.refused or self.refusal_of(press.leg)
        self.evidence.note(records.key_record(press, also_seen_by=asked.also_seen_by))
        self._told_presses[press.id] = (asked, None)
        events: list[Any] = [press] if refusal == self._refusal else [replace(state, refusal=refusal), press]
        await self._follow([], self.judge.decide(events))
        if refusal != self._refusal:
            await self._follow([], self.judge.decide([replace(state, at_ms=self.now_ms())]))
        await self.evidence.flush()
        asked.settled.set()

    async def _answer(self, action: AnswerKey) -> None:
        """What the presser hears: by the script that waits, or by a whisper where no script saw the press."""
        press = action.press
        say = f"refusal-{action.refusal}" if action.refusal and action.press.key == "why" else ""
        answer = {"tone": action.tone.value, "say": say, "refusal": action.refusal.value if action.refusal else ""}
        if press.seen_by is SeenBy.FEATURE:
            await self._house.answer(press.id, answer)
        elif press.seen_by is SeenBy.DTMF and (say or action.tone is not Tone.NONE):
            sound = say or f"tone-{action.tone}"
            self._aside(self._tell_agent(sound))
        asked, stored_at = self._told_presses.pop(press.id, (None, None))
        self._house.tell(
            KeyTaken(
                call=self.call.id,
                at_ms=press.at_ms,
                press=press.id,
                key=press.key.value,
                seen_by=press.seen_by.value,
                pressed_at=asked.pressed_at if asked else records.wall_of(self.origin, press.at_ms),
                answered_at=self._house.wall(),
                stored_at=stored_at,
                tone=answer["tone"],
                refusal=answer["refusal"],
            )
        )

    async def _tell_agent(self, sound: str) -> None:
        with contextlib.suppress(CallguardError):
            await self._house.switchboard.tell_agent(self.call, sound=sound, language=self.guard.policy.languages[0])

    # findings and decisions: note, store, act, tell

    async def _follow(self, findings: list[Finding], decisions: list[Decision]) -> None:
        for finding in findings:
            self.evidence.note(records.finding_record(finding))
            self._tell_finding(finding)
            if self._house.opinion is not None and finding.stage is Stage.COMMITTED and not finding.category.is_care:
                self._aside(self._ask_again(finding, self._house.opinion))
        for decision in decisions:
            await self._carry_out(decision)

    async def _ask_again(self, finding: Finding, second: SecondOpinion) -> None:
        """A second opinion is noted, and may lower what the board shows. The ladder never hears of it."""
        words = self._heard_words.get(finding.utterance or "", "") or finding.words
        given = await second.ask(words, language=self._spoken(), suspected=finding.category.value)
        text = "a second opinion on a finding"
        note = records.note_record(
            text, at_ms=self.now_ms(), rule=finding.rule, verdict=given.verdict.value, why=given.why
        )
        self.evidence.note(note)
        if given.verdict is Second.COMPLAINT and 0 < self.view.level < 3 and not self.judge.ladder.flagged:
            self.view.level -= 1
            self.view.why = f"{self.view.why}; a second opinion doubts it: {given.why}"
            self.view.dirty = True

    async def _carry_out(self, decision: Decision) -> None:
        self.evidence.note(records.decision_record(decision, self.guard.policy))
        raised = [action for action in decision.actions if isinstance(action, RaiseFlag)]
        measures = [action for action in decision.actions if isinstance(action, MEASURES)]
        for flagging in raised:
            self.evidence.note(records.flag_record(flagging.flag))
        for measure in measures:
            self.evidence.note(records.action_record(measure, at_ms=decision.at_ms))
        await self._store(decision, raised, measures)
        self._tell_decision(decision)
        for action in decision.actions:
            await self._act(action)
        if raised or measures:
            await self._keep_sound(raised[0].flag.at_ms if raised else decision.at_ms)

    async def _store(
        self, decision: Decision, raised: list[RaiseFlag], measures: list[PlayWarning | Transfer | EndCall]
    ) -> None:
        """The record first. A key's answer is given even where the record fails: the agent must not wait."""
        try:
            if (raised or measures) and self.evidence.case is None:
                await self.evidence.open(self._opening(decision, raised))
                self._tell_case("opened")
            else:
                await self.evidence.flush()
        except StoreFault:
            if self.evidence.case is None and (raised or measures):
                self._unopened = self._unopened or self._opening(decision, raised)
            answers = [action for action in decision.actions if isinstance(action, AnswerKey)]
            for answer in answers:
                await self._answer(replace(answer, tone=Tone.REFUSED, refusal=None))
            raise
        if self.evidence.case is not None:
            now = self._house.wall()
            self._told_presses = {key: (asked, at or now) for key, (asked, at) in self._told_presses.items()}

    async def _open_late(self) -> None:
        """The store was away when the case was to be opened: nothing flagged is lost while memory holds it."""
        opening = self._unopened
        if opening is None:
            return
        if self.evidence.case is None:
            await self.evidence.open(replace(opening, opened_at=self._house.wall()))
            self._tell_case("opened")
        self._unopened = None
        await self._keep_sound(opening.flagged_ms)

    def _opening(self, decision: Decision, raised: list[RaiseFlag]) -> CaseOpened:
        flag = raised[0].flag if raised else None
        caller = next(iter(self.call.of_role(Role.CALLER)), None)
        agent = next(reversed(self.call.of_role(Role.AGENT)), None)
        return CaseOpened(
            call=self.call.id,
            opened_at=self._house.wall(),
            call_started_at=self.origin.astimezone(UTC),
            queue=self.call.queue,
            language=self.facts.language or self.guard.policy.languages[0],
            caller_number=caller.number if caller else "",
            caller_name=caller.name if caller else "",
            agent=(agent.interface or agent.channel.rpartition("-")[0]) if agent else "",
            policy_name=self.guard.policy.name,
            policy_hash=decision.policy_hash,
            flag_reason=flag.reason if flag else records.name_of(decision.actions[0]),
            flagged_by=(flag.by if flag else FlaggedBy.POLICY).value,
            flagged_ms=flag.at_ms if flag else decision.at_ms,
        )

    async def _keep_sound(self, flagged_ms: int) -> None:
        await self.evidence.keep(flagged_ms=flagged_ms)

    async def _act(self, action: Action) -> None:
        match action:
            case AnswerKey():
                await self._answer(action)
            case RaiseFlag():
                self._tell_done(action, "done")
            case WithdrawFlag():
                self._withdraw(action)
            case PlayWarning() | Transfer() | EndCall():
                self._aside(self._measure(action))
            case RestAgent():
                self._aside(self._rest(action))
            case AskApproval():
                self._request(action)
            case NotifySupervisor():
                self._look(action.level, action.reason)
            case CallHuman():
                self.view.care = True
                self._look(3, action.reason)
                self._tell_done(action, "done")
            case OfferBarge():
                self._look(3, action.reason)
                self._tell_done(action, "done")
            case _:
                assert_never(action)

    def _withdraw(self, action: WithdrawFlag) -> None:
        for flag in self.judge.ladder.flags:
            if flag.withdrawn_ms is not None:
                self.evidence.note(records.flag_record(flag, what="withdrawn", at_ms=flag.withdrawn_ms))
        if not self.judge.ladder.flagged:
            self.evidence.pause()
        self._tell_done(action, "done")
        self._tell_case("withdrawn")

    # measures

    async def _measure(self, action: PlayWarning | Transfer | EndCall) -> None:
        if self.now_ms() > action.not_after_ms:
            self._came_of(action, Done(effect=Effect.TOO_LATE))
            return
        self._tell_done(action, "begun")
        if isinstance(action, PlayWarning):
            self._show_warning(action, "playing")
        try:
            done = await self._do(action)
        except CallguardError as error:
            done = Done(effect=Effect.FAILED, detail=error.code)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("an action failed")
            done = Done(effect=Effect.FAILED, detail="our-fault")
        self._came_of(action, done)

    async def _do(self, action: PlayWarning | Transfer | EndCall) -> Done:
        board = self._house.switchboard
        match action:
            case PlayWarning(announcement=name, language=language):
                async with self._ear_open():
                    return await board.play(self.call, announcement=name, language=language, timeout_s=PLAY_S)
            case Transfer(extension=extension):
                return await board.transfer(self.call, extension=extension, timeout_s=MOVE_S)
            case EndCall(announcement=name, language=language):
                async with self._ear_open():
                    return await board.end(self.call, announcement=name, language=language, timeout_s=PLAY_S)
            case _:
                assert_never(action)

    @contextlib.asynccontextmanager
    async def _ear_open(self) -> Any:
        """While an announcement is played, what the caller's line carries is kept too. No ear, no harm."""
        ears, caller = self._house.ears, next(iter(self.call.of_role(Role.CALLER)), None)
        if ears is None or caller is None:
            yield
            return
        opening = asyncio.get_running_loop().create_task(ears.open_ear(caller, self._overheard))
        try:
            yield
        finally:
            token = ""
            with contextlib.suppress(CallguardError, TimeoutError):
                token = await asyncio.wait_for(opening, 5)
            if token:
                with contextlib.suppress(CallguardError):
                    await ears.close_ear(token)
            self._announcing = False

    def _overheard(self, stamped: list[tuple[int, bytes]]) -> None:
        if self._announcing:
            for steady_ms, pcm in stamped:
                self.evidence.announce(steady_ms - self.call.started_ms, pcm)

    def _came_of(self, action: PlayWarning | Transfer | EndCall | RestAgent, done: Done) -> None:
        """Note what came of it and tell the ladder."""
        outcome = Outcome(
            key=action.key,
            effect=done.effect,
            at_ms=self._wall_ms(done.ended_at) if done.ended_at else self.now_ms(),
            started_ms=self._wall_ms(done.started_at) if done.started_at else None,
            detail=done.detail,
        )
        self.evidence.note(records.outcome_record(action, outcome))
        if isinstance(action, PlayWarning | EndCall) and done.effect is not Effect.TOO_LATE:
            ended_ms = self._wall_ms(done.ended_at) if done.ended_at else None
            self.evidence.note(records.announcement_record(action, outcome, self.guard.policy, ended_ms=ended_ms))
        if isinstance(action, PlayWarning):
            self._show_warning(action, done.effect.value)
        self._tell_done(action, done.effect.value, done)
        self.put(outcome)

    async def _rest(self, action: RestAgent) -> None:
        agents = [leg for leg in self.call.legs if leg.role is Role.AGENT and action.key.endswith(leg.id)]
        interface = next((leg.interface for leg in agents), "") or next(
            (leg.interface for leg in self.call.of_role(Role.AGENT)), ""
        )
        if not interface:
            self._came_of(action, Done(effect=Effect.FAILED, detail="no-such-member"))
            return
        self._came_of(action, await self._house.rest(interface, action.min_s, action.max_s, self.call.id))

    # supervisors

    async def _obey(self, order: BoardOrder) -> None:
        decisions = self.judge.decide([order])
        await self._follow([], decisions)
        self._open_requests()
        answered = self._ordered.get(order.id)
        if answered is not None and not answered.done():
            answered.set_result(next((one.refusal for one in decisions if one.refusal), None))

    async def supervise(self, *, who: str, mode: str, by: str) -> Done:
        """A supervisor's phone rings and then listens, whispers or barges. Raises Refused."""
        at_ms = self.now_ms()
        self.evidence.note(records.presence_record(at_ms=at_ms, who=by, mode=mode, what="asked"))
        try:
            done = await self._house.switchboard.spy(self.call, supervisor=who, mode=mode)
        except CallguardError as error:
            self.evidence.note(
                records.presence_record(at_ms=self.now_ms(), who=by, mode=mode, what="refused", detail=error.code)
            )
            raise
        if done.effect is Effect.DONE:
            self._sent(LegId(done.detail), mode=mode, by=by)
        else:
            self._tell_presence(at_ms=self.now_ms(), who=by, mode=mode, what="failed", detail=done.detail)
        return done

    def _sent(self, phone: LegId, *, mode: str, by: str) -> None:
        """A supervisor whom we rang is on the call now, by name."""
        if phone not in self.view.presence and self.guard.policy.keys.tones:
            self._aside(self._tell_agent(PRESENCE_TONE))
        self._tell_presence(at_ms=self.now_ms(), who=by, mode=mode, what="began", detail=phone)
        self.view.presence[phone] = f"{mode}:{by}"
        self._tell_silent(phone)
        self.view.dirty = True

    async def take_over(self, *, supervisor: str, by: str) -> Done:
        """The caller goes to the supervisor's own extension, where the policy's allow list has it. Raises Refused.

        The list names it by the phone (``sup1 = "900"``), or the phone is called like its extension.
        """
        phone, where = supervisor.rpartition("/")[2], self.guard.policy.destinations
        extension = where.extension(phone) or phone
        if extension not in {number for _, number in where.allowed}:
            raise Refused("the supervisor's extension is not on the policy's list", code=Refusal.NO_DESTINATION.value)
        at_ms = self.now_ms()
        self.evidence.note(records.presence_record(at_ms=at_ms, who=by, mode="take-over", what="asked"))
        await self.evidence.flush()
        done = await self._house.switchboard.transfer(self.call, extension=extension, timeout_s=MOVE_S)
        what = "began" if done.effect is Effect.DONE else "failed"
        self.evidence.note(
            records.presence_record(at_ms=self.now_ms(), who=by, mode="take-over", what=what, detail=done.detail)
        )
        return done

    async def order(self, order: BoardOrder) -> Refusal | None:
        """A supervisor's wish on the ladder: why it was refused, None where it is carried out."""
        answered: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()
        self._ordered[order.id] = answered
        self.put(order)
        try:
            async with asyncio.timeout(ORDER_S):
                return await answered
        except TimeoutError:
            return Refusal.TOO_OLD
        finally:
            self._ordered.pop(order.id, None)

    # other things that happen

    async def _other(self, event: tuple[str, str, bool]) -> None:
        what, detail, over = event
        if what == "tick":
            await self._follow(*self.judge.pass_time(self.now_ms()))
            self._open_requests()
            await self._shape()
            await self._open_late()
            await self.evidence.flush()
        elif what == "hearing":
            self.evidence.note(records.health_record(at_ms=self.now_ms(), hearing=detail))
        else:
            self.evidence.note(records.gap_record(what, at_ms=self.now_ms(), reason=detail, over=over))
            await self.evidence.flush()

    # telling the board

    def _look(self, level: int, why: str) -> None:
        if level >= self.view.level:
            self.view.level, self.view.why = level, why
        self.view.dirty = True

    def _request(self, action: AskApproval) -> None:
        self.view.requests[action.request] = BoardRequest(
            request=action.request,
            of=action.of,
            rung=action.rung,
            approver=action.approver,
            escalate=action.escalate,
            until_ms=action.not_after_ms,
        )

    def _open_requests(self) -> None:
        still = {request.id for request in self.judge.ladder.requests}
        self.view.requests = {key: one for key, one in self.view.requests.items() if key in still}

    def _show_warning(self, action: PlayWarning, effect: str) -> None:
        warning = BoardWarning(announcement=action.announcement, rung=action.rung, at_ms=self.now_ms(), effect=effect)
        if self.view.warnings and self.view.warnings[-1].effect == "playing":
            self.view.warnings.pop()
        self.view.warnings.append(warning)
        self.view.dirty = True

    def _tell_finding(self, finding: Finding) -> None:
        self._house.tell(
            FindingMade(
                call=self.call.id,
                at_ms=self.now_ms(),
                rule=finding.rule,
                category=finding.category.value,
                severity=finding.severity,
                stage=finding.stage.value,
                role=finding.role.value,
                words=finding.words,
                start_ms=finding.start_ms,
                end_ms=finding.end_ms,
                score=finding.score,
                why=finding.why,
            )
        )

    def _tell_decision(self, decision: Decision) -> None:
        self._house.tell(
            DecisionMade(
                call=self.call.id,
                at_ms=decision.at_ms,
                because=decision.because,
                actions=tuple(records.name_of(action) for action in decision.actions),
                rung=decision.rung,
                level=decision.level,
                refusal=decision.refusal.value if decision.refusal else "",
                policy_hash=decision.policy_hash,
            )
        )

    def _tell_done(self, action: Action, effect: str, done: Done | None = None) -> None:
        self._house.tell(
            ActionDone(
                call=self.call.id,
                at_ms=self.now_ms(),
                key=action.key,
                name=records.name_of(action),
                effect=effect,
                detail=done.detail if done else "",
                started_at=done.started_at if done else None,
                ended_at=done.ended_at if done else None,
            )
        )

    def _tell_case(self, status: str, *, start_ms: int | None = None, end_ms: int | None = None) -> None:
        self._house.tell(
            CaseChanged(
                call=self.call.id,
                at_ms=self.now_ms(),
                case=self.evidence.case or "",
                status=status,
                segment_start_ms=start_ms,
                segment_end_ms=end_ms,
            )
        )

    # small things

    def _on_call(self, steady_ms: int) -> int:
        return steady_ms - self.call.started_ms

    def _wall_ms(self, wall: datetime) -> int:
        return int((wall - self.origin).total_seconds() * 1000)

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)


def _only(languages: tuple[str, ...]) -> str:
    """The language where there is but one."""
    return languages[0] if len(languages) == 1 else ""
