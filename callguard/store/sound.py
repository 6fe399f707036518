"""Where finished sound rests: files below the segment folder, or objects of an S3-compatible archive.

Sound grows and is finished in files always; an archive takes it over afterwards. Names are the same in both.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import parse_qs, urlsplit

from callguard.model.errors import SettingsError, StoreFault
from callguard.store.connection import told_os
from callguard.store.finishing import write_file
from callguard.store.sealing import SEALED, Seals, seal, sealed_with, unseal


class SoundPlace(Protocol):
    """Whole files by name. Every call raises StoreFault where the place is away."""

    def put(self, name: str, content: bytes) -> None: ...
    def get(self, name: str) -> bytes | None: ...
    def remove(self, name: str) -> None: ...


class FilePlace:
    """Files below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, content: bytes) -> None:
        """Write or replace, durable."""
        with told_os():
            path = self._root / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            write_file(path, content)

    def get(self, name: str) -> bytes | None:
        """The content, None where there is none."""
        with told_os():
            try:
                return (self._root / name).read_bytes()
            except FileNotFoundError:
                return None

    def remove(self, name: str) -> None:
        """Delete, and the case's folder with its last file."""
        with told_os():
            path = self._root / name
            path.unlink(missing_ok=True)
            if path.parent.exists() and not any(path.parent.iterdir()):
                path.parent.rmdir()


class ObjectPlace:
    """Objects of one bucket. client: boto3's S3 client, or anything that answers the same three calls."""

    def __init__(self, client: Any, *, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix

    def put(self, name: str, content: bytes) -> None:
        """Upload with its hash, which the archive checks before it says yes."""
        digest = hashlib.sha256(content).digest()
        self._do("put_object", name, Body=content, ChecksumSHA256=_base64(digest))

    def get(self, name: str) -> bytes | None:
        """The content, None where there is none."""
        try:
            answer = self._do("get_object", name)
        except _Missing:
            return None
        return bytes(answer["Body"].read())

    def remove(self, name: str) -> None:
        """Delete; nothing there is fine."""
        self._do("delete_object", name)

    def _do(self, verb: str, name: str, **named: Any) -> Any:
        try:
            return getattr(self._client, verb)(Bucket=self._bucket, Key=f"{self._prefix}{name}", **named)
        except Exception as error:
            code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
            if code in ("NoSuchKey", "404"):
                raise _Missing from None
            raise StoreFault(
                f"the sound archive failed: {code or type(error).__name__}", code="archive-fault"
            ) from None


class _Missing(Exception):
    pass


def open_place(url: str) -> SoundPlace:
    """The archive of an address: ``file:///folder`` or ``s3://bucket/prefix?endpoint=https://...&region=...``.

    Names and secrets of an S3 account come from its usual places (environment, profile, instance). Raises
    SettingsError.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path:
        return FilePlace(Path(parts.path))
    if parts.scheme != "s3" or not parts.netloc:
        raise SettingsError(
            "should begin with s3:// or file:///", where="store.archive", code="archive-url-wrong", hint="s3://bucket/"
        )
    try:
        import boto3
    except ImportError:
        raise SettingsError(
            "an S3 archive needs the extra s3",
            where="store.archive",
            code="extra-missing",
            hint="pip install callguard[s3]",
        ) from None
    asked = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    client = boto3.client("s3", endpoint_url=asked.get("endpoint"), region_name=asked.get("region"))
    prefix = parts.path.strip("/")
    return ObjectPlace(client, bucket=parts.netloc, prefix=f"{prefix}/" if prefix else "")


class Sound:
    """Finished sound by its segment's path, wherever it rests, opened and checked.

    seals: None where sound is not sealed. archive: None where files stay.
    """

    def __init__(self, root: Path, *, seals: Seals | None, archive: SoundPlace | None) -> None:
        self._files = FilePlace(root)
        self._archive = archive
        self._seals = seals

    def read(self, path: str, *, sha256: str) -> bytes:
        """The FLAC file. Raises StoreFault: ``sound-missing``, ``sound-broken`` (not what was written)."""
        stored = self._files.get(path)
        if stored is None and self._archive is not None:
            stored = self._archive.get(path)
        if stored is None:
            raise StoreFault("the sound of this segment is missing", code="sound-missing")
        plain = self._plain(path, stored)
        if hashlib.sha256(plain).hexdigest() != sha256:
            raise StoreFault("the sound of this segment is not what was written", code="sound-broken")
        return plain

    def archive(self, path: str) -> bool:
        """Move one file into the archive; False where there is nothing to move."""
        stored = self._files.get(path) if self._archive is not None else None
        if stored is None or self._archive is None:
            return False
        self._archive.put(path, stored)
        self._files.remove(path)
        return True

    def reseal(self, path: str) -> bool:
        """Seal one file under the current key; False where it is already."""
        if self._seals is None or not path.endswith(SEALED):
            return False
        stored, there = self._files.get(path), cast(SoundPlace, self._files)
        if stored is None and self._archive is not None:
            stored, there = self._archive.get(path), self._archive
        if stored is None or sealed_with(stored) == self._seals.current:
            return False
        there.put(path, seal(self._seals, self._plain(path, stored)))
        return True

    def remove(self, path: str) -> None:
        """Delete it wherever it rests."""
        self._files.remove(path)
        if self._archive is not None:
            self._archive.remove(path)

    def gone(self, path: str) -> bool:
        """True where no place holds it any more."""
        archived = self._archive.get(path) if self._archive is not None else None
        return self._files.get(path) is None and archived is None

    def _plain(self, path: str, stored: bytes) -> bytes:
        if not path.endswith(SEALED):
            return stored
        if self._seals is None:
            raise StoreFault("this sound is sealed and no key file is set", code="key-missing")
        return unseal(self._seals, stored)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
