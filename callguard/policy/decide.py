"""From findings, keys, orders, answers and time to decisions. The ladder lives here, and only here.

Rule of this file: ``decide`` is a pure fold. Events one by one or in batches give the same decisions, and the same
events with the same policy give them again. A machine's measure passes ``_by_itself``; a person's wish passes
``_may_warn``, ``_may_hand_over`` or ``_may_end``. Nothing else makes a PlayWarning, a Transfer or an EndCall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

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
    PolicyEvent,
    RaiseFlag,
    Refusal,
    RestAgent,
    Tone,
    Transfer,
    WithdrawFlag,
)
from callguard.model.finding import Category, Finding, Stage
from callguard.model.ids import Role
from callguard.model.key import Elapsed, Flag, FlaggedBy, Key, KeyPress
from callguard.model.policy import Consent, Evidence, Measure, Mode, Policy, TimeLimit
from callguard.policy.state import Heard, LadderState, Playing, Pressed, Request

TOO_OLD_MS = 10_000
"""A press older than this is recorded and not carried out: the call has moved on."""

TWIN_MS = 1_000
"""The same key on the same leg by another path within this time is the same press."""

BURST_MS = 2_000
"""The same key again within this time is a finger that slipped."""

START_MS = 8_000
"""A warning that could not begin by then comes too late to be understood."""

PLAYING_MS = 60_000
"""A warning of which nothing was heard back by then counts as not confirmed."""

KEPT_PRESSES = 64

_NOTICE = {Tone.ACCEPTED, Tone.REFUSED, Tone.RECORDED_ONLY}


def start(policy: Policy) -> LadderState:
    """The state of a call of which nothing is known yet."""
    del policy
    return LadderState()


def decide(state: LadderState, events: Sequence[PolicyEvent], policy: Policy) -> tuple[LadderState, list[Decision]]:
    """Fold the events into the state; at most one decision an event, in order."""
    decisions: list[Decision] = []
    for event in events:
        step = _Step(state=state, policy=policy, at_ms=max(state.now_ms, _at(event)))
        _take(step, event)
        state = replace(step.state, now_ms=step.at_ms)
        if step.because:
            decisions.append(step.decision())
    return state, decisions


def _at(event: PolicyEvent) -> int:
    return event.end_ms if isinstance(event, Finding) else event.at_ms


@dataclass(slots=True, kw_only=True)
class _Step:
    """One event being decided: collects actions and reasons, lives no longer than the event."""

    state: LadderState
    policy: Policy
    at_ms: int
    actions: list[Action] | None = None
    because: list[str] | None = None
    level: int = 0
    refusal: Refusal | None = None

    def say(self, reason: str) -> None:
        self.because = [*(self.because or ()), reason]

    def do(self, action: Action, reason: str) -> None:
        self.actions = [*(self.actions or ()), action]
        self.say(reason)

    def change(self, **fields: object) -> None:
        self.state = replace(self.state, **fields)  # type: ignore[arg-type]

    def once(self, mark: str) -> bool:
        """True the first time a call asks for this mark."""
        if mark in self.state.done:
            return False
        self.change(done=self.state.done | {mark})
        return True

    def number(self) -> int:
        """The next number for keys of actions that may come several times a call."""
        self.change(serial=self.state.serial + 1)
        return self.state.serial

    def notify(self, key: str, level: int, reason: str) -> None:
        self.level = max(self.level, level)
        self.do(NotifySupervisor(key=key, not_after_ms=self.at_ms + 60_000, level=level, reason=reason), reason)

    def decision(self) -> Decision:
        return Decision(
            at_ms=self.at_ms,
            actions=tuple(self.actions or ()),
            because=tuple(self.because or ()),
            policy_hash=self.policy.hash,
            rung=self.state.rung,
            level=self.level,
            refusal=self.refusal,
        )


def _take(step: _Step, event: PolicyEvent) -> None:
    match event:
        case CallFacts():
            _learn(step, event)
        case CallState():
            _shape(step, event)
        case Finding():
            _weigh(step, event)
        case KeyPress():
            _press(step, event)
        case BoardOrder():
            _order(step, event)
        case Elapsed():
            _tick(step)
        case Approval():
            _answer(step, event)
        case Outcome():
            _learn_outcome(step, event)
        case _:
            assert_never(event)


# What is known of the call


def _learn(step: _Step, facts: CallFacts) -> None:
    first = step.state.facts is None
    step.change(facts=facts, agent_leg=facts.agent_leg or step.state.agent_leg)
    repeat = step.policy.repeat
    if first and facts.number_known and repeat.carry_rung and facts.earlier_rung:
        rung = min(facts.earlier_rung, repeat.carry_rung, len(step.policy.ladder))
        step.change(rung=rung)
        step.say(f"an earlier call of this number reached rung {facts.earlier_rung}; this one begins at {rung}")
    if facts.relay and step.once("relay"):
        _call_human(step, Category.ACCOMMODATION, "a relay service is on the line: no measures, a human is called")
    if facts.number_known and repeat.count and facts.earlier_calls >= repeat.count and step.once("repeat"):
        window = f"{repeat.window_days} days"
        step.notify("notify:repeat", 1, f"{facts.earlier_calls} earlier calls of this number within {window}")


def _shape(step: _Step, shape: CallState) -> None:
    step.change(agent_leg=shape.agent_leg or step.state.agent_leg, refusal=shape.refusal)
    if shape.refusal is Refusal.CALL_OVER and step.policy.rest.after_flag and step.state.flagged:
        _rest(step, "the call was flagged")


# Findings


def _weigh(step: _Step, finding: Finding) -> None:
    if finding.category.is_care:
        _care(step, finding)
        return
    if finding.role is not Role.CALLER:
        return
    told = f"rule {finding.rule} ({finding.category}, severity {finding.severity})"
    place = finding.utterance or f"{finding.start_ms}"
    if finding.stage is Stage.TENTATIVE:
        if step.once(f"hint:{finding.rule}:{place}"):
            step.notify(f"hint:{finding.rule}:{place}", 1, f"{told} may have matched; the words may still change")
        return
    if not step.once(f"heard:{finding.rule}:{place}"):
        return
    heard = Heard(
        rule=finding.rule,
        category=finding.category,
        severity=finding.severity,
        score=finding.score,
        at_ms=finding.end_ms,
        place=place,
    )
    step.change(heard=(*step.state.heard, heard), worst=max(step.state.worst, finding.severity))
    enough = [rule for rule in step.policy.evidence if _enough(step.state.heard, rule, heard)]
    level = max((rule.level for rule in enough), default=1)
    step.notify(f"found:{finding.rule}:{place}", level, f"{told} matched, score {finding.score:.2f}")
    for rule in sorted(enough, key=lambda rule: tuple(Measure).index(rule.measure)):
        _enough_of(step, rule)
    if enough:
        _after_the_last(step)


def _enough(heard: Sequence[Heard], rule: Evidence, newest: Heard) -> bool:
    """Whether the newest finding completes this rule: ``count`` utterances, not findings, within the time."""
    if not _counts(newest, rule):
        return False
    since = newest.at_ms - rule.within_s * 1000
    return len({one.place for one in heard if one.at_ms >= since and _counts(one, rule)}) >= rule.count


def _counts(heard: Heard, rule: Evidence) -> bool:
    known = not rule.kinds or heard.category in rule.kinds
    return known and heard.severity >= rule.severity and heard.score >= rule.score


def _enough_of(step: _Step, rule: Evidence) -> None:
    if rule.measure is Measure.NOTICE:
        return
    reason = f"enough evidence for '{rule.name}': {rule.count} in {rule.within_s} s"
    if step.state.excepted:
        _instead(step, reason)
        return
    _flag_by_policy(step, rule, reason)
    if rule.measure is Measure.WARN:
        _warn_by_policy(step, rule, reason)


def _instead(step: _Step, reason: str) -> None:
    why = step.state.excepted
    step.say(f"{reason}, but {why}: no measure by machine")
    if step.once("human:instead"):
        category = step.state.care or Category.ACCOMMODATION
        _call_human(step, category, f"a human is called, since {why}")


def _flag_by_policy(step: _Step, rule: Evidence, reason: str) -> None:
    if step.state.flagged:
        return
    if step.policy.mode is Mode.ACT or step.policy.auto_flag:
        _raise(step, FlaggedBy.POLICY, rule.name, reason=reason)
    elif step.policy.mode is Mode.ASSIST:
        _ask(step, "flag", step.policy.advisers, reason=f"{reason}; a flag is suggested")


def _warn_by_policy(step: _Step, rule: Evidence, reason: str) -> None:
    """A machine's wish to warn: by itself in ACT, as a question in ASSIST, not at all in OBSERVE."""
    if step.policy.mode is Mode.OBSERVE or _may_warn(step) is not None:
        return
    fresh = [one for one in step.state.heard if one.at_ms > step.state.evidence_from_ms and _counts(one, rule)]
    if len({one.place for one in fresh}) < rule.count:
        return
    rung = step.policy.ladder[step.state.rung]
    if step.policy.mode is Mode.ACT and rung.automatic and rung.consent is None:
        _warn(step, reason)
    else:
        _ask(step, "warn", rung.consent or step.policy.advisers, reason=f"{reason}; rung {rung.number} is suggested")


