"""What is no speech makes no words: the whole way from frames through the gates and the model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from callguard.asr import load_recognizer
from callguard.asr.gate import look
from callguard.asr.local import LocalLine
from callguard.commands.benchmarks.gate import noises, waves
from callguard.model.errors import RecognizerFault
from callguard.model.ids import CallId, LegId, Role
from callguard.model.words import Transcript
from callguard.session.listening import Listening, hear_files

pytestmark = pytest.mark.model

LEG = LegId("1700000000.1")
WAVES, NOISES = waves(), noises()


@pytest.fixture(scope="module")
def line() -> Iterator[LocalLine]:
    try:
        recognizer = load_recognizer("tiny.en")
    except RecognizerFault as error:
        pytest.skip(error.hint)
    line = LocalLine(recognizer)
    yield line
    line.close()


@pytest.mark.parametrize("name", NOISES)
async def test_noise_makes_no_words(name: str, line: LocalLine) -> None:
    said: list[Transcript] = []
    listening = Listening(line, on_transcript=said.append, steady=True)
    await hear_files(listening, CallId("c"), {LEG: (Role.CALLER, NOISES[name])}, language="en")
    assert [t.text for t in said if t.text] == []
    assert [t.tail for t in said if t.tail] == []


def test_a_tone_is_told_from_silence() -> None:
    assert look(WAVES["fax answer"].repeat(2).astype(np.float32)).tonal > 0.9
    assert look(WAVES["white noise at -20 dBFS"].repeat(2).astype(np.float32)).tonal < 0.1
