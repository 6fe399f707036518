"""What words sound like: a coarse key for English, phonemes and a distance for Japanese readings."""

from __future__ import annotations

import re

from rapidfuzz.distance import Levenshtein

_ENGLISH = [
    (re.compile(r"^(?:kn|gn|pn)"), "n"),
    (re.compile(r"^wr"), "r"),
    (re.compile(r"ph"), "f"),
    (re.compile(r"tch"), "C"),
    (re.compile(r"(?:sh|ch)"), "C"),
    (re.compile(r"[sc]tion|sion"), "Cn"),
    (re.compile(r"th"), "t"),
    (re.compile(r"gh(?=t|$|[^aeiou])"), ""),
    (re.compile(r"d?g(?=[ei])"), "j"),
    (re.compile(r"c(?=[eiy])"), "s"),
    (re.compile(r"ck|q|c"), "k"),
    (re.compile(r"x"), "ks"),
    (re.compile(r"z"), "s"),
    (re.compile(r"[aeiouyhw]"), ""),
    (re.compile(r"(.)\1+"), r"\1"),
]


def english_key(word: str) -> str:
    """The consonants of a word as they sound: ``moran`` and ``moron`` share one key."""
    key = word
    for pattern, instead in _ENGLISH:
        key = pattern.sub(instead, key)
    return (word[0] if word[0] in "aeiou" else "") + key


_KANA = dict(
    zip(
        "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをんがぎぐげござじずぜぞだぢづでどばびぶべぼぱぴぷぺぽゔー",
        [
            "a",
            "i",
            "u",
            "e",
            "o",
            "ka",
            "ki",
            "ku",
            "ke",
            "ko",
            "sa",
            "Si",
            "su",
            "se",
            "so",
            "ta",
            "Ti",
            "Tu",
            "te",
            "to",
            "na",
            "ni",
            "nu",
            "ne",
            "no",
            "ha",
            "hi",
            "hu",
            "he",
            "ho",
            "ma",
            "mi",
            "mu",
            "me",
            "mo",
            "ya",
            "yu",
            "yo",
            "ra",
            "ri",
            "ru",
            "re",
            "ro",
            "wa",
            "o",
            "N",
            "ga",
            "gi",
            "gu",
            "ge",
            "go",
            "za",
            "Zi",
            "zu",
            "ze",
            "zo",
            "da",
            "Zi",
            "zu",
            "de",
            "do",
            "ba",
            "bi",
            "bu",
            "be",
            "bo",
            "pa",
            "pi",
            "pu",
            "pe",
            "po",
            "bu",
            "-",
        ],
        strict=True,
    )
)
_SMALL = {"ゃ": "a", "ゅ": "u", "ょ": "o", "ぁ": "a", "ぃ": "i", "ぅ": "u", "ぇ": "e", "ぉ": "o", "っ": "q"}
_NEAR = str.maketrans({"d": "r", "z": "s", "Z": "S", "g": "k", "b": "p", "-": "", "q": "", "T": "S"})


def phonemes(kana: str) -> str:
    """Hiragana as one letter a sound. Small kana join the sound before them."""
    out: list[str] = []
    for char in kana:
        if char in _SMALL:
            if char in "ゃゅょ" and out and out[-1][-1:] == "i":
                out[-1] = out[-1][:-1] + ("" if out[-1][0] in "STZ" else "y")
            out.append(_SMALL[char])
        else:
            out.append(_KANA.get(char, ""))
    return "".join(out)


def coarse(sounds: str) -> str:
    """Phonemes with those folded together that a telephone line and a recognizer confuse: d and r, voiced and not."""
    return sounds.translate(_NEAR)


def distance(one: str, other: str, most: int) -> int:
    """Edits between two phoneme strings; more than ``most`` is answered as ``most + 1``."""
    return Levenshtein.distance(one, other, score_cutoff=most)
