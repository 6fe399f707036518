"""One Asterisk as the shell sees it: news of calls, sound of legs, and a switchboard.

``Pbx`` ties the manager link, the call tracker, the tap server and the switchboard together. It taps by itself:
every leg that comes up is tapped (where ``may_tap`` allows it), a tap that is lost is made again, and a leg that
goes down has its tap closed. The shell only listens.

All callbacks are plain functions, called in order on the event loop; they must return at once (put the thing on a
queue). An exception in one is logged and stops nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from callguard.calls.tracker import Calls
from callguard.model.action import Refusal
from callguard.model.call import Call, CallNews, Leg
from callguard.model.ids import CallId, LegId
from callguard.ports import Switchboard


class TapState(StrEnum):
    """What became of a leg's tap."""

    UP = "up"
    LOST = "lost"
    FAILED = "failed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxHealth:
    """How the telephone side is.

    connected: logged in and resynchronised.
    version: Asterisk's version, "" while unknown.
    reason: why not connected, a kebab-case code, "" while connected.
    last_event_age_ms: since the manager last sent anything, None before the first time.
    taps_up, legs_up: taps that deliver, legs that should have one.
    troubles: known trouble of this version, one code each (see ``asterisk/versions.py``).
    """

    connected: bool
    version: str = ""
    reason: str = ""
    last_event_age_ms: int | None = None
    taps_up: int = 0
    legs_up: int = 0
    calls: int = 0
    refusals: int = 0
    reconnects: int = 0
    troubles: tuple[str, ...] = ()


OnNews = Callable[[CallNews], None]
"""Every change of every call, in order. ``at_ms`` is on ``now_ms``'s clock."""

OnFrames = Callable[[CallId, LegId, list[tuple[int, bytes]]], None]
"""Frames of one leg: (start in ms on ``now_ms``'s clock, 320 bytes of 8 kHz mono s16le). A gap is a jump in time."""

OnTap = Callable[[CallId, LegId, TapState, str, int], None]
"""A tap came up, was lost, failed for good or ended: call, leg, state, reason code, at_ms."""

OnLink = Callable[[bool, str, int], None]
"""The manager link is usable (True) or lost (False): reason code, at_ms. Between False and True events are missing."""

MayTap = Callable[[Call, Leg], bool]


def now_ms() -> int:
    """The daemon's steady clock, whole milliseconds; ``at_ms`` of all news and frames counts on it."""
    return time.monotonic_ns() // 1_000_000


class Pbx:
    """See the module.

    host, port, username, secret: the manager account.
    tap_host, tap_port: where the tap server listens; port 0 picks a free one.
    tap_address: ``host:port`` under which Asterisk reaches it; "" means the listening address.
    play_digits: digits of the internal ``callguard-play`` feature; "" where announcements go by whisper only.
    key_digits: digits that keys are made of; any other digit is never reported.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        username: str,
        secret: str,
        on_news: OnNews,
        on_frames: OnFrames,
        on_tap: OnTap | None = None,
        on_link: OnLink | None = None,
        may_tap: MayTap | None = None,
        tap_host: str = "127.0.0.1",
        tap_port: int = 0,
        tap_address: str = "",
        play_digits: str = "",
        key_digits: str = "",
        sounds_prefix: str = "callguard/",
        ping_every_s: float = 10.0,
        action_timeout_s: float = 5.0,
    ) -> None:
        raise NotImplementedError

    @property
    def calls(self) -> Calls:
        """The tracker's state now."""
        raise NotImplementedError

    @property
    def switchboard(self) -> Switchboard:
        """What we ask of this Asterisk."""
        raise NotImplementedError

    async def start(self) -> None:
        """Open the tap port and begin to connect. Returns at once; raises TapFault where the port is taken."""
        raise NotImplementedError

    async def wait_ready(self, timeout_s: float) -> None:
        """Until logged in and resynchronised. Raises AmiFault ``ami-refused`` (three refusals) or ``ami-lost``."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Close taps, hang up own channels, log off. Calls go on."""
        raise NotImplementedError

    def key_refusal(self, leg_id: LegId) -> Refusal | None:
        """Why a key pressed on this leg may not be carried out now, None where it may."""
        raise NotImplementedError

    def place(self, uniqueid: str) -> tuple[CallId, LegId] | None:
        """Which leg of which call this channel stands for (a Local half stands for the leg behind it)."""
        raise NotImplementedError

    def health(self) -> PbxHealth:
        """See PbxHealth."""
        raise NotImplementedError
