"""An utterance as a lattice: from each position, which symbols lead where.

A position is a word in English and a character in Japanese. A symbol is a word as it stands (``idiot``), all the
forms of one (``~kill``), or a named list (``{insult}``). The matcher sees symbols alone and so serves every language.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Arcs = dict[str, tuple[int, ...]]

STOP = "。"
"""Where a language gives the end of a sentence a position of its own, this symbol alone steps over it."""


@dataclass(slots=True, kw_only=True)
class Lattice:
    """One utterance, ready to be matched.

    arcs: one table a position, symbol to the positions after it.
    hard: positions before which a sentence ended (0 and the last position included).
    soft: positions before which a comma or pause stood.
    inside: positions in the middle of a word, where no match and nothing after a gap begins.
    chars: per position, the (start, end) of its piece of ``text``.
    text: the utterance as recognized.
    present: the symbols there are; a set beside the keys of ``starts``, as it is held against other sets some hundred
        times an utterance. starts: where each of them begins, ascending or not.
    literal: its positions joined, English with spaces between. said: how it is read, where spelling and sound differ.
    """

    text: str
    size: int
    arcs: list[Arcs]
    hard: set[int]
    soft: set[int]
    chars: list[tuple[int, int]]
    literal: str = ""
    said: str = ""
    present: set[str] = field(default_factory=set)
    starts: dict[str, list[int]] = field(default_factory=dict)
    inside: set[int] = field(default_factory=set)

    def add(self, start: int, symbol: str, end: int) -> None:
        """One more arc; the same arc twice is one."""
        table = self.arcs[start]
        ends = table.get(symbol)
        if ends is None:
            table[symbol] = (end,)
            self.present.add(symbol)
            self.starts.setdefault(symbol, []).append(start)
        elif end not in ends:
            table[symbol] = (*ends, end)

    def breaks(self, start: int, end: int) -> bool:
        """Whether a sentence ends between two positions."""
        return any(place in self.hard for place in range(start + 1, end))

    def words(self, start: int, end: int) -> str:
        """The recognized text from one position up to another."""
        if start >= end:
            return ""
        return self.text[self.chars[start][0] : self.chars[end - 1][1]].strip()
