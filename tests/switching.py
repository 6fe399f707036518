"""A switchboard that nobody's ear is behind: it keeps the promises of the real one, and writes down what was asked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from callguard.asterisk import clean
from callguard.asterisk.switchboard import PRESENCES
from callguard.model.action import Effect
from callguard.model.call import Call, Leg
from callguard.model.errors import Refused
from callguard.model.ids import LegId, Role
from callguard.ports import Done

BEGAN = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


@dataclass(slots=True)
class FakeSwitchboard:
    """A ``ports.Switchboard``.

    asked: (verb, its object) of what was carried out or tried. effect: what comes of it.
    extensions: where callers can be sent. members: interfaces that some queue has. gone: legs that are no more.
    """

    extensions: tuple[str, ...] = ("701",)
    members: tuple[str, ...] = ("PJSIP/agent1",)
    effect: Effect = Effect.DONE
    asked: list[tuple[str, str]] = field(default_factory=list)
    gone: set[LegId] = field(default_factory=set)

    async def tap(self, leg: Leg, *, token: str) -> None:
        self.asked.append(("tap", clean.channel(leg.id)))

    async def untap(self, *, token: str) -> None:
        self.asked.append(("untap", token))

    async def play(self, call: Call, *, announcement: str, language: str, timeout_s: float) -> Done:
        name = f"{clean.file_part(announcement)}:{clean.file_part(language)}"
        return self._done("play", name) if self._leg(call, Role.CALLER) else _failed("no-caller")

    async def transfer(self, call: Call, *, extension: str, timeout_s: float) -> Done:
        goal = clean.destination(extension)
        if self._leg(call, Role.CALLER) is None:
            return _failed("no-caller")
        return self._done("transfer", goal) if goal in self.extensions else _failed("no-destination")

    async def end(self, call: Call, *, announcement: str, language: str, timeout_s: float) -> Done:
        caller = self._leg(call, Role.CALLER)
        if caller is None:
            return Done(effect=Effect.DONE, ended_at=BEGAN, detail="caller-gone")
        done = self._done("end", clean.file_part(announcement))
        if done.effect is Effect.DONE:
            self.gone.add(caller.id)
        return done

    async def rest(self, interface: str, *, paused: bool, reason: str) -> Done:
        member, _ = clean.ami_value(interface), clean.user_event_value(reason)
        return self._done("rest" if paused else "back", member) if member in self.members else _failed("no-such-member")

    async def tell_agent(self, call: Call, *, sound: str, language: str) -> Done:
        if self._leg(call, Role.AGENT) is None:
            return _failed("no-agent")
        done = self._done("tell", f"{clean.file_part(sound)}")
        return Done(effect=Effect.NOT_CONFIRMED, started_at=BEGAN) if done.effect is Effect.DONE else done

    async def spy(self, call: Call, *, supervisor: str, mode: str) -> Done:
        if mode not in PRESENCES:
            raise Refused("no such mode", code="presence-unknown")
        if not re.fullmatch(r"PJSIP/[A-Za-z0-9_.-]+", supervisor):
            raise Refused("no such phone", code="unsafe-text")
        if self._leg(call, Role.CALLER) is None or self._leg(call, Role.AGENT) is None:
            raise Refused("nobody talks", code="presence-nobody")
        self.asked.append((mode, supervisor))
        return Done(effect=self.effect, started_at=BEGAN, detail="s1")

    def _leg(self, call: Call, role: Role) -> Leg | None:
        return next((leg for leg in call.of_role(role) if leg.id not in self.gone), None)

    def _done(self, what: str, name: str) -> Done:
        self.asked.append((what, name))
        return Done(effect=self.effect, started_at=BEGAN, ended_at=BEGAN + timedelta(seconds=3))


def _failed(detail: str) -> Done:
    return Done(effect=Effect.FAILED, detail=detail)
