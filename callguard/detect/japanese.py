"""Japanese: from recognized text to a lattice of characters, with dictionary words, readings and endings laid over it.

Characters are folded first: width (NFKC), katakana to hiragana, small vowels to large ones, drawn-out vowels of
hiragana dropped, punctuation and spaces taken out. So バカ, ばか and ばーか are one spelling, and うるせぇ is うるせえ.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import ahocorasick
import jaconv
from rapidfuzz import fuzz
from sudachipy import Dictionary, SplitMode

from callguard.detect.conjugation import verb_forms
from callguard.detect.lattice import STOP, Lattice
from callguard.detect.reading import Piece, Readings
from callguard.detect.sounds import coarse, phonemes

_HARD = frozenset("。?!．.")
_SOFT = frozenset("、,，・ 　\t")
_OTHER = frozenset("「」『』()（）[]【】~〜\"'“”-–—;:")
_SMALL = str.maketrans("ぁぃぅぇぉ", "あいうえお")
_UNBOUND = 4
_UNBROKEN = 3
"""Bounds of a short text that may not reach from one word into the middle of another: ガキ in 舌が|きく."""
_SURE_READING = 4
"""A reading this long counts anywhere in a text written in kana; a shorter one only as whole words."""
_COMPOUND = 3
"""Characters from which a word is looked at for the parts it is made of."""
_KANA_ONLY = 8
"""A text of this many characters and no kanji is taken as written by its sound."""
_NUMERAL = re.compile("(?:いち|に|さん|よん|ご|ろく|なな|はち|きゅう)?(?:じゅう|ひゃく|びゃく|ぴゃく|せん|まん|おく)+")
_NEAR_ENOUGH = 84.0
_TELLING_SOUND = 8
"""Phonemes that a phrase must have to count when something merely sounds like it."""


def fold(text: str) -> str:
    """The folded spelling of a listed word."""
    return "".join(_folded(text)[0])


def _folded(text: str) -> tuple[list[str], list[int], str, list[int], set[int], set[int]]:
    """Folded characters, their places in the text, the NFKC text, where each of its characters went, the breaks."""
    chars: list[str] = []
    places: list[int] = []
    plain: list[str] = []
    went: list[int] = []
    hard: set[int] = {0}
    soft: set[int] = set()
    hiragana_before = False
    stop: int | None = None
    for place, raw in enumerate(text):
        for char in unicodedata.normalize("NFKC", raw).lower():
            plain.append(char)
            if stop is not None and not (char in _HARD or char in _SOFT or char in _OTHER):
                chars.append(STOP)
                places.append(stop)
                hard.add(len(chars))
                stop = None
            went.append(len(chars))
            if char in _HARD and _is_pause(text, place):
                soft.add(len(chars))
            elif char in _HARD and not _inside_number(text, place):
                hard.add(len(chars))
                stop = place if chars and stop is None else stop
            elif char in _SOFT:
                soft.add(len(chars))
            elif char in _HARD or char in _OTHER or (char == "ー" and hiragana_before):
                pass
            else:
                hiragana_before = "ぁ" <= char <= "ゖ"
                chars.append(chr(ord(char) - 0x60) if "ァ" <= char <= "ヶ" else char)
                chars[-1] = chars[-1].translate(_SMALL)
                places.append(place)
    went.append(len(chars))
    hard.add(len(chars))
    return chars, places, "".join(plain), went, hard, soft


def _is_pause(text: str, place: int) -> bool:
    """Dots that trail off, not a full stop."""
    beside = text[place - 1 : place] + text[place + 1 : place + 2]
    return text[place] in "…‥" or (text[place] == "." and "." in beside)


def _inside_number(text: str, place: int) -> bool:
    return text[place - 1 : place].isdigit() and text[place + 1 : place + 2].isdigit()


@cache
def _sudachi() -> Any:
    return Dictionary(dict="core")


_OWN = threading.local()


def _tokenizer() -> Any:
    """This thread's own: one that is at work refuses another thread."""
    try:
        return _OWN.tokenizer
    except AttributeError:
        _OWN.tokenizer = _sudachi().tokenizer(mode=SplitMode.C)
        return _OWN.tokenizer


