"""Where the kept sound of a case lies: ``YYYY/MM/DD/<case>/<track>[-<take>].<ext>``, by the date in the case's id.

A take is one stretch of recording; a second flag after the first post-roll, or a restart, begins another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from callguard.model.case import Track
from callguard.model.ids import CaseId
from callguard.store.connection import told_os
from callguard.store.keyring import sync_folder

CASE_ID = re.compile(r"\d{8}-[0-9A-HJKMNP-TV-Z]{6}")
GROWING = ".growing"
_NAME = re.compile(r"(?P<track>[a-z]+)(?:-(?P<take>\d+))?\.(?P<ext>[a-z.]+)")


def case_folder(root: Path, case: CaseId) -> Path:
    """The folder of this case. Raises ValueError where it is no case id, so that no path is built of foreign text."""
    if not CASE_ID.fullmatch(case):
        raise ValueError("not a case id")
    return root / case[0:4] / case[4:6] / case[6:8] / case


def make_case_folder(root: Path, case: CaseId) -> Path:
    """The folder, made durable where it is new."""
    folder = case_folder(root, case)
    with told_os():
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        for one in missing:
            sync_folder(one.parent)
    return folder


def file_name(track: Track, take: int, ext: str) -> str:
    """The name of a track's file; the first take carries no number."""
    return f"{track}.{ext}" if take == 1 else f"{track}-{take}.{ext}"


def track_and_take(name: str) -> tuple[Track, int] | None:
    """What a file's name says, None for anything else in the folder."""
    found = _NAME.fullmatch(name)
    if not found or found["track"] not in set(Track):
        return None
    return Track(found["track"]), int(found["take"] or 1)


def next_take(folder: Path) -> int:
    """The number of the take that begins now."""
    takes = [found[1] for file in folder.iterdir() if (found := track_and_take(file.name))]
    return max(takes, default=0) + 1


def mark_growing(root: Path, case: CaseId) -> None:
    """Remember that this case has half-written files, so that a start need not look through all folders."""
    folder = root / GROWING
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        sync_folder(root)
    (folder / case).touch(mode=0o640)
    sync_folder(folder)


def unmark_growing(root: Path, case: CaseId) -> None:
    """Nothing half-written is left in this case."""
    (root / GROWING / case).unlink(missing_ok=True)


def marked_growing(root: Path) -> list[CaseId]:
    """The cases that may have half-written files."""
    folder = root / GROWING
    return (
        sorted(CaseId(one.name) for one in folder.iterdir() if CASE_ID.fullmatch(one.name)) if folder.exists() else []
    )


def growing_files(folder: Path) -> Iterator[Path]:
    """The half-written tracks of one case."""
    for ending in ("wav", "grow"):
        yield from sorted(folder.glob(f"*.{ending}"))