def _after_the_last(step: _Step) -> None:
    """Abuse after the last rung: in ACT, where the policy says so, the call ends."""
    ending, policy, state = step.policy.ending, step.policy, step.state
    if policy.mode is not Mode.ACT or not ending.automatic or state.excepted or not policy.ladder:
        return
    fresh = [one for one in state.heard if one.at_ms > state.evidence_from_ms]
    if state.rung < len(policy.ladder) or not fresh or _may_end(step) is not None:
        return
    if ending.consent is None:
        _end(step, "the ladder is done and it goes on")
    else:
        _ask(step, "end", ending.consent, reason="the ladder is done and it goes on; ending is suggested")


def _care(step: _Step, finding: Finding) -> None:
    if finding.stage is Stage.TENTATIVE:
        if step.once(f"care-hint:{finding.category}"):
            reason = f"rule {finding.rule} ({finding.category}) may have matched; the words may still change"
            step.notify(f"care-hint:{finding.category}", 3, reason)
        return
    reason = f"rule {finding.rule} ({finding.category}) matched: no measures by machine, a human is called"
    step.change(care=step.state.care or finding.category, requests=())
    if step.once(f"care:{finding.category}"):
        _call_human(step, finding.category, reason)


def _call_human(step: _Step, category: Category, reason: str) -> None:
    step.level = 3
    action = CallHuman(
        key=f"human:{category}:{step.number()}", not_after_ms=step.at_ms + 600_000, category=category, reason=reason
    )
    step.do(action, reason)


