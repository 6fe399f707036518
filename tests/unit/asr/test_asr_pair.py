"""Two recognizers as one: each job goes to the one that takes it, and every answer comes back in its place."""

from __future__ import annotations

import pytest

from callguard.asr.pair import Pair
from callguard.asr.scripted import ScriptedRecognizer
from callguard.model.errors import RecognizerFault
from callguard.model.ids import CallId, LegId, UtteranceId
from callguard.ports import HearingJob


def job(number: int, *, thorough: bool) -> HearingJob:
    return HearingJob(
        call=CallId("c"),
        leg=LegId("c"),
        utterance=UtteranceId(f"c/{number}"),
        revision=1,
        pcm=b"\1\0" * 8000,
        rate_hz=8000,
        start_ms=0,
        language="en",
        final=True,
        priority=0,
        deadline_ms=0,
        thorough=thorough,
    )


def test_each_job_goes_to_its_recognizer_and_answers_keep_their_order() -> None:
    usual, better = ScriptedRecognizer(lambda _: [(500, "good")]), ScriptedRecognizer(lambda _: [(500, "better")])
    jobs = [job(n, thorough=n % 3 == 0) for n in range(7)]
    heard = Pair(usual, better, other_takes=lambda one: one.thorough).hear(jobs)
    assert [one.utterance for one in heard] == [one.utterance for one in jobs]
    assert [one.words[0].text.strip() for one in heard] == ["better" if n % 3 == 0 else "good" for n in range(7)]
    assert (len(usual.heard), len(better.heard)) == (4, 3)


def test_a_recognizer_without_jobs_is_left_alone() -> None:
    usual, broken = ScriptedRecognizer(lambda _: [(500, "good")]), ScriptedRecognizer(lambda _: [], fails=lambda: True)
    pair = Pair(usual, broken, other_takes=lambda one: one.thorough)
    assert pair.hear([job(1, thorough=False)])[0].words
    with pytest.raises(RecognizerFault):
        pair.hear([job(1, thorough=True)])
    assert pair.hear([]) == []
