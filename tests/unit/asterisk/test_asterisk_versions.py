"""Known faults by version."""

from __future__ import annotations

import pytest

from callguard.asterisk.versions import forbids, parse, troubles


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("22.10.1~dfsg+~cs6.15", (22, 10, 1)),
        ("Asterisk 20.6.0", (20, 6, 0)),
        ("certified/20.7-cert2", (20, 7, 0)),
        ("", None),
        ("GIT-master", None),
    ],
)
def test_versions_are_read(text: str, version: object) -> None:
    assert parse(text) == version


def test_whisper_is_off_where_it_breaks_bridges() -> None:
    assert forbids((22, 11, 0), "whisper") == "whisper-breaks-bridges" and forbids((22, 11, 0), "barge")
    assert forbids((22, 10, 1), "whisper") == "" and forbids((22, 11, 0), "listen") == ""


def test_one_way_whisper_needs_20_10() -> None:
    assert "whisper-one-way-silent" in {t.code for t in troubles((20, 9, 0))}
    assert "whisper-one-way-silent" not in {t.code for t in troubles((20, 10, 0))}
    assert troubles(None) == ()