# Keys


def _press(step: _Step, press: KeyPress) -> None:
    if _twin(step, press):
        return
    seen = Pressed(id=press.id, key=press.key, leg=press.leg, at_ms=press.at_ms, seen_by=press.seen_by)
    burst = any(
        one.key is press.key and one.leg == press.leg and 0 <= press.at_ms - one.at_ms <= BURST_MS
        for one in step.state.presses
    )
    step.change(presses=(*step.state.presses, seen)[-KEPT_PRESSES:])
    if press.key is Key.WHY:
        last = step.state.last_refusal
        _tell(step, press, Tone.NONE, last, f"the agent asked why: {last or 'nothing was refused'}")
        return
    refusal = _out_of_place(step.state, press)
    if refusal is not None:
        _refuse(step, press, refusal)
        return
    _carry_out(step, press, burst=burst)


def _twin(step: _Step, press: KeyPress) -> bool:
    """The same press again: by its id, or seen by another path within a second."""
    for one in step.state.presses:
        same = one.key is press.key and one.leg == press.leg and one.seen_by is not press.seen_by
        if one.id == press.id or (same and abs(one.at_ms - press.at_ms) <= TWIN_MS):
            reason = f"key {press.key} was seen by {one.seen_by} and by {press.seen_by}: one press"
            answer = AnswerKey(
                key=f"answer:{press.id}",
                not_after_ms=step.at_ms + 2_000,
                press=press,
                tone=Tone.NONE,
                refusal=Refusal.REPEATED,
            )
            step.do(answer, reason)
            step.refusal = Refusal.REPEATED
            return True
    return False


def _out_of_place(state: LadderState, press: KeyPress) -> Refusal | None:
    if press.age_ms > TOO_OLD_MS:
        return Refusal.TOO_OLD
    if state.refusal is not None:
        return state.refusal
    if state.agent_leg is not None and press.leg != state.agent_leg:
        return Refusal.NOT_THE_AGENT
    return None


