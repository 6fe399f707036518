"""``callguard bench judging``: our rules beside public word lists, on the same labelled sentences."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from callguard.commands.policies.sentences import Sentence, read_sentences
from callguard.commands.policies.testing import Guards
from callguard.detect.verdict import judge_text
from callguard.model.errors import SettingsError

Accuses = Callable[[str], bool]
Add = Callable[..., None]


def measure_judging(add: Add, files: Sequence[Path], *, say: Callable[[str], None]) -> None:
    """Recall, precision and false alarms of ours and of each peer that is installed; English only, as the peers are."""
    rows = [one for file in files for one in read_sentences(file) if one.language == "en"]
    if not rows:
        raise SettingsError("hold no English sentence", where=str(files[0]), code="file-unreadable")
    rules = Guards(warn=say).of("en").rules
    began = time.perf_counter()
    ours = counted(rows, lambda text: judge_text(text, "en", rules).verdict == "harassment")
    each_ms = (time.perf_counter() - began) * 1000 / len(rows)
    peers = [(name, counted(rows, accuses)) for name, accuses in _peers(say)]
    for figure in ("recall", "precision", "false alarms on complaints", "false alarms on harmless talk"):
        if not peers:
            add(figure, ours[figure], "share")
        for name, theirs in peers:
            add(figure, ours[figure], "share", theirs[figure], name)
    add("time an utterance", each_ms, "ms")


def counted(rows: Sequence[Sentence], accuses: Accuses) -> dict[str, float]:
    """The shares that come of these accusations."""
    accused = {one.id: accuses(one.text) for one in rows}

    def share(label: str) -> float:
        those = [one for one in rows if one.label == label]
        return sum(accused[one.id] for one in those) / len(those) if those else 0.0

    right = sum(accused[one.id] for one in rows if one.label == "harassment")
    return {
        "recall": share("harassment"),
        "precision": right / sum(accused.values()) if any(accused.values()) else 0.0,
        "false alarms on complaints": share("grievance"),
        "false alarms on harmless talk": share("neutral"),
    }


def _peers(say: Callable[[str], None]) -> list[tuple[str, Accuses]]:
    found: list[tuple[str, Accuses]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from better_profanity import profanity

            found.append(("better-profanity", lambda text: bool(profanity.contains_profanity(text))))
        except ImportError:
            say("better-profanity is not installed: pip install 'callguard[peers]'")
        try:
            import profanity_check

            found.append(("alt-profanity-check", lambda text: bool(_predicted(profanity_check, text))))
        except Exception as error:  # its model is a pickle of another scikit-learn: it may refuse in many ways
            say(f"alt-profanity-check cannot be used ({type(error).__name__}): pip install 'callguard[peers]'")
    return found


def _predicted(module: Any, text: str) -> int:
    return int(module.predict([text])[0])
