"""How transcripts are searched: letters folded together, text cut into pairs of letters.

Japanese has no spaces and its worst words have two letters, so the index is over pairs. A text that holds a phrase
holds the phrase's pairs in a row. Rule: the same folding for what is stored and what is asked.
"""

from __future__ import annotations

import unicodedata

GAP = "_"
"""Stands for everything between words."""


def fold(text: str) -> str:
    """Compatibility letters made plain, case dropped, everything but letters and digits one gap.

    A gap beside a letter that needs no spaces (kana, kanji) is dropped: recognizers put them anywhere.
    """
    out: list[str] = []
    for letter in unicodedata.normalize("NFKC", text).casefold():
        if unicodedata.category(letter)[0] in "LN":
            if len(out) > 1 and out[-1] == GAP and (_unspaced(letter) or _unspaced(out[-2])):
                out.pop()
            out.append(letter)
        elif out and out[-1] != GAP:
            out.append(GAP)
    return "".join(out).strip(GAP)


def pairs(folded: str) -> list[str]:
    """Overlapping pairs of letters; a single letter stands alone."""
    return [folded[at : at + 2] for at in range(max(1, len(folded) - 1))] if folded else []


def _unspaced(letter: str) -> bool:
    return "\u3005" <= letter <= "\u30ff" or "\u3400" <= letter <= "\u9fff" or "\U00020000" <= letter <= "\U0003ffff"
