"""From hypotheses to words we hold to be said: LocalAgreement-2 (Macháček et al. 2023, "Turning Whisper into
Real-Time Transcription System"): a word is committed when two successive hearings of the growing utterance say it.

Committed words never change and never go away. A hearing that comes late, twice, or that was dropped adds nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from callguard.model.words import Hypothesis, Transcript, Word


def agree(transcript: Transcript, hypothesis: Hypothesis) -> Transcript:
    """The transcript after one more hearing.

    A final hypothesis commits everything it says beyond the words already committed; if it was dropped, the
    tentative words stay tentative and the utterance is closed.
    """
    if transcript.closed or hypothesis.revision <= transcript.revision or hypothesis.utterance != transcript.utterance:
        return transcript
    end_ms = max(transcript.end_ms, hypothesis.heard_to_ms)
    language = hypothesis.language or transcript.language
    if hypothesis.dropped is not None:
        return replace(transcript, revision=hypothesis.revision, end_ms=end_ms, closed=hypothesis.final)
    fresh = _beyond(transcript.committed, hypothesis.words)
    count = len(fresh) if hypothesis.final else _shared(transcript.tentative, fresh)
    return replace(
        transcript,
        revision=hypothesis.revision,
        end_ms=end_ms,
        language=language,
        committed=transcript.committed + tuple(_after(transcript.committed, fresh[:count])),
        tentative=tuple(fresh[count:]),
        closed=hypothesis.final,
    )


def spoken_form(text: str) -> str:
    """A word as far as two hearings must agree on it: no case, no width, no punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if not unicodedata.category(char).startswith(("P", "Z", "C")))


def each_once(readings: Iterable[Sequence[Word]]) -> tuple[tuple[Word, ...], ...]:
    """Readings of one sound without empty ones and those that say the same as an earlier one."""
    known: dict[str, tuple[Word, ...]] = {}
    for one in readings:
        known.setdefault(" ".join(spoken_form(word.text) for word in one), tuple(one))
    return tuple(one for one in known.values() if one)


def _shared(before: Sequence[Word], now: Sequence[Word]) -> int:
    count = 0
    for old, new in zip(before, now, strict=False):
        if spoken_form(old.text) != spoken_form(new.text):
            break
        count += 1
    return count


def _beyond(committed: Sequence[Word], heard: Sequence[Word]) -> Sequence[Word]:
    """What of a hearing of the whole utterance comes after the words already committed.

    The recognizer may by now spell those differently, so they are laid over the beginning of what was heard with
    the fewest edits; among equals the place where the last committed word is found again wins.
    """
    if not committed:
        return heard
    old = [spoken_form(word.text) for word in committed]
    new = [spoken_form(word.text) for word in heard]
    if new[: len(old)] == old:
        return heard[len(old) :]
    costs = _costs(old, new)
    best = min(range(len(costs)), key=lambda k: (costs[k], not (k and new[k - 1] == old[-1]), abs(k - len(old))))
    return heard[best:]


def _costs(old: Sequence[str], new: Sequence[str]) -> list[int]:
    """Edits between all of ``old`` and each beginning of ``new``, by the length of that beginning."""
    row = list(range(len(new) + 1))
    for i, left in enumerate(old, start=1):
        diagonal, row[0] = row[0], i
        for k, right in enumerate(new, start=1):
            diagonal, row[k] = row[k], min(row[k] + 1, row[k - 1] + 1, diagonal + (left != right))
    return row


def _after(committed: Sequence[Word], fresh: Sequence[Word]) -> list[Word]:
    """Times of newly committed words never go back behind the committed ones."""
    floor_ms = committed[-1].end_ms if committed else 0
    words: list[Word] = []
    for word in fresh:
        start_ms = max(word.start_ms, floor_ms)
        words.append(replace(word, start_ms=start_ms, end_ms=max(word.end_ms, start_ms)))
        floor_ms = start_ms
    return words
