"""Reading the facts of one rule from its table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callguard.model.errors import SettingsError
from callguard.model.finding import Category
from callguard.model.ids import Role
from callguard.model.rule import Rule


def read_rule(table: Mapping[str, Any], language: str) -> Rule:
    """The facts of a rule's table. Raises SettingsError for a wrong category, severity, speaker or score."""
    rule_id = str(table.get("id", ""))
    where = f"{language}.rule {rule_id}"
    if not rule_id:
        raise SettingsError("a rule has no id", where=where)
    try:
        category = Category(str(table["category"]))
        speaker = str(table.get("speaker", "caller"))
        severity = int(table.get("severity", 0 if category.is_care else 1))
        score = float(table.get("score", 1.0))
        role = None if speaker == "any" else Role(speaker)
    except (KeyError, ValueError) as error:
        raise SettingsError(f"a field is missing or wrong: {error}", where=where) from error
    if not (0 <= severity <= 3 and 0.0 < score <= 1.0 and (severity == 0) == category.is_care):
        raise SettingsError("severity is 1 to 3 (0 for care), score above 0 up to 1", where=where)
    return Rule(
        id=rule_id,
        language=language,
        category=category,
        severity=severity,
        speaker=role,
        score=score,
        why=str(table.get("why", "")),
    )