def _carry_out(step: _Step, press: KeyPress, *, burst: bool) -> None:
    match press.key:
        case Key.FLAG:
            _flag_key(step, press, burst=burst)
        case Key.UNFLAG:
            _unflag_key(step, press)
        case Key.HELP:
            _help_key(step, press, burst=burst)
        case Key.WARN:
            _wish(step, press, _may_warn(step), "warn", _warn_consent(step))
        case Key.HANDOVER:
            consent = None if step.state.excepted else step.policy.handover_consent
            _wish(step, press, _may_hand_over(step), "handover", consent)
        case Key.END:
            _wish(step, press, _may_end(step), "end", step.policy.ending.consent)
        case Key.WHY:
            pass
        case _:
            assert_never(press.key)


def _flag_key(step: _Step, press: KeyPress, *, burst: bool) -> None:
    if any(flag.by is FlaggedBy.AGENT and flag.withdrawn_ms is None for flag in step.state.flags):
        tone = Tone.NONE if burst else Tone.ACCEPTED
        _tell(step, press, tone, None, "the agent pressed the flag key; the flag stands already")
        return
    _raise(step, FlaggedBy.AGENT, Key.FLAG.value, reason="the agent pressed the flag key", press=press)
    _tell(step, press, Tone.ACCEPTED, None, "the flag is set")


def _unflag_key(step: _Step, press: KeyPress) -> None:
    first = step.state.flag_press
    standing = next((f for f in step.state.flags if f.by is FlaggedBy.AGENT and f.withdrawn_ms is None), None)
    late = standing is not None and press.at_ms - standing.at_ms > step.policy.keys.unflag_within_s * 1000
    if first is None or standing is None or late or (first.leg, first.by) != (press.leg, press.by):
        _refuse(step, press, Refusal.NOTHING_TO_WITHDRAW)
        return
    taken_back = replace(standing, withdrawn_ms=press.at_ms)
    step.change(flags=tuple(taken_back if flag is standing else flag for flag in step.state.flags), flag_press=None)
    action = WithdrawFlag(key=f"unflag:{press.id}", not_after_ms=step.at_ms + 86_400_000, press=press)
    step.do(action, "the agent took the flag back; the evidence stays, marked withdrawn")
    _tell(step, press, Tone.ACCEPTED, None, "the flag is taken back")


def _help_key(step: _Step, press: KeyPress, *, burst: bool) -> None:
    if burst:
        _tell(step, press, Tone.NONE, None, "help is on its way already")
        return
    reason = "the agent asks for help"
    step.notify(f"help:{press.id}", 3, reason)
    step.do(OfferBarge(key=f"barge:{press.id}", not_after_ms=step.at_ms + 60_000, reason=reason), reason)
    _tell(step, press, Tone.ACCEPTED, None, "a supervisor is told")


def _wish(step: _Step, press: KeyPress, refusal: Refusal | None, what: str, consent: Consent | None) -> None:
    """Carry out warn, handover or end for the agent, ask for approval, or refuse."""
    if refusal is None and not step.policy.keys.act and step.policy.mode is Mode.OBSERVE:
        refusal = Refusal.POLICY_FORBIDS
    if refusal is None and consent is not None:
        _ask(step, what, consent, reason=f"the agent asks for {what}")
        refusal = Refusal.NEEDS_APPROVAL
    if refusal is not None:
        _refuse(step, press, refusal)
        return
    _tell(step, press, Tone.ACCEPTED, None, f"the agent pressed the {press.key} key")
    _perform(step, what, f"the agent pressed the {press.key} key")


def _tell(step: _Step, press: KeyPress, tone: Tone, refusal: Refusal | None, reason: str) -> None:
    heard = tone if step.policy.keys.tones or tone not in _NOTICE else Tone.NONE
    answer = AnswerKey(
        key=f"answer:{press.id}", not_after_ms=step.at_ms + 2_000, press=press, tone=heard, refusal=refusal
    )
    step.do(answer, reason)


def _refuse(step: _Step, press: KeyPress, refusal: Refusal) -> None:
    step.change(last_refusal=refusal)
    step.refusal = refusal
    tone = Tone.RECORDED_ONLY if refusal is Refusal.TOO_OLD else Tone.REFUSED
    _tell(step, press, tone, refusal, f"key {press.key} (by {press.seen_by}) was refused: {refusal}")
    if refusal is Refusal.TOO_OLD:
        seconds = press.age_ms // 1000
        step.notify(f"late:{press.id}", 2, f"key {press.key} was pressed {seconds} s before it reached us")