def reading(phrase: str) -> str:
    """The reading of a phrase in hiragana."""
    return str(jaconv.kata2hira("".join(_reading(m) for m in _tokenizer().tokenize(phrase))))


def _one_row(verb: str) -> bool:
    if not verb.endswith("る"):
        return False
    last = list(_tokenizer().tokenize(verb))[-1]
    return "一段" in str(last.part_of_speech()[4])


def _reading(morpheme: Any) -> str:
    return str(morpheme.reading_form()) or str(morpheme.surface())


@dataclass(slots=True)
class JapaneseWords:
    """The vocabulary of the rules.

    texts: folded text to (symbol, bounds): 0 matches anywhere, 1 where a dictionary word begins, 2 whole words alone,
        3 anywhere but from one word into the middle of another.
    lemmas: dictionary form to symbols. heard: (phonemes, symbol) of phrases that count when they merely sound alike.
    search finds the texts; spoken finds their readings, for texts written in kana alone; read finds them in any text
    that may have been misheard.
    """

    texts: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    lemmas: dict[str, tuple[str, ...]] = field(default_factory=dict)
    heard: list[tuple[str, str]] = field(default_factory=list)
    search: Any = None
    spoken: Any = None
    read: Readings | None = None

    def literal(self, written: str) -> str:
        """The symbol of a text written in a pattern; ``~殺す`` is every form of it, ``@`` a class of word."""
        if written == STOP or written.startswith(("{", "@")):
            return written
        if written.startswith("~"):
            self._lemma(written[1:], written)
            return written
        folded = fold(written)
        self._text(folded, folded, bounds=_UNBROKEN if _is_noun_in_kana(written) else 0)
        return folded

    def _lemma(self, lemma: str, symbol: str) -> None:
        held = self.lemmas.get(lemma, ())
        if symbol not in held:
            self.lemmas[lemma] = (*held, symbol)

    def _text(self, folded: str, symbol: str, *, bounds: int) -> None:
        held = self.texts.setdefault(folded, [])
        if (symbol, bounds) not in held:
            held.append((symbol, bounds))

    def enter(self, name: str, entries: Sequence[str], kind: str, *, sound: bool) -> None:
        """Enter a list. kind: "verb" (dictionary forms), "word" (whole words), "text" (as written, anywhere)."""
        symbol = "{" + name + "}"
        for entry in entries:
            if kind == "verb":
                self._verb(entry, name)
            else:
                folded = fold(entry)
                self._text(folded, symbol, bounds=_bounds(folded, kind))
            if sound:
                self.hear(entry, symbol)

    def _verb(self, verb: str, name: str) -> None:
        """All forms under ``{name}``, and each form under its own symbol: ``{name.te}``, ``{name.imp}``."""
        symbol = "{" + name + "}"
        self._lemma(verb, symbol)
        for form, text in verb_forms(verb, one_row=_one_row(verb)):
            folded = fold(text)
            if not folded:
                continue
            bounds = 1 if len(folded) < _UNBOUND else 0
            self._text(folded, "{" + name + "." + form + "}", bounds=bounds)
            self._text(folded, symbol, bounds=bounds)

    def hear(self, phrase: str, symbol: str) -> None:
        """Let what sounds like this phrase stand for the symbol; a phrase too short sounds like too much."""
        said = coarse(phonemes(reading(phrase)))
        if len(said) >= _TELLING_SOUND:
            self.heard.append((said, symbol))

    def close(self) -> None:
        """No more entries: build the search."""
        self.search = _automaton(self.texts)
        kana = {text: _kana(text) for text in self.texts}
        self.spoken = _automaton(_readings(self.texts, kana))
        self.read = Readings(
            (text, kana[text], [symbol for symbol, _ in carried]) for text, carried in self.texts.items()
        )

    def lattice(self, text: str, *, by_sound: bool) -> Lattice:
        """The lattice of a text. by_sound: let phrases that sound like a listed one stand for it."""
        chars, places, plain, went, hard, soft = _folded(text)
        size = len(chars)
        folded = "".join(chars)
        lattice = Lattice(
            text=text,
            size=size,
            arcs=[{} for _ in range(size)],
            hard=hard,
            soft=soft | hard,
            chars=[(place, place + 1) for place in places],
            literal=folded,
        )
        starts: set[int] = {0, size}
        pieces: list[Piece] = []
        titles: set[int] = set()
        named = -1
        said: list[str] = []
        for morpheme in _tokenizer().tokenize(plain):
            start, end = went[morpheme.begin()], went[morpheme.end()]
            if start == end:
                continue
            starts.add(start)
            starts.add(end)
            if chars[start] == STOP:
                continue
            said.append(_reading(morpheme))
            lattice.inside.update(_inner(morpheme, went))
            kind = morpheme.part_of_speech()[0]
            if chars[start] == "君" and kind == "接尾辞" and named == start:
                titles.add(start)
            named = end if kind == "名詞" else -1
            self._dictionary(lattice, morpheme, start, end)
            if by_sound:
                sound, text = jaconv.kata2hira(said[-1]), folded[start:end]
                pieces.append(Piece(sound, start, end, text, _fishy(morpheme), _sure(morpheme, text)))
                if kind == "名詞" and len(text) > 1 and _is_kana(text):
                    for symbol, _ in self.texts.get(fold(morpheme.normalized_form()), ()):
                        lattice.add(start, symbol, end)
        lattice.said = "".join(said)
        for place in range(size):
            if chars[place] == STOP:
                lattice.add(place, STOP, place + 1)
        if size:
            for last, (length, carried) in self.search.iter(folded):
                start, end = last + 1 - length, last + 1
                if start in titles and length == 1:
                    continue
                for symbol, bounds in carried:
                    if bounds and not _bounded(start, end, starts, bounds):
                        continue
                    lattice.add(start, symbol, end)
            if size >= _KANA_ONLY and not any(map(_is_kanji, folded)):
                self._spoken(lattice, folded, starts)
        if by_sound:
            self._sounds(lattice, pieces)
            for start, symbol, end in self.read.arcs(pieces) if self.read else ():
                if not lattice.breaks(start, end):
                    lattice.add(start, symbol, end)
        return lattice

    def _spoken(self, lattice: Lattice, folded: str, starts: set[int]) -> None:
        for last, (length, carried) in self.spoken.iter(folded):
            start, end = last + 1 - length, last + 1
            if length < _SURE_READING and (start not in starts or end not in starts):
                continue
            for symbol, _ in carried:
                lattice.add(start, symbol, end)
        for number in _NUMERAL.finditer(folded):
            lattice.add(number.start(), "@num", number.end())

    def _dictionary(self, lattice: Lattice, morpheme: Any, start: int, end: int) -> None:
        for lemma in {morpheme.dictionary_form(), morpheme.normalized_form()}:
            for symbol in self.lemmas.get(lemma, ()):
                lattice.add(start, symbol, end)
        kind, second, *_, conjugation = morpheme.part_of_speech()
        if conjugation.startswith("命令形"):
            lattice.add(start, "@imperative", end)
        if second == "数詞":
            lattice.add(start, "@num", end)
        if kind == "動詞":
            lattice.add(start, "@verb", end)

    def _sounds(self, lattice: Lattice, pieces: Sequence[Piece]) -> None:
        sounds: list[str] = []
        owners: list[int] = []
        for number, piece in enumerate(pieces):
            part = coarse(phonemes(piece.said))
            sounds.append(part)
            owners.extend([number] * len(part))
        line = "".join(sounds)
        if len(line) < 4:
            return
        for phrase, symbol in self.heard:
            if len(phrase) > len(line) + 1:
                continue
            hit = fuzz.partial_ratio_alignment(phrase, line, score_cutoff=_NEAR_ENOUGH)
            if hit is None or hit.dest_end <= hit.dest_start:
                continue
            first, last = owners[hit.dest_start], owners[hit.dest_end - 1]
            whole = owners[: hit.dest_start].count(first) == 0 and last not in owners[hit.dest_end :]
            under = pieces[first : last + 1]
            if lattice.breaks(under[0].start, under[-1].end):
                continue
            if (hit.score == 100.0 and whole) or any(piece.misheard for piece in under):
                lattice.add(under[0].start, symbol, under[-1].end)


