"""Loops: what a recognizer says when the speech is over and it goes on, "over and over and over"."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_PHRASE = 12


def loop_at_end(words: Sequence[str]) -> tuple[int, int]:
    """(length, times) of the phrase that repeats at the end, covering the most words; (0, 1) where none does."""
    best = (0, 1)
    for length in range(1, min(LONGEST_PHRASE, len(words) // 2) + 1):
        phrase = words[len(words) - length :]
        times = 1
        while words[len(words) - length * (times + 1) : len(words) - length * times] == phrase:
            times += 1
        if times > 1 and length * (times - 1) > best[0] * (best[1] - 1):
            best = (length, times)
    return best


def without_loop(words: Sequence[str]) -> int:
    """How many words remain when the phrase repeated at the end is said once."""
    length, times = loop_at_end(words)
    return len(words) - length * (times - 1)
