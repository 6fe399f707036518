"""Recognition alone: ours and faster-whisper's own, same model, same clips, one thread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr
from rapidfuzz.distance import Levenshtein

from callguard.asr.models import ensure_model
from callguard.asr.whisper import WhisperRecognizer
from callguard.commands.benchmarks.sentences import Clip, recorded, spoken, words_of
from callguard.model.ids import CallId, LegId, UtteranceId
from callguard.ports import HearingJob
from callguard.session.listening import Pace

PEER = "faster-whisper transcribe"
SHORT_WORDS = 4
BUSY = ", while others wait"
"""Heard as when there is no time for thorough hearings (see ``ports.HearingJob``)."""


class Add(Protocol):
    """``bench.Figures.add``."""

    def __call__(self, figure: str, ours: float, unit: str, peer: float | None = None, peer_name: str = "") -> None: ...


def measure_asr(
    add: Add,
    *,
    model: str,
    clips: int,
    sounds: Path | None,
    texts: Path | None,
    cache: Path,
    say: Callable[[str], None],
) -> None:
    """Hear every clip thoroughly, hastily and the peer's way, and tell the figures."""
    human = recorded(sounds, texts, count=clips) if sounds and texts else []
    picked = spoken(cache) + human
    seconds = sum(clip.ms for clip in picked) / 1000
    say(f"{len(picked)} utterances, {seconds:.0f} s of sound, model {model}")
    folder = ensure_model(model, model_dir=cache / "models")
    recognizer = WhisperRecognizer(folder)
    ours_text, ours_s, unsure = _ours(recognizer, picked, thorough=True)
    busy_text, busy_s, _ = _ours(recognizer, picked, thorough=False)
    turns_s = _read_otherwise(recognizer, [_job(n, picked[n], thorough=True) for n in unsure])
    peer_text, peer_s = _peer(folder, picked)
    synthetic = range(len(picked) - len(human))
    short = [n for n, clip in enumerate(picked) if len(words_of(clip.text)) <= SHORT_WORDS]
    groups = {
        "": range(len(picked)),
        ", recorded prompts": range(len(synthetic), len(picked)),
        ", synthetic voice": synthetic,
        f", up to {SHORT_WORDS} words": short,
    }
    for name, some in groups.items():
        if some:
            said = [picked[n] for n in some]
            peer = _wer(said, [peer_text[n] for n in some])
            add(f"words wrong{name}", _wer(said, [ours_text[n] for n in some]), "%", peer, PEER)
            add(f"words wrong{name}{BUSY}", _wer(said, [busy_text[n] for n in some]), "%", peer, PEER)
    for name, used_s in (("", ours_s), (BUSY, busy_s)):
        add(f"CPU time over sound{name}", used_s / seconds, "", peer_s / seconds, PEER)
        add(f"CPU time an utterance{name}", 1000 * used_s / len(picked), "ms", 1000 * peer_s / len(picked), PEER)
    add("utterances of which other readings are asked for", 100 * len(unsure) / len(picked), "%")
    if turns_s:
        add("CPU time of one turn of other readings, median", 1000 * statistics.median(turns_s), "ms")
        add("CPU time of one turn of other readings, longest", 1000 * max(turns_s), "ms")


def _wer(clips: list[Clip], heard: list[str]) -> float:
    pairs = [(words_of(clip.text), words_of(text)) for clip, text in zip(clips, heard, strict=True)]
    wrong = sum(Levenshtein.distance(said, got) for said, got in pairs)
    return 100 * wrong / sum(len(said) for said, _ in pairs)


def _ours(recognizer: WhisperRecognizer, clips: list[Clip], *, thorough: bool) -> tuple[list[str], float, list[int]]:
    """What was heard of each clip, seconds of CPU, and the clips whose words are unsure."""
    order = sorted(range(len(clips)), key=lambda n: clips[n].ms)
    texts, unsure = [""] * len(clips), []
    recognizer.hear([_job(0, clips[0])])
    began = time.process_time()
    for at in range(0, len(order), 8):
        some = order[at : at + 8]
        for n, hypothesis in zip(
            some, recognizer.hear([_job(n, clips[n], thorough=thorough) for n in some]), strict=True
        ):
            texts[n] = "".join(word.text for word in hypothesis.words)
            if hypothesis.unsure:
                unsure.append(n)
    return texts, time.process_time() - began, unsure


def _read_otherwise(recognizer: WhisperRecognizer, jobs: list[HearingJob]) -> list[float]:
    """Seconds of CPU of each turn in which other readings of a job are sought."""
    turns_s: list[float] = []
    for job in jobs:
        for turn in range(1, Pace().turns + 1):
            began = time.process_time()
            recognizer.hear([replace(job, readings=turn)])
            turns_s.append(time.process_time() - began)
    return turns_s


def _peer(folder: Path, clips: list[Clip]) -> tuple[list[str], float]:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
    began = time.process_time()
    texts = []
    for clip in clips:
        sound = soxr.resample(np.frombuffer(clip.pcm, "<i2").astype(np.float32) / 32768, 8000, 16000)
        segments, _ = model.transcribe(sound, language="en")
        texts.append(" ".join(segment.text for segment in segments))
    return texts, time.process_time() - began


def _job(number: int, clip: Clip, *, thorough: bool = False) -> HearingJob:
    return HearingJob(
        call=CallId("bench"),
        leg=LegId("bench"),
        utterance=UtteranceId(f"bench/{number}"),
        revision=1,
        pcm=clip.pcm,
        rate_hz=8000,
        start_ms=0,
        language="en",
        final=True,
        thorough=thorough,
        priority=0,
        deadline_ms=0,
    )
