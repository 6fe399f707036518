"""Where the files that ship with callguard are: the top-level ``config/`` of a checkout, or its copy in a wheel."""

from __future__ import annotations

from pathlib import Path

from callguard.model.errors import OurFault

_HOUSE = Path(__file__).resolve().parent


def shipped_root() -> Path:
    """The folder that holds policies, prompts and sample settings. Raises OurFault when the install lacks it."""
    for root in (_HOUSE.parent / "config", _HOUSE / "shipped_config"):
        if (root / "policies").is_dir() or (root / "prompts").is_dir() or (root / "callguard.toml").is_file():
            return root
    raise OurFault("the files that ship with callguard are missing", code="shipped-files-missing")


def shipped(name: str) -> Path:
    """The path of one shipped file or folder, e.g. ``policies/en.toml``. It need not exist."""
    return shipped_root() / name
