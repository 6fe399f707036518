"""What the tests of judging share: an utterance as a recognizer hears it, more or less surely."""

from __future__ import annotations

from collections.abc import Mapping

from callguard.model.ids import LegId, Role, UtteranceId
from callguard.model.words import Readings, Transcript, Word

SURE = 0.95


def words(text: str, probability: float = SURE, *, unsure: Mapping[str, float] | None = None) -> tuple[Word, ...]:
    """The words of a text, 200 ms each. unsure: words with a probability of their own."""
    return tuple(
        Word(
            text=f" {word}", start_ms=200 * at, end_ms=200 * at + 190, probability=(unsure or {}).get(word, probability)
        )
        for at, word in enumerate(text.split())
    )


def utterance(said: tuple[Word, ...]) -> Transcript:
    """A closed English utterance of the caller."""
    return Transcript(
        utterance=UtteranceId("1700000000.1-1"),
        leg=LegId("1700000000.1"),
        role=Role.CALLER,
        start_ms=0,
        end_ms=200 * len(said),
        language="en",
        committed=said,
        closed=True,
    )


def readings(closed: Transcript, *others: tuple[Word, ...]) -> Readings:
    """What else the sound of this utterance may have said."""
    return Readings(transcript=closed, readings=others)
