"""``callguard policy test``: labelled sentences judged, from their text or from their sound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from callguard.commands.local_hearing import local_line
from callguard.commands.policies.sentences import Judged, Sentence
from callguard.detect.verdict import SURE_ENOUGH, Judgement, Verdict, judge_text
from callguard.policyfile import load_policy, load_rules
from callguard.session.judging import Guard
from callguard.shipped import shipped

if TYPE_CHECKING:
    from callguard.asr.local import LocalLine
    from callguard.config import SpeechSettings
    from callguard.model.finding import Finding
    from callguard.model.words import Transcript


@dataclass(slots=True)
class Guards:
    """By language: what its sentences are judged by. Without a file of one's own, the shipped policy of each."""

    file: Path | None = None
    read: dict[str, Guard] | None = None

    warn: Callable[[str], None] = print

    def of(self, language: str) -> Guard:
        """Raises SettingsError for a policy that is wrong. One without rules for this language is told of, once."""
        known = self.read = self.read if self.read is not None else {}
        if language not in known:
            policy = load_policy(self.file or shipped(f"policies/{language}.toml"))
            known[language] = Guard(policy=policy, rules=load_rules(policy))
            if language not in known[language].rules.languages:
                self.warn(
                    f"the policy {policy.name} has no rules for {language!r}: nothing is found in those sentences"
                )
        return known[language]


def judge_texts(sentences: list[Sentence], guards: Guards) -> Iterator[Judged]:
    """Each sentence judged from its text."""
    for sentence in sentences:
        rules = guards.of(sentence.language).rules
        yield Judged(sentence=sentence, verdict=judge_text(sentence.text, sentence.language, rules))


def judge_sounds(
    sentences: list[Sentence], guards: Guards, *, sounds: Path, speech: SpeechSettings, missing: Callable[[str], None]
) -> Iterator[Judged]:
    """Each sentence judged from ``sounds/<id>.wav`` through the whole pipeline; ids without a file are told."""
    with local_line(speech) as line:
        for sentence in sentences:
            file = sounds / f"{sentence.id}.wav"
            if not file.is_file():
                missing(sentence.id)
                continue
            yield asyncio.run(_hear(sentence, file, guards.of(sentence.language), line))


async def _hear(sentence: Sentence, file: Path, guard: Guard, line: LocalLine) -> Judged:
    from callguard.audio.wav import read_tracks
    from callguard.model.action import CallFacts
    from callguard.model.ids import CallId, LegId, Role
    from callguard.session.judging import Judge
    from callguard.session.listening import Listening, hear_files

    judge, found, heard = Judge(guard), [], []

    def said(transcript: Transcript) -> None:
        if transcript.closed:
            heard.append(transcript.text)
        found.extend(judge.hear([transcript])[0])

    call = CallId(sentence.id)
    judge.learn(CallFacts(call=call, queue="", language=sentence.language, number_known=False))
    ignore: Callable[[object], None] = lambda _: None  # noqa: E731 - measures beyond words are not asked for here
    listening = Listening(
        line,
        on_transcript=said,
        on_readings=lambda readings: found.extend(judge.hear([readings])[0]),
        on_level=ignore,
        on_overlap=ignore,
        steady=True,
    )
    tracks = {LegId("caller"): (Role.CALLER, read_tracks(file)[0])}
    await hear_files(listening, call, tracks, language=sentence.language, on_time=lambda at_ms: None)
    return Judged(sentence=sentence, verdict=_verdict(found), heard=" ".join(heard))


def _verdict(found: list[Finding]) -> Verdict:
    firm = [one for one in found if one.stage.value == "committed" and one.score >= SURE_ENOUGH]
    care = [one for one in firm if one.category.is_care]
    counted = care or firm
    if not counted:
        return Verdict(verdict=Judgement.NONE)
    return Verdict(
        verdict=Judgement.CARE if care else Judgement.HARASSMENT,
        kinds=tuple(dict.fromkeys(one.category for one in counted)),
        severity=max(one.severity for one in counted),
        rules=tuple(one.rule for one in counted),
        words=tuple(one.words for one in counted),
    )
