"""A text classifier of one's own: a function ``(text, language) -> share of abuse from 0 to 1``, named by its place."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable

from callguard.model.errors import SettingsError
from callguard.ports import Opinion, Second

SURE, UNLIKELY = 0.8, 0.2


class Classifier:
    """A ``ports.SecondOpinion`` over such a function. It runs in a thread, and its faults change nothing."""

    def __init__(self, place: str, *, timeout_s: float = 8.0) -> None:
        self._judge, self._timeout_s = load(place), timeout_s

    async def ask(self, words: str, *, language: str, suspected: str) -> Opinion:
        """What the classifier thinks; ``Second.UNSURE`` between the two thresholds and where it fails."""
        try:
            async with asyncio.timeout(self._timeout_s):
                share = float(await asyncio.to_thread(self._judge, words, language))
        except Exception as error:
            return Opinion(verdict=Second.UNSURE, why=f"no answer: {type(error).__name__}")
        verdict = Second.ABUSE if share >= SURE else Second.COMPLAINT if share <= UNLIKELY else Second.UNSURE
        return Opinion(verdict=verdict, why=f"the classifier says {share:.2f}")

    async def close(self) -> None:
        """Nothing to close."""


def load(place: str) -> Callable[[str, str], float]:
    """The function at ``package.module:name``. Raises SettingsError."""
    module, _, name = place.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not callable(found):
        raise SettingsError(
            f"there is no function at {place!r}",
            where="second_opinion.classifier",
            code="settings-wrong",
            hint="package.module:function, importable by the daemon",
        )
    return found
