"""What the pages name is there: commands, options, files, settings, dialplan contexts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from callguard.cli import ROOMS, app
from callguard.config import every_key

TOP = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "config/README.md", "dialplan/README.md", "agi_scripts/README.md", "CHANGELOG.md"]
SOURCES = [
    "config/callguard.toml",
    "config/policies/base.toml",
    "config/policies/en.toml",
    "config/systemd/callguard.service",
]

CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
COMMAND = re.compile(r"(?:^|[\s|;/(])callguard((?: [^\s`#|;)]+)+)", re.MULTILINE)
OURS = (".py", ".conf", ".toml", ".service", ".yml", ".json", ".md", ".wav", ".png", ".txt")


def text_of(page: str) -> str:
    return (TOP / page).read_text(encoding="utf-8")


def codes(page: str) -> list[str]:
    """What stands in the page as code."""
    return [block or inline for block, inline in CODE.findall(text_of(page))]


def commands(text: str) -> list[list[str]]:
    """The words after ``callguard`` of every command line in this text."""
    return [found.split() for found in COMMAND.findall(text) if re.match(r" +[a-z]+(\s|$)", found)]


def check(words: list[str]) -> str:
    """What is wrong with this command line, "" where nothing is."""
    at: Any = get_command(app)
    for place, word in enumerate(words):
        if not hasattr(at, "list_commands"):
            known = {name for parameter in at.params for name in parameter.opts}
            wrong = [one for one in words[place:] if one.startswith("--") and one.partition("=")[0] not in known]
            return f"no option {wrong}" if wrong and "--help" not in wrong else ""
        try:
            found = at.get_command(None, word)
        except ModuleNotFoundError:
            found = None
        if found is None:
            return f"no command {word}"
        at = found
    return ""


def test_the_examiner_sees_what_is_wrong() -> None:
    assert commands("callguard user add NAME --role admin  # x\n/opt/bin/callguard run") == [
        ["user", "add", "NAME", "--role", "admin"],
        ["run"],
    ]
    assert check(["user", "add", "NAME", "--role", "admin"]) == ""
    assert check(["user", "invent"]) == "no command invent"
    assert check(["doctor", "--nonsense"]) == "no option ['--nonsense']"


@pytest.mark.parametrize("page", [*PAGES, *SOURCES])
def test_commands_exist(page: str) -> None:
    lines = (
        [line for code in codes(page) for line in commands(code)] if page.endswith(".md") else commands(text_of(page))
    )
    wrong = {" ".join(line): found for line in lines if line[0] in ROOMS and (found := check(line))}
    begun = {
        name for code in codes(page) for name in re.findall(r"^\s*(?:\S*/)?callguard ([a-z-]+)", code, re.MULTILINE)
    }
    assert not wrong and begun <= set(ROOMS)


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str) -> None:
    named = {name for code in codes(page) for name in re.findall(r"(?:^|\s)make ([a-z-]+)", code)}
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_files_exist(page: str) -> None:
    """Every path of ours, from the top or from the page's folder; those of the system begin with / or are theirs."""
    theirs = {
        "extensions.conf", "features.conf", "manager.conf", "queues.conf", "extensions_custom.conf", "_custom.conf",
        "policy.toml", "conf.d/*.toml", "asterisk.conf",
    }  # fmt: skip
    missing = []
    for code in codes(page):
        for word in re.findall(r"(?<![\w./*-])[A-Za-z_@][\w@./*-]*", code):
            path = word.rstrip("./")
            if not path.endswith(OURS) or path in theirs or "*" in path:
                continue
            if not any((folder / path).exists() for folder in (TOP, (TOP / page).parent, TOP / "config")):
                missing.append(path)
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text_of(page))
    assert [link for link in links if not ((TOP / page).parent / link).exists()] == []


def test_settings_named_in_pages_exist() -> None:
    text = "".join(text_of(page) for page in PAGES)
    named = set(re.findall(r"`\[(\w+)\] (\w+)", text))
    assert len(named) >= 4
    of_policies = {
        f"{section}.{key}"
        for file in (TOP / "config" / "policies").rglob("*.toml")
        for section, keys in tomllib.loads(file.read_text(encoding="utf-8")).items()
        if isinstance(keys, dict)
        for key in keys
    }
    assert {f"{section}.{key}" for section, key in named} <= {*every_key(), *of_policies}


def test_contexts_named_in_pages_exist() -> None:
    there = set()
    for file in (TOP / "dialplan").glob("*.conf"):
        there |= set(re.findall(r"^\[(callguard[\w-]*)\]", file.read_text(encoding="utf-8"), re.MULTILINE))
    named = set()
    for page in PAGES:
        for code in codes(page):
            named |= set(re.findall(r"(?<![\w./-])callguard-[a-z]+(?![\w.@-])", code))
    made_by_init = {"callguard-doctor"}
    assert named - made_by_init <= there


def test_every_command_has_a_room_that_loads() -> None:
    missing = [name for name, (module, _) in ROOMS.items() if not (TOP / (module.replace(".", "/") + ".py")).is_file()]
    assert not missing


def test_every_file_of_config_is_on_its_page() -> None:
    page = text_of("config/README.md")
    for file in (TOP / "config").rglob("*"):
        name = str(file.relative_to(TOP / "config"))
        if file.is_file() and not name.startswith(("policies/", "prompts/", "README")):
            assert name in page, name


def test_the_changelog_knows_this_version() -> None:
    version = re.search(r'^version = "(.+)"', text_of("pyproject.toml"), re.MULTILINE)
    assert version and f"## [{version[1]}]" in text_of("CHANGELOG.md")
