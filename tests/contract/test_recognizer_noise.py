"""What is no speech makes no words: the whole way from frames through the gates and the model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from callguard.asr import load_recognizer
from callguard.asr.gate import look
from callguard.asr.local import LocalLine
from callguard.audio.wav import through_ulaw, to_pcm
from callguard.model.errors import RecognizerFault
from callguard.model.ids import CallId, LegId, Role
from callguard.model.words import Transcript
from callguard.session.listening import Listening, hear_files

pytestmark = pytest.mark.model

RATE = 8000
T = np.arange(6 * RATE) / RATE
LEG = LegId("1700000000.1")


def tones(*hz: float, on_s: float = 6.0, off_s: float = 0.0) -> npt.NDArray[np.float64]:
    wave = sum(np.sin(2 * np.pi * f * T) for f in hz) / len(hz)
    return np.asarray(np.where(T % (on_s + off_s) < on_s, wave, 0.0) * 0.5)


def noise(dbfs: float, *, pink: bool = False) -> npt.NDArray[np.float64]:
    white = np.random.default_rng(5).standard_normal(len(T))
    if pink:
        spectrum = np.fft.rfft(white)
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        white = np.fft.irfft(spectrum, len(T))
    return np.asarray(white / white.std() * 10 ** (dbfs / 20))


def keys() -> npt.NDArray[np.float64]:
    low, high = (697, 770, 852, 941), (1209, 1336, 1477)
    wave = np.zeros(len(T))
    for n in range(20):
        part = (n * 0.3 <= T) & (n * 0.3 + 0.15 > T)
        wave[part] = (np.sin(2 * np.pi * low[n % 4] * T) + np.sin(2 * np.pi * high[n % 3] * T))[part] * 0.3
    return wave


NOISES = {
    "silence": np.zeros(len(T)),
    "hiss at -60 dBFS": noise(-60),
    "white noise at -20 dBFS": noise(-20),
    "white noise at -6 dBFS": noise(-6),
    "pink noise at -15 dBFS": noise(-15, pink=True),
    "clipped noise": np.clip(noise(6), -1, 1),
    "mains hum": tones(50, 100, 150),
    "direct current": np.full(len(T), 0.3),
    "key presses": keys(),
    "ringback": tones(440, 480, on_s=2, off_s=4),
    "busy": tones(480, 620, on_s=0.5, off_s=0.5),
    "dial tone": tones(350, 440),
    "fax calling": tones(1100, on_s=0.5, off_s=3),
    "fax answer": tones(2100),
}


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
    pcm = through_ulaw(to_pcm(NOISES[name], RATE))
    await hear_files(listening, CallId("c"), {LEG: (Role.CALLER, pcm)}, language="en")
    assert [t.text for t in said if t.text] == []
    assert [t.tail for t in said if t.tail] == []


def test_a_tone_is_told_from_silence() -> None:
    assert look(NOISES["fax answer"].repeat(2).astype(np.float32)).tonal > 0.9
    assert look(noise(-20).repeat(2).astype(np.float32)).tonal < 0.1