def _inner(morpheme: Any, went: Sequence[int]) -> set[int]:
    """The positions within a word of the dictionary at which no part of it begins."""
    start, end = went[morpheme.begin()], went[morpheme.end()]
    if end - start < 2 or morpheme.is_oov():
        return set()
    return set(range(start + 1, end)) - {went[morpheme.begin() + joint] for joint in _joints(morpheme)}


def _joints(morpheme: Any) -> tuple[int, ...]:
    """Where the parts of a compound meet, in characters from its start: 市議会|議員."""
    if len(morpheme.surface()) < _COMPOUND:
        return ()
    begin = morpheme.begin()
    return tuple(part.begin() - begin for part in morpheme.split(SplitMode.A))[1:]


def _bounds(folded: str, kind: str) -> int:
    """Short words listed in kana stand in too many others, and so does a lone kanji: 夫 in 大丈夫.

    They count as words, or where a word begins.
    """
    if len(folded) >= _UNBOUND:
        return 0
    if kind == "word" or len(folded) == 1 or (len(folded) < _UNBOUND - 1 and _is_kana(folded)):
        return 2
    return int(_is_kana(folded))


def _bounded(start: int, end: int, starts: set[int], bounds: int) -> bool:
    if bounds == _UNBROKEN:
        return end in starts or starts.isdisjoint(range(start + 1, end))
    return start in starts and (bounds == 1 or end in starts)


