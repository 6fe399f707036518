"""What an utterance is about, coarsely: enough to tell whether the same demand is made again."""

from __future__ import annotations

import re

from callguard.detect.english import unfold

_EMPTY = frozenset(
    [
        "that",
        "this",
        "with",
        "have",
        "what",
        "when",
        "where",
        "which",
        "there",
        "they",
        "them",
        "from",
        "your",
        "you",
        "not",
        "will",
        "would",
        "could",
        "should",
        "about",
        "because",
        "going",
        "want",
        "know",
        "just",
        "like",
        "been",
        "were",
        "does",
        "please",
        "okay",
        "yes",
        "tell",
        "said",
        "told",
        "very",
        "really",
        "then",
        "than",
        "into",
        "here",
    ]
)
_RUN = re.compile(r"[一-鿿々]+|[ァ-ヶー]{2,}")


def content_words(text: str, language: str) -> frozenset[str]:
    """English: words of four letters and more that say something. Japanese: runs of kanji and of katakana."""
    if language == "ja":
        return frozenset(_RUN.findall(text))
    return frozenset(token.text for token in unfold(text)[0] if len(token.text) > 3 and token.text not in _EMPTY)
