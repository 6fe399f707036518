"""Sound at rest under AES-256-GCM: growing tracks record by record, finished files chunk by chunk.

Every file has a key of its own, derived from the key file's current key and a random salt in the file's head, so a
counter is nonce enough. The head, each part's place and whether it is the last are authenticated: a sealed file that
was changed, cut short or put together from others does not open.

The key file holds lines ``<name> <32 bytes in base64>``; the first seals, all open. To rotate, put a new line on top
and run ``callguard evidence reseal``; then the old line can go.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import io
import json
import os
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from callguard.model.errors import SettingsError, StoreFault
from callguard.store.keyring import secret_file
from callguard.store.wav import BYTES_PER_MS, write_all

SEALED = ".sealed"
"""How the name of a finished sealed file ends."""

MAGIC = b"CGSEAL1 "
CHUNK = 65536
_PART = struct.Struct("<Iq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seals:
    """The keys of a key file by name. current: the one that seals."""

    current: str
    keys: dict[str, bytes] = field(repr=False)


def new_key_line() -> str:
    """A fresh line for a key file."""
    return f"k{secrets.token_hex(4)} {base64.b64encode(secrets.token_bytes(32)).decode()}\n"


def read_seals(path: Path) -> Seals:
    """The keys in this file, else in the systemd credential of its name; a missing file is made. SettingsError."""
    text = secret_file(_credential(path) or path, lambda: new_key_line().encode()).decode("ascii", "replace")
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, value = line.strip().partition(" ")
        try:
            key = base64.b64decode(value.strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != 32 or name in keys:
            raise SettingsError(
                "should be a name and 32 bytes in base64, each name once",
                where=f"{path}:{number}",
                code="key-file-wrong",
                hint="callguard evidence new-key prints a line",
            )
        keys[name] = key
    if not keys:
        raise SettingsError("holds no key", where=str(path), code="key-file-wrong", hint="callguard evidence new-key")
    return Seals(current=next(iter(keys)), keys=keys)


def _credential(path: Path) -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    named = Path(folder) / path.name if folder else None
    return named if named is not None and not path.exists() and named.is_file() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    line: bytes
    cipher: AESGCM
    start_ms: int


def _new_head(seals: Seals, *, start_ms: int = 0) -> _Head:
    salt = secrets.token_hex(16)
    facts = {"key": seals.current, "salt": salt, "start_ms": start_ms}
    line = MAGIC + json.dumps(facts).encode() + b"\n"
    return _Head(line=line, cipher=_cipher(seals, facts), start_ms=start_ms)


def _read_head(seals: Seals, line: bytes) -> _Head | None:
    """None where this is no whole head. Raises StoreFault where its key is not ours."""
    if not line.startswith(MAGIC) or not line.endswith(b"\n"):
        return None
    try:
        facts = json.loads(line[len(MAGIC) :])
        return _Head(line=line, cipher=_cipher(seals, facts), start_ms=int(facts["start_ms"]))
    except (ValueError, KeyError, TypeError):
        return None


def _cipher(seals: Seals, facts: dict[str, object]) -> AESGCM:
    key = seals.keys.get(str(facts["key"]))
    if key is None:
        raise StoreFault("sealed under a key that is not in the key file", code="key-missing")
    salt = bytes.fromhex(str(facts["salt"]))
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"callguard sound").derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def seal(seals: Seals, plain: bytes) -> bytes:
    """A finished file, sealed."""
    head = _new_head(seals)
    out = io.BytesIO()
    out.write(head.line)
    count = max(1, -(-len(plain) // CHUNK))
    for number in range(count):
        piece = plain[number * CHUNK : (number + 1) * CHUNK]
        out.write(head.cipher.encrypt(_nonce(number, last=number == count - 1), piece, head.line))
    return out.getvalue()


def unseal(seals: Seals, sealed: bytes) -> bytes:
    """What was sealed. Raises StoreFault where it is not what was sealed, or the key is missing."""
    line, _, body = sealed.partition(b"\n")
    head = _read_head(seals, line + b"\n")
    if head is None:
        raise StoreFault("not a sealed file", code="sound-broken")
    step = CHUNK + 16
    count = max(1, -(-len(body) // step))
    try:
        parts = [
            head.cipher.decrypt(_nonce(n, last=n == count - 1), body[n * step : (n + 1) * step], head.line)
            for n in range(count)
        ]
    except InvalidTag:
        raise StoreFault("a sealed file was changed or cut short", code="sound-broken") from None
    return b"".join(parts)


def sealed_with(sealed: bytes) -> str:
    """The name of the key a file is sealed with."""
    line = sealed.partition(b"\n")[0]
    return str(json.loads(line[len(MAGIC) :])["key"])


class GrowingSealed:
    """A track being written under seal: a head, then one authenticated part for every write, in order."""

    def __init__(self, path: Path, *, start_ms: int, seals: Seals) -> None:
        self.path = path
        self.start_ms = start_ms
        self.length_ms = 0
        self.dirty = True
        self._head = _new_head(seals, start_ms=start_ms)
        self._parts = 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        write_all(self._file, self._head.line, 0)
        self._size = len(self._head.line)

    def place(self, at_ms: int, pcm: bytes) -> None:
        """Lay PCM at its time. A part that does not fit the disk leaves nothing behind."""
        if at_ms < self.start_ms:
            pcm = pcm[(self.start_ms - at_ms) * BYTES_PER_MS :]
            at_ms = self.start_ms
        pcm = pcm[: len(pcm) // BYTES_PER_MS * BYTES_PER_MS]
        if not pcm:
            return
        head = _PART.pack(len(pcm) + 16, at_ms)
        part = head + self._head.cipher.encrypt(_nonce(self._parts, last=False), pcm, self._head.line + head)
        try:
            write_all(self._file, part, self._size)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(part)
        self._parts += 1
        self.dirty = True
        self.length_ms = max(self.length_ms, at_ms - self.start_ms + len(pcm) // BYTES_PER_MS)

    def unsynced(self) -> int | None:
        """A descriptor of its own to sync and close, None where everything written is durable already."""
        if not self.dirty:
            return None
        self.dirty = False
        return os.dup(self._file)

    def close(self) -> None:
        """Let go of the file; it stays."""
        os.close(self._file)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedParts:
    """A growing sealed track as it lies on disk, up to its last whole part."""

    path: Path
    start_ms: int
    length_ms: int
    parts: tuple[tuple[int, int, int], ...]
    """(offset, at_ms, length) of each part."""
    head: _Head = field(repr=False)

    def heard(self, from_ms: int, to_ms: int) -> Iterator[tuple[int, bytes]]:
        """(at_ms, PCM) of every part that touches this stretch. A part that does not open ends it."""
        with self.path.open("rb") as file:
            for number, (offset, at_ms, length) in enumerate(self.parts):
                if at_ms >= to_ms or at_ms + (length - 16) // BYTES_PER_MS <= from_ms:
                    continue
                file.seek(offset)
                try:
                    pcm = self.head.cipher.decrypt(
                        _nonce(number, last=False), file.read(length), self.head.line + _PART.pack(length, at_ms)
                    )
                except InvalidTag:
                    return
                yield at_ms, pcm


def look_sealed(path: Path, seals: Seals) -> SealedParts | None:
    """What a growing sealed file holds; None where even its head was never written."""
    parts: list[tuple[int, int, int]] = []
    end_ms = 0
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = _read_head(seals, file.readline(4096))
        if head is None:
            return None
        offset = file.tell()
        while offset + _PART.size <= size:
            file.seek(offset)
            length, at_ms = _PART.unpack(file.read(_PART.size))
            offset += _PART.size
            if offset + length > size or length <= 16:
                break
            parts.append((offset, at_ms, length))
            end_ms = max(end_ms, at_ms + (length - 16) // BYTES_PER_MS)
            offset += length
    length_ms = max(0, end_ms - head.start_ms)
    return SealedParts(path=path, start_ms=head.start_ms, length_ms=length_ms, parts=tuple(parts), head=head)
