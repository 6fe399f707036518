"""A guarded call on a desk of its own: the real store in a folder, a switchboard that only writes down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from switching import BEGAN, FakeSwitchboard

from callguard.model.action import CallFacts, Effect
from callguard.model.call import Call, CallEnded, Leg, LegUp
from callguard.model.errors import StoreFault
from callguard.model.ids import CallId, LegId, Role
from callguard.model.key import Key, KeyPress, SeenBy
from callguard.model.policy import Policy
from callguard.policyfile import load_policy, load_rules
from callguard.ports import Done
from callguard.session.evidence import Desk
from callguard.session.guarded import Asked, Earlier, GuardedCall, House
from callguard.session.judging import Guard
from callguard.session.writing import Writer
from callguard.shipped import shipped
from callguard.store import Store, open_store

CALLER = Leg(id=LegId("c1"), channel="PJSIP/trunk-00000001", role=Role.CALLER, number="0312345678", bridge="b")
AGENT = Leg(id=LegId("a1"), channel="PJSIP/101-00000002", role=Role.AGENT, interface="PJSIP/101", bridge="b")
BOSS = Leg(id=LegId("s1"), channel="PJSIP/900-00000003", role=Role.SUPERVISOR, bridge="b2")
RULES = """
language = "en"
[[rule]]
id = "en.test.kill"
category = "threat"
severity = 3
any = ["kill you"]
"""


class Listening:
    """Hears nothing; knows which legs it was given."""

    def __init__(self) -> None:
        self.legs: set[str] = set()

    def open_leg(self, call: CallId, leg: LegId, *, role: Role, language: str) -> None:
        self.legs.add(leg)

    def close_leg(self, leg: LegId) -> None:
        self.legs.discard(leg)

    def put(self, leg: LegId, frame: object) -> None: ...
    def elapsed(self, call: CallId, at_ms: int) -> None: ...
    def pending_of(self, call: CallId) -> int:
        return 0


class Flaky:
    """A store, or its sound files, that is away for so many writes."""

    def __init__(self, real: object, *, writes: Sequence[str]) -> None:
        self._real, self._writes, self.away = real, writes, 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name not in self._writes:
            return real

        def doing(*args: Any, **named: Any) -> Any:
            if self.away:
                self.away -= 1
                raise StoreFault("away", code="store-unreachable")
            return real(*args, **named)

        return doing


@dataclass(slots=True)
class Bench:
    """One call and everything around it. now_ms: the daemon's clock."""

    call: GuardedCall
    store: Store
    flaky: Flaky
    disk: Flaky
    switchboard: FakeSwitchboard
    listening: Listening
    clock: list[int]
    board: list[BaseModel] = field(default_factory=list)
    answers: dict[str, dict[str, str]] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)

    async def press(self, key: Key, *, id: str = "", age_ms: int = 0) -> dict[str, str]:
        """The agent presses a key; the answer that their script got."""
        at_ms = self.call.now_ms()
        name = id or f"press-{at_ms}"
        press = KeyPress(
            id=name, leg=AGENT.id, key=key, at_ms=at_ms - age_ms, age_ms=age_ms, seen_by=SeenBy.FEATURE, by="PJSIP/101"
        )
        asked = Asked(press=press, pressed_at=BEGAN + timedelta(milliseconds=at_ms))
        self.call.put(asked)
        await self.until(lambda: name in self.answers)
        return self.answers.pop(name)

    async def until(self, true: Callable[[], object]) -> None:
        """Let the call work until this is so."""
        import asyncio

        async with asyncio.timeout(10):
            while not true():  # noqa: ASYNC110 - anything may be waited for
                await asyncio.sleep(0.005)

    def speak(self, leg: Leg, ms: int) -> None:
        """Sound of one leg up to now + ms; the clock goes on."""
        start = self.clock[0]
        self.call.frames(leg.id, [(start + at, b"\x10\x00" * 160) for at in range(0, ms, 20)])

    async def flagged_after(self, ms: int) -> None:
        """The caller speaks so long from the call's beginning; then the agent flags."""
        self.speak(CALLER, ms)
        self.clock[0] = ms
        await self.press(Key.FLAG)

    def kinds(self) -> list[str]:
        """The kinds of the case's records, in order."""
        assert self.call.evidence.case is not None
        return [one.kind.value for one in self.store.records(self.call.evidence.case)]

    async def hang_up(self) -> None:
        """The call ends, and its evidence is closed."""
        self.call.put(CallEnded(call=self.call.call, at_ms=self.clock[0], cause="16"))
        await self.until(lambda: self.call.closed)


