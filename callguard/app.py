"""The daemon: real things put together in one place, started in order, stopped in reverse.

What is missing is said and lived without (no model, no bus, no manager link, no desk): calls are guarded by what is
there.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.metadata
import json
import logging
import os
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from callguard.asterisk.pbx import Pbx, TapState, now_ms
from callguard.bus.jobs import HearingLine, hearing_url
from callguard.bus.link import Bus
from callguard.bus.messages import HealthTold, Order, OrderAnswer
from callguard.bus.topics import BOARD, INCOMING, KEYS, ORDERS, Topic
from callguard.bus.valkey import EmbeddedValkey
from callguard.config import Settings
from callguard.model.action import CallFacts, Refusal
from callguard.model.call import Call, CallBegan, CallEnded, CallNews, Leg, PbxNote
from callguard.model.case import CaseOpened, RecordKind
from callguard.model.errors import BusFault, CallguardError, StoreFault
from callguard.model.ids import CallId, LegId, Role
from callguard.model.key import Flag, FlaggedBy, Key, SeenBy
from callguard.model.policy import Policy
from callguard.model.sound import Level, Overlap
from callguard.model.words import Readings, Transcript
from callguard.observe.metrics import Metrics, serve_metrics
from callguard.policy.callers import is_one_person, is_protected, is_relay
from callguard.policyfile import load_policy, load_rules, own_queues
from callguard.ports import SecondOpinion
from callguard.session import records
from callguard.session.evidence import Desk
from callguard.session.guarded import Earlier, GuardedCall, House
from callguard.session.judging import Guard
from callguard.session.listening import Hearing, Listening, Pace
from callguard.session.orders import carry_out
from callguard.session.presses import Exchange, KeyAsked, Presses, read_spool
from callguard.session.rests import Rests
from callguard.session.rows import row_of
from callguard.session.writing import Writer
from callguard.store import Store, open_store

log = logging.getLogger(__name__)

TICK_S = 1.0
WRITE_S = 0.4
ROWS_S = 0.25
HOUSEKEEPING_S = 60.0
FOUND_S = 5.0
"""So long after the first synchronisation every call that goes on has found the case that an earlier life opened."""

HEALTH_S = 2.0
ALIVE_S = 6
SYNC_WAIT_S = 15.0
"""So long keys wait for the first picture of the PBX; without one they stay where they are."""

EVENTS_HELD = 5_000
MODES_KEPT = 500
"""So many supervisors' phones are remembered with the mode they listened in."""

WORKER_WAITS_S = (0.2, 1.0, 5.0, 15.0, 30.0)


