"""English and Japanese: which one a visitor reads, and their words.

English sentences in pages and code are the keys; ``japanese.py`` has the other side. A test walks all pages and
fails on a sentence without its Japanese.
"""

from __future__ import annotations

from collections.abc import Callable

from callguard.web.japanese import JAPANESE

LANGUAGES = {"en": "English", "ja": "日本語"}

Words = Callable[..., str]


def words_in(language: str) -> Words:
    """The sentence in this language, its ``%(name)s`` filled in. Values are put in as they are: escape later."""

    def say(text: str, /, **values: object) -> str:
        said = JAPANESE.get(text, text) if language == "ja" else text
        return said % values if values else said

    return say


def choose(wanted: str, accepted: str, *, default: str) -> str:
    """The language for a visitor.

    wanted: what they chose, "" where they never did. accepted: the browser's Accept-Language.
    """
    if wanted in LANGUAGES:
        return wanted
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted[:200].split(",")):
        tag, _, weight = part.strip().partition(";")
        code = tag.strip().lower().partition("-")[0]
        if code in LANGUAGES:
            ranked.append((-_weight(weight), place, code))
    return min(ranked)[2] if ranked else default


def _weight(text: str) -> float:
    try:
        return float(text.strip().removeprefix("q="))
    except ValueError:
        return 1.0
