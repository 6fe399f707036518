"""What Prometheus may know: counts and times, never a number, a name or a word.

``Metrics.take`` is fed every event that the daemon tells the board (``bus/messages.py``); labels come from closed
lists of the policy's words alone, and whatever else comes is counted as "other".
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from callguard.model.action import Effect, Refusal
from callguard.model.finding import Category
from callguard.model.key import Key

log = logging.getLogger(__name__)

OTHER = "other"
PARTS = ("pbx", "bus", "store", "speech", "taps")
HEARING = ("listening", "stretched", "caller-only", "not-listening")
ACTIONS = (
    "RaiseFlag",
    "WithdrawFlag",
    "PlayWarning",
    "AskApproval",
    "NotifySupervisor",
    "CallHuman",
    "Transfer",
    "OfferBarge",
    "EndCall",
    "RestAgent",
)
_KEY_S = (0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 10.0)
_LAG_S = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)
_REMEMBERED = 2_000
"""So many ended calls are known by id, so that a second last row counts nothing."""


class Metrics:
    """All metrics of one daemon, in a registry of their own. Made once; ``take`` and ``see_pbx`` never raise."""

    def __init__(self, *, version: str = "") -> None:
        self.registry = CollectorRegistry()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._make_states(version)
        self._make_counts()

    def _make_states(self, version: str) -> None:
        r = self.registry
        about = Gauge("callguard_build_info", "Which callguard runs; always 1.", ["version"], registry=r)
        about.labels(version).set(1)
        self.calls = Gauge("callguard_calls", "Calls guarded now.", registry=r)
        self.legs = Gauge("callguard_legs", "Legs that should be heard now.", registry=r)
        self.taps = Gauge("callguard_taps", "Legs that are heard now.", registry=r)
        self.reconnects = Gauge("callguard_ami_reconnects", "Connections to the manager after the first.", registry=r)
        self.told = Gauge("callguard_health_told_timestamp_seconds", "When health was last told.", registry=r)
        self.up = Gauge("callguard_up", "1 where this part of callguard is well.", ["part"], registry=r)
        self.hearing = Gauge("callguard_hearing", "1 for the present state of hearing.", ["state"], registry=r)
        for part in PARTS:
            self.up.labels(part)
        for state in HEARING:
            self.hearing.labels(state)

    def _make_counts(self) -> None:
        r = self.registry
        self.ended = Counter("callguard_calls_ended_total", "Calls that ended.", registry=r)
        self.flagged = Counter("callguard_calls_flagged_total", "Calls that ended with a flag.", registry=r)
        self.findings = Counter("callguard_findings_total", "Committed findings.", ["category", "severity"], registry=r)
        self.keys = Counter("callguard_keys_total", "Agents' keys, by answer.", ["key", "answer"], registry=r)
        self.announcements = Counter(
            "callguard_announcements_total", "Announcements to callers, by effect.", ["effect"], registry=r
        )
        self.actions = Counter("callguard_actions_total", "What was done, by effect.", ["action", "effect"], registry=r)
        self.cases = Counter("callguard_cases_total", "Cases, by what became of them.", ["status"], registry=r)
        self.answered = Histogram(
            "callguard_key_answer_seconds", "From a key to its answer.", buckets=_KEY_S, registry=r
        )
        self.stored = Histogram("callguard_key_stored_seconds", "From a key to its record.", buckets=_KEY_S, registry=r)
        self.lag = Histogram(
            "callguard_hearing_lag_seconds", "From the end of speech to its words.", buckets=_LAG_S, registry=r
        )

    def take(self, event: Any) -> None:
        """Count one board event; what is not known is let pass."""
        match getattr(event, "kind", ""):
            case "health":
                self._health(event)
            case "call" if event.ended:
                self._call_ended(event)
            case "transcript" if event.closed and event.text:
                self.lag.observe(max(0, event.at_ms - event.end_ms) / 1000)
            case "finding" if event.stage == "committed":
                self.findings.labels(_known(event.category, Category), str(int(event.severity))).inc()
            case "key":
                self._key(event)
            case "action" if event.effect != "begun":
                self._action(event)
            case "case":
                self.cases.labels(_known(event.status, ("opened", "withdrawn", "finished"))).inc()
            case _:
                pass

    def see_pbx(self, *, taps_up: int, legs_up: int, reconnects: int) -> None:
        """How the telephone side is."""
        self.taps.set(taps_up)
        self.legs.set(legs_up)
        self.reconnects.set(reconnects)

    def _health(self, told: Any) -> None:
        self.calls.set(told.calls)
        self.told.set(told.sent_at.timestamp())
        for part in PARTS:
            if part in told.parts:
                self.up.labels(part).set(told.parts[part] == "ok")
        for state in HEARING:
            self.hearing.labels(state).set(told.hearing == state)

    def _call_ended(self, row: Any) -> None:
        if row.call in self._ended:
            return
        self._ended[row.call] = None
        while len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
        self.ended.inc()
        if row.flagged:
            self.flagged.inc()

    def _key(self, taken: Any) -> None:
        answer = _known(taken.refusal, Refusal) if taken.refusal else _known(taken.tone or "none", _TONES)
        self.keys.labels(_known(taken.key, Key), answer).inc()
        self.answered.observe(_seconds(taken.pressed_at, taken.answered_at))
        if taken.stored_at is not None:
            self.stored.observe(_seconds(taken.pressed_at, taken.stored_at))

    def _action(self, done: Any) -> None:
        effect = _known(done.effect, Effect)
        if done.name == "PlayWarning":
            self.announcements.labels(effect).inc()
        self.actions.labels(_known(done.name, ACTIONS), effect).inc()


_TONES = ("accepted", "refused", "recorded-only", "none")


def _known(value: str, names: Any) -> str:
    """A label out of a closed list, so that nobody's data becomes one."""
    return str(value) if value in {str(name) for name in names} else OTHER


def _seconds(begin: datetime, end: datetime) -> float:
    return max(0.0, (end - begin).total_seconds())


@contextmanager
def serve_metrics(metrics: Metrics, *, host: str, port: int) -> Iterator[int]:
    """Answer Prometheus on its own thread while needed; yields the port (0 picks one).

    Where the port cannot be had that is said in the log and 0 is yielded: calls are guarded all the same.
    """
    try:
        server, thread = start_http_server(port, host, registry=metrics.registry)
    except OSError as error:
        log.error("metrics cannot be served: %s", error.strerror, extra={"code": "metrics-port", "port": port})
        yield 0
        return
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
