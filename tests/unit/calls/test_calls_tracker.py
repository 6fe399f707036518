"""The tracker where tapes do not reach: resync, masquerade, races, strangers."""

from __future__ import annotations

from dataclasses import replace

from callguard.calls import events as e
from callguard.calls.keys import key_refusal
from callguard.calls.tracker import Calls, apply, place, resync
from callguard.model.action import Refusal
from callguard.model.call import CallBegan, CallEnded, CallNews, LegDown, LegUp, PbxNote
from callguard.model.ids import LegId, Role

C = e.Seen(id="1.1", linked="1.1", channel="PJSIP/trunk-00000001", up=True, number="0312345678", name="${SHELL(id)}")
A = e.Seen(id="1.2", linked="1.1", channel="PJSIP/DB-desk-00000002")
A_UP = replace(A, up=True)


def run(*events: e.PbxEvent, calls: Calls | None = None) -> tuple[Calls, list[CallNews]]:
    state, news = calls or Calls(digits=frozenset("*7")), []
    for event in events:
        state, told = apply(state, event)
        news += told
    return state, news


def queued() -> list[e.PbxEvent]:
    return [
        e.ChannelSeen(at_ms=1, seen=C),
        e.QueueJoined(at_ms=2, queue="sales", seen=C),
        e.ChannelSeen(at_ms=3, seen=A),
        e.AgentOffered(at_ms=4, queue="sales", caller=C, to=A, interface="PJSIP/DB-desk"),
    ]


def talking() -> list[e.PbxEvent]:
    return [
        *queued(),
        e.BridgeEntered(at_ms=5, bridge="b", seen=A_UP),
        e.BridgeEntered(at_ms=6, bridge="b", seen=C),
    ]


def kinds(news: list[CallNews]) -> list[str]:
    return [type(n).__name__ for n in news]


def test_a_queue_call_from_ring_to_end() -> None:
    calls, news = run(*talking())
    assert kinds(news) == ["CallBegan", "LegUp", "LegUp"]
    call = calls.calls[0]
    assert call.queue == "sales" and call.started_ms == 1
    caller, agent = call.of_role(Role.CALLER)[0], call.of_role(Role.AGENT)[0]
    assert caller.number == "0312345678" and caller.name == "${SHELL(id)}"
    assert agent.interface == "PJSIP/DB-desk"
    assert key_refusal(calls, agent.id) is None
    assert key_refusal(calls, caller.id) is Refusal.NOT_THE_AGENT
    _, news = run(e.HungUp(at_ms=9, seen=C, cause="normal"), calls=calls)
    assert kinds(news) == ["LegDown", "LegDown", "CallEnded"]


def test_ringing_and_unknown_channels_may_press_nothing() -> None:
    calls, _ = run(*queued())
    assert key_refusal(calls, LegId(A.id)) is Refusal.RINGING
    assert key_refusal(calls, LegId("9.9")) is Refusal.NOT_IN_CALL


def test_late_events_bring_no_channel_back() -> None:
    calls, _ = run(*talking(), e.HungUp(at_ms=8, seen=C), e.HungUp(at_ms=8, seen=A))
    calls, news = run(
        e.BridgeLeft(at_ms=9, bridge="b", seen=A),
        e.BridgeEntered(at_ms=9, bridge="b", seen=C),
        e.ChannelSeen(at_ms=9, seen=C),
        calls=calls,
    )
    assert news == [] and not calls.facts.channels
    _, news = run(e.UserNoted(at_ms=10, name="CallguardKey", seen=A), calls=calls)
    assert isinstance(news[0], PbxNote) and news[0].leg_id == A.id
    assert key_refusal(calls, LegId(A.id)) is Refusal.CALL_OVER


def test_a_withheld_hangup_does_not_keep_the_call_alive() -> None:
    _, news = run(*talking(), e.HangupAsked(at_ms=7, seen=C, cause="normal"), e.BridgeLeft(at_ms=7, bridge="b", seen=C))
    assert kinds(news)[-1] == "CallEnded" and isinstance(news[-1], CallEnded) and news[-1].cause == "normal"
    _, again = run(e.HungUp(at_ms=9, seen=C))
    assert again == []


def test_our_own_channels_are_no_calls() -> None:
    tap = e.Seen(id="cg-5", channel="AudioSocket/127.0.0.1:9092-x", up=True)
    calls, news = run(e.ChannelSeen(at_ms=1, seen=tap), e.BridgeEntered(at_ms=2, bridge="b", seen=tap))
    assert news == [] and not calls.facts.channels


def test_paging_and_voicemail_are_no_calls() -> None:
    page = e.Seen(id="7.2", channel="PJSIP/desk-00000009")
    _, news = run(
        e.ChannelSeen(at_ms=1, seen=C),
        e.DialBegan(at_ms=2, by=C, to=page),
        e.BridgeEntered(at_ms=3, bridge="b", seen=C),
        e.BridgeEntered(at_ms=3, bridge="b", seen=page),
        e.HungUp(at_ms=4, seen=C),
    )
    assert news == []


