"""One Asterisk as the shell sees it: news of calls, sound of legs, and a switchboard.

``Pbx`` ties the manager link, the call tracker, the tap server and the switchboard together. It taps by itself:
every leg that comes up is tapped (where ``may_tap`` allows it), a tap that is lost is made again, and a leg that
goes down has its tap closed. The shell only listens. A supervisor's phone is tapped too where a Local channel
does its spying (``callguard-listening``): Asterisk lets nobody spy on a channel that spies itself.

All callbacks are plain functions, called in order on the event loop; they must return at once (put the thing on a
queue). An exception in one is logged and stops nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from panoramisk.message import Message

from callguard.asterisk import versions
from callguard.asterisk.events import decode, found, text
from callguard.asterisk.link import AmiLink, Expects, LinkState
from callguard.asterisk.switchboard import AmiSwitchboard, Sightings
from callguard.asterisk.tap_processes import tap_server
from callguard.calls import events as e
from callguard.calls.keys import key_refusal
from callguard.calls.tracker import Calls, apply, place, resync
from callguard.model.action import Refusal
from callguard.model.call import Call, CallNews, Leg, LegDown, LegUp
from callguard.model.errors import AmiFault, CallguardError
from callguard.model.ids import CallId, LegId

log = logging.getLogger(__name__)

TAP_TRIES_S = (0.0, 0.2, 1.0, 5.0, 15.0)
"""Waits before each try to tap a leg. The first two come at once, since a failed Originate may be a race."""

TAP_UP_S = 4.0
"""So long a tap may take to connect after Asterisk said it was made."""

BRIEF_MS = 5000
"""A tap that lasted less is a brief one."""

BRIEF_TAPS = 5
"""So many brief taps of one leg in a row, then no more."""

STRAY_S = 2.0
"""So long a tap's channel may live on after its socket was closed, before it is hung up."""

FEATURE_MARK = "callguard"
"""Part of the names in an agent's DYNAMIC_FEATURES."""


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


@dataclass(slots=True)
class _Tapping:
    """One leg that should be heard. token: of the try under way. trying: a task sees to it. up: it delivers."""

    call_id: CallId
    leg: Leg
    token: str = ""
    up: bool = False
    trying: bool = False
    connected: asyncio.Event | None = None
    ended: str = ""
    up_ms: int = 0
    brief: int = 0


