"""What the live board knows: the calls that are going on, fed from the bus, and who is watching them.

``Board.take`` is one event in; a watcher learns which calls changed and fetches them when it has time, so a burst
of events costs a slow browser nothing but the newest state.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import ValidationError

from callguard.bus.link import Bus
from callguard.bus.messages import (
    BoardEvent,
    CallRow,
    CaseChanged,
    DecisionMade,
    FindingMade,
    HealthTold,
    TranscriptSaid,
    read_event,
)
from callguard.bus.topics import BOARD
from callguard.store.accounts import utc_now

SILENT_S = 8
"""A daemon tells its health about every two seconds; after so long without, the board says so."""

DOUBT_S = 30
"""After a silence, calls of which nothing is heard again for so long are gone if the daemon counts fewer."""

FORGET_S = 1800
"""A call of which nothing was heard for so long is gone: its end was missed."""

LINGER_S = 20
"""An ended call stays in sight this long."""

MOST_LINES = 60


@dataclass(slots=True)
class LiveCall:
    """One call on the board. tick: the board's count when it last changed."""

    row: CallRow
    heard_at: datetime
    tick: int = 0
    ended_at: datetime | None = None
    lines: dict[str, TranscriptSaid] = field(default_factory=dict)
    findings: deque[FindingMade] = field(default_factory=lambda: deque(maxlen=20))
    because: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Somebody must approve something."""
        return bool(self.row.requests)

    def needs(self) -> tuple[int, int, int, int, float]:
        """Sorts by need: care, level, open requests, flag, then the longest call. Smaller is more urgent."""
        row = self.row
        return (
            int(row.ended),
            -int(row.care),
            -row.level - int(self.asks),
            -int(row.flagged),
            row.started_at.timestamp(),
        )


class Watcher:
    """One open page. ``changed``: calls to fetch again; ``wake`` is set when there are any."""

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.wake = asyncio.Event()


class Board:
    """The calls by id. Lives in one event loop; pages in other threads only read."""

    def __init__(self, *, now: Callable[[], datetime] = utc_now) -> None:
        self.calls: dict[str, LiveCall] = {}
        self.health: HealthTold | None = None
        self.health_at: datetime | None = None
        self.back_at: datetime | None = None
        self.closing = asyncio.Event()
        self.bus_up = True
        self.unread = 0
        self.tick = 0
        self._now = now
        self._watchers: set[Watcher] = set()

    def take(self, event: BoardEvent) -> None:
        """One event from the bus."""
        match event:
            case CallRow():
                self._row(event)
            case HealthTold():
                if self.silent_since is not None:
                    self.back_at = self._now()
                self.health, self.health_at = event, self._heard(event.sent_at)
                self._tell("")
            case TranscriptSaid():
                if call := self.calls.get(event.call):
                    call.lines.pop(event.utterance, None)
                    call.lines[event.utterance] = event
                    while len(call.lines) > MOST_LINES:
                        call.lines.pop(next(iter(call.lines)))
                    self._touched(call)
            case FindingMade():
                if call := self.calls.get(event.call):
                    call.findings.append(event)
                    self._touched(call)
            case DecisionMade():
                if call := self.calls.get(event.call):
                    call.because = event.because
                    self._touched(call)
            case CaseChanged():
                if (call := self.calls.get(event.call)) and event.status != "withdrawn":
                    call.row = call.row.model_copy(update={"case": event.case})
                    self._touched(call)
            case _:
                if call := self.calls.get(event.call):
                    call.heard_at = self._now()

    def sweep(self) -> None:
        """Let go of calls that ended, or whose end was missed."""
        now = self._now()
        for key, call in list(self.calls.items()):
            over = call.ended_at is not None and now - call.ended_at > timedelta(seconds=LINGER_S)
            over = over or self._doubtful(call)
            if over or now - call.heard_at > timedelta(seconds=FORGET_S):
                del self.calls[key]
                self._tell(key)

    @property
    def silent_since(self) -> datetime | None:
        """Since when no daemon has told its health; None while one does, and where none ever has."""
        if self.health_at is None:
            return None
        return self.health_at if self._now() - self.health_at > timedelta(seconds=SILENT_S) else None

    @property
    def unheard(self) -> bool:
        """No daemon has ever told its health."""
        return self.health_at is None

    def stale(self, call: LiveCall) -> bool:
        """The daemon is silent, and the call may have changed since. A quiet call alone sends no rows."""
        return not call.row.ended and self.silent_since is not None

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """Be told of changes for as long as the block lasts."""
        watcher = Watcher()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    @property
    def watchers(self) -> int:
        """How many pages are open."""
        return len(self._watchers)

    def close(self) -> None:
        """End every open page's stream."""
        self.closing.set()
        for watcher in self._watchers:
            watcher.wake.set()

    def _row(self, row: CallRow) -> None:
        now = self._now()
        call = self.calls.get(row.call)
        if call is None or call.row.started_at != row.started_at:
            if row.ended and (now - row.sent_at) > timedelta(seconds=LINGER_S):
                return
            call = self.calls[row.call] = LiveCall(row=row, heard_at=now)
        call.row = row
        if row.ended and call.ended_at is None:
            call.ended_at = now
        self._touched(call)
        call.heard_at = self._heard(row.sent_at)

    def _doubtful(self, call: LiveCall) -> bool:
        if self.back_at is None or self.health is None or call.heard_at >= self.back_at:
            return False
        if self._now() - self.back_at < timedelta(seconds=DOUBT_S):
            return False
        return sum(not one.row.ended for one in self.calls.values()) > self.health.calls

    def _heard(self, sent_at: datetime) -> datetime:
        """Now, unless the message is an old one that the bus had kept."""
        now = self._now()
        return sent_at if now - sent_at > timedelta(seconds=SILENT_S) else now

    def _touched(self, call: LiveCall) -> None:
        call.heard_at = self._now()
        self.tick += 1
        call.tick = self.tick
        self._tell(call.row.call)

    def _tell(self, key: str) -> None:
        for watcher in self._watchers:
            watcher.changed.add(key)
            watcher.wake.set()


async def follow(board: Board, bus: Bus, *, on_case: Callable[[CaseChanged], Awaitable[None]]) -> None:
    """Feed the board from the bus until cancelled. Begins with what the bus still keeps.

    on_case: told of each case that changed; again after a restart, so it must know what it has seen.
    """

    def heard(up: bool) -> None:
        board.bus_up = up

    async for _, fields in bus.tail(BOARD, after="0", on_health=heard):
        event = take_text(board, fields)
        if isinstance(event, CaseChanged):
            await on_case(event)


def take_text(board: Board, fields: Mapping[str, str]) -> BoardEvent | None:
    """One message of the bus. What cannot be read is counted and let pass."""
    try:
        event = read_event(fields.get("json", ""))
    except ValidationError:
        board.unread += 1
        return None
    board.take(event)
    return event


async def keep_tidy(board: Board, *, every_s: float = 2.0) -> None:
    """Sweep now and then, and let pages notice silence, until cancelled."""
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(board.closing.wait(), every_s)
            return
        board.sweep()
        board._tell("")
