"""Two recognizers as one: some jobs have a model of their own, everything else goes to the usual one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from callguard.model.words import Hypothesis
from callguard.ports import HearingJob, Recognizer


class Pair:
    """A ``ports.Recognizer`` that sends the jobs for which ``other_takes`` is true to ``other``."""

    def __init__(self, usual: Recognizer, other: Recognizer, *, other_takes: Callable[[HearingJob], bool]) -> None:
        self._usual, self._other, self._other_takes = usual, other, other_takes

    def hear(self, jobs: Sequence[HearingJob]) -> list[Hypothesis]:
        """See ``ports.Recognizer``."""
        sides: tuple[list[int], list[int]] = ([], [])
        for number, job in enumerate(jobs):
            sides[self._other_takes(job)].append(number)
        answers: dict[int, Hypothesis] = {}
        for recognizer, numbers in zip((self._usual, self._other), sides, strict=True):
            if numbers:
                answers.update(zip(numbers, recognizer.hear([jobs[n] for n in numbers]), strict=True))
        return [answers[n] for n in range(len(jobs))]
