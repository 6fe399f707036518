"""Manager events recorded on a real Asterisk 22.10.1, replayed through the tracker, also in other legal orders.

Each tape is one call (``tapes/<name>.jsonl``: one event a line, ``at_ms`` when it came). A legal order keeps the
order of events that name the same channel and may swap any others that came within 50 ms of each other.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from callguard.asterisk.events import decode
from callguard.calls.keys import key_refusal
from callguard.calls.tracker import Calls, apply
from callguard.model.action import Refusal
from callguard.model.call import CallBegan, CallEnded, CallNews, LegChanged, LegDown, LegUp, PbxNote, Transferred
from callguard.model.ids import Role

TAPES = Path(__file__).parent / "tapes"
WINDOW_MS = 50

Line = dict[str, Any]

# name: (agents that came up, in order, by endpoint), transfer told
WHAT_HAPPENED: dict[str, tuple[list[str], list[str]]] = {
    "simple": (["agent1"], []),
    "local-n": (["agent1"], []),
    "local-opt": (["agent1"], []),
    "blind": (["agent1", "agent2"], ["blind"]),
    "refer": (["agent1", "agent2"], ["blind"]),
    "transfer": (["agent1", "agent2"], ["blind"]),
    "atx": (["agent1", "agent2"], ["attended"]),
    "blonde": (["agent1", "agent2"], ["attended"]),
    "consult": (["agent1"], []),
    "three": (["agent1", "agent2"], []),
    "retry": (["agent1"], []),
    "reject": ([], []),
    "forward": (["agent2"], ["forward"]),
    "hold": (["holder"], []),
    "direct": (["agent1"], []),
    "pickup": (["agent3"], ["pickup"]),
}


def tape(name: str) -> list[Line]:
    return [json.loads(line) for line in (TAPES / f"{name}.jsonl").read_text().splitlines()]


def play(lines: list[Line]) -> tuple[Calls, list[CallNews]]:
    calls, news = Calls(digits=frozenset("*7")), []
    for line in lines:
        event = decode(line, line["at_ms"])
        if event is not None:
            calls, told = apply(calls, event)
            news += told
    return calls, news


def endpoint(channel: str) -> str:
    return channel.split("/")[1].split("-")[0]


def ups(news: list[CallNews], role: Role) -> list[str]:
    return [endpoint(n.leg.channel) for n in news if isinstance(n, LegUp) and n.leg.role is role]


def gist(news: list[CallNews]) -> object:
    """What must not depend on the order: who came, who went, what was told of transfers."""
    return (
        sorted((n.leg.id, n.leg.role) for n in news if isinstance(n, LegUp)),
        sorted(n.leg_id for n in news if isinstance(n, LegDown)),
        sorted((n.kind, n.from_leg or "", n.to_leg or "") for n in news if isinstance(n, Transferred)),
        [n.call.id for n in news if isinstance(n, CallBegan)],
        [n.call.id for n in news if isinstance(n, CallEnded)],
    )


def named(line: Line) -> set[str]:
    return {str(v) for k, v in line.items() if k.lower().endswith("uniqueid") and "bridge" not in k.lower() and v}


def shuffled(lines: list[Line], seed: int) -> list[Line]:
    order, dice = list(lines), random.Random(seed)
    for _ in range(len(order) * 4):
        i = dice.randrange(len(order) - 1)
        one, two = order[i], order[i + 1]
        near = abs(one["at_ms"] - two["at_ms"]) <= WINDOW_MS
        if near and named(one) and named(two) and not named(one) & named(two):
            order[i], order[i + 1] = two, one
    return order


@pytest.mark.parametrize("name", WHAT_HAPPENED)
def test_one_call_with_the_right_parties(name: str) -> None:
    agents, transfers = WHAT_HAPPENED[name]
    calls, news = play(tape(name))
    assert ups(news, Role.AGENT) == agents
    assert ups(news, Role.CALLER) == (["trunk"] if agents else [])
    assert [n.kind for n in news if isinstance(n, Transferred)] == transfers
    assert len([n for n in news if isinstance(n, CallBegan)]) == 1
    assert len([n for n in news if isinstance(n, CallEnded)]) == 1
    assert calls.guarded == {} and calls.members == {}


@pytest.mark.parametrize("name", WHAT_HAPPENED)
def test_every_leg_that_came_up_goes_down_once_and_before_the_end(name: str) -> None:
    _, news = play(tape(name))
    up: set[str] = set()
    for n in news:
        match n:
            case LegUp(leg=leg):
                assert leg.id not in up
                up.add(leg.id)
            case LegDown(leg_id=leg_id):
                up.discard(leg_id)
            case CallEnded():
                assert not up
            case _:
                pass


@pytest.mark.parametrize("name", WHAT_HAPPENED)
def test_order_does_not_matter(name: str) -> None:
    lines = tape(name)
    straight, told = play(lines)
    for seed in range(40):
        calls, news = play(shuffled(lines, seed))
        assert gist(news) == gist(told), f"seed {seed}"
        assert calls.facts.channels.keys() == straight.facts.channels.keys(), f"seed {seed}"
        assert calls.guarded == {} and calls.members == {}, f"seed {seed}"


@pytest.mark.parametrize("name", WHAT_HAPPENED)
def test_events_told_twice_change_nothing(name: str) -> None:
    lines = tape(name)
    _, told = play(lines)
    _, news = play([line for line in lines for _ in range(2)])
    assert gist(news) == gist(told)


def test_a_call_without_our_mark_is_not_ours() -> None:
    _, news = play(tape("unguarded"))
    assert [n for n in news if not isinstance(n, PbxNote)] == []


def test_the_queue_member_interface_is_kept_exactly() -> None:
    for name, wanted in (
        ("simple", "PJSIP/agent1"),
        ("local-n", "Local/101@members/n"),
        ("local-opt", "Local/101@members"),
    ):
        _, news = play(tape(name))
        assert {n.leg.interface for n in news if isinstance(n, LegUp) and n.leg.role is Role.AGENT} == {wanted}


def refusals(name: str) -> list[Refusal | None]:
    calls, found = Calls(), []
    for line in tape(name):
        event = decode(line, line["at_ms"])
        if event is None:
            continue
        calls, told = apply(calls, event)
        for n in told:
            if isinstance(n, LegChanged | LegUp) and endpoint(n.leg.channel) in ("agent1", "holder"):
                found.append(key_refusal(calls, n.leg.id))
    return found


def test_keys_wait_while_the_agent_asks_a_colleague_and_work_again_after() -> None:
    found = refusals("consult")
    assert Refusal.RINGING in found and Refusal.IN_CONSULTATION in found
    assert found[-1] is None


def test_keys_wait_while_the_caller_is_on_hold() -> None:
    assert Refusal.ON_HOLD in refusals("hold")


def test_keys_after_the_end_are_told_so() -> None:
    calls, news = play(tape("simple"))
    legs = [n.leg.id for n in news if isinstance(n, LegUp)]
    assert {key_refusal(calls, leg) for leg in legs} == {Refusal.CALL_OVER}


def test_the_colleague_is_not_heard_before_the_caller_hears_them() -> None:
    """An attended transfer's consultation is not the caller's conversation."""
    _, news = play(tape("consult"))
    assert "agent2" not in ups(news, Role.AGENT)


def test_digits_of_the_caller_are_never_told() -> None:
    _, news = play(tape("star7"))
    assert [n for n in news if isinstance(n, PbxNote) and n.kind == "digit"] == []
    _, news = play(tape("simple"))
    assert [n.name for n in news if isinstance(n, PbxNote) and n.kind == "digit"] == ["*", "7"]