class Pbx:
    """See the module.

    host, port, username, secret: the manager account; tls None for plain TCP.
    tap_host, tap_port: where the tap server listens; port 0 picks a free one.
    tap_address: ``host:port`` under which Asterisk reaches it; "" means the listening address.
    tap_processes: more than one reads the taps in processes of their own, on the ports from ``tap_port`` on.
    may_tap: asked before each tap; a leg it refuses stays unheard.
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
        tls: ssl.SSLContext | None = None,
        tap_host: str = "127.0.0.1",
        tap_port: int = 0,
        tap_address: str = "",
        tap_processes: int = 1,
        play_digits: str = "",
        key_digits: str = "",
        ping_every_s: float = 10.0,
        action_timeout_s: float = 5.0,
    ) -> None:
        self._on_news, self._on_frames = on_news, on_frames
        self._on_tap, self._on_link, self._may_tap = on_tap, on_link, may_tap
        self._calls = Calls(digits=frozenset(key_digits))
        self._tap_host, self._tap_port, self._tap_address = tap_host, tap_port, tap_address
        self._sightings = Sightings()
        self._taps = tap_server(
            tap_processes,
            on_frames=self._frames,
            on_up=self._tap_connected,
            on_end=self._tap_ended,
            host=tap_host,
            port=tap_port,
        )
        self._link = AmiLink(
            host=host,
            port=port,
            username=username,
            secret=secret,
            on_event=self._event,
            on_up=self._sync,
            on_down=self._link_down,
            tls=tls,
            ping_every_s=ping_every_s,
            timeout_s=action_timeout_s,
        )
        self.switchboard = AmiSwitchboard(
            link=self._link,
            sightings=self._sightings,
            state=lambda: self._calls,
            tap_address=self._advertised,
            close_tap=self._taps.close,
            play_digits=play_digits,
        )
        self._tapping: dict[LegId, _Tapping] = {}
        self._by_token: dict[str, _Tapping] = {}
        self._ears: dict[str, Callable[[list[tuple[int, bytes]]], None]] = {}
        self._own_alive: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._began_at = ""
        self._version_text = ""
        self._synced = False

    @property
    def calls(self) -> Calls:
        """The tracker's state now."""
        return self._calls

    @property
    def tap_port(self) -> int:
        """Where the tap server listens."""
        return self._taps.port

    async def start(self) -> None:
        """Open the tap port and begin to connect. Returns at once; raises TapFault where the port is taken."""
        await self._taps.start()
        await self._link.start()

    async def wait_ready(self, timeout_s: float) -> None:
        """Until logged in and resynchronised. Raises AmiFault ``ami-refused`` (three refusals) or why not yet."""
        await self._link.wait_up(timeout_s)

    async def retry(self) -> None:
        """Try again after refusals, once the account was put right."""
        await self._link.start()

    async def stop(self) -> None:
        """Close taps and log off. Calls go on; a tap's channel ends by itself when its socket closes."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._taps.stop()
        await self._link.stop()

    def key_refusal(self, leg_id: LegId) -> Refusal | None:
        """Why a key pressed on this leg may not be carried out now, None where it may."""
        return key_refusal(self._calls, leg_id)

    def place(self, uniqueid: str) -> tuple[CallId, LegId] | None:
        """Which leg of which call this channel stands for (a Local half stands for the leg behind it)."""
        return place(self._calls, uniqueid)

    async def open_ear(self, leg: Leg, on_frames: Callable[[list[tuple[int, bytes]]], None]) -> str:
        """A second tap that hears both ways of a leg: what it says, and what is played to it. Returns its token.

        Raises TapFault or AmiFault where it could not be made; the call goes on either way.
        """
        token = str(uuid.uuid4())
        self._ears[token] = on_frames
        self._taps.expect(token)
        try:
            await self.switchboard.tap(leg, token=token, whole=True)
        except BaseException:
            self._ears.pop(token, None)
            self._taps.close(token)
            raise
        return token

    async def close_ear(self, token: str) -> None:
        """End such a tap."""
        self._ears.pop(token, None)
        self._taps.close(token)
        self._spawn(self._sweep(f"{e.OWN_PREFIX}{token}"))

    def health(self) -> PbxHealth:
        """See PbxHealth."""
        connected = self._link.state is LinkState.UP
        return PbxHealth(
            connected=connected,
            version=self._version_text,
            reason="" if connected else self._link.reason or "ami-lost",
            last_event_age_ms=self._link.silent_ms,
            taps_up=sum(t.up for t in self._tapping.values()),
            legs_up=len(self._tapping),
            calls=len(self._calls.calls),
            refusals=self._link.refusals,
            reconnects=max(0, self._link.connects - 1),
            troubles=tuple(t.code for t in versions.troubles(self.switchboard.version)),
        )

    # news

    def _event(self, message: Message) -> None:
        event = decode(message, now_ms())
        if event is None:
            return
        self._note_own(event)
        self._calls, news = apply(self._calls, event)
        self._sightings.see(event)
        self._tell(news)

    def _note_own(self, event: e.PbxEvent) -> None:
        match event:
            case e.ChannelSeen(seen=seen) if seen.ours:
                self._own_alive.add(seen.id)
            case e.HungUp(seen=seen):
                self._own_alive.discard(seen.id)
            case _:
                pass

    def _tell(self, news: list[CallNews]) -> None:
        for one in news:
            self._safely(self._on_news, one)
            match one:
                case LegUp(call_id=call_id, leg=leg):
                    self._want_tap(call_id, leg)
                case LegDown(leg_id=leg_id):
                    self._drop_tap(leg_id)
                case _:
                    pass

    def _safely(self, callback: Callable[..., None], *args: object) -> None:
        try:
            callback(*args)
        except Exception:
            log.exception("a listener of the PBX failed")

    def _link_down(self, reason: str) -> None:
        if self._synced and self._on_link is not None:
            self._safely(self._on_link, False, reason, now_ms())
        self._synced = False

    # the state of the world

    async def _sync(self) -> None:
        """After each login: what Asterisk is, whether it began anew, what exists, what of ours is left over."""
        settings = (await self._link.ask({"Action": "CoreSettings"}))[0]
        status = (await self._link.ask({"Action": "CoreStatus"}))[0]
        self._version_text = text(settings, "AsteriskVersion").removeprefix("Asterisk ")
        self.switchboard.version = versions.parse(self._version_text)
        began_at = f"{text(status, 'CoreStartupDate')} {text(status, 'CoreStartupTime')}"
        restarted = bool(self._began_at) and began_at != self._began_at
        self._began_at = began_at
        channels = await self._link.ask({"Action": "CoreShowChannels"}, expects=Expects.LIST, timeout_s=15.0)
        lines = [m for m in channels if text(m, "Event") == "CoreShowChannel"]
        interfaces = await self._members()
        facts = [found(m, marked=await self._marked(m)) for m in lines]
        await self._clear_strays({f.seen.id for f in facts})
        snapshot = e.Snapshot(at_ms=now_ms(), channels=tuple(facts), restarted=restarted, interfaces=interfaces)
        self._calls, news = resync(self._calls, snapshot)
        self._tell(news)
        self._synced = True
        for tapping in [t for t in self._tapping.values() if not t.up]:
            self._spawn(self._keep_tapped(tapping))
        if self._on_link is not None:
            self._safely(self._on_link, True, "restarted" if restarted else "", now_ms())

    async def _members(self) -> frozenset[str]:
        with contextlib.suppress(AmiFault):
            answer = await self._link.ask({"Action": "QueueStatus"}, expects=Expects.LIST, timeout_s=10.0)
            return frozenset(text(m, "Location") for m in answer if text(m, "Event") == "QueueMember")
        return frozenset()

    async def _marked(self, line: Message) -> bool:
        """Whether this dialled channel carries an agent's keys; queues are known without asking."""
        if text(line, "Application") not in ("AppDial", "AppDial2"):
            return False
        with contextlib.suppress(CallguardError):
            answer = await self._link.ask(
                {"Action": "Getvar", "Channel": text(line, "Channel"), "Variable": "DYNAMIC_FEATURES"}
            )
            return FEATURE_MARK in text(answer[0], "Value")
        return False

    async def _clear_strays(self, existing: set[str]) -> None:
        """Taps and announcements of an earlier life are nobody's: end them. Supervisors' channels are people's."""
        ours = {i for i in existing if i.startswith(e.OWN_PREFIX) and not i.startswith(e.OWN_SPY_PREFIX)}
        self._own_alive = set(ours)
        for stray in ours:
            tapping = self._by_token.get(stray.removeprefix(e.OWN_PREFIX))
            if tapping is None or not tapping.up:
                with contextlib.suppress(CallguardError):
                    await self.switchboard.hang_up(stray)

    # taps

    def _advertised(self, token: str) -> str:
        port = self._taps.port_of(token)
        if not self._tap_address:
            return f"{self._tap_host}:{port}"
        host, _, first = self._tap_address.rpartition(":")
        return f"{host}:{int(first) + (port - self._tap_port if self._tap_port else 0)}"

    def _want_tap(self, call_id: CallId, leg: Leg) -> None:
        call = self._calls.call(call_id)
        if call is None or leg.id in self._tapping:
            return
        if self._may_tap is not None and not self._allowed(call, leg):
            return
        tapping = _Tapping(call_id=call_id, leg=leg)
        self._tapping[leg.id] = tapping
        self._spawn(self._keep_tapped(tapping))

    def _allowed(self, call: Call, leg: Leg) -> bool:
        try:
            return self._may_tap is None or self._may_tap(call, leg)
        except Exception:
            log.exception("may_tap failed; not tapping")
            return False

    def _drop_tap(self, leg_id: LegId) -> None:
        tapping = self._tapping.pop(leg_id, None)
        if tapping is not None and tapping.token:
            self._close(tapping)

    def _close(self, tapping: _Tapping) -> None:
        token, tapping.token = tapping.token, ""
        self._by_token.pop(token, None)
        self._taps.close(token)
        if tapping.up:
            tapping.up = False
            self._tell_tap(tapping, TapState.ENDED, "leg-down")
        self._spawn(self._sweep(f"{e.OWN_PREFIX}{token}"))

    async def _sweep(self, channel: str) -> None:
        """A tap's channel that does not heed its closed socket is hung up."""
        await asyncio.sleep(STRAY_S)
        if channel in self._own_alive:
            with contextlib.suppress(CallguardError):
                await self.switchboard.hang_up(channel)

    async def _keep_tapped(self, tapping: _Tapping) -> None:
        """Try until the tap is up, the leg is gone, or trying is no use."""
        if tapping.trying:
            return
        tapping.trying = True
        try:
            await self._try_taps(tapping)
        finally:
            tapping.trying = False

    async def _try_taps(self, tapping: _Tapping) -> None:
        reason = "tap-refused"
        for wait_s in TAP_TRIES_S:
            await asyncio.sleep(wait_s)
            if self._tapping.get(tapping.leg.id) is not tapping or tapping.up:
                return
            reason = await self._try_tap(tapping)
            if not reason:
                return
            if reason in ("ami-lost", "not-linear"):
                break
        if self._tapping.get(tapping.leg.id) is tapping:
            tapping.token = ""
            self._tell_tap(tapping, TapState.FAILED, reason)

    async def _try_tap(self, tapping: _Tapping) -> str:
        """One try. Returns "" once the tap is up, else why not."""
        token = str(uuid.uuid4())
        tapping.token, tapping.connected, tapping.ended = token, asyncio.Event(), ""
        self._by_token[token] = tapping
        self._taps.expect(token)
        try:
            await self.switchboard.tap(tapping.leg, token=token)
            async with asyncio.timeout(TAP_UP_S):
                await tapping.connected.wait()
            if not tapping.ended:
                return ""
            reason = tapping.ended
        except CallguardError as fault:
            reason = fault.code
        except TimeoutError:
            reason = "tap-silent"
        if tapping.token == token:
            tapping.token = ""
        self._by_token.pop(token, None)
        self._taps.close(token)
        self._spawn(self._sweep(f"{e.OWN_PREFIX}{token}"))
        return reason

    def _tap_connected(self, token: str) -> None:
        tapping = self._by_token.get(token)
        if tapping is None:
            return
        tapping.up, tapping.up_ms = True, now_ms()
        if tapping.connected is not None:
            tapping.connected.set()
        self._tell_tap(tapping, TapState.UP, "")

    def _tap_ended(self, token: str, reason: str) -> None:
        tapping = self._by_token.pop(token, None)
        if tapping is None or tapping.token != token:
            return
        tapping.up, tapping.token, tapping.ended = False, "", reason
        tapping.brief = tapping.brief + 1 if now_ms() - tapping.up_ms < BRIEF_MS else 0
        hopeless = reason == "not-linear" or tapping.brief >= BRIEF_TAPS
        self._tell_tap(tapping, TapState.FAILED if hopeless else TapState.LOST, reason)
        if not hopeless and reason != "stopped" and self._tapping.get(tapping.leg.id) is tapping:
            self._spawn(self._tap_again(tapping))

    async def _tap_again(self, tapping: _Tapping) -> None:
        """Wait whether the leg is just hanging up before tapping anew."""
        await asyncio.sleep(0.5 * (1 + tapping.brief))
        await self._keep_tapped(tapping)

    def _tell_tap(self, tapping: _Tapping, state: TapState, reason: str) -> None:
        if self._on_tap is not None:
            self._safely(self._on_tap, tapping.call_id, tapping.leg.id, state, reason, now_ms())

    def _frames(self, token: str, stamped: list[tuple[int, bytes]]) -> None:
        ear = self._ears.get(token)
        if ear is not None:
            self._safely(ear, stamped)
            return
        tapping = self._by_token.get(token)
        if tapping is not None:
            self._safely(self._on_frames, tapping.call_id, tapping.leg.id, stamped)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("work beside a call failed", exc_info=task.exception())
