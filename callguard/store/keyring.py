"""Secrets the store makes by itself on first use, each a file only its owner can read."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from callguard.model.errors import SettingsError
from callguard.store.connection import told_os


def secret_file(path: Path, make: Callable[[], bytes]) -> bytes:
    """What is in this file; where there is none, it is made once (two processes agree on one). Raises SettingsError."""
    with told_os():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make(path, make())
        if path.stat().st_mode & 0o077:
            raise SettingsError(
                "others may read this key", where=str(path), code="key-file-open", hint=f"chmod 600 {path}"
            )
        return path.read_bytes()


def _make(path: Path, secret: bytes) -> None:
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(half, path)
    except FileExistsError:
        pass
    finally:
        half.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make new and removed names in this folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class CallerMarks:
    """Numbers as keyed hashes: the same number has the same mark, and no mark tells its number."""

    def __init__(self, keys: Path) -> None:
        self._key = secret_file(keys / "callers.key", lambda: secrets.token_bytes(32))

    def mark(self, number: str) -> str:
        """The mark of this number, "" where it has no digits (withheld, anonymous)."""
        digits = "".join(letter for letter in number if letter.isdecimal())
        return hmac.new(self._key, digits.encode(), hashlib.sha256).hexdigest() if digits else ""
