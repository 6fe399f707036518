"""Recognizers behind ``ports.Recognizer``: Whisper made cheap for telephone calls, and scripted ones for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from callguard.ports import Recognizer


def load_recognizer(
    model: str,
    *,
    english_model: str = "",
    last_words_model: str = "",
    model_dir: Path = Path("/var/lib/callguard/models"),
    device: str = "cpu",
    compute_type: str = "int8",
    threads: int = 1,
    languages: Sequence[str] = ("en", "ja"),
) -> Recognizer:
    """A recognizer ready to hear. Takes a second or two and some 100 to 300 MB of memory a model.

    model: a folder, a name under ``model_dir``, or a packaged model ("tiny.en", "base").
    english_model: another one for calls known to be in English, "" for the same.
    last_words_model: a better one for thorough jobs (a caller's last words, while nobody else waits), "" for the same.
    Raises RecognizerFault: ``model-missing``, ``model-unusable``.
    """
    from callguard.asr.models import ensure_models
    from callguard.asr.pair import Pair
    from callguard.asr.whisper import WhisperRecognizer

    folders = ensure_models((model, english_model, last_words_model), model_dir=model_dir)
    loaded = {
        name: WhisperRecognizer(folder, device=device, compute_type=compute_type, threads=threads, languages=languages)
        for name, folder in folders.items()
    }
    recognizer: Recognizer = loaded[model]
    if english_model and english_model != model:
        recognizer = Pair(recognizer, loaded[english_model], other_takes=lambda job: job.language == "en")
    if last_words_model and last_words_model != model:
        recognizer = Pair(recognizer, loaded[last_words_model], other_takes=lambda job: job.thorough)
    return recognizer