@asynccontextmanager
async def bench(folder: Path, *, mode: str = "assist", more: str = "") -> AsyncIterator[Bench]:
    """A caller and an agent who talk, guarded by the shipped base policy with one rule."""
    (folder / "rules.toml").write_text(RULES)
    file = folder / "policy.toml"
    base = shipped("policies/base.toml")
    head = f'extends = "{base}"\nname = "test"\nlanguages = ["en"]\nmode = "{mode}"\n'
    file.write_text(f'{head}[rules]\nfiles = ["rules.toml"]\n{more}')
    policy = load_policy(file)
    store = open_store(f"sqlite:///{folder}/cases.db", segments=folder / "segments")
    flaky, disk = Flaky(store, writes=("open_case", "append")), Flaky(store.tracks(), writes=("begin", "write"))
    board, listening, clock = FakeSwitchboard(), Listening(), [0]
    writers = [Writer(name) for name in ("record", "sound", "finishing")]
    told: list[BaseModel] = []
    answers: dict[str, dict[str, str]] = {}
    modes: dict[str, str] = {}
    guard = Guard(policy=policy, rules=load_rules(policy))
    house = _house(flaky, disk, board, listening, clock, writers, told, answers, modes)
    call = Call(id=CallId("c1"), started_ms=0, legs=(CALLER, AGENT), queue="support", linked=frozenset({"c1"}))
    guarded = GuardedCall(call, guard=guard, house=house)
    guarded.start()
    one = Bench(guarded, store, flaky, disk, board, listening, clock, told, answers, modes)
    for leg in (CALLER, AGENT):
        guarded.put(LegUp(call_id=call.id, leg=leg, at_ms=0))
    await one.until(lambda: {CALLER.id, AGENT.id} <= listening.legs)
    try:
        yield one
    finally:
        await guarded.close()
        for writer in writers:
            writer.close()
        store.close()


def _house(
    flaky: Flaky,
    disk: Flaky,
    board: FakeSwitchboard,
    listening: Listening,
    clock: list[int],
    writers: list[Writer],
    told: list[BaseModel],
    answers: dict[str, dict[str, str]],
    modes: dict[str, str],
) -> House:
    async def answer(press: str, said: dict[str, str]) -> None:
        answers[press] = said

    async def rest(interface: str, least_s: int, most_s: int, call: str) -> Done:
        return Done(effect=Effect.DONE)

    async def look_up(call: Call, policy: Policy) -> CallFacts:
        return CallFacts(call=call.id, queue=call.queue, language="en", caller_leg=CALLER.id, number_known=True)

    async def earlier(call: CallId) -> Earlier | None:
        return None

    async def over(call: GuardedCall) -> None: ...

    record, sound, finishing = writers
    desk = Desk(store=flaky, tracks=disk, record=record, sound=sound, finishing=finishing)  # type: ignore[arg-type]
    return House(
        desk=desk,
        switchboard=board,
        ears=None,
        listening=listening,  # type: ignore[arg-type]
        tell=told.append,
        answer=answer,
        rest=rest,
        key_refusal=lambda leg: None,
        listener=lambda phone: (modes.get(phone, ""), ""),
        clock_ms=lambda: clock[0],
        wall=lambda: BEGAN + timedelta(milliseconds=clock[0]),
        languages=("en",),
        look_up=look_up,
        earlier=earlier,
        over=over,
    )
