"""What is masked in text and sound, and what is not."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
from opening import opened

from callguard.model.case import Record, RecordKind, Track
from callguard.store import open_store, proof
from callguard.store.masking import MASK, Stretch, Way, beeped, masked_text, voice_hidden
from callguard.store.signing import public_pem


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("call me on 090-1234-5678 now", "090-1234-5678"),
        ("番号は０３の１２３４の５６７８です", "０３の１２３４の５６７８"),
        ("it is zero nine zero, one two three", "zero nine zero, one two three"),
        ("write to taro.y@example.co.jp please", "taro.y@example.co.jp"),
        ("住所は東京都新宿区西新宿2丁目8番1号です", "東京都新宿区西新宿2丁目8番1号"),
        ("I live at 12 Baker Street in town", "12 Baker Street"),
        ("put Mr. Smith on the line", "Mr. Smith"),
        ("田中さんを出せ", "田中さん"),
        ("the card is 4111 1111 1111 1111", "4111 1111 1111 1111"),
    ],
)
def test_what_has_a_form_is_masked(text: str, hidden: str) -> None:
    masked = masked_text(text)
    assert hidden not in masked and len(masked) == len(text)
    before, after = text.split(hidden)
    assert masked.startswith(before) and masked.endswith(after)


@pytest.mark.parametrize(
    "text",
    ["I will kill you", "殺すぞ、この馬鹿", "お客様、おやめください", "in 30 minutes", "3回も電話した", "神様だぞ"],
)
def test_words_that_matter_stay(text: str) -> None:
    assert masked_text(text) == text


def test_given_names_are_masked_whole_and_in_parts() -> None:
    assert masked_text("Yamada Taro said taro is here", names=["Yamada Taro"]) == f"{MASK * 11} said {MASK * 4} is here"


def test_nothing_is_left_below_a_beep() -> None:
    sound = np.random.default_rng(1).integers(-9000, 9000, 16000).astype(np.int16)
    out = beeped(sound, start_ms=5000, stretches=[Stretch(track=Track.CALLER, start_ms=5500, end_ms=6000)])
    assert np.array_equal(out[:4000], sound[:4000]) and np.array_equal(out[8000:], sound[8000:])
    other = beeped(
        np.zeros(16000, np.int16), start_ms=5000, stretches=[Stretch(track=Track.CALLER, start_ms=5500, end_ms=6000)]
    )
    assert np.array_equal(out[4000:8000], other[4000:8000])
    spectrum = np.abs(np.fft.rfft(out[4000:8000].astype(float)))
    assert int(spectrum.argmax()) * 2 == 1000


def test_a_hidden_voice_only_tells_that_somebody_spoke() -> None:
    voice = np.zeros(16000, np.int16)
    voice[8000:] = np.random.default_rng(1).integers(-9000, 9000, 8000)
    hidden = voice_hidden(voice)
    voice[8000:] = np.random.default_rng(2).integers(-9000, 9000, 8000)
    assert np.array_equal(hidden, voice_hidden(voice))
    assert not hidden[:8000].any() and hidden[8000:].any()


def test_masked_bundles(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/c.db", segments=tmp_path / "segments")
    at = datetime(2026, 11, 25, tzinfo=UTC)
    case = store.open_case(opened("1", at, caller_number="0312345678", caller_name="Taro Yamada", agent="PJSIP/hanako"))
    words = [["my", 0, 400, 1.0], [" number", 400, 800, 1.0], [" is", 800, 1000, 1.0], [" 0312345678", 1000, 2000, 1.0]]
    talk = {"role": "caller", "text": "my number is 0312345678", "words": words, "start_ms": 0, "end_ms": 2000}
    reply = {"role": "agent", "text": "I am sorry", "start_ms": 2000, "end_ms": 3000}
    store.append(case, [Record(kind=RecordKind.TRANSCRIPT, at_ms=0, data=talk)])
    store.append(case, [Record(kind=RecordKind.TRANSCRIPT, at_ms=2000, data=reply)])
    tracks = store.tracks()
    rng = np.random.default_rng(3)
    for track in (Track.CALLER, Track.AGENT):
        tracks.begin(case, track, start_ms=0)
        tracks.write(case, track, at_ms=0, pcm=rng.integers(-9000, 9000, 24000).astype("<i2").tobytes())
    tracks.finish(case)
    plain = store.contents(case).sound
    key = proof.read_public_key(public_pem(store.keys))

    def heard(packed: zipfile.ZipFile | None, name: str) -> np.ndarray:
        flac = packed.read(name) if packed else plain[name]
        return soundfile.read(io.BytesIO(flac), dtype="int16")[0]

    masked = store.export(case, who="x", way=Way.MASKED)
    assert proof.verify(masked, key).whole
    packed = zipfile.ZipFile(io.BytesIO(masked))
    told = b"".join(packed.read(name) for name in packed.namelist() if not name.endswith((".pdf", ".flac")))
    assert b"0312345678" not in told and b"Yamada" not in told and b"I am sorry" in told
    caller, before = heard(packed, "tracks/caller.flac"), heard(None, "tracks/caller.flac")
    assert np.array_equal(caller[:7000], before[:7000]) and not np.array_equal(caller[8000:16000], before[8000:16000])
    assert np.array_equal(heard(packed, "tracks/agent.flac"), heard(None, "tracks/agent.flac"))
    assert json.loads(packed.read("manifest.json"))["masked"] == "masked"

    own = store.export(case, who="x", way=Way.CALLER)
    assert proof.verify(own, key).whole
    packed = zipfile.ZipFile(io.BytesIO(own))
    told = b"".join(packed.read(name) for name in packed.namelist() if not name.endswith((".pdf", ".flac")))
    assert b"0312345678" in told and b"I am sorry" not in told and b"hanako" not in told
    assert np.array_equal(heard(packed, "tracks/caller.flac"), heard(None, "tracks/caller.flac"))
    assert not np.array_equal(heard(packed, "tracks/agent.flac"), heard(None, "tracks/agent.flac"))
    assert np.array_equal(heard(packed, "tracks/mix.flac")[:, 0], heard(None, "tracks/caller.flac"))
    assert [line.data["way"] for line in store.audit_lines(thing=case) if line.verb == "exported"] == [
        "masked",
        "caller",
    ]
    store.close()
