"""Recognizers for tests and practice: they hear what they were told to, by the loudness of what they get."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from callguard.model.errors import RecognizerFault
from callguard.model.words import Hypothesis, Word
from callguard.ports import HearingJob


class ScriptedRecognizer:
    """Says, of each window, the words whose time it covers.

    script: what a leg says, as (end in ms on the call's clock, word); a word is heard once the sound reaches its end.
    takes_s: how long each hearing takes. fails: raise RecognizerFault instead, while it returns True.
    """

    def __init__(
        self,
        script: Callable[[HearingJob], Sequence[tuple[int, str]]],
        *,
        takes_s: float = 0.0,
        fails: Callable[[], bool] | None = None,
    ) -> None:
        self._script, self._takes_s, self._fails = script, takes_s, fails
        self.heard: list[HearingJob] = []

    def hear(self, jobs: Sequence[HearingJob]) -> list[Hypothesis]:
        """See ``ports.Recognizer``."""
        if self._fails is not None and self._fails():
            raise RecognizerFault("scripted to fail", code="model-failed")
        if self._takes_s:
            time.sleep(self._takes_s * len(jobs))
        self.heard += jobs
        return [self._one(job) for job in jobs]

    def _one(self, job: HearingJob) -> Hypothesis:
        to_ms = job.start_ms + len(job.pcm) * 500 // job.rate_hz
        words = tuple(
            Word(text=f" {word}", start_ms=max(job.start_ms, end_ms - 200), end_ms=end_ms, probability=0.95)
            for end_ms, word in self._script(job)
            if job.start_ms < end_ms <= to_ms
        )
        return Hypothesis(
            utterance=job.utterance,
            revision=job.revision,
            heard_to_ms=to_ms,
            words=words,
            language=job.language or "en",
            final=job.final,
        )
