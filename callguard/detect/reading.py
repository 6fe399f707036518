"""Japanese by its reading: what a recognizer wrote with other characters than were meant, found by how it sounds.

A recognizer that knows the sounds of a sentence and not its words writes 口込み for 口コミ, いなかもの for 田舎者 and
本をってやる for 本折ってやる. The reading of both is one, once vowels have one length, so listed words are looked for
there as well. Words that the dictionary knows as they stand are believed: 浴場 is never 欲情.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import ahocorasick

ANYWHERE = 6
"""A key of so many kana counts wherever it stands."""
FROM_A_WORD = 4
"""One of so many where a dictionary word begins; a shorter one only as whole words of which one looks misheard."""

_ONE_SOUND = str.maketrans({"を": "お", "ぢ": "じ", "づ": "ず", "ゔ": "ぶ"})
_ROWS = {
    "a": "あかさたなはまやらわがざだばぱゃ",
    "i": "いきしちにひみりぎじぢびぴ",
    "u": "うくすつぬふむゆるぐずづぶぷゅ",
    "e": "えけせてねへめれげぜでべぺ",
    "o": "おこそとのほもよろをごぞどぼぽょ",
}
_VOWEL = {kana: vowel for vowel, row in _ROWS.items() for kana in row}
_LENGTHENS = {"あ": "a", "い": "ie", "う": "uo", "え": "e", "お": "o"}


class Piece(NamedTuple):
    """A dictionary word of an utterance.

    said: its reading in hiragana. start, end: its positions. text: as it is written. misheard: it looks like no word.
    sure: it is believed as it stands.
    """

    said: str
    start: int
    end: int
    text: str
    misheard: bool
    sure: bool


def key(kana: str) -> tuple[str, list[int]]:
    """The reading with every vowel short, and for each of its kana the place in ``kana``; the length ends the list."""
    kept: list[str] = []
    places: list[int] = []
    vowel = ""
    for place, char in enumerate(kana.translate(_ONE_SOUND)):
        if char == "ー" or (vowel and vowel in _LENGTHENS.get(char, "")):
            continue
        kept.append(char)
        places.append(place)
        vowel = _VOWEL.get(char, "")
    places.append(len(kana))
    return "".join(kept), places


class Readings:
    """Listed texts by the key of their reading. texts: (as written, reading in hiragana, symbols it stands for)."""

    def __init__(self, texts: Iterable[tuple[str, str, Sequence[str]]]) -> None:
        held: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        for text, kana, symbols in texts:
            sound, _ = key(kana)
            if len(sound) > 1:
                held.setdefault(sound, []).append((text, tuple(dict.fromkeys(symbols))))
        self._search: Any = ahocorasick.Automaton()
        for sound, texts_of in held.items():
            self._search.add_word(sound, (len(sound), tuple(texts_of)))
        self._search.make_automaton()

    def arcs(self, pieces: Sequence[Piece]) -> Iterator[tuple[int, str, int]]:
        """(start, symbol, end) of what is found."""
        kana = "".join(piece.said for piece in pieces)
        if len(kana) < 2:
            return
        where: list[int] = []
        owner: list[int] = []
        begins: set[int] = set()
        for number, piece in enumerate(pieces):
            begins.add(len(where))
            spelled = len(piece.said) == piece.end - piece.start
            where.extend(piece.start + n if spelled or n == 0 else -1 for n in range(len(piece.said)))
            owner.extend([number] * len(piece.said))
        begins.add(len(where))
        where.append(pieces[-1].end)
        sound, places = key(kana)
        for last, (length, texts) in self._search.iter(sound):
            first = places[last + 1 - length]
            ends = [place for place in range(places[last] + 1, places[last + 1] + 1) if where[place] >= 0]
            if where[first] < 0 or not ends or (length < ANYWHERE and first not in begins):
                continue
            under = pieces[owner[first] : owner[places[last]] + 1]
            if length < FROM_A_WORD:
                ends = [end for end in ends if end in begins]
                if not any(piece.misheard for piece in under):
                    continue
            for text, symbols in texts:
                if any(piece.sure and piece.text not in text for piece in under):
                    continue
                for end in ends:
                    if where[end] > where[first]:
                        for symbol in symbols:
                            yield where[first], symbol, where[end]
