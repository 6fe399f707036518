"""What one check found, as data; its words are in ``observe/check_words.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from callguard.observe.check_words import sentence


class State(StrEnum):
    """WARN works, with a catch. SKIP could not be looked at from here."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paste:
    """Lines that put it right. where: the file they go into, or "shell"."""

    where: str
    lines: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding.

    name: of what was looked at. code: what was seen, kebab-case. facts: what the sentence names.
    """

    name: str
    state: State
    code: str
    facts: Mapping[str, str] = field(default_factory=dict)
    paste: Paste | None = None

    def words(self, language: str) -> str:
        """The sentence, in this language."""
        return sentence(self.code, language, self.facts)


def ok(name: str, code: str, **facts: str) -> Check:
    """All is well."""
    return Check(name=name, state=State.OK, code=code, facts=facts)


def skip(name: str, code: str, **facts: str) -> Check:
    """Not seen from here, and why."""
    return Check(name=name, state=State.SKIP, code=code, facts=facts)


def warn(name: str, code: str, paste: Paste | None = None, **facts: str) -> Check:
    """It works, with a catch."""
    return Check(name=name, state=State.WARN, code=code, facts=facts, paste=paste)


def fail(name: str, code: str, paste: Paste | None = None, **facts: str) -> Check:
    """It does not work; ``paste`` puts it right."""
    return Check(name=name, state=State.FAIL, code=code, facts=facts, paste=paste)


def shell(*lines: str) -> Paste:
    """Commands to type."""
    return Paste(where="shell", lines="\n".join(lines))


def into(file: str, *lines: str) -> Paste:
    """Lines for a file."""
    return Paste(where=file, lines="\n".join(lines))
