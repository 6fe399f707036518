"""Two recognizers as one: English goes to its own model, everything else to the other."""

from __future__ import annotations

from collections.abc import Sequence

from callguard.model.words import Hypothesis
from callguard.ports import HearingJob, Recognizer


class Pair:
    """A ``ports.Recognizer`` that sends each job by its language; one of unknown language goes to ``any_language``."""

    def __init__(self, *, any_language: Recognizer, english: Recognizer) -> None:
        self._any, self._english = any_language, english

    def hear(self, jobs: Sequence[HearingJob]) -> list[Hypothesis]:
        """See ``ports.Recognizer``."""
        sides = (
            (self._english, [n for n, job in enumerate(jobs) if job.language == "en"]),
            (self._any, [n for n, job in enumerate(jobs) if job.language != "en"]),
        )
        answers: dict[int, Hypothesis] = {}
        for recognizer, numbers in sides:
            if numbers:
                answers.update(zip(numbers, recognizer.hear([jobs[n] for n in numbers]), strict=True))
        return [answers[n] for n in range(len(jobs))]
