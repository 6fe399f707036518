"""What we ask of Asterisk: the only file that builds manager actions.

Every value is cleaned, every wait has an end, and what is reported is the effect that was seen and not the
acknowledgement. A channel that is already gone is no error: what we wanted of it is settled.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from panoramisk.message import Message

from callguard.asterisk import clean, versions
from callguard.asterisk.events import text
from callguard.asterisk.link import AmiLink, Expects
from callguard.calls import events as e
from callguard.calls.facts import Channel, Facts
from callguard.calls.shape import partner, together
from callguard.calls.tracker import Calls
from callguard.model.action import Effect
from callguard.model.call import Call, Leg
from callguard.model.errors import AmiFault, Refused, TapFault
from callguard.model.ids import LegId, Role
from callguard.ports import Done

TRANSFER_CONTEXT = "callguard-transfer"
SAY_CONTEXT = "callguard-say"
DIGIT_MS = 120
"""Length of a key pressed from software, and the pause after it: the whole code stays well inside Asterisk's
featuredigittimeout of 1000 ms a digit."""

BEGIN_S = (0.7, 1.0, 1.3)
"""So long an announcement may take to begin after its keys, by try; later the other way is taken.

Keys that meet the agent in the tone of another key are lost (the agent is out of the bridge for it, up to half a
second). Keys that come once too often do nothing: the first run has taken the announcement's name away.
"""

PRESENCES = ("listen", "whisper", "barge")
"""Modes of presence; the dialplan's ``callguard-listening`` knows ChanSpy's options for each."""

SPY_CONTEXT = "callguard-listen"

RING_S = 30.0
"""So long a supervisor's phone rings."""