# A supervisor's hand


def _order(step: _Step, order: BoardOrder) -> None:
    if not step.once(f"order:{order.id}"):
        return
    reason = f"{order.by} ordered {order.what}"
    refusal = step.state.refusal
    match order.what:
        case Key.FLAG:
            _flag_order(step, reason)
            return
        case Key.WARN:
            refusal = refusal or _may_warn(step)
        case Key.HANDOVER:
            refusal = refusal or _may_hand_over(step)
        case Key.END:
            refusal = refusal or _may_end(step)
        case Key.UNFLAG | Key.HELP | Key.WHY:
            refusal = Refusal.POLICY_FORBIDS
        case _:
            assert_never(order.what)
    if refusal is not None:
        step.refusal = refusal
        step.say(f"{reason}; refused: {refusal}")
        return
    _drop_requests(step, order.what.value)
    _perform(step, order.what.value, reason)


def _flag_order(step: _Step, reason: str) -> None:
    if any(flag.by is FlaggedBy.SUPERVISOR and flag.withdrawn_ms is None for flag in step.state.flags):
        step.say(f"{reason}; the flag stands already")
    else:
        _raise(step, FlaggedBy.SUPERVISOR, "board", reason=reason)


# Approvals


def _ask(step: _Step, what: str, consent: Consent, *, reason: str) -> None:
    """Ask the first approver, unless this is being asked already."""
    if any(request.of == what for request in step.state.requests):
        return
    request = Request(
        id=f"{what}-{step.number()}",
        of=what,
        rung=step.state.rung + 1 if what == "warn" else 0,
        approvers=consent.approvers or ("supervisor",),
        wait_ms=consent.wait_s * 1000,
        asked=0,
        until_ms=step.at_ms + consent.wait_s * 1000,
    )
    step.change(requests=(*step.state.requests, request))
    _put(step, request, reason)


def _put(step: _Step, request: Request, reason: str) -> None:
    step.level = max(step.level, 2)
    action = AskApproval(
        key=f"ask:{request.id}:{request.asked}",
        not_after_ms=request.until_ms,
        request=request.id,
        of=request.of,
        wait_ms=request.wait_ms,
        approver=request.approvers[request.asked],
        rung=request.rung,
        escalate=request.asked,
    )
    step.do(action, f"{reason}; {action.approver} must approve")


def _answer(step: _Step, approval: Approval) -> None:
    request = next((one for one in step.state.requests if one.id == approval.request), None)
    if request is None:
        step.say(f"{approval.by} answered {approval.request}, which is not open any more")
        return
    step.change(requests=tuple(one for one in step.state.requests if one is not request))
    if not approval.granted:
        step.change(last_refusal=Refusal.POLICY_FORBIDS)
        step.say(f"{approval.by} declined: {request.of}")
        return
    reason = f"{approval.by} approved: {request.of}"
    if request.of == "flag":
        _flag_order(step, reason)
        return
    refusal = step.state.refusal or _still_may(step, request)
    if refusal is not None:
        step.refusal = refusal
        step.change(last_refusal=refusal)
        step.say(f"{reason}, but now it is refused: {refusal}")
    else:
        _perform(step, request.of, reason)


def _still_may(step: _Step, request: Request) -> Refusal | None:
    match request.of:
        case "warn":
            return Refusal.REPEATED if request.rung <= step.state.rung else _may_warn(step)
        case "handover":
            return _may_hand_over(step)
        case _:
            return _may_end(step)


def _drop_requests(step: _Step, what: str) -> None:
    step.change(requests=tuple(one for one in step.state.requests if one.of != what))


# Time


def _tick(step: _Step) -> None:
    for limit in step.policy.limits:
        _limit(step, limit)
    _give_up_waiting(step)
    _give_up_leaving(step)
    for request in step.state.requests:
        if step.at_ms >= request.until_ms:
            _escalate(step, request)


