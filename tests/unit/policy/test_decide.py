"""The ladder: what a policy decides from findings, keys, orders, answers, outcomes and time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard.model.action import (
    Approval,
    BoardOrder,
    CallFacts,
    CallState,
    Decision,
    Effect,
    Outcome,
    PlayWarning,
    Refusal,
    Tone,
)
from callguard.model.finding import Category, Finding, Stage
from callguard.model.ids import CallId, LegId, Role, UtteranceId
from callguard.model.key import Elapsed, Key, KeyPress, SeenBy
from callguard.model.policy import Mode, Policy, TimeLimit
from callguard.policy.decide import decide, start
from callguard.policyfile import load_policy
from callguard.shipped import shipped

AGENT, CALLER = LegId("a1"), LegId("c1")
FACTS = CallFacts(call=CallId("c1"), queue="support", language="en", agent_leg=AGENT, caller_leg=CALLER)
TALKING = CallState(at_ms=0, agent_leg=AGENT)


@pytest.fixture(scope="module")
def base() -> Policy:
    return load_policy(shipped("policies/base.toml"))


def found(at_ms: int, category: Category = Category.THREAT, severity: int = 3, **other: Any) -> Finding:
    facts: dict[str, Any] = {"stage": Stage.COMMITTED, "score": 0.95, "utterance": UtteranceId(f"u{at_ms}"), **other}
    return Finding(
        rule="x.rule",
        category=category,
        severity=severity,
        leg=CALLER,
        role=Role.CALLER,
        start_ms=at_ms - 500,
        end_ms=at_ms,
        words="words",
        **facts,
    )


def press(key: Key, at_ms: int, *, age_ms: int = 0, leg: LegId = AGENT) -> KeyPress:
    return KeyPress(id=f"{key}-{at_ms}", leg=leg, key=key, at_ms=at_ms, age_ms=age_ms, seen_by=SeenBy.FEATURE)


class Run:
    """Events in, decisions and names of actions out."""

    def __init__(self, policy: Policy, **facts: Any) -> None:
        self.policy, self.state = policy, start(policy)
        self(replace(FACTS, **facts), TALKING)

    def __call__(self, *events: Any) -> list[Decision]:
        self.state, decisions = decide(self.state, events, self.policy)
        return decisions

    def names(self, *events: Any) -> list[str]:
        return [type(action).__name__ for one in self(*events) for action in one.actions]

    def warned(self, at_ms: int) -> PlayWarning:
        """The agent warns, and the caller hears it whole."""
        [warning] = [a for d in self(press(Key.WARN, at_ms)) for a in d.actions if isinstance(a, PlayWarning)]
        self(Outcome(key=warning.key, effect=Effect.DONE, at_ms=at_ms + 5000, started_ms=at_ms))
        return warning


def test_words_alone_never_act_in_observe(base: Policy) -> None:
    run = Run(base)
    names = run.names(*(found(1000 * n) for n in range(1, 9)))
    assert "NotifySupervisor" in names and not {"PlayWarning", "EndCall", "Transfer", "RaiseFlag"} & {*names}


def test_assist_asks_and_act_plays(base: Policy) -> None:
    assert "AskApproval" in Run(replace(base, mode=Mode.ASSIST)).names(found(1000))
    assert "PlayWarning" in Run(replace(base, mode=Mode.ACT)).names(found(1000))


@pytest.mark.parametrize("other", [{"stage": Stage.TENTATIVE}, {"score": 0.3}])
def test_unclear_words_never_act(base: Policy, other: dict[str, Any]) -> None:
    assert "PlayWarning" not in Run(replace(base, mode=Mode.ACT)).names(found(1000, **other))


def test_care_stops_every_automatic_measure_and_calls_a_human(base: Policy) -> None:
    run = Run(replace(base, mode=Mode.ACT))
    assert "CallHuman" in run.names(found(1000, Category.LIFE_AT_RISK, 0))
    assert not {"PlayWarning", "EndCall", "Transfer"} & {*run.names(*(found(1000 * n) for n in range(2, 9)))}


@pytest.mark.parametrize("facts", [{"protected": True}, {"relay": True}])
def test_protected_and_relay_calls_are_not_warned(base: Policy, facts: dict[str, bool]) -> None:
    run = Run(replace(base, mode=Mode.ACT), **facts)
    assert "PlayWarning" not in run.names(found(1000), press(Key.WARN, 2000))


def test_the_ladder_climbs_by_what_was_heard_and_keeps_its_gaps(base: Policy) -> None:
    run = Run(base)
    assert run.warned(1000).rung == 1
    assert run.state.rung == 1
    [early] = run(press(Key.WARN, 8000))
    assert early.refusal is Refusal.COOLING_DOWN
    assert run.warned(40_000).rung == 2
    names = run.names(press(Key.WARN, 90_000))
    assert "AskApproval" in names and "PlayWarning" not in names


def test_a_warning_cut_short_does_not_climb(base: Policy) -> None:
    run = Run(base)
    [warning] = [a for d in run(press(Key.WARN, 1000)) for a in d.actions if isinstance(a, PlayWarning)]
    run(Outcome(key=warning.key, effect=Effect.CUT_SHORT, at_ms=2000, started_ms=1000))
    assert run.state.rung == 0


def test_an_approval_plays_and_an_unanswered_one_escalates_then_tells(base: Policy) -> None:
    run = Run(base)
    run.warned(1000)
    run.warned(40_000)
    asked = next(a for d in run(press(Key.WARN, 90_000)) for a in d.actions if type(a).__name__ == "AskApproval")
    assert asked.approver == "supervisor"
    again = next(a for d in run(Elapsed(at_ms=111_000)) for a in d.actions if type(a).__name__ == "AskApproval")
    assert again.approver == "desk"
    assert "PlayWarning" in run.names(Approval(request=again.request, granted=True, by="mori", at_ms=112_000))


def test_twenty_presses_are_one_flag_and_a_flag_can_be_taken_back(base: Policy) -> None:
    run = Run(base)
    names = run.names(*(press(Key.FLAG, 1000 + 100 * n) for n in range(20)))
    assert names.count("RaiseFlag") == 1 and names.count("AnswerKey") >= 1
    assert run.state.flagged
    assert "WithdrawFlag" in run.names(press(Key.UNFLAG, 10_000))
    assert not run.state.flagged


def test_a_late_press_is_recorded_only(base: Policy) -> None:
    [decision] = Run(base)(press(Key.WARN, 20_000, age_ms=11_000))
    names = [type(one).__name__ for one in decision.actions]
    assert decision.refusal is Refusal.TOO_OLD and "PlayWarning" not in names
    assert getattr(decision.actions[names.index("AnswerKey")], "tone", None) is Tone.RECORDED_ONLY


def test_a_key_on_hold_is_refused_with_its_reason(base: Policy) -> None:
    run = Run(base)
    run(CallState(at_ms=500, agent_leg=AGENT, refusal=Refusal.ON_HOLD))
    assert run(press(Key.WARN, 1000))[0].refusal is Refusal.ON_HOLD


def test_the_callers_leg_has_no_keys(base: Policy) -> None:
    run = Run(base)
    assert not {"RaiseFlag", "PlayWarning"} & {*run.names(press(Key.FLAG, 1000, leg=CALLER))}


def test_the_end_key_needs_a_threat_or_the_ladder(base: Policy) -> None:
    run = Run(base)
    assert "EndCall" not in run.names(press(Key.END, 1000))
    run(found(2000))
    assert "EndCall" in run.names(press(Key.END, 30_000))


def test_a_supervisors_order_counts_like_a_key(base: Policy) -> None:
    run = Run(base)
    assert "RaiseFlag" in run.names(BoardOrder(id="o1", what=Key.FLAG, by="mori", at_ms=1000))


def test_a_hand_over_goes_to_the_allowed_extension_alone(base: Policy) -> None:
    moved = [a for d in Run(base)(press(Key.HANDOVER, 1000)) for a in d.actions if type(a).__name__ == "Transfer"]
    assert [getattr(one, "extension", "") for one in moved] == ["700"]


def test_a_time_limit_is_told_before_and_announced_as_soon_as_the_caller_can_hear(base: Policy) -> None:
    limit = TimeLimit(name="half an hour", after_s=1800, notice_before_s=300, automatic=True, ends=True)
    run = Run(replace(base, mode=Mode.ACT, limits=(limit,)))
    run(CallState(at_ms=1_490_000, agent_leg=AGENT, refusal=Refusal.ON_HOLD))
    assert "PlayWarning" not in run.names(Elapsed(at_ms=1_501_000))
    run(CallState(at_ms=1_510_000, agent_leg=AGENT))
    assert run.names(Elapsed(at_ms=1_511_000)).count("PlayWarning") == 1
    assert "PlayWarning" not in run.names(Elapsed(at_ms=1_512_000))


EVENTS = st.lists(
    st.one_of(
        st.sampled_from([Key.FLAG, Key.WARN, Key.UNFLAG, Key.END, Key.HELP, Key.WHY]).map(lambda key: ("key", key)),
        st.sampled_from([Category.THREAT, Category.VERBAL_ABUSE, Category.LIFE_AT_RISK]).map(lambda c: ("find", c)),
        st.just(("time", None)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_one_by_one_or_all_at_once_decides_the_same(plan: list[tuple[str, Any]]) -> None:
    policy = replace(load_policy(Path(shipped("policies/base.toml"))), mode=Mode.ACT)
    events: list[Any] = [FACTS, TALKING]
    for number, (what, value) in enumerate(plan, start=1):
        at_ms = number * 3000
        if what == "key":
            events.append(press(value, at_ms))
        elif what == "find":
            events.append(found(at_ms, value, 0 if value.is_care else 2))
        else:
            events.append(Elapsed(at_ms=at_ms))
    _, at_once = decide(start(policy), events, policy)
    state, singly = start(policy), []
    for event in events:
        state, more = decide(state, [event], policy)
        singly += more
    assert singly == at_once
