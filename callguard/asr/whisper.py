"""Whisper through ctranslate2, made cheap for telephone calls.

Whisper's encoder costs the same for one second as for thirty, because the usual way pads every window to 30 s. Here
the encoder's window is as long as its speech and a margin, each by itself. What the decoder sees is longer: the rest
is silence that was encoded once, when the model was loaded. That gives back what a short window takes (the decoder was
never trained to see one, and repeats itself after the last word), and lets windows of many lengths be decoded
together, across calls. Times are asked for, what lies after the speech is not believed, and whatever looks like a
loop, runs into the limit or is unsure is heard again in a wider window. Abuse words are never given as a prompt:
Whisper then hears them in noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from callguard.asr.gate import RATE_HZ, Look, Sound, look
from callguard.asr.loops import loop_at_end, without_loop
from callguard.model.errors import RecognizerFault
from callguard.model.words import Dropped, Hypothesis, Word
from callguard.ports import HearingJob
from callguard.speech.agreement import each_once, spoken_form

FULL_S = 30
TICK_MS = 20
"""One timestamp token, one encoder position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How windows are made and when a hearing is not believed. Measured with ``callguard bench asr``.

    margin_s: silence after the speech. least_s: the shortest window. round_s: windows are a multiple of this.
    thorough_s: the shortest window of a thorough job: what is short is heard better in a wider one.
    contexts_s: how much the decoder sees, speech and encoded silence: the first of these that holds the window.
    batch: most windows decoded together.
    certain: mean log-probability under which other readings of last words are worth asking for.
    paths: so many likely readings are sought in the first turn. The words themselves stay those of the one likeliest:
        with more paths Whisper's own score favours repetitions (7.4 instead of 6.6 % words wrong with tiny.en).
    speeds: in the next turns the sound is heard anew, played at these speeds (its pitch goes with it).
    draws: and so many are drawn at random at ``temperature`` in each later turn. The likeliest paths differ by a word,
        these by more: of 186 Japanese sentences the abuse is in 137 as first heard, in 151 with the paths, in 159 with
        both.
    tokens_per_s, tokens_spare: limit of new tokens by speech, in English. tokens_per_s_other: in other languages; fast
        Japanese takes 12 (one character is up to three tokens), and lost its last words under the English limit.
    unsure: mean log-probability under which a final hearing is repeated in a wider window.
    doubtful: and under which it is dropped. no_speech: Whisper's own probability of no speech that drops a hearing
        whose mean log-probability is also below ``faint``.
    again_s: shortest window of a repeated hearing; it is at least twice the first one.
    edge_ms: speech is trimmed to this much before and after what the second look called speech.
    language_ms: so much speech decides the language.
    """

    margin_s: float = 1.0
    least_s: float = 2.4
    thorough_s: float = 8.0
    round_s: float = 0.2
    contexts_s: tuple[int, ...] = (8, 12, 16, 20, FULL_S)
    batch: int = 8
    paths: int = 5
    speeds: tuple[tuple[float, ...], ...] = ((0.92, 1.09), (0.85, 1.18))
    draws: int = 5
    temperature: float = 0.4
    certain: float = -0.3
    tokens_per_s: float = 8.0
    tokens_per_s_other: float = 18.0
    tokens_spare: int = 12
    unsure: float = -1.2
    faint: float = -1.0
    doubtful: float = -1.8
    no_speech: float = 0.6
    again_s: int = 4
    edge_ms: int = 300
    language_ms: int = 2000


@dataclass(slots=True)
class _Window:
    """One job on its way through the recognizer.

    seconds: how long a window the encoder sees. speed: the sound was made this much faster.
    """

    job: HearingJob
    sound: Sound
    seen: Look
    offset_ms: int
    speech_ms: int
    seconds: float
    language: str = ""
    encoded: Sound | None = None
    speed: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """One reading. pieces: (start tick, end tick, tokens)."""

    pieces: tuple[tuple[int, int, tuple[int, ...]], ...]
    score: float
    no_speech: float
    capped: bool


class WhisperRecognizer:
    """A ``ports.Recognizer``. Not safe for several threads at once; give each its own.

    languages: those a call may be in; the first is assumed while too little was said to tell.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "cpu",
        compute_type: str = "int8",
        threads: int = 1,
        languages: Sequence[str] = ("en", "ja"),
        recipe: Recipe | None = None,
    ) -> None:
        from faster_whisper import WhisperModel

        try:
            self._model = WhisperModel(
                str(folder),
                device=device,
                compute_type=compute_type,
                cpu_threads=threads,
                num_workers=1,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise RecognizerFault(
                f"the speech model in {folder.name} cannot be loaded",
                code="model-unusable",
                hint="check speech.model, speech.device and speech.compute_type",
            ) from error
        self._recipe = recipe or Recipe()
        self._languages = tuple(languages) or ("en",)
        self._tokenizers: dict[str, Any] = {}
        self._silence = self._encode(np.zeros(0, np.float32), FULL_S) if self._model.model.device == "cpu" else None
        self.again = 0
        self.windows = 0

    @property
    def multilingual(self) -> bool:
        """False for a model that hears English only."""
        return bool(self._model.model.is_multilingual)

    def hear(self, jobs: Sequence[HearingJob]) -> list[Hypothesis]:
        """See ``ports.Recognizer``. Raises RecognizerFault when the model itself fails."""
        answers: dict[int, Hypothesis] = {}
        windows: dict[int, _Window] = {}
        for number, job in enumerate(jobs):
            window = self._window(job)
            if window.seen.is_speech:
                windows[number] = window
            else:
                noise = window.seen.tonal >= 0.5
                answers[number] = _nothing(job, Dropped.NOISE if noise else Dropped.NO_SPEECH)
        try:
            for group in self._by_length({n: w for n, w in windows.items() if not w.job.readings}):
                answers.update(self._hear_group(group))
            for number, window in windows.items():
                if window.job.readings:
                    answers[number] = self._read_otherwise(window)
        except RuntimeError as error:
            raise RecognizerFault("the speech model failed", code="model-failed") from error
        return [answers[number] for number in range(len(jobs))]

    def _window(self, job: HearingJob) -> _Window:
        pcm = np.frombuffer(job.pcm[: len(job.pcm) // 2 * 2], "<i2").astype(np.float32) / 32768.0
        sound = pcm if job.rate_hz == RATE_HZ or not pcm.size else soxr.resample(pcm, job.rate_hz, RATE_HZ)
        seen = look(sound)
        start_ms = max(0, seen.start_ms - self._recipe.edge_ms)
        end_ms = min(len(sound) * 1000 // RATE_HZ, seen.end_ms + self._recipe.edge_ms)
        sound = sound[start_ms * RATE_HZ // 1000 : end_ms * RATE_HZ // 1000][: FULL_S * RATE_HZ]
        return _Window(
            job=job,
            sound=sound,
            seen=seen,
            offset_ms=start_ms,
            speech_ms=len(sound) * 1000 // RATE_HZ,
            seconds=self._seconds(job, sound),
        )

    def _seconds(self, job: HearingJob, sound: Sound) -> float:
        least_s = self._recipe.thorough_s if job.final and job.thorough else self._recipe.least_s
        wanted = max(least_s, len(sound) / RATE_HZ + self._recipe.margin_s)
        return min(FULL_S, math.ceil(wanted / self._recipe.round_s) * self._recipe.round_s)

    def _faster(self, window: _Window, speed: float) -> _Window:
        """The same sound at another speed."""
        sound = soxr.resample(window.sound, RATE_HZ * speed, RATE_HZ)[: FULL_S * RATE_HZ]
        speech_ms = len(sound) * 1000 // RATE_HZ
        seconds = self._seconds(window.job, sound)
        return replace(window, sound=sound, speech_ms=speech_ms, seconds=seconds, speed=speed, encoded=None)

    def _context(self, seconds: float) -> int:
        return next((context for context in self._recipe.contexts_s if context >= seconds), FULL_S)

    def _by_length(self, windows: dict[int, _Window]) -> list[tuple[int, dict[int, _Window]]]:
        """Groups of one context, at most ``batch`` each, those of like length beside each other."""
        lengths: dict[int, list[int]] = {}
        for number in sorted(windows, key=lambda n: windows[n].speech_ms):
            lengths.setdefault(self._context(windows[number].seconds), []).append(number)
        size = self._recipe.batch
        return [
            (context, {n: windows[n] for n in numbers[at : at + size]})
            for context, numbers in sorted(lengths.items())
            for at in range(0, len(numbers), size)
        ]

    def _hear_group(self, group: tuple[int, dict[int, _Window]]) -> dict[int, Hypothesis]:
        context, windows = group
        said = dict(zip(windows, self._read(list(windows.values()), context), strict=True))
        words = {number: self._words(windows[number], said[number]) for number in windows}
        again = {
            number: replace(window, seconds=wider, encoded=None, language="")
            for number, window in windows.items()
            if (wider := self._wider(window, said[number], words[number][1]))
        }
        if again:
            self.again += len(again)
            windows = windows | again
            wide = max(self._context(window.seconds) for window in again.values())
            for number, one in zip(again, self._read(list(again.values()), wide), strict=True):
                said[number], words[number] = one, self._words(windows[number], one)
        return {number: self._hypothesis(window, said[number], words[number][0]) for number, window in windows.items()}

    def _read_otherwise(self, window: _Window) -> Hypothesis:
        """What was perhaps said in this window."""
        recipe, turn = self._recipe, window.job.readings
        if 2 <= turn < 2 + len(recipe.speeds):
            windows = [self._faster(window, speed) for speed in recipe.speeds[turn - 2]]
            said = self._read(windows, max(self._context(one.seconds) for one in windows))
        else:
            count, temperature = (recipe.paths, 0.0) if turn == 1 else (recipe.draws, recipe.temperature)
            [said] = self._decode([window], self._view([window], self._context(window.seconds)), count, temperature)
            windows = [window] * len(said)
        others = each_once(self._words(*one)[0] for one in zip(windows, said, strict=True))
        return replace(_nothing(window.job, None), others=others, language=windows[0].language)

    def _wider(self, window: _Window, said: _Said, looped: bool) -> float:
        """The window in which these last words are heard again, 0 where they are believed or there is none wider."""
        wider = min(FULL_S, max(self._recipe.again_s, window.seconds * 2))
        suspect = looped or said.capped or said.score < self._recipe.unsure
        return wider if suspect and window.job.final and window.seconds < wider else 0

    def _read(self, windows: list[_Window], context: int) -> list[_Said]:
        """The likeliest reading of each."""
        return [readings[0] for readings in self._decode(windows, self._view(windows, context), 1)]

    def _view(self, windows: list[_Window], context: int) -> Any:
        """What the decoder sees of these: each encoded in its own seconds, all ``context`` seconds long."""
        import ctranslate2

        if self._silence is not None:
            states = [self._with_silence(self._encoded(window), context) for window in windows]
            return ctranslate2.StorageView.from_array(np.concatenate(states))
        features = np.stack([self._features(window.sound, context) for window in windows])
        return self._model.model.encode(ctranslate2.StorageView.from_array(features), to_cpu=False)

    def _decode(self, windows: list[_Window], view: Any, readings: int, temperature: float = 0.0) -> list[list[_Said]]:
        """The likeliest readings, best first; with a temperature, ones drawn at random."""
        self.windows += len(windows)
        self._find_language(windows, view)
        prompts = [self._prompt(window.language) for window in windows]
        speech_s = max(window.speech_ms for window in windows) / 1000
        english = all(window.language == "en" for window in windows)
        rate = self._recipe.tokens_per_s if english else self._recipe.tokens_per_s_other
        limit = min(224, int(rate * speech_s) + self._recipe.tokens_spare)
        results = self._model.model.generate(
            view,
            prompts,
            beam_size=1 if temperature else readings,
            num_hypotheses=readings,
            sampling_topk=0 if temperature else 1,
            sampling_temperature=temperature or 1.0,
            max_length=len(prompts[0]) + limit,
            return_scores=True,
            return_no_speech_prob=True,
        )
        return [
            [
                self._said(window, list(ids), float(score), float(result.no_speech_prob), limit)
                for ids, score in zip(result.sequences_ids, result.scores, strict=True)
            ]
            for window, result in zip(windows, results, strict=True)
        ]

    def _encoded(self, window: _Window) -> Sound:
        if window.encoded is None:
            window.encoded = self._encode(window.sound, window.seconds)
        return window.encoded

    def _encode(self, sound: Sound, seconds: float) -> Sound:
        """Encoder states, shape (1, 50 a second, width)."""
        import ctranslate2

        features = self._features(sound, seconds)[None]
        return np.asarray(self._model.model.encode(ctranslate2.StorageView.from_array(features)))

    def _with_silence(self, states: Sound, context: int) -> Sound:
        """As many states as ``context`` seconds have: the missing ones from the silence at the same places."""
        assert self._silence is not None
        rest = self._silence[:, states.shape[1] : context * 1000 // TICK_MS]
        return np.concatenate([states, rest], axis=1)

    def _features(self, sound: Sound, seconds: float) -> Sound:
        padded = np.pad(sound, (0, max(0, round(seconds * RATE_HZ) - len(sound))))
        mel = np.asarray(self._model.feature_extractor(padded, padding=0), dtype=np.float32)
        frames = round(seconds * 100)
        return np.ascontiguousarray(np.pad(mel, ((0, 0), (0, max(0, frames - mel.shape[1]))))[:, :frames])

    def _find_language(self, windows: list[_Window], view: Any) -> None:
        for window in windows:
            window.language = window.language or (window.job.language if self.multilingual else "en")
        if all(window.language for window in windows):
            return
        found = self._model.model.detect_language(view)
        for window, odds in zip(windows, found, strict=True):
            if not window.language:
                known = {name.strip("<|>"): probability for name, probability in odds}
                window.language = max(self._languages, key=lambda name: known.get(name, 0.0))

    def _tokenizer(self, language: str) -> Any:
        from faster_whisper.tokenizer import Tokenizer

        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._model.hf_tokenizer, self.multilingual, task="transcribe", language=language
            )
        return self._tokenizers[language]

    def _prompt(self, language: str) -> list[int]:
        return list(self._tokenizer(language).sot_sequence)

    def _said(self, window: _Window, ids: Sequence[int], score: float, no_speech: float, limit: int) -> _Said:
        tokenizer = self._tokenizer(window.language)
        first = tokenizer.timestamp_begin
        pieces: list[tuple[int, int, tuple[int, ...]]] = []
        start = 0
        tokens: list[int] = []
        for token in ids:
            if token >= first:
                if tokens:
                    pieces.append((start, token - first, tuple(tokens)))
                    tokens = []
                start = token - first
            elif token < tokenizer.eot:
                tokens.append(token)
        if tokens:
            pieces.append((start, max(start, window.speech_ms // TICK_MS), tuple(tokens)))
        return _Said(
            pieces=tuple(pieces),
            score=score,
            no_speech=no_speech,
            capped=len(ids) >= limit,
        )

    def _words(self, window: _Window, said: _Said) -> tuple[list[Word], bool]:
        """The words with times on the call's clock, and whether a loop showed (it is said once then)."""
        base_ms = window.job.start_ms + window.offset_ms
        tokenizer = self._tokenizer(window.language)
        words: list[Word] = []
        for start, end, tokens in said.pieces:
            if start * TICK_MS > window.speech_ms:
                break
            texts = _with_punctuation(tokenizer.split_to_word_tokens(list(tokens))[0])
            end_ms = max(start * TICK_MS, min(end * TICK_MS, window.speech_ms))
            first_ms, last_ms = base_ms + int(start * TICK_MS * window.speed), base_ms + int(end_ms * window.speed)
            words += _spread(texts, first_ms, last_ms, said.score)
        forms = [spoken_form(word.text) for word in words]
        length, times = loop_at_end(forms)
        looped = times >= 3 or (times == 2 and length >= 2) or (len(said.pieces) > 1 and times == 2)
        return (words[: without_loop(forms)], True) if looped else (words, False)

    def _hypothesis(self, window: _Window, said: _Said, words: list[Word]) -> Hypothesis:
        job, recipe = window.job, self._recipe
        if not any(spoken_form(word.text) for word in words):
            return _nothing(job, Dropped.NO_SPEECH)
        if said.score < recipe.doubtful:
            return _nothing(job, Dropped.DOUBTFUL)
        if said.no_speech > recipe.no_speech and said.score < recipe.faint:
            return _nothing(job, Dropped.NO_SPEECH)
        told = window.seen.speech_ms >= recipe.language_ms or bool(job.language) or not self.multilingual
        return replace(
            _nothing(job, None),
            words=tuple(words),
            language=window.language if told else "",
            unsure=job.final and said.score < recipe.certain,
        )


def _nothing(job: HearingJob, dropped: Dropped | None) -> Hypothesis:
    return Hypothesis(
        utterance=job.utterance,
        revision=job.revision,
        heard_to_ms=job.start_ms + len(job.pcm) * 500 // job.rate_hz,
        final=job.final,
        dropped=dropped,
    )


def _with_punctuation(texts: Sequence[str]) -> list[str]:
    """Words with the marks that follow them; a mark by itself is no word."""
    words: list[str] = []
    for text in texts:
        if words and not spoken_form(text):
            words[-1] += text
        elif text:
            words.append(text)
    return words


def _spread(texts: list[str], start_ms: int, end_ms: int, score: float) -> list[Word]:
    """Words of one timestamped piece, their times by their share of its letters: good to some 100 ms, and free."""
    total = sum(len(text) for text in texts) or 1
    words, done = [], 0
    for text in texts:
        begin = start_ms + (end_ms - start_ms) * done // total
        done += len(text)
        words.append(
            Word(
                text=text,
                start_ms=begin,
                end_ms=start_ms + (end_ms - start_ms) * done // total,
                probability=round(min(1.0, math.exp(score)), 3),
            )
        )
    return words