def _is_noun_in_kana(written: str) -> bool:
    return len(written) < _UNBOUND and all("ァ" <= char <= "ヺ" or char == "ー" for char in written)


def _is_kana(text: str) -> bool:
    return all("ぁ" <= char <= "ゖ" or char == "ー" for char in text)


def _is_kanji(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff"


def _automaton(texts: Mapping[str, Sequence[tuple[str, int]]]) -> Any:
    made = ahocorasick.Automaton()
    for folded, carried in texts.items():
        if folded:
            made.add_word(folded, (len(folded), tuple(carried)))
    made.make_automaton()
    return made


def _readings(
    texts: Mapping[str, Sequence[tuple[str, int]]], kana: Mapping[str, str]
) -> dict[str, list[tuple[str, int]]]:
    """The readings of the texts that are not spelled as they sound, with what they stand for."""
    found: dict[str, list[tuple[str, int]]] = {}
    for folded, carried in texts.items():
        said = kana[folded].replace("ー", "")
        if said != folded and len(said) > 1:
            held = found.setdefault(said, [])
            held.extend(one for one in carried if one not in held)
    return found


def _kana(text: str) -> str:
    """The reading of a folded text."""
    return fold(reading(text)) if any(map(_is_kanji, text)) else text


def _sure(morpheme: Any, text: str) -> bool:
    """Whether a word is believed as it is written: two characters or more with kanji among them, and no name."""
    kind, second, *_ = morpheme.part_of_speech()
    if morpheme.is_oov() or second == "固有名詞" or not any(map(_is_kanji, text)):
        return False
    return len(text) > 1 or kind in ("動詞", "接尾辞")


def _fishy(morpheme: Any) -> bool:
    """A piece the dictionary does not know, or a lone kana that is no particle, ending or the like: likely misheard.

    A number the dictionary puts together itself is none: 三日過ぎ is no ゴミカス.
    """
    if morpheme.part_of_speech()[1] == "数詞":
        return False
    return bool(
        morpheme.is_oov()
        or (
            len(text := morpheme.surface()) == 1
            and _is_kana(text)
            and text not in "おご"
            and morpheme.part_of_speech()[0] not in ("助詞", "助動詞", "動詞", "補助記号", "接続詞", "感動詞", "接尾辞")
        )
    )
