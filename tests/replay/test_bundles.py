"""Bundles: whatever is changed in one is found, and named, with nothing but the file and the public key."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callguard.model.case import CaseOpened, Record, RecordKind, Track
from callguard.model.ids import CallId
from callguard.store import Store, open_store, proof
from callguard.store.signing import public_pem

AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
POLICY = 'name = "house"\nmode = "assist"\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, bytes, Path]]:
    place = tmp_path_factory.mktemp("bundle")
    store = open_store(f"sqlite:///{place}/cases.db", segments=place / "segments")
    store.keep_policy("cd" * 32, name="house", text=POLICY)
    case = store.open_case(
        CaseOpened(
            call=CallId("1.1"),
            opened_at=AT,
            call_started_at=AT - timedelta(minutes=2),
            queue="support",
            language="ja",
            caller_number="0312345678",
            caller_name="<b>山田</b>",
            agent="PJSIP/101",
            policy_name="house",
            policy_hash="cd" * 32,
            flag_reason="flag",
            flagged_by="agent",
            flagged_ms=120_000,
        )
    )
    warning = {"announcement": "warn-1", "text": "おやめください。", "started_ms": 125_000, "ended_ms": 128_000}
    store.append(
        case,
        [
            Record(kind=RecordKind.TRANSCRIPT, at_ms=100_000, data={"role": "caller", "text": "殺すぞ"}),
            Record(
                kind=RecordKind.FINDING,
                at_ms=101_000,
                data={
                    "words": "殺すぞ",
                    "category": "threat",
                    "severity": 3,
                    "rule": "ja.threat",
                    "stage": "committed",
                },
            ),
            Record(kind=RecordKind.KEY, at_ms=120_000, data={"key": "flag", "by": "PJSIP/101"}),
            Record(kind=RecordKind.DECISION, at_ms=120_000, data={"because": ["The agent pressed flag."], "rung": 1}),
            Record(kind=RecordKind.ANNOUNCEMENT, at_ms=125_000, data={**warning, "effect": "done"}),
            Record(kind=RecordKind.PRESENCE, at_ms=126_000, data={"who": "mori", "mode": "listen", "what": "began"}),
        ],
    )
    tracks = store.tracks()
    tracks.begin(case, Track.CALLER, start_ms=60_000)
    tracks.write(case, Track.CALLER, at_ms=60_000, pcm=bytes(range(256)) * 32)
    tracks.finish(case)
    store.close_call(case, ended_at=AT, ended_ms=130_000)
    store.audit(who="mori", verb="play", thing=case, data={})
    bundle = store.export(case, who="desk")
    (place / "key.pub").write_text(public_pem(store.keys))
    (place / "b.zip").write_bytes(bundle)
    yield store, bundle, place
    store.close()


def verdict(made: tuple[Store, bytes, Path], bundle: bytes) -> proof.Verdict:
    return proof.verify(bundle, proof.read_public_key((made[2] / "key.pub").read_text()))


def test_an_untouched_bundle_is_whole(made: tuple[Store, bytes, Path]) -> None:
    found = verdict(made, made[1])
    assert found.whole and found.case.startswith("20261125-") and found.parts >= 10


def test_a_bundle_holds_what_the_desk_needs(made: tuple[Store, bytes, Path]) -> None:
    packed = zipfile.ZipFile(BytesIO(made[1]))
    names = packed.namelist()
    assert {"tracks/caller.flac", "tracks/mix.flac", "report.en.html", "report.ja.html", "transcript.txt"} <= set(names)
    assert json.loads(packed.read(f"policies/{'cd' * 32}.json"))["text"] == POLICY
    assert packed.read("tracks/caller.flac")[:4] == b"fLaC"
    verbs = [json.loads(line)["verb"] for line in packed.read("audit.jsonl").splitlines()]
    assert verbs == ["case-opened", "segment", "segment", "call-ended", "play", "exported"]
    for language in ("en", "ja"):
        page = packed.read(f"report.{language}.html").decode()
        assert "おやめください。" in page and "殺すぞ" in page and "0:02:05.0" in page and "mori" in page
        assert "&lt;b&gt;山田&lt;/b&gt;" in page and "<b>山田" not in page and "built-in" not in page


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_byte_is_found(made: tuple[Store, bytes, Path], data: st.DataObject) -> None:
    changed = bytearray(made[1])
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    found = verdict(made, bytes(changed))
    assert not found.whole and found.broken and found.why


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_cut_or_addition_is_found(made: tuple[Store, bytes, Path], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(made[1]) - 1))
    assert not verdict(made, made[1][:at]).whole
    extra = data.draw(st.binary(min_size=1, max_size=40))
    assert not verdict(made, made[1][:at] + extra + made[1][at:]).whole
    assert not verdict(made, made[1] + extra).whole


def _unpacked(bundle: bytes) -> dict[str, bytes]:
    packed = zipfile.ZipFile(BytesIO(bundle))
    return {name: packed.read(name) for name in packed.namelist()}


def test_every_part_is_named_when_it_is_dropped_or_changed(made: tuple[Store, bytes, Path]) -> None:
    parts = _unpacked(made[1])
    for name in parts:
        without = {other: content for other, content in parts.items() if other != name}
        assert verdict(made, proof.zip_of(without)).broken == name
        assert verdict(made, proof.zip_of({**parts, name: parts[name] + b" "})).broken == name


def test_swapped_and_added_parts_are_found(made: tuple[Store, bytes, Path]) -> None:
    parts = _unpacked(made[1])
    swapped = {**parts, "tracks/caller.flac": parts["tracks/mix.flac"], "tracks/mix.flac": parts["tracks/caller.flac"]}
    assert verdict(made, proof.zip_of(swapped)).broken in ("tracks/caller.flac", "tracks/mix.flac")
    assert not verdict(made, proof.zip_of(dict(reversed(parts.items())))).whole
    assert verdict(made, proof.zip_of({"a.txt": b"", **parts})).broken == "a.txt"
    assert verdict(made, proof.zip_of({**parts, "z.txt": b""})).broken == "z.txt"


def test_another_key_does_not_verify(made: tuple[Store, bytes, Path], tmp_path: Path) -> None:
    found = proof.verify(made[1], proof.read_public_key(public_pem(tmp_path / "keys")))
    assert found.broken == "manifest.json"


def test_a_story_changed_in_the_database_is_found_in_a_signed_bundle(
    made: tuple[Store, bytes, Path], tmp_path: Path
) -> None:
    store = made[0]
    contents = store.contents(store.list_cases().lines[0].id)
    from dataclasses import replace

    from callguard.store.bundle import make_bundle
    from callguard.store.signing import signing_key

    story = list(contents.view.records)
    story[1] = replace(story[1], data={"role": "caller", "text": "ありがとう"})
    forged = replace(contents, view=replace(contents.view, records=tuple(story)))
    bundle = make_bundle(forged, key=signing_key(store.keys), who="x", at=AT, reports={})
    assert verdict(made, bundle).broken == "records.jsonl line 2"


def test_the_verifier_stands_alone(made: tuple[Store, bytes, Path], tmp_path: Path) -> None:
    alone = tmp_path / "proof.py"
    alone.write_text(Path(proof.__file__).read_text())
    asked = [sys.executable, "-I", str(alone), str(made[2] / "b.zip"), str(made[2] / "key.pub")]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout[:6]) == (0, "whole:")
    (tmp_path / "cut.zip").write_bytes(made[1][:-1])
    asked[3] = str(tmp_path / "cut.zip")
    assert subprocess.run(asked, capture_output=True, check=False, cwd=tmp_path).returncode == 1
