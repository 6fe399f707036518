"""Agents who rest after a hard call: paused in their queues, brought back by themselves or when the time is over.

What is owed outlives the daemon in one small file, so that nobody stays paused because we were restarted.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from callguard.model.action import Effect, Refusal
from callguard.model.errors import CallguardError, Refused
from callguard.ports import Done, Switchboard

log = logging.getLogger(__name__)

REASON = "callguard-rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """One agent's pause. Wall times in ISO 8601, aware UTC."""

    interface: str
    call: str
    earliest: str
    latest: str


class Rests:
    """See the module. ``file`` need not exist."""

    def __init__(self, file: Path, *, switchboard: Switchboard, wall: Callable[[], datetime]) -> None:
        self._file, self._switchboard, self._wall = file, switchboard, wall
        self.resting: dict[str, Rest] = {one.interface: one for one in _read(file)}

    async def begin(self, interface: str, min_s: int, max_s: int, call: str) -> Done:
        """Pause this queue member."""
        done = await self._switchboard.rest(interface, paused=True, reason=REASON)
        if done.effect in (Effect.DONE, Effect.NOT_CONFIRMED):
            now = self._wall()
            self.resting[interface] = Rest(
                interface=interface,
                call=call,
                earliest=(now + timedelta(seconds=min_s)).isoformat(),
                latest=(now + timedelta(seconds=max_s)).isoformat(),
            )
            self._write()
        return done

    async def back(self, interface: str) -> Done:
        """The agent comes back. Raises Refused before the least time is over, or where nobody rests."""
        rest = self.resting.get(interface)
        if rest is None:
            raise Refused("this agent does not rest", code=Refusal.NOTHING_TO_WITHDRAW.value)
        if self._wall() < datetime.fromisoformat(rest.earliest):
            raise Refused("the least time of rest is not over", code=Refusal.COOLING_DOWN.value)
        return await self._return(interface)

    async def tick(self) -> None:
        """Bring back whose time is over."""
        now = self._wall()
        for rest in list(self.resting.values()):
            if now >= datetime.fromisoformat(rest.latest):
                with contextlib.suppress(CallguardError):
                    await self._return(rest.interface)

    async def _return(self, interface: str) -> Done:
        done = await self._switchboard.rest(interface, paused=False, reason=REASON)
        if done.effect is Effect.DONE or done.detail == "no-such-member":
            self.resting.pop(interface, None)
            self._write()
        return done

    def _write(self) -> None:
        part = self._file.with_suffix(".part")
        try:
            part.write_text(json.dumps([asdict(one) for one in self.resting.values()]), encoding="utf-8")
            part.replace(self._file)
        except OSError:
            log.exception("the list of resting agents could not be written")


def _read(file: Path) -> list[Rest]:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
        rests = [Rest(**one) for one in read]
        for rest in rests:
            datetime.fromisoformat(rest.latest).astimezone(UTC)
    except (OSError, ValueError, TypeError):
        return []
    return rests
