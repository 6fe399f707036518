"""The shipped rule files of a language make one whole: a name that stands twice would hide the first."""

from __future__ import annotations

import tomllib
from collections import Counter

import pytest

from callguard.shipped import shipped


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_no_name_stands_twice(lang: str) -> None:
    names: Counter[str] = Counter()
    for file in shipped(f"policies/rules/{lang}").glob("*.toml"):
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
        for kind in ("lists", "frames", "guards"):
            names.update(f"{kind}.{name}" for name in tables.get(kind, {}))
        names.update(rule["id"] for rule in tables.get("rule", ()))
    assert names
    assert [name for name, times in names.items() if times > 1] == []