_ENDPOINT = re.compile(r"(PJSIP|SIP|IAX2|SCCP)/[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Sightings:
    """Waits for things to be seen among the events. Fed with every event, in order."""

    def __init__(self) -> None:
        self._open: list[tuple[Callable[[e.PbxEvent], bool], asyncio.Future[e.PbxEvent]]] = []

    def see(self, event: e.PbxEvent) -> None:
        """Tell whoever waits for this."""
        for wanted, future in list(self._open):
            if not future.done() and wanted(event):
                future.set_result(event)
                self._open.remove((wanted, future))

    def watch(self, wanted: Callable[[e.PbxEvent], bool]) -> asyncio.Future[e.PbxEvent]:
        """A future for the first such event from now on. Cancel it when it is wanted no more."""
        future: asyncio.Future[e.PbxEvent] = asyncio.get_running_loop().create_future()
        self._open.append((wanted, future))
        future.add_done_callback(lambda done: self._drop(done))
        return future

    def _drop(self, done: asyncio.Future[e.PbxEvent]) -> None:
        self._open = [(w, f) for w, f in self._open if f is not done]


async def _seen(future: asyncio.Future[e.PbxEvent], timeout_s: float) -> e.PbxEvent | None:
    try:
        async with asyncio.timeout(max(0.0, timeout_s)):
            return await future
    except TimeoutError:
        return None
    finally:
        future.cancel()


def _now() -> datetime:
    return datetime.now(UTC)


def _failed(detail: str) -> Done:
    return Done(effect=Effect.FAILED, detail=detail)


class AmiSwitchboard:
    """Keeps the promises of ``ports.Switchboard`` over a manager link.

    state: the tracker's state now. close_tap: closes a tap's socket.
    tap_address: ``host:port`` under which Asterisk shows a token to the tap server.
    """

    def __init__(
        self,
        *,
        link: AmiLink,
        sightings: Sightings,
        state: Callable[[], Calls],
        tap_address: Callable[[str], str],
        close_tap: Callable[[str], None],
        play_digits: str = "",
        sounds_prefix: str = "callguard/",
    ) -> None:
        self._link = link
        self._sightings = sightings
        self._state = state
        self._tap_address = tap_address
        self._close_tap = close_tap
        self._play_digits = clean.digits(play_digits) if play_digits else ""
        self._sounds_prefix = sounds_prefix
        self.version: versions.Version | None = None

    # taps

    async def tap(self, leg: Leg, *, token: str, whole: bool = False) -> None:
        """Start one leg's tap. whole: hear also what is sent to it (without ChanSpy's ``o``).

        Raises TapFault where Asterisk did not make it, AmiFault where it did not say.
        """
        answer = await self._link.ask(
            {
                "Action": "Originate",
                "Channel": f"AudioSocket/{self._tap_address(token)}/{uuid.UUID(token)}/c(slin)",
                "Application": "ChanSpy",
                "Data": f"{clean.channel(leg.id)},{'quES' if whole else 'quESo'}",
                "ChannelId": f"{e.OWN_PREFIX}{token}",
                "Timeout": "5000",
            },
            expects=Expects.ORIGINATE,
            timeout_s=8.0,
        )
        if not _went_well(answer):
            raise TapFault("Asterisk did not make the tap", code="tap-refused")

    async def untap(self, *, token: str) -> None:
        """End a tap: the socket first, since a spy on a silent leg may not heed a hangup; then the channel."""
        self._close_tap(token)
        await self._hangup(f"{e.OWN_PREFIX}{token}")

    # sound to one party

    async def play(self, call: Call, *, announcement: str, language: str, timeout_s: float) -> Done:
        """Play an announcement to the caller alone. DONE is said only when the dialplan reported its end."""
        name, spoken = clean.file_part(announcement), clean.file_part(language)
        caller, agent = self._caller(call), self._agent(call)
        if caller is None:
            return _failed("no-caller")
        try:
            async with asyncio.timeout(timeout_s):
                done = None
                if self._play_digits and agent is not None:
                    done = await self._play_by_feature(caller, agent, name, spoken, timeout_s)
                return done or await self._whisper(caller.id, name, spoken, timeout_s)
        except TimeoutError:
            return Done(effect=Effect.NOT_CONFIRMED, detail="no end was seen in time")
        except AmiFault as fault:
            return _failed(fault.code)

    async def _play_by_feature(
        self, caller: Leg, agent: Leg, name: str, language: str, timeout_s: float
    ) -> Done | None:
        """Press the feature's keys for the agent. None where nothing began, so that another way may be tried."""
        play_id = uuid.uuid4().hex
        targets = [caller.id, *self._halves_between(agent)]
        ours = _announcement(play_id)
        begin = self._sightings.watch(lambda event: ours(event, "begin"))
        end = self._sightings.watch(lambda event: ours(event, "end"))
        gone = self._sightings.watch(lambda event: isinstance(event, e.HungUp) and event.seen.id == caller.id)
        try:
            for target in targets:
                await self._set(target, {"_ID": play_id, "_LANG": language, "": name})
            for wait_s in BEGIN_S:
                await self._press(agent.id, self._play_digits)
                await _first([begin, end, gone], wait_s)
                if begin.done() or end.done() or gone.done():
                    break
            if not begin.done() and not end.done():
                return _failed("caller-gone") if gone.done() else None
            started = _now()
            await _first([end, gone], timeout_s)
            return _played(end, gone, started)
        finally:
            for future in (begin, end, gone):
                future.cancel()
            for target in targets:
                with suppress(AmiFault):
                    await self._set(target, {"": ""})

    async def _set(self, channel: str, values: Mapping[str, str]) -> None:
        for suffix, value in values.items():
            await self._link.ask(
                {
                    "Action": "Setvar",
                    "Channel": clean.channel(channel),
                    "Variable": clean.variable_name(f"CALLGUARD_PLAY{suffix}"),
                    "Value": clean.variable_value(value),
                }
            )

    async def _press(self, channel: str, digits: str) -> None:
        for digit in clean.digits(digits):
            await self._link.ask(
                {
                    "Action": "PlayDTMF",
                    "Channel": clean.channel(channel),
                    "Digit": digit,
                    "Duration": str(DIGIT_MS),
                    "Receive": "true",
                }
            )
            await asyncio.sleep(DIGIT_MS * 2 / 1000)

    async def _whisper(self, target: LegId, name: str, language: str, timeout_s: float) -> Done:
        """Whisper a sound to one party. Whether it was heard cannot be known: never DONE (see asterisk #1966)."""
        if versions.forbids(self.version, "whisper"):
            return _failed("whisper-unsafe-here")
        serial, play_id = uuid.uuid4().hex, uuid.uuid4().hex
        ours = _announcement(play_id)
        end = self._sightings.watch(lambda event: ours(event, "end"))
        spied = self._sightings.watch(lambda event: isinstance(event, e.Spied) and event.spyer.id.endswith(serial))
        try:
            answer = await self._link.ask(
                {
                    "Action": "Originate",
                    "Channel": f"Local/s@{SAY_CONTEXT}/n",
                    "Application": "ChanSpy",
                    "Data": f"{clean.channel(target)},quESw",
                    "ChannelId": f"{e.OWN_PREFIX}say-{serial}",
                    "OtherChannelId": f"{e.OWN_PREFIX}say2-{serial}",
                    "Variable": [
                        f"__CALLGUARD_PLAY={clean.variable_value(name)}",
                        f"__CALLGUARD_PLAY_ID={play_id}",
                        f"__CALLGUARD_PLAY_LANG={clean.variable_value(language)}",
                    ],
                    "Timeout": "5000",
                },
                expects=Expects.ORIGINATE,
                timeout_s=8.0,
            )
            if not _went_well(answer):
                return _failed("whisper-refused")
            started = _now()
            if await _seen(spied, 2.0) is None:
                await self._hangup(f"{e.OWN_PREFIX}say-{serial}")
                return _failed("whisper-did-not-attach")
            ended = await _seen(end, timeout_s)
            ok = isinstance(ended, e.UserNoted) and ended.value("Status").upper() == "SUCCESS"
            return Done(
                effect=Effect.NOT_CONFIRMED if ok else Effect.FAILED,
                started_at=started,
                ended_at=_now(),
                detail="whispered" if ok else "whisper-sound-missing",
            )
        finally:
            spied.cancel()
            end.cancel()

    async def tell_agent(self, call: Call, *, sound: str, language: str) -> Done:
        """Let the agent alone hear a sound. Never confirmed, since a whisper is not."""
        agent = self._agent(call)
        if agent is None:
            return _failed("no-agent")
        try:
            return await self._whisper(agent.id, clean.file_part(sound), clean.file_part(language), 15.0)
        except AmiFault as fault:
            return _failed(fault.code)

    # the way a call goes

    async def transfer(self, call: Call, *, extension: str, timeout_s: float) -> Done:
        """Send the caller to an extension of the transfer context. Raises Refused for anything but 2 to 6 digits."""
        goal = clean.destination(extension)
        caller, agent = self._caller(call), self._agent(call)
        if caller is None:
            return _failed("no-caller")
        try:
            if not await self._exists(goal):
                return _failed("no-destination")
            left = self._sightings.watch(
                lambda event: isinstance(event, e.BridgeLeft | e.Renamed) and event.seen.id == caller.id
            )
            gone = self._sightings.watch(lambda event: isinstance(event, e.HungUp) and event.seen.id == caller.id)
            try:
                started = _now()
                if not await self._send_away(caller, agent, goal):
                    return _failed("transfer-refused")
                await _first([left, gone], timeout_s)
                if gone.done() and not left.done():
                    return _failed("caller-gone")
                seen = left.done() or not self._bridged(caller.id)
                return Done(effect=Effect.DONE if seen else Effect.NOT_CONFIRMED, started_at=started, ended_at=_now())
            finally:
                left.cancel()
                gone.cancel()
        except AmiFault as fault:
            return _failed(fault.code)

    async def _exists(self, extension: str) -> bool:
        """Whether the transfer context has this extension: a redirect to nowhere would drop the caller."""
        answer = await self._link.ask(
            {"Action": "ShowDialPlan", "Context": TRANSFER_CONTEXT, "Extension": extension}, expects=Expects.LIST
        )
        return any(text(m, "Event") == "ListDialplan" for m in answer)

    async def _send_away(self, caller: Leg, agent: Leg | None, goal: str) -> bool:
        if agent is not None and self._two_alone(caller, agent):
            answer = await self._link.ask(
                {
                    "Action": "BlindTransfer",
                    "Channel": clean.channel(agent.id),
                    "Context": TRANSFER_CONTEXT,
                    "Exten": goal,
                }
            )
            if answer[0].response == "Success":
                return True
        answer = await self._link.ask(
            {
                "Action": "Redirect",
                "Channel": clean.channel(caller.id),
                "Context": TRANSFER_CONTEXT,
                "Exten": goal,
                "Priority": "1",
            }
        )
        return bool(answer[0].response == "Success")

    async def end(self, call: Call, *, announcement: str, language: str, timeout_s: float) -> Done:
        """Play the closing words, then end the caller's leg. The call ends also where the words could not be played."""
        caller = self._caller(call)
        if caller is None:
            return Done(effect=Effect.DONE, ended_at=_now(), detail="caller-gone")
        started = _now()
        played = await self.play(call, announcement=announcement, language=language, timeout_s=timeout_s)
        gone = self._sightings.watch(lambda event: isinstance(event, e.HungUp) and event.seen.id == caller.id)
        try:
            await self._hangup(caller.id, cause="16")
            seen = await _seen(gone, 5.0)
        except AmiFault as fault:
            return _failed(fault.code)
        over = seen is not None or caller.id not in self._state().facts.channels
        closing = "" if played.effect is Effect.DONE else f"closing {played.effect}: {played.detail}"
        return Done(
            effect=Effect.DONE if over else Effect.NOT_CONFIRMED, started_at=started, ended_at=_now(), detail=closing
        )

    async def hang_up(self, channel: str) -> None:
        """End one channel of ours (a supervisor's, a stray tap). Raises Refused for any other."""
        if not channel.startswith(e.OWN_PREFIX):
            raise Refused("only channels of our own are ended this way")
        await self._hangup(channel)

    async def _hangup(self, channel: str, *, cause: str = "") -> None:
        headers = {"Action": "Hangup", "Channel": clean.channel(channel)}
        await self._link.ask(headers | ({"Cause": cause} if cause else {}))

    # agents and supervisors

    async def rest(self, interface: str, *, paused: bool, reason: str) -> Done:
        """Pause or bring back a queue member, by its exact interface, in all its queues."""
        member = clean.ami_value(interface)
        try:
            answer = await self._link.ask(
                {
                    "Action": "QueuePause",
                    "Interface": member,
                    "Paused": "true" if paused else "false",
                    "Reason": clean.user_event_value(reason),
                }
            )
            if answer[0].response != "Success":
                return _failed("no-such-member")
            status = await self._link.ask({"Action": "QueueStatus", "Member": member}, expects=Expects.LIST)
        except AmiFault as fault:
            return _failed(fault.code)
        states = {text(m, "Paused") for m in status if text(m, "Event") == "QueueMember"}
        as_asked = states == {"1" if paused else "0"}
        return Done(effect=Effect.DONE if as_asked else Effect.NOT_CONFIRMED, started_at=_now(), ended_at=_now())

    async def spy(self, call: Call, *, supervisor: str, mode: str) -> Done:
        """Ring a supervisor's phone and let it listen, whisper or barge. ``detail`` is the channel it got.

        Raises Refused where the mode would leak to the caller, is unsafe on this Asterisk, or has nobody to hear.
        """
        if mode not in PRESENCES:
            raise Refused("there is no such mode of presence", code="presence-unknown")
        if not _ENDPOINT.fullmatch(supervisor):
            raise Refused("this is no supervisor's phone", code="unsafe-text")
        agent = self._may_spy(call, mode)
        changeable = not any(versions.forbids(self.version, one) for one in PRESENCES)
        own = f"{e.OWN_SPY_PREFIX}{uuid.uuid4().hex}"
        began = self._sightings.watch(
            lambda event: isinstance(event, e.Spied) and event.began and own in (event.spyer.id, event.spyer.linked)
        )
        try:
            answer = await self._link.ask(
                {
                    "Action": "Originate",
                    "Channel": supervisor,
                    "Context": SPY_CONTEXT,
                    "Exten": "s",
                    "Priority": "1",
                    "Variable": ",".join(
                        (
                            f"CG_SPY_ON={clean.channel(agent.id)}",
                            f"CG_SPY_MODE={mode}",
                            f"CG_SPY_KEYS={int(changeable)}",
                        )
                    ),
                    "ChannelId": own,
                    "CallerID": f"callguard {mode}",
                    "Timeout": str(int(RING_S * 1000)),
                },
                expects=Expects.ORIGINATE,
                timeout_s=RING_S + 5,
            )
            if not _went_well(answer):
                return _failed("supervisor-did-not-answer")
            seen = await _seen(began, 3.0)
        except AmiFault as fault:
            return _failed(fault.code)
        finally:
            began.cancel()
        return Done(effect=Effect.DONE if seen else Effect.NOT_CONFIRMED, started_at=_now(), detail=own)

    def _may_spy(self, call: Call, mode: str) -> Leg:
        caller, agent = self._caller(call), self._agent(call)
        if caller is None or agent is None:
            raise Refused("caller and agent are not talking now", code="presence-nobody")
        trouble = versions.forbids(self.version, mode)
        if trouble:
            raise Refused("this Asterisk has a known fault in that mode", code="presence-unsafe-here")
        if mode == "barge" and not self._two_alone(caller, agent):
            raise Refused("barging needs exactly two parties in the bridge", code="presence-not-two")
        return agent

    # who is who now

    def _facts(self) -> Facts:
        return self._state().facts

    def _caller(self, call: Call) -> Leg | None:
        now = self._state().call(call.id)
        return next(iter(now.of_role(Role.CALLER)), None) if now is not None else None

    def _agent(self, call: Call) -> Leg | None:
        """The agent who talks to the caller now; the one who came last where there are several."""
        guarded = self._state().guarded.get(call.id)
        if guarded is None:
            return None
        agents = [leg for leg in guarded.call.of_role(Role.AGENT) if leg.id in guarded.talking and leg.id in guarded.up]
        return agents[-1] if agents else None

    def _bridged(self, channel_id: str) -> bool:
        channel = self._facts().channels.get(channel_id)
        return channel is not None and bool(channel.bridge)

    def _two_alone(self, caller: Leg, agent: Leg) -> bool:
        facts = self._facts()
        one, other = facts.channels.get(caller.id), facts.channels.get(agent.id)
        if one is None or other is None:
            return False
        mates = set(together(facts, one)) | set(together(facts, other))
        persons = {m for m in mates if m in facts.channels and facts.channels[m].person}
        return persons == {caller.id, agent.id}

    def _halves_between(self, agent: Leg) -> Sequence[str]:
        """Local halves between agent and caller: with ``/n`` the feature may run on one of them."""
        facts = self._facts()
        here = facts.channels.get(agent.id)
        if here is None:
            return ()
        near: list[Channel] = [facts.channels[m] for m in together(facts, here) if m in facts.channels]
        return [c.id for c in near if c.local is not None and partner(facts, c) is not None]


def _went_well(answer: list[Message]) -> bool:
    last = answer[-1]
    return bool(last.response == "Success") and len(answer) > 1


def _announcement(play_id: str) -> Callable[[e.PbxEvent, str], bool]:
    def ours(event: e.PbxEvent, stage: str) -> bool:
        return (
            isinstance(event, e.UserNoted)
            and event.name.lower() == "callguardannouncement"
            and event.value("PlayId") == play_id
            and event.value("Stage").lower() == stage
        )

    return ours


async def _first(futures: Sequence[asyncio.Future[e.PbxEvent]], timeout_s: float) -> None:
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


def _played(end: asyncio.Future[e.PbxEvent], gone: asyncio.Future[e.PbxEvent], started: datetime) -> Done:
    if end.done() and not end.cancelled():
        event = end.result()
        status = event.value("Status").upper() if isinstance(event, e.UserNoted) else ""
        effect = Effect.DONE if status == "SUCCESS" else Effect.FAILED
        detail = "" if effect is Effect.DONE else f"playback {status.lower() or 'unknown'}"
        return Done(effect=effect, started_at=started, ended_at=_now(), detail=detail)
    if gone.done() and not gone.cancelled():
        return Done(effect=Effect.CUT_SHORT, started_at=started, ended_at=_now(), detail="caller-gone")
    return Done(effect=Effect.NOT_CONFIRMED, started_at=started, ended_at=_now(), detail="no end was seen in time")
