"""``callguard case`` and ``callguard evidence``, as people and scripts type them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from callguard.cli import app
from callguard.model.case import CaseOpened, Record, RecordKind, Track
from callguard.model.errors import CallguardError
from callguard.model.ids import CallId
from callguard.model.policy import Keeping, Policy
from callguard.store import open_store

Run = Callable[..., Result]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    settings = f'[store]\nurl = "sqlite:///{tmp_path}/c.db"\nsegments = "segments"\n'
    (tmp_path / "callguard.toml").write_text(settings)
    store = open_store(f"sqlite:///{tmp_path}/c.db", segments=tmp_path / "segments")
    for number, age in enumerate((1, 4000)):
        at = datetime.now(UTC) - timedelta(days=age)
        case = store.open_case(
            CaseOpened(
                call=CallId(f"call-{number}"),
                opened_at=at,
                call_started_at=at,
                queue=f"queue-{number}",
                language="en",
                caller_number="0312345678",
                caller_name="[red]x\x1b[31m",
                agent="PJSIP/101",
                policy_name="p",
                policy_hash="h" * 64,
                flag_reason="flag",
                flagged_by="agent",
                flagged_ms=500,
            )
        )
        talk = {"role": "caller", "text": "I will find you [bold]"}
        store.append(case, [Record(kind=RecordKind.TRANSCRIPT, at_ms=100, data=talk)])
        store.tracks().begin(case, Track.CALLER, start_ms=0)
        store.tracks().write(case, Track.CALLER, at_ms=0, pcm=b"\0\x20" * 8000)
        store.tracks().finish(case)
        store.close_call(case, ended_at=at, ended_ms=1000)
    store.close()
    return tmp_path


def run(place: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--settings", str(place / "callguard.toml")])


def lines(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_list_filters_and_pages(place: Path) -> None:
    assert [one["call"] for one in lines(run(place, "case", "list", "--json"))] == ["call-0", "call-1"]
    assert [one["call"] for one in lines(run(place, "case", "list", "--json", "--queue", "queue-1"))] == ["call-1"]
    assert lines(run(place, "case", "list", "--json", "--words", "nobody said")) == []
    assert len(lines(run(place, "case", "list", "--json", "--number", "03-1234-5678"))) == 2
    page = run(place, "case", "list", "--limit", "1", "--json")
    after = page.stderr.partition("--after '")[2].partition("'")[0]
    assert [one["call"] for one in lines(run(place, "case", "list", "--json", "--after", after))] == ["call-1"]
    wrong = run(place, "case", "list", "--status", "odd")
    assert isinstance(wrong.exception, CallguardError)


def test_show_is_safe_on_a_terminal(place: Path) -> None:
    case = str(lines(run(place, "case", "list", "--json"))[0]["id"])
    shown = run(place, "case", "show", case.lower())
    assert shown.exit_code == 0
    assert "I will find you [bold]" in shown.stdout and "\x1b[31m" not in shown.stdout and "▆" in shown.stdout
    whole = lines(run(place, "case", "show", case, "--json"))[0]
    assert {"records", "segments", "holds", "audit", "opened_at"} <= set(whole)
    assert isinstance(run(place, "case", "show", "20260101-AAAAAA").exception, CallguardError)


def test_export_and_verify(place: Path) -> None:
    case = str(lines(run(place, "case", "list", "--json"))[0]["id"])
    out = place / "b.zip"
    for way in ("original", "masked", "caller"):
        told = lines(run(place, "case", "export", case, "--out", str(out), "--way", way, "--json", "--as", "ana"))[0]
        assert told["bytes"] == out.stat().st_size
        (place / "key.pub").write_text(run(place, "evidence", "key").stdout)
        asked = ["evidence", "verify", str(out), "--key", str(place / "key.pub")]
        verified = CliRunner().invoke(app, [*asked, "--json"])
        assert verified.exit_code == 0 and json.loads(verified.stdout)["whole"] is True
        out.write_bytes(out.read_bytes()[:-1])
        verified = CliRunner().invoke(app, asked)
        assert verified.exit_code == 1 and verified.stdout.startswith("NOT WHOLE: ")
    assert oct((place / "keys" / "signing.pem").stat().st_mode)[-3:] == "600"
    assert run(place, "evidence", "audit").exit_code == 0


def test_hold_release_and_purge(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = str(lines(run(place, "case", "list", "--json"))[1]["id"])
    policy = Policy(name="test", hash="h", keeping=Keeping(days_default=30))
    monkeypatch.setattr("callguard.policyfile.load_policy", lambda path, *, queue="": policy)
    assert run(place, "case", "hold", old, "--reason", "police", "--as", "ana").exit_code == 0
    assert lines(run(place, "case", "purge", "--yes", "--json"))[0] == {"due": 0, "queues": {}, "deleted": 0}
    assert [run(place, "case", "release", old, "--as", who).exit_code for who in ("ana", "ana", "bo")] == [1, 1, 0]
    assert lines(run(place, "case", "purge", "--json"))[0] == {"due": 1, "queues": {"queue-1": 1}, "deleted": 0}
    asked = CliRunner().invoke(app, ["case", "purge", "--settings", str(place / "callguard.toml")], input="n\n")
    assert "queue-1" in asked.stdout and len(lines(run(place, "case", "list", "--json"))) == 2
    assert lines(run(place, "case", "purge", "--yes", "--json"))[0]["deleted"] == 1
    assert len(lines(run(place, "case", "list", "--json"))) == 1
    assert not list((place / "segments").rglob(f"*{old}*"))
