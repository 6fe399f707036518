"""Labelled sentences: read from a table, judged, counted."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from callguard.detect.verdict import Verdict
from callguard.model.errors import SettingsError
from callguard.model.finding import Category

NEEDED = ("id", "lang", "label", "text")
LABELS = {
    "harassment": "harassment",
    "grievance": "grievance",
    "complaint": "grievance",
    "neutral": "neutral",
    "care": "care",
}
KINDS = frozenset(str(kind) for kind in Category)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One row. label: harassment, grievance (a proper complaint), neutral or care. category: "" where none."""

    id: str
    language: str
    label: str
    category: str
    severity: int
    text: str

    @property
    def wanted(self) -> str:
        """The right verdict."""
        return self.label if self.label in ("harassment", "care") else "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A sentence and what came of it. heard: what was recognized, None where the text itself was judged."""

    sentence: Sentence
    verdict: Verdict
    heard: str | None = None


def read_sentences(file: Path) -> list[Sentence]:
    """The rows of a tab-separated file with a heading. Raises SettingsError naming file and line."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}", where=str(file), code="file-unreadable") from None
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = [name for name in NEEDED if name not in (rows.fieldnames or ())]
    if missing:
        raise SettingsError(
            f"has no column {', '.join(missing)}",
            where=f"{file}:1",
            code="file-unreadable",
            hint="columns between tabs: id lang label category severity text",
        )
    found = [_sentence(row, f"{file}:{number}") for number, row in enumerate(rows, start=2)]
    if not found:
        raise SettingsError("holds no sentence", where=str(file), code="file-unreadable")
    return found


def _sentence(row: dict[str, str | None], where: str) -> Sentence:
    field = {name: (value or "").strip() for name, value in row.items() if name is not None}
    label = LABELS.get(field["label"].lower())
    if label is None:
        raise SettingsError(
            f"there is no label {field['label']!r}",
            where=where,
            code="file-unreadable",
            hint="harassment, grievance, neutral or care",
        )
    if not field["text"] or field["lang"] not in ("en", "ja"):
        raise SettingsError("has no text, or a language that is neither en nor ja", where=where, code="file-unreadable")
    severity, category = field.get("severity", ""), field.get("category", "")
    return Sentence(
        id=field["id"] or where.rpartition(":")[2],
        language=field["lang"],
        label=label,
        category=category if category in KINDS else "",
        severity=int(severity) if severity.isdigit() else 0,
        text=field["text"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many of so many, with the Wilson interval of 95 % (Wilson 1927)."""

    hit: int
    of: int

    @property
    def value(self) -> float | None:
        """The share, None of nothing."""
        return self.hit / self.of if self.of else None

    def bounds(self, z: float = 1.96) -> tuple[float, float] | None:
        """The interval in which the true share lies, in 95 of 100 such samples."""
        if not self.of:
            return None
        p, n = self.hit / self.of, self.of
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The figures of one language."""

    recall: Share
    precision: Share
    false_alarm_complaint: Share
    false_alarm_neutral: Share
    care_found: Share
    by_kind: dict[str, Share]


FIGURES = ("recall", "precision", "false_alarm_complaint", "false_alarm_neutral", "care_found")


def count(judged: Iterable[Judged]) -> Count:
    """Count the verdicts of one language."""
    rows = list(judged)

    def share(label: str, verdict: str, category: str = "") -> Share:
        those = [one for one in rows if one.sentence.label == label and category in ("", one.sentence.category)]
        return Share(hit=sum(one.verdict.verdict == verdict for one in those), of=len(those))

    accused = [one for one in rows if one.verdict.verdict == "harassment"]
    kinds = sorted({one.sentence.category for one in rows if one.sentence.category})
    return Count(
        recall=share("harassment", "harassment"),
        precision=Share(hit=sum(one.sentence.label == "harassment" for one in accused), of=len(accused)),
        false_alarm_complaint=share("grievance", "harassment"),
        false_alarm_neutral=share("neutral", "harassment"),
        care_found=share("care", "care"),
        by_kind={
            kind: share(wanted := "care" if Category(kind).is_care else "harassment", wanted, kind) for kind in kinds
        },
    )


def figures(counted: Count) -> dict[str, float | None]:
    """The figures as numbers, None where there was nothing to count."""
    return {name: round(value, 4) if (value := getattr(counted, name).value) is not None else None for name in FIGURES}


def languages_of(judged: Sequence[Judged]) -> list[str]:
    """The languages in the rows, in order."""
    return list(dict.fromkeys(one.sentence.language for one in judged))
