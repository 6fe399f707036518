"""Metrics count what the board is told, and hold nobody's data."""

from __future__ import annotations

import inspect
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel

from callguard.bus import messages as m
from callguard.model import action
from callguard.observe.metrics import ACTIONS, HEARING, Metrics, serve_metrics
from callguard.session.listening import Hearing

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
NUMBER, NAME, WORDS = "0312345678", "Yamada Hanako", "kill you"


def row(call: str = "c1", **more: object) -> m.CallRow:
    return m.CallRow(
        call=call, at_ms=1, started_at=NOW, sent_at=NOW, caller_number=NUMBER, caller_name=NAME, last_words=WORDS
    ).model_copy(update=more)


EVENTS: tuple[BaseModel, ...] = (
    m.HealthTold(sent_at=NOW, parts={"pbx": "ok", "bus": "bus-away", "taps": "1 of 2"}, calls=3, hearing="stretched"),
    row(),
    row(ended=True, flagged=True),
    row(ended=True, flagged=True),
    row("c2", ended=True),
    m.TranscriptSaid(
        call="c1", at_ms=2500, leg="l", role="caller", utterance="u", start_ms=0, end_ms=1000, text=WORDS, closed=True
    ),
    m.FindingMade(
        call="c1", at_ms=1, rule="en.threat.kill", category="threat", severity=3, stage="committed", role="caller",
        words=WORDS, start_ms=0, end_ms=1, score=1.0, why=WORDS,
    ),
    m.KeyTaken(
        call="c1", at_ms=1, press="p", key="flag", seen_by="feature", pressed_at=NOW,
        answered_at=NOW + timedelta(milliseconds=80), stored_at=NOW + timedelta(milliseconds=40), tone="accepted",
    ),
    m.KeyTaken(
        call="c1", at_ms=1, press="p", key="warn", seen_by="feature", pressed_at=NOW, answered_at=NOW,
        tone="refused", refusal="cooling-down",
    ),
    m.ActionDone(call="c1", at_ms=1, key="k", name="PlayWarning", effect="begun"),
    m.ActionDone(call="c1", at_ms=1, key="k", name="PlayWarning", effect="done", detail=NUMBER),
    m.CaseChanged(call="c1", at_ms=1, case="x", status="opened"),
)  # fmt: skip


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics(version="0.1.0")
    for event in EVENTS:
        made.take(event)
    made.see_pbx(taps_up=1, legs_up=2, reconnects=4)
    return made


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("callguard_calls", {}, 3),
        ("callguard_calls_ended_total", {}, 2),
        ("callguard_calls_flagged_total", {}, 1),
        ("callguard_legs", {}, 2),
        ("callguard_taps", {}, 1),
        ("callguard_ami_reconnects", {}, 4),
        ("callguard_up", {"part": "pbx"}, 1),
        ("callguard_up", {"part": "bus"}, 0),
        ("callguard_up", {"part": "taps"}, 0),
        ("callguard_hearing", {"state": "stretched"}, 1),
        ("callguard_hearing", {"state": "listening"}, 0),
        ("callguard_findings_total", {"category": "threat", "severity": "3"}, 1),
        ("callguard_keys_total", {"key": "flag", "answer": "accepted"}, 1),
        ("callguard_keys_total", {"key": "warn", "answer": "cooling-down"}, 1),
        ("callguard_announcements_total", {"effect": "done"}, 1),
        ("callguard_actions_total", {"action": "PlayWarning", "effect": "done"}, 1),
        ("callguard_cases_total", {"status": "opened"}, 1),
        ("callguard_hearing_lag_seconds_sum", {}, 1.5),
        ("callguard_key_answer_seconds_bucket", {"le": "0.1"}, 2),
        ("callguard_key_stored_seconds_count", {}, 1),
        ("callguard_build_info", {"version": "0.1.0"}, 1),
    ],
)
def test_values(metrics: Metrics, name: str, labels: dict[str, str], value: float) -> None:
    assert metrics.registry.get_sample_value(name, labels) == value


def test_every_board_event_is_taken() -> None:
    kinds = {t.model_fields["kind"].default for t in m.Message.__subclasses__() if "kind" in t.model_fields}
    assert kinds - {event.kind for event in EVENTS} == {"decision"}  # type: ignore[attr-defined]
    Metrics().take(object())


def test_served_and_without_personal_data(metrics: Metrics) -> None:
    metrics.take(m.CaseChanged(call=NUMBER, at_ms=1, case=NAME, status=NUMBER))
    with serve_metrics(metrics, host="127.0.0.1", port=0) as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        with serve_metrics(metrics, host="127.0.0.1", port=port) as second:
            assert second == 0
    assert 'callguard_cases_total{status="other"} 1.0' in text
    for personal in (NUMBER, NAME, WORDS, "en.threat.kill", "c1"):
        assert personal not in text


def test_label_lists_are_those_of_the_model() -> None:
    made = {n for n, c in vars(action).items() if inspect.isclass(c) and "not_after_ms" in getattr(c, "__slots__", ())}
    assert set(ACTIONS) == made - {"AnswerKey"}
    assert set(HEARING) == {one.value for one in Hearing}


def test_ended_calls_are_forgotten_at_last() -> None:
    metrics = Metrics()
    for number in range(2_100):
        metrics.take(row(f"c{number}", ended=True))
    assert len(metrics._ended) == 2_000
    assert metrics.registry.get_sample_value("callguard_calls_ended_total") == 2_100