class Guards:
    """Policies with their rules, by queue. A reload swaps all of them or none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with _for_good():
            self._read = {"": self._load("")}
            for queue in self._named():
                self.of(queue)

    @property
    def general(self) -> Guard:
        """What calls are judged by whose queue has nothing of its own."""
        return self._read[""]

    def of(self, queue: str) -> Guard:
        """What a call in this queue is judged by. A queue whose own policy is broken falls back to the general one."""
        if queue not in self._read:
            try:
                self._read[queue] = self._load(queue)
            except CallguardError as error:
                log.error("the policy of a queue cannot be used; the general one holds", extra={"code": error.code})
                self._read[queue] = self.general
        return self._read[queue]

    def in_force(self) -> list[Policy]:
        """Every policy that calls are judged by now."""
        return [guard.policy for guard in self._read.values()]

    def reload(self) -> None:
        """Read everything anew. Raises SettingsError, and keeps the old, where anything is wrong.

        Compiling rules takes seconds: called from another thread, the calls are guarded by the old ones meanwhile.
        """
        with _for_good():
            self._read = {queue: self._load(queue) for queue in {*self._read, *self._named()}}

    def _named(self) -> set[str]:
        """The queues that the settings or the general policy name."""
        policy = self._settings.policy
        return {*policy.queues, *own_queues(policy.file)}

    def _load(self, queue: str) -> Guard:
        policy = load_policy(self._settings.policy.for_queue(queue), queue=queue)
        return Guard(policy=policy, rules=load_rules(policy))


@contextlib.contextmanager
def _for_good() -> Iterator[None]:
    """What is made within stays for long: no walk of the garbage collector goes through it, neither now nor later.

    Over the rules and weights of two languages one walk takes 0.4 s or more, in which no key would be heard.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Daemon:
    """See the module. ``run`` until SIGTERM; every part can also be driven by a test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.guards = Guards(settings)
        self.metrics = Metrics(version=importlib.metadata.version("callguard"))
        self.calls: dict[CallId, GuardedCall] = {}
        self.stopping = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._events: asyncio.Queue[BaseModel] = asyncio.Queue(maxsize=EVENTS_HELD)
        self._tasks: list[asyncio.Task[None]] = []
        self._asides: set[asyncio.Task[None]] = set()
        self._untapped: set[str] = set()
        self._languages: dict[str, str] = {}
        self._listeners: dict[str, tuple[str, str]] = {}
        self._record, self._sound, self._finishing = Writer("record"), Writer("sound"), Writer("finishing")
        self._bus_ok, self._store_fault = True, ""
        self._speech_fault = ""
        self._low_disk = False
        self._web: Any = None

    # life

    async def run(self) -> None:
        """Start, guard calls, stop when told to."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._aside(self.reload()))
        try:
            await self.start()
            notify("READY=1")
            await self.stopping.wait()
        finally:
            notify("STOPPING=1")
            await self.stop()

    async def start(self) -> None:
        """Bring everything up. Raises only for what nothing works without: the store."""
        settings = self.settings
        self.store: Store = open_store(
            settings.store.url,
            segments=settings.store.segments,
            key_file=settings.store.key_file,
            archive=settings.store.archive,
        )
        self.tracks = self.store.tracks()
        await self._repair()
        await self._keep_policies()
        await self._start_bus()
        self._start_hearing()
        self.pbx = self._make_pbx()
        self.rests = Rests(settings.bus.data_dir / "rests.json", switchboard=self.pbx.switchboard, wall=wall)
        self.presses = Presses(self._exchange())
        self.house = self._make_house()
        await self.line.start()
        await self.pbx.start()
        await self._start_desk()
        self._go(self._publish(), "board")
        self._go(self._every(TICK_S, self._tick), "tick")
        self._go(self._every(WRITE_S, self._write_sound), "sound")
        self._go(self._every(ROWS_S, self._rows), "rows")
        self._go(self._every(HEALTH_S, self._health), "health")
        self._go(self._every(HOUSEKEEPING_S, self._keep_house), "housekeeping")
        if settings.store.purge_hours:
            self._go(self._every(settings.store.purge_hours * 3600, self._purge), "purge")
        self._go(self._take_when_ready(), "take")

    async def stop(self) -> None:
        """Leave every call alone, finish what is half done."""
        self.stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks, timeout=5) if self._tasks else None
        for part in (self._stop_desk, self._stop_calls, self._stop_pbx, self._stop_hearing, self._stop_bus):
            try:
                await part()
            except Exception:
                log.exception("a part did not stop cleanly")
        for aside in list(self._asides):
            aside.cancel()
        await asyncio.gather(*self._asides, return_exceptions=True)
        for writer in (self._record, self._sound, self._finishing):
            writer.close()
        if hasattr(self, "store"):
            self.store.close()

    async def reload(self) -> None:
        """Policies and rules anew; on any error the old ones stay and the error is said. One reload at a time."""
        async with self._reloading:
            notify("RELOADING=1")
            try:
                await asyncio.to_thread(self.guards.reload)
                log.info("policies were read anew", extra={"hash": self.guards.general.policy.hash[:12]})
                await self._keep_policies()
            except CallguardError as error:
                log.error("the policies were not reloaded; the old ones hold: %s", error)
            finally:
                notify("READY=1")

    def _go(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(_complain)
        self._tasks.append(task)

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)
        task.add_done_callback(_complain)

    async def _every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while not self.stopping.is_set():
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception:
                log.exception("regular work failed")

    async def _repair(self) -> None:
        """Segments that an earlier life left half written are finished and marked."""
        repaired = await self._sound.do(self.store.repair)
        if repaired:
            log.warning("half-written segments were finished", extra={"segments": len(repaired)})

    async def _close_left(self) -> None:
        """Cases whose call ended while no daemon watched are closed; a call that goes on has found its case by now."""
        try:
            left = await self._record.do(self.store.left_open)
            mine = {one.evidence.case for one in self.calls.values()}
            for case, call in left.items():
                if case not in mine and call not in self.calls:
                    await self._record.do(self.store.close_left, case)
        except StoreFault as fault:
            log.error("a case left open could not be closed", extra={"code": fault.code})

    async def _keep_policies(self) -> None:
        """A decision names its policy by hash; the store keeps the text behind each hash for the bundle."""
        for policy in self.guards.in_force():
            text = json.dumps(records.plain(policy), ensure_ascii=False, indent=1, sort_keys=True)
            try:
                await self._record.do(self.store.keep_policy, policy.hash, name=policy.name, text=text)
            except StoreFault as fault:
                log.error("a policy's text could not be stored", extra={"code": fault.code})

    async def _keep_house(self) -> None:
        """Policies of queues that came up since, and finished sound on its way to the archive."""
        await self._keep_policies()
        await self._finishing.do(self.store.archive)
        folder = self.settings.store.segments
        free_mb = shutil.disk_usage(folder).free // 1_000_000 if folder.exists() else 0
        self._low_disk = free_mb < self.settings.store.min_free_mb

    async def _purge(self) -> None:
        """Delete, provably, the cases whose time is over and that nobody holds."""
        keeping = {policy.queue: policy.keeping for policy in self.guards.in_force()}
        general = self.guards.general.policy.keeping
        deleted = await self._finishing.do(self.store.purge, lambda queue: keeping.get(queue, general), who="callguard")
        log.info("cases whose time is over were deleted", extra={"cases": deleted})

    # the bus

    async def _start_bus(self) -> None:
        bus = self.settings.bus
        self.valkeys: list[EmbeddedValkey] = []
        url = bus.url
        if bus.embedded:
            size = f"{bus.maxmemory_mb}mb"
            self.valkeys = [
                EmbeddedValkey(bus.data_dir, socket_dir=bus.socket_dir, max_memory=size),
                EmbeddedValkey(
                    bus.data_dir / "hearing", socket_dir=bus.socket_dir / "hearing", max_memory=size, durable=False
                ),
            ]
            for server in self.valkeys:
                await server.start()
            url = self.valkeys[0].url
        self.bus = Bus(url)
        self.hearing_bus = Bus(hearing_url(bus.url, bus.socket_dir))
        self.bus_url = url
        bus.data_dir.mkdir(parents=True, exist_ok=True)

    async def _stop_bus(self) -> None:
        if not hasattr(self, "bus"):
            return
        await self.bus.close()
        await self.hearing_bus.close()
        for server in self.valkeys:
            await server.stop()

    def tell(self, event: BaseModel) -> None:
        """For the board. Never waits; the oldest is dropped where nobody takes them."""
        self.metrics.take(event)
        while True:
            try:
                self._events.put_nowait(event)
                return
            except asyncio.QueueFull:
                self._events.get_nowait()

    async def _publish(self) -> None:
        while True:
            event = await self._events.get()
            try:
                await self.bus.add(BOARD, {"json": event.model_dump_json()})
                self._bus_ok = True
            except BusFault:
                self._bus_ok = False
                await asyncio.sleep(0.5)

    async def _answer(self, asked_id: str, answer: dict[str, str]) -> None:
        with contextlib.suppress(BusFault):
            await self.bus.answer(asked_id, answer)

    # hearing

    def _start_hearing(self) -> None:
        speech = self.settings.speech
        name = f"{socket.gethostname()}-{os.getpid()}"
        self.line = HearingLine(self.hearing_bus, daemon=name)
        self.listening = Listening(
            self.line,
            on_transcript=self._transcript,
            on_readings=self._readings,
            on_level=self._level,
            on_overlap=self._overlap,
            on_health=self._hearing_changed,
            pace=Pace(step_ms=speech.step_ms, deadline_ms=speech.deadline_ms),
            vad_mode=speech.vad_mode,
        )
        self._workers: list[asyncio.subprocess.Process] = []
        if speech.enabled:
            for _ in range(speech.workers):
                self._go(self._keep_worker(), "worker")

    async def _keep_worker(self) -> None:
        """One recognizer process, started again when it ends, slower each time it ends young."""
        tries = 0
        while not self.stopping.is_set():
            began = asyncio.get_running_loop().time()
            worker = await self._start_worker()
            self._workers.append(worker)
            assert worker.stderr is not None
            async for line in worker.stderr:
                text = line.decode("utf-8", "replace").rstrip()
                if text.startswith("callguard:"):
                    self._speech_fault = "model-missing" if "no speech model" in text else "model-failed"
                log.info("worker: %s", text)
            await worker.wait()
            self._workers.remove(worker)
            if self.stopping.is_set():
                return
            tries = 0 if asyncio.get_running_loop().time() - began > 60 else tries + 1
            await asyncio.sleep(WORKER_WAITS_S[min(tries, len(WORKER_WAITS_S) - 1)])

    async def _start_worker(self) -> asyncio.subprocess.Process:
        environment = dict(os.environ)
        arguments = [sys.executable, "-c", "from callguard.cli import main; main()", "worker"]
        arguments += ["--url", self.hearing_bus.url]
        if self.settings.files:
            arguments += ["--settings", str(self.settings.files[0])]
        return await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            preexec_fn=_die_with_parent,
        )

    async def _stop_hearing(self) -> None:
        if not hasattr(self, "line"):
            return
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                worker.terminate()
        for worker in list(self._workers):
            try:
                await asyncio.wait_for(worker.wait(), 5)
            except TimeoutError:
                worker.kill()
                await worker.wait()
        await self.line.stop()

    def _transcript(self, said: Transcript) -> None:
        self._put_by_leg(said.leg, said)

    def _readings(self, readings: Readings) -> None:
        self._put_by_leg(readings.transcript.leg, readings)

    def _level(self, level: Level) -> None:
        self._put_by_leg(level.leg, level)

    def _overlap(self, overlap: Overlap) -> None:
        self._put_by_leg(overlap.interrupter, overlap)

    def _put_by_leg(self, leg: LegId, event: Transcript | Readings | Level | Overlap) -> None:
        call = self._by_leg.get(leg)
        if call is not None:
            call.put(event)

    def _hearing_changed(self, state: Hearing) -> None:
        for call in self.calls.values():
            call.put(("hearing", state.value, False))

    @property
    def hearing(self) -> Hearing:
        """How well we hear now."""
        if not self.settings.speech.enabled or not self.line.workers:
            return Hearing.NOT_LISTENING
        return self.listening.state

    # the PBX

    def _make_pbx(self) -> Pbx:
        settings, keys = self.settings, self.guards.general.policy.keys
        self._by_leg: dict[LegId, GuardedCall] = {}
        digits = {digit for _, combination in keys.digits for digit in combination}
        return Pbx(
            host=settings.asterisk.host,
            port=settings.asterisk.port,
            username=settings.asterisk.username,
            secret=settings.asterisk.secret.get_secret_value(),
            on_news=self._news,
            on_frames=self._frames,
            on_tap=self._tap_told,
            on_link=self._link_told,
            may_tap=self._may_tap,
            tls=_tls(settings),
            tap_host=settings.taps.host,
            tap_port=settings.taps.port,
            tap_address=settings.taps.advertise,
            tap_processes=settings.taps.processes,
            play_digits=keys.play,
            key_digits="".join(sorted(digits)),
            ping_every_s=settings.asterisk.ping_s,
            action_timeout_s=settings.asterisk.timeout_s,
        )

    async def _stop_pbx(self) -> None:
        if hasattr(self, "pbx"):
            await self.pbx.stop()

    def _may_tap(self, call: Call, leg: Leg) -> bool:
        return not ({str(call.id), *call.linked} & self._untapped)

    def _news(self, news: CallNews) -> None:
        if isinstance(news, CallBegan):
            self._begin(news.call)
        call_id = news.call.id if isinstance(news, CallBegan | CallEnded) else news.call_id
        if isinstance(news, PbxNote) and self._noted(news):
            return
        call = self.calls.get(call_id) if call_id is not None else None
        if call is not None:
            call.put(news)

    def _begin(self, call: Call) -> None:
        if call.id in self.calls:
            return
        guarded = GuardedCall(call, guard=self.guards.of(call.queue), house=self.house)
        self.calls[call.id] = guarded
        guarded.start()

    def _noted(self, note: PbxNote) -> bool:
        """True for what is not for a call's own door."""
        if note.kind == "user-event" and note.name.lower() == "callguardrestback":
            self._aside(self._rest_back(note.value("Interface")))
            return True
        if note.kind == "user-event" and note.name.lower() == "callguardlistening":
            here = (note.value("Phone"), (note.value("Mode"), note.value("Who")))
            self._listeners = dict([*self._listeners.items(), here][-MODES_KEPT:])
            return True
        call = self.calls.get(note.call_id) if note.call_id is not None else None
        if note.kind == "digit":
            if call is not None:
                self.presses.digit(note, call)
            return True
        return False

    async def _rest_back(self, interface: str) -> None:
        with contextlib.suppress(CallguardError):
            await self.rests.back(interface)

    def _frames(self, call_id: CallId, leg_id: LegId, stamped: list[tuple[int, bytes]]) -> None:
        call = self.calls.get(call_id)
        if call is not None and not call.closed:
            self._by_leg[leg_id] = call
            call.frames(leg_id, stamped)

    def _tap_told(self, call_id: CallId, leg_id: LegId, state: TapState, reason: str, at_ms: int) -> None:
        call = self.calls.get(call_id)
        if call is not None and state in (TapState.LOST, TapState.FAILED):
            call.put(("tap", f"{state}: {reason}", False))

    def _link_told(self, up: bool, reason: str, at_ms: int) -> None:
        if not up:
            log.error("the manager link is lost", extra={"code": reason})
        for call in self.calls.values():
            call.put(("manager", reason or "back", up))

    # calls

    def _make_house(self) -> House:
        return House(
            desk=Desk(
                store=self.store, tracks=self.tracks, record=self._record, sound=self._sound, finishing=self._finishing
            ),
            switchboard=self.pbx.switchboard,
            ears=self.pbx,
            listening=self.listening,
            tell=self.tell,
            answer=self._answer,
            rest=self.rests.begin,
            key_refusal=self.pbx.key_refusal,
            listener=lambda phone: self._listeners.get(phone, ("", "")),
            clock_ms=now_ms,
            wall=wall,
            languages=self.settings.speech.languages,
            look_up=self._look_up,
            earlier=self._earlier,
            over=self._over,
            opinion=self._make_opinion(),
        )

    def _make_opinion(self) -> SecondOpinion | None:
        asked = self.settings.second_opinion
        if asked.url:
            from callguard.opinion.language_model import LanguageModel

            key = asked.key.get_secret_value()
            return LanguageModel(asked.url, model=asked.model, key=key, timeout_s=asked.timeout_s)
        if asked.classifier:
            from callguard.opinion.classifier import Classifier

            return Classifier(asked.classifier, timeout_s=asked.timeout_s)
        return None

    async def _look_up(self, call: Call, policy: Policy) -> CallFacts:
        caller = next(iter(call.of_role(Role.CALLER)), None)
        number = caller.number if caller else ""
        known = is_one_person(policy, number)
        count, rung = 0, 0
        if known:
            since = wall() - timedelta(days=policy.repeat.window_days)
            count, rung = await self._record.do(self.store.earlier_calls, number, since=since)
        language = self._languages.pop(call.id, "") or (policy.languages[0] if len(policy.languages) == 1 else "")
        return CallFacts(
            call=call.id,
            queue=call.queue,
            language=language,
            caller_leg=caller.id if caller else None,
            protected=is_protected(policy, number, call.queue),
            relay=is_relay(policy, number),
            number_known=known,
            earlier_calls=count,
            earlier_rung=rung,
        )

    async def _earlier(self, call: CallId) -> Earlier | None:
        """The case an earlier life of the daemon opened for this call: its flags, its rung, its presses."""
        case = await self._record.do(self.store.open_case_of, call)
        if case is None:
            return None
        flags: dict[tuple[str, str, int], Flag] = {}
        rung = 0
        for line in await self._record.do(self.store.records, case):
            data = line.data
            if line.kind is RecordKind.KEY:
                self.presses.known.add(str(data.get("id", "")))
            elif line.kind is RecordKind.ANNOUNCEMENT and data.get("whole"):
                rung = max(rung, int(data.get("rung", 0)))
            elif line.kind is RecordKind.FLAG:
                flag = _flag_of(data)
                flags[(flag.by.value, flag.reason, flag.at_ms)] = flag
        return Earlier(case=case, flags=tuple(flags.values()), rung=rung)

    async def _over(self, call: GuardedCall) -> None:
        """A call has ended: count it for its number, forget it."""
        number = call.caller_number
        try:
            if is_one_person(call.guard.policy, number):
                rung = call.judge.ladder.rung
                await self._record.do(self.store.note_call, number, wall(), rung, call=call.call.id)
        finally:
            self.tell(row_of(call, hearing=self.hearing))
            self.calls.pop(call.call.id, None)
            self._by_leg = {leg: one for leg, one in self._by_leg.items() if one is not call}
            self._untapped.discard(call.call.id)

    async def _stop_calls(self) -> None:
        await asyncio.gather(*(call.close() for call in list(self.calls.values())), return_exceptions=True)
        if hasattr(self, "house") and self.house.opinion is not None:
            await self.house.opinion.close()
        if hasattr(self, "presses"):
            await self.presses.close()

    async def _tick(self) -> None:
        for call in list(self.calls.values()):
            call.tick()
        if hasattr(self, "rests"):
            await self.rests.tick()

    async def _write_sound(self) -> None:
        for call in list(self.calls.values()):
            await call.write()

    async def _rows(self) -> None:
        for call in list(self.calls.values()):
            if call.view.dirty and not call.ended:  # the last row is told once, when all is stored
                call.view.dirty = False
                self.tell(row_of(call, hearing=self.hearing))

    async def _health(self) -> None:
        health = self.pbx.health()
        self.metrics.see_pbx(taps_up=health.taps_up, legs_up=health.legs_up, reconnects=health.reconnects)
        self._store_fault = await self._store_state()
        parts = {
            "pbx": "ok" if health.connected else health.reason,
            "bus": "ok" if self._bus_ok else "bus-away",
            "store": self._store_fault or "ok",
            "speech": "ok" if self.line.workers else (self._speech_fault or "no-worker"),
            "taps": "ok" if health.taps_up >= health.legs_up else f"{health.taps_up} of {health.legs_up}",
        }
        for number, trouble in enumerate(health.troubles):
            parts[f"asterisk-{number + 1}"] = trouble
        self.tell(HealthTold(sent_at=wall(), parts=parts, calls=len(self.calls), hearing=self.hearing.value))
        notify("WATCHDOG=1")
        with contextlib.suppress(BusFault):
            await self.bus.say_alive(life_s=ALIVE_S)

    async def _store_state(self) -> str:
        try:
            async with asyncio.timeout(HEALTH_S):
                await self._record.do(self.store.open_case_of, CallId(""))
        except StoreFault as fault:
            return fault.code
        except TimeoutError:
            return "store-locked"
        return "store-low" if self._low_disk else ""

    # what comes over the bus

    async def _take_when_ready(self) -> None:
        """Keys and orders are taken once it is known which calls there are."""
        while not self.stopping.is_set():
            try:
                await self.pbx.wait_ready(SYNC_WAIT_S)
                break
            except CallguardError as error:
                log.error("Asterisk is not reached: %s", error)
                if error.code == "ami-refused":
                    return
        with contextlib.suppress(BusFault):
            await self.bus.say_alive(life_s=ALIVE_S)
        self._go(self._take(KEYS, self._key), "keys")
        self._go(self._take(ORDERS, self._order), "orders")
        self._go(self._take(INCOMING, self._incoming), "incoming")
        self._go(self._every(TICK_S, self._spool), "spool")
        await asyncio.sleep(FOUND_S)
        await self._close_left()
        self._go(self._every(HOUSEKEEPING_S, self._close_left), "left")

    async def _take(self, topic: Topic, work: Callable[[dict[str, str]], Coroutine[Any, Any, bool]]) -> None:
        async for message_id, fields in self._messages(topic):
            self._aside(self._settle(topic, message_id, work(fields)))
            if self.stopping.is_set():
                return

    async def _messages(self, topic: Topic) -> AsyncIterator[tuple[str, dict[str, str]]]:
        while not self.stopping.is_set():
            try:
                async for message in self.bus.take(topic, consumer="daemon"):
                    yield message
            except BusFault as fault:
                log.error("a topic cannot be read", extra={"code": fault.code})
                await asyncio.sleep(1)

    async def _settle(self, topic: Topic, message_id: str, work: Coroutine[Any, Any, bool]) -> None:
        if await work:
            with contextlib.suppress(BusFault):
                await self.bus.done(topic, message_id)

    async def _key(self, fields: dict[str, str]) -> bool:
        return await self.presses.take(fields)

    async def _spool(self) -> None:
        await read_spool(self.settings.keys.spool_dir, self.presses)

    def _exchange(self) -> Exchange:
        return Exchange(
            place=self.pbx.place,
            call=lambda call: self.calls.get(call),
            refuse=lambda uniqueid: self.pbx.key_refusal(LegId(uniqueid)) or Refusal.NOT_IN_CALL,
            answer=self._answer,
            late=self._late_key,
            wall=wall,
        )

    async def _late_key(self, asked: KeyAsked, seen_by: SeenBy, refusal: Refusal) -> None:
        """A key whose call is not there. A flag that reached us too late still makes a case: nobody pressed in vain."""
        late_ms = int((wall() - asked.pressed_at).total_seconds() * 1000)
        data: dict[str, object] = {"key": asked.key.value, "press": asked.id, "late_ms": late_ms, "why": refusal.value}
        try:
            if asked.key is Key.FLAG and late_ms > 10_000:
                case = await self._record.do(self.store.open_case, self._late_case(asked))
                note = "a flag key reached the daemon after its call; the dialplan may hold a recording of it"
                at_ms = 0
                lines = [records.note_record(note, at_ms=at_ms, **data, seen_by=seen_by.value, uniqueid=asked.uniqueid)]
                await self._record.do(self.store.append, case, lines)
            await self._record.do(
                self.store.audit, who="agent", verb="key-refused", thing=f"leg:{asked.uniqueid}", data=data
            )
        except StoreFault as fault:
            log.error("a late key could not be recorded", extra={"code": fault.code})

    def _late_case(self, asked: KeyAsked) -> CaseOpened:
        policy = self.guards.general.policy
        return CaseOpened(
            call=CallId(asked.linkedid or asked.uniqueid),
            opened_at=wall(),
            call_started_at=asked.pressed_at,
            queue="",
            language=policy.languages[0],
            caller_number="",
            caller_name="",
            agent=asked.channel.rpartition("-")[0],
            policy_name=policy.name,
            policy_hash=policy.hash,
            flag_reason="flag",
            flagged_by=FlaggedBy.AGENT.value,
            flagged_ms=0,
        )

    async def _order(self, fields: dict[str, str]) -> bool:
        try:
            order = Order.model_validate_json(fields.get("json", ""))
        except ValidationError:
            log.warning("a message on the order topic is no order")
            return True
        call = self.calls.get(CallId(order.call))
        await self._audit_order(order, "ordered", "")
        answer = await carry_out(order, call, now=wall(), rest_back=self.rests.back)
        await self._audit_order(order, "done" if answer.done else "refused", answer.refusal)
        await self._answer_order(order, answer)
        return True

    async def _audit_order(self, order: Order, what: str, why: str) -> None:
        with contextlib.suppress(StoreFault):
            await self._record.do(
                self.store.audit,
                who=order.by,
                verb=f"order-{what}",
                thing=f"call:{order.call}",
                data={"order": order.id, "what": order.what, "why": why, "phone": order.supervisor},
            )

    async def _answer_order(self, order: Order, answer: OrderAnswer) -> None:
        with contextlib.suppress(BusFault):
            await self.bus.answer(order.id, answer.model_dump())

    async def _incoming(self, fields: dict[str, str]) -> bool:
        """A call before it rings anybody: whether a notice is due, where it goes, in which language."""
        queue, number = fields.get("queue", ""), fields.get("number", "")
        policy = self.guards.of(queue).policy
        route = ""
        if policy.repeat.route and policy.repeat.count and is_one_person(policy, number):
            since = wall() - timedelta(days=policy.repeat.window_days)
            with contextlib.suppress(StoreFault):
                count, _ = await self._record.do(self.store.earlier_calls, number, since=since)
                protected = is_protected(policy, number, queue) or is_relay(policy, number)
                if count >= policy.repeat.count and not protected:
                    route = policy.destinations.extension(policy.repeat.route)
        language = policy.languages[0]
        answer = {"notice": int(policy.keeping.notice), "route": route, "language": language, "tap": 1}
        if policy.languages[1:]:
            answer["language"] = ""
        elif fields.get("linkedid"):
            self._languages = dict([*self._languages.items(), (fields["linkedid"], language)][-MODES_KEPT:])
        with contextlib.suppress(BusFault):
            await self.bus.answer(fields.get("id", ""), answer)
        return True

    # the desk

    async def _start_desk(self) -> None:
        if not self.settings.web.enabled:
            return
        from callguard.web.serve import make_app, serve

        app = make_app(self.settings, self.store, self.bus, policy_of=lambda queue: self.guards.of(queue).policy)
        self._web = asyncio.get_running_loop().create_task(
            serve(app, self.settings.web.host, self.settings.web.port), name="desk"
        )
        self._web.add_done_callback(_complain)

    async def _stop_desk(self) -> None:
        if self._web is not None:
            self._web.cancel()
            await asyncio.gather(self._web, return_exceptions=True)


