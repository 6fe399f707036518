"""The recognizer hears an utterance to its last word, in both languages: real model, telephone sound."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import soxr

from callguard import voices
from callguard.asr import load_recognizer
from callguard.asr.gate import look
from callguard.asr.models import ensure_model
from callguard.asr.whisper import WhisperRecognizer
from callguard.audio.wav import through_ulaw, to_pcm
from callguard.model.ids import CallId, LegId, UtteranceId
from callguard.ports import HearingJob
from callguard.sandbox.house import sandbox_dir
from callguard.speech.agreement import each_once

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what the voices are built on

SPOKEN = (
    ("en", "piper:joe", "I have been waiting for forty minutes and nobody picked up the telephone.", "telephone"),
    ("ja", "kokoro:jm_kumo", "若い担当者を今日中に辞めさせて、退職届の写しを送ってください。", "ください"),
    ("ja", "kokoro:jf_alpha", "三日前に届いた洗濯機の交換を申し込んだのですが、どうなりましたでしょうか。", "しょうか"),
)


@cache
def recognizer() -> WhisperRecognizer:
    return WhisperRecognizer(ensure_model("base", model_dir=sandbox_dir() / "models"))


def spoken(language: str, voice: str, text: str) -> HearingJob:
    sound, rate = voices.speak(text, voice=voice, pace=1.25)
    pcm = through_ulaw(to_pcm(voices.for_telephone(sound, rate, to_rate=8000), 8000))
    return HearingJob(
        call=CallId("c"),
        leg=LegId("c"),
        utterance=UtteranceId(f"c/{text[:5]}"),
        revision=1,
        pcm=pcm,
        rate_hz=8000,
        start_ms=0,
        language=language,
        final=True,
        thorough=True,
        priority=0,
        deadline_ms=0,
    )


@pytest.mark.parametrize(("language", "voice", "text", "last"), SPOKEN)
def test_the_last_word_is_heard(language: str, voice: str, text: str, last: str) -> None:
    [heard] = recognizer().hear([spoken(language, voice, text)])
    assert "".join(word.text for word in heard.words).rstrip(" .。?？").endswith(last)


def test_together_they_are_heard_as_well() -> None:
    """Utterances of both languages in one batch, each with its own limit."""
    heard = recognizer().hear([spoken(*row[:3]) for row in SPOKEN])
    for hypothesis, (*_, last) in zip(heard, SPOKEN, strict=True):
        assert "".join(word.text for word in hypothesis.words).rstrip(" .。?？").endswith(last)


def _unsure() -> HearingJob:
    """The one of which the model is least sure; the voices say each a little differently every time."""
    jobs = [spoken(*row[:3]) for row in SPOKEN]
    heard = recognizer().hear(jobs)
    assert any(one.unsure for one in heard)
    return min(zip(jobs, heard, strict=True), key=lambda pair: pair[1].words[0].probability)[0]


def test_what_nobody_is_sure_of_has_other_readings_that_differ() -> None:
    """Words alone and readings alone, in one batch; the later turns are drawn anew."""
    job = _unsure()
    words, *turns = recognizer().hear([job, *(replace(job, readings=turn) for turn in (1, 2, 3, 4))])
    assert words.words and words.unsure and not words.others
    for heard in turns:
        assert not heard.words and not heard.unsure and heard.language == job.language
        said = ["".join(word.text for word in one) for one in heard.others]
        assert 1 <= len(said) == len(set(said)) <= 5
        assert all(one[0].start_ms >= 0 and one[-1].end_ms <= heard.heard_to_ms for one in heard.others)
    assert len(turns[0].others) >= 3
    assert len(each_once(one for heard in turns for one in heard.others)) > len(turns[0].others)


def test_growing_words_are_never_called_unsure() -> None:
    [growing] = recognizer().hear([replace(_unsure(), final=False)])
    assert growing.words and not growing.unsure


def test_no_speech_has_no_readings() -> None:
    [heard] = recognizer().hear([replace(_unsure(), pcm=bytes(32_000), readings=1)])
    assert heard.dropped and not heard.others


def test_short_last_words_are_given_a_wider_window_where_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = recognizer()
    seen: list[float] = []
    encode = ours._encode
    monkeypatch.setattr(ours, "_encode", lambda sound, seconds: seen.append(seconds) or encode(sound, seconds))
    short = spoken("en", "piper:joe", "I want to speak to your manager.")
    for job in (short, replace(short, thorough=False), replace(short, final=False)):
        [heard] = ours.hear([job])
        assert heard.words[-1].text.strip(" .").lower() == "manager"
    assert seen[0] == 8 and seen[1] == seen[2] < 5


def test_short_loud_sentences_are_not_taken_for_noise() -> None:
    """The voice says each a little differently every time, so they are counted; at full level a third was lost."""
    pause, known = np.zeros(16 * 300, np.float32), 0
    for text in ("Listen to me.", "Are you a computer?", "It is true.", "Shut up.") * 4:
        pcm = np.frombuffer(spoken("en", "piper:joe", text).pcm, "<i2").astype(np.float32) / 32768
        sound = soxr.resample(pcm / np.abs(pcm).max() * 0.7, 8000, 16000)
        known += look(np.concatenate([pause, sound, pause])).is_speech
    assert known >= 13


def test_last_words_have_a_model_of_their_own_where_one_is_set() -> None:
    row = SPOKEN[1]
    job = spoken(*row[:3])
    both = load_recognizer("tiny.en", last_words_model="base", model_dir=sandbox_dir() / "models")
    thorough, hasty = both.hear([job, replace(job, thorough=False)])
    [base] = recognizer().hear([job])
    assert (thorough.words, thorough.language) == (base.words, base.language)
    assert hasty.words != base.words, "a model for English alone hears Japanese otherwise"
