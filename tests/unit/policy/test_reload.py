"""Policies in force: swapped whole or not at all, read in another thread while calls are judged by the old ones."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from shutil import copytree

import pytest

from callguard.app import Guards
from callguard.config import PolicySettings, Settings
from callguard.detect.verdict import judge_text
from callguard.model.errors import SettingsError
from callguard.shipped import shipped

JAPANESE = "お前の家に火をつけてやるからな、覚えておけ。"


def written(file: Path, name: str, *more: str) -> Path:
    rules = str([str(file.parent / "words")])
    lines = [f'extends = "{shipped("policies/ja.toml")}"', f'name = "{name}"', *more]
    file.write_text("\n".join([*lines, "[rules]", f"files = {rules}"]) + "\n")
    return file


@pytest.fixture
def guards(tmp_path: Path) -> Guards:
    copytree(shipped("policies/rules/ja"), tmp_path / "words")
    general, own = written(tmp_path / "general.toml", "general"), written(tmp_path / "own.toml", "own")
    return Guards(Settings(policy=PolicySettings(file=general, queues={"claims": own})))


def names(guards: Guards) -> set[str]:
    return {policy.name for policy in guards.in_force()}


def test_one_broken_file_keeps_all_the_old_ones(guards: Guards, tmp_path: Path) -> None:
    assert names(guards) == {"general", "own"}
    written(tmp_path / "general.toml", "new")
    written(tmp_path / "own.toml", "own", 'mode = "no such mode"')
    with pytest.raises(SettingsError):
        guards.reload()
    assert names(guards) == {"general", "own"}
    written(tmp_path / "own.toml", "own-too")
    guards.reload()
    assert names(guards) == {"new", "own-too"}
    assert guards.of("claims").policy.name == "own-too" and guards.of("sales").policy.name == "new"


def test_calls_are_judged_while_rules_are_compiled(guards: Guards) -> None:
    rules = guards.general.rules
    said = judge_text(JAPANESE, "ja", rules)
    for file in guards.general.policy.rules.files:
        os.utime(file, ns=(0, Path(file).stat().st_mtime_ns + 1))
    reader = threading.Thread(target=guards.reload)
    reader.start()
    judged = 0
    while reader.is_alive():
        assert judge_text(JAPANESE, "ja", rules) == said
        judged += 1
    assert judged > 10
    assert guards.general.rules is not rules
    assert judge_text(JAPANESE, "ja", guards.general.rules) == said


def test_rules_are_out_of_the_garbage_collectors_way(guards: Guards) -> None:
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(guards.general.rules.languages["ja"].rules)
    assert not any(one is guards.general.rules for one in gc.get_objects())


def test_a_queue_of_the_policy_itself_is_ready_before_its_first_call(tmp_path: Path) -> None:
    (tmp_path / "words").symlink_to(shipped("policies/rules/ja"))
    file = written(tmp_path / "general.toml", "general", '[queue.night]\nname = "night"')
    assert names(Guards(Settings(policy=PolicySettings(file=file)))) == {"general", "night"}
