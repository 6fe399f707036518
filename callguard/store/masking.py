"""What must not leave the house is masked: numbers, names and addresses in text, the same stretches in sound.

Rule: when in doubt, mask. Names that have no form are given by whoever exports (``names``).
Two ways out: MASKED for third parties (police excepted, who get the original by a stricter right), CALLER for the
caller's own access, where all other voices are masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from callguard.model.case import RecordKind, Track
from callguard.model.sound import RATE_HZ
from callguard.store.reading import CaseView, StoredRecord

Samples = npt.NDArray[np.int16]

MASK = "■"
_BEEP_HZ = 1000.0
_BEEP_LOUD = 3000.0
_ROUND_MS = 120
"""A recognizer's word times are loose: this much more is masked on each side."""


class Way(StrEnum):
    """How much a copy of a case shows."""

    ORIGINAL = "original"
    MASKED = "masked"
    CALLER = "caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Sound to be masked, on the call's clock."""

    track: Track
    start_ms: int
    end_ms: int


_DIGIT = r"[0-9０-９〇一二三四五六七八九]"
_SPOKEN = (
    r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple"
    r"|ゼロ|れい|まる|いち|に|さん|よん|ご|ろく|なな|はち|きゅう)"
)
_TOWN = r"[一-龠ァ-ヶ]{1,8}?[市区町村郡]"
_HOUSE = rf"(?:{_DIGIT}|[十百])+(?:(?:丁目|番地?|号|[-－の])(?:{_DIGIT}|[十百])*)*"
_PREFECTURE = r"(?:東京都|北海道|(?:京都|大阪)府|[一-龠]{2,3}県)"
_NAME = r"[A-Z][\w'-]+(?:\s+[A-Z][\w'-]+)?"
_FORMS = tuple(
    re.compile(form)
    for form in (
        r"[\w.+-]+@[\w-]+\.[\w.-]+",
        rf"\+?{_DIGIT}(?:[\s\-‐–—ー.()（）のノ]{{0,2}}{_DIGIT}){{3,}}",
        rf"(?i:\b(?:{_SPOKEN}[\s,、-]+){{3,}}{_SPOKEN}\b)",
        r"〒\s*\d{3}-?\d{4}",
        rf"{_PREFECTURE}?{_TOWN}[一-龠ぁ-んァ-ヶ]{{0,10}}?{_HOUSE}",
        rf"{_PREFECTURE}[一-龠ぁ-んァ-ヶ]{{1,8}}?[市区町村郡]",
        r"\b\d{1,5}[A-Za-z]?\s+(?:[A-Z][\w'-]+\s+){1,3}(?i:street|st|road|rd|avenue|ave|lane|drive|square|close)\b",
        rf"\b(?i:mr|mrs|ms|miss|dr)\.?\s+{_NAME}",
        rf"\b(?i:my name is|this is|i'm called)\s+{_NAME}",
        r"[一-龠]{1,4}(?:[ァ-ヶー]{0,4})(?:さん|様|さま|氏)|[ァ-ヶー]{2,8}(?:さん|様|さま|氏)",
    )
)
_NOT_NAMES = frozenset(
    {"お客様", "お客さん", "皆様", "皆さん", "何様", "神様", "奥様", "奥さん", "母さん", "父さん", "客様", "客さん"}
)


def spans(text: str, *, names: Iterable[str] = ()) -> list[tuple[int, int]]:
    """(from, to) of everything to be masked in this text, in order, without overlap."""
    found = [hit.span() for form in _FORMS for hit in form.finditer(text) if hit.group() not in _NOT_NAMES]
    for name in names:
        parts = [name, *re.split(r"[\s　]+", name)]
        found += [
            hit.span() for part in parts if len(part) > 1 for hit in re.finditer(re.escape(part), text, re.IGNORECASE)
        ]
    joined: list[tuple[int, int]] = []
    for low, high in sorted(found):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return joined


def masked_text(text: str, *, names: Iterable[str] = ()) -> str:
    """The text with every letter of these stretches covered."""
    for low, high in reversed(spans(text, names=names)):
        text = text[:low] + MASK * (high - low) + text[high:]
    return text