def test_a_masquerade_moves_the_leg_and_keeps_the_call() -> None:
    """Rename triple: the caller's body moves to another channel; the zombie's hangup ends nothing."""
    new = e.Seen(id="1.9", linked="1.1", channel="PJSIP/x-00000009")
    calls, news = run(
        *talking(),
        e.ChannelSeen(at_ms=7, seen=new),
        e.Renamed(at_ms=8, seen=C, old=C.channel, new=C.channel + "<MASQ>"),
        e.Renamed(at_ms=8, seen=new, old=new.channel, new=C.channel),
        e.Renamed(at_ms=8, seen=C, old=C.channel + "<MASQ>", new=new.channel + "<ZOMBIE>"),
        e.BridgeEntered(at_ms=9, bridge="b", seen=new, swap=C.id),
        e.HungUp(at_ms=10, seen=C),
    )
    assert not [n for n in news if isinstance(n, CallEnded)]
    assert len(calls.calls) == 1
    caller = calls.calls[0].of_role(Role.CALLER)[0]
    assert caller.id == "1.9" and caller.number == C.number
    assert [n.leg_id for n in news if isinstance(n, LegDown)] == [C.id]


def test_a_local_half_stands_for_the_agent_behind_it() -> None:
    one = e.Seen(id="2.1", linked="1.1", channel="Local/101@members-00000001;1")
    two = e.Seen(id="2.2", linked="1.1", channel="Local/101@members-00000001;2")
    calls, news = run(
        e.ChannelSeen(at_ms=1, seen=C),
        e.QueueJoined(at_ms=1, queue="sales", seen=C),
        e.AgentOffered(at_ms=2, queue="sales", caller=C, to=one, interface="Local/101@members/n"),
        e.ChannelSeen(at_ms=2, seen=two),
        e.DialBegan(at_ms=3, by=two, to=A),
        *[e.BridgeEntered(at_ms=4, bridge="inner", seen=s) for s in (A_UP, two)],
        *[e.BridgeEntered(at_ms=5, bridge="outer", seen=s) for s in (one, C)],
    )
    assert [n.leg.id for n in news if isinstance(n, LegUp)] == [A.id, C.id]
    assert place(calls, "2.1") == place(calls, A.id) and place(calls, "2.2") is not None
    assert calls.calls[0].of_role(Role.AGENT)[0].interface == "Local/101@members/n"
    assert key_refusal(calls, LegId("2.1")) is None


def found(seen: e.Seen, application: str, data: str = "") -> e.ChannelFound:
    return e.ChannelFound(seen=seen, bridge="b", application=application, data=data, age_ms=60_000)


SNAPSHOT = e.Snapshot(
    at_ms=100_000,
    channels=(found(C, "Queue", "sales,tT"), found(A_UP, "AppQueue")),
    interfaces=frozenset({"PJSIP/DB-desk"}),
)


def test_a_call_in_progress_is_adopted_and_marked_partial() -> None:
    calls, news = resync(Calls(), SNAPSHOT)
    assert kinds(news) == ["CallBegan", "LegUp", "LegUp"]
    call = calls.calls[0]
    assert call.partial and call.queue == "sales" and call.started_ms == 40_000
    assert call.of_role(Role.AGENT)[0].interface == "PJSIP/DB-desk"
    again, more = resync(calls, SNAPSHOT)
    assert more == [] and again.calls == calls.calls


def test_what_vanished_while_we_were_away_has_ended_once() -> None:
    calls, _ = run(*talking())
    calls, news = resync(calls, e.Snapshot(at_ms=50))
    assert kinds(news) == ["LegDown", "LegDown", "CallEnded"]
    assert resync(calls, e.Snapshot(at_ms=60))[1] == []


def test_after_a_restart_the_same_ids_are_other_calls() -> None:
    calls, _ = run(*talking())
    calls, news = resync(calls, replace(SNAPSHOT, restarted=True))
    assert len([n for n in news if isinstance(n, CallEnded)]) == 1
    assert len([n for n in news if isinstance(n, CallBegan)]) == 1


def test_a_paused_member_without_a_reason() -> None:
    calls, news = run(e.MemberPaused(at_ms=1, queue="sales", interface="PJSIP/a", paused=False))
    assert news == [] and calls == Calls(digits=frozenset("*7"))


def test_a_supervisor_who_listens_is_a_leg_and_no_agent() -> None:
    boss = e.Seen(id="cg-spy-1", channel="PJSIP/boss-00000007", up=True)
    calls, news = run(*talking(), e.Spied(at_ms=7, spyer=boss, spyee=A_UP, began=True))
    assert calls.calls[0].of_role(Role.SUPERVISOR)[0].id == "cg-spy-1"
    assert key_refusal(calls, LegId("cg-spy-1")) is Refusal.NOT_THE_AGENT
    calls, news = run(e.Spied(at_ms=8, spyer=boss, spyee=A_UP, began=False), calls=calls)
    assert [n.leg_id for n in news if isinstance(n, LegDown)] == ["cg-spy-1"]
