"""Words: what a recognizer said of an utterance, and what we hold to be said."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from callguard.model.ids import LegId, Role, UtteranceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One recognized word (in Japanese: one recognizer token run, not a dictionary word).

    text: as recognized, with its own leading space where the language writes one.
    probability: the recognizer's, 0..1.
    """

    text: str
    start_ms: int
    end_ms: int
    probability: float


class Dropped(StrEnum):
    """Why a hearing gave no words."""

    NO_SPEECH = "no-speech"
    DOUBTFUL = "doubtful"
    REPETITIVE = "repetitive"
    NOISE = "noise"
    LATE = "late"
    SUPERSEDED = "superseded"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One hearing of one utterance as far as it had grown.

    revision: counts hearings of this utterance from 1.
    heard_to_ms: end of the sound that was heard, on the call's clock.
    final: heard after the utterance was closed.
    dropped: why words are missing, None where nothing was dropped.
    unsure: these last words are so little sure that other readings are worth asking for.
    others: what the sound may have said, each reading once, likelier first. Only of jobs that ask for readings.
    """

    utterance: UtteranceId
    revision: int
    heard_to_ms: int
    words: tuple[Word, ...] = ()
    language: str = ""
    final: bool = False
    dropped: Dropped | None = None
    unsure: bool = False
    others: tuple[tuple[Word, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What one utterance says so far: committed words never change, the tentative tail may.

    revision: of the hypothesis last agreed with.
    """

    utterance: UtteranceId
    leg: LegId
    role: Role
    start_ms: int
    end_ms: int
    language: str = ""
    committed: tuple[Word, ...] = ()
    tentative: tuple[Word, ...] = ()
    revision: int = 0
    closed: bool = False

    @property
    def text(self) -> str:
        """Committed words as one line."""
        return "".join(word.text for word in self.committed).strip()

    @property
    def tail(self) -> str:
        """Tentative words as one line."""
        return "".join(word.text for word in self.tentative).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What the sound of a closed utterance may have said besides. Comes after its words, which it never changes.

    transcript: of the closed utterance.
    readings: each once, likelier first; the likeliest may be what was transcribed.
    """

    transcript: Transcript
    readings: tuple[tuple[Word, ...], ...]
