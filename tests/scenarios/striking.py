"""Blows at a random moment, and what must hold after each of them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from callguard.model.case import RecordKind
from callguard.store.reading import CaseView


def below(pid: int) -> list[tuple[int, str]]:
    """Every process under this one: (pid, command line)."""
    found: list[tuple[int, str]] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append((int(folder.name), (folder / "cmdline").read_text().replace("\0", " ")))
                found += below(int(folder.name))
    return found


def strike(pid: int, what: str) -> int:
    """kill -9 to what is under this process and has these words in its command line; how many there were."""
    hit = [child for child, command in below(pid) if what in command]
    for child in hit:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return len(hit)


def nothing_false(view: CaseView) -> None:
    """The case begins with its opening, and no action is told to be done that nobody heard of beginning."""
    assert view.records[0].data["what"] == "case-opened"
    begun = {one.data.get("id") for one in view.of(RecordKind.ACTION)}
    done = {one.data.get("id") for one in view.of(RecordKind.OUTCOME)}
    assert done <= begun
