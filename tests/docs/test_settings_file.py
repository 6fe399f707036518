"""The shipped settings files name every setting with its default."""

from __future__ import annotations

import configparser
import re
import shutil
from pathlib import Path

import pytest

from callguard.config import Settings, SpeechSettings, every_key, key_lines, load_settings, shown
from callguard.model.errors import SettingsError
from callguard.shipped import shipped

COMMENTED = re.compile(r"^#(?=[a-z_]+ = )", re.MULTILINE)
NONE = re.compile(r"^#([a-z_]+) = .*# none by default.*$", re.MULTILINE)


@pytest.fixture
def text() -> str:
    return shipped("callguard.toml").read_text(encoding="utf-8")


def test_as_shipped_it_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "callguard.toml"
    shutil.copyfile(shipped("callguard.toml"), file)
    assert shown(load_settings(file)) == shown(Settings())


def test_every_key_once_in_order(text: str) -> None:
    assert tuple(key for key in key_lines(COMMENTED.sub("", text)) if "." in key) == every_key()


def test_every_default_is_the_default(text: str, tmp_path: Path) -> None:
    for folder in ("policies", "prompts"):
        (tmp_path / folder).symlink_to(shipped(folder))
    without = {f"{found[1]}" for found in NONE.finditer(text)}
    bare = COMMENTED.sub("", NONE.sub("", text))
    (tmp_path / "callguard.toml").write_text(bare)
    read, defaults = load_settings(tmp_path / "callguard.toml"), Settings()
    for key, value in shown(defaults).items():
        name = key.partition(".")[2]
        if name in without:
            assert value is None, key
        elif isinstance(value, str) and key in ("policy.file", "prompts.dir"):
            assert Path(str(shown(read)[key])).resolve() == Path(value).resolve()
            assert str(read.origin(key)) != "default"
        else:
            assert shown(read)[key] == value, key
            assert str(read.origin(key)) != "default", key


def test_every_number_has_its_unit(text: str) -> None:
    units = {"_s": "second", "_ms": "millisecond", "_mb": "MiB", "_hours": "hour"}
    for line in text.splitlines():
        name = re.match(r"#([a-z_]+)(_s|_ms|_mb|_hours) = ", line)
        assert not name or units[name[2]] in line, line


def test_the_scripts_settings_are_the_daemons(text: str) -> None:
    read = configparser.ConfigParser(interpolation=None)
    read.read(shipped("agi.conf"), encoding="utf-8")
    settings = Settings()
    assert read["bus"]["socket"] == f"{settings.bus.socket_dir}/valkey.sock"
    assert read["keys"]["spool"] == str(settings.keys.spool_dir)
    assert read.getint("keys", "deadline_ms") == settings.keys.deadline_ms


def test_a_model_named_for_once_is_used_for_everything() -> None:
    speech = SpeechSettings(model="base", english_model="tiny.en", last_words_model="small")
    assert speech.with_model("") == speech
    alone = speech.with_model("large")
    assert (alone.model, alone.english_model, alone.last_words_model) == ("large", "", "")
    assert alone.model_dir == speech.model_dir


@pytest.mark.parametrize(
    ("taps", "said"),
    [
        ('port = 0\nadvertise = "pbx-side:9092"\nprocesses = 2', "need a port"),
        ("port = 65535\nprocesses = 2", "take a lower port"),
        ("processes = 0", "at least 1"),
    ],
)
def test_tap_processes_without_ports_are_refused(taps: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "callguard.toml"
    file.write_text(f"[taps]\n{taps}\n")
    with pytest.raises(SettingsError, match=said) as refused:
        load_settings(file)
    assert f"{file}:" in str(refused.value)


def test_each_tap_process_has_its_address(tmp_path: Path) -> None:
    file = tmp_path / "callguard.toml"
    file.write_text('[taps]\nport = 9100\nadvertise = "10.0.0.5:9300"\nprocesses = 3\n')
    assert load_settings(file).taps.addresses == ["10.0.0.5:9300", "10.0.0.5:9301", "10.0.0.5:9302"]