def masked_view(
    view: CaseView, way: Way, *, names: Iterable[str] = ()
) -> tuple[CaseView, frozenset[int], list[Stretch]]:
    """The case as this way shows it, the numbers of the records that differ, and the sound to be masked with them."""
    if way is Way.ORIGINAL:
        return view, frozenset(), []
    known = {view.line.caller_name, *names} - {""}
    shown = [_shown(one, way, known, view.line.agent) for one in view.records]
    line = view.line
    if way is Way.MASKED:
        line = replace(line, caller_number=_ends(line.caller_number), caller_name=MASK * len(line.caller_name))
    else:
        line = replace(line, agent=MASK)
    changed = frozenset(a.number for a, b in zip(view.records, shown, strict=True) if a != b)
    stretches = [one for record in view.of(RecordKind.TRANSCRIPT) for one in _stretches(record, known)]
    return replace(view, line=line, records=tuple(shown)), changed, stretches if way is Way.MASKED else []


def _shown(record: StoredRecord, way: Way, names: Iterable[str], agent: str) -> StoredRecord:
    if way is Way.CALLER:
        if record.kind in (RecordKind.TRANSCRIPT, RecordKind.FINDING) and record.data.get("role") != "caller":
            return replace(record, data=_kept(record.data, ("role", "start_ms", "end_ms")))
        if record.kind in (RecordKind.LEG, RecordKind.KEY, RecordKind.PRESENCE, RecordKind.NOTE):
            return replace(record, data=_kept(record.data, ("what", "key", "mode")))
        return replace(record, data=_without(record.data, agent)) if agent else record
    hidden = {key: _masked(value, names) for key, value in record.data.items()}
    return replace(record, data={**hidden, **{k: MASK for k in ("number", "name", "caller_number") if hidden.get(k)}})


def _without(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return value.replace(name, MASK)
    if isinstance(value, Mapping):
        return {key: _without(part, name) for key, part in value.items()}
    return [_without(part, name) for part in value] if isinstance(value, list) else value


def _kept(data: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: data[key] if key in keys else MASK for key in data}


def _masked(value: Any, names: Iterable[str]) -> Any:
    if isinstance(value, str):
        return masked_text(value, names=names)
    if isinstance(value, Mapping):
        return {key: _masked(part, names) for key, part in value.items()}
    if isinstance(value, list):
        if len(value) == 4 and isinstance(value[0], str) and isinstance(value[1], int):
            return [MASK, *value[1:]]
        return [_masked(part, names) for part in value]
    return value


def _ends(number: str) -> str:
    return MASK * max(0, len(number) - 2) + number[-2:] if number else ""


def _stretches(record: StoredRecord, names: Iterable[str]) -> list[Stretch]:
    role = str(record.data.get("role", ""))
    track = Track(role) if role in set(Track) else None
    text = str(record.data.get("text", ""))
    hidden = spans(text, names=names)
    if track is None or not hidden:
        return []
    words = record.data.get("words") or [[text, record.data.get("start_ms", 0), record.data.get("end_ms", 0), 1.0]]
    found, at = [], 0
    for word, start_ms, end_ms, *_ in words:
        low = text.find(str(word).strip(), at)
        low = at if low < 0 else low
        at = low + len(str(word).strip())
        if any(low < high and begin < at for begin, high in hidden):
            found.append(Stretch(track=track, start_ms=int(start_ms) - _ROUND_MS, end_ms=int(end_ms) + _ROUND_MS))
    return found


def beeped(sound: Samples, *, start_ms: int, stretches: Iterable[Stretch]) -> Samples:
    """One track with a beep in place of these stretches; nothing of the sound below it is left."""
    out: Samples = sound.copy()
    for one in stretches:
        low = max(0, (one.start_ms - start_ms) * RATE_HZ // 1000)
        high = min(len(out), max(low, (one.end_ms - start_ms) * RATE_HZ // 1000))
        out[low:high] = _beep(high - low)
    return out


def voice_hidden(sound: Samples) -> Samples:
    """A track in which one hears when somebody speaks, and nothing of what or who."""
    out: Samples = np.zeros_like(sound)
    step = RATE_HZ // 10
    for at in range(0, len(sound), step):
        piece = sound[at : at + step].astype(np.float32)
        if np.sqrt(np.mean(piece * piece)) > 300:
            out[at : at + step] = _beep(len(piece)) // 4
    return out


def _beep(count: int) -> Samples:
    wave = np.sin(np.arange(count) * 2 * np.pi * _BEEP_HZ / RATE_HZ) * _BEEP_LOUD
    return wave.astype(np.int16)