def _limit(step: _Step, limit: TimeLimit) -> None:
    notice_s = max(0, limit.after_s - limit.notice_before_s)
    if step.at_ms >= notice_s * 1000 and step.once(f"notice:{limit.name}"):
        step.notify(f"notice:{limit.name}", 1, f"time limit '{limit.name}' of {limit.after_s} s is near")
    due = notice_s * 1000 <= step.at_ms < limit.after_s * 1000
    may = due and limit.automatic and step.policy.mode is Mode.ACT and _speakable(step)
    # said as soon as the caller can be spoken to: at the exact second they may be on hold, or still ringing
    if may and step.once(f"announced:{limit.name}"):
        _play(step, 0, limit.announcement, f"the limit '{limit.name}' is announced")
    if step.at_ms >= limit.after_s * 1000 and step.once(f"limit:{limit.name}"):
        step.notify(f"limit:{limit.name}", 2, f"time limit '{limit.name}' of {limit.after_s} s is reached")


def _speakable(step: _Step) -> bool:
    state = step.state
    return not (state.excepted or state.refusal or state.playing or state.leaving)


def _give_up_waiting(step: _Step) -> None:
    playing = step.state.playing
    if playing is not None and step.at_ms - playing.since_ms >= PLAYING_MS:
        step.change(playing=None, unconfirmed=(*step.state.unconfirmed, playing))
        step.notify(
            f"lost:{playing.key}", 2, f"{playing.announcement} was not confirmed; the ladder stays where it was"
        )


def _give_up_leaving(step: _Step) -> None:
    leaving = step.state.leaving
    if leaving is not None and step.at_ms >= leaving.not_after_ms + PLAYING_MS:
        step.change(leaving=None)
        step.notify(f"lost:{leaving.key}", 3, f"{leaving.key.partition(':')[0]} was not confirmed")


def _escalate(step: _Step, request: Request) -> None:
    others = tuple(one for one in step.state.requests if one is not request)
    asked = request.asked + 1
    if asked >= len(request.approvers):
        step.change(requests=others)
        step.notify(f"unanswered:{request.id}", 3, f"nobody answered the request for {request.of}")
        return
    again = replace(request, asked=asked, until_ms=step.at_ms + request.wait_ms)
    step.change(requests=(*others, again))
    _put(step, again, f"{request.approvers[request.asked]} did not answer the request for {request.of}")


# What came of it


def _learn_outcome(step: _Step, outcome: Outcome) -> None:
    state = step.state
    playing = state.playing if state.playing and state.playing.key == outcome.key else None
    late = next((one for one in state.unconfirmed if one.key == outcome.key), None)
    if playing is not None:
        step.change(playing=None)
        _played(step, playing, outcome)
    elif late is not None:
        step.change(unconfirmed=tuple(one for one in state.unconfirmed if one is not late))
        _played(step, late, outcome)
    elif state.leaving is not None and state.leaving.key == outcome.key:
        _left(step, outcome)


def _played(step: _Step, playing: Playing, outcome: Outcome) -> None:
    name = playing.announcement
    if outcome.effect is not Effect.DONE:
        step.notify(
            f"outcome:{outcome.key}", 2, f"{name}: {outcome.effect}; the ladder stays at rung {step.state.rung}"
        )
        return
    if playing.rung == step.state.rung + 1:
        step.change(rung=playing.rung, warned_ms=outcome.at_ms, evidence_from_ms=outcome.at_ms)
        step.say(f"the caller heard {name} whole; the ladder stands at rung {playing.rung}")
    else:
        step.say(f"the caller heard {name} whole")


def _left(step: _Step, outcome: Outcome) -> None:
    action = step.state.leaving
    if outcome.effect is not Effect.DONE:
        step.change(leaving=None)
        step.notify(f"outcome:{outcome.key}", 3, f"{outcome.key.partition(':')[0]}: {outcome.effect}")
    elif isinstance(action, Transfer):
        step.change(leaving=None)
        step.say(f"the caller is with {action.destination}")


# What may be done now


def _may_warn(step: _Step) -> Refusal | None:
    state, ladder = step.state, step.policy.ladder
    if state.excepted:
        return Refusal.CARE_FIRST
    if state.playing is not None:
        return Refusal.WARNING_RUNNING
    if state.leaving is not None:
        return Refusal.REPEATED
    if state.refusal is not None:
        return state.refusal
    if state.rung >= len(ladder):
        return Refusal.NO_RUNG_LEFT
    gap_ms = ladder[state.rung].gap_s * 1000
    if state.warned_ms is not None and step.at_ms - state.warned_ms < gap_ms:
        return Refusal.COOLING_DOWN
    return None