def wall() -> datetime:
    """Now, aware UTC."""
    return datetime.now(UTC)


def notify(state: str) -> None:
    """Tell systemd (sd_notify); nothing happens where there is none."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(state.encode(), address)


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.asterisk.tls:
        return None
    ca: Path | None = settings.asterisk.tls_ca
    return ssl.create_default_context(cafile=str(ca) if ca else None)


def _flag_of(data: Mapping[str, Any]) -> Flag:
    return Flag(
        by=FlaggedBy(str(data.get("by", "agent"))),
        reason=str(data.get("reason", "")),
        at_ms=int(data.get("at_ms", 0)),
        key_press=str(data.get("key_press", "")),
        withdrawn_ms=data.get("withdrawn_ms"),
    )


def _die_with_parent() -> None:
    """In the child: SIGTERM when the daemon dies (prctl PR_SET_PDEATHSIG)."""
    import ctypes

    with contextlib.suppress(OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("work of the daemon failed", exc_info=task.exception())


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How the daemon is started."""

    settings: Settings

    def go(self) -> None:
        """Run until told to stop."""
        asyncio.run(_main(self.settings))


async def _main(settings: Settings) -> None:
    daemon, at = Daemon(settings), settings.metrics
    with serve_metrics(daemon.metrics, host=at.host, port=at.port) if at.enabled else contextlib.nullcontext():
        await daemon.run()
