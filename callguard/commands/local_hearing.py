"""Hearing in this process for the commands that read files: replay, and sentences judged from their sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callguard.asr.local import LocalLine
    from callguard.config import SpeechSettings


@contextmanager
def local_line(speech: SpeechSettings) -> Iterator[LocalLine]:
    """A line over the models of these settings, on the CPU. Raises RecognizerFault where one is missing."""
    from callguard.asr import load_recognizer
    from callguard.asr.local import LocalLine

    recognizer = load_recognizer(
        speech.model,
        english_model=speech.english_model,
        last_words_model=speech.last_words_model,
        model_dir=speech.model_dir,
    )
    line = LocalLine(recognizer)
    try:
        yield line
    finally:
        line.close()