def _warn_consent(step: _Step) -> Consent | None:
    ladder = step.policy.ladder
    return ladder[step.state.rung].consent if step.state.rung < len(ladder) else None


def _may_hand_over(step: _Step) -> Refusal | None:
    if step.state.leaving is not None:
        return Refusal.REPEATED
    if step.state.playing is not None:
        return Refusal.WARNING_RUNNING
    return None if step.policy.destinations.extension(_destination(step)) else Refusal.NO_DESTINATION


def _destination(step: _Step) -> str:
    where = step.policy.destinations
    return where.care if step.state.excepted and where.care else where.handover


def _may_end(step: _Step) -> Refusal | None:
    state, ending = step.state, step.policy.ending
    if state.excepted:
        return Refusal.CARE_FIRST
    if state.leaving is not None:
        return Refusal.REPEATED
    if state.playing is not None:
        return Refusal.WARNING_RUNNING
    climbed = bool(step.policy.ladder) and state.rung >= len(step.policy.ladder)
    severe = 0 < ending.severity <= state.worst
    overdue = any(limit.ends and f"limit:{limit.name}" in state.done for limit in step.policy.limits)
    return None if climbed or severe or overdue else Refusal.POLICY_FORBIDS


# Doing


def _perform(step: _Step, what: str, reason: str) -> None:
    if what == Key.WARN:
        _warn(step, reason)
    elif what == Key.HANDOVER:
        _hand_over(step, reason)
    else:
        _end(step, reason)


def _warn(step: _Step, reason: str) -> None:
    rung = step.policy.ladder[step.state.rung]
    _drop_requests(step, Key.WARN.value)
    _play(step, rung.number, rung.announcement, f"{reason}: rung {rung.number}, {rung.announcement}")


def _play(step: _Step, rung: int, announcement: str, reason: str) -> None:
    key = f"warn:{rung}:{step.number()}"
    step.change(playing=Playing(key=key, rung=rung, announcement=announcement, since_ms=step.at_ms))
    action = PlayWarning(
        key=key,
        not_after_ms=step.at_ms + START_MS,
        rung=rung,
        announcement=announcement,
        language=_language(step),
    )
    step.do(action, reason)


def _language(step: _Step) -> str:
    known = step.policy.languages
    return step.state.language if step.state.language in known else known[0]


def _hand_over(step: _Step, reason: str) -> None:
    name = _destination(step)
    action = Transfer(
        key=f"transfer:{step.number()}",
        not_after_ms=step.at_ms + 10_000,
        destination=name,
        extension=step.policy.destinations.extension(name),
    )
    step.change(leaving=action)
    step.do(action, f"{reason}: the caller goes to {name}")
    _rest(step, "the call was handed over")


def _end(step: _Step, reason: str) -> None:
    action = EndCall(
        key=f"end:{step.number()}",
        not_after_ms=step.at_ms + 30_000,
        announcement=step.policy.ending.announcement,
        language=_language(step),
    )
    step.change(leaving=action)
    step.do(action, f"{reason}: the call ends with {action.announcement}")
    _rest(step, "the call was ended by policy")


def _rest(step: _Step, reason: str) -> None:
    rest, leg = step.policy.rest, step.state.agent_leg
    if rest.max_s and step.once(f"rest:{leg}"):
        action = RestAgent(
            key=f"rest:{leg}",
            not_after_ms=step.at_ms + 3_600_000,
            min_s=rest.min_s,
            max_s=rest.max_s,
            reason=reason,
        )
        step.do(action, f"the agent rests: {reason}")


def _raise(step: _Step, by: FlaggedBy, mark: str, *, reason: str, press: KeyPress | None = None) -> None:
    at_ms = press.at_ms if press else step.at_ms
    flag = Flag(by=by, reason=mark, at_ms=at_ms, key_press=press.id if press else "")
    step.change(flags=(*step.state.flags, flag), flag_press=press or step.state.flag_press)
    step.level = max(step.level, 2)
    action = RaiseFlag(key=f"flag:{by}:{step.number()}", not_after_ms=step.at_ms + 86_400_000, flag=flag)
    step.do(action, f"{reason}: evidence is kept")
